//go:build go1.25

package tokensource_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/tokensource"
	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

// Records that become others while a source is in use.

func TestRefresh_withoutLeasesALoginDuringItStays(t *testing.T) {
	for name, over := range map[string]func(w *world) *tokensource.Tokens{
		"TokenStore":         func(w *world) *tokensource.Tokens { return w.over(plainStore{w.store}) },
		"TokenUpdater":       func(w *world) *tokensource.Tokens { return w.over(updatingStore{w.store, w.store.(leasingStore)}) },
		"without the leases": func(w *world) *tokensource.Tokens { return w.tokens(tokensource.WithLease(0)) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				tokens := over(w)
				login := func() *oauthstore.OAuthToken {
					token, err := tokens.Exchange(t.Context(), "alice", w.srv.Grant("alice"))
					if err != nil {
						t.Fatal(err)
					}
					return token
				}
				login()
				s := tokens.User("alice")
				time.Sleep(lifetime)
				var second *oauthstore.OAuthToken
				w.network(nil, func(*http.Request) error {
					w.network(nil, nil)
					second = login()
					return nil
				})
				w.get(s)
				if w.stored(second.ID).RefreshToken != second.RefreshToken {
					t.Error("the refresh token of the login is not stored any more")
				}
			})
		})
	}
}

func TestRefresh_loggedOutAndInAgainDuringIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		s := w.tokens().User("alice")
		time.Sleep(lifetime)
		w.network(nil, func(*http.Request) error {
			if err := w.store.DeleteToken(t.Context(), "alice"); err != nil {
				return err
			}
			w.login("alice")
			return nil
		})
		w.get(s)
	})
}

func TestSource_aUsersRecordThatIsAnothersByNow(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		s := w.tokens().User("alice")
		w.get(s)
		renamed := w.stored("alice")
		renamed.UserName = "alice before she married"
		if err := w.store.SaveToken(t.Context(), renamed); err != nil {
			t.Fatal(err)
		}
		issued := w.srv.Issue("another alice")
		another := &oauthstore.OAuthToken{
			ID: "another", UserName: "alice", ClientID: authtest.ClientID,
			AccessToken: issued.AccessToken, RefreshToken: issued.RefreshToken, Expiry: time.Now().Add(10 * lifetime),
		}
		if err := w.store.SaveToken(t.Context(), another); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lifetime - time.Minute) // it is due, and still good
		if _, err := s.Token(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if got, err := s.Token(); err != nil || got.AccessToken != another.AccessToken {
			t.Errorf("got error %v, or not the token of the record that has the name", err)
		}
	})
}

func TestSource_aRecordThatIsAnotherClientsByNow(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		var sent atomic.Value
		s := w.asking(w.store, roundTrip(func(r *http.Request) (*http.Response, error) {
			_ = r.ParseForm()
			sent.Store(r.PostForm.Get("refresh_token"))
			return answer(r, 400, "application/json", `{"error":"invalid_grant"}`), nil
		}), oauth2.AuthStyleInHeader).ID("alice")
		if _, err := s.Token(); err != nil {
			t.Fatal(err)
		}
		record := w.stored("alice")
		record.ClientID, record.RefreshToken, record.AccessToken, record.Expiry = "another", "its refresh token", "its access token", time.Now().Add(lifetime/2)
		if err := w.store.SaveToken(t.Context(), record); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lifetime - 4*time.Minute)
		for range 20 {
			_, _ = s.Token()
			time.Sleep(20 * time.Second)
		}
		if sent.Load() != nil {
			t.Errorf("the provider was asked with %q", sent.Load())
		}
		var invalid *oauthstore.InvalidTokenError
		if _, err := s.Token(); !errors.As(err, &invalid) || invalid.Field != "ClientID" {
			t.Errorf("got error %v, want an *InvalidTokenError for ClientID", err)
		}
	})
}

// A record without a client id is found under the one that is asked for.
func TestSource_aRecordWithoutAClient(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		issued := w.srv.Issue("alice")
		record := &oauthstore.OAuthToken{ID: "alice", UserName: "alice", AccessToken: issued.AccessToken, RefreshToken: issued.RefreshToken, Expiry: issued.Expiry}
		if err := w.store.SaveToken(t.Context(), record); err != nil {
			t.Fatal(err)
		}
		s := w.tokens().User("alice")
		for i := range 3 {
			w.get(s)
			w.wantRefreshes(i)
			time.Sleep(lifetime)
		}
	})
}

// lostOnce loses the answer to the first save.
type lostOnce struct {
	oauthstore.TokenStore
	lost atomic.Bool
}

func (s *lostOnce) SaveToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	if !s.lost.CompareAndSwap(false, true) {
		return s.TokenStore.SaveToken(ctx, token)
	}
	own := *token
	if err := s.TokenStore.SaveToken(ctx, &own); err != nil {
		return err
	}
	return fmt.Errorf("%w: the answer was lost", oauthstore.ErrUnavailable)
}

func TestExchange_withoutANameMakesOneRecord(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		token, err := w.over(&lostOnce{TokenStore: w.store}).Exchange(t.Context(), "", w.srv.Grant("alice"))
		if err != nil {
			t.Fatal(err)
		}
		if all, err := w.store.GetTokens(t.Context()); err != nil || len(all) != 1 || all[0].ID != token.ID {
			t.Errorf("got %d records of one login and error %v", len(all), err)
		}
	})
}
