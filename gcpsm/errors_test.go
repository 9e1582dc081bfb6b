package gcpsm

import (
	"context"
	"errors"
	"testing"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"github.com/googleapis/gax-go/v2/apierror"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/testserver"
)

func TestErrors_tellRetryLaterFromFixYourPermissions(t *testing.T) {
	for kind, want := range map[testserver.Kind]error{
		testserver.FailBefore: oauthstore.ErrUnavailable,
		testserver.DropAfter:  oauthstore.ErrUnavailable,
		testserver.Throttle:   oauthstore.ErrThrottled,
		testserver.Deny:       oauthstore.ErrAccessDenied,
	} {
		b := newBackend(t)
		s := b.NewStore(t)
		b.srv.Inject(testserver.Fault{Kind: kind, Times: -1})
		_, err := s.FindTokenByID(context.Background(), "x")
		require.ErrorIs(t, err, want, kind)
		var api *apierror.APIError
		require.ErrorAs(t, err, &api, kind)
	}
}

// The client's own settings would wait for two seconds before the second try.
func TestReads_areTriedAgainAFewTimes(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
	b.srv.ResetRequests()
	b.srv.Inject(testserver.Fault{Op: "AccessSecretVersion", Kind: testserver.DropAfter, Times: 2})
	_, err := s.FindTokenByID(ctx, "x")
	require.NoError(t, err)
	require.Equal(t, 3, b.srv.Count())
	b.srv.ResetRequests()
	b.srv.Inject(testserver.Fault{Op: "AccessSecretVersion", Kind: testserver.Throttle, Times: -1})
	_, err = s.FindTokenByID(ctx, "x")
	require.ErrorIs(t, err, oauthstore.ErrThrottled)
	require.Equal(t, 4, b.srv.Count())
}

func TestLostAnswer_isSettledWithOneActiveVersion(t *testing.T) {
	for _, kind := range []testserver.Kind{testserver.FailAfter, testserver.DropAfter} {
		b := newBackend(t)
		ctx := context.Background()
		s := b.NewStore(t)
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
		b.srv.Inject(testserver.Fault{Op: "AddSecretVersion", Kind: kind})
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "b"}))
		for _, secret := range b.srv.Secrets() {
			if secret.Name == "oauthstore__token_x" {
				require.Len(t, secret.Versions, 2, kind)
			}
		}
	}
}

// echo answers every write with an error that quotes it.
type echo struct{ Client }

func (e echo) AddSecretVersion(_ context.Context, in *pb.AddSecretVersionRequest, _ ...gax.CallOption) (*pb.SecretVersion, error) {
	return nil, status.Errorf(codes.InvalidArgument, "refused: %s", in.GetPayload().GetData())
}

func TestErrorText_neverHoldsWhatWasSent(t *testing.T) {
	s, err := New(echo{newBackend(t).client(t)}, "my-project")
	require.NoError(t, err)
	err = s.SaveToken(context.Background(), &oauthstore.OAuthToken{ID: "x", UserName: "SECRET", AccessToken: "SECRET"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "SECRET")
	var own interface{ GRPCStatus() *status.Status }
	require.True(t, errors.As(err, &own))
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}
