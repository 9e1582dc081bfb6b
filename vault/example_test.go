package vault_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/vault"
	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

func Example() {
	ctx := context.Background()
	srv := vaulttest.NewServer() // in production: api.NewClient(api.DefaultConfig())
	defer srv.Close()

	store, err := vault.New(srv.Client(), vault.WithMount("secret"), vault.WithPrefix("my-app"))
	if err != nil {
		log.Fatal(err)
	}
	if err := store.SaveToken(ctx, &oauthstore.OAuthToken{
		ID: "alice", UserName: "alice@example.com", ClientID: "my-client", RefreshToken: "r", AccessToken: "a",
	}); err != nil {
		log.Fatal(err)
	}
	token, err := store.FindToken(ctx, &oauthstore.OAuthToken{UserName: "alice@example.com"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token)

	// What an agent template or "vault kv get" sees.
	secret, err := srv.Client().KVv2("secret").Get(ctx, "my-app/token_alice")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(secret.Data["access_token"])

	if err := store.DeleteToken(ctx, token.ID); err != nil {
		log.Fatal(err)
	}
	_, err = store.FindTokenByID(ctx, token.ID)
	fmt.Println(errors.Is(err, oauthstore.ErrTokenNotFound))
	// Output:
	// OAuthToken{ID: alice, UserName: alice@example.com, ClientID: my-client, RefreshToken: [redacted], AccessToken: [redacted]}
	// a
	// true
}
