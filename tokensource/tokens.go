package tokensource

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/args"
	"github.com/oauthstore/oauthstore/internal/panics"
)

// Tokens gives out token sources over one store and one client of a provider. Make it with [New], one for all users.
// It is safe for concurrent use.
type Tokens struct {
	options
	store    oauthstore.TokenStore
	provider *provider

	mu      sync.Mutex
	flights map[string]*flight // by record id
	unsaved map[string]*answer // by record id
	failed  map[string]*failed // by record id
	watches map[string]*watch  // by record id
	closing bool
	closed  chan struct{} // then

	panicked atomic.Pointer[panics.Error] // of the observer, for the next caller

	running   int             // goroutines in the background
	idle      chan struct{}   // closed when there are none; nil where there were none yet
	lifetimes context.Context // theirs
	end       context.CancelFunc
}

// New returns a Tokens over store, for the client of the provider that config describes. It does no I/O; an error names
// the option or the field that makes no sense.
func New(store oauthstore.TokenStore, config *oauth2.Config, opts ...Option) (*Tokens, error) {
	o := defaults()
	args.Apply(&o, opts)
	if err := o.check(); err != nil {
		return nil, err
	}
	switch {
	case args.IsNil(store):
		return nil, errors.New("tokensource: there is no store")
	case config == nil || config.ClientID == "":
		return nil, errors.New("tokensource: the config has no ClientID")
	case config.Endpoint.TokenURL == "":
		return nil, errors.New("tokensource: the config has no Endpoint.TokenURL")
	}
	t := &Tokens{
		options: o, store: store, provider: newProvider(config, &o),
		flights: make(map[string]*flight), unsaved: make(map[string]*answer), failed: make(map[string]*failed),
		watches: make(map[string]*watch), closed: make(chan struct{}),
	}
	t.observe = t.guarded(o.observe)
	t.lifetimes, t.end = context.WithCancel(context.Background())
	return t, nil
}

// guarded returns an observer that does what observe does, but for a panic: no refresh token is lost by one.
func (t *Tokens) guarded(observe func(context.Context, Event)) func(context.Context, Event) {
	return func(ctx context.Context, e Event) {
		panics.Run(func() { observe(ctx, e) }, func(p *panics.Error) {
			if p != nil {
				t.panicked.CompareAndSwap(nil, p)
			}
		})
	}
}

// repeatPanic panics as the observer has, if it has since the last time.
func (t *Tokens) repeatPanic() { t.panicked.Swap(nil).Repeat() }

// User returns the source of the tokens of a user: of the record that a find by this user name and the config's client
// id returns.
func (t *Tokens) User(name string) *Source {
	partial := oauthstore.OAuthToken{UserName: name, ClientID: t.provider.config.ClientID}
	return &Source{tokens: t, find: func(ctx context.Context) (*oauthstore.OAuthToken, error) {
		return t.store.FindToken(ctx, &partial)
	}}
}

// ID returns the source of the tokens of the record under id.
func (t *Tokens) ID(id string) *Source {
	return &Source{tokens: t, find: func(ctx context.Context) (*oauthstore.OAuthToken, error) {
		return t.store.FindTokenByID(ctx, id)
	}}
}

// Exchange asks the provider for tokens with an authorization code (RFC 6749, 4.1.3), stores them as the user's, and
// returns what is stored. opts are those of oauth2.Config.Exchange, oauth2.VerifierOption for PKCE among them. A user
// who has logged in before keeps the refresh token where the provider does not send another. An empty name is a record
// without one, to be found by its id.
//
// A user name that the store cannot keep is an [oauthstore.ErrInvalidToken] or [oauthstore.ErrRecordTooLarge], and the code
// is not sent. A code that the provider does not take is a [*ReauthRequiredError]. A code can be used once: if the store fails,
// the token is returned beside a [*NotSavedError], for the caller to save.
func (t *Tokens) Exchange(ctx context.Context, userName, code string, opts ...oauth2.AuthCodeOption) (*oauthstore.OAuthToken, error) {
	if code == "" {
		return nil, &oauthstore.InvalidTokenError{Field: "code", Reason: "is empty"}
	}
	owner := oauthstore.OAuthToken{UserName: userName, ClientID: t.provider.config.ClientID}
	if userName == "" {
		owner.ID = oauthstore.RandomID() // so that a second try is not a second record
	}
	if err := oauthstore.CheckToken(t.store, &owner); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	defer t.repeatPanic()
	begin := time.Now()
	got, err := t.provider.exchange(ctx, code, always, opts...)
	t.observe(ctx, Event{Kind: Asked, Attempt: 1, Duration: time.Since(begin), Err: err})
	if err != nil {
		err = asReauth(err, &oauthstore.OAuthToken{UserName: userName}, false)
		if errors.As(err, new(*ReauthRequiredError)) {
			t.observe(ctx, Event{Kind: ReauthRequired, Err: err})
		}
		return nil, err
	}
	token := got.over(&oauthstore.OAuthToken{})
	token.ID, token.UserName, token.ClientID = owner.ID, owner.UserName, owner.ClientID
	err = t.patiently(ctx, func(int) error { return t.saveLogin(ctx, got, token) }, func(attempt int, err error) {
		t.observe(ctx, Event{Kind: SaveRetried, Attempt: attempt, Err: err})
	})
	if err != nil {
		t.observe(ctx, Event{Kind: SaveFailed, Err: err})
		return token, &NotSavedError{Err: err}
	}
	t.forget(token.ID)
	return token, nil
}

// saveLogin saves the token of an exchange. Where the answer does not say when it ends, and that of an earlier login in
// its place had an end, the new one gets one too.
func (t *Tokens) saveLogin(ctx context.Context, got *granted, token *oauthstore.OAuthToken) error {
	if err := t.store.SaveToken(ctx, token); err != nil || got.ends || token.Expiry.IsZero() {
		return err
	}
	token.Expiry = got.begun.Add(got.assumed)
	return t.store.SaveToken(ctx, token)
}

// Wait waits until what goes on in the background has ended: refreshes, and the saving of tokens that the store did not
// take. It is for functions that are frozen once they have answered. Where ctx ends first it returns the error of ctx,
// and all goes on.
func (t *Tokens) Wait(ctx context.Context) error {
	for {
		t.mu.Lock()
		idle := t.idle
		if t.running == 0 {
			t.mu.Unlock()
			return nil
		}
		t.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("tokensource: wait: %w", ctx.Err())
		}
	}
}

// ErrShutdown is the error of sources that have no good token after [Tokens.Shutdown].
var ErrShutdown = errors.New("tokensource: shut down")

// Shutdown is Wait at the end of a process. Afterwards sources give out the tokens that they have as long as these are
// good, and make no requests any more. Where ctx ends first it gives up what is still going on, and returns the error
// of ctx.
func (t *Tokens) Shutdown(ctx context.Context) error {
	t.mu.Lock()
	if !t.closing {
		t.closing = true
		close(t.closed)
	}
	t.mu.Unlock()
	err := t.Wait(ctx)
	t.end()
	if err == nil {
		return nil
	}
	if waited := t.Wait(context.WithoutCancel(ctx)); waited != nil {
		return waited
	}
	return fmt.Errorf("tokensource: shutdown: %w", ctx.Err())
}

// valid reports whether the token may be given out.
func (t *Tokens) valid(token *oauthstore.OAuthToken) bool {
	return token.AccessToken != "" && !token.Expired(t.leeway)
}

// dueAt returns when a token that is seen now is to be refreshed; the zero time is never.
func (t *Tokens) dueAt(token *oauthstore.OAuthToken) time.Time {
	if token.Expiry.IsZero() {
		return time.Time{}
	}
	early := token.Expiry.Add(-t.early - part(t.jitter))
	end := token.Expiry.Add(-t.leeway)
	left := max(time.Until(end), 0)
	if soonest := end.Add(-left/4 - part(left/4)); early.Before(soonest) {
		return soonest
	}
	return early
}
