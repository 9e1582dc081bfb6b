// Lambda is an AWS Lambda function that calls an API on behalf of the user whom its event names. The tokens are in
// AWS Secrets Manager, and are refreshed when they end: once, however many instances of the function there are.
//
// Outside of Lambda it takes one event from standard input:
//
//	echo '{"user":"alice"}' | go run .
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm"
	"github.com/oauthstore/oauthstore/cache"
	"github.com/oauthstore/oauthstore/tokensource"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	ctx := context.Background()
	f, err := newFunction(ctx, os.Getenv, log)
	switch {
	case err != nil:
	case os.Getenv("AWS_LAMBDA_RUNTIME_API") != "":
		lambda.Start(f.handle) // does not return
	default:
		err = f.once(ctx, os.Stdin, os.Stdout)
	}
	if err != nil {
		log.Error("lambda", "error", err)
		os.Exit(1)
	}
}

// An Event is what the function is invoked with.
type Event struct {
	User string `json:"user"`
}

// An Answer is what it returns. Whoever invokes it branches on Status; what went wrong otherwise is an error.
type Answer struct {
	Status string `json:"status"` // "ok" or "login_required"
	Body   string `json:"body,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// A function is all that outlives an invocation: what an instance has once, it has for as long as it is warm.
type function struct {
	tokens  *tokensource.Tokens
	sources sync.Map // user name → *tokensource.Source
	api     string
	client  *http.Client
	log     *slog.Logger
}

func newFunction(ctx context.Context, env func(string) string, log *slog.Logger) (*function, error) {
	if err := checkEnv(env); err != nil {
		return nil, err
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	secrets, err := awssm.New(secretsmanager.NewFromConfig(cfg), awssm.WithPrefix(cmp.Or(env("SECRET_PREFIX"), "oauthstore")),
		awssm.WithObserver(oauthstore.LogTo(log)))
	if err != nil {
		return nil, err
	}
	// Lambda freezes a function that has answered, so nothing is left to the background, here and below.
	store, err := cache.New(secrets, cache.WithBackgroundRefresh(0))
	if err != nil {
		return nil, err
	}
	tokens, err := tokensource.New(store, &oauth2.Config{
		ClientID:     env("OAUTH_CLIENT_ID"),
		ClientSecret: env("OAUTH_CLIENT_SECRET"),
		Endpoint:     oauth2.Endpoint{TokenURL: env("OAUTH_TOKEN_URL")},
	}, tokensource.WithForeground(), tokensource.WithObserver(tokensource.LogTo(log)))
	if err != nil {
		return nil, err
	}
	return &function{tokens: tokens, api: env("API_URL"), client: apiClient(), log: log}, nil
}

// apiClient returns a client that follows no redirects: the access token is for the API, and not for where that may send
// us.
func apiClient() *http.Client {
	return &http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// checkEnv returns an error that names all variables which are missing, or the one that makes no sense.
func checkEnv(env func(string) string) error {
	var missing []string
	for _, name := range []string{"OAUTH_CLIENT_ID", "OAUTH_TOKEN_URL", "API_URL"} {
		if env(name) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not set in the environment: %s", strings.Join(missing, ", "))
	}
	for _, name := range []string{"OAUTH_TOKEN_URL", "API_URL"} {
		if u, err := url.Parse(env(name)); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return fmt.Errorf("%s is not the URL of a server", name)
		}
	}
	return nil
}

func (f *function) handle(ctx context.Context, event Event) (Answer, error) {
	if event.User == "" {
		return Answer{}, errors.New("the event names no user")
	}
	defer f.settle(ctx)
	calling, cancel := leaving(ctx, 10)
	defer cancel()
	body, err := f.call(calling, event.User)
	var reauth *tokensource.ReauthRequiredError
	switch {
	case err == nil:
		return Answer{Status: "ok", Body: string(body)}, nil
	case errors.Is(err, oauthstore.ErrTokenNotFound):
		return Answer{Status: "login_required", Reason: "the user has never logged in, or has logged out"}, nil
	case errors.As(err, &reauth):
		return Answer{Status: "login_required", Reason: "the provider does not accept the user's login any more"}, nil
	default:
		f.log.ErrorContext(ctx, "call failed", "user", event.User, "error", err)
		return Answer{}, fmt.Errorf("on behalf of %q: %w", event.User, err)
	}
}

// leaving returns a context that ends when one part of so many of the time of ctx is left. When that is over Lambda
// kills the instance, a refresh under way with it; one that has answered, if only with an error, goes on with it later.
func leaving(ctx context.Context, parts time.Duration) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, end.Add(-time.Until(end)/parts))
}

// settle gives a new token that the store did not take some more time, where there is one, before Lambda freezes the
// function.
func (f *function) settle(ctx context.Context) {
	ctx, cancel := leaving(ctx, 2)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := f.tokens.Wait(ctx); err != nil {
		f.log.WarnContext(ctx, "a new token is not stored yet", "error", err)
	}
}

// source returns the user's source, the same one each time: it remembers the token while that is good.
func (f *function) source(user string) *tokensource.Source {
	if s, ok := f.sources.Load(user); ok {
		return s.(*tokensource.Source)
	}
	s, _ := f.sources.LoadOrStore(user, f.tokens.User(user))
	return s.(*tokensource.Source)
}

// call calls the API, a second time where it does not take an access token that should be good: the user or the
// provider may have withdrawn it. Whoever has no token has no source afterwards: anybody can make up names.
func (f *function) call(ctx context.Context, user string) ([]byte, error) {
	source := f.source(user)
	for attempt := 1; ; attempt++ {
		token, err := source.TokenContext(ctx)
		if token == nil {
			f.sources.CompareAndDelete(user, source)
			return nil, err
		}
		if err != nil {
			f.log.WarnContext(ctx, "using a token that is not stored yet", "error", err)
		}
		status, body, err := f.get(ctx, token)
		switch {
		case err != nil:
			return nil, err
		case status == http.StatusUnauthorized && attempt == 1:
			source.Invalidate(token.AccessToken)
		case status != http.StatusOK:
			return nil, fmt.Errorf("the API answers with status %d", status)
		default:
			return body, nil
		}
	}
}

// maxBody is the longest answer of the API that is passed on, in bytes.
const maxBody = 1 << 20

func (f *function) get(ctx context.Context, token *oauth2.Token) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.api, nil)
	if err != nil {
		return 0, nil, withoutURL(err)
	}
	token.SetAuthHeader(req)
	resp, err := f.client.Do(req)
	if err != nil {
		return 0, nil, withoutURL(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if len(body) > maxBody {
		return 0, nil, fmt.Errorf("the API's answer has more than %d bytes", maxBody) // half of it would pass for all
	}
	return resp.StatusCode, body, err
}

// withoutURL returns what has gone wrong with a request, without its URL, which may hold a key.
func withoutURL(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("call the API: %w", err)
}

// once handles the event that in holds, as Lambda would have it done.
func (f *function) once(ctx context.Context, in io.Reader, out io.Writer) error {
	event, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	answer, err := lambda.NewHandler(f.handle).Invoke(ctx, event)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", answer)
	return err
}
