//go:build go1.25

package awssm

import (
	"context"
	"crypto/rand"
	"flag"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

var (
	scale = flag.Int("scale", 120, "how many users TestScale has")
	hours = flag.Int("hours", 5, "how long TestScale_hourlyRefreshes goes on; a year has 8760")
)

// enrol has new users saved by the stores.
func (r *region) enrol(stores []*Store, users int, within time.Duration) []error {
	var saves []func(*Store) error
	for i := range users {
		saves = append(saves, func(s *Store) error { return s.SaveToken(r.t.Context(), login(userName(i))) })
	}
	return r.run(stores, r.spread(len(stores), within, saves))
}

// load has them saved by one process, many at a time.
func (r *region) load(s *Store, users int) []error {
	return r.enrol(slices.Repeat([]*Store{s}, 64), users, time.Nanosecond)
}

// requireAll wants a store that knows nothing to find the first users, and no others.
func (r *region) requireAll(users int) {
	r.t.Helper()
	s := r.store()
	for i := range users {
		token, err := s.FindToken(r.t.Context(), &oauthstore.OAuthToken{UserName: userName(i)})
		require.NoError(r.t, err)
		require.Equal(r.t, "access "+userName(i), token.AccessToken)
	}
	r.requireListed(users)
}

func (r *region) requireListed(users int) {
	r.t.Helper()
	all, err := r.store().GetTokens(r.t.Context())
	require.NoError(r.t, err)
	require.Len(r.t, all, users)
}

func TestScale_newUsers(t *testing.T) {
	for name, within := range map[string]time.Duration{"in a day": day, "in an hour": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRegion(t)
				errs := r.enrol(r.stores(50), *scale, within)
				r.report("new users "+name, *scale, "user")
				r.requireNoErrors(errs)
				require.Less(t, r.busiest(), maxVersions)
				require.Less(t, r.total(), 6**scale, "requests")
				r.reset()
				r.requireAll(*scale)
				r.report("finding and listing them", *scale, "user")
			})
		})
	}
}

func TestScale_loginsAndLogouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const times, period = 10, day / 10
		r := newRegion(t)
		stores := r.stores(50)
		errands := make([][]errand, len(stores))
		bySome := func(after time.Duration, do func(*Store) error) {
			i := r.random.IntN(len(stores))
			errands[i] = append(errands[i], errand{after, do})
		}
		users := *scale / times
		for i := range users {
			id := oauthstore.DerivedID(userName(i), "")
			for n := range times {
				begin := period*time.Duration(n) + time.Duration(r.random.Int64N(int64(period/2)))
				end := begin + time.Minute + time.Duration(r.random.Int64N(int64(period/3)))
				bySome(begin, func(s *Store) error { return s.SaveToken(t.Context(), login(userName(i))) })
				bySome(end, func(s *Store) error { return s.DeleteToken(t.Context(), id) })
			}
		}
		errs := r.run(stores, errands)
		r.report("logins and logouts in a day", users*times, "pair")
		r.requireNoErrors(errs)
		require.Less(t, r.busiest(), maxVersions)
		require.Less(t, r.total(), 14*users*times, "requests")
		r.requireAll(0)
	})
}

// leaving deletes the tokens of all users but the first few.
func leaving(ctx context.Context, stay int) []func(*Store) error {
	var deletes []func(*Store) error
	for i := stay; i < *scale; i++ {
		deletes = append(deletes, func(s *Store) error {
			return s.DeleteToken(ctx, oauthstore.DerivedID(userName(i), ""))
		})
	}
	return deletes
}

func TestScale_usersLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const left = 10
		r := newRegion(t)
		stores := r.stores(50)
		r.requireNoErrors(r.enrol(stores, *scale, day))
		r.report("they come", *scale, "user")
		before, _ := r.indexSecrets()
		r.reset()
		deletes := leaving(t.Context(), left)
		errs := r.run(stores, r.spread(len(stores), 10*day, deletes))
		r.report("all but 10 leave within ten days", *scale-left, "user")
		r.requireNoErrors(errs)
		require.Less(t, r.busiest(), maxVersions)
		after, _ := r.indexSecrets()
		require.Less(t, len(after), len(before), "secrets of the index")
		r.requireAll(left)
	})
}

func TestScale_fewUsersAreLeftWithFewPages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const left = 10
		r := newRegion(t)
		stores := r.stores(50)
		r.requireNoErrors(r.enrol(stores, *scale, day))
		deletes := leaving(t.Context(), left)
		r.requireNoErrors(r.run(stores, r.spread(len(stores), day, deletes)))
		r.report("all but 10 have left in a day", *scale-left, "user")
		r.reset()
		const days, users = 20, 10
		for range days {
			time.Sleep(day)
			var pairs []func(*Store) error
			for i := range users {
				pairs = append(pairs, func(s *Store) error {
					if err := s.SaveToken(t.Context(), login(userName(left+i))); err != nil {
						return err
					}
					return s.DeleteToken(t.Context(), oauthstore.DerivedID(userName(left+i), ""))
				})
			}
			r.requireNoErrors(r.run(stores, r.spread(len(stores), day, pairs)))
		}
		r.report("and for 20 days 10 come and go each day", days*users, "pair")
		after, _ := r.indexSecrets()
		require.LessOrEqual(t, len(after), 3, "secrets of the index")
	})
}

// What the service costs, in dollars (its price list).
const (
	perSecret   = 0.40 * 12 // and year
	perThousand = 0.005     // calls
)

func TestScale_hourlyRefreshes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const users, processes, hoursOfYear = 500, 4, 365 * 24
		r := newRegion(t)
		r.quick, r.rated = true, false // the users come all at once
		stores := r.stores(processes)
		r.requireNoErrors(r.load(stores[0], users))
		time.Sleep(time.Minute)
		r.reset()
		r.rated = true
		made, indexWrites := r.versions, r.indexWrites()

		begin := time.Now()
		var wg sync.WaitGroup
		for p, s := range stores {
			wg.Go(func() {
				for i := p; i < users**hours; i += processes {
					after := time.Duration(i-p) * (time.Hour / users)
					time.Sleep(time.Until(begin.Add(after)))
					if err := s.SaveToken(t.Context(), refreshed(userName(i%users))); err != nil {
						t.Errorf("after %v: %v", after, err)
						return
					}
					if i%users == 0 {
						r.srv.ResetRequests() // a log of a year takes gigabytes
					}
				}
			})
		}
		wg.Wait()

		refreshes := users * *hours
		require.Equal(t, map[string]int{"GetSecretValue": refreshes, "PutSecretValue": refreshes}, r.calls)
		require.Empty(t, r.refused)
		require.Equal(t, made+refreshes, r.versions)
		require.Equal(t, indexWrites, r.indexWrites())
		secrets, kept := r.srv.Secrets(), 0
		for _, s := range secrets {
			kept += len(s.Versions)
		}
		storage := float64(len(secrets)) * perSecret
		calls := float64(r.total()) / 1000 * perThousand * hoursOfYear / float64(*hours)
		t.Logf("%d users refreshed each hour for %d hours: %d versions made, %d kept, of %d secrets", users, *hours, refreshes, kept, len(secrets))
		t.Logf("requests: %s, together %d", counts(r.calls), r.total())
		t.Logf("dollars in a year: %.2f for storage, %.2f for calls, together %.2f", storage, calls, storage+calls)
	})
}

func refreshed(user string) *oauthstore.OAuthToken {
	return &oauthstore.OAuthToken{
		UserName: user, ClientID: "1000.CLIENT", AccessToken: rand.Text(), Expiry: time.Now().Add(time.Hour),
	}
}

func TestScale_import(t *testing.T) {
	const users = 1000
	t.Run("where the service takes any number of requests in a second", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			r := newRegion(t)
			r.rated = false
			errs := r.load(r.store(), users)
			r.report("1,000 tokens at once", users, "token")
			r.requireNoErrors(errs)
			require.Less(t, r.indexWrites(), users/2, "many share a write")
			require.Less(t, r.busiest(), maxVersions*3/4)
			r.requireListed(users)
		})
	})
	t.Run("at the service's rates", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			r := newRegion(t)
			begin := time.Now()
			errs := r.load(r.store(), *scale)
			r.report("as many at once as the service takes", *scale, "token")
			t.Logf("it took %v; %d were refused", time.Since(begin).Round(time.Second), len(errs))
			for _, err := range errs {
				require.ErrorIs(t, err, oauthstore.ErrThrottled)
			}
			require.Less(t, r.busiest(), maxVersions)
			time.Sleep(time.Minute)
			r.requireListed(*scale - len(errs))
		})
	})
}
