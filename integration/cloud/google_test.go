package cloud

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/gcpsm"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/integration/internal/fixture"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/storetest"
)

// project is the project of the secrets; an emulator accepts any.
func project() string { return cmp.Or(os.Getenv("GOOGLE_CLOUD_PROJECT"), "test-project") }

// testServer is the one for all tests, since a project's quotas are for all that is in it.
var testServer = sync.OnceValues(func() (*gcpsmtest.Server, error) {
	var opts []gcpsmtest.Option
	if text := os.Getenv("OAUTHSTORE_TEST_GOOGLE_LAG"); text != "" {
		lag, err := time.ParseDuration(text)
		if err != nil {
			return nil, fmt.Errorf("OAUTHSTORE_TEST_GOOGLE_LAG: %w", err)
		}
		opts = append(opts, gcpsmtest.WithStaleness(lag))
	}
	if os.Getenv("OAUTHSTORE_TEST_GOOGLE_QUOTAS") != "" {
		opts = append(opts, gcpsmtest.WithQuotas())
	}
	return gcpsmtest.NewServer(opts...), nil
})

// googleClient is the official one. It remembers the secrets that were made with it: the service's list may lag
// behind.
type googleClient struct {
	*secretmanager.Client
	mu   sync.Mutex
	made map[string]bool // resource names
}

// newGoogleClient returns a client of the emulator that the environment names, of Google itself if that is
// asked for, or else of the test server.
func newGoogleClient(t *testing.T) *googleClient {
	t.Helper()
	c := &googleClient{made: make(map[string]bool)}
	opts := []option.ClientOption{option.WithGRPCDialOption(grpc.WithChainUnaryInterceptor(c.remember, wait))}
	plain := []option.ClientOption{option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials()))}
	switch host := os.Getenv("SECRET_MANAGER_EMULATOR_HOST"); {
	case host != "":
		opts = append(append(opts, plain...), option.WithEndpoint(host))
	case os.Getenv("OAUTHSTORE_TEST_GOOGLE") != "":
		require.NotEmpty(t, os.Getenv("GOOGLE_CLOUD_PROJECT"), "GOOGLE_CLOUD_PROJECT is not set")
	default:
		srv, err := testServer()
		require.NoError(t, err)
		opts = append(append(opts, plain...), option.WithEndpoint(srv.Addr()))
	}
	var err error
	c.Client, err = secretmanager.NewClient(ctx, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// remember notes the secrets that a request makes, also if its answer is lost.
func (c *googleClient) remember(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if in, ok := req.(*pb.CreateSecretRequest); ok {
		c.mu.Lock()
		c.made[in.GetParent()+"/secrets/"+in.GetSecretId()] = true
		c.mu.Unlock()
	}
	return invoke(ctx, method, req, reply, cc, opts...)
}

// wait sends a throttled request again until it is not: the tests make more requests than a project may make in a
// minute, and a secret in a second. What a store does with a throttled request is tested on the test server.
func wait(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	for {
		err := invoke(ctx, method, req, reply, cc, opts...)
		if status.Code(err) != codes.ResourceExhausted {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(500*time.Millisecond + rand.N(time.Second)):
		}
	}
}

// names are the resource names of the secrets under a prefix.
func (c *googleClient) names(prefix string) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.made {
		if strings.Contains(name, "/secrets/"+prefix+"__") {
			names = append(names, name)
		}
	}
	return names
}

func (c *googleClient) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.made, name)
}

// newGoogleStore returns a store whose secrets are removed at the end of the test.
func newGoogleStore(t *testing.T, client *googleClient, prefix string, opts ...gcpsm.Option) *gcpsm.Store {
	t.Helper()
	// Two minutes are longer than a quota lasts.
	s, err := gcpsm.New(client, project(), append(opts, gcpsm.WithPrefix(prefix), gcpsm.WithTimeout(2*time.Minute))...)
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, name := range client.names(prefix) {
			err := client.DeleteSecret(ctx, &pb.DeleteSecretRequest{Name: name})
			if err != nil && status.Code(err) != codes.NotFound {
				t.Errorf("%s stays: %v", name, err)
			}
			client.forget(name)
		}
	})
	return s
}

// eventually waits until the service shows what it should.
func eventually(t *testing.T, condition func(*assert.CollectT)) {
	t.Helper()
	require.EventuallyWithT(t, condition, converges, 200*time.Millisecond)
}

func TestGoogle_keepsTheContract(t *testing.T) {
	client := newGoogleClient(t)
	storetest.Run(t, func(t *testing.T) oauthstore.TokenStore { return newGoogleStore(t, client, fixture.RandomPrefix()) })
}

func TestGoogle_keepsTheContractOfSeveralProcesses(t *testing.T) {
	if cmp.Or(os.Getenv("OAUTHSTORE_TEST_GOOGLE"), os.Getenv("OAUTHSTORE_TEST_GOOGLE_LAG")) != "" {
		t.Skip("reads of Google lag behind the writes of other clients: see storetest.RunShared")
	}
	storetest.RunShared(t, func(t *testing.T) func() oauthstore.TokenStore {
		prefix := fixture.RandomPrefix()
		return func() oauthstore.TokenStore { return newGoogleStore(t, newGoogleClient(t), prefix) }
	})
}

func TestGoogle_manyWriters(t *testing.T) {
	client, prefix := newGoogleClient(t), fixture.RandomPrefix()
	enginetest.RunWriters(t,
		func(t *testing.T) enginetest.Store { return newGoogleStore(t, client, prefix) },
		func(t *testing.T) enginetest.Audit { return auditGoogle(t, client, prefix) }, converges)
}

// auditGoogle reads each secret as docs/layout.md describes it: the newest version that is not void.
func auditGoogle(t *testing.T, client *googleClient, prefix string) enginetest.Audit {
	t.Helper()
	documents := make(map[string][]byte)
	for _, name := range client.names(prefix) {
		if document := newestGoogle(t, client, name); document != nil {
			_, short, _ := strings.Cut(name, "__")
			documents[short] = document
		}
	}
	return fixture.AuditDocuments(t, documents)
}

// googleVersion is a version of a secret. One that is destroyed has no document.
type googleVersion struct {
	number, base int
	document     []byte
}

// accessGoogle reads a version; it returns nil if there is no such version.
func accessGoogle(t *testing.T, client *googleClient, name, version string) *googleVersion {
	t.Helper()
	out, err := client.AccessSecretVersion(ctx, &pb.AccessSecretVersionRequest{Name: name + "/versions/" + version})
	switch status.Code(err) {
	case codes.NotFound:
		return nil
	case codes.FailedPrecondition:
		return &googleVersion{}
	}
	require.NoError(t, err, name)
	v := &googleVersion{document: out.GetPayload().GetData()}
	var d struct{ Base string }
	require.NoError(t, json.Unmarshal(v.document, &d), name)
	last, _, _ := strings.Cut(d.Base, "|")
	v.base, _ = strconv.Atoi(last)
	v.number, err = strconv.Atoi(path.Base(out.GetName()))
	require.NoError(t, err)
	return v
}

// newestGoogle returns what the secret holds, nil if its token was deleted. Only reading by number is consistent at
// once: the version that latest shows may have successors.
func newestGoogle(t *testing.T, client *googleClient, name string) []byte {
	t.Helper()
	access := func(number int) *googleVersion { return accessGoogle(t, client, name, strconv.Itoa(number)) }
	top := 0
	if latest := accessGoogle(t, client, name, "latest"); latest != nil {
		top = latest.number
	}
	for access(top+1) != nil {
		top++
	}
	for number := top; number > 0; number-- {
		v := access(number)
		won := v != nil && v.document != nil
		for between := number - 1; won && between > v.base; between-- {
			other := access(between)
			won = other != nil && other.document != nil && other.base != v.base // else it is void
		}
		if won {
			return v.document
		}
	}
	return nil
}

func TestGoogle_aDeletedTokenIsGoneInAllVersionsAndComesBackAsANewOne(t *testing.T) {
	client, prefix := newGoogleClient(t), fixture.RandomPrefix()
	s := newGoogleStore(t, client, prefix, gcpsm.WithVersionsKept(5))
	token := fixture.Alice()
	require.NoError(t, s.SaveToken(ctx, token))
	token.AccessToken = "access-2"
	require.NoError(t, s.SaveToken(ctx, token))
	requireActive(t, client, prefix+"__token_alice", 2)
	require.NoError(t, s.DeleteToken(ctx, "alice"))
	requireActive(t, client, prefix+"__token_alice", 0)
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "access-3"}))
	other := newGoogleStore(t, client, prefix)
	eventually(t, func(c *assert.CollectT) {
		found, err := other.FindTokenByID(ctx, "alice")
		require.NoError(c, err)
		require.Empty(c, found.RefreshToken)
		require.Equal(c, "access-3", found.AccessToken)
	})
}

func TestGoogle_supersededVersionsAreDestroyed(t *testing.T) {
	client, prefix := newGoogleClient(t), fixture.RandomPrefix()
	s := newGoogleStore(t, client, prefix)
	token := fixture.Alice()
	for _, access := range []string{"access-1", "access-2", "access-3"} {
		token.AccessToken = access
		require.NoError(t, s.SaveToken(ctx, token))
	}
	requireActive(t, client, prefix+"__token_alice", 1)
}

// requireActive waits until so many versions of a secret are billed.
func requireActive(t *testing.T, client *googleClient, name string, want int) {
	t.Helper()
	eventually(t, func(c *assert.CollectT) {
		list := client.ListSecretVersions(ctx, &pb.ListSecretVersionsRequest{Parent: "projects/" + project() + "/secrets/" + name})
		states := make(map[string]pb.SecretVersion_State)
		for v, err := range list.All() {
			require.NoError(c, err)
			states[v.GetName()] = v.GetState()
		}
		require.NotEmpty(c, states)
		active := 0
		for _, state := range states {
			if state != pb.SecretVersion_DESTROYED {
				active++
			}
		}
		require.Equal(c, want, active, "%v", states)
	})
}

// requireSecret waits until the service shows a secret as it should be.
func requireSecret(t *testing.T, client *googleClient, name string, check func(*assert.CollectT, *pb.Secret)) {
	t.Helper()
	eventually(t, func(c *assert.CollectT) {
		secret, err := client.GetSecret(ctx, &pb.GetSecretRequest{Name: name})
		require.NoError(c, err)
		check(c, secret)
	})
}

func TestGoogle_newSecretsHaveTheLabels(t *testing.T) {
	client, prefix := newGoogleClient(t), fixture.RandomPrefix()
	s := newGoogleStore(t, client, prefix, gcpsm.WithLabels(map[string]string{"team": "crm"}))
	require.NoError(t, s.SaveToken(ctx, fixture.Alice()))
	names := client.names(prefix)
	require.Len(t, names, 2, "the index and the token")
	for _, name := range names {
		requireSecret(t, client, name, func(c *assert.CollectT, secret *pb.Secret) {
			require.Equal(c, map[string]string{"team": "crm"}, secret.GetLabels())
		})
	}
}

func TestGoogle_newSecretsAreWhereTheyAreWanted(t *testing.T) {
	client, prefix := newGoogleClient(t), fixture.RandomPrefix()
	s := newGoogleStore(t, client, prefix, gcpsm.WithReplicaLocations("europe-west1", "europe-west3"))
	require.NoError(t, s.SaveToken(ctx, fixture.Alice()))
	names := client.names(prefix)
	require.Len(t, names, 2, "the index and the token")
	for _, name := range names {
		requireSecret(t, client, name, func(c *assert.CollectT, secret *pb.Secret) {
			var locations []string
			for _, r := range secret.GetReplication().GetUserManaged().GetReplicas() {
				locations = append(locations, r.GetLocation())
			}
			require.Equal(c, []string{"europe-west1", "europe-west3"}, locations)
		})
	}
}
