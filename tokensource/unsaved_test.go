//go:build go1.25

package tokensource_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
	"github.com/oauthstore/oauthstore/tokensource"
	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

// Stores that do not take what they are given, or do not answer.

// readOnly are the tokens of a process that may not write, but for leases.
func (w *world) readOnly() *tokensource.Tokens {
	return w.over(w.saving(func(func() error) error { return fmt.Errorf("%w: may not write", oauthstore.ErrAccessDenied) }))
}

// giveUp ends what goes on in the background.
func giveUp(t *testing.T, tokens *tokensource.Tokens) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tokens.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestRefresh_whatIsNotStoredIsGivenOutAsLongAsItIsGood(t *testing.T) {
	for name, spoil := range map[string]func(s *tokensource.Source, accessToken string){
		"it has ended":           func(*tokensource.Source, string) { time.Sleep(2 * lifetime) },
		"the API has refused it": func(s *tokensource.Source, accessToken string) { s.Invalidate(accessToken) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.login("alice")
				tokens := w.readOnly()
				s := tokens.User("alice")
				time.Sleep(lifetime)
				first, err := s.Token()
				if first == nil || !errors.As(err, new(*tokensource.NotSavedError)) {
					t.Fatalf("got token %v and error %v, want both", first != nil, err)
				}
				spoil(s, first.AccessToken)
				if got, err := s.Token(); got != nil || !errors.As(err, new(*tokensource.NotSavedError)) {
					t.Errorf("got token %v and error %v, want only a *NotSavedError", got != nil, err)
				}
				giveUp(t, tokens)
			})
		})
	}
}

// The monotonic clock stands still while a machine does. In a bubble there is none.
func TestRefresh_theEndOfWhatIsNotStoredIsByTheWallClock(t *testing.T) {
	srv := authtest.NewServer(authtest.WithoutSocket(), authtest.WithRotation(authtest.Repeat))
	defer srv.Close()
	w := &world{t: t, srv: srv, store: memory.New()}
	old := w.login("alice")
	old.Expiry = time.Now().Add(-time.Second)
	if err := w.store.SaveToken(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	tokens := w.readOnly()
	notSaved, _ := tokens.User("alice").Token()
	giveUp(t, tokens)
	noWrites := w.get(w.over(quotaStore{w.store.(leasingStore)}).User("alice"))
	for _, end := range []time.Time{notSaved.Expiry, noWrites.Expiry} {
		if strings.Contains(end.String(), " m=") {
			t.Errorf("got %v", end)
		}
	}
}

func TestRefresh_whoHasWaitedForLongGetsAnErrorThatIsNotOfTheirContext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		busy := w.readOnly()
		_, _ = busy.User("alice").Token() // and keeps the lease
		if _, err := w.tokens().User("alice").Token(); !errors.Is(err, oauthstore.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want ErrUnavailable", err)
		}
		giveUp(t, busy)
	})
}

// hangingStore does not answer to a save.
type hangingStore struct{ oauthstore.TokenStore }

func (hangingStore) SaveToken(ctx context.Context, _ *oauthstore.OAuthToken) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestRefresh_aStoreThatHangs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		tokens := w.over(hangingStore{w.store})
		got, err := tokens.User("alice").Token()
		if got == nil || !errors.As(err, new(*tokensource.NotSavedError)) {
			t.Errorf("got token %v and error %v, want both", got != nil, err)
		}
		giveUp(t, tokens)
	})
}

// silentStore finds nothing and says nothing.
type silentStore struct{ oauthstore.TokenStore }

func (silentStore) FindToken(context.Context, *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	return nil, nil
}

func TestSource_aStoreThatReturnsNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if token, err := w.over(silentStore{w.store}).User("alice").Token(); token != nil || err == nil {
			t.Errorf("got token %v and error %v", token != nil, err)
		}
	})
}
