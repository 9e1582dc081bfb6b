package oauthstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
)

// What a provider answered to the authorization code is saved, found again by whose it is, and
// refreshed: a save keeps the fields that are not set.
func Example() {
	ctx := context.Background()
	var store oauthstore.TokenStore = memory.New()

	err := store.SaveToken(ctx, &oauthstore.OAuthToken{
		UserName:     "alice@example.com",
		ClientID:     "1000.CLIENT",
		ClientSecret: "client-secret",
		RefreshToken: "refresh-1",
		AccessToken:  "access-1",
		Expiry:       time.Date(2030, 1, 2, 3, 0, 0, 0, time.UTC),
	})
	if err != nil {
		log.Fatal(err)
	}

	token, err := store.FindToken(ctx, &oauthstore.OAuthToken{UserName: "alice@example.com"})
	if err != nil {
		log.Fatal(err)
	}
	token.AccessToken, token.Expiry = "access-2", time.Date(2030, 1, 2, 4, 0, 0, 0, time.UTC)
	if err := store.SaveToken(ctx, token); err != nil {
		log.Fatal(err)
	}

	token, err = store.FindTokenByID(ctx, token.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.AccessToken, "until", token.Expiry)
	fmt.Println(token.RefreshToken)
	// Output:
	// access-2 until 2030-01-02 04:00:00 +0000 UTC
	// refresh-1
}

// There is no nil token: a record that does not exist is an error.
func ExampleTokenStore_notFound() {
	store := memory.New()
	_, err := store.FindToken(context.Background(), &oauthstore.OAuthToken{UserName: "nobody"})
	if errors.Is(err, oauthstore.ErrTokenNotFound) {
		fmt.Println("ask the user to log in")
	}
	// Output: ask the user to log in
}

// Two savers of found copies lose nothing: each changes what it has set.
func ExampleTokenStore_stale() {
	ctx := context.Background()
	store := memory.New()
	saved := oauthstore.OAuthToken{UserName: "alice", RefreshToken: "refresh-1", AccessToken: "access-1"}
	if err := store.SaveToken(ctx, &saved); err != nil {
		log.Fatal(err)
	}
	stale, err := store.FindTokenByID(ctx, saved.ID)
	if err != nil {
		log.Fatal(err)
	}

	// Someone else refreshes.
	err = store.SaveToken(ctx, &oauthstore.OAuthToken{UserName: "alice", RefreshToken: "refresh-2", AccessToken: "access-2"})
	if err != nil {
		log.Fatal(err)
	}
	stale.APIDomain = "https://api.example.eu"
	if err := store.SaveToken(ctx, stale); err != nil {
		log.Fatal(err)
	}
	fmt.Println(stale.RefreshToken, stale.AccessToken, stale.APIDomain)
	// Output: refresh-2 access-2 https://api.example.eu
}

// A user has one record for each client. The error says where it is.
func ExampleConflictError() {
	ctx := context.Background()
	store := memory.New()
	if err := store.SaveToken(ctx, &oauthstore.OAuthToken{ID: "first", UserName: "alice", AccessToken: "access-1"}); err != nil {
		log.Fatal(err)
	}

	token := &oauthstore.OAuthToken{ID: "second", UserName: "alice", AccessToken: "access-2"}
	err := store.SaveToken(ctx, token)
	if conflict := new(oauthstore.ConflictError); errors.As(err, &conflict) {
		token.ID = conflict.ID
		err = store.SaveToken(ctx, token)
	}
	fmt.Println(token.ID, err)
	// Output: first <nil>
}

// The error says which field cannot be used.
func ExampleInvalidTokenError() {
	err := memory.New().SaveToken(context.Background(), &oauthstore.OAuthToken{UserName: "alice", AccessToken: "\xff"})
	if invalid := new(oauthstore.InvalidTokenError); errors.As(err, &invalid) {
		fmt.Println(invalid.Field, invalid.Reason)
	}
	// Output: AccessToken is not valid UTF-8
}

// An update does not bring back a token that was deleted meanwhile.
func ExampleTokenUpdater() {
	ctx := context.Background()
	store := memory.New()
	token := &oauthstore.OAuthToken{UserName: "alice", RefreshToken: "refresh-1"}
	if err := store.SaveToken(ctx, token); err != nil {
		log.Fatal(err)
	}
	if err := store.DeleteToken(ctx, token.ID); err != nil {
		log.Fatal(err)
	}
	token.AccessToken = "access-2"
	fmt.Println(errors.Is(store.UpdateToken(ctx, token), oauthstore.ErrTokenNotFound))
	// Output: true
}

// Printing a token shows that a secret is there, not what it is.
func ExampleOAuthToken_String() {
	fmt.Println(oauthstore.OAuthToken{UserName: "alice", AccessToken: "access-1", Scope: "read"})
	// Output: OAuthToken{UserName: alice, AccessToken: [redacted], Scope: read}
}

// An access token that ends soon is refreshed before it is used.
func ExampleOAuthToken_Expired() {
	token := oauthstore.OAuthToken{AccessToken: "access-1", Expiry: time.Now().Add(30 * time.Second)}
	fmt.Println(token.Expired(0), token.Expired(time.Minute))
	// Output: false true
}

// Anyone can tell under which id a store keeps the token of a user.
func ExampleDerivedID() {
	fmt.Println(oauthstore.DerivedID("alice", ""))
	// Output: udpiqvxv7krcwekjsnjofrotcpz7f3afc
}

// A store of one's own asks Match which of its records a token points at.
func ExampleMatch() {
	stored := []*oauthstore.OAuthToken{
		{ID: "1", UserName: "alice", ClientID: "web"},
		{ID: "2", UserName: "alice", ClientID: "mobile"},
	}
	fmt.Println(oauthstore.Match(&oauthstore.OAuthToken{UserName: "alice", ClientID: "mobile"}, stored).ID)
	// Output: 2
}

// A migration: each token is saved as it is, whatever the new store has of it already.
func ExampleOAuthToken_Detached() {
	ctx := context.Background()
	before, after := memory.New(), memory.New()
	if err := before.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "newer"}); err != nil {
		log.Fatal(err)
	}
	if err := after.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "of an earlier run"}); err != nil {
		log.Fatal(err)
	}

	tokens, err := before.GetTokens(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, token := range tokens {
		if err := after.SaveToken(ctx, token.Detached()); err != nil {
			log.Fatal(err)
		}
	}
	moved, err := after.FindTokenByID(ctx, "alice")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(moved.AccessToken)
	// Output: newer
}

// One token that cannot be read does not keep the others from being handed out.
func ExampleAllTokens() {
	ctx := context.Background()
	store := memory.New()
	for _, user := range []string{"alice", "bob"} {
		if err := store.SaveToken(ctx, &oauthstore.OAuthToken{ID: user, UserName: user, RefreshToken: "r"}); err != nil {
			log.Fatal(err)
		}
	}
	for token, err := range oauthstore.AllTokens(ctx, store) {
		var one *oauthstore.TokenError
		switch {
		case errors.As(err, &one):
			fmt.Println("could not read", one.ID)
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Println(token.UserName)
		}
	}
	// Output:
	// alice
	// bob
}
