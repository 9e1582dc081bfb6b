package oauthotel

import (
	"context"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/oauthstore/oauthstore"
)

// StoreObserver returns an observer for WithObserver of packages awssm, vault and gcpsm. It counts and times the requests
// to the service by operation, and counts conflicts with other writers and what is done again.
//
// Requests are spans only within a span that is recorded, such as that of an operation of a [Wrap]ped store; conflicts
// and retries are events of it.
func StoreObserver(options ...Option) func(context.Context, oauthstore.Event) {
	t := newTelemetry(options)
	r := &requests{
		telemetry: t,
		durations: t.duration("oauthstore.request.duration", "Duration of requests to the service."),
		conflicts: t.counter("oauthstore.write.conflicts", "{conflict}", "Writes that found that another had come first."),
		retries:   t.counter("oauthstore.retries", "{retry}", "What the store has done again."),
	}
	return r.observe
}

// requests records the events of a store.
type requests struct {
	telemetry
	durations          metric.Float64Histogram
	conflicts, retries metric.Int64Counter
}

const (
	backendKey = attribute.Key("oauthstore.backend")
	requestKey = attribute.Key("oauthstore.request.operation")
	secretKey  = attribute.Key("oauthstore.secret")
)

func (r *requests) observe(ctx context.Context, e oauthstore.Event) {
	backend := backendKey.String(e.Backend)
	switch e.Kind {
	case oauthstore.EventRequest:
		r.asked(ctx, e)
	case oauthstore.EventConflict:
		r.conflicts.Add(ctx, 1, metric.WithAttributes(backend))
		r.happened(ctx, e)
	case oauthstore.EventRetry:
		cause := causeOf(ctx, e.Err).attributes()
		r.retries.Add(ctx, 1, metric.WithAttributes(append(cause, backend)...))
		r.happened(ctx, e, append(cause, attemptKey.Int(e.Attempt))...)
	}
}

// asked records a request.
func (r *requests) asked(ctx context.Context, e oauthstore.Event) {
	attributes := []attribute.KeyValue{backendKey.String(e.Backend), requestKey.String(e.Operation)}
	result := outcomeOf(ctx, e.Err)
	switch {
	case e.Err == nil:
	case e.Code != "":
		attributes = append(attributes, errorTypeKey.String(knownCode(e.Code)))
	default:
		attributes = append(attributes, result.errorType()...)
	}
	r.durations.Record(ctx, e.Duration.Seconds(), metric.WithAttributes(attributes...))
	if !trace.SpanFromContext(ctx).IsRecording() {
		return
	}
	span, end := r.past(ctx, e.Backend+" "+e.Operation, trace.SpanKindClient, e.Duration, append(attributes, r.secret(e)...))
	if result.failure() && result != failed { // others are answers, which the store may have asked for
		span.SetStatus(codes.Error, string(result))
	}
	end()
}

// happened records what took no time.
func (r *requests) happened(ctx context.Context, e oauthstore.Event, more ...attribute.KeyValue) {
	trace.SpanFromContext(ctx).AddEvent("oauthstore."+string(e.Kind),
		trace.WithAttributes(slices.Concat(more, []attribute.KeyValue{backendKey.String(e.Backend)}, r.secret(e))...))
}

// causeOf classifies why something is done again. What is neither the service's failure nor its limit is that a secret
// was changed or deleted meanwhile.
func causeOf(ctx context.Context, err error) outcome {
	if o := outcomeOf(ctx, err); o != failed {
		return o
	}
	return conflict
}

// secret names the secret, which holds a record's id.
func (r *requests) secret(e oauthstore.Event) []attribute.KeyValue {
	if !r.ids || e.Secret == "" {
		return nil
	}
	return []attribute.KeyValue{secretKey.String(strings.ToValidUTF8(e.Secret, "\uFFFD"))}
}
