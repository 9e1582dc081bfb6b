package engine

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
)

// daily is a service that takes 100 writes to a secret in a day.
func daily() *memory {
	m := newMemory()
	limited(m, 100)
	return m
}

// refresh is what a client saves when its access token has ended.
func refresh(i int) oauthstore.OAuthToken {
	return oauthstore.OAuthToken{ID: "x", AccessToken: fmt.Sprint("access", i), Expiry: time.Now().Add(5 * time.Minute)}
}

func TestRenew_theLastWritesOfADayAreKeptForMoreThanAccessTokens(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := daily()
		s := m.store()
		save(t, s, under("x", "alice"))
		refused, rotations := 0, 0
		for i := range 288 { // a day of access tokens that live for five minutes
			token := refresh(i)
			err := s.SaveToken(t.Context(), &token)
			var quota *oauthstore.WriteQuotaError
			switch {
			case errors.As(err, &quota):
				refused++
				wantIs(t, err, oauthstore.ErrThrottled)
				if quota.ID != "x" || quota.RetryAfter <= 0 || quota.RetryAfter > 26*time.Hour || quota.Per != 24*time.Hour {
					t.Errorf("got %+v", quota)
				}
			case err != nil:
				t.Fatal(err)
			}
			if i%24 == 0 { // now and then the provider replaces the refresh token
				save(t, s, oauthstore.OAuthToken{ID: "x", RefreshToken: fmt.Sprint("refresh", i), AccessToken: fmt.Sprint("with", i)})
				rotations++
			}
			time.Sleep(5 * time.Minute)
		}
		if got := m.token(t, "x").RefreshToken; got != "refresh264" {
			t.Errorf("got %s stored, want the last of %d refresh tokens", got, rotations)
		}
		if refused == 0 {
			t.Error("no access token was refused")
		}
	})
}

func TestRenew_spacedAccessTokensAreNotAllWritten(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := daily()
		s := m.store()
		s.SpaceAccessTokens(20 * time.Minute)
		save(t, s, under("x", "alice"))
		writes := m.count(put, "token_x")
		for i := range 3 * 288 {
			token := save(t, s, refresh(i))
			if token.AccessToken != fmt.Sprint("access", i) || token.RefreshToken == "" || token.UserName != "alice" {
				t.Fatalf("got %+v back, want the new access token and the rest of what is stored", token)
			}
			time.Sleep(5 * time.Minute)
		}
		if got := m.count(put, "token_x") - writes; got != 3*72-1 { // the first was too early
			t.Errorf("got %d writes in three days, want one every 20 minutes", got)
		}
	})
}

// An access token that was not written is so with the next change.
func TestRenew_aSaveThatChangesMoreWritesEverything(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := daily()
		s := m.store()
		s.SpaceAccessTokens(time.Hour)
		save(t, s, under("x", "alice"))
		token := save(t, s, refresh(1))
		if got := m.token(t, "x").AccessToken; got != "" {
			t.Fatalf("got %s stored, want nothing yet", got)
		}
		token.RefreshToken = "replaced"
		save(t, s, *token)
		if got := m.token(t, "x"); got.AccessToken != "access1" || got.RefreshToken != "replaced" || got.Expiry.IsZero() {
			t.Errorf("got %+v stored, want the access token with the refresh token", got)
		}
		// And where only a scope changes it is no new access token.
		save(t, s, oauthstore.OAuthToken{ID: "x", Scope: "other"})
		if got := m.token(t, "x").Scope; got != "other" {
			t.Errorf("got scope %q stored", got)
		}
	})
}

func TestRenew_aServiceWithoutQuotaTakesAll(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		save(t, s, under("x", "alice"))
		for i := range 300 {
			save(t, s, refresh(i))
		}
		if got := m.token(t, "x").AccessToken; got != "access299" {
			t.Errorf("got %s stored, want the last", got)
		}
	})
}
