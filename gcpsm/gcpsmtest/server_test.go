package gcpsmtest_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2/apierror"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
)

// For the race detector: every method on one secret, at once.
func TestServer_servesConcurrentRequests(t *testing.T) {
	f := start(t, gcpsmtest.WithStaleness(time.Millisecond), gcpsmtest.WithQuotas())
	f.create("s")
	f.add("s", "x")
	name := project + "/secrets/s"
	calls := []func() error{
		func() error { _, err := f.tryAdd("s", "x"); return err },
		func() error { _, err := f.tryAccess("s", "1"); return err },
		func() error { _, err := f.tryAccess("s", "latest"); return err },
		func() error { _, err := f.get("s"); return err },
		func() error { _, err := f.disable("s", "1", ""); return err },
		func() error { _, err := f.enable("s", "1", ""); return err },
		func() error { _, err := f.update(&pb.Secret{Name: name}, "labels"); return err },
		func() error { _, err := f.tryCreate("s", automatic()); return err },
		func() error {
			_, err := f.client.ListSecretVersions(t.Context(), &pb.ListSecretVersionsRequest{Parent: name}).Next()
			return err
		},
		func() error { f.srv.Secrets(); f.srv.ActiveVersions(); f.srv.Permissions(); return nil },
	}
	var wg sync.WaitGroup
	for _, call := range calls {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 20 {
				var api *apierror.APIError
				if err := call(); errors.As(err, &api) && api.GRPCStatus().Code() == codes.Internal {
					t.Errorf("internal error: %v", err)
				}
			}
		}()
	}
	wg.Wait()
}

func TestServer_keepsItsPayloadsToItself(t *testing.T) {
	f := start(t)
	f.create("s")
	f.add("s", "x")
	f.srv.Secrets()[0].Versions[0].Data[0] = 'y'
	require.Equal(t, "x", f.access("s", "1"))
}

func TestProjectNumber(t *testing.T) {
	require.Regexp(t, `^[0-9]{12}$`, gcpsmtest.ProjectNumber("my-project"))
	require.Equal(t, gcpsmtest.ProjectNumber("my-project"), gcpsmtest.ProjectNumber("my-project"))
	require.NotEqual(t, gcpsmtest.ProjectNumber("my-project"), gcpsmtest.ProjectNumber("your-project"))
	require.Equal(t, "42", gcpsmtest.ProjectNumber("42"))
}
