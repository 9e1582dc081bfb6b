package authtest_test

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

func ExampleNewServer() {
	srv := authtest.NewServer()
	defer srv.Close()
	client := oauth2.Config{
		ClientID:     authtest.ClientID,
		ClientSecret: authtest.ClientSecret,
		Endpoint:     oauth2.Endpoint{TokenURL: srv.URL() + "/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
	// Two processes have read the same refresh token, and both refresh. The answer to the first is lost.
	tokens := srv.Issue("alice")
	srv.Inject(authtest.Fault{Op: "refresh_token", Kind: authtest.Drop, After: true})
	for _, process := range []string{"first", "second"} {
		_, err := client.TokenSource(context.Background(), &oauth2.Token{RefreshToken: tokens.RefreshToken}).Token()
		var refused *oauth2.RetrieveError
		if errors.As(err, &refused) {
			fmt.Println(process+":", refused.ErrorCode)
		} else {
			fmt.Println(process+": no answer:", err != nil)
		}
	}
	stats := srv.Stats()
	fmt.Println("requests:", stats.TokenRequests["refresh_token"])
	fmt.Println("refreshes:", stats.Families[0].Refreshes)
	fmt.Println("reuses:", len(stats.Reuses))
	fmt.Println("revoked:", stats.Families[0].Revoked)
	// Output:
	// first: no answer: true
	// second: invalid_grant
	// requests: map[invalid_grant:1 ok:1]
	// refreshes: 1
	// reuses: 1
	// revoked: true
}
