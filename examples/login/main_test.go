package main

import (
	"bytes"
	"context"
	_ "embed"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/testserver"
	"github.com/oauthstore/oauthstore/tokensource"
	"github.com/oauthstore/oauthstore/tokensource/authtest"
	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

// A world is a provider and a login server that is its client.
type world struct {
	*testing.T
	provider *authtest.Server
	app      *app
	url      string
	log      lockedBuffer
	pages    lockedBuffer // all that browsers have seen
}

func newWorld(t *testing.T, env map[string]string) *world {
	w := &world{T: t}
	server := httptest.NewUnstartedServer(nil)
	w.url = "http://" + server.Listener.Addr().String()
	provider, settings := embedded(w.url + "/callback")
	w.provider = provider
	t.Cleanup(provider.Close)
	var err error
	w.app, err = newApp(over(settings, func(name string) string { return env[name] }), "", slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(t, err)
	server.Config.Handler = w.app.routes()
	server.Start()
	t.Cleanup(server.Close)
	return w
}

// seen fails the test where what is stored was seen in a page or in the log.
func (w *world) seen() {
	w.Helper()
	tokens, err := w.app.store.GetTokens(context.Background())
	require.NoError(w, err)
	for _, token := range tokens {
		for _, secret := range []string{token.AccessToken, token.RefreshToken, authtest.ClientSecret} {
			require.NotContains(w, w.pages.String(), secret)
			require.NotContains(w, w.log.String(), secret)
		}
	}
}

func (w *world) stored(user string) *oauthstore.OAuthToken {
	w.Helper()
	token, err := w.app.store.FindToken(context.Background(), &oauthstore.OAuthToken{UserName: user, ClientID: authtest.ClientID})
	require.NoError(w, err)
	return token
}

func (w *world) notStored(user string) {
	w.Helper()
	_, err := w.app.store.FindToken(context.Background(), &oauthstore.OAuthToken{UserName: user, ClientID: authtest.ClientID})
	require.ErrorIs(w, err, oauthstore.ErrTokenNotFound)
}

// A browser has cookies, and goes where it is sent.
type browser struct {
	*world
	http.Client
	callback string // the last it was sent to
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(w, err)
	b := &browser{world: w, Client: http.Client{Jar: jar}}
	b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/callback" {
			b.callback = r.URL.String()
		}
		return nil
	}
	return b
}

// page is what the browser ends up with.
func (b *browser) page(resp *http.Response, err error) (status int, text string) {
	b.Helper()
	require.NoError(b, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(b, err)
	_, _ = b.pages.Write(body)
	return resp.StatusCode, string(body)
}

func (b *browser) want(status int, text string, url string) {
	b.Helper()
	got, page := b.page(b.Get(url))
	require.Equal(b, status, got, page)
	require.Contains(b, page, text)
}

// stopBefore makes the browser not follow a redirect to path.
func (b *browser) stopBefore(path string) {
	follow := b.CheckRedirect
	b.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		_ = follow(r, via)
		if r.URL.Path == path {
			return http.ErrUseLastResponse
		}
		return nil
	}
}

// flow returns the cookie of the login under way.
func (b *browser) flow() *http.Cookie {
	u, err := url.Parse(b.url + "/callback")
	require.NoError(b, err)
	for _, c := range b.Jar.Cookies(u) {
		if c.Name == flowCookie {
			return c
		}
	}
	return nil
}

func (b *browser) setFlow(value string) {
	u, err := url.Parse(b.url + "/callback")
	require.NoError(b, err)
	b.Jar.SetCookies(u, []*http.Cookie{{Name: flowCookie, Value: value, Path: "/callback"}})
}

func TestLogin_endsInAStoredToken(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	b.want(http.StatusOK, "None.", w.url)
	b.want(http.StatusOK, "<b>alice</b>, access until ", w.url+"/login?user=alice")
	token := w.stored("alice")
	require.NotEmpty(t, token.AccessToken)
	require.NotEmpty(t, token.RefreshToken)
	require.True(t, token.Valid())
	require.Nil(t, b.flow(), "the cookie is gone")

	// It is good for a source: at once, and once it has ended.
	source := w.app.tokens.User("alice")
	resp, err := source.Client(nil).Get(w.provider.URL() + "/resource")
	_, name := b.page(resp, err)
	require.Equal(t, "alice", name)
	w.seen()
}

func TestLogin_asksForWhatTheEnvironmentSays(t *testing.T) {
	w := newWorld(t, map[string]string{"OAUTH_SCOPES": "contacts  mail", "OAUTH_AUTH_PARAMS": "access_type=offline&prompt=consent"})
	b := w.browser()
	b.stopBefore("/authorize")
	resp, err := b.Get(w.url + "/login?user=alice")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	to, err := url.Parse(resp.Header.Get("Location"))
	require.NoError(t, err)
	for name, want := range map[string]string{
		"response_type": "code", "client_id": authtest.ClientID, "redirect_uri": w.url + "/callback", "scope": "contacts mail",
		"code_challenge_method": "S256", "access_type": "offline", "prompt": "consent",
	} {
		require.Equal(t, want, to.Query().Get(name), name)
	}
	cookie := resp.Cookies()[0]
	require.True(t, cookie.HttpOnly)
	require.Equal(t, http.SameSiteLaxMode, cookie.SameSite)
	require.Equal(t, 600, cookie.MaxAge)
	require.Equal(t, "/callback", cookie.Path)
	require.Contains(t, cookie.Value, to.Query().Get("state"))
	f := b.flow()
	verifier := regexp.MustCompile(`verifier=([^&]+)`).FindStringSubmatch(f.Value)[1]
	require.NotContains(t, to.String(), verifier)

	again, err := b.Get(w.url + "/login?user=alice")
	require.NoError(t, err)
	require.NoError(t, again.Body.Close())
	require.NotEqual(t, to.Query().Get("state"), again.Header.Get("Location"))
	require.NotEqual(t, f.Value, b.flow().Value, "each login has a state and a verifier of its own")

	b.want(http.StatusBadRequest, "no name", w.url+"/login")
	b.want(http.StatusBadRequest, "too long", w.url+"/login?user="+strings.Repeat("x", 201))

	w = newWorld(t, map[string]string{"OAUTH_SCOPES": "contacts mail"})
	w.browser().want(http.StatusOK, "scope contacts mail", w.url+"/login?user=alice")
}

func TestLogin_marksItsCookieSecureWhereItsURLIs(t *testing.T) {
	for redirectURL, secure := range map[string]bool{
		"http://127.0.0.1:8080/callback": false,
		"https://example.com/callback":   true,
		"HTTPS://example.com/callback":   true,
	} {
		a, err := newApp(map2env(map[string]string{
			"OAUTH_CLIENT_ID": "id", "OAUTH_AUTH_URL": "https://example.com/authorize", "OAUTH_TOKEN_URL": "https://example.com/token",
			"OAUTH_REDIRECT_URL": redirectURL,
		}), "", slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		require.Equal(t, secure, a.cookie(flow{user: "alice"}).Secure, redirectURL)
	}
}

func TestCallback_refusesWhatThisBrowserHasNotBegun(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	b.stopBefore("/callback")
	b.want(http.StatusFound, "", w.url+"/login?user=alice")
	good, err := url.Parse(b.callback)
	require.NoError(t, err)
	const refusal = "not the answer to a login that this browser has begun"

	for _, state := range []string{"", "wrong", good.Query().Get("state") + "x"} {
		q := good.Query()
		q.Set("state", state)
		b.want(http.StatusBadRequest, refusal, w.url+"/callback?"+q.Encode())
	}
	w.browser().want(http.StatusBadRequest, refusal, b.callback) // without the cookie
	for _, value := range []string{"", "state=" + good.Query().Get("state"), "user=alice&state=&verifier=x", "%zz"} {
		other := w.browser()
		other.setFlow(value)
		other.want(http.StatusBadRequest, refusal, b.callback)
		other.want(http.StatusBadRequest, refusal, w.url+"/callback?code=x&state=")
	}
	w.notStored("alice")
	require.Empty(t, w.provider.Stats().TokenRequests, "no code was exchanged")

	b.want(http.StatusSeeOther, "", follow(b, b.callback)) // and the login is still good
	w.stored("alice")
	w.seen()
}

// follow makes the browser show what it gets from url, without following redirects.
func follow(b *browser, url string) string {
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return url
}

func TestCallback_usesTheVerifier(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	b.stopBefore("/callback")
	b.want(http.StatusFound, "", w.url+"/login?user=alice")
	b.setFlow(regexp.MustCompile(`verifier=[^&]+`).ReplaceAllString(b.flow().Value, "verifier="+strings.Repeat("x", 43)))
	b.want(http.StatusForbidden, "does not accept the login", b.callback)
	w.notStored("alice")
}

func TestCallback_tellsOfTheProvidersRefusal(t *testing.T) {
	w := newWorld(t, nil)
	w.provider.SetUser("") // who does not consent
	b := w.browser()
	b.want(http.StatusForbidden, "The provider has not let you log in.", w.url+"/login?user=alice")
	require.Contains(t, w.log.String(), "access_denied")
	w.notStored("alice")
	require.Nil(t, b.flow())

	w.provider.SetUser("alice")
	b.want(http.StatusOK, "<b>alice</b>", w.url+"/login?user=alice")
}

func TestCallback_tellsWhereTheProviderFails(t *testing.T) {
	w := newWorld(t, nil)
	w.provider.Inject(authtest.Fault{Op: "authorization_code", Kind: authtest.Fail, Status: 500})
	b := w.browser()
	b.want(http.StatusBadGateway, "The provider does not answer as it should.", w.url+"/login?user=alice")
	w.notStored("alice")
	b.want(http.StatusOK, "<b>alice</b>", w.url+"/login?user=alice")
}

func TestCallback_takesACodeOnce(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	b.stopBefore("/callback")
	b.want(http.StatusFound, "", w.url+"/login?user=alice")
	cookie := b.flow().Value
	b.want(http.StatusSeeOther, "", follow(b, b.callback))
	w.stored("alice")
	b.want(http.StatusBadRequest, "not the answer to a login that this browser has begun", b.callback) // a reload
	require.Equal(t, map[string]int{"ok": 1}, w.provider.Stats().TokenRequests["authorization_code"])

	b.setFlow(cookie) // somebody has kept all
	b.want(http.StatusForbidden, "does not accept the login", b.callback)
	require.Equal(t, map[string]int{"ok": 1, "invalid_grant": 1}, w.provider.Stats().TokenRequests["authorization_code"])
	require.True(t, w.provider.Stats().Families[0].Revoked, "this provider takes a second use for a theft (RFC 6749, 4.1.2)")
}

func TestLogin_replacesAnEarlierLogin(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	b.want(http.StatusOK, "<b>alice</b>", w.url+"/login?user=alice")
	first := w.stored("alice")
	b.want(http.StatusOK, "<b>alice</b>", w.url+"/login?user=alice")
	second := w.stored("alice")
	require.Equal(t, first.ID, second.ID)
	require.NotEqual(t, first.RefreshToken, second.RefreshToken)
	require.NotEqual(t, first.AccessToken, second.AccessToken)
	b.want(http.StatusOK, "<b>bob</b>", w.url+"/login?user=bob")
	tokens, err := w.app.store.GetTokens(context.Background())
	require.NoError(t, err)
	require.Len(t, tokens, 2)
	w.seen()
}

func TestLogout_deletesTheToken(t *testing.T) {
	w := newWorld(t, nil)
	b := w.browser()
	b.want(http.StatusOK, "<b>alice</b>", w.url+"/login?user=alice")
	b.want(http.StatusOK, "<b>bob</b>", w.url+"/login?user=bob")

	cross, err := http.NewRequest(http.MethodPost, w.url+"/logout?user=alice", nil)
	require.NoError(t, err)
	cross.Header.Set("Sec-Fetch-Site", "cross-site")
	status, _ := b.page(b.Do(cross))
	require.Equal(t, http.StatusForbidden, status)
	b.want(http.StatusMethodNotAllowed, "", w.url+"/logout?user=alice")
	w.stored("alice")

	status, page := b.page(b.PostForm(w.url+"/logout", nil))
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, page, "no name")

	for range 2 { // the second time there is nothing to do
		status, page := b.page(b.PostForm(w.url+"/logout", url.Values{"user": {"alice"}}))
		require.Equal(t, http.StatusOK, status)
		require.NotContains(t, page, "<b>alice</b>")
		require.Contains(t, page, "<b>bob</b>")
		w.notStored("alice")
	}
	b.want(http.StatusOK, "<b>alice</b>", w.url+"/login?user=alice")
}

// A page of another site must not say as whom the user of this browser logs in: it would be given that user's tokens.
func TestLogin_isNotBegunByAnotherSite(t *testing.T) {
	w := newWorld(t, nil)
	for site, want := range map[string]int{
		"cross-site": http.StatusForbidden, "same-site": http.StatusForbidden, "same-origin": http.StatusFound, "none": http.StatusFound,
	} {
		b := w.browser()
		b.stopBefore("/authorize")
		r, err := http.NewRequest(http.MethodGet, w.url+"/login?user=mallory", nil)
		require.NoError(t, err)
		r.Header.Set("Sec-Fetch-Site", site)
		status, _ := b.page(b.Do(r))
		require.Equal(t, want, status, site)
		require.Equal(t, want == http.StatusFound, b.flow() != nil, site)
	}
}

func TestServer_readsNoMoreThanAForm(t *testing.T) {
	w := newWorld(t, nil)
	const form = "--x\r\nContent-Disposition: form-data; name=user\r\n\r\nalice\r\n--x\r\nContent-Disposition: form-data; name=more; filename=f\r\n\r\n"
	for _, c := range []struct{ method, path string }{{http.MethodGet, "/login"}, {http.MethodPost, "/logout"}} {
		r, err := http.NewRequest(c.method, w.url+c.path, strings.NewReader(form+strings.Repeat("x", maxForm)+"\r\n--x--\r\n"))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		b := w.browser()
		b.stopBefore("/authorize")
		status, _ := b.page(b.Do(r))
		require.Equal(t, http.StatusBadRequest, status, c.path)
	}
	s := w.app.server()
	require.NotZero(t, s.ReadHeaderTimeout)
	require.NotZero(t, s.ReadTimeout, "of a body, and between requests")
}

func TestIndex_showsNamesAsText(t *testing.T) {
	w := newWorld(t, nil)
	w.browser().want(http.StatusOK, "&lt;b&gt;x&amp;", w.url+"/login?user="+url.QueryEscape(`<b>x&"`))
	require.Equal(t, `<b>x&"`, w.stored(`<b>x&"`).UserName)
}

//go:embed policy.hcl
var policy string

// onVault lets logins be stored in a Vault, by a token that has the policy of this example and nothing else.
func onVault(t *testing.T) (*vaulttest.Server, *world) {
	srv := vaulttest.NewServer()
	t.Cleanup(srv.Close)
	root := srv.Client()
	require.NoError(t, root.Sys().PutPolicy("login", policy))
	secret, err := root.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"login"}, NoDefaultPolicy: true})
	require.NoError(t, err)
	t.Setenv("VAULT_ADDR", srv.URL())
	t.Setenv("VAULT_TOKEN", secret.Auth.ClientToken)
	return srv, newWorld(t, map[string]string{"VAULT_ADDR": srv.URL()})
}

func TestVault_keepsTheTokensWithThePolicyOfThisExample(t *testing.T) {
	srv, w := onVault(t)
	b := w.browser()
	b.want(http.StatusOK, "<b>bob</b>", w.url+"/login?user=bob")
	b.stopBefore("/")
	cost := func(want map[string]int, do func()) {
		t.Helper()
		srv.ResetRequests()
		do()
		require.Equal(t, want, srv.Counts())
	}
	login := func() { b.want(http.StatusSeeOther, "", w.url+"/login?user=alice") }
	cost(map[string]int{"GET data": 1, "PUT metadata": 1, "PUT data": 2}, login)
	cost(map[string]int{"GET data": 1, "PUT data": 1}, login)
	cost(map[string]int{"GET data": 3}, func() { b.want(http.StatusOK, "<b>alice</b>", w.url) })

	other, err := openStore(map2env(map[string]string{"VAULT_ADDR": srv.URL()}), w.app.log)
	require.NoError(t, err)
	token, err := other.FindToken(context.Background(), &oauthstore.OAuthToken{UserName: "alice"})
	require.NoError(t, err)
	require.True(t, token.Valid())

	cost(map[string]int{"GET data": 2, "PUT data": 2, "PUT destroy": 1}, func() {
		status, _ := b.page(b.PostForm(w.url+"/logout", url.Values{"user": {"alice"}}))
		require.Equal(t, http.StatusSeeOther, status)
	})
	w.notStored("alice")
	w.seen()
}

func map2env(m map[string]string) func(string) string {
	return func(name string) string { return m[name] }
}

func TestVault_failsWithoutASecretInThePage(t *testing.T) {
	srv, w := onVault(t)
	b := w.browser()
	srv.Inject(testserver.Fault{Op: "PUT data", Kind: testserver.Deny, Times: -1})
	b.want(http.StatusServiceUnavailable, "The login could not be stored.", w.url+"/login?user=alice")
	srv.ClearFaults()
	b.want(http.StatusOK, "<b>alice</b>", w.url+"/login?user=alice")
	srv.Inject(testserver.Fault{Kind: testserver.Deny, Times: -1})
	b.want(http.StatusServiceUnavailable, "The tokens cannot be listed.", w.url)
	status, page := b.page(b.PostForm(w.url+"/logout", url.Values{"user": {"alice"}}))
	require.Equal(t, http.StatusServiceUnavailable, status, page)
	srv.ClearFaults()
	w.seen()
}

func TestServe_storesTokensAlsoWhereServingFails(t *testing.T) {
	srv, w := onVault(t)
	issued := w.provider.Issue("alice")
	require.NoError(t, w.app.store.SaveToken(context.Background(), &oauthstore.OAuthToken{
		UserName: "alice", ClientID: authtest.ClientID,
		AccessToken: issued.AccessToken, RefreshToken: issued.RefreshToken, Expiry: time.Now().Add(-time.Minute),
	}))
	srv.Inject(testserver.Fault{Op: "PUT data", Kind: testserver.Deny, Skip: 1, Times: -1}) // all after the lease
	_, err := w.app.tokens.User("alice").TokenContext(context.Background())
	require.ErrorAs(t, err, new(*tokensource.NotSavedError))
	srv.ClearFaults()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.ErrorIs(t, w.app.serve(context.Background(), l), net.ErrClosed)
	require.NotEqual(t, issued.RefreshToken, w.stored("alice").RefreshToken)
	w.seen()
}

func TestRun_warnsWhereItsOwnProvidersTokensGoIntoVault(t *testing.T) {
	const warning = "VAULT_ADDR is set, and OAUTH_CLIENT_ID is not"
	srv, _ := onVault(t)
	for _, c := range []struct {
		env   map[string]string
		warns bool
	}{
		{map[string]string{}, false},
		{map[string]string{"VAULT_ADDR": srv.URL()}, true},
		{map[string]string{
			"VAULT_ADDR": srv.URL(), "OAUTH_CLIENT_ID": "id",
			"OAUTH_AUTH_URL": "https://example.com/authorize", "OAUTH_TOKEN_URL": "https://example.com/token",
		}, false},
	} {
		c.env["ADDR"] = "127.0.0.1:0"
		ctx, stop := context.WithCancel(context.Background())
		stop()
		var log lockedBuffer
		require.NoError(t, run(ctx, map2env(c.env), slog.New(slog.NewTextHandler(&log, nil))))
		require.Equal(t, c.warns, strings.Contains(log.String(), warning), log.String())
	}
}

func TestRun_needsNothing(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	log := make(lines, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, map2env(map[string]string{"ADDR": "127.0.0.1:0"}), slog.New(slog.NewTextHandler(log, nil)))
	}()
	open := regexp.MustCompile(`open (http://[^"]+/)"`)
	address := ""
	for address == "" {
		select {
		case line := <-log:
			if m := open.FindStringSubmatch(line); m != nil {
				address = m[1]
			}
		case err := <-ended:
			require.NoError(t, err)
			t.Fatal("it has ended")
		}
	}
	w := &world{T: t, url: strings.TrimSuffix(address, "/")}
	w.browser().want(http.StatusOK, "<b>alice</b>", address+"login?user=alice")
	stop()
	require.NoError(t, <-ended)
}

func TestEnvironment_isChecked(t *testing.T) {
	good := map[string]string{
		"ADDR":            "127.0.0.1:0",
		"OAUTH_CLIENT_ID": "id", "OAUTH_AUTH_URL": "https://example.com/authorize", "OAUTH_TOKEN_URL": "https://example.com/token",
	}
	for _, c := range []struct{ name, value, want string }{
		{"OAUTH_CLIENT_ID", "", "OAUTH_CLIENT_ID is not set"},
		{"OAUTH_AUTH_URL", "", "OAUTH_AUTH_URL is not set"},
		{"OAUTH_TOKEN_URL", "", "OAUTH_TOKEN_URL is not set"},
		{"OAUTH_REDIRECT_URL", "https://example.com/", "OAUTH_REDIRECT_URL is not a URL with the path /callback"},
		{"OAUTH_AUTH_PARAMS", "%zz", "OAUTH_AUTH_PARAMS is not like a=b&c=d"},
		{"ADDR", "nowhere", "ADDR: "},
	} {
		env := func(name string) string {
			if name == c.name {
				return c.value
			}
			return good[name]
		}
		require.ErrorContains(t, run(context.Background(), env, slog.New(slog.DiscardHandler)), c.want)
	}
}

// lines is a log whose lines are read one by one.
type lines chan string

// Write implements io.Writer.
func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// A lockedBuffer is written by several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
