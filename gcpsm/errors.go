package gcpsm

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// classOf files an error by its status code (google.rpc.Code), and by its details if that is not enough. What may
// have taken effect without saying so is unavailable: the engine reads back.
func classOf(op string, err error) error {
	switch status.Code(err) {
	case codes.PermissionDenied, codes.Unauthenticated:
		if slices.Contains(projectReasons, reason(err)) {
			return oauthstore.ErrMisconfigured
		}
		return oauthstore.ErrAccessDenied
	case codes.FailedPrecondition:
		// A matter of Cloud KMS or of an organization policy: no retry helps, and the caller may.
		if aboutKey(err) || aboutPolicy(err) {
			return oauthstore.ErrAccessDenied
		}
		return nil
	case codes.ResourceExhausted:
		return oauthstore.ErrThrottled
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Internal, codes.Aborted, codes.Unknown:
		return oauthstore.ErrUnavailable
	case codes.NotFound:
		if op == "CreateSecret" || op == "ListSecrets" { // they name a project, and no secret
			return oauthstore.ErrMisconfigured
		}
		return nil
	case codes.Unimplemented: // the endpoint is another service's
		return oauthstore.ErrMisconfigured
	default:
		return nil
	}
}

// projectReasons are the reasons for a refusal by which the project is not what it should be (google.api.ErrorReason).
var projectReasons = []string{"SERVICE_DISABLED", "BILLING_DISABLED", "CONSUMER_INVALID", "RESOURCE_PROJECT_INVALID", "SERVICE_NOT_VISIBLE"}

// reasonForm is what a reason looks like (google.rpc.ErrorInfo): a word of the service, which holds nothing that was sent.
var reasonForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,62}$`)

// reason returns the reason in an error's details (google.rpc.ErrorInfo), if there is one.
func reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// aboutPolicy reports whether err says that an organization policy forbids the call, such as
// "constraints/gcp.resourceLocations" a secret that is replicated everywhere.
func aboutPolicy(err error) bool {
	for _, detail := range status.Convert(err).Details() {
		failure, ok := detail.(*errdetails.PreconditionFailure)
		if ok && slices.ContainsFunc(failure.GetViolations(), func(v *errdetails.PreconditionFailure_Violation) bool {
			return strings.HasPrefix(v.GetType(), "constraints/")
		}) {
			return true
		}
	}
	return false
}

// fail is fault for calls about one secret.
func (d *driver) fail(op, name string, quiet bool, err error) error {
	return fault(op, d.FullName(name), quiet, err)
}

// fault files an error of the service. secret is empty for calls about several. quiet leaves the service's
// message out of the text, for calls that sent a token.
func fault(op, secret string, quiet bool, err error) error {
	if err == nil {
		return nil
	}
	s := status.Convert(err)
	f := &engine.Fault{
		Backend: "gcpsm", Op: op, Secret: secret,
		Class: classOf(op, err), Code: s.Code().String(), Err: err,
	}
	switch {
	case !quiet:
		f.Message, _, _ = strings.Cut(s.Message(), pageBegins)
	case reasonForm.MatchString(reason(err)):
		f.Message = reason(err)
	}
	// gRPC has words of its own for the end of a context, and says them before the context does.
	switch s.Code() {
	case codes.DeadlineExceeded:
		f.Err = errors.Join(context.DeadlineExceeded, err)
	case codes.Canceled:
		f.Err = errors.Join(context.Canceled, err)
	}
	return f
}

// pageBegins stands in the client's text before what a server has sent that does not speak gRPC (grpc, http2_client).
const pageBegins = "\ndata: "

// outcomeOf is the outcome of a version that could not be added. It was sent once, so a refusal is final.
func outcomeOf(err error) outcome {
	switch status.Code(err) {
	case codes.PermissionDenied, codes.Unauthenticated, codes.ResourceExhausted, codes.InvalidArgument, codes.FailedPrecondition:
		return void
	default:
		return superseded
	}
}

// unsure is the error of an answer that cannot be, or not yet.
func (d *driver) unsure(op, name, message string) error {
	return &engine.Fault{Backend: "gcpsm", Op: op, Secret: d.FullName(name), Class: oauthstore.ErrUnavailable,
		Message: message, Err: oauthstore.ErrUnavailable}
}

// conflict is the error of a write that came too late; cause may be nil.
func (d *driver) conflict(op, name string, cause error) error {
	if cause == nil {
		cause = engine.ErrConflict
	}
	return &engine.Fault{Backend: "gcpsm", Op: op, Secret: d.FullName(name), Class: engine.ErrConflict, Err: cause}
}
