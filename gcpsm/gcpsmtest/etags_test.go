package gcpsmtest_test

import (
	"regexp"
	"testing"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
)

func TestEtags(t *testing.T) {
	const mismatch = "The etag provided in the request does not match the resource's current etag."
	name := project + "/secrets/s"

	run(t, "include their double quotes", func(f *fixture) {
		quoted := regexp.MustCompile(`^"[0-9a-f]+"$`)
		require.Regexp(f, quoted, f.create("s").GetEtag())
		require.Regexp(f, quoted, f.add("s", "x").GetEtag())
	})
	run(t, "guard UpdateSecret", func(f *fixture) {
		first := f.create("s").GetEtag()
		second, err := f.update(&pb.Secret{Name: name, Etag: first, Labels: map[string]string{"a": "1"}}, "labels")
		require.NoError(f, err)
		require.NotEqual(f, first, second.GetEtag())
		_, err = f.update(&pb.Secret{Name: name, Etag: first}, "labels")
		f.refused(err, codes.FailedPrecondition, mismatch)
		_, err = f.update(&pb.Secret{Name: name}, "labels")
		require.NoError(f, err, "no etag is unconditional")
	})
	run(t, "guard DeleteSecret", func(f *fixture) {
		etag := f.create("s").GetEtag()
		f.refused(f.remove("s", `"other"`), codes.FailedPrecondition, mismatch)
		require.NoError(f, f.remove("s", etag))
		require.NotEqual(f, etag, f.create("s").GetEtag(), "of the secret's next life")
	})
	run(t, "guard the changes of a version's state, and change without a change", func(f *fixture) {
		f.create("s")
		first := f.add("s", "x").GetEtag()
		for _, change := range []func(id, version, etag string) (*pb.SecretVersion, error){f.enable, f.disable, f.destroy} {
			_, err := change("s", "1", `"other"`)
			f.refused(err, codes.FailedPrecondition, mismatch)
			v, err := change("s", "1", first)
			require.NoError(f, err)
			require.NotEqual(f, first, v.GetEtag(), "the first change enables what is enabled")
			first = v.GetEtag()
		}
	})
	run(t, "change with their own resource only", func(f *fixture) {
		secret := f.create("s").GetEtag()
		one := f.add("s", "x").GetEtag()
		two := f.add("s", "x").GetEtag()
		_, err := f.destroy("s", "2", two)
		require.NoError(f, err)
		got, err := f.get("s")
		require.NoError(f, err)
		require.Equal(f, secret, got.GetEtag(), "secret, after its versions changed")
		_, err = f.update(&pb.Secret{Name: name, Etag: secret}, "labels")
		require.NoError(f, err)
		require.Equal(f, one, f.getVersion("s", "1").GetEtag(), "version, after its secret and its neighbour changed")
	})
}
