package enginetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
)

// RunRefusals demands that a token which the store cannot save, whatever is stored, is refused before any request, by
// every method that saves, and by CheckToken alike.
func RunRefusals(t *testing.T, newBackend func(t *testing.T) Backend) {
	ctx := context.Background()
	b := newBackend(t)
	s := b.NewStore(t)
	save(t, s, &oauthstore.OAuthToken{ID: "x", UserName: "alice", RefreshToken: "r"})
	lease, err := s.LeaseToken(ctx, oauthstore.LeaseRequest{ID: "x", For: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct {
		token oauthstore.OAuthToken
		want  error
		field string // that the error names
	}{
		"no token, and nothing to find one by": {oauthstore.OAuthToken{ClientID: "c", ClientSecret: "s", Scope: "all"}, oauthstore.ErrInvalidToken, "Token"},
		"an id of white space":                 {oauthstore.OAuthToken{ID: " ", RefreshToken: "r"}, oauthstore.ErrInvalidToken, "ID"},
		"an id that is too long":               {oauthstore.OAuthToken{ID: strings.Repeat("x", 5000), RefreshToken: "r"}, oauthstore.ErrInvalidToken, "ID"},
		"a user name of white space":           {oauthstore.OAuthToken{ID: "x", UserName: "\t "}, oauthstore.ErrInvalidToken, "UserName"},
		"a user name that is too long":         {oauthstore.OAuthToken{UserName: large, RefreshToken: "r"}, oauthstore.ErrRecordTooLarge, "UserName"},
		"no UTF-8":                             {oauthstore.OAuthToken{ID: "x", Scope: "\xff"}, oauthstore.ErrInvalidToken, "Scope"},
		"an Extra that is no JSON object":      {oauthstore.OAuthToken{ID: "x", Extra: "[]"}, oauthstore.ErrInvalidToken, "Extra"},
		"an Extra that is too large":           {oauthstore.OAuthToken{ID: "x", Extra: fmt.Sprintf("{%q:1}", large)}, oauthstore.ErrRecordTooLarge, "Extra"},
		"an access token that is too large":    {oauthstore.OAuthToken{UserName: "bob", AccessToken: large}, oauthstore.ErrRecordTooLarge, "AccessToken"},
	} {
		for method, call := range map[string]func(token *oauthstore.OAuthToken) error{
			"SaveToken":   func(token *oauthstore.OAuthToken) error { return s.SaveToken(ctx, token) },
			"UpdateToken": func(token *oauthstore.OAuthToken) error { return s.UpdateToken(ctx, token) },
			"SaveLeased":  func(token *oauthstore.OAuthToken) error { return s.SaveLeased(ctx, lease, token) },
			"CheckToken":  s.CheckToken,
		} {
			if method == "SaveLeased" && c.token.ID != "x" {
				continue // not the leased record's
			}
			t.Run(method+" of "+name, func(t *testing.T) {
				b.Control().ResetRequests()
				token := c.token
				err := call(&token)
				switch {
				case !errors.Is(err, c.want):
					t.Errorf("got error %v, want %v", err, c.want)
				case !strings.Contains(err.Error(), c.field):
					t.Errorf("got error %v, want it to name %s", err, c.field)
				case strings.Contains(err.Error(), large[:100]):
					t.Error("the error quotes the value")
				}
				if got := b.Control().Counts(); len(got) != 0 {
					t.Errorf("got the requests %v, want none", got)
				}
			})
		}
	}
	if err := s.CheckToken(&oauthstore.OAuthToken{UserName: strings.Repeat("n", 1000)}); err != nil {
		t.Errorf("CheckToken of a user name that may have a record: %v", err)
	}
}
