package gcpsm

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/testserver"
)

// delayDestruction sets a version_destroy_ttl, which only an administrator can.
func (b backend) delayDestruction(t *testing.T, secret string) {
	t.Helper()
	_, err := b.client(t).UpdateSecret(context.Background(), &pb.UpdateSecretRequest{
		Secret: &pb.Secret{
			Name:              "projects/my-project/secrets/" + secret,
			VersionDestroyTtl: durationpb.New(24 * time.Hour),
		},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"version_destroy_ttl"}},
	})
	require.NoError(t, err)
}

func TestDelayedDestruction_isADelete(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
	b.delayDestruction(t, "oauthstore__token_x")
	for _, access := range []string{"b", "c"} {
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: access}))
		found, err := b.NewStore(t).FindTokenByID(ctx, "x")
		require.NoError(t, err)
		require.Equal(t, access, found.AccessToken)
	}
	for range 2 {
		require.NoError(t, b.NewStore(t).DeleteToken(ctx, "x"))
		for _, s := range []oauthstore.TokenStore{s, b.NewStore(t)} {
			_, err := s.FindTokenByID(ctx, "x")
			require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
		}
		require.NoError(t, b.NewStore(t).SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "d"}))
		found, err := s.FindTokenByID(ctx, "x")
		require.NoError(t, err)
		require.Equal(t, "d", found.AccessToken)
	}
	b.srv.Advance(25 * time.Hour)
	require.Equal(t, 2, b.srv.ActiveVersions())
}

// Whether a disabled version is disabled for good, the list says; it may not know yet.
func TestDelayedDestruction_isNotTakenForADisabledVersionWhereTheListLags(t *testing.T) {
	b := newBackend(t, gcpsmtest.WithStaleness(time.Hour))
	ctx := context.Background()
	s := b.NewStore(t)
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
	b.delayDestruction(t, "oauthstore__token_x")
	b.srv.Advance(2 * time.Hour)
	require.NoError(t, s.DeleteToken(ctx, "x"))
	_, err := s.FindTokenByID(ctx, "x")
	require.ErrorIs(t, err, oauthstore.ErrTokenNotFound, "who has destroyed it knows")
	d := b.Driver(t).(*driver)
	d.seen.add("token_x", 2)
	_, _, err = d.Get(ctx, "token_x", engine.None)
	require.ErrorIs(t, err, oauthstore.ErrUnavailable)
	var corrupt *oauthstore.CorruptRecordError
	require.False(t, errors.As(err, &corrupt), "%v", err)
	b.srv.Advance(2 * time.Hour)
	rec, _, err := d.Get(ctx, "token_x", engine.None)
	require.NoError(t, err)
	require.False(t, rec.Live())
}

// A failed precondition may mean anything.
func TestDestroy_thatFailsIsNoDelete(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	require.NoError(t, b.NewStore(t).SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "SECRET"}))
	client := &stubborn{b.client(t), "token_x/versions/1", 1, status.Error(codes.FailedPrecondition, "Precondition check failed.")}
	s, err := New(client, "my-project")
	require.NoError(t, err)
	require.ErrorContains(t, s.DeleteToken(ctx, "x"), "Precondition check failed.")
	require.NoError(t, s.DeleteToken(ctx, "x"))
	b.noSecrets(t)
}

// What a delete may not find is what it cannot destroy.
func TestDelete_findsVersionsLeftBehindAmongMany(t *testing.T) {
	for name, opts := range map[string][]gcpsmtest.Option{
		"newest first": nil,
		"oldest first": {gcpsmtest.WithEmulatorQuirks(gcpsmtest.AscendingLists)},
		"on one page":  {gcpsmtest.WithEmulatorQuirks(gcpsmtest.WholeLists)},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t, opts...)
			ctx := context.Background()
			b.save(t, "SECRET")
			b.srv.Inject(testserver.Fault{Op: "DestroySecretVersion", Kind: testserver.FailBefore})
			b.save(t, "1")
			b.srv.Inject(testserver.Fault{Op: "ListSecretVersions", Kind: testserver.Deny, Times: -1})
			s := b.NewStore(t)
			for i := range 300 {
				require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: fmt.Sprint("n", i)}))
			}
			require.Equal(t, 2, b.active("oauthstore__token_x"), "who may not look finds nothing")
			err := b.NewStore(t).DeleteToken(ctx, "x")
			require.ErrorIs(t, err, oauthstore.ErrAccessDenied, "who may not look has not deleted")
			b.srv.ClearFaults()
			require.NoError(t, b.NewStore(t).DeleteToken(ctx, "x"))
			b.noSecrets(t)
			require.Zero(t, b.active("oauthstore__token_x"))
		})
	}
}

// A list that lags behind does not show all that may be left.
func TestDelete_triesWhatTheListDoesNotShowYet(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"nothing": 0, "the first version": 2 * time.Hour} {
		t.Run("it shows "+name, func(t *testing.T) {
			b := newBackend(t, gcpsmtest.WithStaleness(time.Hour))
			ctx := context.Background()
			s := b.NewStore(t)
			save := func(access string) {
				require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: access}))
			}
			save("0")
			b.srv.Advance(ahead)
			save("SECRET")
			b.srv.Inject(testserver.Fault{Op: "DestroySecretVersion", Kind: testserver.FailBefore})
			save("2")
			b.srv.ClearFaults()
			save("3")
			require.NoError(t, b.NewStore(t).DeleteToken(ctx, "x"))
			b.noSecrets(t)
		})
	}
}

// paged asks for small pages.
type paged struct{ Client }

func (p paged) ListSecretVersions(ctx context.Context, in *pb.ListSecretVersionsRequest, opts ...gax.CallOption) *secretmanager.SecretVersionIterator {
	return p.Client.ListSecretVersions(ctx, &pb.ListSecretVersionsRequest{Parent: in.GetParent(), PageSize: 5}, opts...)
}

func TestLists_areReadToTheLastPage(t *testing.T) {
	for _, opts := range [][]gcpsmtest.Option{nil, {gcpsmtest.WithEmulatorQuirks(gcpsmtest.AscendingLists)}} {
		b := newBackend(t, opts...)
		ctx := context.Background()
		s := b.NewStore(t)
		for i := range 12 {
			require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: fmt.Sprint(i)}))
		}
		all, err := newDriver(paged{b.client(t)}, testConfig).list(ctx, "token_x")
		require.NoError(t, err)
		require.Len(t, all, 12)
		for i, v := range all {
			require.Equal(t, i+1, v.number)
		}
	}
}
