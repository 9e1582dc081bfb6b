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

// The paths of a policy for the store.
func ExampleStore_NamePrefix() {
	srv := vaulttest.NewServer()
	defer srv.Close()
	store, err := vault.New(srv.Client(), vault.WithMount("kv"), vault.WithPrefix("team/my-app"))
	if err != nil {
		log.Fatal(err)
	}
	for _, branch := range []string{"data", "metadata", "destroy"} {
		fmt.Printf("path %q\n", "kv/"+branch+"/"+store.NamePrefix()+"*")
	}
	// Output:
	// path "kv/data/team/my-app/*"
	// path "kv/metadata/team/my-app/*"
	// path "kv/destroy/team/my-app/*"
}
