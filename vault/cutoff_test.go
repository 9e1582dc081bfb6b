package vault

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

// cutOff is a transport that carries requests out, and breaks the connection in the middle of the answer with this number.
type cutOff struct {
	http.RoundTripper
	countdown int
	err       error
	cut       string // the method of the request
}

func (c *cutOff) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	if c.countdown--; c.countdown == -1 {
		c.cut = r.Method
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(b[:len(b)/2]), broken{c.err}))
	}
	return resp, nil
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// cutOffAt returns a client over a transport that cuts answer n off.
func cutOffAt(t *testing.T, srv *vaulttest.Server, n int, err error) (*api.Client, *cutOff) {
	t.Helper()
	config := api.DefaultConfig()
	config.Address = srv.URL()
	cut := &cutOff{RoundTripper: config.HttpClient.Transport, countdown: n, err: err}
	config.HttpClient.Transport = cut
	client, err := api.NewClient(config)
	require.NoError(t, err)
	client.SetToken(srv.RootToken())
	return client, cut
}

// An answer that ends in its middle was lost: after a write the store looks what has become of it.
func TestAnswersThatAreCutOffAreLostAnswers(t *testing.T) {
	for what, broke := range map[string]error{
		"HTTP/1.1": io.ErrUnexpectedEOF,
		"HTTP/2":   errors.New("stream error: stream ID 3; INTERNAL_ERROR; received from peer"), // its type is net/http's own
	} {
		for name, do := range map[string]func(s *Store) error{
			"find": func(s *Store) error { _, err := s.FindTokenByID(t.Context(), "1"); return err },
			"list": func(s *Store) error { _, err := s.GetTokens(t.Context()); return err },
			"save": func(s *Store) error {
				return s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", AccessToken: "b"})
			},
			"insert": func(s *Store) error {
				return s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "2", AccessToken: "b"})
			},
			"rename": func(s *Store) error { return s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", UserName: "u"}) },
			"delete": func(s *Store) error { return s.DeleteToken(t.Context(), "1") },
			"lease": func(s *Store) error {
				_, err := s.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "1", For: time.Minute})
				return err
			},
		} {
			for n := 0; ; n++ {
				srv := vaulttest.NewServer()
				before, err := New(srv.Client())
				require.NoError(t, err)
				require.NoError(t, before.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", AccessToken: "a"}))

				client, cut := cutOffAt(t, srv, n, broke)
				s, err := New(client)
				require.NoError(t, err)
				err = do(s)
				srv.Close()
				if cut.countdown >= 0 {
					break
				}
				if cut.cut != http.MethodGet {
					assert.NoError(t, err, "answer %d of a %s over %s", n, name, what)
				} else if err != nil { // a call is not begun again for its first reads
					assert.ErrorIs(t, err, oauthstore.ErrUnavailable, "answer %d of a %s over %s", n, name, what)
				}
			}
		}
	}
}

// The reason is shown of a write too, though no other text of the client is.
func TestAnswersThatAreCutOffGiveTheReason(t *testing.T) {
	b := newBackend(t)
	client, cut := cutOffAt(t, b.srv, -1, io.ErrUnexpectedEOF)
	d := b.driver()
	d.client = client
	_, err := d.Put(t.Context(), "token_a", engine.None, engine.Record{WriteID: "1"}, 0)
	require.NoError(t, err) // the mount is known now
	cut.countdown = 0
	_, err = d.Put(t.Context(), "token_b", engine.None, engine.Record{WriteID: "1"}, 0)
	require.Equal(t, http.MethodPut, cut.cut)
	require.EqualError(t, err, "vault: write secret/oauthstore/token_b: service unavailable: unexpected EOF")
}
