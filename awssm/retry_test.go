//go:build go1.25

package awssm

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/testserver"
)

// A lossyWire loses the answer to the first request with the operation that is about the secret. lost goes before the client
// learns of it.
type lossyWire struct {
	sm.HTTPClient
	op, secret string
	lost       func()
}

func (w *lossyWire) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := w.HTTPClient.Do(r)
	if w.lost == nil || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+w.op) || !strings.Contains(string(body), w.secret) {
		return resp, err
	}
	lost := w.lost
	w.lost = nil
	lost()
	return nil, io.ErrUnexpectedEOF
}

// over runs a test with a server in virtual time, as its clients have the SDK's own retryer with its pauses.
func over(t *testing.T, test func(f fixture), opts ...awssmtest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := awssmtest.NewServer(append(opts, awssmtest.WithoutSocket())...)
		defer srv.Close()
		test(fixture{Client: srv.Client(), srv: srv, ctx: t.Context(), t: t})
	})
}

// losing is a store whose client loses an answer, once.
func (f fixture) losing(op, secret string, lost func()) *Store {
	return f.newStore(func(o *sm.Options) { o.HTTPClient = &lossyWire{o.HTTPClient, op, secret, lost} })
}

func (f fixture) newStore(optFns ...func(*sm.Options)) *Store {
	return f.storeOver(f.srv.Client(optFns...))
}

// requireListed wants a new process to find the tokens, and to list them and no others.
func (f fixture) requireListed(ids ...string) {
	f.t.Helper()
	s := f.newStore()
	for _, id := range ids {
		f.find(s, id)
	}
	require.ElementsMatch(f.t, ids, f.ids(s))
}

// The SDK would make the secret again.
func TestSaveToken_thatIsDeletedBeforeTheClientTriesAgainIsListed(t *testing.T) {
	for _, opts := range [][]awssmtest.Option{nil, {awssmtest.WithDeletionDelay(10 * time.Second)}} {
		over(t, func(f fixture) {
			s := f.losing("CreateSecret", "token_x", func() {
				require.NoError(t, f.newStore().DeleteToken(f.ctx, "x"))
			})
			f.save(s, oauthstore.OAuthToken{ID: "x", UserName: "alice", AccessToken: "a"})
			f.requireListed("x")
		}, opts...)
	}
}

func TestSaveToken_thatIsSupersededBeforeTheClientTriesAgainIsNotRepeated(t *testing.T) {
	over(t, func(f fixture) {
		s := f.losing("CreateSecret", "token_x", func() {
			for _, access := range []string{"b", "c", "d", "e", "f"} {
				f.save(f.newStore(), oauthstore.OAuthToken{ID: "x", AccessToken: access})
			}
		})
		f.save(s, oauthstore.OAuthToken{ID: "x", UserName: "alice", AccessToken: "a"})
		f.requireListed("x")
		require.Equal(t, "f", f.find(f.newStore(), "x").AccessToken)
	})
}

// The delete's second try finds nothing under the ARN.
func TestDeleteToken_leavesWhatIsSavedBeforeTheClientTriesAgain(t *testing.T) {
	over(t, func(f fixture) {
		f.save(f.newStore(), oauthstore.OAuthToken{ID: "x", UserName: "alice", AccessToken: "a"})
		s := f.losing("DeleteSecret", "token_x", func() {
			f.save(f.newStore(), oauthstore.OAuthToken{ID: "x", UserName: "alice", AccessToken: "b"})
		})
		require.NoError(t, s.DeleteToken(f.ctx, "x"))
		f.requireListed("x")
	})
}

// Nothing that an attempt leaves outlives the call that succeeds, or the repeat that succeeds.
func TestSaveToken_thatFailedAndThenSucceededRefusesNobody(t *testing.T) {
	for _, kind := range []testserver.Kind{testserver.Throttle, testserver.FailBefore} {
		for times := range 8 {
			over(t, func(f fixture) {
				s := f.newStore()
				f.srv.Inject(testserver.Fault{Op: "CreateSecret", Secret: "oauthstore/token_1", Kind: kind, Times: times + 1})
				one := oauthstore.OAuthToken{ID: "1", UserName: "ann", AccessToken: "a"}
				err := s.SaveToken(f.ctx, &one)
				if times < 3 {
					require.NoError(t, err)
				}
				for range 3 {
					if err != nil {
						err = s.SaveToken(f.ctx, &one)
					}
				}
				require.NoError(t, err)
				require.NoError(t, s.DeleteToken(f.ctx, "1"))
				f.save(f.newStore(), oauthstore.OAuthToken{ID: "2", UserName: "ann", AccessToken: "b"})
				f.requireListed("2")
			})
		}
	}
}

func TestSaveToken_thatFailedAndThenSucceededLeavesTheUserNameFree(t *testing.T) {
	for _, kind := range []testserver.Kind{testserver.Throttle, testserver.FailBefore} {
		over(t, func(f fixture) {
			s := f.newStore()
			f.srv.Inject(testserver.Fault{Op: "CreateSecret", Secret: "oauthstore/token_1", Kind: kind, Times: 3})
			f.save(s, oauthstore.OAuthToken{ID: "1", UserName: "ann", AccessToken: "a"})
			f.save(s, oauthstore.OAuthToken{ID: "1", UserName: "anna"})
			f.save(f.newStore(), oauthstore.OAuthToken{ID: "2", UserName: "ann", AccessToken: "b"})
			f.requireListed("1", "2")
		})
	}
}
