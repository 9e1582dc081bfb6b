package authtest_test

import (
	"net/http"
	"strings"
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
	const malformed = challenge + `, error="invalid_request", error_description="the Authorization header is malformed"`
	for _, c := range []struct {
		header string
		status int
		want   string // WWW-Authenticate
		result string
	}{
		{"Bearer " + tokens.AccessToken, 200, "", authtest.OK},
		{"bearer " + tokens.AccessToken, 200, "", authtest.OK},
		{"", 401, challenge, "unauthorized"},
		{"Basic YTpi", 401, challenge, "unauthorized"},
		{"Bearer  " + tokens.AccessToken, 200, "", authtest.OK}, // 1*SP
		{"Bearer", 400, malformed, "invalid_request"},
		{"Bearer " + tokens.AccessToken + " " + tokens.AccessToken, 400, malformed, "invalid_request"},
		{"Bearer " + tokens.AccessToken + ", Bearer " + tokens.AccessToken, 400, malformed, "invalid_request"},
		{`Bearer "` + tokens.AccessToken + `"`, 400, malformed, "invalid_request"},
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

// RFC 6750, 2: "Clients MUST NOT use more than one method to transmit the token in each request." And 3.1.
func TestResource_takesATokenOnceAndInTheHeader(t *testing.T) {
	f := start(t)
	header := "Bearer " + f.Issue("alice").AccessToken
	token := strings.TrimPrefix(header, "Bearer ")
	for name, c := range map[string]struct {
		query   string
		headers []string
		status  int
		result  string
	}{
		"header":           {"", []string{header}, 200, authtest.OK},
		"an empty query":   {"?access_token=", []string{header}, 200, authtest.OK},
		"query":            {"?access_token=" + token, nil, 401, "unauthorized"},
		"header and query": {"?access_token=" + token, []string{header}, 400, "invalid_request"},
		"two headers":      {"", []string{header, header}, 400, "invalid_request"},
		"twice in a query": {"?access_token=" + token + "&access_token=" + token, nil, 400, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.request(http.MethodGet, "/resource"+c.query, "")
			for _, h := range c.headers {
				r.Header.Add("Authorization", h)
			}
			answer := f.do(r)
			require.Equal(t, c.status, answer.StatusCode)
			require.Equal(t, c.status == 400, strings.Contains(answer.Header.Get("WWW-Authenticate"), `error="invalid_request"`))
			requests := f.Requests()
			require.Equal(t, c.result, requests[len(requests)-1].Result)
		})
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
