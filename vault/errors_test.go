package vault

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/testserver"
)

func TestErrors_tellRetryLaterFromFixYourPermissions(t *testing.T) {
	ctx := context.Background()
	for kind, want := range map[testserver.Kind]error{
		testserver.FailBefore: oauthstore.ErrUnavailable,
		testserver.DropAfter:  oauthstore.ErrUnavailable,
		testserver.Throttle:   oauthstore.ErrThrottled,
		testserver.Deny:       oauthstore.ErrAccessDenied,
	} {
		b := newBackend(t)
		s := b.NewStore(t)
		b.srv.Inject(testserver.Fault{Kind: kind, Times: -1})
		_, err := s.FindTokenByID(ctx, "alice")
		require.ErrorIs(t, err, want, kind)
		if kind != testserver.DropAfter {
			var answer *api.ResponseError
			require.ErrorAs(t, err, &answer, kind)
		}
	}
}

func TestSealedVault_isUnavailable(t *testing.T) {
	b := newBackend(t)
	s := b.NewStore(t)
	save(t, s, "alice", 1)
	b.srv.SetSealed(true)
	_, err := s.FindTokenByID(context.Background(), "alice")
	require.ErrorIs(t, err, oauthstore.ErrUnavailable)
	b.srv.SetSealed(false)
	_, err = s.FindTokenByID(context.Background(), "alice")
	require.NoError(t, err)
}

func TestInvalidToken_isDenied(t *testing.T) {
	b := newBackend(t)
	client := b.client()
	client.SetToken("nobody's")
	s, err := New(client)
	require.NoError(t, err)
	_, err = s.FindTokenByID(context.Background(), "alice")
	require.ErrorIs(t, err, oauthstore.ErrAccessDenied)
}

// A server, or a proxy before it, may quote what it was sent.
func TestErrorText_neverHoldsWhatWasSent(t *testing.T) {
	for _, status := range []int{400, 403, 413, 429, 500, 502} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && r.URL.Path == "/v1/sys/internal/ui/mounts/secret" {
				_, _ = w.Write([]byte(`{"data":{"path":"secret/","type":"kv","options":{"version":"2"}}}`))
				return
			}
			if r.Method == http.MethodGet {
				http.Error(w, `{"errors":[]}`, http.StatusNotFound)
				return
			}
			http.Error(w, `{"errors":["refused: SECRET"]}`, status)
		}))
		defer srv.Close()
		client, err := api.NewClient(&api.Config{Address: srv.URL})
		require.NoError(t, err)
		client.SetMaxRetries(0)
		s, err := New(client, WithMaxVersions(0))
		require.NoError(t, err)
		err = s.SaveToken(context.Background(), &oauthstore.OAuthToken{ID: "alice", AccessToken: "SECRET"})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "SECRET", status)
		var answer *api.ResponseError
		require.True(t, errors.As(err, &answer), status)
	}
}

func TestLostAnswer_isSettledWithOneVersion(t *testing.T) {
	for _, kind := range []testserver.Kind{testserver.FailAfter, testserver.DropAfter} {
		b := newBackend(t)
		ctx := context.Background()
		client := b.srv.Client() // tries again, and meets itself
		client.SetMinRetryWait(1)
		client.SetMaxRetryWait(1)
		s, err := New(client, WithMaxVersions(0))
		require.NoError(t, err)
		save(t, s, "alice", 1)
		b.srv.Inject(testserver.Fault{Op: "PUT data", Kind: kind})
		save(t, s, "alice", 1)
		versions, err := b.client().KVv2("secret").GetVersionsAsList(ctx, "oauthstore/token_alice")
		require.NoError(t, err)
		require.Len(t, versions, 2, kind)
	}
}

func TestMountBeingUpgraded_isTriedAgain(t *testing.T) {
	b := newBackend(t)
	s := b.NewStore(t)
	save(t, s, "alice", 1)
	b.srv.SetUpgrading("secret", true)
	_, err := s.FindTokenByID(context.Background(), "alice")
	require.ErrorIs(t, err, oauthstore.ErrUnavailable)
}
