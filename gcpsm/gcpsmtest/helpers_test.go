package gcpsmtest_test

import (
	"errors"
	"hash/crc32"
	"testing"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2/apierror"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
)

const project = "projects/acme"

// A fixture is a server and a client that sends nothing twice.
type fixture struct {
	*testing.T
	srv    *gcpsmtest.Server
	client *secretmanager.Client
}

func start(t *testing.T, opts ...gcpsmtest.Option) *fixture {
	t.Helper()
	srv := gcpsmtest.NewServer(opts...)
	t.Cleanup(srv.Close)
	client, err := srv.Client(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	client.CallOptions.AccessSecretVersion = nil
	return &fixture{t, srv, client}
}

// run runs a subtest against a server of its own.
func run(t *testing.T, name string, test func(f *fixture), opts ...gcpsmtest.Option) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		test(start(t, opts...))
	})
}

func automatic() *pb.Secret {
	return &pb.Secret{Replication: &pb.Replication{
		Replication: &pb.Replication_Automatic_{Automatic: &pb.Replication_Automatic{}},
	}}
}

func (f *fixture) tryCreate(id string, secret *pb.Secret) (*pb.Secret, error) {
	return f.client.CreateSecret(f.Context(), &pb.CreateSecretRequest{Parent: project, SecretId: id, Secret: secret})
}

func (f *fixture) createWith(id string, secret *pb.Secret) *pb.Secret {
	f.Helper()
	made, err := f.tryCreate(id, secret)
	require.NoError(f, err)
	return made
}

func (f *fixture) create(id string) *pb.Secret {
	f.Helper()
	return f.createWith(id, automatic())
}

func (f *fixture) tryAdd(id, data string) (*pb.SecretVersion, error) {
	return f.client.AddSecretVersion(f.Context(), &pb.AddSecretVersionRequest{
		Parent: project + "/secrets/" + id, Payload: &pb.SecretPayload{Data: []byte(data)},
	})
}

func (f *fixture) add(id, data string) *pb.SecretVersion {
	f.Helper()
	v, err := f.tryAdd(id, data)
	require.NoError(f, err)
	return v
}

func (f *fixture) tryAccess(id, version string) (*pb.AccessSecretVersionResponse, error) {
	return f.client.AccessSecretVersion(f.Context(), &pb.AccessSecretVersionRequest{
		Name: project + "/secrets/" + id + "/versions/" + version,
	})
}

func (f *fixture) access(id, version string) string {
	f.Helper()
	resp, err := f.tryAccess(id, version)
	require.NoError(f, err)
	return string(resp.GetPayload().GetData())
}

func (f *fixture) accessCode(id, version string) codes.Code {
	_, err := f.tryAccess(id, version)
	return status.Code(err)
}

func (f *fixture) get(id string) (*pb.Secret, error) {
	return f.client.GetSecret(f.Context(), &pb.GetSecretRequest{Name: project + "/secrets/" + id})
}

func (f *fixture) getVersion(id, version string) *pb.SecretVersion {
	f.Helper()
	v, err := f.client.GetSecretVersion(f.Context(), &pb.GetSecretVersionRequest{
		Name: project + "/secrets/" + id + "/versions/" + version,
	})
	require.NoError(f, err)
	return v
}

func (f *fixture) destroy(id, version, etag string) (*pb.SecretVersion, error) {
	return f.client.DestroySecretVersion(f.Context(), &pb.DestroySecretVersionRequest{
		Name: project + "/secrets/" + id + "/versions/" + version, Etag: etag,
	})
}

func (f *fixture) disable(id, version, etag string) (*pb.SecretVersion, error) {
	return f.client.DisableSecretVersion(f.Context(), &pb.DisableSecretVersionRequest{
		Name: project + "/secrets/" + id + "/versions/" + version, Etag: etag,
	})
}

func (f *fixture) enable(id, version, etag string) (*pb.SecretVersion, error) {
	return f.client.EnableSecretVersion(f.Context(), &pb.EnableSecretVersionRequest{
		Name: project + "/secrets/" + id + "/versions/" + version, Etag: etag,
	})
}

func (f *fixture) remove(id, etag string) error {
	return f.client.DeleteSecret(f.Context(), &pb.DeleteSecretRequest{Name: project + "/secrets/" + id, Etag: etag})
}

// list returns the ids of the secrets that pass the filter, in the order of the answer.
func (f *fixture) list(parent, filter string) []string {
	f.Helper()
	it := f.client.ListSecrets(f.Context(), &pb.ListSecretsRequest{Parent: parent, Filter: filter})
	var ids []string
	for {
		secret, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return ids
		}
		require.NoError(f, err)
		ids = append(ids, lastSegment(secret.GetName()))
	}
}

// versions returns the numbers of the versions that pass the filter.
func (f *fixture) versions(id, filter string) []string {
	f.Helper()
	it := f.client.ListSecretVersions(f.Context(), &pb.ListSecretVersionsRequest{
		Parent: project + "/secrets/" + id, Filter: filter,
	})
	var numbers []string
	for {
		v, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return numbers
		}
		require.NoError(f, err)
		numbers = append(numbers, lastSegment(v.GetName()))
	}
}

func lastSegment(name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '/' {
			return name[i+1:]
		}
	}
	return name
}

func crc32c(data string) int64 {
	return int64(crc32.Checksum([]byte(data), crc32.MakeTable(crc32.Castagnoli)))
}

// refused checks the code of err and part of its text, both through the SDK's own type.
func (f *fixture) refused(err error, code codes.Code, text string) {
	f.Helper()
	var api *apierror.APIError
	require.ErrorAs(f, err, &api)
	require.Equal(f, code, status.Code(err), "code of %v", err)
	require.Equal(f, code, api.GRPCStatus().Code())
	require.Contains(f, api.GRPCStatus().Message(), text)
}
