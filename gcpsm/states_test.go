package gcpsm

import (
	"context"
	"testing"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/testserver"
)

// A create that died half-way leaves a secret without a version.
func TestSecretWithoutVersion_countsAsAbsent(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	for _, name := range []string{"oauthstore__index", "oauthstore__token_x"} {
		_, err := b.client(t).CreateSecret(ctx, &pb.CreateSecretRequest{
			Parent: "projects/my-project", SecretId: name,
			Secret: &pb.Secret{Replication: &pb.Replication{Replication: &pb.Replication_Automatic_{Automatic: &pb.Replication_Automatic{}}}},
		})
		require.NoError(t, err)
	}
	_, err := s.FindTokenByID(ctx, "x")
	require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
	tokens, err := s.GetTokens(ctx)
	require.NoError(t, err)
	require.Len(t, tokens, 1)
}

func TestVersionDisabledByHand_isSaid(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
	_, err := b.client(t).DisableSecretVersion(ctx, &pb.DisableSecretVersionRequest{Name: "projects/my-project/secrets/oauthstore__token_x/versions/1"})
	require.NoError(t, err)
	_, err = s.FindTokenByID(ctx, "x")
	require.ErrorContains(t, err, "disabled")
	require.NotErrorIs(t, err, oauthstore.ErrTokenNotFound)
}

func TestSecretDeletedByHand_canBeSavedAnew(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	for _, access := range []string{"a", "b", "c"} {
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: access}))
	}
	b.deleteSecret(t, "oauthstore__token_x")
	_, err := s.FindTokenByID(ctx, "x")
	require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "d"}))
	token, err := s.FindTokenByID(ctx, "x")
	require.NoError(t, err)
	require.Equal(t, "d", token.AccessToken)
}

// What a store has written it never takes back, however far the service's reads lag behind.
func TestLaggingService_neverTakesAStoreBack(t *testing.T) {
	b := newBackend(t, gcpsmtest.WithStaleness(time.Hour))
	ctx := context.Background()
	s, other := b.NewStore(t), b.NewStore(t)
	for i, access := range []string{"a", "b", "c", "d"} {
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: access}))
		token, err := s.FindTokenByID(ctx, "x")
		require.NoError(t, err)
		require.Equal(t, access, token.AccessToken)
		if i == 1 { // another store's save is based on no old read
			require.NoError(t, other.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", RefreshToken: "r", Scope: "other"}))
		}
	}
	token, err := s.FindTokenByID(ctx, "x")
	require.NoError(t, err)
	require.Equal(t, "r", token.RefreshToken)
	require.Equal(t, "d", token.AccessToken)
	tokens, err := s.GetTokens(ctx)
	require.NoError(t, err)
	require.Len(t, tokens, 1)
}

// The latest version that a lagging service shows may have been destroyed since: that is no delete.
func TestLaggingService_isNotTakenForADelete(t *testing.T) {
	b := newBackend(t, gcpsmtest.WithStaleness(time.Hour))
	ctx := context.Background()
	s := b.NewStore(t)
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
	b.srv.Advance(2 * time.Hour)
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "b"}))
	token, err := b.NewStore(t).FindTokenByID(ctx, "x")
	require.NoError(t, err)
	require.Contains(t, []string{"a", "b"}, token.AccessToken)
}

// mangler flips a bit of what it reads.
type mangler struct{ Client }

func (m mangler) AccessSecretVersion(ctx context.Context, in *pb.AccessSecretVersionRequest, opts ...gax.CallOption) (*pb.AccessSecretVersionResponse, error) {
	out, err := m.Client.AccessSecretVersion(ctx, in, opts...)
	if err == nil {
		out = proto.Clone(out).(*pb.AccessSecretVersionResponse)
		out.Payload.Data[len(out.Payload.Data)/2] ^= 1
	}
	return out, err
}

func TestPayloadThatDoesNotMatchItsChecksum_isRefused(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	require.NoError(t, b.NewStore(t).SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
	s, err := New(mangler{b.client(t)}, "my-project")
	require.NoError(t, err)
	_, err = s.FindTokenByID(ctx, "x")
	require.ErrorIs(t, err, oauthstore.ErrUnavailable)
	require.ErrorContains(t, err, "checksum")
}

func TestLateWriter_afterDeleteAndSaveAgain(t *testing.T) {
	for saves := 1; saves <= 3; saves++ {
		b := newBackend(t)
		ctx := context.Background()
		s := b.NewStore(t)
		access := func(i int) *oauthstore.OAuthToken {
			return &oauthstore.OAuthToken{ID: "x", AccessToken: string(rune('a' + i))}
		}
		for i := range saves {
			require.NoError(t, s.SaveToken(ctx, access(i)))
		}
		late := b.Driver(t)
		rec, rev, err := late.Get(ctx, "token_x", "")
		require.NoError(t, err)
		require.NoError(t, s.DeleteToken(ctx, "x"))
		for i := range 5 {
			require.NoError(t, s.SaveToken(ctx, access(10+i)))
			_, err := late.Put(ctx, "token_x", rev, rec, 0)
			require.Error(t, err)
			token, err := b.NewStore(t).FindTokenByID(ctx, "x")
			require.NoError(t, err)
			require.Equal(t, access(10+i).AccessToken, token.AccessToken)
		}
	}
}

func TestDelete_thatDiedHalfWayIsFinished(t *testing.T) {
	for name, finish := range map[string]func(s oauthstore.TokenStore) error{
		"by another delete": func(s oauthstore.TokenStore) error { return s.DeleteToken(context.Background(), "x") },
		"by a save": func(s oauthstore.TokenStore) error {
			return s.SaveToken(context.Background(), &oauthstore.OAuthToken{ID: "x", AccessToken: "new"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t)
			ctx := context.Background()
			s := b.NewStore(t)
			require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "SECRET"}))
			b.srv.Inject(testserver.Fault{Op: "DestroySecretVersion", Kind: testserver.FailBefore, Times: -1})
			require.ErrorIs(t, s.DeleteToken(ctx, "x"), oauthstore.ErrUnavailable)
			b.srv.ClearFaults()
			_, err := s.FindTokenByID(ctx, "x")
			require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
			require.NoError(t, finish(b.NewStore(t)))
			for _, payload := range b.Payloads() {
				require.NotContains(t, payload, "SECRET")
			}
		})
	}
}
