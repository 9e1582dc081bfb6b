package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/gcpsm"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/testserver"
	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

// TestMain makes the test binary the service itself where a test starts it as that.
func TestMain(m *testing.M) {
	if os.Getenv("CLOUDRUN_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// A world is a Secret Manager, a provider with its API, and the environment of services that use them.
type world struct {
	*testing.T
	google   *gcpsmtest.Server
	provider *authtest.Server
	env      map[string]string
	login    *gcpsm.Store // where another program stores the tokens that users log in with
	log      lockedBuffer
	secrets  []string // that must not be seen in an answer or in the log

	// Where there is a gate, refreshes wait for it at the provider, and each says so.
	gate  atomic.Pointer[chan struct{}]
	asked chan struct{}
}

const project = "my-project"

func newWorld(t *testing.T) *world {
	w := &world{T: t, google: gcpsmtest.NewServer(), asked: make(chan struct{}, 100), secrets: []string{authtest.ClientSecret}}
	w.provider = authtest.NewServer(authtest.WithFaults(func(r authtest.Request) authtest.Fault {
		if gate := w.gate.Load(); gate != nil && r.Op == "refresh_token" {
			w.asked <- struct{}{}
			<-*gate
		}
		return authtest.Fault{}
	}))
	t.Cleanup(w.google.Close)
	t.Cleanup(w.provider.Close)
	w.env = map[string]string{
		"SECRET_MANAGER_EMULATOR_HOST": w.google.Addr(), "GOOGLE_CLOUD_PROJECT": project,
		"OAUTH_CLIENT_ID": authtest.ClientID, "OAUTH_CLIENT_SECRET": authtest.ClientSecret,
		"OAUTH_TOKEN_URL": w.provider.URL() + "/token", "API_URL": w.provider.URL() + "/resource",
	}
	client, err := w.google.Client(context.Background())
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	w.login, err = gcpsm.New(client, project)
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, secret := range w.secrets {
			require.NotContains(t, w.log.String(), secret, "a secret in the log")
		}
	})
	return w
}

// logIn stores new tokens for the user. The access token is good for so long, by the provider's word.
func (w *world) logIn(user string, lifetime time.Duration) {
	w.Helper()
	tokens := w.provider.Issue(user)
	w.secrets = append(w.secrets, tokens.AccessToken, tokens.RefreshToken)
	require.NoError(w, w.login.SaveToken(context.Background(), &oauthstore.OAuthToken{
		UserName: user, ClientID: authtest.ClientID,
		AccessToken: tokens.AccessToken, RefreshToken: tokens.RefreshToken, Expiry: time.Now().Add(lifetime),
	}))
}

func (w *world) stored(user string) *oauthstore.OAuthToken {
	w.Helper()
	token, err := w.login.FindToken(context.Background(), &oauthstore.OAuthToken{UserName: user, ClientID: authtest.ClientID})
	require.NoError(w, err)
	w.secrets = append(w.secrets, token.AccessToken, token.RefreshToken)
	return token
}

// refreshes is how many the provider has seen, good or not.
func (w *world) refreshes() int {
	n := 0
	for _, count := range w.provider.Stats().TokenRequests["refresh_token"] {
		n += count
	}
	return n
}

// hold makes refreshes wait at the provider until release is called.
func (w *world) hold() (release func()) {
	gate := make(chan struct{})
	w.gate.Store(&gate)
	release = sync.OnceFunc(func() { close(gate) })
	w.Cleanup(release)
	return release
}

// An instance is one of the service, with a client and a memory of its own.
type instance struct {
	*world
	url  string
	stop context.CancelFunc // as SIGTERM does
	end  chan error         // what serve has returned
}

func (w *world) start(grace time.Duration) instance {
	w.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s, err := newService(ctx, func(name string) string { return w.env[name] },
		slog.New(slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(w, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w, err)
	end, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		end <- s.serve(ctx, l, grace)
		_ = s.secrets.Close()
	}()
	w.Cleanup(func() {
		stop()
		<-ended
	})
	return instance{w, "http://" + l.Addr().String(), stop, end}
}

// service is one without a listener.
func (w *world) service() *service {
	w.Helper()
	s, err := newService(context.Background(), func(name string) string { return w.env[name] }, slog.New(slog.NewJSONHandler(&w.log, nil)))
	require.NoError(w, err)
	w.Cleanup(func() { _ = s.secrets.Close() })
	return s
}

func (s *service) answer(user string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	s.routes().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/users/"+user+"/profile", nil))
	return rec
}

// An answer is one of the service's.
type answer struct {
	status int
	body   string
	err    error
}

func get(url string) answer {
	resp, err := http.Get(url)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(body), err}
}

// profile asks for the user's profile and returns what that has cost: requests to Secret Manager by method.
func (i instance) profile(user string) (answer, map[string]int) {
	i.Helper()
	i.google.ResetRequests()
	a := get(i.url + "/users/" + user + "/profile")
	require.NoError(i, a.err)
	for _, secret := range i.secrets {
		require.NotContains(i, a.body, secret, "a secret in the answer")
	}
	return a, i.google.Counts()
}

func (i instance) want(user, body string, cost map[string]int) {
	i.Helper()
	a, got := i.profile(user)
	require.Equal(i, http.StatusOK, a.status)
	require.Equal(i, body, a.body)
	require.Equal(i, cost, got)
}

func (i instance) refuses(user, reason string) map[string]int {
	i.Helper()
	a, cost := i.profile(user)
	require.Equal(i, http.StatusForbidden, a.status)
	require.JSONEq(i, `{"error":"login_required","reason":"`+reason+`"}`, a.body)
	return cost
}

const (
	noLogin  = "the user has never logged in, or has logged out"
	badLogin = "the provider does not accept the user's login any more"
)

func TestService_readsATokenOnceWhileItIsGood(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", time.Hour)
	w.logIn("bob@example.com", time.Hour)
	i := w.start(time.Hour)
	i.want("alice", "alice", map[string]int{"AccessSecretVersion": 1})
	i.want("alice", "alice", map[string]int{})
	i.want("bob@example.com", "bob@example.com", map[string]int{"AccessSecretVersion": 1})
	i.want("alice", "alice", map[string]int{})
	require.Equal(t, answer{status: 200, body: "ok\n"}, get(i.url+"/healthz"))
	require.Equal(t, http.StatusNotFound, get(i.url+"/users/alice").status)
}

//go:embed role.yaml
var role string

func TestService_refreshesATokenThatHasEndedWithThePermissionsOfItsRole(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", -time.Minute)
	w.provider.Advance(2 * time.Hour)
	before := w.stored("alice")
	i := w.start(time.Hour)
	i.want("alice", "alice", map[string]int{"AccessSecretVersion": 2, "AddSecretVersion": 2, "DestroySecretVersion": 2})
	_, permissions, _ := strings.Cut(role, "includedPermissions:\n  - ")
	require.Equal(t, strings.Split(strings.TrimSpace(permissions), "\n  - "), w.google.Permissions())
	i.want("alice", "alice", map[string]int{})

	after := w.stored("alice")
	require.NotEqual(t, before.RefreshToken, after.RefreshToken)
	require.True(t, after.Expiry.After(time.Now()))
	w.provider.Advance(2 * time.Hour) // the provider's clock is another one
	i.want("alice", "alice", map[string]int{"AccessSecretVersion": 2, "AddSecretVersion": 2, "DestroySecretVersion": 2})
	require.Equal(t, 2, w.provider.Stats().Families[0].Refreshes)
	require.Empty(t, w.provider.Stats().Reuses)
}

func TestService_refreshesOnceForTwoInstances(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", -time.Minute)
	w.provider.Advance(2 * time.Hour)
	release := w.hold()
	answers := make(chan answer, 2)
	ask := func() {
		url := w.start(time.Hour).url + "/users/alice/profile"
		go func() { answers <- get(url) }()
	}
	ask()
	<-w.asked // the first has the lease, and waits for the provider
	w.google.ResetRequests()
	ask()
	for w.google.Count("AccessSecretVersion") < 2 { // the second has seen that
		time.Sleep(time.Millisecond)
	}
	release()
	for range 2 {
		require.Equal(t, answer{status: 200, body: "alice"}, <-answers)
	}
	require.Equal(t, 1, w.refreshes())
	require.Empty(t, w.provider.Stats().Reuses)
	w.stored("alice")
}

func TestService_asksForALogin(t *testing.T) {
	w := newWorld(t)
	w.logIn("bob", time.Hour)
	i := w.start(time.Hour)
	require.Equal(t, map[string]int{"AccessSecretVersion": 3}, i.refuses("alice", noLogin))

	w.logIn("alice", time.Hour)
	i.want("alice", "alice", map[string]int{"AccessSecretVersion": 1})
	require.NoError(t, w.login.DeleteToken(context.Background(), w.stored("alice").ID)) // a logout elsewhere
	w.provider.Revoke("alice")
	i.refuses("alice", noLogin)
	require.Zero(t, w.refreshes(), "a token that is gone is not refreshed")

	w.logIn("alice", -time.Minute)
	w.provider.Revoke("alice")
	i.refuses("alice", badLogin)
	require.Equal(t, map[string]int{"AccessSecretVersion": 2}, i.refuses("alice", badLogin))
	require.Equal(t, 1, w.refreshes(), "the provider is not asked twice")

	w.logIn("alice", time.Hour)
	i.want("alice", "alice", map[string]int{"AccessSecretVersion": 1})
}

func TestService_reportsWhatIsNotTheUsersFault(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", time.Hour)
	i := w.start(time.Hour)
	w.provider.Inject(authtest.Fault{Kind: authtest.Fail, Status: 503, Op: "resource"})
	a, _ := i.profile("alice")
	require.Equal(t, http.StatusBadGateway, a.status)
	require.JSONEq(t, `{"error":"unavailable","reason":"see the log of the service"}`, a.body)
	require.Contains(t, w.log.String(), "the API answers with status 503")

	w.google.Inject(testserver.Fault{Kind: testserver.Deny, Times: -1})
	a, _ = i.profile("bob")
	require.Equal(t, http.StatusBadGateway, a.status)
	require.Contains(t, w.log.String(), "gcpsm: AccessSecretVersion oauthstore__token_")
}

func TestService_passesNoPartOfAnAnswerOn(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", time.Hour)
	var size atomic.Int64
	size.Store(maxBody)
	api := httptest.NewServer(http.HandlerFunc(func(r http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(r, strings.Repeat("x", int(size.Load())))
	}))
	defer api.Close()
	w.env["API_URL"] = api.URL
	i := w.start(time.Hour)
	a, _ := i.profile("alice")
	require.Equal(t, http.StatusOK, a.status)
	require.Len(t, a.body, maxBody)
	size.Add(1)
	a, _ = i.profile("alice")
	require.Equal(t, http.StatusBadGateway, a.status)
	require.Contains(t, w.log.String(), "the API's answer has more than 1048576 bytes")
}

func TestService_passesTheTypeOfAnAnswerOn(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", time.Hour)
	var types atomic.Value // []string
	api := httptest.NewServer(http.HandlerFunc(func(r http.ResponseWriter, _ *http.Request) {
		r.Header()["Content-Type"] = types.Load().([]string)
		_, _ = io.WriteString(r, "<script>alert(1)</script>")
	}))
	defer api.Close()
	w.env["API_URL"] = api.URL
	s := w.service()
	for _, c := range []struct {
		user  string
		types []string
		want  string
	}{
		{"alice", []string{"text/plain"}, "text/plain"},
		{"alice", nil, "application/octet-stream"}, // and not what it looks like
		{"nobody", nil, "application/json"},
	} {
		types.Store(c.types)
		rec := s.answer(c.user)
		require.Equal(t, c.want, rec.Header().Get("Content-Type"))
		require.Equal(t, "nosniff", rec.Header().Get("X-Content-Type-Options"))
		require.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
	}
}

func TestService_doesNotSendATokenWhereTheAPIRedirectsTo(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", time.Hour)
	var asked atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer other.Close()
	api := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer api.Close()
	w.env["API_URL"] = api.URL
	i := w.start(time.Hour)
	a, _ := i.profile("alice")
	require.Equal(t, http.StatusBadGateway, a.status)
	require.Contains(t, w.log.String(), "the API answers with status 302")
	require.Zero(t, asked.Load())
}

func TestService_tellsNobodyTheAPIsURL(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", time.Hour)
	w.secrets = append(w.secrets, "key-of-the-api")
	w.env["API_URL"] = "http://127.0.0.1:1/me?key=key-of-the-api"
	i := w.start(time.Hour)
	a, _ := i.profile("alice")
	require.Equal(t, http.StatusBadGateway, a.status)
	require.Contains(t, w.log.String(), "call the API: dial tcp 127.0.0.1:1")
}

// While nobody can tell who has a token, names that somebody makes up must not stay in memory.
func TestService_keepsNoSourceOfWhoHasNoToken(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", -time.Minute)
	w.provider.Inject(authtest.Fault{Kind: authtest.Fail, Status: 400, Code: "invalid_client", Op: "refresh_token", Times: -1})
	s := w.service()
	require.Equal(t, http.StatusBadGateway, s.answer("alice").Code)
	require.Equal(t, http.StatusForbidden, s.answer("nobody").Code)
	w.google.Inject(testserver.Fault{Kind: testserver.Deny, Times: -1})
	require.Equal(t, http.StatusBadGateway, s.answer("nobody").Code)
	s.sources.Range(func(user, _ any) bool { t.Errorf("a source of %q", user); return true })
}

// What cannot be a name must not be remembered as one.
func TestService_keepsNoSourceForANameThatIsNone(t *testing.T) {
	s := newWorld(t).service()
	rec := httptest.NewRecorder()
	s.routes().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/users/%ff/profile", nil))
	require.Equal(t, http.StatusBadRequest, rec.Code)
	s.sources.Range(func(user, _ any) bool { t.Errorf("a source of %q", user); return true })
}

func TestService_answersTheRequestsThatItHasBeforeItEnds(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", -time.Minute)
	before := w.stored("alice").RefreshToken
	release := w.hold()
	i := w.start(time.Hour)
	answers := make(chan answer, 1)
	go func() { answers <- get(i.url + "/users/alice/profile") }()
	<-w.asked // the provider has the refresh token, and has not answered
	i.stop()
	for get(i.url+"/healthz").err == nil { // until it takes no new requests
		time.Sleep(time.Millisecond)
	}
	release()
	require.Equal(t, answer{status: 200, body: "alice"}, <-answers)
	require.NoError(t, <-i.end)
	require.NotEqual(t, before, w.stored("alice").RefreshToken)
}

func TestService_storesTokensBeforeItEnds(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", -time.Minute)
	before := w.stored("alice").RefreshToken
	w.google.Inject(testserver.Fault{Op: "AddSecretVersion", Kind: testserver.Deny, Skip: 1, Times: -1}) // all after the lease
	i := w.start(time.Hour)
	a, _ := i.profile("alice")
	require.Equal(t, answer{status: 200, body: "alice"}, a)
	require.Contains(t, w.log.String(), "using a token that is not stored yet")
	require.Equal(t, before, w.stored("alice").RefreshToken)
	i.stop()
	w.google.ClearFaults()
	require.NoError(t, <-i.end)
	require.NotEqual(t, before, w.stored("alice").RefreshToken)
}

func TestService_storesTokensAlsoWhereServingFails(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", -time.Minute)
	before := w.stored("alice").RefreshToken
	w.google.Inject(testserver.Fault{Op: "AddSecretVersion", Kind: testserver.Deny, Skip: 1, Times: -1}) // all after the lease
	s := w.service()
	require.Equal(t, http.StatusOK, s.answer("alice").Code)
	w.google.ClearFaults()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.ErrorIs(t, s.serve(context.Background(), l, time.Hour), net.ErrClosed)
	require.NotEqual(t, before, w.stored("alice").RefreshToken)
}

func TestServer_doesNotWaitForEver(t *testing.T) {
	s := newWorld(t).service().server()
	require.NotZero(t, s.ReadHeaderTimeout)
	require.NotZero(t, s.ReadTimeout)
	require.Greater(t, s.IdleTimeout, 10*time.Minute, "that of the load balancers before it")
}

func TestService_endsWhenItsTimeIsOver(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", -time.Minute)
	release := w.hold()
	i := w.start(time.Millisecond)
	answers := make(chan answer, 1)
	go func() { answers <- get(i.url + "/users/alice/profile") }()
	<-w.asked
	i.stop()
	require.ErrorIs(t, <-i.end, context.DeadlineExceeded)
	release()
	require.NotEqual(t, http.StatusOK, (<-answers).status)
}

// The process itself, with the environment and the signal of Cloud Run.
func TestProcess_endsOnSIGTERM(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", time.Hour)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CLOUDRUN_TEST_MAIN=1", "PORT=0")
	for name, value := range w.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })

	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	var first struct{ Msg, Address string }
	require.NoError(t, json.Unmarshal(lines.Bytes(), &first))
	require.Equal(t, "listening", first.Msg)
	_, port, err := net.SplitHostPort(first.Address)
	require.NoError(t, err)
	require.Equal(t, answer{status: 200, body: "alice"}, get("http://127.0.0.1:"+port+"/users/alice/profile"))

	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), "shutting down")
	require.NoError(t, cmd.Wait())
}

func TestEnvironment_isChecked(t *testing.T) {
	good := map[string]string{
		"GOOGLE_CLOUD_PROJECT": project, "SECRET_MANAGER_EMULATOR_HOST": "127.0.0.1:1",
		"OAUTH_CLIENT_ID": "id", "OAUTH_TOKEN_URL": "https://example.com/token", "API_URL": "https://example.com/api",
	}
	for _, c := range []struct{ name, value, want string }{
		{"GOOGLE_CLOUD_PROJECT", "", "not set in the environment: GOOGLE_CLOUD_PROJECT"},
		{"GOOGLE_CLOUD_PROJECT", "my/project", `gcpsm: New: "my/project" is not the id or number of a project`},
		{"OAUTH_TOKEN_URL", "example.com/token", "OAUTH_TOKEN_URL is not the URL of a server"},
		{"API_URL", "https://", "API_URL is not the URL of a server"},
		{"SECRET_PREFIX", strings.Repeat("x", 300), "gcpsm: WithPrefix"},
		{"PORT", "many", "many"},
	} {
		err := run(context.Background(), func(name string) string {
			if name == c.name {
				return c.value
			}
			return good[name]
		}, slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, c.want)
	}
	err := run(context.Background(), func(string) string { return "" }, slog.New(slog.DiscardHandler))
	require.EqualError(t, err, "not set in the environment: GOOGLE_CLOUD_PROJECT, OAUTH_CLIENT_ID, OAUTH_TOKEN_URL, API_URL")
}

// A lockedBuffer is a log that several goroutines write.
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
