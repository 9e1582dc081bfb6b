package authtest_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

// RFC 9700, 4.14.2: with a superseded refresh token comes either a thief or the one who was robbed.
func TestRotation_revokesTheFamilyOnReuse(t *testing.T) {
	f := start(t)
	first := f.Issue("alice")
	second := f.refresh(first.RefreshToken)
	third := f.refresh(second.secret("refresh_token"))
	for _, access := range []string{first.AccessToken, second.secret("access_token"), third.secret("access_token")} {
		require.Equal(t, http.StatusOK, f.get("/resource", access).StatusCode, "a refresh leaves access tokens alone")
	}
	require.Equal(t, authtest.Family{
		ID: first.Family, User: "alice", ClientID: authtest.ClientID, Refreshes: 2, AccessTokens: 3,
	}, f.family())

	f.Advance(time.Minute)
	f.refresh(first.RefreshToken).requireError(http.StatusBadRequest, "invalid_grant")
	for _, access := range []string{first.AccessToken, second.secret("access_token"), third.secret("access_token")} {
		require.Equal(t, http.StatusUnauthorized, f.get("/resource", access).StatusCode)
	}
	f.refresh(third.secret("refresh_token")).requireError(http.StatusBadRequest, "invalid_grant")
	require.Equal(t, authtest.Family{
		ID: first.Family, User: "alice", ClientID: authtest.ClientID, Refreshes: 2, Reuses: 1, Revoked: true,
	}, f.family())
	require.Equal(t, []authtest.Reuse{{Family: first.Family, User: "alice", Time: epoch.Add(time.Minute)}}, f.Stats().Reuses)
}

func TestRotation_leavesOtherFamiliesAlone(t *testing.T) {
	f := start(t)
	stolen, other := f.Issue("alice"), f.Issue("alice")
	f.refresh(stolen.RefreshToken)
	f.refresh(stolen.RefreshToken).requireError(http.StatusBadRequest, "invalid_grant")
	f.refresh(other.RefreshToken).secret("refresh_token")
	families := f.Stats().Families
	require.True(t, families[0].Revoked)
	require.False(t, families[1].Revoked)
}

func TestRotation_canBeOff(t *testing.T) {
	for rotation, repeated := range map[authtest.Rotation]bool{authtest.Repeat: true, authtest.Omit: false} {
		f := start(t, authtest.WithRotation(rotation))
		first := f.exchange(f.Grant("alice")).secret("refresh_token")
		for range 3 {
			r := f.refresh(first)
			r.secret("access_token")
			require.Equal(t, repeated, r.members()["refresh_token"] == first)
			require.Equal(t, repeated, r.members()["refresh_token"] != nil)
		}
		require.Equal(t, 3, f.family().Refreshes)
		require.Empty(t, f.Stats().Reuses)
	}
}

func TestReuseDetection_canBeOff(t *testing.T) {
	f := start(t, authtest.WithoutReuseDetection())
	first := f.Issue("alice").RefreshToken
	second := f.refresh(first).secret("refresh_token")
	f.refresh(first).requireError(http.StatusBadRequest, "invalid_grant")
	f.refresh(second).secret("refresh_token")
	require.Equal(t, 1, f.family().Reuses, "it is seen all the same")
	require.False(t, f.family().Revoked)
}

func TestReuseGrace_answersWithTheNewestRefreshToken(t *testing.T) {
	f := start(t, authtest.WithReuseGrace(time.Minute))
	first := f.Issue("alice").RefreshToken
	r := f.refresh(first)
	second := r.secret("refresh_token")
	f.Advance(time.Minute - time.Nanosecond)
	again := f.refresh(first)
	require.Equal(t, second, again.secret("refresh_token"))
	require.NotEqual(t, r.secret("access_token"), again.secret("access_token"))
	require.Equal(t, 2, f.family().Refreshes)
	require.Equal(t, 1, f.family().Graced)
	require.Empty(t, f.Stats().Reuses)

	third := f.refresh(second).secret("refresh_token")
	require.Equal(t, third, f.refresh(first).secret("refresh_token"))
	f.Advance(time.Nanosecond)
	f.refresh(first).requireError(http.StatusBadRequest, "invalid_grant")
	require.True(t, f.family().Revoked)
	f.refresh(second).requireError(http.StatusBadRequest, "invalid_grant")
	require.Equal(t, 1, f.family().Reuses, "the second was in its grace period still")
}

func TestRevoke_endsAllFamiliesOfAUser(t *testing.T) {
	f := start(t)
	alice, again, bob := f.Issue("alice"), f.Issue("alice"), f.Issue("bob")
	f.Revoke("alice")
	for _, tokens := range []authtest.Tokens{alice, again} {
		f.refresh(tokens.RefreshToken).requireError(http.StatusBadRequest, "invalid_grant")
		require.Equal(t, http.StatusUnauthorized, f.get("/resource", tokens.AccessToken).StatusCode)
	}
	require.Equal(t, "bob", f.get("/resource", bob.AccessToken).body)
	require.Empty(t, f.Stats().Reuses, "a revoked token is not a superseded one")

	f.RevokeFamily(bob.Family)
	f.refresh(bob.RefreshToken).requireError(http.StatusBadRequest, "invalid_grant")
	require.Zero(t, f.Stats().AccessTokens)
}

func TestRefresh_atTheSameTimeSucceedsOnce(t *testing.T) {
	const processes = 20
	f := start(t)
	tokens := f.Issue("alice")
	var all sync.WaitGroup
	statuses := make(chan int, processes)
	for range processes {
		all.Add(1)
		go func() {
			defer all.Done()
			resp, err := f.client.PostForm(f.URL()+"/token", pairs("grant_type", "refresh_token", "refresh_token", tokens.RefreshToken,
				"client_id", authtest.ClientID, "client_secret", authtest.ClientSecret))
			if err == nil {
				statuses <- resp.StatusCode
				_ = resp.Body.Close()
			}
		}()
	}
	all.Wait()
	close(statuses)
	count := make(map[int]int)
	for s := range statuses {
		count[s]++
	}
	require.Equal(t, map[int]int{http.StatusOK: 1, http.StatusBadRequest: processes - 1}, count)
	require.Equal(t, map[string]int{authtest.OK: 1, "invalid_grant": processes - 1}, f.Stats().TokenRequests["refresh_token"])
	require.Len(t, f.Stats().Reuses, processes-1)
	require.Equal(t, 1, f.family().Refreshes)
	require.True(t, f.family().Revoked)
}
