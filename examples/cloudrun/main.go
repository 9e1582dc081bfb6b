// Cloudrun is an HTTP service for Google Cloud Run that calls an API on behalf of its users. Their tokens are in Google
// Secret Manager, and are refreshed when they end: once, however many instances of the service there are.
//
//	GET /users/{user}/profile    what the API answers to the user's access token
//	GET /healthz                 for the probes
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"golang.org/x/oauth2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/gcpsm"
	"github.com/oauthstore/oauthstore/tokensource"
)

// grace is how long a shutdown may take, and tokensource may take 2 seconds more, to try once more to store a token.
// Cloud Run kills the process 10 seconds after SIGTERM.
const grace = 7 * time.Second

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Getenv, log); err != nil {
		log.Error("cloudrun", "error", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, env func(string) string, log *slog.Logger) error {
	s, err := newService(ctx, env, log)
	if err != nil {
		return err
	}
	defer func() { _ = s.secrets.Close() }()
	l, err := net.Listen("tcp", ":"+cmp.Or(env("PORT"), "8080"))
	if err != nil {
		return err
	}
	return s.serve(ctx, l, grace)
}

// A service calls the API for all users.
type service struct {
	secrets *secretmanager.Client
	tokens  *tokensource.Tokens
	sources sync.Map // user name → *tokensource.Source
	api     string
	client  *http.Client
	log     *slog.Logger
}

func newService(ctx context.Context, env func(string) string, log *slog.Logger) (*service, error) {
	if err := checkEnv(env); err != nil {
		return nil, err
	}
	var opts []option.ClientOption
	if host := env("SECRET_MANAGER_EMULATOR_HOST"); host != "" {
		opts = append(opts, option.WithEndpoint(host), option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	}
	// The client outlives ctx: there may be tokens to store after SIGTERM.
	secrets, err := secretmanager.NewClient(context.WithoutCancel(ctx), opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to Secret Manager: %w", err)
	}
	s := &service{secrets: secrets, api: env("API_URL"), client: apiClient(), log: log}
	store, err := gcpsm.New(secrets, env("GOOGLE_CLOUD_PROJECT"), gcpsm.WithPrefix(cmp.Or(env("SECRET_PREFIX"), "oauthstore")),
		gcpsm.WithObserver(oauthstore.LogTo(log)))
	if err == nil {
		// In the foreground, since by default an instance has its CPU only while it answers a request.
		s.tokens, err = tokensource.New(store, &oauth2.Config{
			ClientID:     env("OAUTH_CLIENT_ID"),
			ClientSecret: env("OAUTH_CLIENT_SECRET"),
			Endpoint:     oauth2.Endpoint{TokenURL: env("OAUTH_TOKEN_URL")},
		}, tokensource.WithForeground(), tokensource.WithObserver(tokensource.LogTo(log)))
	}
	if err != nil {
		return nil, errors.Join(err, secrets.Close())
	}
	return s, nil
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
	for _, name := range []string{"GOOGLE_CLOUD_PROJECT", "OAUTH_CLIENT_ID", "OAUTH_TOKEN_URL", "API_URL"} {
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

// serve serves on l until ctx ends, or that fails. Then it answers the requests that it has, which may need tokens, and
// waits for tokens that are not stored yet, all of it for no longer than grace and a last try to store them.
func (s *service) serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	server := s.server()
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	s.log.InfoContext(ctx, "listening", "address", l.Addr().String())
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	s.log.InfoContext(ctx, "shutting down")
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return errors.Join(err, server.Shutdown(last), s.tokens.Shutdown(last))
}

// server gives clients a limited time to send a request. Idle connections it leaves to Google's load balancers, which end
// them after 10 minutes and have to be the first.
func (s *service) server() *http.Server {
	return &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 11 * time.Minute,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
}

func (s *service) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{user}/profile", s.profile)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	return mux
}

func (s *service) profile(w http.ResponseWriter, r *http.Request) {
	user := r.PathValue("user")
	if !utf8.ValidString(user) { // it is nobody's, and gets no source
		refuse(w, http.StatusBadRequest, "invalid_request", "the user's name is not UTF-8")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	got, err := s.call(r.Context(), user)
	var reauth *tokensource.ReauthRequiredError
	switch {
	case err == nil:
		w.Header().Set("Content-Type", cmp.Or(got.contentType, "application/octet-stream"))
		_, _ = w.Write(got.body)
	case errors.Is(err, oauthstore.ErrTokenNotFound):
		refuse(w, http.StatusForbidden, "login_required", "the user has never logged in, or has logged out")
	case errors.As(err, &reauth):
		refuse(w, http.StatusForbidden, "login_required", "the provider does not accept the user's login any more")
	default:
		s.log.ErrorContext(r.Context(), "call failed", "user", user, "error", err)
		refuse(w, http.StatusBadGateway, "unavailable", "see the log of the service")
	}
}

func refuse(w http.ResponseWriter, status int, code, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "reason": reason})
}

// source returns the user's source, the same one each time: it remembers the token while that is good.
func (s *service) source(user string) *tokensource.Source {
	if source, ok := s.sources.Load(user); ok {
		return source.(*tokensource.Source)
	}
	source, _ := s.sources.LoadOrStore(user, s.tokens.User(user))
	return source.(*tokensource.Source)
}

// call calls the API, a second time where it does not take an access token that should be good: the user or the
// provider may have withdrawn it. Whoever has no token has no source afterwards: anybody can make up names.
func (s *service) call(ctx context.Context, user string) (*reply, error) {
	source := s.source(user)
	for attempt := 1; ; attempt++ {
		token, err := source.TokenContext(ctx)
		if token == nil {
			s.sources.CompareAndDelete(user, source)
			return nil, err
		}
		if err != nil {
			s.log.WarnContext(ctx, "using a token that is not stored yet", "error", err)
		}
		got, err := s.get(ctx, token)
		switch {
		case err != nil:
			return nil, err
		case got.status == http.StatusUnauthorized && attempt == 1:
			source.Invalidate(token.AccessToken)
		case got.status != http.StatusOK:
			return nil, fmt.Errorf("the API answers with status %d", got.status)
		default:
			return got, nil
		}
	}
}

// maxBody is the longest answer of the API that is passed on, in bytes.
const maxBody = 1 << 20

// A reply is what the API has answered.
type reply struct {
	status      int
	contentType string
	body        []byte
}

func (s *service) get(ctx context.Context, token *oauth2.Token) (*reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.api, nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	token.SetAuthHeader(req)
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if len(body) > maxBody {
		return nil, fmt.Errorf("the API's answer has more than %d bytes", maxBody) // half of it would pass for all
	}
	return &reply{resp.StatusCode, resp.Header.Get("Content-Type"), body}, err
}

// withoutURL returns what has gone wrong with a request, without its URL, which may hold a key.
func withoutURL(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("call the API: %w", err)
}
