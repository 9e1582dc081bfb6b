package tokensource_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
	"github.com/oauthstore/oauthstore/tokensource"
	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

func Example() {
	provider := authtest.NewServer() // in production the provider is somebody else
	defer provider.Close()
	ctx := context.Background()

	tokens, err := tokensource.New(memory.New(), &oauth2.Config{ // or awssm.New(…), vault.New(…), gcpsm.New(…)
		ClientID:     authtest.ClientID,
		ClientSecret: authtest.ClientSecret,
		Endpoint:     oauth2.Endpoint{TokenURL: provider.URL() + "/token"},
	})
	if err != nil {
		log.Fatal(err)
	}
	// Once, at the end of the user's login.
	if _, err := tokens.Exchange(ctx, "alice", provider.Grant("alice")); err != nil {
		log.Fatal(err)
	}
	// From then on, here or elsewhere.
	client := tokens.User("alice").Client(nil)
	resp, err := client.Get(provider.URL() + "/resource")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, string(body))
	// Output: 200 OK alice
}

// A user whose refresh token is not good any more has to log in again.
func ExampleReauthRequiredError() {
	provider := authtest.NewServer()
	defer provider.Close()
	ctx, store := context.Background(), memory.New()
	got := provider.Issue("alice")
	token := &oauthstore.OAuthToken{UserName: "alice", RefreshToken: got.RefreshToken, AccessToken: "ended", Expiry: time.Now()}
	if err := store.SaveToken(ctx, token); err != nil {
		log.Fatal(err)
	}
	provider.Revoke("alice")

	tokens, err := tokensource.New(store, &oauth2.Config{
		ClientID:     authtest.ClientID,
		ClientSecret: authtest.ClientSecret,
		Endpoint:     oauth2.Endpoint{TokenURL: provider.URL() + "/token"},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = tokens.User("alice").TokenContext(ctx)
	var reauth *tokensource.ReauthRequiredError
	switch {
	case errors.As(err, &reauth):
		fmt.Printf("send %s to the login: %s\n", reauth.UserName, reauth.Code)
	case err != nil:
		log.Fatal(err)
	}
	// Output: send alice to the login: invalid_grant
}
