package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/testserver"
	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

// A world is a Secrets Manager, a provider with its API, and the environment of a function that uses them.
type world struct {
	*testing.T
	aws      *awssmtest.Server
	provider *authtest.Server
	login    *awssm.Store // where another program stores the tokens that users log in with
	log      lockedBuffer
	secrets  []string // that must not be seen in an answer or in the log
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, aws: awssmtest.NewServer(), provider: authtest.NewServer(), secrets: []string{authtest.ClientSecret}}
	t.Cleanup(w.aws.Close)
	t.Cleanup(w.provider.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": w.aws.URL(), "AWS_REGION": awssmtest.Region,
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"OAUTH_CLIENT_ID": authtest.ClientID, "OAUTH_CLIENT_SECRET": authtest.ClientSecret,
		"OAUTH_TOKEN_URL": w.provider.URL() + "/token", "API_URL": w.provider.URL() + "/resource",
		"SECRET_PREFIX": "",
	} {
		t.Setenv(name, value)
	}
	var err error
	w.login, err = awssm.New(w.aws.Client())
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

func (w *world) logOut(user string) {
	w.Helper()
	require.NoError(w, w.login.DeleteToken(context.Background(), w.stored(user).ID))
	w.aws.Advance(time.Minute) // the name is free again
}

func (w *world) stored(user string) *oauthstore.OAuthToken {
	w.Helper()
	token, err := w.login.FindToken(context.Background(), &oauthstore.OAuthToken{UserName: user, ClientID: authtest.ClientID})
	require.NoError(w, err)
	w.secrets = append(w.secrets, token.AccessToken, token.RefreshToken)
	return token
}

// An instance is a function that Lambda has started.
type instance struct {
	*world
	handler lambda.Handler
}

func (w *world) start() instance {
	w.Helper()
	f, err := newFunction(context.Background(), os.Getenv, slog.New(slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(w, err)
	return instance{w, lambda.NewHandler(f.handle)}
}

// invoke returns the function's answer and what it cost.
func (i instance) invoke(event string) (answer string, cost cost, err error) {
	i.Helper()
	reads, writes, asked := i.aws.Count("GetSecretValue"), i.aws.Count("PutSecretValue", "CreateSecret"), i.asked()
	all := i.aws.Count()
	b, err := i.handler.Invoke(context.Background(), []byte(event))
	cost.reads, cost.writes, cost.asked = i.aws.Count("GetSecretValue")-reads, i.aws.Count("PutSecretValue", "CreateSecret")-writes, i.asked()-asked
	require.Equal(i, all+cost.reads+cost.writes, i.aws.Count(), "requests of another kind")
	for _, secret := range i.secrets {
		require.NotContains(i, string(b), secret, "a secret in the answer")
		if err != nil {
			require.NotContains(i, err.Error(), secret, "a secret in the error")
		}
	}
	return string(b), cost, err
}

// A cost is a number of requests: to Secrets Manager, and to the provider's token endpoint. An instance that writes makes
// two writes more than on AWS: it makes sure that the server guards writes.
type cost struct{ reads, writes, asked int }

func (w *world) asked() int {
	n := 0
	for _, r := range w.provider.Requests() {
		if r.Op == "refresh_token" {
			n++
		}
	}
	return n
}

func (i instance) want(event, answer string, costs cost) {
	i.Helper()
	got, c, err := i.invoke(event)
	require.NoError(i, err)
	require.JSONEq(i, answer, got)
	require.Equal(i, costs, c, "what it cost")
}

const (
	alice    = `{"user":"alice"}`
	ok       = `{"status":"ok","body":"alice"}`
	noLogin  = `{"status":"login_required","reason":"the user has never logged in, or has logged out"}`
	badLogin = `{"status":"login_required","reason":"the provider does not accept the user's login any more"}`
)

func TestFunction_readsTheTokenOnceWhileItIsWarm(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", time.Hour)
	w.logIn("bob", time.Hour)
	i := w.start()
	i.want(alice, ok, cost{reads: 1})
	i.want(alice, ok, cost{})
	i.want(`{"user":"bob"}`, `{"status":"ok","body":"bob"}`, cost{reads: 1})
	i.want(alice, ok, cost{})
}

func TestFunction_refreshesATokenThatHasEndedAndStoresTheNewRefreshToken(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", -time.Minute)
	w.provider.Advance(2 * time.Hour)
	before := w.stored("alice")
	i := w.start()
	i.want(alice, ok, cost{reads: 2, writes: 4, asked: 1})
	i.want(alice, ok, cost{})

	after := w.stored("alice")
	require.NotEqual(t, before.RefreshToken, after.RefreshToken)
	require.NotEqual(t, before.AccessToken, after.AccessToken)
	require.True(t, after.Expiry.After(time.Now()))
	w.start().want(alice, ok, cost{reads: 1})
	require.Empty(t, w.provider.Stats().Reuses)
}

func TestFunction_refreshesATokenThatTheAPIDoesNotTake(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", time.Hour)
	i := w.start()
	i.want(alice, ok, cost{reads: 1})
	w.provider.Advance(2 * time.Hour) // the provider's clock is another one
	i.want(alice, ok, cost{reads: 1, writes: 4, asked: 1})
	i.want(alice, ok, cost{})
	w.stored("alice")
}

func TestFunction_refreshesOnceForAllInstances(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", -time.Minute)
	w.provider.Advance(2 * time.Hour)
	var all sync.WaitGroup
	answers := make([]string, 4)
	for n := range answers {
		i := w.start()
		all.Add(1)
		go func() {
			defer all.Done()
			if b, err := i.handler.Invoke(context.Background(), []byte(alice)); err == nil {
				answers[n] = string(b)
			}
		}()
	}
	all.Wait()
	for _, answer := range answers {
		require.JSONEq(t, ok, answer)
	}
	require.Equal(t, 1, w.asked())
	w.stored("alice")
}

func TestFunction_asksForALoginWhereThereIsNoToken(t *testing.T) {
	w := newWorld(t)
	i := w.start()
	i.want(alice, noLogin, cost{reads: 2})

	w.logIn("alice", time.Hour)
	i = w.start()
	i.want(alice, ok, cost{reads: 1})
	w.logOut("alice")
	w.provider.Revoke("alice")
	i.want(alice, noLogin, cost{reads: 2}) // AWS shows deletes late or early: the record that was seen is looked for once more
	require.Zero(t, w.asked(), "a token that is gone is not refreshed")
}

func TestFunction_asksForALoginWhereTheProviderRefuses(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", -time.Minute)
	w.provider.Revoke("alice")
	i := w.start()
	i.want(alice, badLogin, cost{reads: 4, writes: 4, asked: 1})
	_, again, err := i.invoke(alice)
	require.NoError(t, err)
	require.Zero(t, again.asked, "the provider is not asked twice")
	require.Zero(t, again.writes)

	w.logIn("alice", time.Hour)
	w.start().want(alice, ok, cost{reads: 1})
}

func TestFunction_reportsWhatIsNotTheUsersFault(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", -time.Minute)
	i := w.start()
	_, _, err := i.invoke(`{}`)
	require.ErrorContains(t, err, "the event names no user")

	w.provider.Inject(authtest.Fault{Kind: authtest.Fail, Status: 400, Code: "invalid_client", Op: "refresh_token", Times: -1})
	_, _, err = i.invoke(alice)
	require.ErrorContains(t, err, `on behalf of "alice": tokensource: the provider says invalid_client`)
	w.provider.ClearFaults()
	i = w.start() // one that has not just failed, and asks the provider

	w.provider.Inject(authtest.Fault{Kind: authtest.Fail, Status: 503, Op: "resource"})
	_, _, err = i.invoke(alice)
	require.ErrorContains(t, err, "the API answers with status 503")
	w.stored("alice")

	w.aws.Inject(testserver.Fault{Kind: testserver.Deny, Times: -1})
	_, _, err = w.start().invoke(alice)
	require.ErrorIs(t, err, oauthstore.ErrAccessDenied)
}

func TestFunction_usesATokenThatCannotBeStoredYet(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", -time.Minute)
	w.aws.Inject(testserver.Fault{Op: "PutSecretValue", Kind: testserver.Deny, Skip: 2, Times: -1}) // all after the lease and its check
	i := w.start()
	for range 2 {
		answer, c, err := i.invoke(alice)
		require.NoError(t, err)
		require.JSONEq(t, ok, answer)
		require.LessOrEqual(t, c.asked, 1)
		require.Contains(t, w.log.String(), "using a token that is not stored yet")
	}
	require.Equal(t, 1, w.asked())

	before := w.stored("alice").RefreshToken
	w.aws.ClearFaults()
	for w.stored("alice").RefreshToken == before { // until the function, which nobody has frozen, has tried again
		time.Sleep(10 * time.Millisecond)
	}
}

// At its deadline Lambda kills an instance: the provider's answer would be lost, and with it the refresh token.
func TestFunction_answersBeforeItsTimeIsUp(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", -time.Minute)
	w.provider.Advance(2 * time.Hour)
	w.provider.Inject(authtest.Fault{Op: "refresh_token", Delay: 2 * time.Second})
	i := w.start()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := i.handler.Invoke(ctx, []byte(alice))
	require.ErrorIs(t, err, context.DeadlineExceeded)

	answer, _, err := i.invoke(alice)
	require.NoError(t, err)
	require.JSONEq(t, ok, answer)
	require.Equal(t, 1, w.asked(), "the refresh has gone on")
	w.stored("alice")
}

func TestLeaving_leavesAPartOfTheTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	end, _ := ctx.Deadline()
	calling, cancel := leaving(ctx, 10)
	defer cancel()
	last, ok := calling.Deadline()
	require.True(t, ok)
	require.WithinRange(t, last, end.Add(-6*time.Minute), end.Add(-time.Second))

	unlimited, cancel := leaving(context.Background(), 10)
	defer cancel()
	_, ok = unlimited.Deadline()
	require.False(t, ok)
}

func TestFunction_passesNoPartOfAnAnswerOn(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", time.Hour)
	var size atomic.Int64
	size.Store(maxBody)
	api := httptest.NewServer(http.HandlerFunc(func(r http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(r, strings.Repeat("x", int(size.Load())))
	}))
	defer api.Close()
	t.Setenv("API_URL", api.URL)
	i := w.start()
	_, _, err := i.invoke(alice)
	require.NoError(t, err)
	size.Add(1)
	_, _, err = i.invoke(alice)
	require.ErrorContains(t, err, "the API's answer has more than 1048576 bytes")
}

func TestFunction_doesNotSendATokenWhereTheAPIRedirectsTo(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", time.Hour)
	var asked atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer other.Close()
	api := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer api.Close()
	t.Setenv("API_URL", api.URL)
	_, _, err := w.start().invoke(alice)
	require.ErrorContains(t, err, "the API answers with status 302")
	require.Zero(t, asked.Load())
}

func TestFunction_tellsNobodyTheAPIsURL(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", time.Hour)
	w.secrets = append(w.secrets, "key-of-the-api")
	t.Setenv("API_URL", "http://127.0.0.1:1/me?key=key-of-the-api")
	_, _, err := w.start().invoke(alice)
	require.ErrorContains(t, err, "call the API: dial tcp 127.0.0.1:1")
}

// While nobody can tell who has a token, names that somebody makes up must not stay in memory.
func TestFunction_keepsNoSourceOfWhoHasNoToken(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", -time.Minute)
	w.provider.Inject(authtest.Fault{Kind: authtest.Fail, Status: 400, Code: "invalid_client", Op: "refresh_token", Times: -1})
	f, err := newFunction(context.Background(), os.Getenv, slog.New(slog.NewJSONHandler(&w.log, nil)))
	require.NoError(t, err)
	_, err = f.handle(context.Background(), Event{User: "alice"})
	require.ErrorContains(t, err, "invalid_client")
	_, err = f.handle(context.Background(), Event{User: "nobody"})
	require.NoError(t, err)
	w.aws.Inject(testserver.Fault{Kind: testserver.Deny, Times: -1})
	_, err = f.handle(context.Background(), Event{User: "somebody"})
	require.ErrorIs(t, err, oauthstore.ErrAccessDenied)
	f.sources.Range(func(user, _ any) bool { t.Errorf("a source of %q", user); return true })
}

//go:embed policy.json
var policy []byte

func TestPolicy_allowsWhatTheFunctionDoesAndNoMore(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", -time.Minute)
	w.logIn("bob", time.Hour)
	name := "oauthstore/token_" + w.stored("bob").ID
	_, err := w.aws.Client().DeleteSecret(context.Background(), &secretsmanager.DeleteSecretInput{SecretId: &name}) // in a console
	require.NoError(t, err)

	w.aws.ResetRequests()
	// Not at a host of AWS the store asks once whether secrets can be overwritten, and takes a denial for an answer.
	w.aws.Inject(testserver.Fault{Op: "CreateSecret", Kind: testserver.Deny, Times: -1})
	i := w.start()
	for _, event := range []string{alice, `{"user":"bob"}`} {
		_, err := i.handler.Invoke(context.Background(), []byte(event))
		require.NoError(t, err)
	}
	var used []string
	for op := range w.aws.Counts() {
		if op != "CreateSecret" {
			used = append(used, "secretsmanager:"+op) // so are the actions called that these operations need
		}
	}
	var doc struct{ Statement []struct{ Action []string } }
	require.NoError(t, json.Unmarshal(policy, &doc))
	require.Len(t, doc.Statement, 1)
	require.ElementsMatch(t, doc.Statement[0].Action, used)
	w.stored("alice")
}

func TestEnvironment_isChecked(t *testing.T) {
	good := map[string]string{"OAUTH_CLIENT_ID": "id", "OAUTH_TOKEN_URL": "https://example.com/token", "API_URL": "https://example.com/api"}
	for _, c := range []struct{ name, value, want string }{
		{"OAUTH_CLIENT_ID", "", "not set in the environment: OAUTH_CLIENT_ID"},
		{"OAUTH_TOKEN_URL", "", "not set in the environment: OAUTH_TOKEN_URL"},
		{"OAUTH_TOKEN_URL", "example.com/token", "OAUTH_TOKEN_URL is not the URL of a server"},
		{"API_URL", "https://", "API_URL is not the URL of a server"},
		{"SECRET_PREFIX", strings.Repeat("x", 300), "awssm: WithPrefix"},
	} {
		_, err := newFunction(context.Background(), func(name string) string {
			if name == c.name {
				return c.value
			}
			return good[name]
		}, slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, c.want)
	}
	_, err := newFunction(context.Background(), func(string) string { return "" }, slog.New(slog.DiscardHandler))
	require.EqualError(t, err, "not set in the environment: OAUTH_CLIENT_ID, OAUTH_TOKEN_URL, API_URL")
}

func TestOnce_handlesTheEventOnStandardInput(t *testing.T) {
	w := newWorld(t)
	w.logIn("alice", time.Hour)
	f, err := newFunction(context.Background(), os.Getenv, slog.New(slog.NewTextHandler(&w.log, nil)))
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, f.once(context.Background(), strings.NewReader(alice), &out))
	require.JSONEq(t, ok, out.String())
	require.Error(t, f.once(context.Background(), strings.NewReader("alice"), &out), "not JSON")
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
