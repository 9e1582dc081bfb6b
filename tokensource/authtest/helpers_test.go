package authtest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

// A fixture is a server whose clock stands still unless it is moved, and a client of it that follows no redirects.
type fixture struct {
	*authtest.Server
	t      *testing.T
	client *http.Client
}

// epoch is the time at which a fixture starts.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func start(t *testing.T, opts ...authtest.Option) fixture {
	t.Helper()
	clock := authtest.WithClock(func() time.Time { return epoch })
	srv := authtest.NewServer(append([]authtest.Option{clock}, opts...)...)
	transport := &http.Transport{}
	t.Cleanup(func() {
		srv.Close()
		transport.CloseIdleConnections()
	})
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return fixture{Server: srv, t: t, client: &http.Client{Transport: transport, CheckRedirect: stay}}
}

// A response is an answer that has been read.
type response struct {
	*http.Response
	t    *testing.T
	body string
}

func (f fixture) do(r *http.Request) response {
	f.t.Helper()
	resp, err := f.client.Do(r)
	require.NoError(f.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(f.t, err)
	return response{Response: resp, t: f.t, body: string(body)}
}

func (f fixture) request(method, path, body string) *http.Request {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), method, f.URL()+path, strings.NewReader(body))
	require.NoError(f.t, err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

// pairs makes a form of names and values in turn.
func pairs(form ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(form); i += 2 {
		v.Add(form[i], form[i+1])
	}
	return v
}

// post sends a form without any client authentication but what is in it.
func (f fixture) post(path string, form ...string) response {
	f.t.Helper()
	return f.do(f.request(http.MethodPost, path, pairs(form...).Encode()))
}

// token sends a form to the token endpoint as the default client.
func (f fixture) token(form ...string) response {
	f.t.Helper()
	r := f.request(http.MethodPost, "/token", pairs(form...).Encode())
	r.SetBasicAuth(authtest.ClientID, authtest.ClientSecret)
	return f.do(r)
}

func (f fixture) exchange(code string, more ...string) response {
	f.t.Helper()
	return f.token(append([]string{"grant_type", "authorization_code", "code", code}, more...)...)
}

func (f fixture) refresh(refreshToken string, more ...string) response {
	f.t.Helper()
	return f.token(append([]string{"grant_type", "refresh_token", "refresh_token", refreshToken}, more...)...)
}

func (f fixture) get(path, accessToken string) response {
	f.t.Helper()
	r := f.request(http.MethodGet, path, "")
	if accessToken != "" {
		r.Header.Set("Authorization", "Bearer "+accessToken)
	}
	return f.do(r)
}

// authorize sends the browser to the authorization endpoint.
func (f fixture) authorize(form ...string) response {
	f.t.Helper()
	return f.get("/authorize?"+pairs(form...).Encode(), "")
}

// family is the only one that there is.
func (f fixture) family() authtest.Family {
	f.t.Helper()
	families := f.Stats().Families
	require.Len(f.t, families, 1)
	return families[0]
}

// members reads a JSON object.
func (r response) members() map[string]any {
	r.t.Helper()
	require.Equal(r.t, "application/json;charset=UTF-8", r.Header.Get("Content-Type"))
	var m map[string]any
	require.NoError(r.t, json.Unmarshal([]byte(r.body), &m), r.body)
	return m
}

// secret returns a member of an answer with tokens.
func (r response) secret(name string) string {
	r.t.Helper()
	require.Equal(r.t, http.StatusOK, r.StatusCode, r.body)
	value, _ := r.members()[name].(string)
	require.NotEmpty(r.t, value, "%s in %s", name, r.body)
	return value
}

// requireError checks the status and the error code of RFC 6749, 5.2.
func (r response) requireError(status int, code string) {
	r.t.Helper()
	require.Equal(r.t, status, r.StatusCode, r.body)
	require.Equal(r.t, code, r.members()["error"], r.body)
	require.Equal(r.t, "no-store", r.Header.Get("Cache-Control"))
}

// location returns where a redirect goes, without its query, and the query.
func (r response) location() (string, url.Values) {
	r.t.Helper()
	require.Equal(r.t, http.StatusFound, r.StatusCode, r.body)
	u, err := r.Location()
	require.NoError(r.t, err)
	query := u.Query()
	u.RawQuery = ""
	return u.String(), query
}

// until waits for what must come to pass.
func until(condition func() bool) {
	for !condition() {
		time.Sleep(time.Millisecond)
	}
}
