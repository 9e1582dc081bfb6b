package integration

import (
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/gcpsm"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/storetest"
)

// project is where the secrets go: an emulator takes any.
func project() string { return cmp.Or(os.Getenv("GOOGLE_CLOUD_PROJECT"), "test-project") }

// newGoogleClient returns a client of the emulator that the environment names, of Google itself if that is
// asked for, or else of the test server.
func newGoogleClient(t *testing.T) *secretmanager.Client {
	t.Helper()
	var client *secretmanager.Client
	var err error
	switch host := os.Getenv("SECRET_MANAGER_EMULATOR_HOST"); {
	case host != "":
		client, err = secretmanager.NewClient(ctx, option.WithEndpoint(host), option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	case os.Getenv("OAUTHSTORE_TEST_GOOGLE") != "":
		require.NotEmpty(t, os.Getenv("GOOGLE_CLOUD_PROJECT"), "GOOGLE_CLOUD_PROJECT is not set")
		client, err = secretmanager.NewClient(ctx)
	default:
		srv := gcpsmtest.NewServer()
		t.Cleanup(srv.Close)
		client, err = srv.Client(ctx)
	}
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// newGoogleStore returns a store whose secrets are removed at the end of the test.
func newGoogleStore(t *testing.T, client *secretmanager.Client, prefix string, opts ...gcpsm.Option) *gcpsm.Store {
	t.Helper()
	s, err := gcpsm.New(client, project(), append(opts, gcpsm.WithPrefix(prefix))...)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := s.DeleteTokens(ctx); err != nil { // what the index shows, since the list may lag behind
			t.Errorf("tokens under %s stay: %v", prefix, err)
		}
		for _, name := range googleNames(t, client, prefix) {
			if err := client.DeleteSecret(ctx, &pb.DeleteSecretRequest{Name: name}); err != nil {
				t.Errorf("%s stays: %v", name, err)
			}
		}
	})
	return s
}

// googleNames lists the secrets under a prefix, by resource name.
func googleNames(t *testing.T, client *secretmanager.Client, prefix string) (names []string) {
	t.Helper()
	list := client.ListSecrets(ctx, &pb.ListSecretsRequest{Parent: "projects/" + project()})
	for {
		s, err := list.Next()
		if errors.Is(err, iterator.Done) {
			return names
		}
		require.NoError(t, err)
		if strings.Contains(s.GetName(), "/secrets/"+prefix+"__") {
			names = append(names, s.GetName())
		}
	}
}

func TestGoogle_keepsTheContract(t *testing.T) {
	client := newGoogleClient(t)
	storetest.Run(t, func(t *testing.T) oauthstore.TokenStore { return newGoogleStore(t, client, randomPrefix()) })
}

func TestGoogle_manyWriters(t *testing.T) {
	client, prefix := newGoogleClient(t), randomPrefix()
	enginetest.RunWriters(t,
		func(t *testing.T) enginetest.Store { return newGoogleStore(t, client, prefix) },
		func(t *testing.T) enginetest.Audit { return auditGoogle(t, client, prefix) })
}

// auditGoogle reads each secret as docs/layout.md describes it: the newest version that is not void.
func auditGoogle(t *testing.T, client *secretmanager.Client, prefix string) enginetest.Audit {
	t.Helper()
	documents := make(map[string][]byte)
	for _, name := range googleNames(t, client, prefix) {
		if document := newestGoogle(t, client, name); document != nil {
			_, short, _ := strings.Cut(name, "__")
			documents[short] = document
		}
	}
	return auditDocuments(t, documents)
}

// newestGoogle returns what the secret holds, nil where it was deleted.
func newestGoogle(t *testing.T, client *secretmanager.Client, name string) []byte {
	t.Helper()
	access := func(version string) (document []byte, number, base int) {
		out, err := client.AccessSecretVersion(ctx, &pb.AccessSecretVersionRequest{Name: name + "/versions/" + version})
		if err != nil {
			return nil, 0, 0 // destroyed
		}
		var d struct{ Base string }
		document = out.GetPayload().GetData()
		require.NoError(t, json.Unmarshal(document, &d), name)
		last, _, _ := strings.Cut(d.Base, "|")
		base, _ = strconv.Atoi(last)
		number, err = strconv.Atoi(path.Base(out.GetName()))
		require.NoError(t, err)
		return document, number, base
	}
	_, top, _ := access("latest")
	for number := top; number > 0; number-- {
		document, _, base := access(strconv.Itoa(number))
		won := document != nil
		for between := base + 1; won && between < number; between++ {
			other, _, its := access(strconv.Itoa(between))
			won = other != nil && its != base // else it is void
		}
		if won {
			return document
		}
	}
	return nil
}

func TestGoogle_aDeletedTokenIsGoneInAllVersionsAndComesBackAsANewOne(t *testing.T) {
	client, prefix := newGoogleClient(t), randomPrefix()
	s := newGoogleStore(t, client, prefix, gcpsm.WithVersionsKept(5))
	token := alice()
	require.NoError(t, s.SaveToken(ctx, token))
	token.AccessToken = "access-2"
	require.NoError(t, s.SaveToken(ctx, token))
	require.Equal(t, 2, activeVersions(t, client, prefix+"__token_alice"))
	require.NoError(t, s.DeleteToken(ctx, "alice"))
	require.Zero(t, activeVersions(t, client, prefix+"__token_alice"))
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "access-3"}))
	found, err := newGoogleStore(t, client, prefix).FindTokenByID(ctx, "alice")
	require.NoError(t, err)
	require.Empty(t, found.RefreshToken)
}

func TestGoogle_supersededVersionsAreDestroyed(t *testing.T) {
	client, prefix := newGoogleClient(t), randomPrefix()
	s := newGoogleStore(t, client, prefix)
	token := alice()
	for _, access := range []string{"access-1", "access-2", "access-3"} {
		token.AccessToken = access
		require.NoError(t, s.SaveToken(ctx, token))
	}
	require.Equal(t, 1, activeVersions(t, client, prefix+"__token_alice"))
}

// activeVersions counts the versions of a secret that are billed.
func activeVersions(t *testing.T, client *secretmanager.Client, name string) (n int) {
	t.Helper()
	list := client.ListSecretVersions(ctx, &pb.ListSecretVersionsRequest{Parent: "projects/" + project() + "/secrets/" + name})
	for {
		v, err := list.Next()
		if errors.Is(err, iterator.Done) {
			return n
		}
		require.NoError(t, err)
		if v.GetState() != pb.SecretVersion_DESTROYED {
			n++
		}
	}
}

func TestGoogle_newSecretsHaveTheLabels(t *testing.T) {
	client, prefix := newGoogleClient(t), randomPrefix()
	s := newGoogleStore(t, client, prefix, gcpsm.WithLabels(map[string]string{"team": "crm"}))
	require.NoError(t, s.SaveToken(ctx, alice()))
	for _, name := range googleNames(t, client, prefix) {
		secret, err := client.GetSecret(ctx, &pb.GetSecretRequest{Name: name})
		require.NoError(t, err)
		require.Equal(t, map[string]string{"team": "crm"}, secret.GetLabels())
	}
}

func TestGoogle_newSecretsAreWhereTheyAreWanted(t *testing.T) {
	client, prefix := newGoogleClient(t), randomPrefix()
	s := newGoogleStore(t, client, prefix, gcpsm.WithReplicaLocations("europe-west1", "europe-west3"))
	require.NoError(t, s.SaveToken(ctx, alice()))
	for _, name := range googleNames(t, client, prefix) {
		secret, err := client.GetSecret(ctx, &pb.GetSecretRequest{Name: name})
		require.NoError(t, err)
		var locations []string
		for _, r := range secret.GetReplication().GetUserManaged().GetReplicas() {
			locations = append(locations, r.GetLocation())
		}
		require.Equal(t, []string{"europe-west1", "europe-west3"}, locations)
	}
}
