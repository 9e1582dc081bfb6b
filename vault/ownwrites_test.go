package vault

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/internal/enginetest"
)

func TestOwnWritesAreSeenThoughAStandbyLagsBehind(t *testing.T) {
	enginetest.RunOwnWrites(t, func(t *testing.T, test func(*testing.T, enginetest.Store)) {
		s, err := New(newBackend(t).standby(t))
		require.NoError(t, err)
		test(t, s)
	})
}

// standby returns a client of a performance standby: it forwards writes, and the first reads of a secret after a
// write show what was there before it.
func (b backend) standby(t *testing.T) *api.Client {
	t.Helper()
	config := b.client().CloneConfig()
	config.HttpClient.Transport = &standby{RoundTripper: config.HttpClient.Transport, before: make(map[string]*stale)}
	client, err := api.NewClient(config)
	require.NoError(t, err)
	client.SetToken(b.srv.RootToken())
	return client
}

type standby struct {
	http.RoundTripper
	mu     sync.Mutex
	before map[string]*stale // by the path of a secret's data
}

// stale is an answer from before the last write.
type stale struct {
	reads  int // that still get it
	status int
	body   []byte
}

func (s *standby) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.Replace(r.URL.Path, "/destroy/", "/data/", 1)
	if !strings.Contains(path, "/data/") {
		return s.RoundTripper.RoundTrip(r)
	}
	if r.Method != http.MethodGet {
		read := r.Clone(r.Context())
		read.Method, read.URL.Path, read.Body, read.ContentLength = http.MethodGet, path, nil, 0
		resp, err := s.RoundTripper.RoundTrip(read)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return nil, err
		}
		s.before[path] = &stale{3, resp.StatusCode, body}
		return s.RoundTripper.RoundTrip(r)
	}
	if old := s.before[path]; old != nil && old.reads > 0 {
		old.reads--
		return &http.Response{
			StatusCode: old.status, Request: r, ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(old.body)),
			Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(old.body)),
		}, nil
	}
	return s.RoundTripper.RoundTrip(r)
}

// Its version numbers begin again, as if a standby lagged behind by far.
func TestASecretWhoseMetadataWasDeletedIsBelievedAfterAWhile(t *testing.T) {
	d := newBackend(t).driver()
	known := sighting{number: 3}
	d.seen.Update("token_a", func(sighting) sighting { return known })
	require.True(t, d.behind("token_a", known, sighting{number: 1}))
	known.behind = time.Now().Add(-maxBehind)
	d.seen.Update("token_a", func(sighting) sighting { return known })
	require.False(t, d.behind("token_a", known, sighting{number: 1}))
	require.False(t, d.behind("token_a", d.seen.Of("token_a"), sighting{number: 1}))
	require.True(t, d.behind("token_a", d.seen.Of("token_a"), sighting{}))
}
