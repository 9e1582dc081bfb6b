package gcpsm_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/gcpsm"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
)

func Example() {
	ctx := context.Background()
	srv := gcpsmtest.NewServer()
	defer srv.Close()
	client, err := srv.Client(ctx) // in production: secretmanager.NewClient(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	store, err := gcpsm.New(client, "my-project", gcpsm.WithPrefix("my-app"))
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

	if err := store.DeleteToken(ctx, token.ID); err != nil {
		log.Fatal(err)
	}
	_, err = store.FindTokenByID(ctx, token.ID)
	fmt.Println(errors.Is(err, oauthstore.ErrTokenNotFound))
	// Output:
	// OAuthToken{ID: alice, UserName: alice@example.com, ClientID: my-client, RefreshToken: [redacted], AccessToken: [redacted]}
	// true
}

// An IAM condition for the store.
func ExampleStore_NamePrefix() {
	srv := gcpsmtest.NewServer()
	defer srv.Close()
	client, err := srv.Client(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	store, err := gcpsm.New(client, "my-project", gcpsm.WithPrefix("my_app"))
	if err != nil {
		log.Fatal(err)
	}
	const projectNumber = 123456789012
	fmt.Printf("resource.name.startsWith(%q)\n", fmt.Sprintf("projects/%d/secrets/%s", projectNumber, store.NamePrefix()))
	// Output: resource.name.startsWith("projects/123456789012/secrets/my_app__")
}
