package gcpsm

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// classOf files a status code (google.rpc.Code). What may have taken effect without saying so is
// unavailable: the engine reads back.
func classOf(code codes.Code) error {
	switch code {
	case codes.PermissionDenied, codes.Unauthenticated:
		return oauthstore.ErrAccessDenied
	case codes.ResourceExhausted:
		return oauthstore.ErrThrottled
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Internal, codes.Aborted, codes.Unknown:
		return oauthstore.ErrUnavailable
	default:
		return nil
	}
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
	class := classOf(s.Code())
	if aboutKey(err) {
		class = oauthstore.ErrAccessDenied // it is a matter of Cloud KMS: no retry helps, and the caller may
	}
	f := &engine.Fault{
		Backend: "gcpsm", Op: op, Secret: secret,
		Class: class, Code: s.Code().String(), Err: err,
	}
	if !quiet {
		f.Message = s.Message()
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
