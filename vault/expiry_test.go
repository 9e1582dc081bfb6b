package vault

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// deleteAfter sets the mount's delete_version_after.
func deleteAfter(t *testing.T, b backend, period string) {
	t.Helper()
	_, err := b.client().Logical().Write("secret/config", map[string]any{"delete_version_after": period})
	require.NoError(t, err)
}

func TestDeleteVersionAfter_isRefusedBeforeATokenIsStored(t *testing.T) {
	b := newBackend(t)
	deleteAfter(t, b, "720h")
	ctx := context.Background()
	s := b.NewStore(t)
	alice := &oauthstore.OAuthToken{ID: "alice", UserName: "alice", AccessToken: "a"}
	for range 2 {
		require.ErrorContains(t, s.SaveToken(ctx, alice), "delete_version_after")
	}
	list, err := b.client().Logical().List("secret/metadata/oauthstore")
	require.NoError(t, err)
	require.Equal(t, []any{"index"}, list.Data["keys"])

	deleteAfter(t, b, "0")
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "other", UserName: "alice", AccessToken: "a"}),
		"nothing keeps the user's name, and the store sees that the mount is right now")
}

func TestDeleteVersionAfter_doesNotKeepTokensFromBeingRefreshed(t *testing.T) {
	b := newBackend(t)
	save(t, b.NewStore(t), "alice", 1)
	deleteAfter(t, b, "720h")
	save(t, b.NewStore(t), "alice", 1)
}

// One token's own delete_version_after is its owner's wish, and no reason to refuse others.
func TestDeleteVersionAfter_ofOneTokenIsThatTokens(t *testing.T) {
	b := newBackend(t)
	s := b.NewStore(t)
	save(t, s, "alice", 1)
	_, err := b.client().Logical().Write("secret/metadata/oauthstore/token_alice", map[string]any{"delete_version_after": "720h"})
	require.NoError(t, err)
	d := b.driver()
	index, rev, err := d.Get(context.Background(), "index", engine.None)
	require.NoError(t, err)
	_, err = d.Put(context.Background(), "index", rev, index, 0) // for bob
	require.NoError(t, err)
	alice, rev, err := d.Get(context.Background(), "token_alice", engine.None)
	require.NoError(t, err)
	_, err = d.Put(context.Background(), "token_alice", rev, alice, 0)
	require.NoError(t, err)
	_, err = d.Put(context.Background(), "token_bob", engine.None, alice, 0)
	require.NoError(t, err)
}

// An index that is gone is not an empty store, whose tokens nobody would find, or delete.
func TestIndexThatIsDeletedByOtherMeans(t *testing.T) {
	for name, remove := range map[string]func(t *testing.T, b backend){
		"by hand": func(t *testing.T, b backend) {
			require.NoError(t, b.client().KVv2("secret").Delete(context.Background(), "oauthstore/index"))
		},
		"by delete_version_after, which was set after the tokens were there": func(t *testing.T, b backend) {
			deleteAfter(t, b, "720h")
			err := b.NewStore(t).SaveToken(context.Background(), &oauthstore.OAuthToken{ID: "carol", AccessToken: "c"})
			require.ErrorContains(t, err, "delete_version_after", "though it has written the index")
			for range 31 {
				b.srv.Advance(24 * time.Hour)
				save(t, b.NewStore(t), "alice", 1)
				save(t, b.NewStore(t), "bob", 1)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			b := newBackend(t)
			save(t, b.NewStore(t), "alice", 1)
			save(t, b.NewStore(t), "bob", 1)
			remove(t, b)

			s := b.NewStore(t)
			save(t, s, "alice", 1) // which needs no index
			corrupt := func(err error) {
				t.Helper()
				var c *oauthstore.CorruptRecordError
				require.ErrorAs(t, err, &c)
				require.Equal(t, "secret/oauthstore/index", c.Secret)
			}
			_, err := s.GetTokens(ctx)
			corrupt(err)
			corrupt(s.DeleteTokens(ctx))
			corrupt(s.SaveToken(ctx, &oauthstore.OAuthToken{UserName: "carol", AccessToken: "c"}))

			for _, dry := range []bool{true, false} {
				report, err := s.Repair(ctx, oauthstore.RepairOptions{DryRun: dry})
				require.NoError(t, err)
				require.Equal(t, []string{"secret/oauthstore/index"}, report.Pages)
				require.Equal(t, []string{"alice", "bob"}, report.Unlisted)
			}
			tokens, err := s.GetTokens(ctx)
			require.NoError(t, err)
			require.Len(t, tokens, 2)
			require.NoError(t, s.DeleteTokens(ctx))
		})
	}
}
