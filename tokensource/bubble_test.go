//go:build go1.25

package tokensource_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
	"github.com/oauthstore/oauthstore/tokensource"
	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

// A world is a provider and a store, in virtual time. Its network is calls of functions.
type world struct {
	t     *testing.T
	srv   *authtest.Server
	store oauthstore.TokenStore

	mu     sync.Mutex
	before func(r *http.Request) error // of a request's arrival
	after  func(r *http.Request) error // of its taking effect
	events []tokensource.Event
}

// inWorld runs f where time passes only while everybody waits for it.
func inWorld(t *testing.T, f func(t *testing.T, w *world), opts ...authtest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := authtest.NewServer(append(opts, authtest.WithoutSocket())...)
		defer srv.Close()
		f(t, &world{t: t, srv: srv, store: memory.New()})
	})
}

// RoundTrip implements http.RoundTripper.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	before, after := w.before, w.after
	w.mu.Unlock()
	if before != nil {
		if err := before(r); err != nil {
			return nil, err
		}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	rec := httptest.NewRecorder()
	w.srv.ServeHTTP(rec, r)
	if after != nil {
		if err := after(r); err != nil {
			return nil, err
		}
	}
	return rec.Result(), r.Context().Err()
}

// network sets what happens before and after requests arrive.
func (w *world) network(before, after func(r *http.Request) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before, w.after = before, after
}

// slow makes every request take d.
func slow(d time.Duration) func(*http.Request) error {
	return func(r *http.Request) error {
		select {
		case <-time.After(d):
			return nil
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
}

func (w *world) config() *oauth2.Config {
	return &oauth2.Config{
		ClientID: authtest.ClientID, ClientSecret: authtest.ClientSecret, RedirectURL: authtest.RedirectURI,
		Endpoint: oauth2.Endpoint{TokenURL: "http://provider.example.com/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
}

// tokens are those of another process.
func (w *world) tokens(opts ...tokensource.Option) *tokensource.Tokens {
	return w.over(w.store, opts...)
}

func (w *world) over(store oauthstore.TokenStore, opts ...tokensource.Option) *tokensource.Tokens {
	w.t.Helper()
	return w.asking(store, w, oauth2.AuthStyleInHeader, opts...)
}

// asking are the tokens of another process over a store, whose provider is behind transport, and is told in that style
// who asks.
func (w *world) asking(store oauthstore.TokenStore, transport http.RoundTripper, style oauth2.AuthStyle, opts ...tokensource.Option) *tokensource.Tokens {
	w.t.Helper()
	c := w.config()
	c.Endpoint.AuthStyle = style
	t, err := tokensource.New(store, c, append([]tokensource.Option{
		tokensource.WithHTTPClient(&http.Client{Transport: transport}), tokensource.WithObserver(w.observe),
	}, opts...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

func (w *world) observe(_ context.Context, e tokensource.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// count returns how many events of a kind there have been.
func (w *world) count(kind tokensource.EventKind) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, e := range w.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// login stores the tokens of a user who has just consented, under the user's name as id, and returns what is stored.
func (w *world) login(user string) *oauthstore.OAuthToken {
	w.t.Helper()
	got := w.srv.Issue(user)
	token := &oauthstore.OAuthToken{
		ID: user, UserName: user, ClientID: authtest.ClientID, TokenType: "Bearer",
		AccessToken: got.AccessToken, RefreshToken: got.RefreshToken, Expiry: got.Expiry,
	}
	if err := w.store.SaveToken(w.t.Context(), token); err != nil {
		w.t.Fatal(err)
	}
	return token
}

func (w *world) stored(id string) *oauthstore.OAuthToken {
	w.t.Helper()
	token, err := w.store.FindTokenByID(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// get returns a token of s, which must be one that the API takes.
func (w *world) get(s *tokensource.Source) *oauth2.Token {
	w.t.Helper()
	token, err := s.TokenContext(w.t.Context())
	if err != nil {
		w.t.Fatalf("TokenContext: %v", err)
	}
	w.wantGood(token.AccessToken)
	return token
}

// wantGood demands that the provider's API takes the access token.
func (w *world) wantGood(accessToken string) {
	w.t.Helper()
	rec := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/resource", nil)
	r.Header.Set("Authorization", "Bearer "+accessToken)
	w.srv.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		w.t.Errorf("the API answers %d to the access token", rec.Code)
	}
}

// refreshes is how often the provider was asked for a refresh, by result.
func (w *world) refreshes() map[string]int { return w.srv.Stats().TokenRequests["refresh_token"] }

func (w *world) wantRefreshes(ok int) {
	w.t.Helper()
	if got := w.refreshes(); got[authtest.OK] != ok || len(got) > 1 || ok == 0 && len(got) > 0 {
		w.t.Errorf("refreshes at the provider: got %v, want ok: %d and nothing else", got, ok)
	}
	if reuses := w.srv.Stats().Reuses; len(reuses) > 0 {
		w.t.Errorf("the provider has seen reuses: %v", reuses)
	}
}

// wantReauth demands a ReauthRequiredError.
func wantReauth(t *testing.T, err error, id string, lost bool) {
	t.Helper()
	var reauth *tokensource.ReauthRequiredError
	if !errors.As(err, &reauth) || reauth.ID != id || reauth.AnswerLost != lost {
		t.Errorf("got error %v, want a *ReauthRequiredError for %q, answer lost: %v", err, id, lost)
	}
}

// lifetime is that of the provider's access tokens.
const lifetime = time.Hour

// together runs work in n goroutines and waits for them.
func together(n int, work func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			work(i)
		}()
	}
	wg.Wait()
}

// wantNoSecrets demands that no error and no event tells a token.
func (w *world) wantNoSecrets(secrets ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		for _, secret := range secrets {
			if text := fmt.Sprintf("%+v %#v", e, e); strings.Contains(text, secret) {
				w.t.Errorf("a secret is in an event: %s", text)
			}
		}
	}
}
