package authtest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

// RFC 6750, 2.1 and 3.
func TestResource(t *testing.T) {
	f := start(t)
	tokens := f.Issue("alice")
	const challenge = `Bearer realm="authtest"`
	const invalid = challenge + `, error="invalid_token", error_description="the access token is unknown, expired or revoked"`
	for _, c := range []struct {
		header string
		status int
		want   string // WWW-Authenticate
		result string
	}{
		{"Bearer " + tokens.AccessToken, 200, "", authtest.OK},
		{"bearer " + tokens.AccessToken, 200, "", authtest.OK},
		{"", 401, challenge, "unauthorized"},
		{"Bearer", 401, challenge, "unauthorized"},
		{"Basic YTpi", 401, challenge, "unauthorized"},
		{"Bearer x", 401, invalid, "invalid_token"},
		{"Bearer " + tokens.RefreshToken, 401, invalid, "invalid_token"},
	} {
		r := f.request(http.MethodGet, "/resource", "")
		r.Header.Set("Authorization", c.header)
		answer := f.do(r)
		require.Equal(t, c.status, answer.StatusCode, c.header)
		require.Equal(t, c.want, answer.Header.Get("WWW-Authenticate"), c.header)
		require.Equal(t, c.status == 200, answer.body == "alice", c.header)
		requests := f.Requests()
		require.Equal(t, c.result, requests[len(requests)-1].Result)
	}
}

// RFC 7009, 2.1 and 2.2.
func TestRevocation(t *testing.T) {
	f := start(t, authtest.WithClients(authtest.Client{ID: "a"}, authtest.Client{ID: "b"}))
	tokens := f.Issue("alice")
	revoke := func(client, token string) response { return f.post("/revoke", "client_id", client, "token", token) }

	revoke("b", tokens.AccessToken).requireError(http.StatusBadRequest, "invalid_grant")
	revoke("b", tokens.RefreshToken).requireError(http.StatusBadRequest, "invalid_grant")
	revoke("a", "").requireError(http.StatusBadRequest, "invalid_request")
	revoke("c", "x").requireError(http.StatusBadRequest, "invalid_client")
	require.Equal(t, http.StatusOK, revoke("a", "unknown").StatusCode)
	require.Equal(t, "alice", f.get("/resource", tokens.AccessToken).body)

	require.Equal(t, http.StatusOK, revoke("a", tokens.AccessToken).StatusCode)
	require.Equal(t, http.StatusUnauthorized, f.get("/resource", tokens.AccessToken).StatusCode)
	require.False(t, f.family().Revoked, "an access token goes alone")

	refreshed := f.post("/token", "grant_type", "refresh_token", "client_id", "a", "refresh_token", tokens.RefreshToken)
	require.Equal(t, http.StatusOK, revoke("a", refreshed.secret("refresh_token")).StatusCode)
	require.Equal(t, http.StatusUnauthorized, f.get("/resource", refreshed.secret("access_token")).StatusCode)
	require.True(t, f.family().Revoked)
}
