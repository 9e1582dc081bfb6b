package tokensource

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/oauthstore/oauthstore"
)

// An Option changes how tokens are refreshed. A nil Option is ignored.
type Option func(*options)

type options struct {
	early, jitter, leeway time.Duration
	foreground            bool
	lease                 time.Duration
	tries                 int
	lifetime, unit        time.Duration
	client                *http.Client
	extra                 []string
	observe               func(context.Context, Event)
}

func defaults() options {
	return options{
		early: 5 * time.Minute, jitter: time.Minute, leeway: oauthstore.DefaultLeeway,
		lease: 30 * time.Second, tries: 3, lifetime: time.Hour, unit: time.Second,
		client:  &http.Client{Timeout: 30 * time.Second, CheckRedirect: stay},
		observe: func(context.Context, Event) {},
	}
}

// check returns an error that names the option which makes no sense.
func (o *options) check() error {
	for _, c := range []struct {
		bad    bool
		option string
		reason string
	}{
		{o.early < 0 || o.jitter < 0, "WithEarlyRefresh", "early and jitter must not be negative"},
		{o.leeway < 0, "WithLeeway", "leeway must not be negative"},
		{o.lease != 0 && o.lease < time.Second, "WithLease", "lease must be at least a second, or 0 for none"},
		{o.tries < 1, "WithMaxAttempts", "attempts must be at least 1"},
		{o.lifetime <= 0, "WithDefaultLifetime", "lifetime must be more than 0"},
		{o.unit <= 0, "WithExpiresInUnit", "unit must be more than 0"},
		{o.client == nil, "WithHTTPClient", "client must not be nil"},
		{o.observe == nil, "WithObserver", "observer must not be nil"},
	} {
		if c.bad {
			return fmt.Errorf("tokensource: %s: %s", c.option, c.reason)
		}
	}
	return nil
}

// WithEarlyRefresh sets how long before its end an access token is refreshed, while callers still get it: early, and a random
// time of up to jitter more, so that not all processes think of it at once. Of a token that does not live for so long
// the last quarter to half. The default is 5 minutes and a minute.
func WithEarlyRefresh(early, jitter time.Duration) Option {
	return func(o *options) { o.early, o.jitter = early, jitter }
}

// WithLeeway sets how long before its end an access token is not given out any more. It is for requests on their way
// and for clocks that disagree. It must be less than access tokens live, or each call refreshes. The default is
// oauthstore.DefaultLeeway, 10 seconds.
func WithLeeway(d time.Duration) Option { return func(o *options) { o.leeway = d } }

// WithForeground lets the caller whose token is due for a refresh wait for it, instead of refreshing in the background.
// It is for functions that are frozen once they have answered (AWS Lambda; Cloud Run without CPU always allocated): a
// refresh that is frozen loses its lease, and perhaps the provider's answer. Where the refresh fails the caller gets
// the token that it has.
func WithForeground() Option { return func(o *options) { o.foreground = true } }

// WithLease sets for how long a process has the lease on a record before others may take it over from one that died.
// It is renewed in time where the provider is slow, each time at the cost of a write. The default is 30 seconds, the
// least 1. Each refresh costs one write to the store more than without.
//
// 0 is to do without leases: for providers that neither rotate refresh tokens nor mind some refreshes too many, and
// stores that count writes.
func WithLease(d time.Duration) Option { return func(o *options) { o.lease = d } }

// WithMaxAttempts sets how often the provider is asked in one refresh where it does not answer, answers with status 5xx, or
// 429: with pauses between that double, or are what it asks for. The default is 3.
func WithMaxAttempts(n int) Option { return func(o *options) { o.tries = n } }

// WithDefaultLifetime sets how long an access token is taken to live where the provider does not say (expires_in is
// only recommended: RFC 6749, 5.1) and the token before it had an end. The default is an hour.
func WithDefaultLifetime(d time.Duration) Option { return func(o *options) { o.lifetime = d } }

// WithExpiresInUnit sets the unit of expires_in for a provider that does not keep to seconds (RFC 6749, 5.1). An
// expires_in_sec beside it counts in any case, as some of Zoho's data centers have it.
func WithExpiresInUnit(unit time.Duration) Option { return func(o *options) { o.unit = unit } }

// stay keeps a client where it was sent: what it has for the token endpoint is for nobody else.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// WithHTTPClient sets the client that speaks with the provider's token endpoint. The default has a timeout of 30
// seconds, and follows no redirects, which would send the refresh token and the client's secret elsewhere. One that
// tries again by itself may send a refresh token twice.
func WithHTTPClient(c *http.Client) Option { return func(o *options) { o.client = c } }

// WithExtra names members of the provider's answer to keep with the token, beside scope and api_domain, for the Extra
// of the tokens that sources return.
func WithExtra(members ...string) Option { return func(o *options) { o.extra = members } }

// WithObserver sets what is told of all that happens; see [LogTo]. It is called by the goroutine that does the work,
// by several at a time, and should be quick. If it panics, the work goes on, and the next call of a source that is not
// answered from memory panics.
func WithObserver(observe func(context.Context, Event)) Option {
	return func(o *options) { o.observe = observe }
}
