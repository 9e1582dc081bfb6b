//go:build go1.25

package tokensource_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
	"github.com/oauthstore/oauthstore/tokensource"
)

func TestSource_givesWhatIsStored(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		want := w.login("alice")
		tokens := w.tokens()
		for name, s := range map[string]*tokensource.Source{"User": tokens.User("alice"), "ID": tokens.ID("alice")} {
			for range 2 {
				got := w.get(s)
				if got.AccessToken != want.AccessToken || got.RefreshToken != "" || !got.Expiry.Equal(want.Expiry) || got.TokenType != "Bearer" {
					t.Errorf("%s: got a token other than the stored one", name)
				}
				got.AccessToken = "" // it is the caller's own
			}
		}
		w.wantRefreshes(0)
	})
}

func TestSource_refreshesWhatHasEnded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		old := w.login("alice")
		s := w.tokens().User("alice")
		for i := range 3 {
			time.Sleep(lifetime)
			got := w.get(s)
			stored := w.stored("alice")
			if got.AccessToken == old.AccessToken || stored.AccessToken != got.AccessToken || stored.RefreshToken == old.RefreshToken {
				t.Errorf("refresh %d: what is given is not what is stored, or is what was there before", i)
			}
			if left := time.Until(stored.Expiry); left > lifetime || left < lifetime-time.Minute {
				t.Errorf("refresh %d: the stored expiry is in %v", i, left)
			}
			old = stored
		}
		w.wantRefreshes(3)
		if n := w.count(tokensource.Refreshed); n != 3 {
			t.Errorf("got %d events of refreshes, want 3", n)
		}
	})
}

func TestSource_oneRefreshForAllCallersOfAProcess(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		tokens := w.tokens()
		one := tokens.User("alice")
		for round := 1; round <= 3; round++ {
			time.Sleep(lifetime)
			w.network(slow(time.Second), slow(time.Second))
			together(40, func(i int) {
				s := one
				switch {
				case i%3 == 0:
					s = tokens.User("alice")
				case i%3 == 1:
					s = tokens.ID("alice")
				}
				w.get(s)
			})
			w.wantRefreshes(round)
		}
	})
}

func TestSource_oneRefreshForAllProcesses(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		var fleet []*tokensource.Source
		for range 30 {
			fleet = append(fleet, w.tokens().User("alice"))
		}
		w.network(slow(time.Second), slow(time.Second))
		for round := 1; round <= 3; round++ {
			time.Sleep(lifetime)
			begin := time.Now()
			together(len(fleet), func(i int) { w.get(fleet[i]) })
			w.wantRefreshes(round)
			if took := time.Since(begin); took > 4*time.Second {
				t.Errorf("the fleet waited for %v, want the provider's 2 seconds and a pause", took)
			}
		}
	})
}

func TestSource_aCallerThatGivesUpDoesNotEndTheRefresh(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		s := w.tokens().User("alice")
		time.Sleep(lifetime)
		w.network(slow(10*time.Second), nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		together(2, func(i int) {
			if i == 0 {
				if _, err := s.TokenContext(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
					t.Errorf("a caller whose context ends: got error %v after %v, want that of the context, at once", err, time.Since(begin))
				}
				return
			}
			w.get(s)
		})
		w.wantRefreshes(1)
	})
}

func TestSource_refreshesEarlyWhileCallersGoOn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		old := w.login("alice")
		s := w.tokens(tokensource.WithEarlyRefresh(10*time.Minute, 0)).User("alice")
		w.get(s)
		time.Sleep(lifetime - 10*time.Minute - time.Second)
		w.get(s)
		w.wantRefreshes(0)
		time.Sleep(2 * time.Second)
		w.network(slow(time.Minute), nil)
		for range 5 {
			begin := time.Now()
			if got := w.get(s); got.AccessToken != old.AccessToken || time.Since(begin) > 0 {
				t.Errorf("while it is refreshed: want the old token, at once")
			}
			time.Sleep(time.Second)
		}
		time.Sleep(2 * time.Minute)
		if got := w.get(s); got.AccessToken == old.AccessToken {
			t.Errorf("after it was refreshed: got the old token")
		}
		w.wantRefreshes(1)
	})
}

func TestSource_inTheForegroundNothingGoesOnBehindTheCaller(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		old := w.login("alice")
		s := w.tokens(tokensource.WithForeground(), tokensource.WithEarlyRefresh(10*time.Minute, time.Minute)).User("alice")
		w.get(s)
		time.Sleep(lifetime - 5*time.Minute)
		if got := w.get(s); got.AccessToken == old.AccessToken {
			t.Errorf("a token that is due: got the old one")
		}
		time.Sleep(lifetime - 5*time.Minute)
		w.network(func(*http.Request) error { return errors.New("no network") }, nil)
		if _, err := s.TokenContext(t.Context()); err != nil {
			t.Errorf("a token that is due, and cannot be refreshed: got error %v, want the token", err)
		}
		w.network(nil, nil)
		w.wantRefreshes(1)
	})
}

func TestSource_theOldTokenIsGoodAsLongAsTheProviderIsDown(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		s := w.tokens().User("alice")
		w.get(s)
		time.Sleep(lifetime - 5*time.Minute)
		asked := 0
		w.network(func(*http.Request) error { asked++; return errors.New("no network") }, nil)
		for range 48 {
			w.get(s)
			time.Sleep(6 * time.Second)
		}
		synctest.Wait()
		if asked < 3 || asked > 60 {
			t.Errorf("the provider was asked %d times in 5 minutes, want some, with pauses", asked)
		}
		time.Sleep(time.Minute)
		_, err := s.TokenContext(t.Context())
		var p *tokensource.ProviderError
		if !errors.Is(err, oauthstore.ErrUnavailable) || !errors.As(err, &p) || p.Status != 0 {
			t.Errorf("after its end: got error %v, want a *ProviderError that is ErrUnavailable", err)
		}
		w.network(nil, nil)
		time.Sleep(2 * time.Minute) // until it is asked again
		w.get(s)
		w.wantRefreshes(1)
	})
}

func TestSource_aTokenWithoutAnEndIsGood(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if err := w.store.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "x", AccessToken: "for ever"}); err != nil {
			t.Fatal(err)
		}
		s := w.tokens().ID("x")
		for range 3 {
			if got, err := s.Token(); err != nil || got.AccessToken != "for ever" {
				t.Errorf("got error %v, want the token", err)
			}
			time.Sleep(100 * 24 * time.Hour)
		}
	})
}

func TestSource_invalidateRefreshesWhatTheAPIDoesNotTake(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		tokens := w.tokens()
		s, other := tokens.User("alice"), w.tokens().User("alice")
		refused := w.get(s).AccessToken
		w.get(other)
		s.Invalidate(refused)
		got := w.get(s)
		if got.AccessToken == refused {
			t.Error("got the refused token again")
		}
		other.Invalidate(refused) // which has been refreshed already
		if again := w.get(other); again.AccessToken != got.AccessToken {
			t.Error("another process: got another token than the one that is stored")
		}
		w.wantRefreshes(1)
	})
}

func TestSource_noRecord(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, s := range []*tokensource.Source{w.tokens().User("nobody"), w.tokens().ID("nothing")} {
			if _, err := s.Token(); !errors.Is(err, oauthstore.ErrTokenNotFound) {
				t.Errorf("got error %v, want ErrTokenNotFound", err)
			}
		}
		if _, err := w.tokens().ID("").Token(); !errors.Is(err, oauthstore.ErrInvalidToken) {
			t.Errorf("an empty id: got error %v, want ErrInvalidToken", err)
		}
	})
}

func TestSource_loggedOutAndInAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		s := w.tokens().User("alice")
		w.get(s)
		if err := w.store.DeleteToken(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lifetime - 5*time.Minute)
		_, _ = s.Token() // the refresh in the background finds out
		synctest.Wait()
		if _, err := s.Token(); !errors.Is(err, oauthstore.ErrTokenNotFound) {
			t.Errorf("after the logout was noticed: got error %v, want ErrTokenNotFound", err)
		}
		again := w.srv.Issue("alice")
		token := &oauthstore.OAuthToken{UserName: "alice", AccessToken: again.AccessToken, RefreshToken: again.RefreshToken, Expiry: again.Expiry}
		if err := w.store.SaveToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		if got := w.get(s); got.AccessToken != again.AccessToken {
			t.Error("after a new login: got another token")
		}
		w.wantRefreshes(0)
	})
}

func TestSource_clientAuthorizesRequests(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		client := w.tokens().User("alice").Client(w)
		for range 2 {
			resp, err := client.Get("http://provider.example.com/resource")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("got status %d", resp.StatusCode)
			}
			time.Sleep(lifetime)
		}
		w.wantRefreshes(1)

		time.Sleep(lifetime)
		w.network(slow(time.Hour), nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, "GET", "http://provider.example.com/resource", nil)
		if _, err := client.Do(r); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a request whose context ends while the token is refreshed: got error %v", err)
		}
		if _, err := w.tokens().User("nobody").Client(nil).Get("http://provider.example.com/resource"); !errors.Is(err, oauthstore.ErrTokenNotFound) {
			t.Errorf("a client without token: got error %v, want ErrTokenNotFound", err)
		}
		w.network(nil, nil)
		time.Sleep(10 * time.Minute)
	})
}

func TestClient_ofANilPointerIsOverTheDefaultTransport(t *testing.T) {
	api := httptest.NewServer(http.NotFoundHandler())
	defer api.Close()
	store := memory.New()
	if err := store.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", UserName: "alice", AccessToken: "access", Expiry: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	tokens, err := tokensource.New(store, &oauth2.Config{ClientID: "id", Endpoint: oauth2.Endpoint{TokenURL: "https://example.com/token"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, base := range []http.RoundTripper{nil, (*http.Transport)(nil)} {
		resp, err := tokens.ID("1").Client(base).Get(api.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
}

func TestTokens_shutdownWaitsForARefresh(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		tokens := w.tokens()
		s := tokens.User("alice")
		w.get(s)
		time.Sleep(lifetime - 5*time.Minute)
		w.network(slow(10*time.Second), nil)
		w.get(s) // begins it
		begin := time.Now()
		if err := tokens.Shutdown(t.Context()); err != nil || time.Since(begin) < 9*time.Second {
			t.Errorf("Shutdown: got error %v after %v, want none, and that it waits", err, time.Since(begin))
		}
		w.wantRefreshes(1)
		w.get(s) // it has that
		time.Sleep(lifetime)
		if _, err := s.Token(); err == nil {
			t.Error("a source refreshes after Shutdown")
		}
		w.wantRefreshes(1)
	})
}

func TestTokens_shutdownGivesUp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		tokens := w.tokens()
		s := tokens.User("alice")
		w.get(s)
		time.Sleep(lifetime - 5*time.Minute)
		w.network(slow(20*time.Second), nil)
		w.get(s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := tokens.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown whose context ends: got error %v", err)
		}
		w.wantRefreshes(0)
	})
}
