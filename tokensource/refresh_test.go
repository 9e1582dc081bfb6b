//go:build go1.25

package tokensource_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/cache"
	"github.com/oauthstore/oauthstore/tokensource"
	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

func TestRefresh_keepsTheRefreshTokenThatIsNotReplaced(t *testing.T) {
	for name, rotation := range map[string]authtest.Rotation{"repeated": authtest.Repeat, "left out": authtest.Omit} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				want := w.login("alice")
				s := w.tokens().User("alice")
				for range 3 {
					time.Sleep(lifetime)
					w.get(s)
					if got := w.stored("alice"); got.RefreshToken != want.RefreshToken {
						t.Error("the stored refresh token has changed")
					}
				}
				w.wantRefreshes(3)
			}, authtest.WithRotation(rotation))
		})
	}
}

// storeFunc lets a function decide about every save under a lease.
type storeFunc struct {
	leasingStore
	save func(ctx context.Context, l *oauthstore.Lease, token *oauthstore.OAuthToken) error
}

type leasingStore interface {
	oauthstore.TokenStore
	oauthstore.TokenUpdater
	oauthstore.TokenLeaser
}

func (s *storeFunc) SaveLeased(ctx context.Context, l *oauthstore.Lease, token *oauthstore.OAuthToken) error {
	return s.save(ctx, l, token)
}

func (w *world) saving(save func(next func() error) error) *storeFunc {
	inner := w.store.(leasingStore)
	return &storeFunc{inner, func(ctx context.Context, l *oauthstore.Lease, token *oauthstore.OAuthToken) error {
		return save(func() error { return inner.SaveLeased(ctx, l, token) })
	}}
}

func TestRefresh_nobodyIsGivenWhatIsNotStored(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		var stored atomic.Bool
		s := w.over(w.saving(func(next func() error) error {
			time.Sleep(3 * time.Second)
			err := next()
			stored.Store(true)
			return err
		})).User("alice")
		time.Sleep(lifetime)
		together(5, func(int) {
			w.get(s)
			if !stored.Load() {
				t.Error("a token is given out before it is stored")
			}
		})
		w.wantRefreshes(1)
	})
}

func TestRefresh_whatIsNotStoredComesWithAnErrorAndIsStoredLater(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		old := w.login("alice")
		down := errors.Join(oauthstore.ErrUnavailable)
		var failing atomic.Bool
		failing.Store(true)
		tokens := w.over(w.saving(func(next func() error) error {
			if failing.Load() {
				return down
			}
			return next()
		}))
		s := tokens.User("alice")
		time.Sleep(lifetime)
		got, err := s.Token()
		var late *tokensource.NotSavedError
		if got == nil || got.AccessToken == old.AccessToken || !errors.As(err, &late) || late.ID != "alice" || !errors.Is(err, oauthstore.ErrUnavailable) {
			t.Fatalf("got token %v and error %v, want the new token and a *NotSavedError", got != nil, err)
		}
		w.wantGood(got.AccessToken)
		if again := w.get(s); again.AccessToken != got.AccessToken {
			t.Error("the next call gives another token")
		}
		resp, err := tokens.User("alice").Client(w).Get("http://provider.example.com/resource")
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("a client, while the token is not stored: got %v and error %v, want the resource", resp, err)
		}
		time.Sleep(5 * time.Minute) // longer than the lease
		other := w.tokens().User("alice")
		together(2, func(i int) {
			if i == 0 {
				time.Sleep(time.Second)
				failing.Store(false)
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if _, err := other.TokenContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("another process meanwhile: got error %v, want that it waits", err)
			}
		})
		if err := tokens.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if stored := w.stored("alice"); stored.AccessToken != got.AccessToken || stored.RefreshToken == old.RefreshToken {
			t.Error("the new token is not stored after Shutdown")
		}
		w.get(other)
		w.wantRefreshes(1)
	})
}

func TestRefresh_shutdownGivesUpSaving(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		tokens := w.over(w.saving(func(func() error) error { return oauthstore.ErrUnavailable }))
		time.Sleep(lifetime)
		if _, err := tokens.User("alice").Token(); !errors.As(err, new(*tokensource.NotSavedError)) {
			t.Errorf("got error %v, want a *NotSavedError", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := tokens.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown of what cannot be saved: got error %v, want that of the context", err)
		}
		if w.count(tokensource.SaveFailed) != 1 {
			t.Error("nobody is told that the token is lost")
		}
	})
}

func TestRefresh_aLogoutDuringItStays(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		s := w.tokens().User("alice")
		time.Sleep(lifetime)
		w.network(nil, func(*http.Request) error { return w.store.DeleteToken(t.Context(), "alice") })
		if _, err := s.Token(); !errors.Is(err, oauthstore.ErrTokenNotFound) {
			t.Errorf("got error %v, want ErrTokenNotFound", err)
		}
		if all, err := w.store.GetTokens(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("the deleted token is back: %v, error %v", all, err)
		}
	})
}

func TestRefresh_aNewConsentDuringItStays(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		s := w.tokens().User("alice")
		time.Sleep(lifetime)
		var want *oauthstore.OAuthToken
		w.network(nil, func(*http.Request) error { want = w.login("alice"); return nil })
		if got := w.get(s); got.AccessToken != want.AccessToken {
			t.Error("got another token than that of the new consent")
		}
		if got := w.stored("alice"); got.RefreshToken != want.RefreshToken {
			t.Error("the refresh token of the new consent is not stored any more")
		}
		w.wantRefreshes(1)
	})
}

func TestRefresh_theLeaseIsRenewedWhileTheProviderIsSlow(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		slowly := tokensource.WithLease(10 * time.Second)
		a, b := w.tokens(slowly).User("alice"), w.tokens(slowly).User("alice")
		time.Sleep(lifetime)
		w.network(slow(25*time.Second), nil)
		together(2, func(i int) { w.get([]*tokensource.Source{a, b}[i]) })
		w.wantRefreshes(1)
		if n := w.count(tokensource.LeaseTakenOver); n > 0 {
			t.Errorf("the lease was taken over %d times", n)
		}
	})
}

// Who waits without a token has the new one soon after it is stored; who has one still looks less often.
func TestRefresh_waitsForAsLongAsTheOtherNeeds(t *testing.T) {
	const takes = 24 * time.Second
	for name, c := range map[string]struct {
		early       time.Duration
		least, most int // looks
	}{
		"without a token": {0, 20, 50},
		"with a token":    {5 * time.Minute, 12, 24},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				user := w.login("alice")
				var fleet []*tokensource.Source
				for range 2 {
					fleet = append(fleet, w.tokens(tokensource.WithEarlyRefresh(c.early, 0), tokensource.WithLeeway(0)).User("alice"))
					w.get(fleet[len(fleet)-1])
				}
				w.network(nil, slow(takes))
				time.Sleep(time.Until(user.Expiry) - c.early)
				begun := time.Now()
				together(2, func(i int) { w.get(fleet[i]) })
				if took := time.Since(begun); c.early == 0 && (took < takes || took > takes+time.Second) {
					t.Errorf("waited for %v, want little longer than %v", took, takes)
				}
				time.Sleep(takes + 2*time.Second)
				w.wantRefreshes(1)
				if looks := w.count(tokensource.LeaseWaited); looks < c.least || looks > c.most {
					t.Errorf("looked %d times, want %d to %d", looks, c.least, c.most)
				}
			})
		})
	}
}

func TestRefresh_theLeaseOfADeadHolderIsTakenOver(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		dead, err := w.store.(leasingStore).LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "alice", For: 30 * time.Second})
		if err != nil || !dead.Held {
			t.Fatal(dead, err)
		}
		var fleet []*tokensource.Source
		for range 10 {
			fleet = append(fleet, w.tokens().User("alice"))
		}
		begin := time.Now()
		together(len(fleet), func(i int) { w.get(fleet[i]) })
		if took := time.Since(begin); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("the fleet waited for %v, want the 30 seconds of the lease, and a pause", took)
		}
		w.wantRefreshes(1)
		if n := w.count(tokensource.LeaseTakenOver); n != 1 {
			t.Errorf("the lease was taken over %d times, want once", n)
		}
	})
}

func TestRefresh_anAnswerThatDiedWithItsProcess(t *testing.T) {
	for name, grace := range map[string]time.Duration{"strict": 0, "with grace": time.Hour} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.login("alice")
				time.Sleep(lifetime)
				dying := w.tokens()
				w.network(nil, func(r *http.Request) error { <-r.Context().Done(); return r.Context().Err() }) // answered, and never read
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, _ = dying.User("alice").TokenContext(ctx)
				gone, end := context.WithCancel(t.Context())
				end()
				_ = dying.Shutdown(gone)
				w.network(nil, nil)
				l, err := w.store.(leasingStore).LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "alice", For: time.Second})
				if err != nil || l.Held {
					t.Errorf("the lease of a process that has died: got %v and error %v, want it held by nobody else", l, err)
				}
				_, err = w.tokens().User("alice").Token()
				if grace > 0 {
					if err != nil {
						t.Errorf("a provider that allows it for a while: got error %v, want a token", err)
					}
					return
				}
				wantReauth(t, err, "alice", true)
			}, authtest.WithReuseGrace(grace))
		})
	}
}

// stalledStore is that of a process which stands still before it saves, and so does nothing for its lease.
type stalledStore struct{ leasingStore }

func (stalledStore) RenewLease(context.Context, *oauthstore.Lease) error {
	return oauthstore.ErrUnavailable
}

func (s stalledStore) SaveLeased(ctx context.Context, l *oauthstore.Lease, token *oauthstore.OAuthToken) error {
	time.Sleep(10 * time.Minute)
	return s.leasingStore.SaveLeased(ctx, l, token)
}

func TestRefresh_aHolderThatStoodStillDoesNotOverwrite(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		stalled, fresh := w.over(stalledStore{w.store.(leasingStore)}).User("alice"), w.tokens().User("alice")
		var got [2]string
		together(2, func(i int) {
			if i == 0 {
				got[0] = w.get(stalled).AccessToken
				return
			}
			time.Sleep(time.Second)
			got[1] = w.get(fresh).AccessToken
		})
		if got[0] != got[1] {
			t.Error("the process that stood still gives another token than the other one")
		}
		if w.stored("alice").AccessToken != got[1] {
			t.Error("the newer token was overwritten")
		}
		if n := w.count(tokensource.LeaseLost); n != 1 {
			t.Errorf("got %d events of lost leases, want one", n)
		}
		w.wantRefreshes(2)
	}, authtest.WithRotation(authtest.Repeat))
}

// Where the provider rotates, the refresh token of the process that stood still is the only good one.
func TestRefresh_aRefreshTokenThatComesLateIsNotLost(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		stalled, fresh := w.over(stalledStore{w.store.(leasingStore)}).User("alice"), w.tokens().User("alice")
		together(2, func(i int) {
			if i == 0 {
				w.get(stalled)
				return
			}
			time.Sleep(time.Second)
			_, err := fresh.Token() // the provider does not take the old one, and does not say more
			wantReauth(t, err, "alice", true)
		})
		w.get(fresh)
	}, authtest.WithoutReuseDetection())
}

func TestRefresh_aRefusedRefreshTokenIsAskedWithOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		tokens := w.tokens()
		s := tokens.User("alice")
		w.srv.Revoke("alice")
		time.Sleep(lifetime)
		for range 5 {
			_, err := s.Token()
			wantReauth(t, err, "alice", false)
			_, err = tokens.ID("alice").Token()
			wantReauth(t, err, "alice", false)
			time.Sleep(time.Minute)
		}
		if got := w.refreshes(); got["invalid_grant"] != 1 {
			t.Errorf("requests to the provider: got %v, want one", got)
		}
		if got := w.count(tokensource.ReauthRequired); got != 10 {
			t.Errorf("got %d events of the kind ReauthRequired, want one for each call", got)
		}
		again, err := tokens.Exchange(t.Context(), "alice", w.srv.Grant("alice"))
		if err != nil || again.ID != "alice" {
			t.Fatalf("Exchange: got %v and error %v, want the record of alice", again, err)
		}
		if got := w.get(s); got.AccessToken != again.AccessToken {
			t.Error("after a new login: got another token")
		}
	})
}

func TestRefresh_invalidGrantIsNotBelievedWhereTheRecordHasAnotherRefreshToken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		s := w.tokens().User("alice")
		time.Sleep(lifetime)
		w.srv.Revoke("alice")
		var once atomic.Bool
		w.network(nil, func(*http.Request) error {
			if once.CompareAndSwap(false, true) {
				w.login("alice") // another process, while ours was asking
			}
			return nil
		})
		w.get(s)
	})
}

// What a cache remembers is not believed where it matters.
func TestRefresh_overACache(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		cached, err := cache.New(w.store, cache.WithTTL(24*time.Hour), cache.WithBackgroundRefresh(0))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cached.Close(t.Context()) }()
		s, other := w.over(cached).User("alice"), w.tokens().User("alice")
		w.get(s)
		time.Sleep(lifetime)
		w.get(other)
		w.get(s)
		w.wantRefreshes(1)

		time.Sleep(lifetime)
		w.srv.Revoke("alice")
		var once atomic.Bool
		w.network(nil, func(*http.Request) error {
			if once.CompareAndSwap(false, true) {
				w.login("alice") // another process, while ours was asking
			}
			return nil
		})
		w.get(s)
	})
}

// Without leases, another process has refreshed a while ago what is remembered here. Its refresh token was replaced.
func TestRefresh_doesNotAskWithARememberedRefreshToken(t *testing.T) {
	for name, c := range map[string]struct {
		leases bool
		option tokensource.Option
	}{
		"the store gives out none": {false, tokensource.WithLease(30 * time.Second)},
		"WithLease(0)":             {true, tokensource.WithLease(0)},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				user := w.login("alice")
				var store oauthstore.TokenStore = w.store
				if !c.leases {
					store = plainStore{store}
				}
				cached, err := cache.New(store, cache.WithTTL(24*time.Hour), cache.WithBackgroundRefresh(0))
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = cached.Close(t.Context()) }()
				early := tokensource.WithEarlyRefresh(5*time.Minute, 0)
				s, other := w.over(cached, c.option, early).User("alice"), w.over(store, c.option, early).User("alice")
				w.get(s)
				w.get(other)
				time.Sleep(time.Until(user.Expiry) - 5*time.Minute)
				for _, process := range []*tokensource.Source{other, s} {
					w.get(process)
					time.Sleep(time.Minute)
				}
				w.wantRefreshes(1)
				if got, want := w.get(s).AccessToken, w.stored("alice").AccessToken; got != want {
					t.Error("the source has another access token than the one that is stored")
				}
			})
		})
	}
}

func TestRefresh_aFailureThatPassesIsTriedAgain(t *testing.T) {
	for name, f := range map[string]authtest.Fault{
		"500": {Kind: authtest.Fail}, "503": {Kind: authtest.Fail, Status: 503}, "429": {Kind: authtest.Fail, Status: 429, RetryAfter: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.login("alice")
				s := w.tokens().User("alice")
				time.Sleep(lifetime)
				f.Op, f.Times = "refresh_token", 2
				w.srv.Inject(f)
				begin := time.Now()
				w.get(s)
				if took := time.Since(begin); took < 2*f.RetryAfter {
					t.Errorf("it took %v, want the pauses that the provider asks for", took)
				}
				if got := w.refreshes(); got[authtest.OK] != 1 {
					t.Errorf("got %v", got)
				}

				time.Sleep(lifetime)
				f.Times = 3
				w.srv.Inject(f)
				_, err := w.tokens().User("alice").Token()
				class := oauthstore.ErrUnavailable
				if f.Status == 429 {
					class = oauthstore.ErrThrottled
				}
				var p *tokensource.ProviderError
				if !errors.Is(err, class) || !errors.As(err, &p) || p.RetryAfter != f.RetryAfter {
					t.Errorf("three failures: got error %v (%+v), want a *ProviderError that is %v", err, p, class)
				}
				w.get(s) // the lease was given back
			})
		})
	}
}

func TestRefresh_aRefusedClientIsNotTriedAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		config := w.config()
		config.ClientSecret = "hush-wrong"
		tokens, err := tokensource.New(w.store, config, tokensource.WithHTTPClient(&http.Client{Transport: w}))
		if err != nil {
			t.Fatal(err)
		}
		_, err = tokens.User("alice").Token()
		var p *tokensource.ProviderError
		if !errors.Is(err, oauthstore.ErrAccessDenied) || !errors.As(err, &p) || p.Code != "invalid_client" || p.Status != 401 {
			t.Errorf("got error %v (%+v), want a *ProviderError that is ErrAccessDenied", err, p)
		}
		if got := w.refreshes(); got["invalid_client"] != 1 {
			t.Errorf("got requests %v, want one", got)
		}
		w.get(w.tokens().User("alice")) // the lease was given back
	})
}

// Package oauth2 tries the second way to authenticate after any failure of the first.
func TestRefresh_aLostAnswerIsNotTakenForTheWrongWayToAuthenticate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		asked := 0
		w.network(nil, func(*http.Request) error { asked++; return errors.New("connection reset") })
		tokens := w.asking(w.store, w, oauth2.AuthStyleAutoDetect, tokensource.WithMaxAttempts(1))
		if _, err := tokens.User("alice").Token(); !errors.Is(err, oauthstore.ErrUnavailable) {
			t.Errorf("got error %v, want ErrUnavailable", err)
		}
		if asked != 1 {
			t.Errorf("the refresh token was sent %d times in one try", asked)
		}
	})
}

func TestRefresh_findsOutHowToAuthenticate(t *testing.T) {
	for _, way := range []authtest.AuthMethod{authtest.ClientSecretBasic, authtest.ClientSecretPost} {
		inWorld(t, func(t *testing.T, w *world) {
			w.login("alice")
			tokens := w.asking(w.store, w, oauth2.AuthStyleAutoDetect)
			for range 3 {
				time.Sleep(lifetime)
				w.get(tokens.User("alice"))
			}
			if got := w.refreshes(); got[authtest.OK] != 3 || got["invalid_client"] > 1 {
				t.Errorf("%s: got requests %v", way, got)
			}
		}, authtest.WithClients(authtest.Client{ID: authtest.ClientID, Secret: authtest.ClientSecret, Auth: way, RedirectURIs: []string{authtest.RedirectURI}}))
	}
}

func TestRefresh_zoho(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		s := w.tokens().User("alice")
		time.Sleep(lifetime)
		got := w.get(s)
		if left := time.Until(got.Expiry); left != lifetime || got.Extra("api_domain") != "https://www.zohoapis.eu" {
			t.Errorf("got a token for %v with the API domain %v", left, got.Extra("api_domain"))
		}
		if stored := w.stored("alice"); stored.APIDomain != "https://www.zohoapis.eu" || time.Until(stored.Expiry) != lifetime {
			t.Errorf("got %v stored", stored)
		}
		w.srv.Revoke("alice")
		time.Sleep(lifetime)
		_, err := s.Token()
		wantReauth(t, err, "alice", false)
	}, authtest.WithZohoStyle("https://www.zohoapis.eu"))
}

func TestRefresh_expiresInMilliseconds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		got := w.get(w.tokens(tokensource.WithExpiresInUnit(time.Millisecond)).User("alice"))
		if left := time.Until(got.Expiry); left != lifetime {
			t.Errorf("got a token for %v, want %v", left, lifetime)
		}
	}, authtest.WithMembers(map[string]any{"expires_in": "3600000"}))
}

func TestRefresh_anAnswerWithoutExpiresIn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		got := w.get(w.tokens(tokensource.WithDefaultLifetime(20 * time.Minute)).User("alice"))
		if left := time.Until(got.Expiry); left != 20*time.Minute {
			t.Errorf("got a token for %v, want the default lifetime", left)
		}
	}, authtest.WithMembers(map[string]any{"expires_in": nil}))
}

func TestRefresh_keepsTheMembersThatAreNamed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		tokens := w.tokens(tokensource.WithExtra("instance_url", "issued"))
		for range 2 { // as refreshed, and as read from the store
			got := w.get(tokens.User("alice"))
			if got.Extra("instance_url") != "https://eu.example.com" || got.Extra("issued") != 12.5 || got.Extra("id_token") != nil {
				t.Errorf("got the members %v, %v, %v", got.Extra("instance_url"), got.Extra("issued"), got.Extra("id_token"))
			}
		}
	}, authtest.WithMembers(map[string]any{"instance_url": "https://eu.example.com", "issued": 12.5, "id_token": "hush"}))
}

func TestRefresh_aRecordWithAnAuthorizationCode(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		token := &oauthstore.OAuthToken{UserName: "alice", GrantToken: w.srv.Grant("alice")}
		if err := w.store.SaveToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		s := w.tokens().User("alice")
		w.get(s)
		if stored := w.stored(token.ID); stored.RefreshToken == "" {
			t.Error("there is no refresh token stored")
		}
		time.Sleep(lifetime)
		w.get(s)
	})
}

func TestRefresh_nothingToAskWith(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		token := &oauthstore.OAuthToken{ID: "x", AccessToken: "ended", Expiry: time.Now()}
		if err := w.store.SaveToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		_, err := w.tokens().ID("x").Token()
		wantReauth(t, err, "x", false)
	})
}

// plainStore has nothing but the methods of oauthstore.TokenStore.
type plainStore struct{ oauthstore.TokenStore }

// updatingStore has no leases.
type updatingStore struct {
	oauthstore.TokenStore
	oauthstore.TokenUpdater
}

func TestRefresh_storesWithoutLeases(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		inner := w.store.(leasingStore)
		round := 0
		for name, tokens := range map[string]*tokensource.Tokens{
			"TokenStore":         w.over(plainStore{inner}),
			"TokenUpdater":       w.over(updatingStore{inner, inner}),
			"without the leases": w.tokens(tokensource.WithLease(0)),
		} {
			time.Sleep(lifetime)
			round++
			together(10, func(int) { w.get(tokens.User("alice")) })
			w.wantRefreshes(round)
			if l, err := inner.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "alice", For: time.Minute}); err != nil || !l.Held || l.TakenOver {
				t.Errorf("%s: a lease was taken: %v, error %v", name, l, err)
			} else if err := inner.ReleaseLease(t.Context(), l); err != nil {
				t.Error(err)
			}

			// The record is deleted while the provider is asked.
			time.Sleep(lifetime)
			round++
			w.network(nil, func(*http.Request) error { return w.store.DeleteToken(t.Context(), "alice") })
			if _, err := tokens.User("alice").Token(); !errors.Is(err, oauthstore.ErrTokenNotFound) {
				t.Errorf("%s: got error %v, want ErrTokenNotFound", name, err)
			}
			w.network(nil, nil)
			w.login("alice")
		}
	})
}

// quotaStore has no writes left for leases.
type quotaStore struct{ leasingStore }

func (quotaStore) LeaseToken(context.Context, oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	return nil, &oauthstore.WriteQuotaError{ID: "alice"}
}

func (quotaStore) UpdateToken(context.Context, *oauthstore.OAuthToken) error {
	return &oauthstore.WriteQuotaError{ID: "alice"}
}

func TestRefresh_aStoreWithoutWritesLeftForAccessTokens(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		s := w.over(quotaStore{w.store.(leasingStore)}).User("alice")
		time.Sleep(lifetime)
		for range 3 {
			w.get(s) // what is not stored can be had again
		}
		w.wantRefreshes(1)
	}, authtest.WithRotation(authtest.Repeat))
}

func TestExchange(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tokens := w.tokens()
		token, err := tokens.Exchange(t.Context(), "alice", w.srv.Grant("alice", "read"))
		if err != nil {
			t.Fatal(err)
		}
		if token.ID != oauthstore.DerivedID("alice", "") || token.ClientID != authtest.ClientID || token.Scope != "read" || token.ClientSecret != "" {
			t.Errorf("got %v", token)
		}
		if got := w.get(tokens.User("alice")); got.AccessToken != token.AccessToken {
			t.Error("what is found is not what was given")
		}
		code := w.srv.Grant("bob")
		for i := range 2 {
			_, err := tokens.Exchange(t.Context(), "bob", code)
			if i == 1 {
				wantReauth(t, err, "", false)
				if text := err.Error(); !strings.Contains(text, "the user has to log in again") {
					t.Errorf("got error %q, want no record in it: there is none", text)
				}
			}
		}
	})
}

// A code can be used once, so what the store cannot keep is refused while it is still good.
func TestExchange_ofAUserThatNoRecordCanHaveKeepsTheCode(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		code := w.srv.Grant("alice")
		w.network(func(*http.Request) error {
			t.Error("the provider was asked")
			return nil
		}, nil)
		tokens := w.over(shortNames{w.store})
		for name, want := range map[string]error{
			"\xff": oauthstore.ErrInvalidToken, " \t": oauthstore.ErrInvalidToken, strings.Repeat("n", 3000): oauthstore.ErrRecordTooLarge,
		} {
			if _, err := tokens.Exchange(t.Context(), name, code); !errors.Is(err, want) || !strings.Contains(err.Error(), "UserName") {
				t.Errorf("Exchange for %.10q: got error %v, want %v that names UserName", name, err, want)
			}
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := tokens.Exchange(ended, "alice", code); err != context.Canceled {
			t.Errorf("Exchange with a context that has ended: got error %v, want no other than that of the context", err)
		}
		w.network(nil, nil)
		if _, err := tokens.Exchange(t.Context(), "alice", code); err != nil {
			t.Errorf("Exchange with the same code: %v", err)
		}
	})
}

// shortNames is a store with room for short user names only.
type shortNames struct{ oauthstore.TokenStore }

func (shortNames) CheckToken(token *oauthstore.OAuthToken) error {
	if err := oauthstore.CheckSavable(token); err != nil {
		return err
	}
	return oauthstore.CheckSize(token, 1000)
}

func TestExchange_thatCannotBeStored(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tokens := w.over(failingStore{w.store})
		token, err := tokens.Exchange(t.Context(), "alice", w.srv.Grant("alice"))
		if !errors.As(err, new(*tokensource.NotSavedError)) || token == nil || token.RefreshToken == "" {
			t.Fatalf("got %v and error %v, want the token and a *NotSavedError", token, err)
		}
		if err := w.store.SaveToken(t.Context(), token); err != nil {
			t.Errorf("saving it afterwards: %v", err)
		}
		w.get(w.tokens().User("alice"))
	})
}

type failingStore struct{ oauthstore.TokenStore }

func (failingStore) SaveToken(context.Context, *oauthstore.OAuthToken) error {
	return fmt.Errorf("%w: down", oauthstore.ErrUnavailable)
}

func TestRefresh_noSecretIsTold(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		token := w.login("alice")
		secrets := []string{token.AccessToken, token.RefreshToken, authtest.ClientSecret}
		echo := func(r *http.Request) error { // what a proxy might say
			_ = r.ParseForm()
			return errors.New("cannot forward " + r.Form.Encode())
		}
		for _, fault := range []func(){
			func() { w.network(echo, nil) },
			func() { w.srv.Inject(authtest.Fault{Op: "refresh_token", Kind: authtest.Fail, Times: 3}) },
			func() { w.srv.Inject(authtest.Fault{Op: "refresh_token", Kind: authtest.HTML}) },
			func() { w.srv.Revoke("alice") },
		} {
			time.Sleep(lifetime)
			w.network(nil, nil)
			fault()
			_, err := w.tokens(tokensource.WithMaxAttempts(1)).User("alice").Token()
			if err == nil {
				t.Error("got no error")
				continue
			}
			for _, secret := range secrets {
				if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
					t.Errorf("a secret is in the error: %v", err)
				}
			}
			if errors.As(err, new(*oauth2.RetrieveError)) {
				t.Errorf("the error has the provider's answer with it: %v", err)
			}
		}
		synctest.Wait()
		w.wantNoSecrets(secrets...)
	})
}
