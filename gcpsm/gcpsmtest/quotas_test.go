package gcpsmtest_test

import (
	"fmt"
	"testing"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2/apierror"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
)

func TestQuotas(t *testing.T) {
	limited := func(name string, test func(f *fixture)) { run(t, name, test, gcpsmtest.WithQuotas()) }

	limited("a project has 600 reads a minute", func(f *fixture) {
		f.create("s")
		for range 600 {
			_, err := f.get("s")
			require.NoError(f, err)
		}
		_, err := f.get("s")
		f.refused(err, codes.ResourceExhausted, "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' "+
			"of service 'secretmanager.googleapis.com' for consumer 'project_number:"+number+"'.")
		var api *apierror.APIError
		require.ErrorAs(f, err, &api)
		require.Equal(f, "RATE_LIMIT_EXCEEDED", api.Reason())
		_, err = f.client.GetSecret(f.Context(), &pb.GetSecretRequest{Name: "projects/other/secrets/s"})
		f.refused(err, codes.NotFound, "not found")
		f.add("s", "writes have a quota of their own")
		require.Equal(f, codes.OK, f.accessCode("s", "1"), "accesses, too")
		f.srv.Advance(time.Minute)
		_, err = f.get("s")
		require.NoError(f, err)
	})
	limited("a project has 600 writes a minute", func(f *fixture) {
		for i := range 600 {
			f.create(fmt.Sprintf("s%d", i))
		}
		_, err := f.tryCreate("s", automatic())
		f.refused(err, codes.ResourceExhausted, "'Write requests per minute'")
		f.srv.Advance(time.Minute)
		f.create("s")
	})
	limited("a secret takes 2 changes a second", func(f *fixture) {
		f.create("s")
		f.create("t")
		for range 3 {
			f.add("s", "x")
			_, err := f.update(&pb.Secret{Name: project + "/secrets/s"}, "labels")
			require.NoError(f, err)
			_, err = f.tryAdd("s", "x")
			f.refused(err, codes.ResourceExhausted, "'Secret write requests per second'")
			f.add("t", "another secret has its own")
			f.srv.Advance(time.Second)
		}
		require.Len(f, f.versions("s", ""), 3, "what was refused took no effect")
	})
	limited("a version's state changes once a second", func(f *fixture) {
		f.create("s")
		f.add("s", "x")
		f.add("s", "y")
		_, err := f.disable("s", "1", "")
		require.NoError(f, err)
		_, err = f.enable("s", "1", "")
		f.refused(err, codes.ResourceExhausted, "")
		_, err = f.destroy("s", "2", "")
		require.NoError(f, err)
		f.srv.Advance(time.Second)
		_, err = f.enable("s", "1", "")
		require.NoError(f, err)
	})
	limited("regional secrets take more", func(f *fixture) {
		made, err := f.client.CreateSecret(f.Context(), &pb.CreateSecretRequest{
			Parent: project + "/locations/europe-west1", SecretId: "s", Secret: &pb.Secret{},
		})
		require.NoError(f, err)
		for i := range 10 {
			req := &pb.AddSecretVersionRequest{Parent: made.GetName(), Payload: &pb.SecretPayload{Data: []byte("x")}}
			v, err := f.client.AddSecretVersion(f.Context(), req)
			require.NoError(f, err, "version %d", i+1)
			_, err = f.client.DisableSecretVersion(f.Context(), &pb.DisableSecretVersionRequest{Name: v.GetName()})
			require.NoError(f, err)
			_, err = f.client.EnableSecretVersion(f.Context(), &pb.EnableSecretVersionRequest{Name: v.GetName()})
			require.NoError(f, err)
		}
	})
	run(t, "are off by default", func(f *fixture) {
		f.create("s")
		for range 601 {
			_, err := f.get("s")
			require.NoError(f, err)
		}
	})
}
