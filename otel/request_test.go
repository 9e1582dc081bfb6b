package oauthotel_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/oauthstore/oauthstore"
	oauthotel "github.com/oauthstore/oauthstore/otel"
)

func requestEvent(err error, code string) oauthstore.Event {
	return oauthstore.Event{Kind: oauthstore.EventRequest, Backend: "awssm", Operation: "GetSecretValue", Secret: "p/token_record-17",
		Duration: 2 * time.Second, Code: code, Err: err}
}

// within records the event in a span.
func within(t *testing.T, e oauthstore.Event, more ...oauthotel.Option) *recording {
	t.Helper()
	r := record(t)
	ctx, caller := r.tracers.Tracer("test").Start(t.Context(), "caller")
	oauthotel.StoreObserver(r.options(more...)...)(ctx, e)
	caller.End()
	return r
}

func TestStoreObserver_requests(t *testing.T) {
	for what, c := range map[string]struct {
		err        error
		code       string
		errorType  any
		statusText string
	}{
		"answered":           {nil, "", nil, ""},
		"throttled":          {oauthstore.ErrThrottled, "ThrottlingException", "ThrottlingException", "throttled"},
		"no answer":          {oauthstore.ErrUnavailable, "", "unavailable", "unavailable"},
		"nothing there":      {errors.New("nothing there"), "ResourceNotFoundException", "ResourceNotFoundException", ""},
		"given up":           {context.Canceled, "", "canceled", "canceled"},
		"an unknown failure": {errors.New("something"), "", "_OTHER", ""},
	} {
		r := within(t, requestEvent(c.err, c.code))
		attributes := []attribute.KeyValue{str("oauthstore.backend", "awssm"), str("oauthstore.request.operation", "GetSecretValue")}
		if c.errorType != nil {
			attributes = append(attributes, str("error.type", c.errorType.(string)))
		}
		r.wantCount(1, "oauthstore.request.duration", attributes...)
		if sum := r.sum("oauthstore.request.duration"); sum != 2 {
			t.Errorf("%s: got %v s, want 2", what, sum)
		}
		span, caller := r.span("awssm GetSecretValue"), r.span("caller")
		for _, a := range attributes {
			wantAttribute(t, what, span.Attributes, string(a.Key), a.Value.AsInterface())
		}
		wantAttribute(t, what, span.Attributes, "oauthstore.secret", nil)
		if took := span.EndTime.Sub(span.StartTime); took != 2*time.Second || span.SpanKind != trace.SpanKindClient {
			t.Errorf("%s: got a span of %v of kind %v, want one of a client of 2 s", what, took, span.SpanKind)
		}
		if span.Parent.SpanID() != caller.SpanContext.SpanID() || span.Status.Description != c.statusText || (span.Status.Code == codes.Error) != (c.statusText != "") {
			t.Errorf("%s: got the span %s", what, text(t, span))
		}
		named := within(t, requestEvent(c.err, c.code), oauthotel.WithRecordIDs()).span("awssm GetSecretValue")
		wantAttribute(t, what, named.Attributes, "oauthstore.secret", "p/token_record-17")
	}
}

// A service, or a proxy, can put anything into a header.
func TestStoreObserver_codesThatAreNotKnownAreOne(t *testing.T) {
	r := record(t)
	observe := oauthotel.StoreObserver(r.options(oauthotel.WithRecordIDs())...)
	ctx, caller := r.tracers.Tracer("test").Start(t.Context(), "caller")
	known := []string{
		"ThrottlingException", "ResourceNotFoundException", "AccessDeniedException", "InternalServiceError", "ValidationException",
		"NotFound", "PermissionDenied", "Unavailable", "ResourceExhausted", "400", "403", "404", "429", "500", "503",
	}
	for _, code := range known {
		observe(ctx, requestEvent(errors.New("failed"), code))
	}
	for i := range 100 {
		for _, code := range []string{fmt.Sprint("Code", i), fmt.Sprint("\xff", i), fmt.Sprint("Code(", 20+i, ")"), fmt.Sprint(900 + i), "+403", "0403"} {
			observe(ctx, requestEvent(errors.New("failed"), code))
		}
	}
	caller.End()
	e := requestEvent(errors.New("failed"), "\xff")
	e.Secret = "p/token_\xff"
	observe(ctx, e)
	for _, code := range known {
		r.wantCount(1, "oauthstore.request.duration", str("oauthstore.backend", "awssm"), str("oauthstore.request.operation", "GetSecretValue"), str("error.type", code))
	}
	r.wantCount(601, "oauthstore.request.duration", str("oauthstore.backend", "awssm"), str("oauthstore.request.operation", "GetSecretValue"), str("error.type", "_OTHER"))
	if n := len(r.points("oauthstore.request.duration")); n != len(known)+1 {
		t.Errorf("got %d series, want %d", n, len(known)+1)
	}
	r.wantUTF8()
}

func TestStoreObserver_makesNoTraceOfARequestAlone(t *testing.T) {
	r := record(t)
	oauthotel.StoreObserver(r.options()...)(context.Background(), requestEvent(nil, ""))
	r.wantCount(1, "oauthstore.request.duration", str("oauthstore.backend", "awssm"), str("oauthstore.request.operation", "GetSecretValue"))
	if names := r.names(); len(names) > 0 {
		t.Errorf("got the spans %q, want none", names)
	}
}

func TestStoreObserver_conflictsAndRetries(t *testing.T) {
	conflict := oauthstore.Event{Kind: oauthstore.EventConflict, Backend: "vault", Secret: "p/token_record-17", Err: errors.New("another write")}
	r := within(t, conflict)
	r.wantCount(1, "oauthstore.write.conflicts", str("oauthstore.backend", "vault"))
	if events := r.span("caller").Events; len(events) != 1 || events[0].Name != "oauthstore.conflict" {
		t.Errorf("got the events %v, want a conflict", events)
	}
	for outcome, err := range map[string]error{"conflict": conflict.Err, "throttled": oauthstore.ErrThrottled, "unavailable": oauthstore.ErrUnavailable} {
		r := within(t, oauthstore.Event{Kind: oauthstore.EventRetry, Backend: "vault", Attempt: 3, Duration: time.Second, Err: err})
		r.wantCount(1, "oauthstore.retries", append(attributesOf(outcome, true), str("oauthstore.backend", "vault"))...)
		events := r.span("caller").Events
		if len(events) != 1 || events[0].Name != "oauthstore.retry" {
			t.Fatalf("%s: got the events %v, want a retry", outcome, events)
		}
		for key, want := range map[string]any{"oauthstore.outcome": outcome, "oauthstore.attempt": int64(3), "oauthstore.backend": "vault"} {
			wantAttribute(t, outcome, events[0].Attributes, key, want)
		}
	}
}
