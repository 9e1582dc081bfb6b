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
