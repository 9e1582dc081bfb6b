package authtest_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

// RFC 6749, 2.3.1, 3.2.1 and 5.2.
func TestClientAuthentication(t *testing.T) {
	const basicOnly, postOnly, public = "basic", "post", "public"
	const odd, oddSecret = "odd: client/é", "100% +secret:&=" // must be encoded before they go into HTTP Basic
	clients := authtest.WithClients(
		authtest.Client{ID: "both", Secret: "s"},
		authtest.Client{ID: basicOnly, Secret: "s", Auth: authtest.ClientSecretBasic},
		authtest.Client{ID: postOnly, Secret: "s", Auth: authtest.ClientSecretPost},
		authtest.Client{ID: public},
		authtest.Client{ID: odd, Secret: oddSecret},
	)
	basic := func(id, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
	}
	raw := "Basic " + base64.StdEncoding.EncodeToString([]byte(odd+":"+oddSecret))

	for name, c := range map[string]struct {
		header string
		form   []string
		status int
		code   string
	}{
		"Basic":                      {basic("both", "s"), nil, 200, ""},
		"body":                       {"", []string{"client_id", "both", "client_secret", "s"}, 200, ""},
		"Basic and the same id":      {basic("both", "s"), []string{"client_id", "both"}, 200, ""},
		"encoded values":             {basic(odd, oddSecret), nil, 200, ""},
		"values in the body":         {"", []string{"client_id", odd, "client_secret", oddSecret}, 200, ""},
		"Basic where only that":      {basic(basicOnly, "s"), nil, 200, ""},
		"body where only that":       {"", []string{"client_id", postOnly, "client_secret", "s"}, 200, ""},
		"public client":              {"", []string{"client_id", public}, 200, ""},
		"public, empty secret":       {"", []string{"client_id", public, "client_secret", ""}, 200, ""},
		"raw values in Basic":        {raw, nil, 401, "invalid_client"},
		"wrong secret":               {basic("both", "x"), nil, 401, "invalid_client"},
		"wrong secret in the body":   {"", []string{"client_id", "both", "client_secret", "x"}, 400, "invalid_client"},
		"no secret":                  {"", []string{"client_id", "both"}, 400, "invalid_client"},
		"empty secret in Basic":      {basic("both", ""), nil, 401, "invalid_client"},
		"unknown client":             {basic("nobody", "s"), nil, 401, "invalid_client"},
		"unknown client in the body": {"", []string{"client_id", "nobody", "client_secret", "s"}, 400, "invalid_client"},
		"nothing":                    {"", nil, 400, "invalid_client"},
		"another scheme":             {"Bearer both", nil, 401, "invalid_client"},
		"not base64":                 {"Basic !", nil, 401, "invalid_client"},
		"Basic where only body":      {basic(postOnly, "s"), nil, 401, "invalid_client"},
		"body where only Basic":      {"", []string{"client_id", basicOnly, "client_secret", "s"}, 400, "invalid_client"},
		"public with a secret":       {"", []string{"client_id", public, "client_secret", "s"}, 400, "invalid_client"},
		"public in Basic":            {basic(public, ""), nil, 401, "invalid_client"},
		"both ways":                  {basic("both", "s"), []string{"client_id", "both", "client_secret", "s"}, 400, "invalid_request"},
		"two ids":                    {basic("both", "s"), []string{"client_id", public}, 400, "invalid_request"},
		"client_id twice":            {"", []string{"client_id", public, "client_id", public}, 400, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, clients)
			// Revocation of a token that there is not succeeds for everybody who is a client.
			r := f.request(http.MethodPost, "/revoke", pairs(append(c.form, "token", "x")...).Encode())
			if c.header != "" {
				r.Header.Set("Authorization", c.header)
			}
			revocation := f.do(r)
			require.Equal(t, c.status, revocation.StatusCode, revocation.body)

			r = f.request(http.MethodPost, "/token", pairs(append(c.form, "grant_type", "refresh_token", "refresh_token", "x")...).Encode())
			if c.header != "" {
				r.Header.Set("Authorization", c.header)
			}
			answer := f.do(r)
			if c.code == "" {
				answer.requireError(http.StatusBadRequest, "invalid_grant") // past the authentication
				return
			}
			answer.requireError(c.status, c.code)
			require.Equal(t, c.status == 401, answer.Header.Get("WWW-Authenticate") == `Basic realm="authtest"`)
		})
	}
}

func TestClientAuthentication_doesNotTakeTheURL(t *testing.T) {
	f := start(t)
	query := pairs("client_id", authtest.ClientID, "client_secret", authtest.ClientSecret).Encode()
	f.post("/token?"+query, "grant_type", "refresh_token", "refresh_token", f.Issue("alice").RefreshToken).
		requireError(http.StatusBadRequest, "invalid_client")
}

func TestClientAuthentication_comesFirst(t *testing.T) {
	f := start(t)
	code, tokens := f.Grant("alice"), f.Issue("bob")
	f.post("/token", "grant_type", "authorization_code", "code", code).requireError(http.StatusBadRequest, "invalid_client")
	f.post("/token", "grant_type", "refresh_token", "refresh_token", tokens.RefreshToken).requireError(http.StatusBadRequest, "invalid_client")
	f.exchange(code).secret("access_token")
	f.refresh(tokens.RefreshToken).secret("access_token")
}
