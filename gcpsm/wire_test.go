package gcpsm

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/internal/enginetest"
)

// bearer is what the tests send besides the token, and no error text may hold.
const bearer = "ya29.BEARERTOKEN"

// dial returns a driver of an official client that speaks to the address, and sends a credential.
func dial(t *testing.T, address string) *driver {
	t.Helper()
	client, err := secretmanager.NewClient(t.Context(),
		option.WithEndpoint(address), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		option.WithGRPCDialOption(grpc.WithUnaryInterceptor(func(ctx context.Context, method string, in, out any,
			c *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return invoke(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+bearer), method, in, out, c, opts...)
		})))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return newDriver(client, testConfig)
}

// wire returns a driver whose requests are all answered with what answer returns.
func wire(t *testing.T, answer func(ctx context.Context) error) *driver {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error { return answer(stream.Context()) }))
	go func() { _ = srv.Serve(listener) }()
	t.Cleanup(srv.Stop)
	return dial(t, listener.Addr().String())
}

// calls makes a read, a list, and the two writes of an insert. An answer to the second that says that there is no such
// secret is a conflict.
func calls(t *testing.T, d *driver) map[string]error {
	t.Helper()
	ctx := t.Context()
	_, _, access := d.Get(ctx, "token_a", engine.None)
	_, create := d.Put(ctx, "token_a", engine.None, enginetest.SecretRecord(), 0)
	_, add := d.Put(ctx, "token_a", rev{number: 1, floor: 1}.encode(), enginetest.SecretRecord(), 0)
	return map[string]error{"access": access, "list": d.List(ctx, func([]string) bool { return true }), "create": create, "add": add}
}

func answering(code codes.Code, message string, details ...protoadapt.MessageV1) func(context.Context) error {
	return func(context.Context) error {
		s, err := status.New(code, message).WithDetails(details...)
		if err != nil {
			return err
		}
		return s.Err()
	}
}

func because(reason string) *errdetails.ErrorInfo {
	return &errdetails.ErrorInfo{Reason: reason, Domain: "googleapis.com", Metadata: map[string]string{"service": "secretmanager.googleapis.com"}}
}

// Google's codes and reasons (google.rpc.Code, google.api.ErrorReason), over the wire. class is nil for a defect.
func TestErrors_overTheWireHaveAClassAndATextOfOneBoundedLineWithoutSecrets(t *testing.T) {
	const resourceLocations = "Constraint constraints/gcp.resourceLocations violated for [orgpolicy:projects/1] attempting to create a secret in [global]."
	for name, c := range map[string]struct {
		answer func(context.Context) error
		class  error
		code   string
	}{
		"no permission": {answering(codes.PermissionDenied, "Permission 'secretmanager.versions.access' denied for resource 'projects/p/secrets/s' (or it may not exist).", because("IAM_PERMISSION_DENIED")),
			oauthstore.ErrAccessDenied, "(PermissionDenied)"},
		"no credentials":           {answering(codes.Unauthenticated, "Request had invalid authentication credentials.", because("CREDENTIALS_MISSING")), oauthstore.ErrAccessDenied, "(Unauthenticated)"},
		"expired credentials":      {answering(codes.Unauthenticated, "Request had invalid authentication credentials.", because("ACCESS_TOKEN_EXPIRED")), oauthstore.ErrAccessDenied, "(Unauthenticated)"},
		"a security perimeter":     {answering(codes.PermissionDenied, "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: x", because("SECURITY_POLICY_VIOLATED")), oauthstore.ErrAccessDenied, "(PermissionDenied)"},
		"a suspended project":      {answering(codes.PermissionDenied, "Consumer has been suspended.", because("CONSUMER_SUSPENDED")), oauthstore.ErrAccessDenied, "(PermissionDenied)"},
		"an organization policy":   {answering(codes.FailedPrecondition, resourceLocations, &errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{{Type: "constraints/gcp.resourceLocations", Subject: "orgpolicy:projects/1"}}}), oauthstore.ErrAccessDenied, "(FailedPrecondition)"},
		"a disabled key":           {answering(codes.FailedPrecondition, "KMS error message: projects/p/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1 is not enabled"), oauthstore.ErrAccessDenied, "(FailedPrecondition)"},
		"a disabled API":           {answering(codes.PermissionDenied, "Secret Manager API has not been used in project 1 before or it is disabled.", because("SERVICE_DISABLED")), oauthstore.ErrMisconfigured, "(PermissionDenied)"},
		"no billing":               {answering(codes.PermissionDenied, "This API method requires billing to be enabled.", because("BILLING_DISABLED")), oauthstore.ErrMisconfigured, "(PermissionDenied)"},
		"an unknown project":       {answering(codes.PermissionDenied, "Permission denied on resource project p.", because("CONSUMER_INVALID")), oauthstore.ErrMisconfigured, "(PermissionDenied)"},
		"another service":          {answering(codes.Unimplemented, "unknown service google.cloud.secretmanager.v1.SecretManagerService"), oauthstore.ErrMisconfigured, "(Unimplemented)"},
		"throttled":                {answering(codes.ResourceExhausted, "Quota exceeded for quota metric 'Write requests'", because("RATE_LIMIT_EXCEEDED")), oauthstore.ErrThrottled, "(ResourceExhausted)"},
		"unavailable":              {answering(codes.Unavailable, "The service is currently unavailable."), oauthstore.ErrUnavailable, "(Unavailable)"},
		"a defect":                 {answering(codes.InvalidArgument, "Invalid resource field value in the request."), nil, "(InvalidArgument)"},
		"a message of many lines":  {answering(codes.Aborted, strings.Repeat("é\r\n", 1000)), oauthstore.ErrUnavailable, "(Aborted)"},
		"a page in the message":    {answering(codes.Aborted, "unexpected HTTP status code received from server: 502 (Bad Gateway)\ndata: \"<html>PAGE\""), oauthstore.ErrUnavailable, "(Aborted)"},
		"a code that is not known": {answering(codes.Code(99), "?"), nil, "(Code(99))"},
		"a server that quotes the request": {func(ctx context.Context) error {
			sent, _ := metadata.FromIncomingContext(ctx)
			return status.Error(codes.PermissionDenied, fmt.Sprint(sent))
		}, oauthstore.ErrAccessDenied, "(PermissionDenied)"},
		"a server that quotes a credential": {func(ctx context.Context) error {
			sent, _ := metadata.FromIncomingContext(ctx)
			return status.Error(codes.PermissionDenied, "no access for "+strings.TrimPrefix(sent["authorization"][0], "Bearer "))
		}, oauthstore.ErrAccessDenied, "(PermissionDenied)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			enginetest.RequireErrors(t, calls(t, wire(t, c.answer)), c.class, c.code, bearer)
		})
	}
}

// The message of an answer to a write may quote the token; the reason is a word of the service.
func TestErrors_ofAWriteShowTheReasonAndNotTheMessage(t *testing.T) {
	for reason, shown := range map[string]bool{"SERVICE_DISABLED": true, "IAM_PERMISSION_DENIED": true, enginetest.SecretMark: false, "": false} {
		err := calls(t, wire(t, answering(codes.PermissionDenied, "quotes "+enginetest.SecretMark, because(reason))))["add"]
		enginetest.RequireText(t, err, bearer)
		require.Equal(t, shown, strings.HasSuffix(err.Error(), "(PermissionDenied): "+reason), err.Error())
	}
}

// "Not found" says that the project does not exist only if the request names a project and no secret.
func TestErrors_ofAProjectThatIsNotThereAreErrMisconfigured(t *testing.T) {
	d := wire(t, answering(codes.NotFound, "Project [projects/1] not found."))
	got := calls(t, d)
	enginetest.RequireClass(t, got["create"], oauthstore.ErrMisconfigured)
	enginetest.RequireClass(t, got["list"], oauthstore.ErrMisconfigured)
	enginetest.RequireClass(t, got["add"], engine.ErrConflict)
	require.NoError(t, got["access"])
}

func TestErrors_ofAProxyDoNotShowItsPage(t *testing.T) {
	enginetest.RunProxies(t, map[int]error{
		400: oauthstore.ErrUnavailable, 403: oauthstore.ErrAccessDenied, 404: oauthstore.ErrMisconfigured,
		429: oauthstore.ErrUnavailable, 502: oauthstore.ErrUnavailable, 200: oauthstore.ErrUnavailable,
	}, func(t *testing.T, proxy http.HandlerFunc, _ int, class error) {
		srv := httptest.NewUnstartedServer(proxy)
		srv.Config.Protocols = new(http.Protocols)
		srv.Config.Protocols.SetUnencryptedHTTP2(true)
		srv.Start()
		t.Cleanup(srv.Close)
		enginetest.RequireErrors(t, calls(t, dial(t, srv.Listener.Addr().String())), class, "", bearer)
	})
}
