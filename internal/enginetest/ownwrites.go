package enginetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
)

// RunOwnWrites checks that a store sees its own writes: after a call has written, no read of the same store shows an
// older state, though the plain reads of the service lag behind by far. with runs a test with a new store.
func RunOwnWrites(t *testing.T, with func(t *testing.T, test func(t *testing.T, s Store))) {
	run := func(name string, test func(t *testing.T, w *ownWrites)) {
		t.Run(name, func(t *testing.T) {
			with(t, func(t *testing.T, s Store) { test(t, &ownWrites{t, s}) })
		})
	}
	run("saves", func(t *testing.T, w *ownWrites) {
		alice := &oauthstore.OAuthToken{UserName: "alice", ClientID: "app", ClientSecret: "s"}
		for i := range 8 { // more than a record remembers of earlier writes
			alice.RefreshToken = fmt.Sprint("r", i)
			save(t, w.store, alice)
			w.shows(alice)
			save(t, w.store, alice) // which has nothing to write
			w.shows(alice)
			alice.AccessToken = fmt.Sprint("a", i)
			w.ok(w.store.UpdateToken(t.Context(), alice))
			w.shows(alice)
			alice = w.find(alice.ID)
		}
	})
	run("leases", func(t *testing.T, w *ownWrites) {
		alice := save(t, w.store, &oauthstore.OAuthToken{UserName: "alice", ClientID: "app", ClientSecret: "s", RefreshToken: "r"})
		for i := range 5 {
			l := w.lease(alice.ID, true)
			w.equal(alice, l.Token)
			w.lease(alice.ID, false)
			w.ok(w.store.RenewLease(t.Context(), l))
			w.lease(alice.ID, false)
			saved := *l.Token
			saved.RefreshToken = fmt.Sprint("r", i)
			w.ok(w.store.SaveLeased(t.Context(), l, &saved))
			alice = &saved
			w.shows(alice)
			w.ok(w.store.ReleaseLease(t.Context(), w.lease(alice.ID, true)))
		}
	})
	run("deletes", func(t *testing.T, w *ownWrites) {
		bob := save(t, w.store, &oauthstore.OAuthToken{UserName: "bob", AccessToken: "b"})
		for i := range 5 {
			alice := save(t, w.store, &oauthstore.OAuthToken{ID: "alice", UserName: "alice", AccessToken: fmt.Sprint("a", i)})
			w.shows(alice, bob)
			w.ok(w.store.DeleteToken(t.Context(), "alice"))
			w.none(alice)
			w.shows(bob)
			if err := w.store.DeleteToken(t.Context(), "alice"); !errors.Is(err, oauthstore.ErrTokenNotFound) {
				t.Errorf("a second DeleteToken: got error %v, want ErrTokenNotFound", err)
			}
			if err := w.store.UpdateToken(t.Context(), alice); !errors.Is(err, oauthstore.ErrTokenNotFound) {
				t.Errorf("UpdateToken of a deleted token: got error %v, want ErrTokenNotFound", err)
			}
		}
		w.ok(w.store.DeleteTokens(t.Context()))
		w.none(bob)
		w.shows()
	})
	run("renames", func(t *testing.T, w *ownWrites) {
		token := save(t, w.store, &oauthstore.OAuthToken{ID: "x", UserName: "user", AccessToken: "a"})
		for i := range 5 {
			before := *token
			token.UserName = fmt.Sprint("user", i)
			save(t, w.store, token)
			w.shows(token)
			if _, err := w.store.FindToken(t.Context(), &oauthstore.OAuthToken{UserName: before.UserName}); !errors.Is(err, oauthstore.ErrTokenNotFound) {
				t.Errorf("by the former user name: got error %v, want ErrTokenNotFound", err)
			}
		}
	})
}

type ownWrites struct {
	t     *testing.T
	store Store
}

func (w *ownWrites) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *ownWrites) find(id string) *oauthstore.OAuthToken {
	w.t.Helper()
	found, err := w.store.FindTokenByID(w.t.Context(), id)
	w.ok(err)
	return found
}

// lease asks for a lease and wants to get it, or not.
func (w *ownWrites) lease(id string, want bool) *oauthstore.Lease {
	w.t.Helper()
	l, err := w.store.LeaseToken(w.t.Context(), oauthstore.LeaseRequest{ID: id, For: time.Minute})
	w.ok(err)
	if l.Held != want {
		w.t.Fatalf("got a lease: %v, want %v", l.Held, want)
	}
	return l
}

func (w *ownWrites) equal(want, got *oauthstore.OAuthToken) {
	w.t.Helper()
	if *want.Detached() != *got.Detached() {
		w.t.Fatalf("got the token %v with the refresh token %q and the access token %q, want %v with %q and %q",
			got, got.RefreshToken, got.AccessToken, want, want.RefreshToken, want.AccessToken)
	}
}

// shows wants the tokens to be found in each way, and no others to be listed.
func (w *ownWrites) shows(tokens ...*oauthstore.OAuthToken) {
	w.t.Helper()
	ctx := w.t.Context()
	want := make(map[string]*oauthstore.OAuthToken)
	for _, token := range tokens {
		want[token.ID] = token
		w.equal(token, w.find(token.ID))
		pointers := []*oauthstore.OAuthToken{{ID: token.ID}, {UserName: token.UserName}}
		if token.RefreshToken != "" {
			pointers = append(pointers, &oauthstore.OAuthToken{ClientID: token.ClientID, ClientSecret: token.ClientSecret, RefreshToken: token.RefreshToken})
		}
		for _, p := range pointers {
			found, err := w.store.FindToken(ctx, p)
			w.ok(err)
			w.equal(token, found)
		}
	}
	listed, err := w.store.GetTokens(ctx)
	w.ok(err)
	var ranged []*oauthstore.OAuthToken
	for token, err := range w.store.Tokens(ctx) {
		w.ok(err)
		ranged = append(ranged, token)
	}
	for _, all := range [][]*oauthstore.OAuthToken{listed, ranged} {
		if len(all) != len(tokens) {
			w.t.Fatalf("got %d tokens, want %d", len(all), len(tokens))
		}
		for _, token := range all {
			if want[token.ID] == nil {
				w.t.Fatalf("got the token %v, which is not stored", token)
			}
			w.equal(want[token.ID], token)
		}
	}
}

// none wants that no find finds the token.
func (w *ownWrites) none(token *oauthstore.OAuthToken) {
	w.t.Helper()
	find := func(p *oauthstore.OAuthToken) error {
		_, err := w.store.FindToken(context.Background(), p)
		return err
	}
	_, err := w.store.FindTokenByID(context.Background(), token.ID)
	for _, err := range []error{err, find(&oauthstore.OAuthToken{UserName: token.UserName}), find(&oauthstore.OAuthToken{AccessToken: token.AccessToken})} {
		if !errors.Is(err, oauthstore.ErrTokenNotFound) {
			w.t.Fatalf("got error %v for a deleted token, want ErrTokenNotFound", err)
		}
	}
}
