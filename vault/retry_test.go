package vault

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/testserver"
)

// A lossyWire loses the answer to the first request with the method and path. lost goes before the client learns of it.
type lossyWire struct {
	http.RoundTripper
	request string

	mu   sync.Mutex
	lost func()
}

func (w *lossyWire) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(r)
	w.mu.Lock()
	lost := w.lost
	if strings.HasSuffix(r.Method+" "+r.URL.Path, w.request) {
		w.lost = nil
	} else {
		lost = nil
	}
	w.mu.Unlock()
	if lost == nil {
		return resp, err
	}
	if err == nil {
		_ = resp.Body.Close()
	}
	lost()
	return nil, io.ErrUnexpectedEOF
}

// losing is a store whose client loses an answer, once.
func (b backend) losing(t *testing.T, request string, lost func()) *Store {
	t.Helper()
	client := b.client()
	config := client.CloneConfig()
	config.HttpClient.Transport = &lossyWire{RoundTripper: config.HttpClient.Transport, request: request, lost: lost}
	own, err := api.NewClient(config)
	require.NoError(t, err)
	own.SetToken(client.Token())
	s, err := New(own)
	require.NoError(t, err)
	return s
}

// requireListed wants a new process to find the tokens, and to list them and no others.
func (b backend) requireListed(t *testing.T, ids ...string) {
	t.Helper()
	ctx := context.Background()
	s := b.NewStore(t)
	all, err := s.GetTokens(ctx)
	require.NoError(t, err)
	var listed []string
	for _, token := range all {
		listed = append(listed, token.ID)
	}
	require.ElementsMatch(t, ids, listed)
	for _, id := range ids {
		_, err := s.FindTokenByID(ctx, id)
		require.NoError(t, err)
	}
}

const putTokenX = "PUT /v1/secret/data/oauthstore/token_x"

func aliceWith(access string) *oauthstore.OAuthToken {
	return &oauthstore.OAuthToken{ID: "x", UserName: "alice", AccessToken: access}
}

// The client's second try is a conflict, with nothing there.
func TestSaveToken_thatIsDeletedBeforeTheClientTriesAgainIsListed(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.losing(t, putTokenX, func() { require.NoError(t, b.NewStore(t).DeleteToken(ctx, "x")) })
	require.NoError(t, s.SaveToken(ctx, aliceWith("a")))
	b.requireListed(t, "x")
}

func TestSaveToken_thatIsSupersededBeforeTheClientTriesAgainIsNotRepeated(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.losing(t, putTokenX, func() {
		for i := range 5 {
			require.NoError(t, b.NewStore(t).SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: fmt.Sprint("newer ", i)}))
		}
	})
	require.NoError(t, s.SaveToken(ctx, aliceWith("a")))
	b.requireListed(t, "x")
	found, err := b.NewStore(t).FindTokenByID(ctx, "x")
	require.NoError(t, err)
	require.Equal(t, "newer 4", found.AccessToken)
}

// The second try of the tombstone is a conflict, with another token there.
func TestDeleteToken_leavesWhatIsSavedBeforeTheClientTriesAgain(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	require.NoError(t, b.NewStore(t).SaveToken(ctx, aliceWith("a")))
	s := b.losing(t, putTokenX, func() { require.NoError(t, b.NewStore(t).SaveToken(ctx, aliceWith("b"))) })
	require.NoError(t, s.DeleteToken(ctx, "x"))
	b.requireListed(t, "x")
}

// Nothing that an attempt leaves outlives the call that succeeds, or the repeat that succeeds.
func TestSaveToken_thatFailedAndThenSucceededRefusesNobody(t *testing.T) {
	for _, kind := range []testserver.Kind{testserver.Throttle, testserver.FailBefore} {
		for _, times := range []int{1, 3, 6, 12} {
			b := newBackend(t)
			ctx := context.Background()
			s := b.NewStore(t)
			b.srv.Inject(testserver.Fault{Op: "PUT data", Secret: "oauthstore/token_1", Kind: kind, Times: times})
			one := oauthstore.OAuthToken{ID: "1", UserName: "ann", AccessToken: "a"}
			err := s.SaveToken(ctx, &one)
			for range 3 {
				if err != nil {
					err = s.SaveToken(ctx, &one)
				}
			}
			require.NoError(t, err)
			require.NoError(t, s.DeleteToken(ctx, "1"))
			two := oauthstore.OAuthToken{ID: "2", UserName: "ann", AccessToken: "b"}
			require.NoError(t, b.NewStore(t).SaveToken(ctx, &two), "%v, %d times", kind, times)
			b.requireListed(t, "2")
		}
	}
}

func TestSaveToken_thatFailedAndThenSucceededLeavesTheUserNameFree(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	b.srv.Inject(testserver.Fault{Op: "PUT data", Secret: "oauthstore/token_1", Kind: testserver.Throttle, Times: 3})
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "1", UserName: "ann", AccessToken: "a"}))
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "1", UserName: "anna"}))
	require.NoError(t, b.NewStore(t).SaveToken(ctx, &oauthstore.OAuthToken{ID: "2", UserName: "ann", AccessToken: "b"}))
	b.requireListed(t, "1", "2")
}
