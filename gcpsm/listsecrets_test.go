package gcpsm

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/testserver"
)

// lists is a driver of which each ListSecrets is shown to change before it is sent, or refused with its error.
func (b backend) lists(t *testing.T, c config, change func(*pb.ListSecretsRequest) error) *driver {
	t.Helper()
	intercept := func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, send grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if list, ok := req.(*pb.ListSecretsRequest); ok {
			if err := change(list); err != nil {
				return err
			}
		}
		return send(ctx, method, req, reply, conn, opts...)
	}
	client, err := b.srv.Client(context.Background(), option.WithGRPCDialOption(grpc.WithChainUnaryInterceptor(intercept)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return newDriver(client, c)
}

// inPages is a driver that gets pages of two.
func (b backend) inPages(t *testing.T) *driver {
	return b.lists(t, testConfig, func(req *pb.ListSecretsRequest) error {
		req.PageSize = 2
		return nil
	})
}

// fill makes n secrets of the store, without a version, and returns their names.
func (b backend) fill(t *testing.T, n int) []string {
	t.Helper()
	d := newDriver(b.client(t), testConfig)
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("token_%d", i)
		require.NoError(t, d.create(context.Background(), names[i]))
	}
	b.srv.ResetRequests()
	return names
}

// make makes a secret by its full name, as others would.
func (b backend) make(t *testing.T, secret string) {
	t.Helper()
	_, err := b.client(t).CreateSecret(context.Background(), &pb.CreateSecretRequest{
		Parent: "projects/my-project", SecretId: secret,
		Secret: &pb.Secret{Replication: &pb.Replication{Replication: &pb.Replication_Automatic_{Automatic: &pb.Replication_Automatic{}}}},
	})
	require.NoError(t, err)
}

// listing returns the names that a list yields, sorted.
func listing(ctx context.Context, d engine.Lister) (names []string, err error) {
	err = d.List(ctx, func(page []string) bool {
		names = append(names, page...)
		return true
	})
	slices.Sort(names)
	return names, err
}

func TestList_asksForItsOwnInOneLargePage(t *testing.T) {
	b := newBackend(t)
	want := b.fill(t, 120) // the service's own pages are smaller
	var sent []*pb.ListSecretsRequest
	d := b.lists(t, testConfig, func(req *pb.ListSecretsRequest) error {
		sent = append(sent, req)
		return nil
	})
	got, err := listing(context.Background(), d)
	require.NoError(t, err)
	require.ElementsMatch(t, want, got)
	require.Len(t, sent, 1)
	require.Equal(t, "projects/my-project", sent[0].GetParent())
	require.Equal(t, "name:oauthstore__", sent[0].GetFilter())
	require.EqualValues(t, 25_000, sent[0].GetPageSize())
	require.Equal(t, []string{"secretmanager.secrets.list"}, b.srv.Permissions())
}

func TestList_filterIsNoNegation(t *testing.T) {
	for prefix, want := range map[string]string{"-a-b": "name:a-b__", "--": "name:__", "my_app": "name:my_app__"} {
		c := testConfig
		c.prefix = prefix
		require.Equal(t, want, newDriver(newBackend(t).client(t), c).filter())
	}
}

func TestList_readsToTheLastPage(t *testing.T) {
	for name, opts := range map[string][]gcpsmtest.Option{
		"newest first": nil,
		"oldest first": {gcpsmtest.WithEmulatorQuirks(gcpsmtest.AscendingLists)},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t, opts...)
			want := b.fill(t, 7)
			got, err := listing(context.Background(), b.inPages(t))
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, 4, b.srv.Count("ListSecrets"))
		})
	}
}

func TestList_ofNothingIsEmpty(t *testing.T) {
	got, err := listing(context.Background(), newDriver(newBackend(t).client(t), testConfig))
	require.NoError(t, err)
	require.Empty(t, got)
}

// A filter finds the prefix anywhere in a name, and emulators have no filters.
func TestList_leavesOutWhatIsNotTheStores(t *testing.T) {
	for name, opts := range map[string][]gcpsmtest.Option{
		"filters":    nil,
		"no filters": {gcpsmtest.WithEmulatorQuirks()},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t, opts...)
			ctx := context.Background()
			prefixes := []string{"a", "a_b", "ab", "-a", "a-", "-", "--", "b", "a_b_c", "oauthstore"}
			drivers := make([]*driver, len(prefixes))
			for i, prefix := range prefixes {
				c := testConfig
				c.prefix = prefix
				drivers[i] = newDriver(b.client(t), c)
				for _, name := range []string{"index", fmt.Sprintf("token_%d", i), "token_a__x", "token_x_5fa__"} {
					require.NoError(t, drivers[i].create(ctx, name))
				}
			}
			for _, foreign := range []string{"xa__token_y", "x-a__token_y", "A__token_y", "a_token_y", "a", "a__", "token_y"} {
				b.make(t, foreign)
			}
			for i, d := range drivers {
				got, err := listing(ctx, d)
				require.NoError(t, err)
				require.Equal(t, []string{"index", fmt.Sprintf("token_%d", i), "token_a__x", "token_x_5fa__"}, got, prefixes[i])
			}
		})
	}
}

func TestList_ofRegionalSecretsIsOfTheirRegion(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	for _, location := range []string{"", "europe-west1", "us-east1"} {
		c := testConfig
		c.location = location
		require.NoError(t, newDriver(b.client(t), c).create(ctx, "token_in-"+location))
	}
	for _, location := range []string{"", "europe-west1", "us-east1"} {
		c := testConfig
		c.location = location
		got, err := listing(ctx, newDriver(b.client(t), c))
		require.NoError(t, err)
		require.Equal(t, []string{"token_in-" + location}, got)
	}
}

// A token's secret stays, without a live version, when the token is deleted.
func TestList_hasDeletedTokensAndNotDeletedSecrets(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	d := newDriver(b.client(t), testConfig)
	revs := make(map[string]engine.Rev)
	for _, name := range []string{"token_x", "token_y", "token_z"} {
		var err error
		revs[name], err = d.Put(ctx, name, engine.None, engine.Record{Document: document("a")}, 0)
		require.NoError(t, err)
	}
	require.NoError(t, d.Delete(ctx, "token_x", revs["token_x"], engine.Record{Base: revs["token_x"], Deleted: true}))
	b.deleteSecret(t, "oauthstore__token_y")
	got, err := listing(ctx, d)
	require.NoError(t, err)
	require.Equal(t, []string{"token_x", "token_z"}, got)
}

func TestList_mayLagBehind(t *testing.T) {
	b := newBackend(t, gcpsmtest.WithStaleness(time.Hour))
	ctx := context.Background()
	d := newDriver(b.client(t), testConfig)
	require.NoError(t, d.create(ctx, "token_x"))
	b.srv.Advance(2 * time.Hour)
	require.NoError(t, d.create(ctx, "token_y"))
	b.deleteSecret(t, "oauthstore__token_x")
	got, err := listing(ctx, d)
	require.NoError(t, err)
	require.Equal(t, []string{"token_x"}, got)
	b.srv.Advance(2 * time.Hour)
	got, err = listing(ctx, d)
	require.NoError(t, err)
	require.Equal(t, []string{"token_y"}, got)
}

func TestList_thatIsToStopMakesNoFurtherCall(t *testing.T) {
	for pages := 1; pages <= 4; pages++ {
		b := newBackend(t)
		b.fill(t, 7)
		n := 0
		err := b.inPages(t).List(context.Background(), func([]string) bool {
			n++
			return n < pages
		})
		require.NoError(t, err)
		require.Equal(t, pages, n)
		require.Equal(t, pages, b.srv.Count())
	}
}

// The filter lets every name through that holds the prefix. A page of others yields no names, but the service has
// answered.
func TestList_yieldsOnceForEachPage(t *testing.T) {
	b := newBackend(t)
	for i := range 4 {
		b.make(t, fmt.Sprintf("other-oauthstore__token_%d", i))
	}
	b.make(t, "oauthstore__token_a")
	var pages []int
	require.NoError(t, b.inPages(t).List(context.Background(), func(names []string) bool {
		pages = append(pages, len(names))
		return true
	}))
	require.Len(t, pages, 3)
	require.ElementsMatch(t, []int{0, 0, 1}, pages)
}

func TestList_thatIsDenied(t *testing.T) {
	b := newBackend(t)
	b.fill(t, 1)
	b.srv.Inject(testserver.Fault{Op: "ListSecrets", Kind: testserver.Deny, Times: -1})
	_, err := listing(context.Background(), newDriver(b.client(t), testConfig))
	require.ErrorIs(t, err, oauthstore.ErrAccessDenied)
	require.ErrorContains(t, err, "secretmanager.secrets.list")
	var fault *engine.Fault
	require.ErrorAs(t, err, &fault)
	require.Equal(t, "ListSecrets", fault.Op)
	require.Empty(t, fault.Secret)
	require.Equal(t, 1, b.srv.Count())
}

// What fails for a moment is tried again from the page where it was.
func TestList_goesOnAtThePageThatFailed(t *testing.T) {
	for _, kind := range []testserver.Kind{testserver.Throttle, testserver.FailBefore, testserver.DropAfter} {
		b := newBackend(t)
		want := b.fill(t, 7)
		b.srv.Inject(testserver.Fault{Op: "ListSecrets", Kind: kind, Skip: 2, Times: 2})
		got, err := listing(context.Background(), b.inPages(t))
		require.NoError(t, err, kind)
		require.Equal(t, want, got, kind)
		require.Equal(t, 4+2, b.srv.Count(), kind)
	}
}

func TestList_triesAFewTimesOnly(t *testing.T) {
	for kind, want := range map[testserver.Kind]error{
		testserver.Throttle:   oauthstore.ErrThrottled,
		testserver.FailBefore: oauthstore.ErrUnavailable,
		testserver.DropAfter:  oauthstore.ErrUnavailable,
	} {
		b := newBackend(t)
		b.fill(t, 7)
		b.srv.Inject(testserver.Fault{Op: "ListSecrets", Kind: kind, Skip: 1, Times: -1})
		got, err := listing(context.Background(), b.inPages(t))
		require.ErrorIs(t, err, want, kind)
		require.Len(t, got, 2, kind)
		require.Equal(t, 1+4, b.srv.Count(), kind)
	}
}

func TestList_doesWithoutAFilterThatIsRefused(t *testing.T) {
	for _, code := range []codes.Code{codes.InvalidArgument, codes.Unimplemented} {
		b := newBackend(t)
		want := b.fill(t, 7)
		b.make(t, "other__token_x")
		var filters []string
		d := b.lists(t, testConfig, func(req *pb.ListSecretsRequest) error {
			req.PageSize = 5
			filters = append(filters, req.GetFilter())
			if req.GetFilter() != "" {
				return status.Error(code, "filter is not supported")
			}
			return nil
		})
		got, err := listing(context.Background(), d)
		require.NoError(t, err, code)
		require.Equal(t, want, got, code)
		require.Equal(t, []string{"name:oauthstore__", "", ""}, filters, code)
	}
}

func TestList_thatIsRefusedForAnotherReasonSaysSo(t *testing.T) {
	for _, code := range []codes.Code{codes.InvalidArgument, codes.Unimplemented} {
		b := newBackend(t)
		calls := 0
		_, err := listing(context.Background(), b.lists(t, testConfig, func(*pb.ListSecretsRequest) error {
			calls++
			return status.Error(code, "no lists here")
		}))
		require.ErrorContains(t, err, "no lists here")
		require.Equal(t, code, status.Code(err))
		require.Equal(t, 2, calls)
	}
}

// A filter that was good for the first page is good for the others. To begin anew would yield names twice.
func TestList_doesNotBeginAnewOnALaterPage(t *testing.T) {
	b := newBackend(t)
	b.fill(t, 7)
	calls := 0
	got, err := listing(context.Background(), b.lists(t, testConfig, func(req *pb.ListSecretsRequest) error {
		calls++
		req.PageSize = 2
		if req.GetPageToken() != "" {
			return status.Error(codes.InvalidArgument, "The page_token is invalid.")
		}
		return nil
	}))
	require.ErrorContains(t, err, "page_token")
	require.Len(t, got, 2)
	require.Equal(t, 2, calls)
}

func TestList_endsWithItsContext(t *testing.T) {
	b := newBackend(t)
	b.fill(t, 7)
	d := b.inPages(t)

	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	err := d.List(ctx, func([]string) bool {
		n++
		cancel()
		return true
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, n, "the page that was read")
	require.Equal(t, 1, b.srv.Count())

	_, err = listing(ctx, d)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, b.srv.Count())

	b.srv.Inject(testserver.Fault{Op: "ListSecrets", Kind: testserver.Hang, Skip: 1})
	ctx, cancel = context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, err = listing(ctx, d)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, oauthstore.ErrUnavailable)
}
