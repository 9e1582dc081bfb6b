package awssm

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/enginetest"
)

func encrypted(t *testing.T) Option {
	t.Helper()
	c, err := codec.NewEncrypted(codec.JSON{}, enginetest.AESGCM(t, 1))
	require.NoError(t, err)
	return WithCodec(c)
}

func TestWithCodec_anEncryptingOneShowsNothingOfATokenInAnyVersionOfAnySecret(t *testing.T) {
	f := start(t)
	s := f.store(encrypted(t))
	token := f.save(s, oauthstore.OAuthToken{
		ID: "mark-id", UserName: "mark-user", ClientID: "mark-client", ClientSecret: "mark-client-secret",
		RedirectURL: "https://mark-redirect", GrantToken: "mark-grant", RefreshToken: "mark-refresh", AccessToken: "mark-access",
		TokenType: "mark-type", Scope: "mark-scope", APIDomain: "mark-domain", Expiry: time.UnixMilli(1893456000123),
	})
	token.AccessToken = "mark-access-2"
	require.NoError(t, s.SaveToken(f.ctx, token))
	f.save(s, oauthstore.OAuthToken{ID: "mark-id", UserName: "mark-user-2"})
	for _, secret := range f.srv.Secrets() {
		for _, v := range secret.Versions {
			require.NotContains(t, string(v.Payload), "mark", "a version of %s", secret.Name)
			require.NotContains(t, string(v.Payload), "1893456000123", "a version of %s", secret.Name)
		}
	}
	found := f.find(f.store(encrypted(t)), "mark-id")
	require.Equal(t, "mark-user-2", found.UserName)
	require.Equal(t, "mark-access-2", found.AccessToken)
	require.Equal(t, []string{"mark-id"}, f.ids(f.store(encrypted(t))))
}

func TestWithCodec_aCiphertextThatWasCopiedToAnotherSecretIsCorrupt(t *testing.T) {
	f := start(t)
	s := f.store(encrypted(t))
	f.save(s, oauthstore.OAuthToken{ID: "alice", AccessToken: "a"})
	f.save(s, oauthstore.OAuthToken{ID: "mallory", AccessToken: "m"})
	_, value := f.current("oauthstore/token_alice")
	f.edit("oauthstore/token_mallory", value)
	_, err := s.FindTokenByID(f.ctx, "mallory")
	var corrupt *oauthstore.CorruptRecordError
	require.ErrorAs(t, err, &corrupt)
	require.Equal(t, "oauthstore/token_mallory", corrupt.Secret)
	_, value = f.current("oauthstore/index")
	f.edit("oauthstore/token_mallory", value)
	_, err = s.FindTokenByID(f.ctx, "mallory")
	require.ErrorAs(t, err, &corrupt)
}

func TestSaveToken_writesADocumentOfStringsThatNamesNoAccountAndNoOtherSecret(t *testing.T) {
	f := start(t)
	s := f.store()
	f.save(s, oauthstore.OAuthToken{ID: "alice", AccessToken: "a", Expiry: time.UnixMilli(1893456000123)})
	first, _ := f.current("oauthstore/token_alice")
	f.save(s, oauthstore.OAuthToken{ID: "alice", AccessToken: "b"})
	_, value := f.current("oauthstore/token_alice")
	var fields map[string]string
	require.NoError(t, json.Unmarshal([]byte(value), &fields), "every field is a string")
	require.Equal(t, "b", fields["access_token"])
	require.Equal(t, "1893456000123", fields["expiry_time"])
	require.Equal(t, first, fields["base"], "the version that the write was made from")
	require.False(t, strings.Contains(value, "arn:"), "the document shows the account's number")
}

// remoteKey is an AEAD whose key is kept by a service that does not answer for a token while it is down.
type remoteKey struct {
	codec.AEAD
	down bool
}

func (k *remoteKey) Decrypt(ciphertext, associated []byte) ([]byte, error) {
	if k.down && strings.Contains(string(associated), "/token_") {
		return nil, context.DeadlineExceeded
	}
	return k.AEAD.Decrypt(ciphertext, associated)
}

func TestWithCodec_aKeyThatIsOutOfReachMakesNoSecondRecord(t *testing.T) {
	f := start(t)
	key := &remoteKey{AEAD: enginetest.AESGCM(t, 1)}
	c, err := codec.NewEncrypted(codec.JSON{}, key)
	require.NoError(t, err)
	s := f.store(WithCodec(c))
	f.save(s, oauthstore.OAuthToken{ClientID: "app", ClientSecret: "secret", RefreshToken: "refresh", AccessToken: "first"})
	made := f.srv.Count("CreateSecret")
	again := oauthstore.OAuthToken{ClientID: "app", ClientSecret: "secret", RefreshToken: "refresh", AccessToken: "second"}
	key.down = true
	err = s.SaveToken(f.ctx, &again)
	require.ErrorIs(t, err, oauthstore.ErrUnavailable)
	require.NotErrorIs(t, err, context.DeadlineExceeded, "the caller's context has none")
	var corrupt *oauthstore.CorruptRecordError
	require.NotErrorAs(t, err, &corrupt)
	key.down = false
	require.Equal(t, made, f.srv.Count("CreateSecret"))
	require.NoError(t, s.SaveToken(f.ctx, &again))
	require.Len(t, f.ids(s), 1)
}
