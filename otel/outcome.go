package oauthotel

import (
	"context"
	"errors"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/oauthstore/oauthstore"
)

// An outcome is what something has come to. The package comment lists them.
type outcome string

const (
	ok              outcome = "ok"
	notFound        outcome = "not_found"
	conflict        outcome = "conflict"
	invalid         outcome = "invalid"
	leaseLost       outcome = "lease_lost"
	misconfigured   outcome = "misconfigured"
	noCompareAndSet outcome = "no_compare_and_set"
	accessDenied    outcome = "access_denied"
	throttled       outcome = "throttled"
	unavailable     outcome = "unavailable"
	corrupt         outcome = "corrupt"
	unsupported     outcome = "unsupported"
	canceled        outcome = "canceled"
	timeout         outcome = "timeout"
	failed          outcome = "error"

	// Of refreshes and of requests to the provider only.
	adopted        outcome = "adopted"
	reauthRequired outcome = "reauth_required"
	notSaved       outcome = "not_saved"
	refused        outcome = "refused"
)

// ofOperations are the outcomes of the operations of a store.
var ofOperations = []outcome{
	ok, notFound, conflict, invalid, leaseLost, misconfigured, noCompareAndSet, accessDenied, throttled, unavailable, corrupt, unsupported, canceled, timeout, failed,
}

// outcomeOf classifies the error of something that was done within ctx.
func outcomeOf(ctx context.Context, err error) outcome {
	if err == nil {
		return ok
	}
	// A store whose time is up may call that a service that does not answer, too.
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
		return outcomeOfEnd(ended)
	}
	for _, c := range classes {
		if errors.Is(err, c.err) {
			return c.outcome
		}
	}
	var another *oauthstore.ConflictError
	var damaged *oauthstore.CorruptRecordError
	switch {
	case errors.As(err, &another):
		return conflict
	case errors.As(err, &damaged):
		return corrupt
	default:
		return outcomeOfEnd(err)
	}
}

// classes are the outcomes that errors.Is finds. An id that no record can have is both invalid and not found, and it is
// the former that somebody should look into.
var classes = []struct {
	err     error
	outcome outcome
}{
	{oauthstore.ErrLeaseLost, leaseLost},
	{oauthstore.ErrInvalidToken, invalid},
	{oauthstore.ErrRecordTooLarge, invalid},
	{oauthstore.ErrTokenNotFound, notFound},
	{oauthstore.ErrMisconfigured, misconfigured},
	{oauthstore.ErrNoCompareAndSet, noCompareAndSet},
	{oauthstore.ErrAccessDenied, accessDenied},
	{oauthstore.ErrThrottled, throttled},
	{oauthstore.ErrUnavailable, unavailable},
	{errors.ErrUnsupported, unsupported},
}

func outcomeOfEnd(err error) outcome {
	switch {
	case errors.Is(err, context.Canceled):
		return canceled
	case errors.Is(err, context.DeadlineExceeded):
		return timeout
	default:
		return failed
	}
}

// failure reports whether the outcome is an error, rather than an answer.
func (o outcome) failure() bool {
	switch o {
	case ok, notFound, unsupported, adopted:
		return false
	default:
		return true
	}
}

const (
	outcomeKey   = attribute.Key("oauthstore.outcome")
	errorTypeKey = attribute.Key("error.type") // of the semantic conventions
	recordIDKey  = attribute.Key("oauthstore.record.id")
)

// errorType is how the semantic conventions name the outcome; none where it is no failure.
func (o outcome) errorType() []attribute.KeyValue {
	switch {
	case !o.failure():
		return nil
	case o == failed:
		return []attribute.KeyValue{errorTypeKey.String(other)}
	default:
		return []attribute.KeyValue{errorTypeKey.String(string(o))}
	}
}

// attributes are the outcome under its own name and that of the semantic conventions.
func (o outcome) attributes() []attribute.KeyValue {
	return append(o.errorType(), outcomeKey.String(string(o)))
}

// mark gives the span the outcome.
func (o outcome) mark(span trace.Span) {
	span.SetAttributes(o.attributes()...)
	if o.failure() {
		span.SetStatus(codes.Error, string(o))
	}
}

// recordID is the attribute for an id: none where ids are not wanted, or there is none. What is not UTF-8 would make
// exporters refuse all that they send with it.
func (t telemetry) recordID(id string) []attribute.KeyValue {
	if !t.ids || id == "" {
		return nil
	}
	return []attribute.KeyValue{recordIDKey.String(strings.ToValidUTF8(id, "\uFFFD"))}
}
