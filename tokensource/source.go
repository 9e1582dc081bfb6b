package tokensource

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/args"
)

// A Source is an [oauth2.TokenSource] for one record: make it with [Tokens.User] or [Tokens.ID]. It remembers the
// token as long as it is good, and does not look into the store before it is due. It is safe for concurrent use; one
// that is made for each request reads the store each time.
type Source struct {
	tokens *Tokens
	find   func(context.Context) (*oauthstore.OAuthToken, error)

	have    atomic.Pointer[held]
	refused atomic.Pointer[refused]

	mu       sync.Mutex
	flight   *flight   // under way, or not looked at yet
	failures int       // of refreshes, in a row
	retry    time.Time // not before
}

var _ oauth2.TokenSource = (*Source)(nil)

// held is a token that is good from when it was seen to its end.
type held struct {
	token    *oauthstore.OAuthToken
	out      *oauth2.Token
	due, end time.Time // zero: never
}

func (t *Tokens) hold(token *oauthstore.OAuthToken) *held {
	h := &held{token: token, out: given(token), due: t.dueAt(token)}
	if !token.Expiry.IsZero() {
		h.end = token.Expiry.Add(-t.leeway)
	}
	return h
}

func (h *held) valid(now time.Time) bool {
	return h != nil && h.token.AccessToken != "" && (h.end.IsZero() || now.Before(h.end))
}

// isRepeatedBy reports whether the provider has given the same access token once more, to live no longer than before
// (expires_in counts in seconds).
func (h *held) isRepeatedBy(token *oauthstore.OAuthToken) bool {
	return h != nil && token.AccessToken == h.token.AccessToken && !h.token.Expiry.IsZero() &&
		!token.Expiry.IsZero() && token.Expiry.Before(h.token.Expiry.Add(2*time.Second))
}

func (h *held) isDue(now time.Time) bool { return !h.due.IsZero() && !now.Before(h.due) }

// given is the token as it is given out: without the refresh token, so that nobody refreshes it past the store.
func given(token *oauthstore.OAuthToken) *oauth2.Token {
	t := ToOAuth2(token)
	t.RefreshToken = ""
	return t
}

// copied returns the token as it is given out, the caller's own.
func (h *held) copied() *oauth2.Token {
	t := *h.out
	return &t
}

// Token is TokenContext without a context: it ends when the store and the provider have had their time.
func (s *Source) Token() (*oauth2.Token, error) { return s.TokenContext(context.Background()) }

// TokenContext returns an access token that is good for longer than the leeway. Where it has one it makes no request;
// else it reads the store, and refreshes what it finds where that is needed. When ctx ends it returns the error of ctx,
// and a refresh that is under way goes on.
//
// With a [*NotSavedError] there is a token beside the error.
func (s *Source) TokenContext(ctx context.Context) (*oauth2.Token, error) {
	now := time.Now()
	h := s.have.Load()
	if h.valid(now) && !h.isDue(now) {
		return h.copied(), nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	defer s.tokens.repeatPanic()
	h, f := s.join(ctx)
	if f == nil || h.valid(now) && !s.tokens.foreground {
		return h.copied(), nil
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		if h.valid(time.Now()) {
			return h.copied(), nil
		}
		return nil, ctx.Err()
	}
	s.land(f)
	switch late := new(NotSavedError); {
	case f.err == nil:
		return given(f.token), nil
	case errors.As(f.err, &late) && f.token != nil:
		return given(f.token), f.err
	case h.valid(time.Now()) && !errors.Is(f.err, oauthstore.ErrTokenNotFound):
		return h.copied(), nil
	case errors.Is(f.err, errBusy): // and what we had has ended meanwhile
		return s.TokenContext(ctx)
	default:
		return nil, f.err
	}
}

// join returns what the source has by now, and the flight that is to bring a new token, begun if it has to be; none
// where what it has is good, and not due, or not again so soon after a failure.
func (s *Source) join(ctx context.Context) (*held, *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil {
		select {
		case <-s.flight.done:
			s.landed(s.flight)
		default:
			return s.have.Load(), s.flight
		}
	}
	h, now := s.have.Load(), time.Now()
	if h.valid(now) && (!h.isDue(now) || now.Before(s.retry)) {
		return h, nil
	}
	s.flight = s.tokens.begin(ctx, func(ctx context.Context, f *flight) { f.land(s.fetch(ctx, h)) })
	return h, s.flight
}

// land takes note of what a flight has brought.
func (s *Source) land(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight == f {
		s.landed(f)
	}
}

func (s *Source) landed(f *flight) {
	s.flight = nil
	if f.token != nil {
		h := s.tokens.hold(f.token)
		if f.err == nil && s.have.Load().isRepeatedBy(f.token) {
			h.due, h.end = f.token.Expiry, f.token.Expiry // before that the provider gives no other
		}
		if h.valid(time.Now()) {
			s.have.Store(h)
		}
	}
	if f.err == nil {
		s.failures, s.retry = 0, time.Time{}
		return
	}
	if errors.Is(f.err, oauthstore.ErrTokenNotFound) {
		s.have.Store(nil) // the user has logged out
	}
	s.failures++
	s.retry = time.Now().Add(pause(s.failures, 2*time.Second, time.Minute))
}

// fetch returns a good token: from the store, or after a refresh. h is what the source has.
func (s *Source) fetch(ctx context.Context, h *held) (*oauthstore.OAuthToken, error) {
	t := s.tokens
	if h.valid(time.Now()) {
		if next, err := t.refresh(ctx, stale{token: h.token, good: true}); !errors.Is(err, errAnother) {
			return next, err
		}
	}
	for again := 0; ; {
		token, refused, err := s.look(ctx)
		if err != nil || t.valid(token) && !refused {
			return token, err
		}
		next, err := t.refresh(ctx, stale{token: token, refused: refused})
		switch {
		case errors.Is(err, errBusy): // it was begun by one who was in no hurry
			if err := sleep(ctx, 100*time.Millisecond); err != nil {
				return nil, err
			}
		case errors.Is(err, errAnother) && again < maxTurns:
			again++
		case err == nil && s.isRefused(next) && again == 0: // it was begun before that was known, perhaps
			again++
		case err != nil && next != nil && (s.isRefused(next) || !t.valid(next)): // it is not stored, and of no use by now
			return nil, err
		default:
			return next, err
		}
	}
}

// look finds the record's token, and reports whether it is the one that the API has refused.
func (s *Source) look(ctx context.Context) (*oauthstore.OAuthToken, bool, error) {
	bounded, cancel := context.WithTimeout(ctx, s.tokens.patience())
	defer cancel()
	token, err := found(s.find(bounded))
	if err != nil {
		return nil, false, err
	}
	if own := s.tokens.provider.config.ClientID; token.ClientID != "" && token.ClientID != own {
		return nil, false, &oauthstore.InvalidTokenError{Field: "ClientID", Reason: "of the record is another client's: its refresh token is not for this provider"}
	}
	return token, s.isRefused(token), nil
}

// found is what a store has returned, of which one of the two is to be nil and the other is not.
func found(token *oauthstore.OAuthToken, err error) (*oauthstore.OAuthToken, error) {
	if token == nil && err == nil {
		return nil, errors.New("tokensource: the store returns neither a token nor an error")
	}
	return token, err
}

// refused is an access token that is not good, whatever its expiry.
type refused struct {
	token string
	times int       // that one was, not long after another
	until time.Time // that is believed, and no other
}

// The pauses in which an API that refuses one access token after the other is not believed.
const (
	firstRefusal   = 5 * time.Minute
	longestRefusal = time.Hour
)

func (s *Source) isRefused(token *oauthstore.OAuthToken) bool {
	r := s.refused.Load()
	return r != nil && token.AccessToken == r.token && time.Now().Before(r.until)
}

// Invalidate says that the provider's API does not take an access token although it has not ended: the user has
// revoked it, for example. The next call of the source refreshes it, unless there is another one by then.
//
// An API that refuses the next one as well has another reason, which no refresh removes: so what is said within five
// minutes of the last time does nothing, and within twice as long each time after that, up to an hour.
func (s *Source) Invalidate(accessToken string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, times := time.Now(), 0
	if last := s.refused.Load(); last != nil {
		if now.Before(last.until) {
			return
		}
		if now.Before(last.until.Add(longestRefusal)) {
			times = last.times + 1
		}
	}
	s.refused.Store(&refused{accessToken, times, now.Add(min(firstRefusal<<min(times, 8), longestRefusal))})
	if h := s.have.Load(); h == nil || h.token.AccessToken == accessToken {
		s.drop()
	}
}

// Forget lets the source look into the store at its next call, as after a logout or a new login of the user in this
// process: what it has is good until it is due, whatever becomes of the record.
func (s *Source) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
}

// drop forgets the token, and what is under way to bring another.
func (s *Source) drop() {
	s.have.Store(nil)
	s.flight = nil
}

// Client returns an HTTP client that sends its requests with the source's access token, over base; nil, or a nil
// pointer, is [http.DefaultTransport]. It waits for a token no longer than the request's context allows. A token that could not be
// stored ([*NotSavedError]) is used all the same.
func (s *Source) Client(base http.RoundTripper) *http.Client {
	if args.IsNil(base) {
		base = nil
	}
	return &http.Client{Transport: &transport{source: s, base: base}}
}

// transport is oauth2.Transport, with the context of the request.
type transport struct {
	source *Source
	base   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return (&oauth2.Transport{Source: sourceFunc(func() (*oauth2.Token, error) {
		token, err := t.source.TokenContext(req.Context())
		if token != nil {
			return token, nil
		}
		return nil, err
	}), Base: t.base}).RoundTrip(req)
}

type sourceFunc func() (*oauth2.Token, error)

// Token implements oauth2.TokenSource.
func (f sourceFunc) Token() (*oauth2.Token, error) { return f() }
