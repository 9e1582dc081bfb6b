package vault

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

// afterWrite is a transport that carries out the first write to a path, then calls then, and breaks the answer.
type afterWrite struct {
	http.RoundTripper
	path string
	then func()
	done bool
}

func (a *afterWrite) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := a.RoundTripper.RoundTrip(r)
	if a.done || err != nil || r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, a.path) {
		return resp, err
	}
	a.done = true
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	a.then()
	return nil, io.ErrUnexpectedEOF
}

// A change of a user name has taken effect, its answer is lost, and others have changed the name four times since, so
// that the record neither remembers the write nor owns the entry any more. The save then changes the name once more: the
// record must have an entry for it, so that the user is found and nobody else can take the name.
func TestRename_thatIsRepeatedHasAnEntry(t *testing.T) {
	srv := vaulttest.NewServer()
	t.Cleanup(srv.Close)
	other, err := New(srv.Client())
	require.NoError(t, err)
	require.NoError(t, other.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", UserName: "ann", RefreshToken: "r"}))

	config := api.DefaultConfig()
	config.Address = srv.URL()
	config.MinRetryWait, config.MaxRetryWait = time.Millisecond, time.Millisecond
	config.HttpClient.Transport = &afterWrite{RoundTripper: config.HttpClient.Transport, path: "/data/oauthstore/token_1", then: func() {
		for i := range 4 {
			assert.NoError(t, other.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", UserName: fmt.Sprint("u", i)}))
		}
	}}
	client, err := api.NewClient(config)
	require.NoError(t, err)
	client.SetToken(srv.RootToken())
	s, err := New(client)
	require.NoError(t, err)
	require.NoError(t, s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", UserName: "anna"}))

	third, err := New(srv.Client())
	require.NoError(t, err)
	is, err := third.FindTokenByID(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, "anna", is.UserName)
	found, err := third.FindToken(t.Context(), &oauthstore.OAuthToken{UserName: "anna"})
	if assert.NoError(t, err) {
		assert.Equal(t, "1", found.ID)
	}
	var conflict *oauthstore.ConflictError
	assert.ErrorAs(t, third.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "2", UserName: "anna", RefreshToken: "r2"}), &conflict)
}
