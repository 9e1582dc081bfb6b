package gcpsm

import (
	"context"
	"testing"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/enginetest"
)

// newKeyed makes every store with the official client, which tries again as it does for users.
func newKeyed(t *testing.T, b enginetest.Backend, c codec.Codec, _ bool) enginetest.Rekeyer {
	s, err := New(b.(backend).client(t), "my-project", WithCodec(c))
	require.NoError(t, err)
	return s
}

func TestKeyChange(t *testing.T) {
	enginetest.RunKeyChange(t, func(t *testing.T) enginetest.Backend { return newBackend(t) }, newKeyed)
}

func TestRekey_ofManyTokens(t *testing.T) {
	enginetest.RunRekeyMany(t, newBackend(t), newKeyed)
}

// A ciphertext is bound to the project and the location that the store was made with.
func TestWithCodec_aCiphertextOfAnotherProjectIsCorrupt(t *testing.T) {
	ctx := context.Background()
	client := newBackend(t).client(t)
	key, err := codec.NewEncrypted(codec.JSON{}, enginetest.AESGCM(t, 1))
	require.NoError(t, err)
	store := func(project string) *Store {
		s, err := New(client, project, WithCodec(key))
		require.NoError(t, err)
		return s
	}
	require.NoError(t, store("my-project").SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", UserName: "alice", AccessToken: "a"}))
	for _, name := range []string{"oauthstore__token_alice", "oauthstore__index"} { // by the console
		secret, err := client.AccessSecretVersion(ctx, &pb.AccessSecretVersionRequest{Name: "projects/my-project/secrets/" + name + "/versions/latest"})
		require.NoError(t, err)
		_, err = client.CreateSecret(ctx, &pb.CreateSecretRequest{
			Parent: "projects/their-project", SecretId: name, Secret: newDriver(client, testConfig).secret(),
		})
		require.NoError(t, err)
		_, err = client.AddSecretVersion(ctx, &pb.AddSecretVersionRequest{Parent: "projects/their-project/secrets/" + name, Payload: secret.Payload})
		require.NoError(t, err)
	}
	var corrupt *oauthstore.CorruptRecordError
	_, err = store("their-project").FindTokenByID(ctx, "alice")
	require.ErrorAs(t, err, &corrupt)
	require.Equal(t, "oauthstore__token_alice", corrupt.Secret)
	_, err = store("their-project").GetTokens(ctx)
	require.ErrorAs(t, err, &corrupt)
	require.Equal(t, "oauthstore__index", corrupt.Secret)
	_, err = store("my-project").GetTokens(ctx)
	require.NoError(t, err)

	in := config{project: "p", location: "europe-west1", prefix: "oauthstore"}
	require.Equal(t, "projects/p/locations/europe-west1/secrets/oauthstore__index", newDriver(client, in).Resource("index"))
}
