package awssm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/testserver"
)

func TestErrors_ofTheServiceAreFiledAndStayWithinReach(t *testing.T) {
	for _, c := range []struct {
		kind  testserver.Kind
		class error
		code  string
	}{
		{testserver.FailBefore, oauthstore.ErrUnavailable, "InternalServiceError"},
		{testserver.Throttle, oauthstore.ErrThrottled, "ThrottlingException"},
		{testserver.Deny, oauthstore.ErrAccessDenied, "AccessDeniedException"},
	} {
		t.Run(c.kind.String(), func(t *testing.T) {
			f := start(t)
			s := f.store()
			f.save(s, oauthstore.OAuthToken{ID: "a", AccessToken: "one"})
			f.srv.Inject(testserver.Fault{Op: "GetSecretValue", Kind: c.kind})
			_, err := s.FindTokenByID(f.ctx, "a")
			enginetest.RequireClass(t, err, c.class)
			require.Contains(t, err.Error(), "awssm: GetSecretValue oauthstore/token_a: "+strings.TrimPrefix(c.class.Error(), "oauthstore: ")+" ("+c.code+")")
			var api smithy.APIError
			require.ErrorAs(t, err, &api)
			require.Equal(t, c.code, api.ErrorCode())
			var response *awshttp.ResponseError
			require.ErrorAs(t, err, &response)
			require.NotEmpty(t, response.ServiceRequestID(), "what AWS's support asks for")
		})
	}
}

func TestErrors_withoutAnAnswerAreErrUnavailable(t *testing.T) {
	t.Run("the connection breaks", func(t *testing.T) {
		f := start(t)
		f.srv.Inject(testserver.Fault{Op: "GetSecretValue", Kind: testserver.DropAfter})
		_, err := f.store().FindTokenByID(f.ctx, "a")
		enginetest.RequireClass(t, err, oauthstore.ErrUnavailable)
	})
	t.Run("nobody listens", func(t *testing.T) {
		f := start(t)
		f.srv.Close()
		_, err := f.store().FindTokenByID(f.ctx, "a")
		enginetest.RequireClass(t, err, oauthstore.ErrUnavailable)
	})
	t.Run("the service takes longer than WithTimeout", func(t *testing.T) {
		f := start(t)
		f.srv.Inject(testserver.Fault{Op: "GetSecretValue", Kind: testserver.Hang})
		_, err := f.store(WithTimeout(20*time.Millisecond)).FindTokenByID(f.ctx, "a")
		enginetest.RequireClass(t, err, oauthstore.ErrUnavailable)
		require.NotErrorIs(t, err, context.DeadlineExceeded, "the caller has set none")
	})
	t.Run("the answer is cut off", func(t *testing.T) {
		f := start(t)
		_, err := f.storeOver(answering(`{"SecretString": "TOP-SECRET"`)).FindTokenByID(f.ctx, "a")
		enginetest.RequireClass(t, err, oauthstore.ErrUnavailable)
		require.NotContains(t, err.Error(), "TOP-SECRET")
	})
}

func TestErrors_ofAWriteTellWhatWentWrongOnTheWayToTheService(t *testing.T) {
	f := start(t)
	d := f.driver()
	base := f.put(d, engine.None, "TOP-SECRET")
	f.srv.Close()
	for _, rev := range []engine.Rev{base, engine.None} {
		_, err := d.Put(f.ctx, "token_a", rev, document("w", "TOP-SECRET"), 0)
		enginetest.RequireClass(t, err, oauthstore.ErrUnavailable)
		require.ErrorContains(t, err, "request send failed")
		require.NotContains(t, err.Error(), "TOP-SECRET")
	}
}

func TestErrors_ofAWriteDoNotShowAnAnswerThatCouldNotBeRead(t *testing.T) {
	f := start(t)
	_, err := f.driverOver(answering(`{"ARN": "TOP-SECRET"`)).Put(f.ctx, "token_a", engine.None, document("w", "x"), 0)
	enginetest.RequireClass(t, err, oauthstore.ErrUnavailable)
	require.NotContains(t, err.Error(), "TOP-SECRET")
}

func TestErrors_ofMissingCredentialsAreErrAccessDeniedUnlessTheNetworkIsToBlame(t *testing.T) {
	status := func(code int) error {
		return &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
			Response: &smithyhttp.Response{Response: &http.Response{StatusCode: code}}, Err: errors.New("an answer"),
		}}
	}
	for _, c := range []struct {
		cause error
		class error
		text  string
	}{
		{errors.New("no EC2 IMDS role found"), oauthstore.ErrAccessDenied, "no EC2 IMDS role found"},
		{status(400), oauthstore.ErrAccessDenied, "an answer"},
		{status(404), oauthstore.ErrAccessDenied, "an answer"},
		{&smithy.GenericAPIError{Code: "InvalidIdentityToken"}, oauthstore.ErrAccessDenied, "InvalidIdentityToken"},
		{status(503), oauthstore.ErrUnavailable, "an answer"},
		{&net.OpError{Op: "dial", Err: errors.New("no route to host")}, oauthstore.ErrUnavailable, "no route to host"},
		{&smithy.GenericAPIError{Code: "Throttling"}, oauthstore.ErrThrottled, "Throttling"},
		{errors.New(`parse failed of process output: {"SecretAccessKey": "TOP-SECRET"`), oauthstore.ErrAccessDenied, "access denied"},
	} {
		client := sm.New(sm.Options{
			Region: "us-east-1", Retryer: aws.NopRetryer{},
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, c.cause }),
		})
		d := start(t).driverOver(client)
		_, _, get := d.Get(context.Background(), "token_a", engine.None)
		_, put := d.Put(context.Background(), "token_a", engine.None, document("w", "x"), 0)
		for _, err := range []error{get, put} {
			enginetest.RequireClass(t, err, c.class)
			require.ErrorContains(t, err, c.text)
			require.NotContains(t, err.Error(), "TOP-SECRET")
		}
	}
}

// answering is an official client to which every request is answered with this body.
func answering(body string) *sm.Client {
	return sm.New(sm.Options{
		Region: "us-east-1", Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "s"}, nil
		}),
		HTTPClient: smithyhttp.ClientDoFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: readCloser(body)}, nil
		}),
	})
}

func TestClassOf_filesCodesThatTheSDKHasNoTypeFor(t *testing.T) {
	status := func(code int) error {
		return &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
			Response: &smithyhttp.Response{Response: &http.Response{StatusCode: code}}, Err: errors.New("no code"),
		}}
	}
	for _, c := range []struct {
		err   error
		class error
	}{
		{&smithy.GenericAPIError{Code: "ExpiredTokenException"}, oauthstore.ErrAccessDenied},
		{&smithy.GenericAPIError{Code: "UnrecognizedClientException"}, oauthstore.ErrAccessDenied},
		{&smithy.GenericAPIError{Code: "IncompleteSignatureException"}, oauthstore.ErrAccessDenied},
		{&types.DecryptionFailure{}, oauthstore.ErrAccessDenied},
		{&types.EncryptionFailure{}, oauthstore.ErrAccessDenied},
		{&types.LimitExceededException{}, oauthstore.ErrThrottled},
		{&types.InternalServiceError{}, oauthstore.ErrUnavailable},
		{&smithy.GenericAPIError{Code: "ServiceUnavailable"}, oauthstore.ErrUnavailable},
		{status(429), oauthstore.ErrThrottled},
		{status(401), oauthstore.ErrAccessDenied},
		{status(403), oauthstore.ErrAccessDenied},
		{status(502), oauthstore.ErrUnavailable},
	} {
		require.ErrorIs(t, classOf(fmt.Errorf("operation error: %w", c.err)), c.class, "%v", c.err)
	}
	for _, final := range []error{
		&types.InvalidParameterException{}, &types.InvalidRequestException{}, &types.ResourceNotFoundException{},
		&smithy.GenericAPIError{Code: "ValidationException"}, status(400), errors.New("anything else"),
	} {
		require.NoError(t, classOf(final))
	}
}

func TestErrors_ofADriverKeepTheServicesOwnBesideTheClass(t *testing.T) {
	f := start(t)
	d := f.driver()
	base := f.put(d, engine.None, "one")
	_, err := d.Put(f.ctx, "token_a", engine.None, document("w", "two"), 0)
	var exists *types.ResourceExistsException
	require.ErrorIs(t, err, engine.ErrConflict)
	require.ErrorAs(t, err, &exists)

	require.NoError(t, d.Delete(f.ctx, "token_a", base, engine.Record{}))
	f.srv.Advance(time.Minute)
	_, err = d.Put(f.ctx, "token_a", base, document("w", "two"), 0)
	var absent *types.ResourceNotFoundException
	require.ErrorIs(t, err, engine.ErrConflict)
	require.ErrorAs(t, err, &absent)
}

func TestErrors_neverShowWhatTheServiceQuotesOfAWrite(t *testing.T) {
	quote := func(value *string) error {
		return &smithy.OperationError{ServiceID: "Secrets Manager", OperationName: "Put", Err: &smithy.GenericAPIError{
			Code: "ValidationException", Message: "1 validation error detected: Value '" + *value + "' at 'secretString'",
		}}
	}
	f := start(t)
	f.save(f.store(), oauthstore.OAuthToken{ID: "a", AccessToken: "one"})
	quoting := &meddler{
		Client: f.Client,
		put: func(in *sm.PutSecretValueInput, _ func() (*sm.PutSecretValueOutput, error)) (*sm.PutSecretValueOutput, error) {
			return nil, quote(in.SecretString)
		},
		create: func(in *sm.CreateSecretInput, _ func() (*sm.CreateSecretOutput, error)) (*sm.CreateSecretOutput, error) {
			return nil, quote(in.SecretString)
		},
	}
	exists := &oauthstore.OAuthToken{ID: "a", AccessToken: "TOP-SECRET"}
	isNew := &oauthstore.OAuthToken{ID: "b", UserName: "TOP-SECRET", AccessToken: "TOP-SECRET"}
	for _, err := range []error{
		f.storeOver(quoting).SaveToken(f.ctx, exists),
		f.storeOver(quoting).SaveToken(f.ctx, isNew),
		f.storeOver(quoting, WithPrefix("new")).SaveToken(f.ctx, isNew),
	} {
		require.Error(t, err)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			require.NotContains(t, fmt.Sprintf(verb, err), "TOP-SECRET", "with %s", verb)
		}
		require.Contains(t, err.Error(), "ValidationException", "the code may be shown")
		var api smithy.APIError
		require.ErrorAs(t, err, &api)
		require.Contains(t, api.ErrorMessage(), "TOP-SECRET", "this test shows nothing")
	}
}

// localStack is an error of moto as LocalStack passes it on (localstack#10621).
func localStack(op, text string) error {
	return &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: http.StatusInternalServerError}},
		Err:      &smithy.GenericAPIError{Code: "InternalError", Message: "exception while calling secretsmanager." + op + ": " + text},
	}}
}

// throughLocalStack passes on what err says, with a credential in front.
func throughLocalStack(op string, err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return err
	}
	return localStack(op, "400 Bad Request: TOP-SECRET "+api.ErrorMessage())
}

func TestErrors_thatLocalStackPassesOnAreWhatTheyWere(t *testing.T) {
	f := start(t)
	base := f.put(f.driver(), engine.None, "one")
	f.put(f.driver(), base, "two")
	d := f.driverOver(&meddler{
		Client: f.Client,
		put: func(_ *sm.PutSecretValueInput, call func() (*sm.PutSecretValueOutput, error)) (*sm.PutSecretValueOutput, error) {
			out, err := call()
			return out, throughLocalStack("PutSecretValue", err)
		},
		get: func(_ *sm.GetSecretValueInput, call func() (*sm.GetSecretValueOutput, error)) (*sm.GetSecretValueOutput, error) {
			out, err := call()
			return out, throughLocalStack("GetSecretValue", err)
		},
	})
	requireRefused := func() {
		t.Helper()
		_, err := d.Put(f.ctx, "token_a", base, document("w", "other"), 0)
		enginetest.RequireClass(t, err, engine.ErrConflict)
		require.NotContains(t, err.Error(), "TOP-SECRET")
	}
	requireRefused()
	last := f.get(d, base, "two")
	require.NoError(t, d.Delete(f.ctx, "token_a", last, engine.Record{}))
	f.srv.Advance(time.Minute)
	requireRefused()
	_, rev, err := d.Get(f.ctx, "token_a", engine.None)
	require.NoError(t, err)
	require.Equal(t, notThere, rev)
}

func TestErrors_thatLocalStackPassesOnAreKnownByTheirTextAndNoOthersAre(t *testing.T) {
	other := localStack("PutSecretValue", "400 Bad Request: something else")
	quoting := &smithy.GenericAPIError{Code: "ValidationException", Message: "Value 'already in use for a version of secret' at 'secretString'"}
	for _, err := range []error{other, quoting} {
		require.False(t, isExists(err) || isNotFound(err), "%v", err)
	}
	require.ErrorIs(t, classOf(other), oauthstore.ErrUnavailable)
}
