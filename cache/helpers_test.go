package cache

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
)

// A backend is the store behind the cache: one in memory that counts finds, and lets a test in before and after each
// call takes effect.
type backend struct {
	*memory.Store

	mu     sync.Mutex
	finds  int
	before func(ctx context.Context, method string) error // an error keeps the call from happening
	after  func(ctx context.Context, method string) error // an error takes the place of the answer
}

func newBackend() *backend { return &backend{Store: memory.New()} }

// on sets what happens before and after calls; nil is nothing.
func (b *backend) on(before, after func(ctx context.Context, method string) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before, b.after = before, after
}

func (b *backend) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.finds
}

func (b *backend) call(ctx context.Context, method string, do func() error) error {
	b.mu.Lock()
	before, after := b.before, b.after
	b.mu.Unlock()
	if before != nil {
		if err := before(ctx, method); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	if after != nil {
		return after(ctx, method)
	}
	return nil
}

func (b *backend) find(ctx context.Context, do func() (*oauthstore.OAuthToken, error)) (*oauthstore.OAuthToken, error) {
	b.mu.Lock()
	b.finds++
	b.mu.Unlock()
	var token *oauthstore.OAuthToken
	var findErr error
	err := b.call(ctx, "Find", func() error { token, findErr = do(); return nil })
	switch {
	case err != nil:
		return nil, err
	case findErr != nil:
		return nil, findErr
	}
	return token, nil
}

func (b *backend) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	return b.find(ctx, func() (*oauthstore.OAuthToken, error) { return b.Store.FindToken(ctx, token) })
}

func (b *backend) FindTokenByID(ctx context.Context, id string) (*oauthstore.OAuthToken, error) {
	return b.find(ctx, func() (*oauthstore.OAuthToken, error) { return b.Store.FindTokenByID(ctx, id) })
}

// save saves a copy, so that an error after the save leaves the argument as it was.
func (b *backend) save(ctx context.Context, method string, token *oauthstore.OAuthToken, save func(context.Context, *oauthstore.OAuthToken) error) error {
	own := *token
	err := b.call(ctx, method, func() error { return save(ctx, &own) })
	if err == nil {
		*token = own
	}
	return err
}

func (b *backend) SaveToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return b.save(ctx, "SaveToken", token, b.Store.SaveToken)
}

func (b *backend) UpdateToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return b.save(ctx, "UpdateToken", token, b.Store.UpdateToken)
}

func (b *backend) DeleteToken(ctx context.Context, id string) error {
	return b.call(ctx, "DeleteToken", func() error { return b.Store.DeleteToken(ctx, id) })
}

func (b *backend) DeleteTokens(ctx context.Context) error {
	return b.call(ctx, "DeleteTokens", func() error { return b.Store.DeleteTokens(ctx) })
}

// put saves token as another process does: past the cache.
func (b *backend) put(t testing.TB, token oauthstore.OAuthToken) {
	t.Helper()
	require.NoError(t, b.Store.SaveToken(context.Background(), &token))
}

// A gate holds calls of one method up.
type gate struct {
	arrived chan struct{} // one for each call
	open    chan struct{} // closed to let all go
}

func newGate() *gate {
	return &gate{arrived: make(chan struct{}, 100), open: make(chan struct{})}
}

// hold is for backend.on.
func (g *gate) hold(method string) func(context.Context, string) error {
	return func(ctx context.Context, m string) error {
		if m != method {
			return nil
		}
		g.arrived <- struct{}{}
		select {
		case <-g.open:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// failing is for backend.on.
func failing(method string) func(context.Context, string) error {
	return func(_ context.Context, m string) error {
		if m == method {
			return errOutage
		}
		return nil
	}
}

var errOutage = errors.Join(oauthstore.ErrUnavailable, errors.New("an outage"))

// newCache returns a cache in front of store that is closed when the test ends.
func newCache(t testing.TB, store oauthstore.TokenStore, options ...Option) *Store {
	t.Helper()
	s, err := New(store, options...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	return s
}

// steady are options with which nothing ends while a test runs, and nothing happens but for a find.
func steady(more ...Option) []Option {
	return append([]Option{WithTTL(24 * time.Hour), WithNegativeTTL(24 * time.Hour), WithBackgroundRefresh(0)}, more...)
}

func token(id, user, client, access string) oauthstore.OAuthToken {
	return oauthstore.OAuthToken{ID: id, UserName: user, ClientID: client, AccessToken: access, RefreshToken: "refresh of " + id}
}

func asUser(user, client string) *oauthstore.OAuthToken {
	return &oauthstore.OAuthToken{UserName: user, ClientID: client}
}

func save(t testing.TB, s oauthstore.TokenStore, token oauthstore.OAuthToken) {
	t.Helper()
	require.NoError(t, s.SaveToken(context.Background(), &token))
}

// access returns the access token that a find returns, or "" where there is no token.
func access(t testing.TB, s oauthstore.TokenStore, partial *oauthstore.OAuthToken) string {
	t.Helper()
	found, err := s.FindToken(context.Background(), partial)
	if errors.Is(err, oauthstore.ErrTokenNotFound) {
		return ""
	}
	require.NoError(t, err)
	return found.AccessToken
}

func accessByID(t testing.TB, s oauthstore.TokenStore, id string) string {
	t.Helper()
	found, err := s.FindTokenByID(context.Background(), id)
	if errors.Is(err, oauthstore.ErrTokenNotFound) {
		return ""
	}
	require.NoError(t, err)
	return found.AccessToken
}

// await waits until cond holds. It goes by no clock: a test in which it never does ends with the test binary's time.
func await(cond func() bool) {
	for !cond() {
		runtime.Gosched()
	}
}
