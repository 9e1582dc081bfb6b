package awssm

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

// What the tests send and no error text may hold.
const (
	sessionToken = "IQoJSESSIONTOKEN"
	accessToken  = "TOP-SECRET"
)

// wire returns an official client whose requests the handler answers.
func wire(t *testing.T, handler http.HandlerFunc, optFns ...func(*sm.Options)) *sm.Client {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return sm.New(sm.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(srv.URL), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example", sessionToken),
	}, optFns...)
}

// calls makes a read, an update and an insert by a client.
func calls(t *testing.T, client *sm.Client) []error {
	t.Helper()
	ctx := t.Context()
	s, err := New(client)
	require.NoError(t, err)
	_, find := s.FindTokenByID(ctx, "a")
	d := fixture{}.driverOver(client)
	_, put := d.Put(ctx, "token_a", rev{arn: "arn:aws:secretsmanager:us-east-1:123456789012:secret:x-AbCdEf", version: "v"}.encode(), document("w", accessToken), 0)
	_, create := d.Put(ctx, "token_a", notThere, document("w", accessToken), 0)
	return []error{find, put, create}
}

// requireText demands what holds for the text of every error.
func requireText(t *testing.T, err error) {
	t.Helper()
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
		require.LessOrEqual(t, len(text), 1024)
		require.NotContains(t, text, "\n")
		require.True(t, utf8.ValidString(text))
		for _, secret := range []string{sessionToken, accessToken, "AKIDEXAMPLE", "Signature=", "<html", "PAGE"} {
			require.NotContains(t, text, secret)
		}
	}
}

func answerJSON(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": message})
	}
}

func answerPage(status int, page string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, page)
	}
}

// dump is a request as a proxy quotes it.
func dump(r *http.Request) string {
	body, _ := io.ReadAll(r.Body)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL)
	_ = r.Header.Write(&b)
	return b.String() + string(body)
}

// The service's errors (API reference, CreateSecret, GetSecretValue, PutSecretValue and "Common errors") and what
// proxies and emulators answer, over the wire. code is what is in the text; class is nil for a defect.
func TestErrors_overTheWireHaveAClassAndATextOfOneBoundedLineWithoutSecrets(t *testing.T) {
	page := "<html>\n" + strings.Repeat("PAGE ", 200_000) + "</html>"
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		class  error
		code   string
	}{
		"no permission": {answerJSON(400, "AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized to perform: secretsmanager:GetSecretValue on resource: y because no identity-based policy allows it"),
			oauthstore.ErrAccessDenied, "AccessDeniedException"},
		"a policy of the organization": {answerJSON(400, "AccessDeniedException", "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: secretsmanager:GetSecretValue on resource: y with an explicit deny in a service control policy"),
			oauthstore.ErrAccessDenied, "AccessDeniedException"},
		"KMS refuses":              {answerJSON(400, "AccessDeniedException", "Access to KMS is not allowed"), oauthstore.ErrAccessDenied, "AccessDeniedException"},
		"a disabled key, to read":  {answerJSON(400, "DecryptionFailure", "Secrets Manager can't decrypt the protected secret text using the provided KMS key."), oauthstore.ErrAccessDenied, "DecryptionFailure"},
		"a disabled key, to write": {answerJSON(400, "EncryptionFailure", "Secrets Manager can't encrypt the protected secret text using the provided KMS key."), oauthstore.ErrAccessDenied, "EncryptionFailure"},
		"no credentials":           {answerJSON(400, "MissingAuthenticationTokenException", "Missing Authentication Token"), oauthstore.ErrAccessDenied, "MissingAuthenticationTokenException"},
		"expired credentials":      {answerJSON(400, "ExpiredTokenException", "The security token included in the request is expired"), oauthstore.ErrAccessDenied, "ExpiredTokenException"},
		"unknown credentials":      {answerJSON(400, "UnrecognizedClientException", "The security token included in the request is invalid."), oauthstore.ErrAccessDenied, "UnrecognizedClientException"},
		"a wrong signature": {func(w http.ResponseWriter, r *http.Request) {
			answerJSON(403, "InvalidSignatureException", "The Canonical String for this request should have been\n'POST\n/\n\nx-amz-security-token:"+r.Header.Get("X-Amz-Security-Token")+"'")(w, r)
		}, oauthstore.ErrAccessDenied, "InvalidSignatureException"},
		"no subscription": {answerJSON(400, "SubscriptionRequiredException", "The AWS Access Key Id needs a subscription for the service"), oauthstore.ErrAccessDenied, "SubscriptionRequiredException"},
		"a copy in another region": {answerJSON(400, "InvalidParameterException", "Operation not permitted on a replica secret. Call must be made in primary secret's region."),
			oauthstore.ErrMisconfigured, "(InvalidParameterException): the client's region has only a copy of the secret"},
		"a copy, by the other code": {answerJSON(400, "InvalidRequestException", "Operation not permitted on a replica secret. Call must be made in primary secret's region."),
			oauthstore.ErrMisconfigured, "InvalidRequestException"},
		"another service":          {answerJSON(400, "UnknownOperationException", ""), oauthstore.ErrMisconfigured, "UnknownOperationException"},
		"prerequisites":            {answerJSON(400, "PreconditionNotMetException", "The request failed because you did not complete all the prerequisite steps."), oauthstore.ErrMisconfigured, "PreconditionNotMetException"},
		"throttled":                {answerJSON(400, "ThrottlingException", "Rate exceeded"), oauthstore.ErrThrottled, "ThrottlingException"},
		"versions used up":         {answerJSON(400, "LimitExceededException", "You have reached the maximum number of versions"), oauthstore.ErrThrottled, "LimitExceededException"},
		"an internal error":        {answerJSON(500, "InternalServiceError", "An error occurred on the server side."), oauthstore.ErrUnavailable, "InternalServiceError"},
		"a message of 1 MB":        {answerJSON(500, "InternalServiceError", strings.Repeat("é\r\n", 300_000)), oauthstore.ErrUnavailable, "InternalServiceError"},
		"a code that is no code":   {answerJSON(503, "<html\n\xff>"+strings.Repeat("x", 5000), "m"), oauthstore.ErrUnavailable, "(UnknownError)"},
		"a refused parameter":      {answerJSON(400, "ValidationException", "1 validation error detected"), nil, "ValidationException"},
		"a proxy's page":           {answerPage(502, page), oauthstore.ErrUnavailable, "(502)"},
		"a firewall's page":        {answerPage(403, page), oauthstore.ErrAccessDenied, "(403)"},
		"a web server's page":      {answerPage(404, page), oauthstore.ErrMisconfigured, "(404)"},
		"a gateway's limit":        {answerPage(413, page), oauthstore.ErrRecordTooLarge, "(413)"},
		"a proxy's limit of rates": {answerPage(429, page), oauthstore.ErrThrottled, "(429)"},
		"a page that is no error":  {answerPage(200, page), oauthstore.ErrUnavailable, ""},
		"a proxy that quotes the request": {func(w http.ResponseWriter, r *http.Request) { answerPage(400, dump(r))(w, r) },
			oauthstore.ErrMisconfigured, "(400)"},
		"a proxy that quotes the request as JSON": {func(w http.ResponseWriter, r *http.Request) {
			answerJSON(500, "InternalServiceError", dump(r))(w, r)
		}, oauthstore.ErrUnavailable, "InternalServiceError"},
		"a proxy that quotes a credential": {func(w http.ResponseWriter, r *http.Request) {
			answerJSON(403, "Forbidden", "no access for "+r.Header.Get("X-Amz-Security-Token")+" and "+r.Header.Get("Authorization"))(w, r)
		}, oauthstore.ErrAccessDenied, "Forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			for i, err := range calls(t, wire(t, c.answer)) {
				requireText(t, err)
				require.ErrorContains(t, err, c.code, "call %d", i)
				if c.class == nil {
					requireClass(t, err)
				} else {
					requireClass(t, err, c.class)
				}
			}
		})
	}
}

func TestErrors_ofAClientWithoutARegionSaySo(t *testing.T) {
	client := wire(t, nil, func(o *sm.Options) { o.Region, o.BaseEndpoint = "", nil })
	for _, err := range calls(t, client) {
		requireText(t, err)
		requireClass(t, err, oauthstore.ErrMisconfigured)
		require.ErrorContains(t, err, "Missing Region")
	}
}
