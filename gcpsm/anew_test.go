package gcpsm

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// deleteSecret does what somebody may do in the console.
func (b backend) deleteSecret(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, b.client(t).DeleteSecret(context.Background(), &pb.DeleteSecretRequest{Name: "projects/my-project/secrets/" + name}))
}

// A save does not wait until the service's reads have noticed that the secret is gone.
func TestSecretDeletedByHand_isSavedAnewAtOnceWhereReadsLag(t *testing.T) {
	for name, lag := range late {
		for _, deleted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, deleted token: %v", name, deleted), func(t *testing.T) {
				b := newBackend(t, lag)
				ctx := context.Background()
				s := b.NewStore(t)
				for _, access := range []string{"a", "b", "c"} {
					require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: access}))
				}
				if deleted {
					require.NoError(t, s.DeleteToken(ctx, "x"))
				}
				b.srv.Advance(2 * time.Hour)
				for access, s := range map[string]oauthstore.TokenStore{"d": s, "e": b.NewStore(t)} {
					b.deleteSecret(t, "oauthstore__token_x")
					start := time.Now()
					require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: access}))
					require.Less(t, time.Since(start), 2*time.Second)
					found, err := s.FindTokenByID(ctx, "x")
					require.NoError(t, err)
					require.Equal(t, access, found.AccessToken)

					b.srv.Advance(2 * time.Hour)
					for range 2 {
						b.srv.ResetRequests()
						_, err = s.FindTokenByID(ctx, "x")
						require.NoError(t, err)
					}
					require.Equal(t, 1, b.srv.Count(), "once latest has caught up it is believed again")
				}
			})
		}
	}
}

// The version that latest shows may be a former secret's although the present one has a version with its number.
func TestSecretDeletedByHand_isNotReadAgainWhereThePresentOneHasAsManyVersions(t *testing.T) {
	b := newBackend(t, gcpsmtest.WithStaleness(time.Hour))
	ctx := context.Background()
	b.save(t, "a", "b", "c")
	b.srv.Advance(2 * time.Hour)
	d := b.Driver(t).(*driver)
	rec, base, err := d.Get(ctx, "token_x", engine.None)
	require.NoError(t, err)
	b.deleteSecret(t, "oauthstore__token_x")
	other := b.Driver(t).(*driver)
	require.NoError(t, other.create(ctx, "token_x"))
	_, _, err = other.add(ctx, "token_x", 1, successor(rec, engine.None, "first"))
	require.NoError(t, err)
	_, err = d.Put(ctx, "token_x", base, successor(rec, base, "late"), engine.TidyAll)
	require.ErrorIs(t, err, engine.ErrConflict) // it is version 2, made from version 3, and void
	_, _, err = other.add(ctx, "token_x", 1, successor(rec, rev{1, 1}.encode(), "third"))
	require.NoError(t, err)
	for range 3 {
		got, err := get(d)
		require.NoError(t, err)
		require.Equal(t, "SECRET of third", got)
	}
}

// lister lists what another client sees.
type lister struct {
	Client
	other Client
}

func (l lister) ListSecretVersions(ctx context.Context, in *pb.ListSecretVersionsRequest, opts ...gax.CallOption) *secretmanager.SecretVersionIterator {
	return l.other.ListSecretVersions(ctx, in, opts...)
}

// The list may be the last to notice.
func TestSecretDeletedByHand_isSavedAnewWhereOnlyTheListLags(t *testing.T) {
	b, before := newBackend(t), newBackend(t)
	ctx := context.Background()
	for _, b := range []backend{b, before} {
		s := b.NewStore(t)
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
		require.NoError(t, s.DeleteToken(ctx, "x"))
	}
	d := newDriver(lister{b.client(t), before.client(t)}, testConfig)
	_, base, err := d.Get(ctx, "token_x", engine.None)
	require.NoError(t, err)
	require.Equal(t, 2, revision(base).number)
	b.deleteSecret(t, "oauthstore__token_x")
	_, base, err = d.Get(ctx, "token_x", engine.None)
	require.NoError(t, err)
	_, err = d.Put(ctx, "token_x", base, engine.Record{Base: base, Document: document("a")}, 0)
	require.ErrorIs(t, err, engine.ErrConflict)
	_, base, err = d.Get(ctx, "token_x", base)
	require.NoError(t, err)
	require.Zero(t, revision(base).number)
}

// gap hides a version, as if its number had never been given.
type gap struct {
	Client
	number string
}

func (g gap) AccessSecretVersion(ctx context.Context, in *pb.AccessSecretVersionRequest, opts ...gax.CallOption) (*pb.AccessSecretVersionResponse, error) {
	if strings.HasSuffix(in.GetName(), "token_x/versions/"+g.number) {
		return nil, status.Error(codes.NotFound, "Secret Version [...] not found.")
	}
	return g.Client.AccessSecretVersion(ctx, in, opts...)
}

// A number that was never given is neither a delete nor a version that came first.
func TestGapInTheNumbers_isPassedOver(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	contended(t, b) // version 3 is void
	d := newDriver(gap{b.client(t), "3"}, testConfig)
	_, late, err := b.Driver(t).Get(ctx, "token_x", engine.None)
	require.NoError(t, err)
	void := engine.Record{Base: rev{1, 1}.encode(), WriteID: "void", Document: document("void")}
	_, _, err = b.Driver(t).(*driver).add(ctx, "token_x", 1, void) // version 4
	require.NoError(t, err)
	rec, r, err := d.Get(ctx, "token_x", engine.None)
	require.NoError(t, err)
	require.Equal(t, "first", rec.WriteID)
	require.Equal(t, late, r)
	next, err := d.Put(ctx, "token_x", r, successor(rec, r, "next"), 0)
	require.NoError(t, err)
	require.Equal(t, 5, revision(next).number)
	rec, _, err = d.Get(ctx, "token_x", engine.None)
	require.NoError(t, err)
	require.Equal(t, "next", rec.WriteID)
	require.NoError(t, d.Delete(ctx, "token_x", next, engine.Record{Base: next, Deleted: true, WriteID: "tombstone"}))
	b.noSecrets(t)
}

// A number that is known and not found is a destroyed version where an emulator says it so.
func TestKnownNumberThatIsNotFound_isADestroyedVersionWhereTheListHasIt(t *testing.T) {
	b := newBackend(t, gcpsmtest.WithEmulatorQuirks(gcpsmtest.DestroyedNotFound))
	ctx := context.Background()
	s := b.NewStore(t)
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
	d := b.Driver(t)
	rec, base, err := d.Get(ctx, "token_x", engine.None)
	require.NoError(t, err)
	require.NoError(t, s.DeleteToken(ctx, "x"))
	for range 2 {
		_, err = d.Put(ctx, "token_x", base, successor(rec, base, "late"), 0)
		require.ErrorIs(t, err, engine.ErrConflict)
		b.noSecrets(t)
		now, _, err := d.Get(ctx, "token_x", base)
		require.NoError(t, err)
		require.False(t, now.Live())
	}
	require.NoError(t, b.NewStore(t).SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "b"}))
	_, err = d.Put(ctx, "token_x", base, successor(rec, base, "late"), 0)
	require.ErrorIs(t, err, engine.ErrConflict)
	found, err := b.NewStore(t).FindTokenByID(ctx, "x")
	require.NoError(t, err)
	require.Equal(t, "b", found.AccessToken)

	b.deleteSecret(t, "oauthstore__token_x")
	now, r, err := d.Get(ctx, "token_x", engine.None)
	require.NoError(t, err)
	require.False(t, now.Live())
	require.Zero(t, revision(r).number, "a secret that is gone is forgotten")
}
