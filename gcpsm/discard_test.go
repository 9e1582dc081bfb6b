package gcpsm

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// Secret Manager stores the version of a writer that has lost to a delete all the same.
func TestLateWriter_leavesNoCredentialBehindTheTombstone(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	token := &oauthstore.OAuthToken{ID: "alice", AccessToken: "SECRET"}
	require.NoError(t, s.SaveToken(ctx, token))
	late := b.Driver(t)
	rec, rev, err := late.Get(ctx, "token_alice", engine.None)
	require.NoError(t, err)
	require.NoError(t, s.DeleteToken(ctx, "alice"))

	for range 2 {
		_, err = late.Put(ctx, "token_alice", rev, rec, engine.TidyAll)
		require.ErrorIs(t, err, engine.ErrConflict)
		for _, payload := range b.Payloads() {
			require.False(t, strings.Contains(payload, "SECRET"))
		}
		_, err = b.NewStore(t).FindTokenByID(ctx, "alice")
		require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
	}

	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "new"}))
	_, err = late.Put(ctx, "token_alice", rev, rec, engine.TidyAll)
	require.ErrorIs(t, err, engine.ErrConflict)
	found, err := b.NewStore(t).FindTokenByID(ctx, "alice")
	require.NoError(t, err)
	require.Equal(t, "new", found.AccessToken)
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "newer"}))
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "newest"}))
	for _, payload := range b.Payloads() {
		require.False(t, strings.Contains(payload, "SECRET"))
	}
}
