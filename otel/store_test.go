package oauthotel_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
	oauthotel "github.com/oauthstore/oauthstore/otel"
	"github.com/oauthstore/oauthstore/storetest"
)

func TestStore(t *testing.T) {
	for name, newStore := range map[string]func() oauthstore.TokenStore{
		"all abilities": func() oauthstore.TokenStore { return memory.New() },
		"no leases":     func() oauthstore.TokenStore { m := memory.New(); return updating{m, m} },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) oauthstore.TokenStore {
				return oauthotel.Wrap(newStore(), record(t).options(oauthotel.WithRecordIDs())...)
			})
		})
	}
}

// updating is a store that gives out no leases. The suite skips those, and nothing else, of a store that wraps it.
type updating struct {
	oauthstore.TokenStore
	oauthstore.TokenUpdater
}

func TestStore_withoutProvidersItIsTheStore(t *testing.T) {
	s := oauthotel.Wrap(memory.New(), nil...)
	token := secretToken()
	if err := s.SaveToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	var noTracers *sdktrace.TracerProvider
	var noMeters *sdkmetric.MeterProvider
	s = oauthotel.Wrap(s, nil, oauthotel.WithTracerProvider(noTracers), oauthotel.WithMeterProvider(noMeters))
	if _, err := oauthotel.Wrap(s, oauthotel.WithTracerProvider(nil), oauthotel.WithMeterProvider(nil)).FindTokenByID(t.Context(), token.ID); err != nil {
		t.Fatal(err)
	}
}

func TestWrap_panicsWithoutAStore(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Wrap(nil) did not panic")
		}
	}()
	oauthotel.Wrap((*memory.Store)(nil))
}

// What errors come to, and whether that is a failure.
var outcomes = []struct {
	err     error
	outcome string
	failure bool
}{
	{nil, "ok", false},
	{fmt.Errorf("vault: read: %w", oauthstore.ErrTokenNotFound), "not_found", false},
	{oauthstore.CheckID(""), "invalid", true}, // and not found
	{&oauthstore.InvalidTokenError{Field: "ID", Reason: "is odd"}, "invalid", true},
	{oauthstore.ErrRecordTooLarge, "invalid", true},
	{fmt.Errorf("awssm: %w", &oauthstore.ConflictError{ID: "record-17"}), "conflict", true},
	{oauthstore.ErrLeaseLost, "lease_lost", true},
	{oauthstore.ErrMisconfigured, "misconfigured", true},
	{oauthstore.ErrNoCompareAndSet, "no_compare_and_set", true},
	{oauthstore.ErrAccessDenied, "access_denied", true},
	{oauthstore.ErrThrottled, "throttled", true},
	{&oauthstore.WriteQuotaError{ID: "record-17"}, "throttled", true},
	{oauthstore.ErrUnavailable, "unavailable", true},
	{fmt.Errorf("%w: %w", oauthstore.ErrUnavailable, context.DeadlineExceeded), "unavailable", true}, // the service's time, not the caller's
	{&oauthstore.CorruptRecordError{Secret: "p/token_record-17"}, "corrupt", true},
	{fmt.Errorf("cache: Repair: %w", errors.ErrUnsupported), "unsupported", false},
	{context.Canceled, "canceled", true},
	{context.DeadlineExceeded, "timeout", true},
	{errors.New(hush + "what others say"), "error", true},
}

// attributesOf are those of metrics and spans with the outcome.
func attributesOf(outcome string, failure bool, more ...attribute.KeyValue) []attribute.KeyValue {
	return append(errorType(outcome, failure, more...), str("oauthstore.outcome", outcome))
}

func errorType(outcome string, failure bool, more ...attribute.KeyValue) []attribute.KeyValue {
	switch {
	case !failure:
		return more
	case outcome == "error":
		outcome = "_OTHER"
	}
	return append([]attribute.KeyValue{str("error.type", outcome)}, more...)
}

func TestStore_everyOperationAndOutcome(t *testing.T) {
	for name, do := range operations {
		for _, want := range outcomes {
			what := fmt.Sprintf("%s: %v", name, want.err)
			r := record(t)
			inner := &fixed{token: secretToken(), lease: &oauthstore.Lease{Token: secretToken(), Held: true}, err: want.err}
			ctx, parent := r.tracers.Tracer("test").Start(t.Context(), "caller")
			inner.do = func(ctx context.Context) {
				if trace.SpanContextFromContext(ctx).TraceID() != parent.SpanContext().TraceID() || trace.SpanContextFromContext(ctx).SpanID() == parent.SpanContext().SpanID() {
					t.Errorf("%s: the store's context has not the operation's span", what)
				}
			}
			if err := do(ctx, oauthotel.Wrap(inner, r.options()...), secretToken()); err != want.err {
				t.Errorf("%s: got error %v, want that of the store itself", what, err)
			}

			operation := str("oauthstore.operation.name", name)
			r.wantCount(1, "oauthstore.operations", attributesOf(want.outcome, want.failure, operation)...)
			r.wantCount(1, "oauthstore.operation.duration", errorType(want.outcome, want.failure, operation)...)
			span := r.span("oauthstore." + name)
			status, description := codes.Unset, ""
			if want.failure {
				status, description = codes.Error, want.outcome
			}
			if span.Status.Code != status || span.Status.Description != description {
				t.Errorf("%s: got status %v, want %v %s", what, span.Status, status, description)
			}
			for _, a := range attributesOf(want.outcome, want.failure, operation) {
				wantAttribute(t, what, span.Attributes, string(a.Key), a.Value.AsInterface())
			}
			if span.Parent.SpanID() != parent.SpanContext().SpanID() || span.SpanKind != trace.SpanKindInternal || len(span.Events) > 0 {
				t.Errorf("%s: got the span %s", what, text(t, span))
			}
		}
	}
}

func TestStore_theCallersEndComesBeforeWhatTheStoreSaysOfIt(t *testing.T) {
	r := record(t)
	s := oauthotel.Wrap(&fixed{err: fmt.Errorf("%w (%w)", context.DeadlineExceeded, oauthstore.ErrUnavailable)}, r.options()...)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_ = s.DeleteTokens(ctx)
	r.wantCount(1, "oauthstore.operations", attributesOf("timeout", true, str("oauthstore.operation.name", "DeleteTokens"))...)
}

func TestStore_whatSpansSayBesides(t *testing.T) {
	r := record(t)
	lease := &oauthstore.Lease{Token: secretToken(), Held: true, TakenOver: true, Holder: "holder-3"}
	s := oauthotel.Wrap(&fixed{token: secretToken(), lease: lease}, r.options()...)
	for _, do := range operations {
		if err := do(t.Context(), s, secretToken()); err != nil {
			t.Fatal(err)
		}
	}
	for span, want := range map[string]map[string]any{
		"LeaseToken": {"oauthstore.lease.held": true, "oauthstore.lease.taken_over": true},
		"GetTokens":  {"oauthstore.tokens": int64(1)},
		"Tokens":     {"oauthstore.tokens": int64(1), "oauthstore.unreadable_tokens": int64(0)},
		"Repair":     {"oauthstore.tokens": int64(7), "oauthstore.repair.dry_run": true, "oauthstore.repair.clean": true},
	} {
		for key, value := range want {
			wantAttribute(t, span, r.span("oauthstore."+span).Attributes, key, value)
		}
	}
	if got, err := s.LeaseToken(t.Context(), oauthstore.LeaseRequest{}); got != lease || err != nil {
		t.Errorf("LeaseToken: got %v, %v, want what the store returned", got, err)
	}
	if got, err := s.Repair(t.Context(), oauthstore.RepairOptions{}); err != nil || got.Tokens != 7 {
		t.Errorf("Repair: got %v, %v, want what the store returned", got, err)
	}
}

func TestStore_aLeaseSaysWhatTheProviderHasRefusedWith(t *testing.T) {
	for refused, want := range map[string]any{"": nil, "invalid_grant": "invalid_grant", "something_new": "_OTHER"} {
		r := record(t)
		lease := &oauthstore.Lease{Token: secretToken(), Refused: refused, Until: time.Now().Add(time.Hour)}
		s := oauthotel.Wrap(&fixed{lease: lease}, r.options()...)
		if _, err := s.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "record-17", For: time.Minute}); err != nil {
			t.Fatal(err)
		}
		if err := s.ReleaseLease(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"LeaseToken", "ReleaseLease"} {
			wantAttribute(t, name+" "+refused, r.span("oauthstore."+name).Attributes, "oauthstore.provider.error_code", want)
			r.wantCount(1, "oauthstore.operations", attributesOf("ok", false, str("oauthstore.operation.name", name))...)
		}
	}
}

// corrupt is a store of which two tokens cannot be read.
type corrupt struct{ oauthstore.TokenStore }

func (corrupt) GetTokens(context.Context) ([]*oauthstore.OAuthToken, error) {
	one := func(id string) *oauthstore.TokenError {
		return &oauthstore.TokenError{ID: id, Err: &oauthstore.CorruptRecordError{Secret: id}}
	}
	return []*oauthstore.OAuthToken{secretToken()}, &oauthstore.UnreadableTokensError{Tokens: []*oauthstore.TokenError{one("a"), one("b")}}
}

func TestStore_hasTheTokensBesideTheErrorOfTheCorruptOnes(t *testing.T) {
	r := record(t)
	s := oauthotel.Wrap(corrupt{memory.New()}, r.options()...)
	tokens, err := s.GetTokens(t.Context())
	if len(tokens) != 1 || !errors.As(err, new(*oauthstore.UnreadableTokensError)) {
		t.Errorf("GetTokens: got %d tokens and error %v, want one beside the error", len(tokens), err)
	}
	attributes := r.span("oauthstore.GetTokens").Attributes
	for key, want := range map[string]int64{"oauthstore.tokens": 1, "oauthstore.unreadable_tokens": 2} {
		if !slices.Contains(attributes, attribute.Int64(key, want)) {
			t.Errorf("GetTokens: got attributes %v, want %s %d", attributes, key, want)
		}
	}
}

// checking is a store that refuses every token.
type checking struct{ oauthstore.TokenStore }

func (checking) CheckToken(*oauthstore.OAuthToken) error { return oauthstore.ErrRecordTooLarge }

func TestStore_checksTokensAsTheWrappedStoreDoes(t *testing.T) {
	r := record(t)
	if err := oauthotel.Wrap(checking{memory.New()}, r.options()...).CheckToken(secretToken()); !errors.Is(err, oauthstore.ErrRecordTooLarge) {
		t.Errorf("CheckToken: got error %v, want that of the wrapped store", err)
	}
	s := oauthotel.Wrap(bare{memory.New()}, r.options()...)
	if err := s.CheckToken(secretToken()); err != nil {
		t.Errorf("CheckToken: %v", err)
	}
	if err := s.CheckToken(&oauthstore.OAuthToken{}); !errors.Is(err, oauthstore.ErrInvalidToken) {
		t.Errorf("CheckToken of an empty token: got error %v, want ErrInvalidToken", err)
	}
}

func TestStore_abilitiesThatTheWrappedStoreHasNot(t *testing.T) {
	r := record(t)
	s := oauthotel.Wrap(bare{memory.New()}, r.options()...)
	for _, name := range []string{"UpdateToken", "Repair", "LeaseToken", "RenewLease", "SaveLeased", "ReleaseLease"} {
		err := operations[name](t.Context(), s, secretToken())
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got error %v, want errors.ErrUnsupported that names it", name, err)
		}
		r.wantCount(1, "oauthstore.operations", str("oauthstore.operation.name", name), str("oauthstore.outcome", "unsupported"))
		if status := r.span("oauthstore." + name).Status; status.Code != codes.Unset {
			t.Errorf("%s: got status %v, want none: it is an answer", name, status)
		}
	}
	if report, _ := s.Repair(t.Context(), oauthstore.RepairOptions{}); report == nil {
		t.Error("Repair: got no report beside the error")
	}
	if err := s.SaveToken(t.Context(), secretToken()); err != nil {
		t.Fatal(err)
	}
	n := 0
	for token, err := range s.Tokens(t.Context()) {
		if err != nil || token.ID != "record-17" {
			t.Errorf("Tokens: got %v, %v", token, err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("Tokens: got %d tokens, want 1, from GetTokens", n)
	}
}

func TestStore_nilArgumentsAreTheStoresBusiness(t *testing.T) {
	s := oauthotel.Wrap(&fixed{err: oauthstore.ErrInvalidToken}, record(t).options(oauthotel.WithRecordIDs())...)
	ctx := t.Context()
	_, err := s.FindToken(ctx, nil)
	_, leaseErr := s.LeaseToken(ctx, oauthstore.LeaseRequest{})
	for _, err := range []error{
		err, leaseErr, s.SaveToken(ctx, nil), s.UpdateToken(ctx, nil),
		s.RenewLease(ctx, nil), s.SaveLeased(ctx, nil, nil), s.ReleaseLease(ctx, &oauthstore.Lease{}),
	} {
		if err != oauthstore.ErrInvalidToken {
			t.Errorf("got error %v, want that of the store", err)
		}
	}
}

func TestStore_aPanicEndsTheSpan(t *testing.T) {
	for name, do := range operations {
		r := record(t)
		s := oauthotel.Wrap(&fixed{do: func(context.Context) { panic("broken") }}, r.options()...)
		func() {
			defer func() {
				if p := recover(); p != "broken" {
					t.Errorf("%s: got the panic %v, want the store's", name, p)
				}
			}()
			_ = do(t.Context(), s, secretToken())
		}()
		if span := r.span("oauthstore." + name); span.Status.Code != codes.Error || span.Status.Description != "error" {
			t.Errorf("%s: got status %v, want an error", name, span.Status)
		}
		r.wantCount(1, "oauthstore.operations", attributesOf("error", true, str("oauthstore.operation.name", name))...)
	}
}

// ranged yields what it is made of.
type ranged struct {
	bare
	yields []error
	pause  time.Duration
	then   func() // at the end, where it is set
}

func (r *ranged) Tokens(context.Context) iter.Seq2[*oauthstore.OAuthToken, error] {
	return func(yield func(*oauthstore.OAuthToken, error) bool) {
		for _, err := range r.yields {
			time.Sleep(r.pause)
			token := secretToken()
			if err != nil {
				token = nil
			}
			if !yield(token, err) {
				return
			}
		}
		if r.then != nil {
			r.then()
		}
	}
}

func TestTokens_isOneOperationEachTime(t *testing.T) {
	damaged := &oauthstore.TokenError{ID: "record-17", Err: &oauthstore.CorruptRecordError{}}
	for name, c := range map[string]struct {
		yields             []error
		breakAfter         int
		outcome            string
		failure            bool
		tokens, unreadable int64
	}{
		"nothing":           {outcome: "ok"},
		"all":               {yields: []error{nil, nil}, outcome: "ok", tokens: 2},
		"broken off":        {yields: []error{nil, nil}, breakAfter: 1, outcome: "ok", tokens: 1},
		"one is unreadable": {yields: []error{nil, damaged, nil}, outcome: "corrupt", failure: true, tokens: 2, unreadable: 1},
		"the end":           {yields: []error{nil, damaged, oauthstore.ErrThrottled}, outcome: "throttled", failure: true, tokens: 1, unreadable: 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := record(t)
			all := oauthotel.Wrap(&ranged{yields: c.yields}, r.options()...).Tokens(t.Context())
			if names := r.names(); len(names) > 0 {
				t.Errorf("before it is ranged over: got spans %q", names)
			}
			for i := range 2 {
				var got []error
				for token, err := range all {
					if (token == nil) != (err != nil) {
						t.Errorf("got %v, %v", token, err)
					}
					if got = append(got, err); len(got) == c.breakAfter {
						break
					}
				}
				if want := len(c.yields); c.breakAfter == 0 && len(got) != want {
					t.Errorf("got %d tokens and errors, want %d", len(got), want)
				}
				r.wantCount(i+1, "oauthstore.operations", attributesOf(c.outcome, c.failure, str("oauthstore.operation.name", "Tokens"))...)
			}
			for _, span := range r.exporter.GetSpans() {
				wantAttribute(t, span.Name, span.Attributes, "oauthstore.tokens", c.tokens)
				wantAttribute(t, span.Name, span.Attributes, "oauthstore.unreadable_tokens", c.unreadable)
			}
		})
	}
}

func TestTokens_theCallersTimeIsNotTheStores(t *testing.T) {
	r := record(t)
	s := oauthotel.Wrap(&ranged{yields: make([]error, 2), pause: 10 * time.Millisecond}, r.options()...)
	begin := time.Now()
	for range s.Tokens(t.Context()) {
		time.Sleep(time.Second)
	}
	whole := time.Since(begin).Seconds()
	if sum := r.sum("oauthstore.operation.duration"); sum < 0.02 || sum > whole/2 {
		t.Errorf("got a duration of %v s of %v, want some 0.02", sum, whole)
	}
}

func TestTokens_aPanicOfTheCallersLoopIsNotTheStores(t *testing.T) {
	damaged := &oauthstore.TokenError{ID: "record-17", Err: &oauthstore.CorruptRecordError{}}
	for name, c := range map[string]struct {
		yields  []error
		outcome string
		failure bool
	}{
		"a token":                 {[]error{nil, nil}, "ok", false},
		"one that is unreadable":  {[]error{damaged, nil}, "corrupt", true},
		"the store's own failure": {[]error{oauthstore.ErrThrottled}, "throttled", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := record(t)
			s := oauthotel.Wrap(&ranged{yields: c.yields}, r.options()...)
			func() {
				defer func() {
					if p := recover(); p != "the caller's own" {
						t.Errorf("got the panic %v, want the caller's", p)
					}
				}()
				for range s.Tokens(t.Context()) {
					panic("the caller's own")
				}
			}()
			r.wantCount(1, "oauthstore.operations", attributesOf(c.outcome, c.failure, str("oauthstore.operation.name", "Tokens"))...)
		})
	}
}

func TestTokens_aPanicOfTheStoreBetweenTokensIsTheStores(t *testing.T) {
	r := record(t)
	s := oauthotel.Wrap(&ranged{yields: []error{nil}, then: func() { panic("broken") }}, r.options()...)
	func() {
		defer func() { _ = recover() }()
		for range s.Tokens(t.Context()) {
			continue
		}
	}()
	r.wantCount(1, "oauthstore.operations", attributesOf("error", true, str("oauthstore.operation.name", "Tokens"))...)
}

func TestWithRecordIDs(t *testing.T) {
	lease := &oauthstore.Lease{Token: secretToken(), Held: true}
	off, on := record(t), record(t)
	for name, do := range operations {
		for _, s := range []*oauthotel.Store{
			oauthotel.Wrap(&fixed{token: secretToken(), lease: lease}, off.options()...),
			oauthotel.Wrap(&fixed{token: secretToken(), lease: lease}, on.options(oauthotel.WithRecordIDs())...),
		} {
			if err := do(t.Context(), s, secretToken()); err != nil {
				t.Fatal(err)
			}
		}
		wantAttribute(t, name, off.span("oauthstore."+name).Attributes, "oauthstore.record.id", nil)
		var want any = "record-17"
		switch name {
		case "GetTokens", "DeleteTokens", "Tokens", "Repair":
			want = nil // of no one record
		}
		wantAttribute(t, name, on.span("oauthstore."+name).Attributes, "oauthstore.record.id", want)
	}
	if got := text(t, on.metrics()); strings.Contains(got, "record-17") {
		t.Errorf("an id is in metrics: %s", got)
	}

	s := oauthotel.Wrap(memory.New(), on.options(oauthotel.WithRecordIDs())...)
	on.exporter.Reset()
	_ = s.DeleteToken(t.Context(), "\xff-1")
	wantAttribute(t, "an id that is not UTF-8", on.span("oauthstore.DeleteToken").Attributes, "oauthstore.record.id", "\uFFFD-1")
	inserted := &oauthstore.OAuthToken{UserName: "bob", AccessToken: "access"}
	if err := s.SaveToken(t.Context(), inserted); err != nil {
		t.Fatal(err)
	}
	wantAttribute(t, "an insert", on.span("oauthstore.SaveToken").Attributes, "oauthstore.record.id", inserted.ID)
	if _, err := s.FindToken(t.Context(), &oauthstore.OAuthToken{UserName: "bob"}); err != nil {
		t.Fatal(err)
	}
	wantAttribute(t, "a find by name", on.span("oauthstore.FindToken").Attributes, "oauthstore.record.id", inserted.ID)
}

func TestStore_concurrentUse(t *testing.T) {
	const workers, rounds = 8, 20
	r := record(t)
	s := oauthotel.Wrap(memory.New(), r.options(oauthotel.WithRecordIDs())...)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range rounds {
				token := &oauthstore.OAuthToken{ID: fmt.Sprint(i), AccessToken: "access"}
				for _, do := range operations {
					_ = do(t.Context(), s, token)
				}
			}
		}()
	}
	wg.Wait()
	want := workers * rounds * len(operations)
	if n := r.total("oauthstore.operations"); n != want {
		t.Errorf("got %d operations, want %d", n, want)
	}
	if n := len(r.exporter.GetSpans()); n != want {
		t.Errorf("got %d spans, want %d", n, want)
	}
}
