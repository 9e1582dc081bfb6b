package oauthotel

import (
	"context"
	"errors"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/tokensource"
)

// TokenSourceObserver returns an observer for tokensource.WithObserver. It keeps metrics of refreshes, and makes spans
// of them and of the requests to the provider, afterwards, from how long they took: they are children of the span in
// the context of the caller who began the refresh, which has often ended by then, since refreshes go on in the
// background. The store's operations are children of the same span where the store is one of [Wrap]. A caller without
// a span gets each as a trace of its own.
//
// What takes no time is an event of that span, or where it has ended a short span of the same name.
//
// A login by Exchange is no refresh: the request to the provider is recorded, and where the store does not take the token.
func TokenSourceObserver(options ...Option) func(context.Context, tokensource.Event) {
	t := newTelemetry(options)
	r := &refreshes{
		telemetry: t,
		refreshes: t.duration("oauthstore.refresh.duration", "Duration of refreshes, from their beginning until the new token is stored."),
		requests:  t.duration("oauthstore.provider.request.duration", "Duration of requests to the provider's token endpoint."),
		waits:     t.duration("oauthstore.lease.wait.duration", "Pauses while another process had the lease."),
		takeovers: t.counter("oauthstore.lease.takeovers", "{takeover}", "Leases taken over from processes that did not give them back."),
		losses:    t.counter("oauthstore.lease.losses", "{loss}", "New tokens not stored because another process had taken the lease over."),
		retries:   t.counter("oauthstore.save.retries", "{retry}", "New tokens that the store did not take, to be saved again."),
		failures:  t.counter("oauthstore.save.failures", "{failure}", "New tokens that the store will not take."),
		reauths:   t.counter("oauthstore.reauthentications", "{reauthentication}", "Refreshes that found that the user has to log in again."),
	}
	return r.observe
}

// refreshes records the events of a token source.
type refreshes struct {
	telemetry
	refreshes, requests, waits                    metric.Float64Histogram
	takeovers, losses, retries, failures, reauths metric.Int64Counter
}

func (r *refreshes) observe(ctx context.Context, e tokensource.Event) {
	switch e.Kind {
	case tokensource.Asked:
		r.asked(ctx, e)
	case tokensource.Refreshed, tokensource.RefreshFailed:
		r.ended(ctx, e, refreshOutcome(ctx, e.Err))
	case tokensource.Adopted:
		r.ended(ctx, e, adopted)
	case tokensource.ReauthRequired:
		if e.ID == "" {
			return // of a login, whose request was recorded: no record's refresh token is refused
		}
		r.reauths.Add(ctx, 1, metric.WithAttributes(reauthAttributes(e.Err)...))
		r.ended(ctx, e, reauthRequired, reauthAttributes(e.Err)...)
	case tokensource.LeaseWaited:
		r.waits.Record(ctx, e.Duration.Seconds())
		// There are many of them in one wait: an event, but no spans.
		trace.SpanFromContext(ctx).AddEvent(eventName(e), trace.WithAttributes(r.recordID(e.ID)...))
	case tokensource.LeaseTakenOver:
		r.takeovers.Add(ctx, 1)
		r.happened(ctx, e)
	case tokensource.LeaseLost:
		r.losses.Add(ctx, 1)
		r.happened(ctx, e)
	case tokensource.SaveRetried:
		r.retries.Add(ctx, 1, metric.WithAttributes(outcomeOf(ctx, e.Err).attributes()...))
		r.happened(ctx, e, attemptKey.Int(e.Attempt))
	case tokensource.SaveFailed:
		r.failures.Add(ctx, 1, metric.WithAttributes(outcomeOf(ctx, e.Err).attributes()...))
		r.happened(ctx, e)
	}
}

const (
	attemptKey    = attribute.Key("oauthstore.attempt")
	codeKey       = attribute.Key("oauthstore.provider.error_code")
	answerLostKey = attribute.Key("oauthstore.reauthentication.answer_lost")
	statusKey     = attribute.Key("http.response.status_code") // of the semantic conventions
)

// asked records a request to the provider.
func (r *refreshes) asked(ctx context.Context, e tokensource.Event) {
	var reauth *tokensource.ReauthRequiredError
	if errors.As(e.Err, &reauth) {
		return // there was nothing to ask with
	}
	result := requestOutcome(ctx, e.Err)
	answer := append(result.attributes(), answerAttributes(e.Err)...)
	r.requests.Record(ctx, e.Duration.Seconds(), metric.WithAttributes(answer...))
	r.past(ctx, "oauthstore.provider.request", trace.SpanKindClient, e, result, append(answer, attemptKey.Int(e.Attempt))...)
}

// ended records a refresh.
func (r *refreshes) ended(ctx context.Context, e tokensource.Event, result outcome, more ...attribute.KeyValue) {
	r.refreshes.Record(ctx, e.Duration.Seconds(), metric.WithAttributes(result.attributes()...))
	r.past(ctx, "oauthstore.refresh", trace.SpanKindInternal, e, result, more...)
}

// past makes a span of what has ended now and took e.Duration.
func (r *refreshes) past(ctx context.Context, name string, kind trace.SpanKind, e tokensource.Event, result outcome, more ...attribute.KeyValue) {
	span, end := r.telemetry.past(ctx, name, kind, e.Duration, slices.Concat(more, r.recordID(e.ID)))
	result.mark(span)
	end()
}

// happened records what took no time: in the span of ctx, or where that has ended beside it.
func (r *refreshes) happened(ctx context.Context, e tokensource.Event, more ...attribute.KeyValue) {
	attributes := slices.Concat(more, r.recordID(e.ID))
	if e.Err != nil {
		attributes = append(attributes, outcomeOf(ctx, e.Err).attributes()...)
	}
	switch span := trace.SpanFromContext(ctx); {
	case span.IsRecording():
		span.AddEvent(eventName(e), trace.WithAttributes(attributes...))
	case span.SpanContext().IsSampled():
		_, span := r.tracer.Start(ctx, eventName(e), trace.WithAttributes(attributes...))
		span.End()
	}
}

func eventName(e tokensource.Event) string { return "oauthstore." + string(e.Kind) }

// requestOutcome classifies what a request to the provider has come to.
func requestOutcome(ctx context.Context, err error) outcome {
	var p *tokensource.ProviderError
	switch {
	case !errors.As(err, &p):
		return outcomeOf(ctx, err)
	case p.Is(oauthstore.ErrThrottled):
		return throttled
	case p.Is(oauthstore.ErrUnavailable):
		return unavailable
	case p.Is(oauthstore.ErrAccessDenied):
		return accessDenied
	case p.Code != "" || p.Status >= 300:
		return refused
	default:
		return failed // an answer that is no token
	}
}

// refreshOutcome classifies what a refresh has come to.
func refreshOutcome(ctx context.Context, err error) outcome {
	var late *tokensource.NotSavedError
	if errors.As(err, &late) {
		return notSaved
	}
	return requestOutcome(ctx, err)
}

// answerAttributes are the provider's status and error code, where it has answered and not with a token.
func answerAttributes(err error) []attribute.KeyValue {
	var p *tokensource.ProviderError
	if !errors.As(err, &p) || p.Status == 0 {
		return nil
	}
	return append(codeAttribute(p.Code), statusKey.Int(p.Status))
}

func reauthAttributes(err error) []attribute.KeyValue {
	var reauth *tokensource.ReauthRequiredError
	if !errors.As(err, &reauth) {
		return nil
	}
	return append(codeAttribute(reauth.Code), answerLostKey.Bool(reauth.AnswerLost))
}

// codeAttribute is the provider's error code, where it is one of those that are known: a provider could send another
// one with each answer.
func codeAttribute(code string) []attribute.KeyValue {
	switch {
	case code == "":
		return nil
	case !slices.Contains(errorCodes, code):
		code = other
	}
	return []attribute.KeyValue{codeKey.String(code)}
}

// errorCodes are the error codes of RFC 6749, 5.2, those of 4.1.2.1 that token endpoints use too, and Zoho's and GitHub's
// names for invalid_grant.
var errorCodes = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	"access_denied", "server_error", "temporarily_unavailable",
	"invalid_code", "bad_refresh_token", "bad_verification_code",
}
