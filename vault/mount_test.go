package vault

import (
	"context"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

func TestKVVersion1_isRefusedBeforeAnyWrite(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	require.NoError(t, b.client().Sys().Mount("old", &api.MountInput{Type: "kv", Options: map[string]string{"version": "1"}}))
	for name, call := range map[string]func(s *Store) error{
		"SaveToken": func(s *Store) error {
			return s.SaveToken(ctx, &oauthstore.OAuthToken{UserName: "alice", AccessToken: "a"})
		},
		"GetTokens":      func(s *Store) error { _, err := s.GetTokens(ctx); return err },
		"FindTokenByID":  func(s *Store) error { _, err := s.FindTokenByID(ctx, "x"); return err },
		"DeleteToken":    func(s *Store) error { return s.DeleteToken(ctx, "x") },
		"without a user": func(s *Store) error { return s.SaveToken(ctx, &oauthstore.OAuthToken{AccessToken: "a"}) },
	} {
		s, err := New(b.client(), WithMount("old"))
		require.NoError(t, err)
		require.ErrorContains(t, call(s), "version 1", name)
	}
	list, err := b.client().Logical().List("old/")
	require.NoError(t, err)
	require.Nil(t, list, "nothing was written")
}

func TestMountThatIsNotThere_isSaid(t *testing.T) {
	b := newBackend(t)
	s, err := New(b.client(), WithMount("nowhere"))
	require.NoError(t, err)
	_, err = s.FindTokenByID(context.Background(), "x")
	require.Error(t, err)
	require.NotErrorIs(t, err, oauthstore.ErrTokenNotFound)
	require.Error(t, s.SaveToken(context.Background(), &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
}

func TestMountIsAskedAboutOnce(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	for _, id := range []string{"a", "b", "c"} {
		save(t, s, id, 2)
	}
	require.Equal(t, 1, b.srv.Count("GET sys/internal/ui/mounts"))
	b.srv.ResetRequests()
	_, err := b.NewStore(t).FindTokenByID(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, 1, b.srv.Count(), "a read that finds something needs no question")
}

func TestMountUnderAPath(t *testing.T) {
	b := newBackend(t)
	require.NoError(t, b.client().Sys().Mount("team/kv", &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}))
	s, err := New(b.client(), WithMount("/team/kv/"))
	require.NoError(t, err)
	save(t, s, "alice", 2)
	s, err = New(b.client(), WithMount("team/kv/sub"))
	require.NoError(t, err)
	const want = `"team/kv/sub" is in the mount "team/kv/": the rest belongs to WithPrefix`
	require.ErrorContains(t, s.SaveToken(context.Background(), &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}), want)
	_, err = s.FindTokenByID(context.Background(), "x")
	require.ErrorContains(t, err, want)
}

func TestNamespaces_workThroughTheClient(t *testing.T) {
	srv := vaulttest.NewServer(vaulttest.WithNamespaces("team"))
	defer srv.Close()
	client := srv.Client()
	client.SetNamespace("team")
	require.NoError(t, client.Sys().Mount("secret", &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}))
	inTeam, err := New(client)
	require.NoError(t, err)
	save(t, inTeam, "alice", 2)
	_, err = inTeam.FindTokenByID(context.Background(), "alice")
	require.NoError(t, err)

	inRoot, err := New(srv.Client())
	require.NoError(t, err)
	_, err = inRoot.FindTokenByID(context.Background(), "alice")
	require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
}

// A token that may read and write data and destroy versions, and nothing else, is enough.
func TestPolicy_withoutMetadataIsEnoughToSave(t *testing.T) {
	b := newBackend(t)
	root := b.client()
	require.NoError(t, root.Sys().PutPolicy("app", `
		path "secret/data/oauthstore/*"    { capabilities = ["create", "read", "update"] }
		path "secret/destroy/oauthstore/*" { capabilities = ["update"] }`))
	made, err := root.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"app"}})
	require.NoError(t, err)
	client := b.client()
	client.SetToken(made.Auth.ClientToken)
	s, err := New(client)
	require.NoError(t, err)
	save(t, s, "alice", 2)
	_, err = s.GetTokens(context.Background())
	require.NoError(t, err)
	require.NoError(t, s.DeleteToken(context.Background(), "alice"))

	s, err = New(client, WithMaxVersions(1))
	require.NoError(t, err)
	err = s.SaveToken(context.Background(), &oauthstore.OAuthToken{ID: "bob", AccessToken: "a"})
	require.ErrorIs(t, err, oauthstore.ErrAccessDenied, "what was asked for must be done")

	s, err = New(client, WithPrefix("other"))
	require.NoError(t, err)
	_, err = s.FindTokenByID(context.Background(), "alice")
	require.ErrorIs(t, err, oauthstore.ErrAccessDenied)
}

func TestNamespaces_mayBePartOfTheMount(t *testing.T) {
	srv := vaulttest.NewServer(vaulttest.WithNamespaces("admin", "admin/team"))
	defer srv.Close()
	admin := srv.Client().WithNamespace("admin")
	err := admin.WithNamespace("admin/team").Sys().Mount("secret", &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}})
	require.NoError(t, err)
	s, err := New(admin, WithMount("team/secret"))
	require.NoError(t, err)
	save(t, s, "alice", 2)
}
