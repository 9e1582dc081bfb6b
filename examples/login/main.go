// Login is a web server that lets users log in at an OAuth 2 provider, by the authorization code flow with PKCE, and
// stores their tokens: in Vault where VAULT_ADDR is set, else in memory.
//
//	go run ./examples/login      # with a provider in the same process; then open the URL that it prints
//
// The README lists the variables for a provider of your own.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/vault/api"
	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
	"github.com/oauthstore/oauthstore/tokensource"
	"github.com/oauthstore/oauthstore/tokensource/authtest"
	"github.com/oauthstore/oauthstore/vault"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv, log); err != nil {
		log.Error("login", "error", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, env func(string) string, log *slog.Logger) error {
	l, err := net.Listen("tcp", cmp.Or(env("ADDR"), "127.0.0.1:8080"))
	if err != nil {
		return fmt.Errorf("ADDR: %w", err)
	}
	defer func() { _ = l.Close() }()
	if env("OAUTH_CLIENT_ID")+env("OAUTH_AUTH_URL")+env("OAUTH_TOKEN_URL") == "" {
		provider, settings := embedded("http://" + l.Addr().String() + "/callback")
		defer provider.Close()
		env = over(settings, env)
		log.Info("without OAUTH_CLIENT_ID the provider is one in this process, where everybody consents at once")
		if env("VAULT_ADDR") != "" {
			log.Warn("VAULT_ADDR is set, and OAUTH_CLIENT_ID is not: tokens of the provider in this process, good for nothing "+
				"elsewhere, are stored in Vault beside those of others", "prefix", prefix(env))
		}
	}
	a, err := newApp(env, "http://"+l.Addr().String()+"/callback", log)
	if err != nil {
		return err
	}
	return a.serve(ctx, l)
}

// serve serves on l until ctx ends, or that fails. Then it answers the requests that it has, and waits for tokens that
// are not stored yet.
func (a *app) serve(ctx context.Context, l net.Listener) error {
	server := a.server()
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	a.log.Info("open " + strings.TrimSuffix(a.config.RedirectURL, "callback"))
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, server.Shutdown(last), a.tokens.Shutdown(last))
}

// server gives browsers a limited time to send a request, its body included, and to send the next one.
func (a *app) server() *http.Server {
	return &http.Server{Handler: a.routes(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second}
}

// embedded is a provider in this process, and the settings of a client that is registered there.
func embedded(redirectURL string) (*authtest.Server, map[string]string) {
	provider := authtest.NewServer(authtest.WithClients(authtest.Client{
		ID: authtest.ClientID, Secret: authtest.ClientSecret, RedirectURIs: []string{redirectURL}, RequirePKCE: true,
	}))
	return provider, map[string]string{
		"OAUTH_CLIENT_ID": authtest.ClientID, "OAUTH_CLIENT_SECRET": authtest.ClientSecret, "OAUTH_REDIRECT_URL": redirectURL,
		"OAUTH_AUTH_URL": provider.URL() + "/authorize", "OAUTH_TOKEN_URL": provider.URL() + "/token",
	}
}

// over returns an environment that has settings in the place of env's.
func over(settings map[string]string, env func(string) string) func(string) string {
	return func(name string) string { return cmp.Or(settings[name], env(name)) }
}

// An app is a client of the provider.
type app struct {
	config *oauth2.Config
	secure bool                    // whether browsers come by https
	params []oauth2.AuthCodeOption // of authorization requests, beside the usual ones
	store  oauthstore.TokenStore
	tokens *tokensource.Tokens
	log    *slog.Logger
}

// newApp makes what the environment says; redirectURL is the one that it has where the environment names no other.
func newApp(env func(string) string, redirectURL string, log *slog.Logger) (*app, error) {
	a := &app{log: log, config: &oauth2.Config{
		ClientID: env("OAUTH_CLIENT_ID"), ClientSecret: env("OAUTH_CLIENT_SECRET"),
		RedirectURL: cmp.Or(env("OAUTH_REDIRECT_URL"), redirectURL),
		Scopes:      strings.Fields(env("OAUTH_SCOPES")),
		Endpoint:    oauth2.Endpoint{AuthURL: env("OAUTH_AUTH_URL"), TokenURL: env("OAUTH_TOKEN_URL")},
	}}
	for _, name := range []string{"OAUTH_CLIENT_ID", "OAUTH_AUTH_URL", "OAUTH_TOKEN_URL"} {
		if env(name) == "" {
			return nil, fmt.Errorf("%s is not set", name)
		}
	}
	u, err := url.Parse(a.config.RedirectURL)
	if err != nil || u.Host == "" || u.Path != "/callback" {
		return nil, errors.New("OAUTH_REDIRECT_URL is not a URL with the path /callback")
	}
	a.secure = u.Scheme == "https"
	params, err := url.ParseQuery(env("OAUTH_AUTH_PARAMS"))
	if err != nil {
		return nil, errors.New("OAUTH_AUTH_PARAMS is not like a=b&c=d")
	}
	for name := range params {
		a.params = append(a.params, oauth2.SetAuthURLParam(name, params.Get(name)))
	}
	if a.store, err = openStore(env, log); err != nil {
		return nil, err
	}
	a.tokens, err = tokensource.New(a.store, a.config, tokensource.WithObserver(tokensource.LogTo(log)))
	return a, err
}

func openStore(env func(string) string, log *slog.Logger) (oauthstore.TokenStore, error) {
	if env("VAULT_ADDR") == "" {
		log.Warn("without VAULT_ADDR the tokens are in memory, and gone when this process ends")
		return memory.New(), nil
	}
	client, err := api.NewClient(api.DefaultConfig()) // VAULT_ADDR, VAULT_TOKEN, VAULT_NAMESPACE, …
	if err != nil {
		return nil, fmt.Errorf("connect to Vault: %w", err)
	}
	return vault.New(client, vault.WithMount(cmp.Or(env("VAULT_KV_MOUNT"), "secret")), vault.WithPrefix(prefix(env)))
}

func prefix(env func(string) string) string { return cmp.Or(env("SECRET_PREFIX"), "oauthstore") }

// authURL is where the user is sent to log in.
func (a *app) authURL(f flow) string {
	return a.config.AuthCodeURL(f.state, slices.Concat(a.params, []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(f.verifier)})...)
}
