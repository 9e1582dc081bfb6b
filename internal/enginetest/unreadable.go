package enginetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/testserver"
)

// RunUnreadable demands that a token that the service refuses, or does not answer for, does not hide the others.
func RunUnreadable(t *testing.T, newBackend func(t *testing.T) Backend) {
	ctx := context.Background()
	const n = 30
	b := newBackend(t)
	s := b.NewStore(t)
	for i := range n {
		id := fmt.Sprintf("id%03d", i)
		save(t, s, &oauthstore.OAuthToken{ID: id, AccessToken: "access " + id})
	}
	b.Control().ResetRequests()
	if _, err := s.FindTokenByID(ctx, "id000"); err != nil {
		t.Fatal(err)
	}
	secret := b.Control().Requests()[0].Secret
	for kind, class := range map[testserver.Kind]error{testserver.Deny: oauthstore.ErrAccessDenied, testserver.FailBefore: oauthstore.ErrUnavailable} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			defer b.Control().ClearFaults()
			// Then the store reads one by one on AWS too: a batch has an error for each secret that the caller may not read.
			b.Control().Inject(testserver.Fault{Op: "BatchGetSecretValue", Kind: testserver.Deny, Times: -1})
			b.Control().Inject(testserver.Fault{Secret: secret, Kind: kind, Times: -1})
			tokens, err := s.GetTokens(ctx)
			var some *oauthstore.UnreadableTokensError
			switch {
			case !errors.As(err, &some):
				t.Fatalf("got error %v, want an *UnreadableTokensError", err)
			case len(tokens) != n-1 || len(some.Tokens) != 1 || some.Tokens[0].ID != "id000":
				t.Errorf("got %d tokens and the error %v, want %d and an error for id000", len(tokens), err, n-1)
			case !errors.Is(err, class):
				t.Errorf("got error %v, want %v", err, class)
			}
		})
	}
}
