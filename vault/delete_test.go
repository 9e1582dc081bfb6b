package vault

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/testserver"
)

func TestDeleteToken_destroysAllVersions(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s, err := New(b.client(), WithMaxVersions(0)) // Vault keeps ten
	require.NoError(t, err)
	for _, access := range strings.Split("abcdefgh", "") {
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "SECRET-" + access}))
	}
	require.NoError(t, s.DeleteToken(ctx, "alice"))
	for _, payload := range b.Payloads() {
		require.NotContains(t, payload, "SECRET")
	}
	versions, err := b.client().KVv2("secret").GetVersionsAsList(ctx, "oauthstore/token_alice")
	require.NoError(t, err)
	for _, v := range versions {
		require.True(t, v.Destroyed, "version %d", v.Version)
	}
}

// A writer that read the old secret must not fit the new one.
func TestDeleteAndSaveAgain_doNotLetALateWriterIn(t *testing.T) {
	for _, saves := range []int{1, 2, 3} {
		b := newBackend(t)
		ctx := context.Background()
		s := b.NewStore(t)
		save(t, s, "alice", saves)

		late := b.driver()
		rec, rev, err := late.Get(ctx, "token_alice", engine.None)
		require.NoError(t, err)

		require.NoError(t, s.DeleteToken(ctx, "alice"))
		_, err = late.Put(ctx, "token_alice", rev, rec, 0)
		require.ErrorIs(t, err, engine.ErrConflict, "after the delete")

		for range 4 {
			save(t, s, "alice", 1)
			_, err = late.Put(ctx, "token_alice", rev, rec, 0)
			require.ErrorIs(t, err, engine.ErrConflict, "after the delete and another save")
		}
	}
}

func save(t *testing.T, s oauthstore.TokenStore, id string, times int) {
	t.Helper()
	for range times {
		require.NoError(t, s.SaveToken(context.Background(), &oauthstore.OAuthToken{ID: id, AccessToken: oauthstore.RandomID()}))
	}
}

func TestDeleteToken_thatDiedHalfWayIsFinished(t *testing.T) {
	for name, finish := range map[string]func(s oauthstore.TokenStore) error{
		"by another delete": func(s oauthstore.TokenStore) error { return s.DeleteToken(context.Background(), "alice") },
		"by a save": func(s oauthstore.TokenStore) error {
			return s.SaveToken(context.Background(), &oauthstore.OAuthToken{ID: "alice", AccessToken: "new"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t)
			ctx := context.Background()
			s, err := New(b.client(), WithMaxVersions(0))
			require.NoError(t, err)
			require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "SECRET"}))
			b.srv.Inject(testserver.Fault{Op: "PUT destroy", Kind: testserver.FailBefore, Times: -1})
			require.ErrorIs(t, s.DeleteToken(ctx, "alice"), oauthstore.ErrUnavailable)
			b.srv.ClearFaults()

			_, err = s.FindTokenByID(ctx, "alice")
			require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
			require.NoError(t, finish(s))
			for _, payload := range b.Payloads() {
				require.NotContains(t, payload, "SECRET")
			}
		})
	}
}

func TestSecretDeletedByHand_countsAsAbsent(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	save(t, s, "alice", 2)
	require.NoError(t, b.client().KVv2("secret").Delete(ctx, "oauthstore/token_alice"))
	_, err := s.FindTokenByID(ctx, "alice")
	require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
	save(t, s, "alice", 1)
	require.NoError(t, b.client().KVv2("secret").DeleteMetadata(ctx, "oauthstore/token_alice"))
	_, err = s.FindTokenByID(ctx, "alice")
	require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
	save(t, s, "alice", 1)
	_, err = s.FindTokenByID(ctx, "alice")
	require.NoError(t, err)
}

func TestForeignSecret_isCorruptAndNotQuoted(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	_, err := b.client().KVv2("secret").Put(ctx, "oauthstore/token_alice", map[string]any{"password": "SECRET", "n": 1})
	require.NoError(t, err)
	var corrupt *oauthstore.CorruptRecordError
	_, err = b.NewStore(t).FindTokenByID(ctx, "alice")
	require.ErrorAs(t, err, &corrupt)
	require.Equal(t, "secret/oauthstore/token_alice", corrupt.Secret)
	require.NotContains(t, err.Error(), "SECRET")
}

func TestUnknownFields_survive(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	save(t, s, "alice", 1)
	kv := b.client().KVv2("secret")
	secret, err := kv.Get(ctx, "oauthstore/token_alice")
	require.NoError(t, err)
	secret.Data["note"], secret.Data["list"] = "by hand", []any{"x", map[string]any{"y": true}}
	_, err = kv.Put(ctx, "oauthstore/token_alice", secret.Data)
	require.NoError(t, err)
	save(t, s, "alice", 1)
	after, err := kv.Get(ctx, "oauthstore/token_alice")
	require.NoError(t, err)
	require.NotEqual(t, secret.Data["access_token"], after.Data["access_token"])
	require.Equal(t, "by hand", after.Data["note"])
	require.Equal(t, []any{"x", map[string]any{"y": true}}, after.Data["list"])
}

func TestDriver_oneOfTwoWritersWins(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	d := b.driver()
	rec := engine.Record{WriteID: "1", Document: codec.Document{}}
	rev, err := d.Put(ctx, "token_x", engine.None, rec, 0)
	require.NoError(t, err)
	_, err = d.Put(ctx, "token_x", engine.None, rec, 0)
	require.ErrorIs(t, err, engine.ErrConflict)
	_, err = d.Put(ctx, "token_x", rev, rec, 0)
	require.NoError(t, err)
	_, err = d.Put(ctx, "token_x", rev, rec, 0)
	require.ErrorIs(t, err, engine.ErrConflict)
}
