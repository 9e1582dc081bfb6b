package gcpsmtest_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

func TestAddSecretVersion(t *testing.T) {
	run(t, "numbers versions from 1 without a gap, and has no precondition", func(f *fixture) {
		f.create("s")
		var wg sync.WaitGroup
		for range 20 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				_, err := f.tryAdd("s", "x")
				if err != nil {
					f.Errorf("AddSecretVersion: %v", err)
				}
			}()
		}
		wg.Wait()
		v := f.add("s", "last")
		require.Equal(f, "projects/"+number+"/secrets/s/versions/21", v.GetName())
		require.Equal(f, pb.SecretVersion_ENABLED, v.GetState())
		require.Len(f, f.versions("s", ""), 21)
	})
	run(t, "takes 1 to 65,536 bytes", func(f *fixture) {
		f.create("s")
		f.add("s", strings.Repeat("x", 65536))
		_, err := f.tryAdd("s", strings.Repeat("x", 65537))
		f.refused(err, codes.InvalidArgument, "65536")
		_, err = f.tryAdd("s", strings.Repeat("x", 5<<20))
		f.refused(err, codes.InvalidArgument, "65536")
		_, err = f.tryAdd("s", "")
		f.refused(err, codes.InvalidArgument, "Secret Payload cannot be empty.")
		_, err = f.client.AddSecretVersion(f.Context(), &pb.AddSecretVersionRequest{Parent: project + "/secrets/s"})
		f.refused(err, codes.InvalidArgument, "Field [payload] is required.")
	})
	run(t, "verifies the checksum and returns it on access", func(f *fixture) {
		f.create("s")
		req := &pb.AddSecretVersionRequest{Parent: project + "/secrets/s", Payload: &pb.SecretPayload{
			Data: []byte("x"), DataCrc32C: proto.Int64(crc32c("y")),
		}}
		_, err := f.client.AddSecretVersion(f.Context(), req)
		f.refused(err, codes.InvalidArgument, "data_crc32c")
		req.Payload.DataCrc32C = proto.Int64(crc32c("x"))
		v, err := f.client.AddSecretVersion(f.Context(), req)
		require.NoError(f, err)
		require.True(f, v.GetClientSpecifiedPayloadChecksum())
		require.False(f, f.add("s", "z").GetClientSpecifiedPayloadChecksum())
		resp, err := f.tryAccess("s", "2")
		require.NoError(f, err)
		require.Equal(f, crc32c("z"), resp.GetPayload().GetDataCrc32C())
	})
}

func TestAccessSecretVersion(t *testing.T) {
	run(t, "reads by number, latest and alias, and answers with the number", func(f *fixture) {
		f.create("s")
		f.add("s", "one")
		f.add("s", "two")
		_, err := f.update(&pb.Secret{Name: project + "/secrets/s", VersionAliases: map[string]int64{"stable": 1, "gone": 9}}, "version_aliases")
		require.NoError(f, err)
		require.Equal(f, "one", f.access("s", "1"))
		require.Equal(f, "two", f.access("s", "latest"))
		require.Equal(f, "one", f.access("s", "stable"))
		resp, err := f.tryAccess("s", "stable")
		require.NoError(f, err)
		require.Equal(f, "projects/"+number+"/secrets/s/versions/1", resp.GetName())
		require.Equal(f, "1", lastSegment(f.getVersion("s", "stable").GetName()))
		_, err = f.tryAccess("s", "gone")
		f.refused(err, codes.NotFound, "/versions/9] not found.")
		_, err = f.tryAccess("s", "unknown")
		f.refused(err, codes.NotFound, "/versions/unknown] not found.")
	})
	run(t, "of an absent version or secret is NotFound", func(f *fixture) {
		f.create("s")
		f.add("s", "x")
		for _, v := range []string{"0", "2", "99999999999999999999"} {
			_, err := f.tryAccess("s", v)
			f.refused(err, codes.NotFound, "Secret Version [projects/"+number+"/secrets/s/versions/"+v+"] not found.")
		}
		_, err := f.tryAccess("nope", "1")
		f.refused(err, codes.NotFound, "Secret [projects/"+number+"/secrets/nope] not found or has no versions.")
	})
	run(t, "wants a well-formed name", func(f *fixture) {
		for _, name := range []string{"", "projects/p/secrets/s", "projects/p/secrets/s/versions/", "projects/p/secrets/s/versions/1/x", "projects/p/secrets/a.b/versions/1", "projects/p/secrets/s/versions/1a"} {
			_, err := f.client.AccessSecretVersion(f.Context(), &pb.AccessSecretVersionRequest{Name: name})
			f.refused(err, codes.InvalidArgument, "Resource ID ["+name+"] is not in a valid format.")
		}
	})
	run(t, "fails where latest is disabled or destroyed, and does not fall back", func(f *fixture) {
		f.create("s")
		f.add("s", "one")
		f.add("s", "two")
		_, err := f.disable("s", "2", "")
		require.NoError(f, err)
		for _, version := range []string{"latest", "2"} {
			_, err = f.tryAccess("s", version)
			f.refused(err, codes.FailedPrecondition, "Secret Version [projects/"+number+"/secrets/s/versions/2] is in DISABLED state.")
		}
		_, err = f.destroy("s", "2", "")
		require.NoError(f, err)
		for _, version := range []string{"latest", "2"} {
			_, err = f.tryAccess("s", version)
			f.refused(err, codes.FailedPrecondition, "Secret Version [projects/"+number+"/secrets/s/versions/2] is in DESTROYED state.")
		}
		require.Equal(f, "one", f.access("s", "1"))
	})
}

func TestVersionStates(t *testing.T) {
	run(t, "a disabled version can be enabled again", func(f *fixture) {
		f.create("s")
		f.add("s", "x")
		v, err := f.disable("s", "1", "")
		require.NoError(f, err)
		require.Equal(f, pb.SecretVersion_DISABLED, v.GetState())
		_, err = f.enable("s", "1", "")
		require.NoError(f, err)
		require.Equal(f, "x", f.access("s", "1"))
	})
	run(t, "a destroyed version has no payload and stays destroyed", func(f *fixture) {
		f.create("s")
		f.add("s", "x")
		v, err := f.destroy("s", "1", "")
		require.NoError(f, err)
		require.Equal(f, pb.SecretVersion_DESTROYED, v.GetState())
		require.NotNil(f, v.GetDestroyTime())
		require.Nil(f, f.srv.Secrets()[0].Versions[0].Data)
		_, err = f.destroy("s", "1", "")
		f.refused(err, codes.FailedPrecondition, "SecretVersion.state is already DESTROYED.")
		_, err = f.enable("s", "1", "")
		f.refused(err, codes.FailedPrecondition, "is in DESTROYED state.")
		_, err = f.disable("s", "1", "")
		f.refused(err, codes.FailedPrecondition, "is in DESTROYED state.")
		require.Equal(f, "2", lastSegment(f.add("s", "y").GetName()))
	})
	run(t, "changes want a number, not latest or an alias, and a version that exists", func(f *fixture) {
		f.create("s")
		f.add("s", "x")
		_, err := f.destroy("s", "latest", "")
		f.refused(err, codes.InvalidArgument, "is not in a valid format")
		_, err = f.destroy("s", "2", "")
		f.refused(err, codes.NotFound, "/versions/2] not found.")
		_, err = f.destroy("nope", "1", "")
		f.refused(err, codes.NotFound, "/secrets/nope] not found.")
	})
	run(t, "are billed unless destroyed", func(f *fixture) {
		f.create("s")
		for range 3 {
			f.add("s", "x")
		}
		_, err := f.disable("s", "1", "")
		require.NoError(f, err)
		_, err = f.destroy("s", "2", "")
		require.NoError(f, err)
		require.Equal(f, 2, f.srv.ActiveVersions())
	})
}

func TestDelayedDestruction(t *testing.T) {
	const delay = 48 * time.Hour
	delayed := func() *pb.Secret {
		secret := automatic()
		secret.VersionDestroyTtl = durationpb.New(delay)
		return secret
	}
	run(t, "disables first and destroys after the ttl", func(f *fixture) {
		f.createWith("s", delayed())
		f.add("s", "x")
		v, err := f.destroy("s", "1", "")
		require.NoError(f, err)
		require.Equal(f, pb.SecretVersion_DISABLED, v.GetState())
		require.WithinDuration(f, f.srv.Now().Add(delay), v.GetScheduledDestroyTime().AsTime(), time.Minute)
		require.Equal(f, 1, f.srv.ActiveVersions(), "billed until destroyed")
		_, err = f.destroy("s", "1", "")
		f.refused(err, codes.FailedPrecondition, "already scheduled for DESTRUCTION")
		f.srv.Advance(delay)
		require.Equal(f, pb.SecretVersion_DESTROYED, f.getVersion("s", "1").GetState())
		require.Zero(f, f.srv.ActiveVersions())
	})
	run(t, "is withdrawn by enabling or disabling", func(f *fixture) {
		f.createWith("s", delayed())
		for i, withdraw := range []func(id, version, etag string) (*pb.SecretVersion, error){f.enable, f.disable} {
			f.add("s", "x")
			number := strconv.Itoa(i + 1)
			_, err := f.destroy("s", number, "")
			require.NoError(f, err)
			v, err := withdraw("s", number, "")
			require.NoError(f, err)
			require.Nil(f, v.GetScheduledDestroyTime())
		}
		f.srv.Advance(2 * delay)
		require.Equal(f, 2, f.srv.ActiveVersions())
	})
	run(t, "happens to each version in its time", func(f *fixture) {
		f.createWith("s", delayed())
		for _, version := range []string{"1", "2"} {
			f.add("s", "x")
			_, err := f.destroy("s", version, "")
			require.NoError(f, err)
			f.srv.Advance(time.Hour)
		}
		f.srv.Advance(delay - 2*time.Hour)
		require.Equal(f, []string{"1"}, f.versions("s", "state:DESTROYED"))
		f.srv.Advance(time.Hour)
		require.Equal(f, []string{"2", "1"}, f.versions("s", "state:DESTROYED"))
	})
}

const (
	globalKey = "projects/k/locations/global/keyRings/r/cryptoKeys/c"
	euKey     = "projects/k/locations/europe-west1/keyRings/r/cryptoKeys/c"
)

func withKey(key string) *pb.Replication {
	return &pb.Replication{Replication: &pb.Replication_Automatic_{Automatic: &pb.Replication_Automatic{
		CustomerManagedEncryption: &pb.CustomerManagedEncryption{KmsKeyName: key},
	}}}
}

func TestEncryptionKeys(t *testing.T) {
	run(t, "a key of automatic replication is global, and applies to versions added afterwards", func(f *fixture) {
		f.create("s")
		require.Nil(f, f.add("s", "x").GetReplicationStatus().GetAutomatic().GetCustomerManagedEncryption())
		_, err := f.update(&pb.Secret{Name: project + "/secrets/s", Replication: withKey(globalKey)}, "replication")
		require.NoError(f, err)
		got := f.add("s", "y").GetReplicationStatus().GetAutomatic().GetCustomerManagedEncryption()
		require.Equal(f, globalKey+"/versions/1", got.GetKmsKeyVersionName())
		require.Nil(f, f.getVersion("s", "1").GetReplicationStatus().GetAutomatic().GetCustomerManagedEncryption())
		_, err = f.tryCreate("t", &pb.Secret{Replication: withKey(euKey)})
		f.refused(err, codes.InvalidArgument, "global")
	})
	run(t, "a replica's key is in its region", func(f *fixture) {
		managed := func(replicas ...*pb.Replication_UserManaged_Replica) *pb.Secret {
			return &pb.Secret{Replication: &pb.Replication{Replication: &pb.Replication_UserManaged_{
				UserManaged: &pb.Replication_UserManaged{Replicas: replicas},
			}}}
		}
		key := &pb.CustomerManagedEncryption{KmsKeyName: euKey}
		f.createWith("s", managed(
			&pb.Replication_UserManaged_Replica{Location: "europe-west1", CustomerManagedEncryption: key},
			&pb.Replication_UserManaged_Replica{Location: "us-east1"}))
		replicas := f.add("s", "x").GetReplicationStatus().GetUserManaged().GetReplicas()
		require.Equal(f, euKey+"/versions/1", replicas[0].GetCustomerManagedEncryption().GetKmsKeyVersionName())
		require.Equal(f, "us-east1", replicas[1].GetLocation())
		for _, bad := range []*pb.Secret{
			managed(),
			managed(&pb.Replication_UserManaged_Replica{}),
			managed(&pb.Replication_UserManaged_Replica{Location: "a"}, &pb.Replication_UserManaged_Replica{Location: "a"}),
			managed(&pb.Replication_UserManaged_Replica{Location: "us-east1", CustomerManagedEncryption: key}),
		} {
			_, err := f.tryCreate("t", bad)
			f.refused(err, codes.InvalidArgument, "")
		}
	})
	run(t, "a regional secret has its key itself, a global one does not", func(f *fixture) {
		secret := &pb.Secret{CustomerManagedEncryption: &pb.CustomerManagedEncryption{KmsKeyName: euKey}}
		made, err := f.client.CreateSecret(f.Context(), &pb.CreateSecretRequest{
			Parent: project + "/locations/europe-west1", SecretId: "s", Secret: secret,
		})
		require.NoError(f, err)
		v, err := f.client.AddSecretVersion(f.Context(), &pb.AddSecretVersionRequest{
			Parent: made.GetName(), Payload: &pb.SecretPayload{Data: []byte("x")},
		})
		require.NoError(f, err)
		require.Equal(f, euKey+"/versions/1", v.GetCustomerManagedEncryption().GetKmsKeyVersionName())
		require.Nil(f, v.GetReplicationStatus())
		secret.Replication = withKey(globalKey)
		_, err = f.tryCreate("s", secret)
		f.refused(err, codes.InvalidArgument, "regional")
	})
}
