package oauthstore_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

func TestLease_printsNoSecret(t *testing.T) {
	token := secretive()
	l := oauthstore.Lease{Token: &token, Holder: "holder", For: time.Minute}
	for _, verb := range verbs {
		for _, text := range []string{fmt.Sprintf(verb, l), fmt.Sprintf(verb, &l)} {
			require.NotContains(t, text, secret, verb)
			require.True(t, strings.HasPrefix(text, "Lease{Holder: holder"), verb)
		}
	}
	require.NotContains(t, l.LogValue().String(), secret)
}

func TestLease_Take(t *testing.T) {
	now := time.Now()
	seen := &oauthstore.Lease{Holder: "a", Until: now.Add(time.Minute)}
	never := func(*oauthstore.OAuthToken) bool { return false }
	for name, c := range map[string]struct {
		has             oauthstore.Lease
		request         oauthstore.LeaseRequest
		takes, takeOver bool
	}{
		"nobody has it":                          {oauthstore.Lease{}, oauthstore.LeaseRequest{}, true, false},
		"not due":                                {oauthstore.Lease{}, oauthstore.LeaseRequest{Due: never}, false, false},
		"another has it":                         {oauthstore.Lease{Holder: "a", Until: now.Add(time.Minute)}, oauthstore.LeaseRequest{}, false, false},
		"it has ended, by our clock":             {oauthstore.Lease{Holder: "a", Until: now.Add(-time.Minute)}, oauthstore.LeaseRequest{}, false, false},
		"it has ended, by every clock":           {oauthstore.Lease{Holder: "a", Until: now.Add(-6 * time.Minute)}, oauthstore.LeaseRequest{}, true, true},
		"taken over":                             {oauthstore.Lease{Holder: "a", Until: now.Add(time.Minute)}, oauthstore.LeaseRequest{TakeOver: seen}, true, true},
		"taken over when it was renewed":         {oauthstore.Lease{Holder: "a", Until: now.Add(time.Hour)}, oauthstore.LeaseRequest{TakeOver: seen}, false, false},
		"taken over, but not due":                {oauthstore.Lease{Holder: "a", Until: now.Add(time.Minute)}, oauthstore.LeaseRequest{TakeOver: seen, Due: never}, false, false},
		"refused lately":                         {oauthstore.Lease{Refused: "invalid_grant", Until: now.Add(time.Minute)}, oauthstore.LeaseRequest{}, false, false},
		"refused some time ago":                  {oauthstore.Lease{Refused: "invalid_grant", Until: now.Add(-time.Second)}, oauthstore.LeaseRequest{}, true, false},
		"refused by a clock that is years ahead": {oauthstore.Lease{Refused: "invalid_grant", Until: now.AddDate(5, 0, 0)}, oauthstore.LeaseRequest{}, true, false},
		"taken over from one who had it before":  {oauthstore.Lease{Holder: "b", Until: now.Add(time.Minute)}, oauthstore.LeaseRequest{TakeOver: seen}, false, false},
	} {
		l := c.has
		l.Token, c.request.For = &oauthstore.OAuthToken{ID: "x"}, time.Minute
		require.Equal(t, c.takes, l.Take(c.request), name)
		require.Equal(t, c.takes, l.Held, name)
		require.Equal(t, c.takeOver, l.TakenOver, name)
		if c.takes {
			require.Empty(t, l.Refused, name)
			require.NotEqual(t, c.has.Holder, l.Holder, name)
			require.WithinDuration(t, now.Add(time.Minute), l.Until, 10*time.Second, name)
		}
	}
}

func TestLease_Released(t *testing.T) {
	held := &oauthstore.Lease{Holder: "a", Token: &oauthstore.OAuthToken{RefreshToken: "r", AccessToken: "a"}}
	same := &oauthstore.Record{Token: *held.Token}
	require.Equal(t, oauthstore.Lease{}, held.Released(same), "the provider has refused nothing")
	held.Refused = "invalid_grant"
	left := held.Released(same)
	require.Equal(t, "invalid_grant", left.Refused)
	require.Empty(t, left.Holder)
	require.WithinDuration(t, time.Now().Add(time.Hour), left.Until, time.Minute)
	for _, now := range []oauthstore.OAuthToken{{RefreshToken: "other", AccessToken: "a"}, {RefreshToken: "r", AccessToken: "other"}} {
		require.Equal(t, oauthstore.Lease{}, held.Released(&oauthstore.Record{Token: now}), "the token has changed")
	}
}
