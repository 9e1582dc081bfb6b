// The program oauthstore gets one token by way of the library: store, cache and token source.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore/awssm"
	"github.com/oauthstore/oauthstore/cache"
	"github.com/oauthstore/oauthstore/tokensource"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	secrets, err := awssm.New(secretsmanager.NewFromConfig(cfg))
	if err != nil {
		return err
	}
	store, err := cache.New(secrets, cache.WithBackgroundRefresh(0))
	if err != nil {
		return err
	}
	tokens, err := tokensource.New(store, &oauth2.Config{
		ClientID: "client", Endpoint: oauth2.Endpoint{TokenURL: "https://provider.example.com/token"},
	}, tokensource.WithForeground())
	if err != nil {
		return err
	}
	token, err := tokens.ID("alice").TokenContext(ctx)
	if err != nil {
		return err
	}
	if token.AccessToken == "" {
		return fmt.Errorf("no access token")
	}
	return nil
}
