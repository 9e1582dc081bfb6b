package vault

import (
	"context"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

func newKeyed(t *testing.T, b enginetest.Backend, c codec.Codec, dies bool) enginetest.Rekeyer {
	server := b.(backend)
	client := server.srv.Client()
	if dies {
		client = server.client()
	}
	s, err := New(client, WithCodec(c))
	require.NoError(t, err)
	return s
}

func TestKeyChange(t *testing.T) {
	enginetest.RunKeyChange(t, func(t *testing.T) enginetest.Backend { return newBackend(t) }, newKeyed)
}

func TestRekey_ofManyTokens(t *testing.T) {
	enginetest.RunRekeyMany(t, newBackend(t), newKeyed)
}

// A ciphertext is bound to the namespace, however that is given, to the mount and to the path.
func TestWithCodec_aCiphertextOfAnotherNamespaceIsCorrupt(t *testing.T) {
	ctx := context.Background()
	srv := vaulttest.NewServer(vaulttest.WithNamespaces("team", "team/a"))
	t.Cleanup(srv.Close)
	key, err := codec.NewEncrypted(codec.JSON{}, enginetest.AESGCM(t, 1))
	require.NoError(t, err)
	in := func(namespace string) *api.Client { return srv.Client().WithNamespace(namespace) }
	store := func(namespace, mount string) *Store {
		s, err := New(in(namespace), WithMount(mount), WithCodec(key))
		require.NoError(t, err)
		return s
	}
	for _, namespace := range []string{"team", "team/a"} {
		require.NoError(t, in(namespace).Sys().Mount("secret", &api.MountInput{Type: "kv-v2"}))
	}
	require.NoError(t, store("team/a", "secret").SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "a"}))
	for _, same := range []*Store{store("team/a/", "secret"), store("team", "a/secret"), store("", "team/a/secret")} {
		_, err = same.FindTokenByID(ctx, "alice")
		require.NoError(t, err)
	}
	secret, err := in("team/a").KVv2("secret").Get(ctx, "oauthstore/token_alice")
	require.NoError(t, err)
	_, err = in("team").KVv2("secret").Put(ctx, "oauthstore/token_alice", secret.Data)
	require.NoError(t, err)
	_, err = store("team", "secret").FindTokenByID(ctx, "alice")
	require.ErrorAs(t, err, new(*oauthstore.CorruptRecordError))
}
