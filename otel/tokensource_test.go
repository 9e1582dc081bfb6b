package oauthotel_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
	oauthotel "github.com/oauthstore/oauthstore/otel"
	"github.com/oauthstore/oauthstore/tokensource"
	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

// observed records the event, as one in the context of a span that is under way.
func observed(t *testing.T, e tokensource.Event, more ...oauthotel.Option) *recording {
	t.Helper()
	r := record(t)
	ctx, caller := r.tracers.Tracer("test").Start(t.Context(), "caller")
	oauthotel.TokenSourceObserver(r.options(more...)...)(ctx, e)
	caller.End()
	return r
}

func TestTokenSourceObserver_refreshes(t *testing.T) {
	code := str("oauthstore.provider.error_code", "invalid_grant")
	lost := attribute.Bool("oauthstore.reauthentication.answer_lost", true)
	for _, c := range []struct {
		kind    tokensource.EventKind
		err     error
		outcome string
		failure bool
		span    []attribute.KeyValue
	}{
		{tokensource.Refreshed, nil, "ok", false, nil},
		{tokensource.Adopted, nil, "adopted", false, nil},
		{tokensource.RefreshFailed, oauthstore.ErrTokenNotFound, "not_found", false, nil},
		{tokensource.RefreshFailed, &tokensource.NotSavedError{ID: "record-17", Err: oauthstore.ErrUnavailable}, "not_saved", true, nil},
		{tokensource.RefreshFailed, &tokensource.ProviderError{Status: 503}, "unavailable", true, nil},
		{tokensource.RefreshFailed, context.DeadlineExceeded, "timeout", true, nil},
		{tokensource.RefreshFailed, errors.New(hush), "error", true, nil},
		{tokensource.ReauthRequired, &tokensource.ReauthRequiredError{ID: "record-17", Code: "invalid_grant", AnswerLost: true}, "reauth_required", true, []attribute.KeyValue{code, lost}},
	} {
		what := fmt.Sprintf("%s: %v", c.kind, c.err)
		r := observed(t, tokensource.Event{Kind: c.kind, ID: "record-17", Duration: 3 * time.Second, Err: c.err})
		r.wantCount(1, "oauthstore.refresh.duration", attributesOf(c.outcome, c.failure)...)
		if sum := r.sum("oauthstore.refresh.duration"); sum != 3 {
			t.Errorf("%s: got %v s, want 3", what, sum)
		}
		span, caller := r.span("oauthstore.refresh"), r.span("caller")
		for _, a := range append(attributesOf(c.outcome, c.failure), c.span...) {
			wantAttribute(t, what, span.Attributes, string(a.Key), a.Value.AsInterface())
		}
		wantAttribute(t, what, span.Attributes, "oauthstore.record.id", nil)
		if took := span.EndTime.Sub(span.StartTime); took != 3*time.Second || time.Since(span.EndTime) > time.Minute {
			t.Errorf("%s: got a span of %v until %v, want one of 3 s until now", what, took, span.EndTime)
		}
		if span.Parent.SpanID() != caller.SpanContext.SpanID() || (span.Status.Code == codes.Error) != c.failure || c.failure && span.Status.Description != c.outcome {
			t.Errorf("%s: got the span %s", what, text(t, span))
		}
		reauths := 0
		if c.kind == tokensource.ReauthRequired {
			reauths = 1
		}
		r.wantCount(reauths, "oauthstore.reauthentications", code, lost)
		if n := r.total("oauthstore.reauthentications"); n != reauths {
			t.Errorf("%s: got %d reauthentications, want %d", what, n, reauths)
		}
	}
}

func TestTokenSourceObserver_requests(t *testing.T) {
	for _, c := range []struct {
		err     error
		outcome string
		failure bool
		status  int
		code    string
	}{
		{nil, "ok", false, 0, ""},
		{&tokensource.ProviderError{Err: errors.New(hush)}, "unavailable", true, 0, ""},
		{&tokensource.ProviderError{Status: 503}, "unavailable", true, 503, ""},
		{&tokensource.ProviderError{Status: 400, Code: "temporarily_unavailable"}, "unavailable", true, 400, "temporarily_unavailable"},
		{&tokensource.ProviderError{Status: 429}, "throttled", true, 429, ""},
		{&tokensource.ProviderError{Status: 401, Code: "invalid_client"}, "access_denied", true, 401, "invalid_client"},
		{&tokensource.ProviderError{Status: 400, Code: "invalid_grant"}, "refused", true, 400, "invalid_grant"},
		{&tokensource.ProviderError{Status: 200, Code: "invalid_code"}, "refused", true, 200, "invalid_code"},
		{&tokensource.ProviderError{Status: 200, Code: "bad_refresh_token"}, "refused", true, 200, "bad_refresh_token"},
		{&tokensource.ProviderError{Status: 200, Code: "bad_verification_code"}, "refused", true, 200, "bad_verification_code"},
		{&tokensource.ProviderError{Status: 400, Code: "something_new"}, "refused", true, 400, "_OTHER"},
		{&tokensource.ProviderError{Status: 404}, "refused", true, 404, ""},
		{&tokensource.ProviderError{Status: 200, Err: &oauthstore.InvalidTokenError{}}, "error", true, 200, ""},
		{context.Canceled, "canceled", true, 0, ""},
	} {
		what := fmt.Sprint(c.err)
		r := observed(t, tokensource.Event{Kind: tokensource.Asked, ID: "record-17", Attempt: 2, Duration: time.Second / 4, Err: c.err})
		want := attributesOf(c.outcome, c.failure)
		if c.status != 0 {
			want = append(want, attribute.Int("http.response.status_code", c.status))
		}
		if c.code != "" {
			want = append(want, str("oauthstore.provider.error_code", c.code))
		}
		r.wantCount(1, "oauthstore.provider.request.duration", want...)
		span := r.span("oauthstore.provider.request")
		for _, a := range append(want, attribute.Int("oauthstore.attempt", 2)) {
			wantAttribute(t, what, span.Attributes, string(a.Key), a.Value.AsInterface())
		}
		if span.SpanKind != trace.SpanKindClient || span.EndTime.Sub(span.StartTime) != time.Second/4 || (span.Status.Code == codes.Error) != c.failure {
			t.Errorf("%s: got the span %s", what, text(t, span))
		}
	}

	r := observed(t, tokensource.Event{Kind: tokensource.Asked, Attempt: 1, Err: &tokensource.ReauthRequiredError{ID: "record-17"}})
	if n := r.total("oauthstore.provider.request.duration"); n != 0 || len(r.names()) != 1 {
		t.Errorf("where there was nothing to ask with: got %d requests and the spans %q", n, r.names())
	}
}

// What takes no time, by kind: its metric, and the attributes of that and of its event.
var moments = map[tokensource.EventKind]struct {
	err    error
	metric string
	counts []attribute.KeyValue
	event  []attribute.KeyValue
}{
	tokensource.LeaseWaited:    {nil, "oauthstore.lease.wait.duration", nil, nil},
	tokensource.LeaseTakenOver: {nil, "oauthstore.lease.takeovers", nil, nil},
	tokensource.LeaseLost:      {oauthstore.ErrLeaseLost, "oauthstore.lease.losses", nil, attributesOf("lease_lost", true)},
	tokensource.SaveRetried: {oauthstore.ErrUnavailable, "oauthstore.save.retries", attributesOf("unavailable", true),
		attributesOf("unavailable", true, attribute.Int("oauthstore.attempt", 2))},
	tokensource.SaveFailed: {&oauthstore.WriteQuotaError{ID: "record-17"}, "oauthstore.save.failures", attributesOf("throttled", true), attributesOf("throttled", true)},
}

func TestTokenSourceObserver_moments(t *testing.T) {
	for kind, want := range moments {
		e := tokensource.Event{Kind: kind, ID: "record-17", Attempt: 2, Duration: time.Second / 2, Err: want.err}
		name := "oauthstore." + string(kind)

		r := observed(t, e)
		r.wantCount(1, want.metric, want.counts...)
		events := r.span("caller").Events
		if len(events) != 1 || events[0].Name != name || len(r.names()) != 1 {
			t.Errorf("%s: got the events %s, want one in the caller's span", kind, text(t, events))
			continue
		}
		if got, set := attribute.NewSet(events[0].Attributes...), attribute.NewSet(want.event...); !got.Equals(&set) {
			t.Errorf("%s: got the attributes %v, want %v", kind, events[0].Attributes, want.event)
		}
		wantAttribute(t, string(kind), observed(t, e, oauthotel.WithRecordIDs()).span("caller").Events[0].Attributes, "oauthstore.record.id", "record-17")

		ended := record(t)
		ctx, caller := ended.tracers.Tracer("test").Start(t.Context(), "caller")
		caller.End()
		oauthotel.TokenSourceObserver(ended.options()...)(ctx, e)
		ended.wantCount(1, want.metric, want.counts...)
		if kind == tokensource.LeaseWaited {
			if names := ended.names(); len(names) != 1 {
				t.Errorf("%s after the caller's span has ended: got the spans %q", kind, names)
			}
			continue
		}
		if got := ended.span(name); got.Parent.SpanID() != caller.SpanContext().SpanID() {
			t.Errorf("%s after the caller's span has ended: got %s, want its child", kind, text(t, got))
		}

		for what, r := range map[string]*recording{"no span": record(t), "a span that is not sampled": record(t, sdktrace.WithSampler(sdktrace.NeverSample()))} {
			ctx := t.Context()
			if what != "no span" {
				ctx, _ = r.tracers.Tracer("test").Start(ctx, "caller")
			}
			oauthotel.TokenSourceObserver(r.options()...)(ctx, e)
			r.wantCount(1, want.metric, want.counts...)
			if names := r.names(); len(names) > 0 {
				t.Errorf("%s and %s: got the spans %q, want none", kind, what, names)
			}
		}
	}
}

func TestTokenSourceObserver_everyKindIsKnown(t *testing.T) {
	for _, kind := range []tokensource.EventKind{
		tokensource.Asked, tokensource.Refreshed, tokensource.Adopted, tokensource.RefreshFailed, tokensource.LeaseWaited,
		tokensource.LeaseTakenOver, tokensource.LeaseLost, tokensource.SaveRetried, tokensource.SaveFailed, tokensource.ReauthRequired,
	} {
		if r := observed(t, tokensource.Event{Kind: kind, ID: "record-17"}); len(r.metrics()) == 0 {
			t.Errorf("%s is not recorded", kind)
		}
	}
	if r := observed(t, tokensource.Event{Kind: "a later one"}); len(r.metrics()) != 0 || len(r.names()) != 1 {
		t.Error("a kind that is not known was recorded")
	}
}

// provided are the tokens in the store, and the provider that they are refreshed with.
func provided(t *testing.T, r *recording, store oauthstore.TokenStore) (*tokensource.Tokens, *authtest.Server) {
	t.Helper()
	srv := authtest.NewServer()
	t.Cleanup(srv.Close)
	tokens, err := tokensource.New(store, &oauth2.Config{
		ClientID: authtest.ClientID, ClientSecret: authtest.ClientSecret,
		Endpoint: oauth2.Endpoint{TokenURL: srv.URL() + "/token", AuthStyle: oauth2.AuthStyleInHeader},
	}, tokensource.WithObserver(oauthotel.TokenSourceObserver(r.options()...)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tokens.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return tokens, srv
}

// source is a user's source over the store, and the provider that it refreshes with.
func source(t *testing.T, r *recording, store oauthstore.TokenStore) (*tokensource.Source, *authtest.Server) {
	t.Helper()
	tokens, srv := provided(t, r, store)
	got := srv.Issue("alice")
	err := store.SaveToken(t.Context(), &oauthstore.OAuthToken{
		ID: "record-17", UserName: "alice", ClientID: authtest.ClientID,
		AccessToken: got.AccessToken, RefreshToken: got.RefreshToken, Expiry: time.Now().Add(-time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return tokens.User("alice"), srv
}

func TestTokenSource_aRefreshAndWhatItAskedAreOneTrace(t *testing.T) {
	for name, wrapped := range map[string]oauthstore.TokenStore{"leases": memory.New(), "no leases": bare{memory.New()}} {
		t.Run(name, func(t *testing.T) {
			r := record(t)
			s, srv := source(t, r, oauthotel.Wrap(wrapped, r.options()...))
			srv.Inject(authtest.Fault{Kind: authtest.Fail, Status: 503})
			r.exporter.Reset()

			ctx, caller := r.tracers.Tracer("test").Start(t.Context(), "caller")
			if _, err := s.TokenContext(ctx); err != nil {
				t.Fatal(err)
			}
			caller.End()
			r.wantCount(1, "oauthstore.refresh.duration", attributesOf("ok", false)...)
			r.wantCount(1, "oauthstore.provider.request.duration", attributesOf("ok", false)...)
			r.wantCount(1, "oauthstore.provider.request.duration", attributesOf("unavailable", true,
				attribute.Int("http.response.status_code", 503), str("oauthstore.provider.error_code", "temporarily_unavailable"))...)
			seen := strings.Join(r.names(), " ")
			for _, want := range []string{"oauthstore.FindToken", "oauthstore.LeaseToken", "oauthstore.provider.request", "oauthstore.refresh"} {
				if !strings.Contains(seen+" ", want+" ") {
					t.Errorf("got the spans %s, want %s among them", seen, want)
				}
			}
			for _, span := range r.exporter.GetSpans() {
				if span.SpanContext.TraceID() != caller.SpanContext().TraceID() {
					t.Errorf("%s is in another trace", span.Name)
				}
			}

			srv.Revoke("alice")
			current, err := s.Token()
			if err != nil {
				t.Fatal(err)
			}
			s.Invalidate(current.AccessToken)
			var reauth *tokensource.ReauthRequiredError
			if _, err := s.Token(); !errors.As(err, &reauth) {
				t.Fatalf("got error %v, want a *ReauthRequiredError", err)
			}
			r.wantCount(1, "oauthstore.reauthentications", str("oauthstore.provider.error_code", "invalid_grant"),
				attribute.Bool("oauthstore.reauthentication.answer_lost", false))
			r.wantCount(1, "oauthstore.refresh.duration", attributesOf("reauth_required", true)...)
		})
	}
}

// Whoever can send a code to the callback can have it refused.
func TestTokenSource_aLoginIsNoRefresh(t *testing.T) {
	r := record(t)
	tokens, srv := provided(t, r, memory.New())
	var reauth *tokensource.ReauthRequiredError
	if _, err := tokens.Exchange(t.Context(), "alice", "made up"); !errors.As(err, &reauth) {
		t.Fatalf("got error %v, want a *ReauthRequiredError", err)
	}
	if _, err := tokens.Exchange(t.Context(), "alice", srv.Grant("alice")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"oauthstore.refresh.duration", "oauthstore.reauthentications"} {
		if n := r.total(name); n != 0 {
			t.Errorf("%s: got %d, want 0", name, n)
		}
	}
	r.wantCount(1, "oauthstore.provider.request.duration", attributesOf("ok", false)...)
	r.wantCount(1, "oauthstore.provider.request.duration", attributesOf("refused", true,
		attribute.Int("http.response.status_code", 400), str("oauthstore.provider.error_code", "invalid_grant"))...)
	if seen := strings.Join(r.names(), " "); seen != "oauthstore.provider.request oauthstore.provider.request" {
		t.Errorf("got the spans %s, want two requests", seen)
	}
}

func TestTokenSourceObserver_concurrentUse(t *testing.T) {
	r := record(t)
	observe := oauthotel.TokenSourceObserver(r.options()...)
	ctx, caller := r.tracers.Tracer("test").Start(t.Context(), "caller")
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 100 {
				observe(ctx, tokensource.Event{Kind: tokensource.Asked, Err: &tokensource.ProviderError{Status: 503}})
				observe(ctx, tokensource.Event{Kind: tokensource.LeaseTakenOver})
				observe(ctx, tokensource.Event{Kind: tokensource.Refreshed})
			}
		}()
	}
	wg.Wait()
	caller.End()
	for _, name := range []string{"oauthstore.provider.request.duration", "oauthstore.lease.takeovers", "oauthstore.refresh.duration"} {
		if n := r.total(name); n != 800 {
			t.Errorf("%s: got %d, want 800", name, n)
		}
	}
}
