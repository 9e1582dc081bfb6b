//go:build go1.25

package awssm

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

// enrol has new users saved by the stores.
func (r *region) enrol(stores []*Store, users int, within time.Duration) []error {
	var saves []func(*Store) error
	for i := range users {
		saves = append(saves, func(s *Store) error { return s.SaveToken(r.t.Context(), login(userName(i))) })
	}
	return r.run(stores, r.spread(len(stores), within, saves))
}

// requireAll wants a store that knows nothing to find the users.
func (r *region) requireAll(users int) {
	r.t.Helper()
	s := r.store()
	for i := range users {
		token, err := s.FindToken(r.t.Context(), &oauthstore.OAuthToken{UserName: userName(i)})
		require.NoError(r.t, err)
		require.Equal(r.t, "access "+userName(i), token.AccessToken)
	}
	all, err := r.store().GetTokens(r.t.Context())
	require.NoError(r.t, err)
	require.Len(r.t, all, users)
}

func TestScale_newUsers(t *testing.T) {
	for name, within := range map[string]time.Duration{"in a day": day, "in an hour": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const users = 2000
				r := newRegion(t)
				errs := r.enrol(r.stores(50), users, within)
				r.report("2,000 users "+name, users, "new user")
				r.requireNoErrors(errs)
				require.Less(t, r.busiest(), maxVersions)
				r.reset()
				r.requireAll(users)
				r.report("finding and listing them", users, "user")
			})
		})
	}
}

func TestScale_loginsAndLogouts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const users, times = 200, 10
		r := newRegion(t)
		stores := r.stores(50)
		errands := make([][]errand, len(stores))
		at := func(d time.Duration, do func(*Store) error) {
			i := r.random.IntN(len(stores))
			errands[i] = append(errands[i], errand{d, do})
		}
		for i := range users {
			user := userName(i)
			id := oauthstore.DerivedID(user, "")
			for j := range times {
				begin := time.Duration(j) * day / times
				length := time.Minute + time.Duration(r.random.Int64N(int64(day/times/2)))
				begin += time.Duration(r.random.Int64N(int64(day/times/2 - 2*time.Minute)))
				at(begin, func(s *Store) error { return s.SaveToken(t.Context(), login(user)) })
				at(begin+length, func(s *Store) error { return s.DeleteToken(t.Context(), id) })
			}
		}
		errs := r.run(stores, errands)
		r.report("200 users who log in and out 10 times in a day", users*times, "login and logout")
		r.requireNoErrors(errs)
		require.Less(t, r.busiest(), maxVersions)
		r.requireAll(0)
	})
}

func TestScale_shrinks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const users, left = 2000, 10
		r := newRegion(t)
		stores := r.stores(50)
		r.requireNoErrors(r.enrol(stores, users, day))
		r.report("2,000 users in a day", users, "new user")
		r.reset()
		for _, d := range []int{2, 30} {
			time.Sleep(time.Duration(d) * day)
			r.report("later", 1, "")
		}
		var deletes []func(*Store) error
		for i := left; i < users; i++ {
			deletes = append(deletes, func(s *Store) error {
				return s.DeleteToken(t.Context(), oauthstore.DerivedID(userName(i), ""))
			})
		}
		errs := r.run(stores, r.spread(len(stores), day, deletes))
		r.report("1,990 leave", users-left, "user who left")
		r.requireNoErrors(errs)
		r.requireAll(left)
		for i := range 5 {
			time.Sleep(2 * day)
			r.reset()
			s := r.store()
			for j := range 10 {
				require.NoError(t, s.SaveToken(t.Context(), login(userName(9000+j))))
				require.NoError(t, s.DeleteToken(t.Context(), oauthstore.DerivedID(userName(9000+j), "")))
			}
			r.report("10 come and leave "+string(rune('0'+i)), 10, "")
		}
	})
}
