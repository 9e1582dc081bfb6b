package gcpsmtest_test

import (
	"testing"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
)

func TestStaleness(t *testing.T) {
	const delay = time.Minute
	stale := func(name string, test func(f *fixture)) { run(t, name, test, gcpsmtest.WithStaleness(delay)) }

	stale("a new version is there by number at once, as latest later", func(f *fixture) {
		f.create("s")
		f.add("s", "one")
		f.srv.Advance(delay)
		f.add("s", "two")
		require.Equal(f, "two", f.access("s", "2"))
		require.Equal(f, codes.NotFound, f.accessCode("s", "3"))
		require.Equal(f, "one", f.access("s", "latest"))
		require.Equal(f, []string{"1"}, f.versions("s", ""))
		f.srv.Advance(delay)
		require.Equal(f, "two", f.access("s", "latest"))
		require.Equal(f, []string{"2", "1"}, f.versions("s", ""))
	})
	stale("each change shows when its own time has come", func(f *fixture) {
		f.create("s")
		for _, data := range []string{"one", "two", "three"} {
			f.add("s", data)
			f.srv.Advance(delay / 2)
		}
		require.Equal(f, "two", f.access("s", "latest"))
		f.srv.Advance(delay / 2)
		require.Equal(f, "three", f.access("s", "latest"))
	})
	stale("a new secret is absent for reads, but takes versions and exists for CreateSecret", func(f *fixture) {
		f.create("s")
		f.add("s", "x")
		_, err := f.get("s")
		f.refused(err, codes.NotFound, "not found")
		require.Empty(f, f.list(project, ""))
		require.Equal(f, codes.NotFound, f.accessCode("s", "latest"))
		_, err = f.tryCreate("s", automatic())
		f.refused(err, codes.AlreadyExists, "already exists")
		f.srv.Advance(delay)
		require.Equal(f, []string{"s"}, f.list(project, ""))
		require.Equal(f, "x", f.access("s", "latest"))
	})
	stale("a deleted secret is gone by number, and still there for all other reads", func(f *fixture) {
		f.create("s")
		f.add("s", "x")
		f.srv.Advance(delay)
		require.NoError(f, f.remove("s", ""))
		require.Equal(f, codes.NotFound, f.accessCode("s", "1"))
		require.Equal(f, "x", f.access("s", "latest"))
		require.Equal(f, []string{"s"}, f.list(project, ""))
		require.Empty(f, f.srv.Secrets())
		f.create("s")
		f.add("s", "next life")
		require.Equal(f, "x", f.access("s", "latest"))
		require.Equal(f, "next life", f.access("s", "1"))
		f.srv.Advance(delay)
		require.Equal(f, "next life", f.access("s", "latest"))
	})
	stale("an alias leads to the version that it had", func(f *fixture) {
		f.create("s")
		f.add("s", "one")
		f.add("s", "two")
		alias := func(number int64) {
			_, err := f.update(&pb.Secret{Name: project + "/secrets/s", VersionAliases: map[string]int64{"live": number}}, "version_aliases")
			require.NoError(f, err)
			f.srv.Advance(delay)
		}
		alias(1)
		alias(2)
		require.Equal(f, "two", f.access("s", "live"))
		_, err := f.update(&pb.Secret{Name: project + "/secrets/s"}, "version_aliases")
		require.NoError(f, err)
		require.Equal(f, "two", f.access("s", "live"))
		f.srv.Advance(delay)
		require.Equal(f, codes.NotFound, f.accessCode("s", "live"))
	})
	stale("a destroyed version fails by number at once, elsewhere later", func(f *fixture) {
		f.create("s")
		f.add("s", "x")
		f.srv.Advance(delay)
		_, err := f.destroy("s", "1", "")
		require.NoError(f, err)
		require.Equal(f, codes.FailedPrecondition, f.accessCode("s", "1"))
		require.Equal(f, "x", f.access("s", "latest"))
		require.Equal(f, pb.SecretVersion_ENABLED, f.getVersion("s", "1").GetState())
		f.srv.Advance(delay)
		require.Equal(f, codes.FailedPrecondition, f.accessCode("s", "latest"))
		require.Equal(f, pb.SecretVersion_DESTROYED, f.getVersion("s", "1").GetState())
	})
	stale("an etag that a stale read returned is refused", func(f *fixture) {
		f.create("s")
		f.srv.Advance(delay)
		_, err := f.update(&pb.Secret{Name: project + "/secrets/s"}, "labels")
		require.NoError(f, err)
		old, err := f.get("s")
		require.NoError(f, err)
		_, err = f.update(&pb.Secret{Name: project + "/secrets/s", Etag: old.GetEtag()}, "labels")
		f.refused(err, codes.FailedPrecondition, "etag")
	})
	stale("expiration is a change as any other", func(f *fixture) {
		secret := automatic()
		secret.Expiration = &pb.Secret_Ttl{Ttl: durationpb.New(time.Hour)}
		f.createWith("s", secret)
		f.add("s", "x")
		f.srv.Advance(time.Hour + delay/2)
		require.Equal(f, codes.NotFound, f.accessCode("s", "1"))
		require.Equal(f, "x", f.access("s", "latest"))
		f.srv.Advance(delay)
		require.Equal(f, codes.NotFound, f.accessCode("s", "latest"))
	})
}

func TestEmulatorQuirks(t *testing.T) {
	quirky := func(name string, test func(f *fixture)) { run(t, name, test, gcpsmtest.WithEmulatorQuirks()) }
	name := project + "/secrets/s"

	quirky("etags are empty and not looked at", func(f *fixture) {
		require.Empty(f, f.create("s").GetEtag())
		require.Empty(f, f.add("s", "x").GetEtag())
		_, err := f.update(&pb.Secret{Name: name, Etag: `"any"`}, "labels")
		require.NoError(f, err)
		_, err = f.disable("s", "1", `"any"`)
		require.NoError(f, err)
		require.NoError(f, f.remove("s", `"any"`))
	})
	quirky("aliases are not kept", func(f *fixture) {
		f.create("s")
		f.add("s", "x")
		got, err := f.update(&pb.Secret{Name: name, VersionAliases: map[string]int64{"live": 1}}, "version_aliases")
		require.NoError(f, err)
		require.Empty(f, got.GetVersionAliases())
		require.Equal(f, codes.NotFound, f.accessCode("s", "live"))
	})
	quirky("filters are ignored", func(f *fixture) {
		f.create("s")
		require.Equal(f, []string{"s"}, f.list(project, "name:other"))
		require.Equal(f, []string{"s"}, f.list(project, "not a filter"))
	})
	quirky("latest is the newest enabled version", func(f *fixture) {
		f.create("s")
		f.add("s", "one")
		f.add("s", "two")
		_, err := f.destroy("s", "2", "")
		require.NoError(f, err)
		require.Equal(f, "one", f.access("s", "latest"))
		require.Equal(f, "1", lastSegment(f.getVersion("s", "latest").GetName()))
		_, err = f.disable("s", "1", "")
		require.NoError(f, err)
		require.Equal(f, codes.NotFound, f.accessCode("s", "latest"))
		require.Equal(f, codes.FailedPrecondition, f.accessCode("s", "1"))
	})
}
