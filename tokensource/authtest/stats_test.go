package authtest_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

func TestRequests_tellWhatWasAskedAndWhatCameOfIt(t *testing.T) {
	f := start(t)
	code := f.Grant("alice")
	r := f.exchange(code)
	f.Advance(time.Second)
	f.refresh(r.secret("refresh_token"))
	f.get("/resource", r.secret("access_token"))
	f.exchange(code)
	f.post("/token", "grant_type", "password", "client_id", authtest.ClientID)
	f.post("/revoke", "client_id", "nobody", "token", r.secret("access_token"))
	f.authorize("client_id", authtest.ClientID, "response_type", "code")
	f.get("/elsewhere", "")

	const id, family = authtest.ClientID, "family-1"
	later := epoch.Add(time.Second)
	require.Equal(t, []authtest.Request{
		{Op: "authorization_code", ClientID: id, User: "alice", Family: family, Time: epoch, Result: authtest.OK},
		{Op: "refresh_token", ClientID: id, User: "alice", Family: family, Time: later, Result: authtest.OK},
		{Op: "resource", User: "alice", Family: family, Time: later, Result: authtest.OK},
		{Op: "authorization_code", ClientID: id, User: "alice", Family: family, Time: later, Result: "invalid_grant"},
		{Op: "token", ClientID: id, Time: later, Result: "invalid_client"},
		{Op: "revoke", User: "alice", Family: family, Time: later, Result: "invalid_client"},
		{Op: "authorize", ClientID: id, User: "alice", Time: later, Result: authtest.OK},
		{Op: "unknown", Time: later, Result: "not_found"},
	}, f.Requests())
}

func TestStats_countTokenRequestsByGrantAndResult(t *testing.T) {
	f := start(t)
	require.Equal(t, authtest.Stats{TokenRequests: map[string]map[string]int{}}, f.Stats())
	r := f.exchange(f.Grant("alice"))
	f.exchange("unknown")
	f.refresh(r.secret("refresh_token"))
	f.refresh("unknown")
	f.refresh("unknown")
	f.token("grant_type", "password")
	f.token()
	f.get("/resource", "")
	f.Inject(authtest.Fault{Kind: authtest.Drop})
	_, err := f.client.Post(f.URL()+"/token", "application/x-www-form-urlencoded", nil)
	require.Error(t, err)
	require.Equal(t, map[string]map[string]int{
		"authorization_code": {authtest.OK: 1, "invalid_grant": 1},
		"refresh_token":      {authtest.OK: 1, "invalid_grant": 2},
		"token":              {"unsupported_grant_type": 1, "invalid_request": 1, authtest.Unprocessed: 1},
	}, f.Stats().TokenRequests)
}

func TestStats_countAccessTokensThatAreGood(t *testing.T) {
	f := start(t)
	alice := f.Issue("alice")
	f.Advance(30 * time.Minute)
	f.Issue("bob")
	f.refresh(alice.RefreshToken)
	require.Equal(t, 3, f.Stats().AccessTokens)
	f.Advance(30 * time.Minute)
	stats := f.Stats()
	require.Equal(t, 2, stats.AccessTokens, "the first has expired")
	require.Equal(t, 1, stats.Families[0].AccessTokens)
	f.Revoke("bob")
	require.Equal(t, 1, f.Stats().AccessTokens)
}

func TestStats_areExactUnderLoad(t *testing.T) {
	const users, refreshes = 8, 10
	f := start(t)
	f.SetLatency(authtest.Latency{Jitter: time.Millisecond})
	config, ctx := f.config(oauth2.AuthStyleInHeader)
	var all sync.WaitGroup
	for i := range users {
		tokens := f.Issue("user-" + strconv.Itoa(i))
		all.Add(1)
		go func() {
			defer all.Done()
			refresh := tokens.RefreshToken
			for range refreshes {
				token, err := refreshed(ctx, config, refresh)
				if err != nil {
					t.Error(err)
					return
				}
				refresh = token.RefreshToken
				f.Stats()
			}
		}()
	}
	all.Wait()
	stats := f.Stats()
	require.Equal(t, users*refreshes, stats.TokenRequests["refresh_token"][authtest.OK])
	require.Equal(t, users*(refreshes+1), stats.AccessTokens)
	require.Empty(t, stats.Reuses)
	for _, family := range stats.Families {
		require.Equal(t, refreshes, family.Refreshes)
		require.False(t, family.Revoked)
	}
}
