package gcpsm

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
)

func TestNew_refusesOptionsByName(t *testing.T) {
	client := newBackend(t).client(t)
	for option, opts := range map[string][]Option{
		"WithPrefix":           {WithPrefix("")},
		"WithCodec":            {WithCodec(nil)},
		"WithLocation":         {WithLocation("europe/west1")},
		"WithReplicaLocations": {WithReplicaLocations("europe-west1", "")},
		"WithKMSKey":           {WithKMSKey("a", "b")},
		"WithLabels":           {WithLabels(map[string]string{"Team": "x"})},
		"WithVersionsKept":     {WithVersionsKept(-1)},
		"WithTimeout":          {WithTimeout(0)},
		"want more than 0 and": {WithTimeout(2*time.Minute + 1)},
	} {
		_, err := New(client, "my-project", opts...)
		require.ErrorContains(t, err, option)
	}
	_, err := New(client, "my-project", WithLocation("europe-west1"), WithReplicaLocations("europe-west1"))
	require.ErrorContains(t, err, "WithReplicaLocations")
	for _, prefix := range []string{
		"my-app/", "a__b", "a_", "_", "_a", "a__index", "a/b", "a b", "a.b", "é", strings.Repeat("x", 190),
	} {
		_, err = New(client, "my-project", WithPrefix(prefix))
		require.ErrorContains(t, err, "gcpsm: WithPrefix: ", prefix)
		require.ErrorContains(t, err, "want ", prefix)
	}
	for _, project := range []string{"", "a/b", "My-Project"} {
		_, err = New(client, project)
		require.ErrorContains(t, err, "project", project)
	}
}

func TestNew_ignoresNilOptionsAndRefusesACodecThatIsNil(t *testing.T) {
	client := newBackend(t).client(t)
	_, err := New(client, "my-project", nil, WithPrefix("p"), nil)
	require.NoError(t, err)
	_, err = New(client, "my-project", WithCodec((*codec.Encrypted)(nil)))
	require.ErrorContains(t, err, "WithCodec: the codec is nil")
}

func TestNew_refusesANilClient(t *testing.T) {
	for _, client := range []Client{nil, (*secretmanager.Client)(nil), (*observed)(nil)} {
		_, err := New(client, "my-project")
		require.ErrorContains(t, err, "the client is nil")
	}
}

func TestPrefix_keepsStoresApart(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	prefixes := []string{"a", "a_token_x", "a_index", "a-", "-", "A", "a_5fb", "a_b", strings.Repeat("x", 189)}
	stores := make([]*Store, len(prefixes))
	for i, prefix := range prefixes {
		var err error
		stores[i], err = New(b.client(t), "my-project", WithPrefix(prefix))
		require.NoError(t, err)
		for _, id := range []string{"x", "index", "x__index", "_token_x"} {
			require.NoError(t, stores[i].SaveToken(ctx, &oauthstore.OAuthToken{ID: id, RedirectURL: prefix, AccessToken: "a"}))
		}
		require.Equal(t, prefix+"__", stores[i].NamePrefix())
		require.True(t, slices.ContainsFunc(b.srv.Secrets(), func(s gcpsmtest.Secret) bool { return s.Name == stores[i].NamePrefix()+"token_x" }))
	}
	for i, prefix := range prefixes {
		tokens, err := stores[i].GetTokens(ctx)
		require.NoError(t, err)
		require.Len(t, tokens, 4, prefix)
		for _, token := range tokens {
			require.Equal(t, prefix, token.RedirectURL)
		}
	}
}

// made returns the secret of the token x of a store with these options.
func made(t *testing.T, opts ...Option) *pb.Secret {
	t.Helper()
	b := newBackend(t)
	ctx := context.Background()
	client := b.client(t)
	s, err := New(client, "my-project", opts...)
	require.NoError(t, err)
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
	found, err := s.FindTokenByID(ctx, "x")
	require.NoError(t, err)
	require.Equal(t, "a", found.AccessToken)
	for _, stored := range b.srv.Secrets() {
		if stored.Name == "oauthstore__token_x" {
			secret, err := client.GetSecret(ctx, &pb.GetSecretRequest{Name: stored.Resource})
			require.NoError(t, err)
			return secret
		}
	}
	t.Fatal("no secret")
	return nil
}

func TestNewSecrets_areAsTheOptionsSay(t *testing.T) {
	secret := made(t, WithLabels(map[string]string{"team": "crm"}))
	require.Equal(t, map[string]string{"team": "crm"}, secret.GetLabels())
	require.NotNil(t, secret.GetReplication().GetAutomatic())

	secret = made(t, WithKMSKey("projects/p/locations/global/keyRings/r/cryptoKeys/k"))
	require.Equal(t, "projects/p/locations/global/keyRings/r/cryptoKeys/k",
		secret.GetReplication().GetAutomatic().GetCustomerManagedEncryption().GetKmsKeyName())

	secret = made(t, WithReplicaLocations("europe-west1", "us-east1"),
		WithKMSKey("projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k", "projects/p/locations/us-east1/keyRings/r/cryptoKeys/k"))
	replicas := secret.GetReplication().GetUserManaged().GetReplicas()
	require.Len(t, replicas, 2)
	require.Equal(t, "us-east1", replicas[1].GetLocation())
	require.Contains(t, replicas[1].GetCustomerManagedEncryption().GetKmsKeyName(), "us-east1")

	secret = made(t, WithLocation("europe-west1"))
	require.Contains(t, secret.GetName(), "/locations/europe-west1/secrets/")
	require.Nil(t, secret.GetReplication())
}

func TestPolicies_areForTheNamePrefix(t *testing.T) {
	for file, prefix := range map[string]string{filepath.Join("policies", "README.md"): "oauthstore", "README.md": "my-app"} {
		s, err := New(newBackend(t).client(t), "my-project", WithPrefix(prefix))
		require.NoError(t, err)
		text, err := os.ReadFile(filepath.Join("..", file))
		require.NoError(t, err)
		require.Contains(t, string(text), `resource.name.startsWith("projects/NUMBER/secrets/`+s.NamePrefix()+`")`)
		require.Contains(t, string(text), "projects/NUMBER/locations/LOCATION/secrets/"+s.NamePrefix())
	}
}
