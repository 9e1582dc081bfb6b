package vault

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/testserver"
)

// deleteAfter sets the mount's delete_version_after.
func deleteAfter(t *testing.T, b backend, period string) {
	t.Helper()
	_, err := b.client().Logical().Write("secret/config", map[string]any{"delete_version_after": period})
	require.NoError(t, err)
}

func TestDeleteVersionAfter_isRefusedBeforeAnythingIsStored(t *testing.T) {
	b := newBackend(t)
	deleteAfter(t, b, "720h")
	ctx := context.Background()
	s := b.NewStore(t)
	alice := &oauthstore.OAuthToken{ID: "alice", UserName: "alice", AccessToken: "a"}
	for range 2 {
		require.ErrorContains(t, s.SaveToken(ctx, alice), "delete_version_after, which is 720h0m0s")
	}
	require.Empty(t, b.Names())

	deleteAfter(t, b, "0")
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "other", UserName: "alice", AccessToken: "a"}),
		"nothing keeps the user's name, and the store sees that the mount is right now")
}

// The setting comes when a token is stored already: no process that begins after that writes anything.
func TestDeleteVersionAfter_isRefusedBeforeATokenIsChanged(t *testing.T) {
	ctx := context.Background()
	b := newBackend(t)
	save(t, b.NewStore(t), "alice", 1)
	before := b.Payloads()
	deleteAfter(t, b, "5s")
	for name, write := range map[string]func(s enginetest.Store) error{
		"SaveToken": func(s enginetest.Store) error {
			return s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "new"})
		},
		"SaveToken of another": func(s enginetest.Store) error {
			return s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "bob", AccessToken: "b"})
		},
		"UpdateToken": func(s enginetest.Store) error {
			return s.UpdateToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "new"})
		},
		"LeaseToken": func(s enginetest.Store) error {
			_, err := s.LeaseToken(ctx, oauthstore.LeaseRequest{ID: "alice", For: time.Minute})
			return err
		},
		"DeleteToken":  func(s enginetest.Store) error { return s.DeleteToken(ctx, "alice") },
		"DeleteTokens": func(s enginetest.Store) error { return s.DeleteTokens(ctx) },
	} {
		err := write(b.NewStore(t))
		require.ErrorContains(t, err, "delete_version_after", name)
		require.ErrorIs(t, err, oauthstore.ErrMisconfigured, name)
		require.Equal(t, before, b.Payloads(), name)
	}
	b.srv.Advance(time.Hour)
	tokens, err := b.NewStore(t).GetTokens(ctx)
	require.NoError(t, err)
	require.Len(t, tokens, 1)
}

// A process that has just written does not ask again. The answer to its next write shows the setting, and it writes no more.
func TestDeleteVersionAfter_setWhileAProcessWritesIsMetByOneWrite(t *testing.T) {
	for name, client := range map[string]func(b backend) *api.Client{
		"the config may be read": backend.client,
		"the config may not be read": func(b backend) *api.Client {
			b.srv.Inject(testserver.Fault{Op: "GET config", Kind: testserver.Deny})
			return b.client()
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			b := newBackend(t)
			s, err := New(client(b))
			require.NoError(t, err)
			save(t, s, "alice", 1)
			deleteAfter(t, b, "5s")
			err = s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", RefreshToken: "new"})
			require.ErrorContains(t, err, "delete_version_after")
			require.ErrorIs(t, err, oauthstore.ErrMisconfigured)
			found, err := s.FindTokenByID(ctx, "alice")
			require.NoError(t, err)
			require.Equal(t, "new", found.RefreshToken, "it is still there")
			b.srv.ResetRequests()
			require.ErrorContains(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", RefreshToken: "newer"}), "delete_version_after")
			require.Zero(t, b.srv.Count("PUT data"))
		})
	}
}

// What was written while the setting was there is named, before it is deleted and after that.
func TestDeleteVersionAfter_repairNamesWhatIsGoingToBeDeleted(t *testing.T) {
	ctx := context.Background()
	b := newBackend(t)
	save(t, b.NewStore(t), "bob", 1)
	s := b.NewStore(t)
	save(t, s, "alice", 1)
	deleteAfter(t, b, "1h")
	require.Error(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", RefreshToken: "new"}))

	report, err := b.NewStore(t).Repair(ctx, oauthstore.RepairOptions{DryRun: true})
	require.NoError(t, err)
	require.Equal(t, []string{"secret/oauthstore/token_alice"}, report.Expiring)
	require.False(t, report.Clean())
	report, err = b.NewStore(t).Repair(ctx, oauthstore.RepairOptions{})
	require.ErrorContains(t, err, "delete_version_after", "as long as it is there")
	require.Equal(t, []string{"secret/oauthstore/token_alice"}, report.Expiring)

	deleteAfter(t, b, "0")
	report, err = b.NewStore(t).Repair(ctx, oauthstore.RepairOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"secret/oauthstore/token_alice"}, report.Expiring)
	report, err = b.NewStore(t).Repair(ctx, oauthstore.RepairOptions{})
	require.NoError(t, err)
	require.True(t, report.Clean(), report)
	b.srv.Advance(2 * time.Hour)
	require.Len(t, b.tokens(t), 2)
}

func (b backend) tokens(t *testing.T) []*oauthstore.OAuthToken {
	t.Helper()
	tokens, err := b.NewStore(t).GetTokens(context.Background())
	require.NoError(t, err)
	return tokens
}

func TestDeleteVersionAfter_aTokenThatWasDeletedSoIsAnError(t *testing.T) {
	ctx := context.Background()
	b := newBackend(t)
	s := b.NewStore(t)
	save(t, s, "alice", 1)
	save(t, s, "bob", 1)
	deleteAfter(t, b, "1h")
	require.Error(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", RefreshToken: "new"}))
	b.srv.Advance(2 * time.Hour)
	s = b.NewStore(t)
	_, err := s.FindTokenByID(ctx, "alice")
	requireCorrupt(t, err, "secret/oauthstore/token_alice")
	_, err = s.GetTokens(ctx)
	requireCorrupt(t, err, "secret/oauthstore/token_alice")

	deleteAfter(t, b, "0")
	report, err := s.Repair(ctx, oauthstore.RepairOptions{})
	require.NoError(t, err)
	require.Len(t, report.Unreadable, 1)
	requireCorrupt(t, report.Unreadable[0], "secret/oauthstore/token_alice")
	require.Empty(t, report.Dead)
	require.NoError(t, s.DeleteToken(ctx, "alice"))
	require.Len(t, b.tokens(t), 1)
	save(t, s, "alice", 1)
	require.Len(t, b.tokens(t), 2)
}

// A version that an administrator deletes counts as deleted.
func TestATokenThatWasDeletedByHandIsNotThere(t *testing.T) {
	b := newBackend(t)
	save(t, b.NewStore(t), "alice", 1)
	require.NoError(t, b.client().KVv2("secret").Delete(context.Background(), "oauthstore/token_alice"))
	require.Empty(t, b.tokens(t))
}

func requireCorrupt(t *testing.T, err error, secret string) {
	t.Helper()
	var c *oauthstore.CorruptRecordError
	require.ErrorAs(t, err, &c)
	require.Equal(t, secret, c.Secret)
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
			s := b.NewStore(t)
			save(t, s, "alice", 1)
			deleteAfter(t, b, "720h")
			err := s.SaveToken(context.Background(), &oauthstore.OAuthToken{ID: "carol", AccessToken: "c"})
			require.ErrorContains(t, err, "delete_version_after", "though it has written the index")
			deleteAfter(t, b, "0")
			b.srv.Advance(31 * 24 * time.Hour)
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
				requireCorrupt(t, err, "secret/oauthstore/index")
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
