package gcpsmtest_test

import (
	"context"
	"testing"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/testserver"
)

func TestFaults(t *testing.T) {
	tests := []struct {
		kind  testserver.Kind
		code  codes.Code
		text  string
		added bool
	}{
		{testserver.FailBefore, codes.Internal, "Internal error encountered.", false},
		{testserver.FailAfter, codes.Internal, "Internal error encountered.", true},
		{testserver.DropAfter, codes.Unavailable, "connection reset by peer", true},
		{testserver.Throttle, codes.ResourceExhausted, "Quota exceeded for quota metric 'Write requests'", false},
		{testserver.Deny, codes.PermissionDenied, "Permission 'secretmanager.versions.add' denied for resource '" + project + "/secrets/s' (or it may not exist).", false},
		{testserver.Hang, codes.DeadlineExceeded, "", false},
		{testserver.HangAfter, codes.DeadlineExceeded, "", true},
	}
	for _, tt := range tests {
		run(t, tt.kind.String(), func(f *fixture) {
			f.create("s")
			f.srv.Inject(testserver.Fault{Op: "AddSecretVersion", Secret: "s", Kind: tt.kind})
			ctx, cancel := context.WithTimeout(f.Context(), 100*time.Millisecond)
			defer cancel()
			_, err := f.client.AddSecretVersion(ctx, &pb.AddSecretVersionRequest{
				Parent: project + "/secrets/s", Payload: &pb.SecretPayload{Data: []byte("x")},
			})
			require.Equal(f, tt.code, status.Code(err), "%v", err)
			if tt.code != codes.DeadlineExceeded { // a deadline is the client's own error
				f.refused(err, tt.code, tt.text)
			}
			want := 0
			if tt.added {
				want = 1
			}
			require.Len(f, f.srv.Secrets()[0].Versions, want)
			require.Equal(f, tt.kind, f.srv.Requests()[1].Fault)
			f.add("s", "the next one passes")
		})
	}
	run(t, "the official client sends AccessSecretVersion again", func(f *fixture) {
		client, err := f.srv.Client(f.Context())
		require.NoError(f, err)
		defer client.Close()
		f.create("s")
		f.add("s", "x")
		f.srv.Inject(testserver.Fault{Op: "AccessSecretVersion", Kind: testserver.DropAfter})
		resp, err := client.AccessSecretVersion(f.Context(), &pb.AccessSecretVersionRequest{Name: project + "/secrets/s/versions/1"})
		require.NoError(f, err)
		require.Equal(f, "x", string(resp.GetPayload().GetData()))
		require.Equal(f, 2, f.srv.Count("AccessSecretVersion"))
	})
	run(t, "a request that hangs ends with the server", func(f *fixture) {
		f.srv.Inject(testserver.Fault{Kind: testserver.Hang})
		failed := make(chan error, 1)
		go func() {
			_, err := f.get("s")
			failed <- err
		}()
		require.Eventually(f, func() bool { return f.srv.Count() == 1 }, 5*time.Second, time.Millisecond)
		f.srv.Close()
		f.srv.Close()
		require.Equal(f, codes.Unavailable, status.Code(<-failed))
	})
	run(t, "latency delays the answer", func(f *fixture) {
		f.srv.SetLatency(20 * time.Millisecond)
		begun := time.Now()
		f.create("s")
		require.GreaterOrEqual(f, time.Since(begun), 20*time.Millisecond)
	})
}

func TestLogAndPermissions(t *testing.T) {
	run(t, "the log has methods and the names of secrets", func(f *fixture) {
		f.create("s")
		f.add("s", "x")
		f.access("s", "latest")
		_, err := f.update(&pb.Secret{Name: project + "/secrets/s"}, "labels")
		require.NoError(f, err)
		f.list(project, "")
		var got []testserver.Request
		for _, r := range f.srv.Requests() {
			require.False(f, r.Time.IsZero())
			r.Time = time.Time{}
			got = append(got, r)
		}
		require.Equal(f, []testserver.Request{
			{Op: "CreateSecret", Secret: "s"},
			{Op: "AddSecretVersion", Secret: "s"},
			{Op: "AccessSecretVersion", Secret: "s"},
			{Op: "UpdateSecret", Secret: "s"},
			{Op: "ListSecrets"},
		}, got)
	})
	run(t, "permissions are those of the requests so far", func(f *fixture) {
		require.Empty(f, f.srv.Permissions())
		f.create("s")
		f.add("s", "x")
		f.add("s", "y")
		f.access("s", "1")
		_, err := f.destroy("s", "1", "")
		require.NoError(f, err)
		require.Equal(f, []string{
			"secretmanager.secrets.create", "secretmanager.versions.access",
			"secretmanager.versions.add", "secretmanager.versions.destroy",
		}, f.srv.Permissions())
		f.srv.ResetRequests()
		require.Empty(f, f.srv.Permissions())
	})
	run(t, "IAM policies are unimplemented", func(f *fixture) {
		conn, err := grpc.NewClient(f.srv.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(f, err)
		defer conn.Close()
		// On the wire a GetSecretRequest is a GetIamPolicyRequest: field 1 is the resource.
		req := &pb.GetSecretRequest{Name: project + "/secrets/s"}
		for _, method := range []string{"GetIamPolicy", "TestIamPermissions"} {
			err := conn.Invoke(f.Context(), "/google.cloud.secretmanager.v1.SecretManagerService/"+method, req, &emptypb.Empty{})
			require.Equal(f, codes.Unimplemented, status.Code(err))
		}
		require.Equal(f, "s", f.srv.Requests()[0].Secret)
		require.Equal(f, []string{"secretmanager.secrets.getIamPolicy"}, f.srv.Permissions())
	})
}

func TestSecrets(t *testing.T) {
	run(t, "shows every version with its payload, by name", func(f *fixture) {
		secret := automatic()
		secret.Labels = map[string]string{"env": "prod"}
		f.createWith("b", secret)
		f.create("a")
		f.add("b", "one")
		f.add("b", "two")
		_, err := f.destroy("b", "1", "")
		require.NoError(f, err)
		got := f.srv.Secrets()
		require.Len(f, got, 2)
		require.Equal(f, "a", got[0].Name)
		b := got[1]
		require.Equal(f, "projects/"+number+"/secrets/b", b.Resource)
		require.Equal(f, map[string]string{"env": "prod"}, b.Labels)
		require.Equal(f, "DESTROYED", b.Versions[0].State)
		require.False(f, b.Versions[0].Destroyed.IsZero())
		require.Equal(f, gcpsmtest.Version{
			Number: 2, State: "ENABLED", Data: []byte("two"), Etag: b.Versions[1].Etag, Created: b.Versions[1].Created,
		}, b.Versions[1])
	})
}
