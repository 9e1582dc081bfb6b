package gcpsm

import (
	"context"
	"strings"
	"testing"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
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
	_, err = New(client, "my-project", WithPrefix(strings.Repeat("é", 100)))
	require.ErrorContains(t, err, "WithPrefix")
	for _, project := range []string{"", "a/b", "My-Project"} {
		_, err = New(client, project)
		require.ErrorContains(t, err, "project", project)
	}
}

func TestNew_refusesANilClient(t *testing.T) {
	for _, client := range []Client{nil, (*secretmanager.Client)(nil)} {
		_, err := New(client, "my-project")
		require.ErrorContains(t, err, "the client is nil")
	}
}

func TestPrefix_keepsStoresApart(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	prefixes := []string{"a", "a__token_x", "a_", "_", "a-", "a/b", "a b", "é", "a_5fb", "a_b", "a__index"}
	stores := make([]*Store, len(prefixes))
	for i, prefix := range prefixes {
		var err error
		stores[i], err = New(b.client(t), "my-project", WithPrefix(prefix))
		require.NoError(t, err)
		for _, id := range []string{"x", "index", "x__index", "_token_x"} {
			require.NoError(t, stores[i].SaveToken(ctx, &oauthstore.OAuthToken{ID: id, RedirectURL: prefix, AccessToken: "a"}))
		}
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
