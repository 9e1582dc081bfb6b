package authtest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

// RFC 6749, 4.1.2.
func TestAuthorize_redirectsWithCodeAndState(t *testing.T) {
	f := start(t)
	f.SetUser("bob")
	r := f.authorize("response_type", "code", "client_id", authtest.ClientID,
		"redirect_uri", authtest.RedirectURI, "scope", "read write", "state", "a&b=ü", "unknown", "1", "unknown", "2")
	to, query := r.location()
	require.Equal(t, authtest.RedirectURI, to)
	require.Equal(t, "a&b=ü", query.Get("state"))
	require.Len(t, query, 2)
	require.Equal(t, "no-store", r.Header.Get("Cache-Control"))

	r = f.exchange(query.Get("code"), "redirect_uri", authtest.RedirectURI)
	require.Equal(t, "read write", r.secret("scope"))
	require.Equal(t, "bob", f.get("/resource", r.secret("access_token")).body)
}

// RFC 6749, 4.1.2.1: what the user is shown, since nobody says where to redirect to.
func TestAuthorize_showsTheUserWhatMayNotBeRedirected(t *testing.T) {
	two := authtest.Client{ID: "two", RedirectURIs: []string{"http://a.example/cb", "http://b.example/cb"}}
	none := authtest.Client{ID: "none"}
	f := start(t, authtest.WithClients(two, none))
	const uri = "http://a.example/cb"
	for name, form := range map[string][]string{
		"no client":                  {"redirect_uri", uri},
		"unknown client":             {"client_id", "three", "redirect_uri", uri},
		"two clients":                {"client_id", "two", "client_id", "two", "redirect_uri", uri},
		"redirect_uri is missing":    {"client_id", "two"},
		"none to redirect to":        {"client_id", "none"},
		"of nobody":                  {"client_id", "two", "redirect_uri", "http://c.example/cb"},
		"of another client":          {"client_id", "none", "redirect_uri", uri},
		"beginning of a registered":  {"client_id", "two", "redirect_uri", "http://a.example/"},
		"longer than the registered": {"client_id", "two", "redirect_uri", uri + "/"},
		"another query":              {"client_id", "two", "redirect_uri", uri + "?x=y"},
		"other case":                 {"client_id", "two", "redirect_uri", "http://A.example/cb"},
		"two redirect_uris":          {"client_id", "two", "redirect_uri", uri, "redirect_uri", uri},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.authorize(append(form, "response_type", "code", "state", "s")...)
			require.Equal(t, http.StatusBadRequest, r.StatusCode)
			require.Empty(t, r.Header.Get("Location"))
			require.NotEmpty(t, r.body)
			requests := f.Requests()
			require.Equal(t, "invalid_request", requests[len(requests)-1].Result)
		})
	}
}

// RFC 6749, 4.1.2.1, and RFC 7636, 4.4.1: what goes to the client.
func TestAuthorize_redirectsOtherErrors(t *testing.T) {
	challenge := strings.Repeat("c", 43)
	for name, c := range map[string]struct {
		want string
		form []string
	}{
		"no response_type":        {"invalid_request", nil},
		"response_type token":     {"unsupported_response_type", []string{"response_type", "token"}},
		"response_type twice":     {"invalid_request", []string{"response_type", "code", "response_type", "code"}},
		"scope twice":             {"invalid_request", []string{"response_type", "code", "scope", "read", "scope", "read"}},
		"unknown scope":           {"invalid_scope", []string{"response_type", "code", "scope", "read admin"}},
		"malformed scope":         {"invalid_scope", []string{"response_type", "code", "scope", `read  "`}},
		"short challenge":         {"invalid_request", []string{"response_type", "code", "code_challenge", challenge[1:]}},
		"challenge in base64":     {"invalid_request", []string{"response_type", "code", "code_challenge", challenge + "="}},
		"unknown transformation":  {"invalid_request", []string{"response_type", "code", "code_challenge", challenge, "code_challenge_method", "S512"}},
		"method and no challenge": {"invalid_request", []string{"response_type", "code", "code_challenge_method", "S256"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, authtest.WithScopes("read", "write"))
			to, query := f.authorize(append(c.form, "client_id", authtest.ClientID, "state", "s")...).location()
			require.Equal(t, authtest.RedirectURI, to)
			require.Equal(t, c.want, query.Get("error"))
			require.NotEmpty(t, query.Get("error_description"))
			require.Equal(t, "s", query.Get("state"))
			require.False(t, query.Has("code"))
			require.Equal(t, c.want, f.Requests()[0].Result)
		})
	}
}

func TestAuthorize_redirectsARefusalOfTheUser(t *testing.T) {
	f := start(t)
	f.SetUser("")
	_, query := f.authorize("client_id", authtest.ClientID, "response_type", "code").location()
	require.Equal(t, "access_denied", query.Get("error"))
	require.False(t, query.Has("state"), "there was none in the request")
}

// RFC 7636, 4.4.1.
func TestAuthorize_canRequirePKCE(t *testing.T) {
	f := start(t, authtest.WithClients(authtest.Client{ID: "app", Secret: "s", RedirectURIs: []string{"app.example:/cb"}, RequirePKCE: true}))
	to, query := f.authorize("client_id", "app", "response_type", "code").location()
	require.Equal(t, "app.example:/cb", to)
	require.Equal(t, "invalid_request", query.Get("error"))
	require.Equal(t, "code challenge required", query.Get("error_description"))
}

// RFC 9700, 2.1.1: "Public clients MUST use PKCE".
func TestAuthorize_requiresPKCEOfAPublicClient(t *testing.T) {
	f := start(t, authtest.WithClients(authtest.Client{ID: "app", RedirectURIs: []string{"app.example:/cb"}}))
	_, query := f.authorize("client_id", "app", "response_type", "code").location()
	require.Equal(t, "invalid_request", query.Get("error"))
	require.Equal(t, "code challenge required", query.Get("error_description"))
	require.False(t, query.Has("code"))

	verifier := strings.Repeat("v", 43)
	_, query = f.authorize("client_id", "app", "response_type", "code", "code_challenge", verifier).location()
	form := []string{"grant_type", "authorization_code", "client_id", "app", "code", query.Get("code")}
	f.post("/token", form...).requireError(http.StatusBadRequest, "invalid_grant")
	f.post("/token", append(form, "code_verifier", verifier)...).secret("access_token")
}

// RFC 6749, 3.1.2: "The query component MUST be retained when adding additional query parameters."
func TestAuthorize_keepsTheQueryOfTheRedirectURI(t *testing.T) {
	for registered, want := range map[string]string{
		"http://127.0.0.1/cb?b=2&a=1": "http://127.0.0.1/cb?b=2&a=1&code=",
		"http://127.0.0.1/cb?a=1&":    "http://127.0.0.1/cb?a=1&code=",
		"http://127.0.0.1/cb":         "http://127.0.0.1/cb?code=",
	} {
		f := start(t, authtest.WithClients(authtest.Client{ID: "app", Secret: "s", RedirectURIs: []string{registered}}))
		r := f.authorize("client_id", "app", "response_type", "code", "redirect_uri", registered)
		require.True(t, strings.HasPrefix(r.Header.Get("Location"), want), r.Header.Get("Location"))
	}
}

// RFC 6749, 3.3: with no scope in the request it is the default.
func TestScope_isAllWhereNoneIsAskedFor(t *testing.T) {
	f := start(t, authtest.WithScopes("read", "write"))
	require.Equal(t, "read write", f.exchange(f.Grant("alice")).secret("scope"))
	require.Equal(t, "write", f.exchange(f.Grant("alice", "write")).secret("scope"))
	_, query := f.authorize("client_id", authtest.ClientID, "response_type", "code").location()
	require.Equal(t, "read write", f.exchange(query.Get("code")).secret("scope"))

	f = start(t)
	require.NotContains(t, f.exchange(f.Grant("alice")).members(), "scope")
}

// RFC 6749, 4.1.3: redirect_uri is that of the authorization request.
func TestExchange_comparesTheRedirectURI(t *testing.T) {
	client := authtest.Client{ID: "app", Secret: "s", RedirectURIs: []string{"http://a.example/cb"}}
	for name, c := range map[string]struct{ asked, sent, want string }{
		"the same":            {"http://a.example/cb", "http://a.example/cb", ""},
		"another":             {"http://a.example/cb", "http://b.example/cb", "invalid_grant"},
		"left out":            {"http://a.example/cb", "", "invalid_request"},
		"left out both times": {"", "", ""},
		"that of the default": {"", "http://a.example/cb", ""},
		"another than that":   {"", "http://b.example/cb", "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, authtest.WithClients(client))
			_, query := f.authorize("client_id", "app", "response_type", "code", "redirect_uri", c.asked).location()
			form := []string{"grant_type", "authorization_code", "client_id", "app", "client_secret", "s", "code", query.Get("code"), "redirect_uri", c.sent}
			r := f.post("/token", form...)
			if c.want == "" {
				r.secret("access_token")
				return
			}
			r.requireError(http.StatusBadRequest, c.want)
			right := append(form[:8:8], "redirect_uri", c.asked)
			f.post("/token", right...).secret("access_token") // the refusal has not used the code up
		})
	}
}

func TestExchange_refusesACodeThatHasExpired(t *testing.T) {
	f := start(t, authtest.WithCodeLifetime(time.Minute))
	early, late := f.Grant("alice"), f.Grant("alice")
	f.Advance(time.Minute - time.Nanosecond)
	f.exchange(early).secret("access_token")
	f.Advance(time.Nanosecond)
	f.exchange(late).requireError(http.StatusBadRequest, "invalid_grant")
}

// RFC 6749, 4.1.2: "the authorization server MUST deny the request and SHOULD revoke (when possible) all tokens
// previously issued based on that authorization code."
func TestExchange_revokesTheTokensOfACodeThatIsUsedTwice(t *testing.T) {
	f := start(t)
	code := f.Grant("alice")
	first := f.exchange(code)
	access, second := first.secret("access_token"), f.refresh(first.secret("refresh_token"))
	require.Equal(t, http.StatusOK, f.get("/resource", access).StatusCode)

	f.Advance(24 * time.Hour) // the code has expired as well
	f.exchange(code).requireError(http.StatusBadRequest, "invalid_grant")
	f.refresh(second.secret("refresh_token")).requireError(http.StatusBadRequest, "invalid_grant")
	require.True(t, f.family().Revoked)
	require.Empty(t, f.Stats().Reuses, "it was a code")
}

func TestExchange_refusesTheCodeOfAnotherClient(t *testing.T) {
	f := start(t, authtest.WithClients(authtest.Client{ID: "a"}, authtest.Client{ID: "b"}))
	code := f.Grant("alice")
	exchange := func(client string) response {
		return f.post("/token", "grant_type", "authorization_code", "client_id", client, "code", code)
	}
	exchange("b").requireError(http.StatusBadRequest, "invalid_grant")
	exchange("a").secret("access_token")
	exchange("b").requireError(http.StatusBadRequest, "invalid_grant")
	require.False(t, f.family().Revoked, "a client cannot end what another has")
}

func TestPKCE(t *testing.T) {
	// The verifier and its challenge are those of RFC 7636, appendix B.
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	for name, c := range map[string]struct{ challenge, method, verifier, want string }{
		"S256":                   {challenge, "S256", verifier, ""},
		"plain":                  {verifier, "plain", verifier, ""},
		"plain by default":       {verifier, "", verifier, ""},
		"none":                   {"", "", "", ""},
		"another verifier":       {challenge, "S256", strings.ToLower(verifier), "invalid_grant"},
		"the challenge itself":   {challenge, "S256", challenge, "invalid_grant"},
		"plain, another":         {verifier, "plain", challenge, "invalid_grant"},
		"no verifier":            {challenge, "S256", "", "invalid_grant"},
		"short verifier":         {challenge, "S256", verifier[1:], "invalid_request"},
		"long verifier":          {challenge, "S256", strings.Repeat("v", 129), "invalid_request"},
		"verifier, no challenge": {"", "", verifier, "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			_, query := f.authorize("client_id", authtest.ClientID, "response_type", "code",
				"code_challenge", c.challenge, "code_challenge_method", c.method).location()
			r := f.exchange(query.Get("code"), "code_verifier", c.verifier)
			if c.want == "" {
				r.secret("access_token")
			} else {
				r.requireError(http.StatusBadRequest, c.want)
			}
		})
	}
}

func TestAuthorize_refusesAQueryThatCannotBeRead(t *testing.T) {
	f := start(t)
	r := f.get("/authorize?client_id="+url.QueryEscape(authtest.ClientID)+"&state=%zz", "")
	require.Equal(t, http.StatusBadRequest, r.StatusCode)
}
