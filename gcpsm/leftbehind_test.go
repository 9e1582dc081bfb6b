package gcpsm

import (
	"context"
	"fmt"
	"testing"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/testserver"
)

// undestroying fails to destroy versions while failing is set; some take effect all the same.
type undestroying struct {
	Client
	failing     *bool
	takesEffect bool
	err         error
}

func (u undestroying) DestroySecretVersion(ctx context.Context, in *pb.DestroySecretVersionRequest, opts ...gax.CallOption) (*pb.SecretVersion, error) {
	if !*u.failing {
		return u.Client.DestroySecretVersion(ctx, in, opts...)
	}
	if u.takesEffect {
		_, _ = u.Client.DestroySecretVersion(ctx, in, opts...)
	}
	return nil, u.err
}

// failures are the ways in which a destroy fails.
var failures = map[string]undestroying{
	"throttled":              {err: status.Error(codes.ResourceExhausted, "Quota exceeded")},
	"denied":                 {err: status.Error(codes.PermissionDenied, "Permission denied")},
	"unavailable":            {err: status.Error(codes.Unavailable, "try again")},
	"refused":                {err: status.Error(codes.FailedPrecondition, "Precondition check failed.")},
	"timed out":              {err: status.Error(codes.DeadlineExceeded, "deadline exceeded")},
	"timed out after effect": {err: status.Error(codes.DeadlineExceeded, "deadline exceeded"), takesEffect: true},
}

// Five failed destroys leave five versions more. They are credentials, and billed: a few writes later they are
// gone, whichever processes write.
func TestVersionsLeftBehind_areGoneAFewWritesLater(t *testing.T) {
	const failed = 5
	for processes, within := range map[int]int{1: 2, 2: 5, 3: 5, 100: 5} {
		for name, failure := range failures {
			t.Run(fmt.Sprintf("%s, processes: %d", name, processes), func(t *testing.T) {
				b := newBackend(t)
				ctx := context.Background()
				failing := false
				failure.failing, failure.Client = &failing, b.client(t)
				stores := make([]*Store, processes)
				for i := range stores {
					s, err := New(failure, "my-project")
					require.NoError(t, err)
					stores[i] = s
				}
				n := 0
				save := func() {
					n++
					token := &oauthstore.OAuthToken{ID: "x", AccessToken: fmt.Sprint("SECRET", n)}
					require.NoError(t, stores[n%processes].SaveToken(ctx, token))
				}
				active := func() int { return b.active("oauthstore__token_x") }
				save()
				save()
				require.Equal(t, 1, active())
				failing = true
				for range failed {
					save()
				}
				failing = false
				var left []int
				for range within {
					save()
					left = append(left, active())
				}
				require.Equal(t, 1, left[len(left)-1], "after each write: %v", left)
				for range 20 {
					save()
					require.Equal(t, 1, active())
				}
			})
		}
	}
}

// A write destroys four of them at a time.
func TestVersionsLeftBehind_holdUpNoWriteForLong(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	save := func(i int) {
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: fmt.Sprint(i)}))
	}
	b.srv.Inject(testserver.Fault{Op: "DestroySecretVersion", Secret: "oauthstore__token_x", Kind: testserver.Deny, Times: -1})
	for i := range 100 {
		b.srv.ResetRequests()
		save(i)
		require.LessOrEqual(t, b.srv.Count("DestroySecretVersion"), 2, "the index's, and one that shows that no other can be")
	}
	require.Equal(t, 100, b.active("oauthstore__token_x"))
	b.srv.ClearFaults()
	writes := 0
	for ; b.active("oauthstore__token_x") > 1; writes++ {
		b.srv.ResetRequests()
		save(1000 + writes)
		require.LessOrEqual(t, b.srv.Count("DestroySecretVersion"), 5)
		require.LessOrEqual(t, b.srv.Count("ListSecretVersions"), 1)
	}
	require.Less(t, writes, 40)
}

// Whether another process has destroyed what it superseded costs a look now and then, and a process that writes
// alone none.
func TestVersionsLeftBehind_areLookedForOnlyWhereTheyMayBe(t *testing.T) {
	for processes, lists := range map[int]int{1: 0, 2: 13, 100: 13} {
		t.Run(fmt.Sprintf("processes: %d", processes), func(t *testing.T) {
			b := newBackend(t)
			ctx := context.Background()
			stores := make([]oauthstore.TokenStore, processes)
			for i := range stores {
				stores[i] = b.NewStore(t)
			}
			save := func(i int) {
				token := &oauthstore.OAuthToken{ID: "x", AccessToken: fmt.Sprint(i)}
				require.NoError(t, stores[i%processes].SaveToken(ctx, token))
			}
			save(0)
			b.srv.ResetRequests()
			for i := 1; i <= 100; i++ {
				save(i)
				require.Equal(t, 1, b.active("oauthstore__token_x"))
			}
			counts := b.srv.Counts()
			require.LessOrEqual(t, counts["ListSecretVersions"], lists)
			delete(counts, "ListSecretVersions")
			require.Equal(t, map[string]int{"AccessSecretVersion": 100, "AddSecretVersion": 100, "DestroySecretVersion": 100}, counts)
		})
	}
}

// What the list does not show yet is destroyed once more.
func TestVersionsLeftBehind_areGoneWhereTheListLags(t *testing.T) {
	b, before := newBackend(t), newBackend(t)
	ctx := context.Background()
	client := lister{b.client(t), before.client(t)}
	save := func(access string) {
		s, err := New(client, "my-project")
		require.NoError(t, err)
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: access}))
	}
	save("SECRET")
	b.srv.Inject(testserver.Fault{Op: "DestroySecretVersion", Kind: testserver.FailBefore})
	for i := range 1 + lookAfter {
		save(fmt.Sprint(i))
	}
	b.noSecrets(t)
	require.Equal(t, 1, b.active("oauthstore__token_x"))
}

// A list that hangs holds no write up, and is not asked for again with the next one.
func TestVersionsLeftBehind_areNotWaitedFor(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	for i := range 1 + lookAfter {
		b.save(t, fmt.Sprint(i))
	}
	b.srv.Inject(testserver.Fault{Op: "ListSecretVersions", Kind: testserver.Hang, Times: -1})
	b.srv.ResetRequests()
	s := b.NewStore(t)
	for i := range 3 {
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: fmt.Sprint("another ", i)}))
	}
	require.Equal(t, 1, b.srv.Count("ListSecretVersions"))
}

// The index has them too, also if as many leave as come: a delete destroys none.
func TestVersionsLeftBehind_areGoneFromTheIndex(t *testing.T) {
	for processes := range map[int]bool{1: true, 100: true} {
		t.Run(fmt.Sprintf("processes: %d", processes), func(t *testing.T) {
			b := newBackend(t)
			ctx := context.Background()
			stores := make([]oauthstore.TokenStore, processes)
			for i := range stores {
				stores[i] = b.NewStore(t)
			}
			n := 0
			comeAndGo := func() {
				n++
				id := fmt.Sprint(n)
				s := stores[n%processes]
				require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: id, AccessToken: "a"}))
				require.NoError(t, s.DeleteToken(ctx, id))
			}
			comeAndGo()
			b.srv.Inject(testserver.Fault{Op: "DestroySecretVersion", Secret: "oauthstore__index", Kind: testserver.Throttle, Times: 5})
			for range 5 {
				comeAndGo()
			}
			require.Greater(t, b.active("oauthstore__index"), 5)
			b.srv.ClearFaults()
			for range lookAfter {
				comeAndGo()
			}
			require.LessOrEqual(t, b.active("oauthstore__index"), 2, "the delete's is superseded by the next insert")
		})
	}
}
