package authtest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

// RFC 6749, 5.1.
func TestToken_answersWithTokens(t *testing.T) {
	f := start(t)
	r := f.exchange(f.Grant("alice", "read"))
	access, refresh := r.secret("access_token"), r.secret("refresh_token")
	require.Equal(t, map[string]any{
		"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 3600.0, "scope": "read",
	}, r.members())
	require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
	require.Equal(t, "no-cache", r.Header.Get("Pragma"))
	require.Equal(t, "alice", f.get("/resource", access).body)

	r = f.refresh(refresh)
	require.NotEqual(t, access, r.secret("access_token"))
	require.NotEqual(t, refresh, r.secret("refresh_token"))
}

// RFC 6749, 5.2 and 3.2.
func TestToken_refusesWhatItCannotRead(t *testing.T) {
	for name, c := range map[string]struct {
		body, contentType, want string
	}{
		"nothing":                {"", "application/x-www-form-urlencoded", "invalid_request"},
		"no grant_type":          {"code=c", "application/x-www-form-urlencoded", "invalid_request"},
		"no code":                {"grant_type=authorization_code", "application/x-www-form-urlencoded", "invalid_request"},
		"an empty code":          {"grant_type=authorization_code&code=", "application/x-www-form-urlencoded", "invalid_request"},
		"unknown code":           {"grant_type=authorization_code&code=c", "application/x-www-form-urlencoded", "invalid_grant"},
		"no refresh_token":       {"grant_type=refresh_token", "application/x-www-form-urlencoded", "invalid_request"},
		"unknown refresh_token":  {"grant_type=refresh_token&refresh_token=r", "application/x-www-form-urlencoded", "invalid_grant"},
		"a charset":              {"grant_type=refresh_token&refresh_token=r", "application/x-www-form-urlencoded; charset=UTF-8", "invalid_grant"},
		"unknown grant_type":     {"grant_type=password&username=u&password=p", "application/x-www-form-urlencoded", "unsupported_grant_type"},
		"grant_type twice":       {"grant_type=refresh_token&grant_type=refresh_token&refresh_token=r", "application/x-www-form-urlencoded", "invalid_request"},
		"refresh_token twice":    {"grant_type=refresh_token&refresh_token=r&refresh_token=r", "application/x-www-form-urlencoded", "invalid_request"},
		"unknown twice":          {"grant_type=refresh_token&refresh_token=r&x=1&x=2", "application/x-www-form-urlencoded", "invalid_grant"},
		"not form-encoded":       {"grant_type=%zz", "application/x-www-form-urlencoded", "invalid_request"},
		"JSON":                   {`{"grant_type":"refresh_token"}`, "application/json", "invalid_request"},
		"no type":                {"grant_type=refresh_token&refresh_token=r", "", "invalid_request"},
		"more than the body may": {"grant_type=refresh_token&refresh_token=" + strings.Repeat("r", 1<<20), "application/x-www-form-urlencoded", "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			r := f.request(http.MethodPost, "/token", c.body)
			r.SetBasicAuth(authtest.ClientID, authtest.ClientSecret)
			r.Header.Set("Content-Type", c.contentType)
			f.do(r).requireError(http.StatusBadRequest, c.want)
		})
	}
}

func TestAccessToken_expiresToTheMoment(t *testing.T) {
	for lifetime, expiresIn := range map[time.Duration]float64{
		time.Hour:               3600,
		90 * time.Second:        90,
		1999 * time.Millisecond: 1,
		time.Second:             1,
		200 * time.Millisecond:  1,
	} {
		f := start(t, authtest.WithAccessTokenLifetime(lifetime))
		r := f.exchange(f.Grant("alice"))
		require.Equal(t, expiresIn, r.members()["expires_in"], lifetime)
		f.Advance(lifetime - time.Nanosecond)
		require.Equal(t, http.StatusOK, f.get("/resource", r.secret("access_token")).StatusCode)
		f.Advance(time.Nanosecond)
		require.Equal(t, http.StatusUnauthorized, f.get("/resource", r.secret("access_token")).StatusCode)
	}
}

func TestRefreshToken_expiresFromItsOwnIssue(t *testing.T) {
	f := start(t, authtest.WithRefreshTokenLifetime(time.Hour))
	refresh := f.Issue("alice").RefreshToken
	for range 3 {
		f.Advance(time.Hour - time.Nanosecond)
		refresh = f.refresh(refresh).secret("refresh_token")
	}
	f.Advance(time.Hour)
	f.refresh(refresh).requireError(http.StatusBadRequest, "invalid_grant")
	require.False(t, f.family().Revoked)
	require.Empty(t, f.Stats().Reuses)
}

// RFC 6749, 6.
func TestRefresh_mayNarrowTheScope(t *testing.T) {
	f := start(t)
	r := f.refresh(f.Issue("alice", "read", "write").RefreshToken, "scope", "read")
	require.Equal(t, "read", r.secret("scope"))
	refresh := r.secret("refresh_token")
	for _, scope := range []string{"admin", "read admin", "read  write", " "} {
		f.refresh(refresh, "scope", scope).requireError(http.StatusBadRequest, "invalid_scope")
	}
	r = f.refresh(refresh)
	require.Equal(t, "read write", r.secret("scope"), "the refresh token has kept its scope, and was not used up")
}

func TestRefresh_refusesTheTokenOfAnotherClient(t *testing.T) {
	f := start(t, authtest.WithClients(authtest.Client{ID: "a"}, authtest.Client{ID: "b"}))
	first := f.Issue("alice").RefreshToken
	refresh := func(client, token string) response {
		return f.post("/token", "grant_type", "refresh_token", "client_id", client, "refresh_token", token)
	}
	refresh("b", first).requireError(http.StatusBadRequest, "invalid_grant")
	second := refresh("a", first).secret("refresh_token")
	refresh("b", first).requireError(http.StatusBadRequest, "invalid_grant")
	refresh("a", second).secret("refresh_token")
	require.Empty(t, f.Stats().Reuses, "a client cannot end what another has")
}

func TestMembers_areAddedReplacedAndLeftOut(t *testing.T) {
	f := start(t, authtest.WithMembers(map[string]any{
		"id_token": "e30.e30.", "api_domain": "https://api.example", "token_type": "bearer", "expires_in": nil,
	}))
	r := f.exchange(f.Grant("alice"))
	for range 2 {
		m := r.members()
		require.Equal(t, "e30.e30.", m["id_token"])
		require.Equal(t, "https://api.example", m["api_domain"])
		require.Equal(t, "bearer", m["token_type"])
		require.NotContains(t, m, "expires_in")
		r = f.refresh(r.secret("refresh_token"))
	}
}

func TestStringExpiresIn(t *testing.T) {
	f := start(t, authtest.WithStringExpiresIn())
	require.Equal(t, "3600", f.exchange(f.Grant("alice")).members()["expires_in"])
}

func TestZohoStyle(t *testing.T) {
	f := start(t, authtest.WithZohoStyle("https://www.zohoapis.example"), authtest.WithAccessTokenLifetime(1500*time.Millisecond))
	r := f.exchange(f.Grant("alice"))
	refresh := r.secret("refresh_token")
	m := f.refresh(refresh).members()
	require.Equal(t, 1500.0, m["expires_in"])
	require.Equal(t, 1.0, m["expires_in_sec"])
	require.Equal(t, "https://www.zohoapis.example", m["api_domain"])
	require.NotContains(t, m, "refresh_token")
	f.refresh(refresh).secret("access_token")

	f.refresh("another").requireError(http.StatusOK, "invalid_code")
	f.post("/token", "client_id", "another").requireError(http.StatusOK, "invalid_client")
	require.Equal(t, map[string]int{authtest.OK: 2, "invalid_grant": 1}, f.Stats().TokenRequests["refresh_token"], "in the RFC's terms")
}
