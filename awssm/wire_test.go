package awssm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/enginetest"
)

// secrets are what the tests send besides the token, and no error text may hold.
var secrets = []string{sessionToken, "AKIDEXAMPLE", "Signature="}

const sessionToken = "IQoJSESSIONTOKEN"

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
func calls(t *testing.T, client *sm.Client) map[string]error {
	t.Helper()
	ctx := t.Context()
	s, err := New(client)
	require.NoError(t, err)
	_, find := s.FindTokenByID(ctx, "a")
	d := fixture{}.driverOver(client)
	_, put := d.Put(ctx, "token_a", rev{arn: "arn:aws:secretsmanager:us-east-1:123456789012:secret:x-AbCdEf", version: "v"}.encode(), enginetest.SecretRecord(), 0)
	_, create := d.Put(ctx, "token_a", notThere, enginetest.SecretRecord(), 0)
	return map[string]error{"find": find, "put": put, "create": create}
}

func answerJSON(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": message})
	}
}

// The service's errors (API reference, CreateSecret, GetSecretValue, PutSecretValue and "Common errors") and what
// proxies and emulators answer, over the wire. code is a part of the text; class is nil for a defect.
func TestErrors_overTheWireHaveAClassAndATextOfOneBoundedLineWithoutSecrets(t *testing.T) {
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
		"another service":        {answerJSON(400, "UnknownOperationException", ""), oauthstore.ErrMisconfigured, "UnknownOperationException"},
		"prerequisites":          {answerJSON(400, "PreconditionNotMetException", "The request failed because you did not complete all the prerequisite steps."), oauthstore.ErrMisconfigured, "PreconditionNotMetException"},
		"throttled":              {answerJSON(400, "ThrottlingException", "Rate exceeded"), oauthstore.ErrThrottled, "ThrottlingException"},
		"versions used up":       {answerJSON(400, "LimitExceededException", "You have reached the maximum number of versions"), oauthstore.ErrThrottled, "LimitExceededException"},
		"an internal error":      {answerJSON(500, "InternalServiceError", "An error occurred on the server side."), oauthstore.ErrUnavailable, "InternalServiceError"},
		"a message of 1 MB":      {answerJSON(500, "InternalServiceError", strings.Repeat("é\r\n", 300_000)), oauthstore.ErrUnavailable, "InternalServiceError"},
		"a code that is no code": {answerJSON(503, "<html\n\xff>"+strings.Repeat("x", 5000), "m"), oauthstore.ErrUnavailable, "(UnknownError)"},
		"a refused parameter":    {answerJSON(400, "ValidationException", "1 validation error detected"), nil, "ValidationException"},
		"a proxy that quotes the request as JSON": {func(w http.ResponseWriter, r *http.Request) {
			answerJSON(500, "InternalServiceError", enginetest.Quoted(r))(w, r)
		}, oauthstore.ErrUnavailable, "InternalServiceError"},
		"a proxy that quotes the session token only": {func(w http.ResponseWriter, r *http.Request) {
			answerJSON(403, "Forbidden", "no access for "+r.Header.Get("X-Amz-Security-Token"))(w, r)
		}, oauthstore.ErrAccessDenied, "Forbidden"},
		"a proxy that quotes a credential": {func(w http.ResponseWriter, r *http.Request) {
			answerJSON(403, "Forbidden", "no access for "+r.Header.Get("X-Amz-Security-Token")+" and "+r.Header.Get("Authorization"))(w, r)
		}, oauthstore.ErrAccessDenied, "Forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			enginetest.RequireErrors(t, calls(t, wire(t, c.answer)), c.class, c.code, secrets...)
		})
	}
}

func TestErrors_ofAProxyDoNotShowItsPage(t *testing.T) {
	enginetest.RunProxies(t, map[int]error{
		200: oauthstore.ErrUnavailable, 400: oauthstore.ErrMisconfigured, 403: oauthstore.ErrAccessDenied, 404: oauthstore.ErrMisconfigured,
		413: oauthstore.ErrRecordTooLarge, 429: oauthstore.ErrThrottled, 502: oauthstore.ErrUnavailable,
	}, func(t *testing.T, proxy http.HandlerFunc, status int, class error) {
		enginetest.RequireErrors(t, calls(t, wire(t, proxy)), class, fmt.Sprintf("(%d)", status), secrets...)
	})
}

func TestErrors_ofAClientWithoutARegionSaySo(t *testing.T) {
	client := wire(t, nil, func(o *sm.Options) { o.Region, o.BaseEndpoint = "", nil })
	enginetest.RequireErrors(t, calls(t, client), oauthstore.ErrMisconfigured, "Missing Region", secrets...)
}
