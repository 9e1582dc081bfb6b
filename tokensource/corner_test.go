//go:build go1.25

package tokensource_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/tokensource"
	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

func TestSource_aFleetWhoseTokenTheAPIHasRefusedWaitsForOneRefresh(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		refused := w.login("alice").AccessToken
		var fleet []*tokensource.Source
		for range 5 {
			s := w.tokens().User("alice")
			w.get(s)
			s.Invalidate(refused)
			fleet = append(fleet, s)
		}
		w.network(slow(time.Second), nil)
		together(len(fleet), func(i int) {
			if got := w.get(fleet[i]); got.AccessToken == refused {
				t.Error("got the refused token again")
			}
		})
		w.wantRefreshes(1)
	})
}

func TestSource_theProviderIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		w.srv.Inject(authtest.Fault{Op: "refresh_token", Kind: authtest.Fail, Status: 429, RetryAfter: 10 * time.Minute})
		s := w.tokens(tokensource.WithMaxAttempts(1)).User("alice")
		for range 20 {
			if _, err := s.Token(); !errors.Is(err, oauthstore.ErrThrottled) {
				t.Errorf("got error %v, want ErrThrottled", err)
			}
			time.Sleep(10 * time.Second)
		}
		if got := w.refreshes(); got[authtest.Unprocessed] > 1 {
			t.Errorf("the provider was asked: %v", got)
		}
		time.Sleep(10 * time.Minute)
		w.get(s)
	})
}

func TestSource_whatWasUnderWayDoesNotOutliveForget(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		slowly := &slowFind{TokenStore: w.store}
		s := w.over(slowly).User("alice")
		together(2, func(i int) {
			if i == 0 {
				w.get(s) // has read it before the logout
				return
			}
			time.Sleep(time.Millisecond)
			if err := w.store.DeleteToken(t.Context(), "alice"); err != nil {
				t.Error(err)
			}
			s.Forget()
		})
		if _, err := s.Token(); !errors.Is(err, oauthstore.ErrTokenNotFound) {
			t.Errorf("got error %v, want ErrTokenNotFound", err)
		}
	})
}

type slowFind struct{ oauthstore.TokenStore }

func (s *slowFind) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	found, err := s.TokenStore.FindToken(ctx, token)
	time.Sleep(time.Second)
	return found, err
}

func TestRefresh_anExpiresInThatIsNoWholeNumberLosesNothing(t *testing.T) {
	for name, expiresIn := range map[string]any{"a fraction": 1800.5, "a text": "1h", "empty": "", "too much": 99999999999} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				old := w.login("alice")
				time.Sleep(lifetime)
				w.get(w.tokens().User("alice"))
				if w.stored("alice").RefreshToken == old.RefreshToken {
					t.Error("the new refresh token is not stored")
				}
				w.wantRefreshes(1)
			}, authtest.WithMembers(map[string]any{"expires_in": expiresIn}))
		})
	}
}

func TestRefresh_anAnswerThatIsNoTokenIsNotAskedForAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		w.srv.Inject(authtest.Fault{Op: "refresh_token", Kind: authtest.HTML, After: true})
		_, err := w.tokens().User("alice").Token()
		var p *tokensource.ProviderError
		if !errors.As(err, &p) || p.Status != http.StatusOK || errors.Is(err, oauthstore.ErrUnavailable) {
			t.Errorf("got error %v (%+v)", err, p)
		}
		w.wantRefreshes(1)
	})
}

func TestRefresh_knowsOfAnAnswerThatItHasNotGot(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		s := w.tokens(tokensource.WithMaxAttempts(1)).User("alice")
		w.network(nil, func(*http.Request) error { return errors.New("connection reset") })
		if _, err := s.Token(); !errors.Is(err, oauthstore.ErrUnavailable) {
			t.Errorf("got error %v, want ErrUnavailable", err)
		}
		w.network(nil, nil)
		time.Sleep(5 * time.Minute)
		_, err := s.Token()
		wantReauth(t, err, "alice", true)
	})
}

func TestSource_isForTheRecordsOfItsOwnClient(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		token := &oauthstore.OAuthToken{ID: "x", UserName: "alice", ClientID: "another", RefreshToken: "of another provider"}
		if err := w.store.SaveToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		if _, err := w.tokens().ID("x").Token(); !errors.Is(err, oauthstore.ErrInvalidToken) {
			t.Errorf("got error %v, want ErrInvalidToken", err)
		}
		w.wantRefreshes(0)
	})
}

func TestTokens_shutdownStoresWhatItCan(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		begin := time.Now()
		tokens := w.over(w.saving(func(next func() error) error {
			if time.Since(begin) < 20*time.Second {
				return oauthstore.ErrUnavailable
			}
			return next()
		}))
		if _, err := tokens.User("alice").Token(); !errors.As(err, new(*tokensource.NotSavedError)) {
			t.Errorf("got error %v, want a *NotSavedError", err)
		}
		time.Sleep(25 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := tokens.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		w.get(w.tokens().User("alice"))
		w.wantRefreshes(1)
	})
}
