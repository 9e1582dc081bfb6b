package gcpsmtest_test

import (
	"testing"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
)

func TestQuirks(t *testing.T) {
	quirky := func(name string, q gcpsmtest.Quirk, test func(f *fixture)) {
		run(t, name, test, gcpsmtest.WithEmulatorQuirks(q))
	}
	fill := func(f *fixture) {
		f.create("s")
		for range 5 {
			f.add("s", "x")
		}
	}
	page := func(f *fixture, size int32) (numbers []string, more bool) {
		it := f.client.ListSecretVersions(f.Context(), &pb.ListSecretVersionsRequest{Parent: project + "/secrets/s", PageSize: size})
		_, err := it.Next()
		require.NoError(f, err)
		for _, v := range it.Response.(*pb.ListSecretVersionsResponse).GetVersions() {
			numbers = append(numbers, lastSegment(v.GetName()))
		}
		return numbers, it.PageInfo().Token != ""
	}

	quirky("lists begin with the oldest, on every page", gcpsmtest.AscendingLists, func(f *fixture) {
		fill(f)
		first, more := page(f, 2)
		require.Equal(f, []string{"1", "2"}, first)
		require.True(f, more)
		require.Equal(f, []string{"1", "2", "3", "4", "5"}, f.versions("s", ""))
		f.create("t")
		require.Equal(f, []string{"s", "t"}, f.list(project, ""))
	})
	quirky("lists have one page", gcpsmtest.WholeLists, func(f *fixture) {
		fill(f)
		all, more := page(f, 2)
		require.Len(f, all, 5)
		require.False(f, more)
	})
	quirky("there are no checksums", gcpsmtest.NoChecksums, func(f *fixture) {
		f.create("s")
		_, err := f.client.AddSecretVersion(f.Context(), &pb.AddSecretVersionRequest{
			Parent: project + "/secrets/s", Payload: &pb.SecretPayload{Data: []byte("x"), DataCrc32C: proto.Int64(1)},
		})
		require.NoError(f, err)
		resp, err := f.tryAccess("s", "1")
		require.NoError(f, err)
		require.Nil(f, resp.GetPayload().DataCrc32C)
	})
	quirky("a destroyed version is not found", gcpsmtest.DestroyedNotFound, func(f *fixture) {
		fill(f)
		_, err := f.destroy("s", "2", "")
		require.NoError(f, err)
		_, err = f.tryAccess("s", "2")
		f.refused(err, codes.NotFound, "destroyed")
		require.Equal(f, pb.SecretVersion_DESTROYED, f.getVersion("s", "2").GetState())
	})
	quirky("an access to a disabled version is invalid", gcpsmtest.DisabledInvalid, func(f *fixture) {
		fill(f)
		_, err := f.disable("s", "2", "")
		require.NoError(f, err)
		_, err = f.tryAccess("s", "2")
		f.refused(err, codes.InvalidArgument, "disabled")
	})
	quirky("what is destroyed can be destroyed again", gcpsmtest.DestroyTwice, func(f *fixture) {
		fill(f)
		for range 2 {
			v, err := f.destroy("s", "2", "")
			require.NoError(f, err)
			require.Equal(f, pb.SecretVersion_DESTROYED, v.GetState())
		}
	})
	quirky("nothing is validated", gcpsmtest.Unvalidated, func(f *fixture) {
		f.createWith("s", &pb.Secret{Labels: map[string]string{"NO": "NO"}})
		f.add("s", "")
	})
}

func TestLaggingLatest(t *testing.T) {
	const delay = time.Minute
	lagging := func(name string, test func(f *fixture)) { run(t, name, test, gcpsmtest.WithLaggingLatest(delay)) }

	lagging("latest leads to the version to which it led", func(f *fixture) {
		f.create("s")
		f.add("s", "one")
		require.Equal(f, codes.NotFound, f.accessCode("s", "latest"))
		f.srv.Advance(delay)
		f.add("s", "two")
		require.Equal(f, "one", f.access("s", "latest"))
		require.Equal(f, []string{"2", "1"}, f.versions("s", ""))
		f.srv.Advance(delay)
		require.Equal(f, "two", f.access("s", "latest"))
	})
	lagging("which is shown as it is now", func(f *fixture) {
		f.create("s")
		f.add("s", "one")
		f.srv.Advance(delay)
		f.add("s", "two")
		_, err := f.destroy("s", "1", "")
		require.NoError(f, err)
		_, err = f.tryAccess("s", "latest")
		f.refused(err, codes.FailedPrecondition, "/versions/1] is in DESTROYED state.")
		require.NoError(f, f.remove("s", ""))
		require.Equal(f, codes.NotFound, f.accessCode("s", "latest"))
	})
}

func TestDisableKey(t *testing.T) {
	const global = "projects/p/locations/global/keyRings/r/cryptoKeys/k"
	managed := &pb.CustomerManagedEncryption{KmsKeyName: global}
	run(t, "what it encrypts can be neither accessed nor added, and stays enabled", func(f *fixture) {
		secret := automatic()
		secret.GetReplication().GetAutomatic().CustomerManagedEncryption = managed
		f.createWith("s", secret)
		f.create("other")
		f.add("s", "x")
		f.add("other", "x")
		f.srv.DisableKey(global)
		_, err := f.tryAccess("s", "latest")
		f.refused(err, codes.FailedPrecondition, "cryptoKeyVersions/1 is not enabled")
		_, err = f.tryAdd("s", "y")
		f.refused(err, codes.FailedPrecondition, "cryptoKeyVersions/1 is not enabled")
		require.Equal(f, pb.SecretVersion_ENABLED, f.getVersion("s", "1").GetState())
		require.Equal(f, "x", f.access("other", "latest"))
		f.srv.EnableKey(global)
		require.Equal(f, "x", f.access("s", "latest"))
		require.Equal(f, []string{"1"}, f.versions("s", ""))
	})
	run(t, "a destroyed version needs no key", func(f *fixture) {
		secret := automatic()
		secret.GetReplication().GetAutomatic().CustomerManagedEncryption = managed
		f.createWith("s", secret)
		f.add("s", "x")
		f.srv.DisableKey(global)
		_, err := f.destroy("s", "1", "")
		require.NoError(f, err)
		_, err = f.tryAccess("s", "1")
		f.refused(err, codes.FailedPrecondition, "is in DESTROYED state.")
	})
}
