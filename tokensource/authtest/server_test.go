package authtest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

func TestServer_answersWhatItDoesNotKnowInJSON(t *testing.T) {
	f := start(t)
	for _, c := range []struct {
		method, path string
		status       int
		code, allow  string
	}{
		{http.MethodGet, "/", http.StatusNotFound, "not_found", ""},
		{http.MethodPost, "/tokens", http.StatusNotFound, "not_found", ""},
		{http.MethodGet, "/token", http.StatusMethodNotAllowed, "invalid_request", "POST"},
		{http.MethodPut, "/revoke", http.StatusMethodNotAllowed, "invalid_request", "POST"},
		{http.MethodPost, "/authorize", http.StatusMethodNotAllowed, "invalid_request", "GET"},
		{http.MethodPost, "/resource", http.StatusMethodNotAllowed, "invalid_request", "GET"},
	} {
		r := f.do(f.request(c.method, c.path, ""))
		r.requireError(c.status, c.code)
		require.Equal(t, c.allow, r.Header.Get("Allow"), c.path)
	}
}

func TestClose_endsRequestsThatWait(t *testing.T) {
	f := start(t)
	f.SetLatency(authtest.Latency{Before: time.Hour})
	failed := make(chan error)
	go func() {
		_, err := f.client.Get(f.URL() + "/resource")
		failed <- err
	}()
	until(func() bool { return len(f.Requests()) == 1 })
	f.Close()
	require.Error(t, <-failed)
	require.Empty(t, f.Requests()[0].Result, "it never took effect")
	f.Close() // a second time is nothing
	_, err := f.client.Get(f.URL() + "/resource")
	require.Error(t, err)
}

func TestServer_isAHandlerForAnotherSocket(t *testing.T) {
	f := start(t)
	tls := httptest.NewTLSServer(f.Server)
	defer tls.Close()
	resp, err := tls.Client().Get(tls.URL + "/resource")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	f.Close()
	_, err = tls.Client().Get(tls.URL + "/resource")
	require.Error(t, err, "closed is closed, on any socket")
}

func TestServer_servesOtherProcesses(t *testing.T) {
	const address, refreshToken = "AUTHTEST_URL", "AUTHTEST_REFRESH_TOKEN"
	if base := os.Getenv(address); base != "" {
		resp, err := http.PostForm(base+"/token", url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {os.Getenv(refreshToken)},
			"client_id": {authtest.ClientID}, "client_secret": {authtest.ClientSecret},
		})
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return
	}
	f := start(t)
	tokens := f.Issue("alice")
	var output []string
	for range 2 {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), address+"="+f.URL(), refreshToken+"="+tokens.RefreshToken)
		out, err := child.CombinedOutput()
		output = append(output, string(out))
		require.NoError(t, err, output)
	}
	require.Equal(t, map[string]int{authtest.OK: 1, "invalid_grant": 1}, f.Stats().TokenRequests["refresh_token"], output)
	require.Len(t, f.Stats().Reuses, 1, "both processes had the same refresh token")
}

func TestClock_isTheCallersAndMovesAhead(t *testing.T) {
	f := start(t)
	require.Equal(t, epoch, f.Now())
	f.Advance(time.Hour)
	require.Equal(t, epoch.Add(time.Hour), f.Now())
	require.Equal(t, epoch.Add(2*time.Hour), f.Issue("alice").Expiry)
}

func TestNoSecretLeavesTheServerButInItsAnswers(t *testing.T) {
	f := start(t)
	code, tokens := f.Grant("alice"), f.Issue("bob")
	newer := f.refresh(tokens.RefreshToken).secret("refresh_token")
	f.exchange(code)
	answers := []response{
		f.exchange(code),
		f.refresh(tokens.RefreshToken),
		f.token("grant_type", tokens.RefreshToken),
		f.post("/token", "client_id", newer, "client_secret", authtest.ClientSecret),
		f.post("/revoke", "client_id", authtest.ClientID, "client_secret", newer, "token", newer),
		f.get("/resource", newer),
		f.get("/"+newer, ""),
		f.authorize("client_id", newer, "redirect_uri", newer),
	}
	said := fmt.Sprintf("%+v %+v", f.Requests(), f.Stats())
	for _, a := range answers {
		said += fmt.Sprint(a.body, a.Header)
	}
	for _, secret := range []string{code, newer, tokens.AccessToken, tokens.RefreshToken, authtest.ClientSecret, "access-", "refresh-", "code-"} {
		require.False(t, strings.Contains(said, secret), "%s in %s", secret, said)
	}
}

func TestSecrets_areAllDifferent(t *testing.T) {
	f := start(t)
	seen := make(map[string]bool)
	for range 100 {
		tokens := f.Issue("alice")
		seen[tokens.AccessToken], seen[tokens.RefreshToken], seen[f.Grant("alice")] = true, true, true
	}
	require.Len(t, seen, 300)
}

func TestMistakesInATestPanic(t *testing.T) {
	f := start(t, authtest.WithScopes("read"))
	require.PanicsWithValue(t, "authtest: RevokeFamily: there is no family-7", func() { f.RevokeFamily("family-7") })
	require.PanicsWithValue(t, "authtest: there is no such scope", func() { f.Issue("alice", "write") })
	require.PanicsWithValue(t, "authtest: there is no such scope", func() { f.Grant("alice", "write") })
	for _, uri := range []string{
		"/callback", "http://127.0.0.1/callback#here", "http://127.0.0.1/callback#", "http://%zz",
		"javascript:alert(1)", "JavaScript://a.example/%0aalert(1)", "data:text/html,x",
	} {
		require.PanicsWithValue(t, "authtest: client c: not a redirect URI: "+uri, func() {
			authtest.NewServer(authtest.WithClients(authtest.Client{ID: "c", RedirectURIs: []string{uri}}))
		})
	}
	require.PanicsWithValue(t, "authtest: a client has no ID", func() {
		authtest.NewServer(authtest.WithClients(authtest.Client{ID: "a"}, authtest.Client{Secret: "s"}))
	})
	require.PanicsWithValue(t, "authtest: client a is registered twice", func() {
		authtest.NewServer(authtest.WithClients(authtest.Client{ID: "a"}, authtest.Client{ID: "b"}, authtest.Client{ID: "a", Secret: "s"}))
	})
}
