package cache

import (
	"context"
	"fmt"
	"time"
)

// An Option changes how a [Store] remembers tokens. A nil Option is ignored.
type Option func(*config)

type config struct {
	ttl          time.Duration
	negativeTTL  time.Duration
	refreshAfter time.Duration
	timeout      time.Duration
	maxTokens    int
	observer     func(context.Context, Event)

	negativeSet, refreshSet, observerSet bool // by an option
}

const (
	defaultTTL         = time.Minute
	defaultNegativeTTL = 2 * time.Second
	defaultTimeout     = time.Minute
	defaultMaxTokens   = 1000

	// jitter is the part of a time to live by which that of one entry may be shorter.
	jitter = 0.1
)

// WithTTL sets how long a token is served before it is read again, and so for how long at most a write of another
// process is not seen. Default 1 minute. Each token has a time of its own, up to a tenth shorter at random, so that
// many processes that started together do not ask together. Longer saves requests; shorter sees sooner that a user
// has withdrawn what they have granted.
func WithTTL(d time.Duration) Option {
	return func(c *config) { c.ttl = d }
}

// WithNegativeTTL sets for how long it is remembered that a token was not found, and how often at most an access
// token that had expired when it was read is read again. Default 2 seconds, or the time to live where that is
// shorter; 0 remembers neither. Ids and names of more than 1 KiB are not remembered to be absent.
func WithNegativeTTL(d time.Duration) Option {
	return func(c *config) { c.negativeTTL, c.negativeSet = d, true }
}

// WithMaxTokens bounds how many tokens are remembered; those that were found least recently make room. Default 1000.
// The bound counts on its own for user names with their client ids, for ids that were not found, and for user names that
// were not found: none of these pushes out tokens.
func WithMaxTokens(n int) Option {
	return func(c *config) { c.maxTokens = n }
}

// WithBackgroundRefresh sets the age at which a token that is found is read again in the background, while the one at
// hand is served: a token in use then never keeps anybody waiting. Tokens are read one after another, by one
// goroutine, which ends when there is nothing to read; a read that fails is tried again later. Default three quarters
// of the time to live; 0 turns it off, for a process that is frozen between requests, as on AWS Lambda.
func WithBackgroundRefresh(age time.Duration) Option {
	return func(c *config) { c.refreshAfter, c.refreshSet = age, true }
}

// WithTimeout bounds a request that finds share, or that is made in the background: it goes on when the context of
// the caller who began it ends. A find whose request takes longer is [oauthstore.ErrUnavailable], even if the wrapped
// store does not heed its context. Default 1 minute.
func WithTimeout(d time.Duration) Option {
	return func(c *config) { c.timeout = d }
}

// WithObserver calls observe for every find that can hit, and every read in the background. It is called by many
// goroutines at once, and the find waits for it. It gets the find's context. If it panics in the background, the next
// find panics.
func WithObserver(observe func(context.Context, Event)) Option {
	return func(c *config) { c.observer, c.observerSet = observe, true }
}

func defaults() config {
	return config{ttl: defaultTTL, timeout: defaultTimeout, maxTokens: defaultMaxTokens}
}

// complete sets what depends on other options, and checks all.
func (c *config) complete() error {
	if !c.negativeSet {
		c.negativeTTL = min(defaultNegativeTTL, c.ttl)
	}
	if !c.refreshSet {
		c.refreshAfter = c.ttl - c.ttl/4
	}
	switch {
	case c.ttl <= 0:
		return bad("WithTTL", "%v, want more than 0", c.ttl)
	case c.negativeTTL < 0 || c.negativeTTL > c.ttl:
		return bad("WithNegativeTTL", "%v, want 0 to the time to live, which is %v", c.negativeTTL, c.ttl)
	case c.refreshAfter < 0 || c.refreshAfter > 0 && c.refreshSet && c.refreshAfter >= c.ttl:
		return bad("WithBackgroundRefresh", "%v, want less than the time to live, which is %v, or 0 to turn it off", c.refreshAfter, c.ttl)
	case c.timeout <= 0:
		return bad("WithTimeout", "%v, want more than 0", c.timeout)
	case c.maxTokens < 1:
		return bad("WithMaxTokens", "%d, want at least 1", c.maxTokens)
	case c.observerSet && c.observer == nil:
		return bad("WithObserver", "the function is nil")
	}
	return nil
}

func bad(option, format string, args ...any) error {
	return fmt.Errorf("cache: %s: %s", option, fmt.Sprintf(format, args...))
}
