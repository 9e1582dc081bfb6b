package vault

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

// before returns a client of a server that b's is behind. It sends back what refuse says, if that is not empty.
func before(t *testing.T, b backend, status int, refuse func(r *http.Request, body string) string) *api.Client {
	t.Helper()
	target, err := url.Parse(b.srv.URL())
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if text := refuse(r, string(body)); text != "" {
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{text}})
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	client, err := api.NewClient(&api.Config{Address: front.URL})
	require.NoError(t, err)
	client.SetToken(b.srv.RootToken())
	client.SetMaxRetries(0)
	return client
}

// OpenBao's metadata_cas_required demands of each write of metadata which version of it is to be there.
func TestMetadataCASRequired(t *testing.T) {
	const required, mismatch = "metadata check-and-set parameter required for this call",
		"metadata check-and-set parameter does not match the current version"
	b := newBackend(t)
	described := make(map[string]bool)
	client := before(t, b, http.StatusBadRequest, func(r *http.Request, body string) string {
		switch path := r.URL.Path; {
		case r.Method != http.MethodPut || !strings.Contains(path, "/metadata/"):
			return ""
		case !strings.Contains(body, `"metadata_cas":0`):
			return required
		case described[path]:
			return mismatch
		default:
			described[path] = true
			return ""
		}
	})
	s, err := New(client)
	require.NoError(t, err)
	save(t, s, "alice", 2)
	described["/v1/secret/metadata/oauthstore/token_bob"] = true // by a process that died
	save(t, s, "bob", 1)
}

// Storage "file" encrypts each part of a path, and makes a file's name of it.
func TestNameThatIsTooLongForTheStorage(t *testing.T) {
	b := newBackend(t)
	client := before(t, b, http.StatusInternalServerError, func(r *http.Request, _ string) string {
		if _, name, ok := strings.Cut(r.URL.Path, "/oauthstore/"); ok && len(name) > 104 {
			return "1 error occurred:\n\t* open /vault/file/logical/x: file name too long\n\n"
		}
		return ""
	})
	s, err := New(client)
	require.NoError(t, err)
	_, err = s.FindTokenByID(t.Context(), strings.Repeat("a", 100))
	require.ErrorContains(t, err, "file name too long")
	require.NotErrorIs(t, err, oauthstore.ErrUnavailable, "it is not worth trying again")
}
