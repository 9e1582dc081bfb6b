package enginetest

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
)

// Calls counts calls by operation.
type Calls = map[string]int

// Costs are the calls that each operation may make, exactly.
type Costs struct {
	FindByID, FindByUser Calls // the id derived from the user name
	FindByUserGivenID    Calls // the id given by the caller, the index warm
	FindByRefreshToken   Calls // as inserted, no token with a smaller id
	SaveUnchanged        Calls
	SaveExisting         Calls
	SaveNew              Calls // the index warm
	SaveNewGivenID       Calls // the index warm
	Delete               Calls // the index warm
	GetTokens            func(n int) Calls
	DeleteTokens         func(n int) Calls
	Lease, LeaseOfOther  Calls // LeaseToken, where the lease is given and where another has it
	SaveLeased           Calls
	RenewLease           Calls // and ReleaseLease
}

// RunCosts compares the requests that reach the server with what is promised.
func RunCosts(t *testing.T, newBackend func(t *testing.T) Backend, want Costs) {
	ctx := context.Background()
	user := func(i int) *oauthstore.OAuthToken {
		return &oauthstore.OAuthToken{UserName: fmt.Sprint("user", i), ClientID: "app", ClientSecret: "s", RefreshToken: fmt.Sprint("refresh", i)}
	}
	given := func() *oauthstore.OAuthToken {
		g := user(1000)
		g.ID = "given"
		return g
	}
	run := func(name string, want Calls, prepare func(t *testing.T, s Store), do func(s Store) error) {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t)
			s := b.NewStore(t)
			save(t, s, user(0))
			save(t, s, given())
			if prepare != nil {
				prepare(t, s)
			}
			b.Control().ResetRequests()
			if err := do(s); err != nil {
				t.Fatal(err)
			}
			if got := b.Control().Counts(); !maps.Equal(got, want) {
				t.Errorf("calls: got %v, want %v", got, want)
			}
		})
	}
	find := func(partial *oauthstore.OAuthToken) func(s Store) error {
		return func(s Store) error {
			_, err := s.FindToken(ctx, partial)
			return err
		}
	}
	run("FindTokenByID", want.FindByID, nil, func(s Store) error {
		_, err := s.FindTokenByID(ctx, "given")
		return err
	})
	run("FindToken by user name", want.FindByUser, nil, find(&oauthstore.OAuthToken{UserName: "user0"}))
	run("FindToken by user name and client id", want.FindByUser, nil, find(&oauthstore.OAuthToken{UserName: "user0", ClientID: "app"}))
	run("FindToken by user name, id given by the caller", want.FindByUserGivenID, nil, find(&oauthstore.OAuthToken{UserName: "user1000"}))
	run("FindToken by refresh token", want.FindByRefreshToken, nil,
		find(&oauthstore.OAuthToken{ClientID: "app", ClientSecret: "s", RefreshToken: "refresh1000"}))

	saved := func(token *oauthstore.OAuthToken) func(s Store) error {
		return func(s Store) error { return s.SaveToken(ctx, token) }
	}
	changed := user(0)
	changed.AccessToken = "access"
	run("SaveToken, nothing changed", want.SaveUnchanged, nil, saved(user(0)))
	run("SaveToken, record exists", want.SaveExisting, nil, saved(changed))
	again := *changed
	again.AccessToken = "access again"
	run("SaveToken, record exists, for the third time", want.SaveExisting, func(t *testing.T, s Store) { save(t, s, changed) }, saved(&again))
	run("SaveToken, new record", want.SaveNew, nil, saved(user(1)))
	other := given()
	other.ID, other.UserName = "other", "user1001"
	run("SaveToken, new record, id given by the caller", want.SaveNewGivenID, nil, saved(other))
	run("DeleteToken", want.Delete, nil, func(s Store) error { return s.DeleteToken(ctx, "given") })

	var l *oauthstore.Lease
	lease := func(s Store) (err error) {
		l, err = s.LeaseToken(ctx, oauthstore.LeaseRequest{ID: "given", For: time.Minute})
		return err
	}
	leased := func(t *testing.T, s Store) {
		if err := lease(s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond) // else renewing it changes nothing
	}
	run("LeaseToken", want.Lease, nil, lease)
	run("LeaseToken, another has it", want.LeaseOfOther, leased, lease)
	run("SaveLeased", want.SaveLeased, leased, func(s Store) error {
		return s.SaveLeased(ctx, l, &oauthstore.OAuthToken{AccessToken: "access"})
	})
	run("RenewLease", want.RenewLease, leased, func(s Store) error { return s.RenewLease(ctx, l) })
	run("ReleaseLease", want.RenewLease, leased, func(s Store) error { return s.ReleaseLease(ctx, l) })

	for _, n := range []int{2, 45} {
		fill := func(t *testing.T, s Store) {
			for i := 1; i < n-1; i++ {
				save(t, s, user(i))
			}
		}
		run(fmt.Sprint("GetTokens of ", n), want.GetTokens(n), fill, func(s Store) error {
			tokens, err := s.GetTokens(ctx)
			if err == nil && len(tokens) != n {
				err = fmt.Errorf("%d tokens", len(tokens))
			}
			return err
		})
		run(fmt.Sprint("DeleteTokens of ", n), want.DeleteTokens(n), fill, func(s Store) error { return s.DeleteTokens(ctx) })
	}
}
