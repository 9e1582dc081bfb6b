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

func TestLeaseRequest_Validate(t *testing.T) {
	require.NoError(t, oauthstore.LeaseRequest{ID: "x", For: time.Nanosecond}.Validate())
	for field, r := range map[string]oauthstore.LeaseRequest{"ID": {For: time.Second}, "For": {ID: "x"}} {
		var invalid *oauthstore.InvalidTokenError
		require.ErrorAs(t, r.Validate(), &invalid)
		require.Equal(t, field, invalid.Field)
	}
	require.Error(t, oauthstore.LeaseRequest{ID: "x", For: -time.Second}.Validate())
}

func TestLease_Validate(t *testing.T) {
	l := &oauthstore.Lease{Token: &oauthstore.OAuthToken{ID: "x"}}
	require.NoError(t, l.Validate(&oauthstore.OAuthToken{ID: "x"}))
	require.NoError(t, l.Validate(&oauthstore.OAuthToken{}))
	for field, token := range map[string]*oauthstore.OAuthToken{"ID": {ID: "y"}, "Scope": {Scope: "\xff"}, "token": nil} {
		var invalid *oauthstore.InvalidTokenError
		require.ErrorAs(t, l.Validate(token), &invalid)
		require.Equal(t, field, invalid.Field)
	}
}

func TestLease_Check(t *testing.T) {
	had := oauthstore.OAuthToken{ID: "x", RefreshToken: "r1", AccessToken: "a1"}
	others := oauthstore.OAuthToken{ID: "x", RefreshToken: "r1", AccessToken: "of another holder"}
	replaced := oauthstore.OAuthToken{ID: "x", RefreshToken: "of another holder", AccessToken: "a3"}
	for name, c := range map[string]struct {
		never  bool
		now    *oauthstore.OAuthToken // nil: the record was deleted
		holder string
		save   oauthstore.OAuthToken
		want   error
	}{
		"a new access token under the lease":           {now: &had, holder: "me", save: oauthstore.OAuthToken{AccessToken: "a2"}},
		"a new refresh token under the lease":          {now: &had, holder: "me", save: oauthstore.OAuthToken{RefreshToken: "r2"}},
		"both after the lease, which nobody has used":  {now: &had, holder: "other", save: oauthstore.OAuthToken{RefreshToken: "r2", AccessToken: "a2"}},
		"an access token after the lease":              {now: &had, holder: "other", save: oauthstore.OAuthToken{AccessToken: "a2"}, want: oauthstore.ErrLeaseLost},
		"with the same refresh token after the lease":  {now: &had, holder: "other", save: oauthstore.OAuthToken{RefreshToken: "r1", AccessToken: "a2"}, want: oauthstore.ErrLeaseLost},
		"both after another has got an access token":   {now: &others, holder: "other", save: oauthstore.OAuthToken{RefreshToken: "r2", AccessToken: "a2"}, want: oauthstore.ErrLeaseLost},
		"a refresh token after another has stored one": {now: &replaced, holder: "other", save: oauthstore.OAuthToken{RefreshToken: "r2"}, want: oauthstore.ErrLeaseLost},
		"the same, under the lease":                    {now: &replaced, holder: "me", save: oauthstore.OAuthToken{RefreshToken: "r2"}, want: oauthstore.ErrLeaseLost},
		"nothing new, whoever has the lease":           {now: &had, holder: "other", save: oauthstore.OAuthToken{AccessToken: "a1"}},
		"a record that was deleted":                    {holder: "me", save: oauthstore.OAuthToken{AccessToken: "a2"}, want: oauthstore.ErrTokenNotFound},
		"a lease that was never had":                   {never: true, now: &had, save: oauthstore.OAuthToken{AccessToken: "a2"}, want: oauthstore.ErrLeaseLost},
	} {
		l := &oauthstore.Lease{Holder: "me", Held: !c.never, Token: &had}
		var r *oauthstore.Record
		if c.now != nil {
			r = &oauthstore.Record{Token: *c.now}
		}
		err := l.Check(r, c.holder, &c.save)
		require.ErrorIs(t, err, c.want, name)
	}
}
