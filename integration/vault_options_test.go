package integration

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/integration/internal/fixture"
	"github.com/oauthstore/oauthstore/vault"
)

var (
	ctx          = context.Background()
	alice        = fixture.Alice
	randomPrefix = fixture.RandomPrefix
)

func TestVault_theFieldsAreTheSecretsKeys(t *testing.T) {
	client := newClient(t)
	path := mount(t, client)
	s := newVaultStore(t, client, vault.WithMount(path), vault.WithPrefix("team/app"))
	require.NoError(t, s.SaveToken(ctx, alice()))
	secret, err := client.KVv2(path).Get(ctx, "team/app/token_alice")
	require.NoError(t, err)
	require.Equal(t, "access-1", secret.Data["access_token"])
	require.Equal(t, "refresh-1", secret.Data["refresh_token"])
}

func TestVault_keepsAsManyVersionsAsItIsTold(t *testing.T) {
	client := newClient(t)
	path := mount(t, client)
	for option, want := range map[int]int{1: 1, 3: 3, 0: 5} { // 0 leaves it to the mount, which keeps 10
		prefix := fmt.Sprint("keeps", option)
		s := newVaultStore(t, client, vault.WithMount(path), vault.WithPrefix(prefix), vault.WithMaxVersions(option))
		token := alice()
		for i := range 5 {
			token.AccessToken = fmt.Sprint("access-", i)
			require.NoError(t, s.SaveToken(ctx, token))
		}
		require.Len(t, readable(t, client, path, prefix+"/token_alice"), want, "WithMaxVersions(%d)", option)
	}
}

// readable returns the payloads of a secret's versions that can be read.
func readable(t *testing.T, client *api.Client, path, name string) (payloads []string) {
	t.Helper()
	versions, err := client.KVv2(path).GetVersionsAsList(ctx, name)
	require.NoError(t, err)
	for _, v := range versions {
		secret, err := client.KVv2(path).GetVersion(ctx, name, v.Version)
		if err != nil || secret.Data == nil {
			continue
		}
		payload, err := json.Marshal(secret.Data)
		require.NoError(t, err)
		payloads = append(payloads, string(payload))
	}
	return payloads
}

func TestVault_aDeletedTokenIsGoneInAllVersionsAndComesBackAsANewOne(t *testing.T) {
	client := newClient(t)
	path := mount(t, client)
	s := newVaultStore(t, client, vault.WithMount(path), vault.WithMaxVersions(10))
	token := alice()
	require.NoError(t, s.SaveToken(ctx, token))
	token.AccessToken = "access-2"
	require.NoError(t, s.SaveToken(ctx, token))
	require.Len(t, readable(t, client, path, "oauthstore/token_alice"), 2)
	require.NoError(t, s.DeleteToken(ctx, "alice"))
	require.Empty(t, readable(t, client, path, "oauthstore/token_alice"))
	versions, err := client.KVv2(path).GetVersionsAsList(ctx, "oauthstore/token_alice")
	require.NoError(t, err)
	for _, v := range versions {
		require.True(t, v.Destroyed, "version %d can be undeleted", v.Version)
	}
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "access-3"}))
	found, err := s.FindTokenByID(ctx, "alice")
	require.NoError(t, err)
	require.Empty(t, found.RefreshToken)
}

func TestVault_newSecretsHaveTheCustomMetadata(t *testing.T) {
	client := newClient(t)
	path := mount(t, client)
	s := newVaultStore(t, client, vault.WithMount(path), vault.WithCustomMetadata(map[string]string{"team": "crm"}))
	require.NoError(t, s.SaveToken(ctx, alice()))
	for _, name := range []string{"index", "token_alice"} {
		metadata, err := client.KVv2(path).GetMetadata(ctx, "oauthstore/"+name)
		require.NoError(t, err)
		require.Equal(t, map[string]any{"team": "crm"}, metadata.CustomMetadata)
	}
}

func TestVault_nothingButNamesShowsBesideAnEncryptingCodec(t *testing.T) {
	client := newClient(t)
	path := mount(t, client)
	block, err := aes.NewCipher(make([]byte, 32))
	require.NoError(t, err)
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	require.NoError(t, err)
	encrypted, err := codec.NewEncrypted(codec.JSON{}, aead{gcm})
	require.NoError(t, err)
	s := newVaultStore(t, client, vault.WithMount(path), vault.WithCodec(encrypted))
	require.NoError(t, s.SaveToken(ctx, alice()))
	for _, name := range []string{"index", "token_alice"} {
		for _, payload := range readable(t, client, path, "oauthstore/"+name) {
			for _, secret := range []string{"refresh-1", "access-1", "app"} {
				require.NotContains(t, payload, secret, name)
			}
		}
	}
	found, err := s.FindToken(ctx, &oauthstore.OAuthToken{UserName: "alice"})
	require.NoError(t, err)
	require.Equal(t, "refresh-1", found.RefreshToken)
}

// aead is a codec.AEAD.
type aead struct{ cipher.AEAD }

func (a aead) Encrypt(plaintext, associated []byte) ([]byte, error) {
	return a.Seal(nil, nil, plaintext, associated), nil
}

func (a aead) Decrypt(ciphertext, associated []byte) ([]byte, error) {
	return a.Open(nil, nil, ciphertext, associated)
}

func TestVault_aMountThatDeletesByTimeTakesNoNewTokens(t *testing.T) {
	client := newClient(t)
	path := mount(t, client)
	s := newVaultStore(t, client, vault.WithMount(path))
	_, err := client.Logical().Write(path+"/config", map[string]any{"delete_version_after": "720h"})
	require.NoError(t, err)
	require.ErrorContains(t, s.SaveToken(ctx, alice()), "delete_version_after")
	_, err = s.FindTokenByID(ctx, "alice")
	require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
	_, err = client.Logical().Write(path+"/config", map[string]any{"delete_version_after": "0"})
	require.NoError(t, err)
	require.NoError(t, s.SaveToken(ctx, alice()))
}

func TestVault_anIndexThatIsDeletedByHandIsNoEmptyStore(t *testing.T) {
	client := newClient(t)
	path := mount(t, client)
	require.NoError(t, newVaultStore(t, client, vault.WithMount(path)).SaveToken(ctx, alice()))
	require.NoError(t, client.KVv2(path).Delete(ctx, "oauthstore/index"))
	s := newVaultStore(t, client, vault.WithMount(path))
	_, err := s.GetTokens(ctx)
	var corrupt *oauthstore.CorruptRecordError
	require.ErrorAs(t, err, &corrupt)
	_, err = s.Repair(ctx, oauthstore.RepairOptions{})
	require.NoError(t, err)
	tokens, err := s.GetTokens(ctx)
	require.NoError(t, err)
	require.Len(t, tokens, 1)
}
