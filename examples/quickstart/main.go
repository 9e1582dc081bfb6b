// Quickstart takes the answer of an OAuth provider's token endpoint and runs it through a store: save,
// find in three ways, refresh, list, delete. It prints what each step did and how many requests to the
// service it took.
//
//	go run ./examples/quickstart                     # an embedded test server, through the AWS SDK
//	go run ./examples/quickstart -on aws             # AWS Secrets Manager: AWS_REGION, AWS_PROFILE, …
//	go run ./examples/quickstart -on vault           # Vault: VAULT_ADDR, VAULT_TOKEN, …
//	go run ./examples/quickstart -on google          # Secret Manager: GOOGLE_CLOUD_PROJECT and credentials
//
// On a real service it works under a prefix of its own and deletes what it saved; Google and Vault keep
// empty secrets without content. A prefix that has tokens already it refuses.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/oauthstore/oauthstore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// sample is a token endpoint's answer as RFC 6749, section 5.1, shows it, with a scope and an API domain.
//
//go:embed testdata/token_response.json
var sample []byte

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	on := flags.String("on", "embedded", "the service: embedded, aws, vault or google")
	prefix := flags.String("prefix", "oauthstore-quickstart", "prefix of the secrets' names")
	file := flags.String("response", "", "file with a token endpoint's answer (default: a sample)")
	user := flags.String("user", "alice@example.com", "whose token it is")
	if err := flags.Parse(args); err != nil {
		return err
	}
	response := sample
	if *file != "" {
		var err error
		if response, err = os.ReadFile(*file); err != nil {
			return err
		}
	}
	token, err := parseResponse(response)
	if err != nil {
		return err
	}
	token.UserName, token.ClientID, token.ClientSecret = *user, "my-client-id", "my-client-secret"

	open, ok := services[*on]
	if !ok {
		return fmt.Errorf("-on %s: want embedded, aws, vault or google", *on)
	}
	s, err := open(ctx, *prefix)
	if err != nil {
		return err
	}
	defer s.close()
	if err := checkEmpty(ctx, s.store, *prefix); err != nil {
		return err
	}
	fmt.Fprintf(out, "Service: %s\nPrefix: %s, without tokens so far  [requests: %d]\n", s.title, *prefix, s.requests())
	return tour{service: s, out: out}.run(ctx, token)
}

// checkEmpty returns an error where the store has tokens: the tour ends by deleting all that there are.
func checkEmpty(ctx context.Context, store oauthstore.TokenStore, prefix string) error {
	for _, err := range oauthstore.AllTokens(ctx, store) { // reads no more than it needs
		if err != nil {
			return fmt.Errorf("look for tokens under the prefix %q: %w", prefix, err)
		}
		return fmt.Errorf("there are tokens under the prefix %q, which the last step would delete: choose another one with -prefix", prefix)
	}
	return nil
}

// tour is the main job, on whatever service.
type tour struct {
	service
	out io.Writer
}

func (t tour) run(ctx context.Context, token *oauthstore.OAuthToken) error {
	steps := []struct {
		title string
		do    func() (any, error)
	}{
		{"Save the token response", func() (any, error) {
			err := t.store.SaveToken(ctx, token)
			return token, err
		}},
		{"Find it by user name", func() (any, error) {
			return t.store.FindToken(ctx, &oauthstore.OAuthToken{UserName: token.UserName})
		}},
		{"Find it by id", func() (any, error) {
			return t.store.FindTokenByID(ctx, token.ID)
		}},
		{"Find it by its refresh token", func() (any, error) {
			if token.RefreshToken == "" {
				return "it has none", nil
			}
			return t.store.FindToken(ctx, &oauthstore.OAuthToken{
				RefreshToken: token.RefreshToken, ClientID: token.ClientID, ClientSecret: token.ClientSecret,
			})
		}},
		{"Save a refreshed access token", func() (any, error) {
			token.AccessToken, token.Expiry = "a newer access token", time.Now().Add(time.Hour)
			err := t.store.SaveToken(ctx, token)
			return token, err
		}},
		{"Save a second user's token", func() (any, error) {
			second := &oauthstore.OAuthToken{ID: "second", UserName: "bob@example.com", RefreshToken: "another refresh token"}
			err := t.store.SaveToken(ctx, second)
			return second, err
		}},
		{"List all tokens", func() (any, error) {
			tokens, err := t.store.GetTokens(ctx)
			return fmt.Sprintf("%d tokens", len(tokens)), err
		}},
		{"Show the secrets in the service", func() (any, error) { return t.secrets(ctx) }},
		{"Delete the first token", func() (any, error) {
			return "gone", t.store.DeleteToken(ctx, token.ID)
		}},
		{"Find it again", func() (any, error) {
			_, err := t.store.FindTokenByID(ctx, token.ID)
			if errors.Is(err, oauthstore.ErrTokenNotFound) {
				return "as it should be: " + err.Error(), nil
			}
			return "still there", err
		}},
		{"Delete all tokens", func() (any, error) {
			return "gone", t.store.DeleteTokens(ctx)
		}},
		{"Show the secrets in the service", func() (any, error) { return t.secrets(ctx) }},
	}
	for i, step := range steps {
		before := t.requests()
		result, err := step.do()
		if err != nil {
			return fmt.Errorf("%s: %w", step.title, err)
		}
		fmt.Fprintf(t.out, "\n%2d. %s  [requests: %d]\n    %v\n", i+1, step.title, t.requests()-before, result)
	}
	return nil
}
