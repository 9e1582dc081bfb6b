package gcpsm

import (
	"context"
	"testing"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/internal/enginetest"
)

func TestOwnWritesAreSeenThoughReadsLagBehind(t *testing.T) {
	for name, opt := range map[string]gcpsmtest.Option{
		"latest alone":                  gcpsmtest.WithLaggingLatest(time.Hour),
		"all but the reads by a number": gcpsmtest.WithStaleness(time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			enginetest.RunOwnWrites(t, func(t *testing.T, test func(*testing.T, enginetest.Store)) {
				test(t, newBackend(t, opt).NewStore(t))
			})
		})
	}
}

// eachDestroyIsLateSeen is a client for which the versions stay as they are in stale reads when they are destroyed.
type eachDestroyIsLateSeen struct {
	*secretmanager.Client
	srv *gcpsmtest.Server
	lag time.Duration
}

func (c eachDestroyIsLateSeen) DestroySecretVersion(ctx context.Context, in *pb.DestroySecretVersionRequest, opts ...gax.CallOption) (*pb.SecretVersion, error) {
	c.srv.Advance(c.lag) // until now nothing has changed for so long
	return c.Client.DestroySecretVersion(ctx, in, opts...)
}

func TestDeleteToken_knowsItsTombstoneThoughReadsLagBehind(t *testing.T) {
	const lag = time.Hour
	srv := gcpsmtest.NewServer(gcpsmtest.WithStaleness(lag))
	t.Cleanup(srv.Close)
	client, err := srv.Client(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	s, err := New(eachDestroyIsLateSeen{client, srv, lag}, "my-project")
	require.NoError(t, err)

	require.NoError(t, s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", RefreshToken: "r"}))
	require.NoError(t, s.DeleteToken(t.Context(), "1"))
	srv.ResetRequests()
	assert.ErrorIs(t, s.DeleteToken(t.Context(), "1"), oauthstore.ErrTokenNotFound, "it was deleted, by this store")
	assert.Zero(t, srv.Count("AddSecretVersion", "DestroySecretVersion"), "there is nothing to finish")

	require.NoError(t, s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", RefreshToken: "r2"}))
	assert.Equal(t, 2, srv.Count("AddSecretVersion"), "of the token and of the index")
}
