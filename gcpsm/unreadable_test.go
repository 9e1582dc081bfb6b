package gcpsm

import (
	"context"
	"strings"
	"testing"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/testserver"
)

func TestStateIn_believesWhatIsSaidOfAVersion(t *testing.T) {
	const x = "projects/1/secrets/oauthstore__token_x/versions/7"
	for text, want := range map[string]unreadable{
		"Secret Version [" + x + "] is in DESTROYED state.":        {7, pb.SecretVersion_DESTROYED},
		"Secret Version [" + x + "] is in DISABLED state.":         {7, pb.SecretVersion_DISABLED},
		"Version [" + x + "] is not enabled (state: DESTROYED)":    {7, pb.SecretVersion_DESTROYED},
		"Secret version is disabled: " + x:                         {7, pb.SecretVersion_DISABLED},
		"Secret Version [" + x + "] cannot be accessed.":           {7, pb.SecretVersion_STATE_UNSPECIFIED},
		"Precondition check failed.":                               {},
		"The key of " + x + " is DESTROYED.":                       {7, pb.SecretVersion_STATE_UNSPECIFIED},
		"Secret Version [" + x + "]: cryptoKey k is DISABLED.":     {7, pb.SecretVersion_STATE_UNSPECIFIED},
		"projects/p/secrets/version_DESTROYED/versions/1 is shut.": {1, pb.SecretVersion_STATE_UNSPECIFIED},
		"Failed precondition on Cloud KMS resource [projects/p/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1]. KMS error message: " +
			"[projects/p/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1 is not enabled, current state is: DESTROYED.]": {},
	} {
		require.Equal(t, want, stateIn(text), text)
	}
}

const keyName = "projects/p/locations/global/keyRings/r/cryptoKeys/k"

// What cannot be decrypted is there all the same.
func TestDisabledKey_isNotTakenForADelete(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	newStore := func() *Store {
		s, err := New(b.client(t), "my-project", WithKMSKey(keyName))
		require.NoError(t, err)
		return s
	}
	used := newStore()
	for _, id := range []string{"x", "y"} {
		require.NoError(t, used.SaveToken(ctx, &oauthstore.OAuthToken{ID: id, RefreshToken: "precious"}))
	}
	b.srv.DisableKey(keyName)
	for name, s := range map[string]*Store{"a store that knows them": used, "a new store": newStore()} {
		_, err := s.FindTokenByID(ctx, "x")
		require.ErrorIs(t, err, oauthstore.ErrAccessDenied, name)
		require.ErrorContains(t, err, "cryptoKeys/k", name)
		_, err = s.GetTokens(ctx)
		require.ErrorIs(t, err, oauthstore.ErrAccessDenied, name)
		require.ErrorIs(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}), oauthstore.ErrAccessDenied, name)
		require.ErrorIs(t, s.DeleteToken(ctx, "x"), oauthstore.ErrAccessDenied, name)
		require.ErrorIs(t, s.DeleteTokens(ctx), oauthstore.ErrAccessDenied, name)
	}
	b.srv.EnableKey(keyName)
	tokens, err := newStore().GetTokens(ctx)
	require.NoError(t, err)
	require.Len(t, tokens, 2)
	for _, token := range tokens {
		require.Equal(t, "precious", token.RefreshToken)
	}
}

// shut answers each access to an unreadable version with a text of its own.
type shut struct {
	Client
	code codes.Code
	text string
}

func (s shut) AccessSecretVersion(ctx context.Context, in *pb.AccessSecretVersionRequest, opts ...gax.CallOption) (*pb.AccessSecretVersionResponse, error) {
	out, err := s.Client.AccessSecretVersion(ctx, in, opts...)
	if status.Code(err) == codes.FailedPrecondition {
		err = status.Error(s.code, s.text)
	}
	return out, err
}

// Where the error does not say why a version cannot be read, the list does.
func TestUnreadableVersion_isAsTheListSays(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	admin := b.client(t)
	for _, id := range []string{"deleted", "disabled", "live"} {
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: id, AccessToken: "a"}))
	}
	require.NoError(t, s.DeleteToken(ctx, "deleted"))
	_, err := admin.DisableSecretVersion(ctx, &pb.DisableSecretVersionRequest{Name: "projects/my-project/secrets/oauthstore__token_disabled/versions/1"})
	require.NoError(t, err)

	vague, err := New(shut{b.client(t), codes.FailedPrecondition, "Precondition check failed."}, "my-project")
	require.NoError(t, err)
	_, err = vague.FindTokenByID(ctx, "deleted")
	require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
	_, err = vague.FindTokenByID(ctx, "disabled")
	var corrupt *oauthstore.CorruptRecordError
	require.ErrorAs(t, err, &corrupt)
	require.NoError(t, vague.SaveToken(ctx, &oauthstore.OAuthToken{ID: "deleted", AccessToken: "b"}))

	// A secret without a version to be seen is not what a version that cannot be read comes from.
	b.srv.Inject(testserver.Fault{Op: "ListSecretVersions", Kind: testserver.Deny, Times: -1})
	_, err = vague.FindTokenByID(ctx, "disabled")
	require.ErrorContains(t, err, "Precondition check failed.")
	require.NotErrorIs(t, err, oauthstore.ErrTokenNotFound)
}

// locked refuses to read live versions, for a reason that it does not give.
type locked struct{ Client }

func (l locked) AccessSecretVersion(ctx context.Context, in *pb.AccessSecretVersionRequest, opts ...gax.CallOption) (*pb.AccessSecretVersionResponse, error) {
	out, err := l.Client.AccessSecretVersion(ctx, in, opts...)
	if err == nil {
		return nil, status.Error(codes.FailedPrecondition, "Precondition check failed.")
	}
	return out, err
}

func TestEnabledVersionThatCannotBeRead_isAnError(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	require.NoError(t, b.NewStore(t).SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
	d := newDriver(locked{b.client(t)}, testConfig)
	_, _, err := d.Get(ctx, "token_x", engine.None)
	require.ErrorContains(t, err, "Precondition check failed.")
	_, _, err = d.Probe(ctx, "token_x")
	require.Error(t, err)
	_, err = d.Put(ctx, "token_x", engine.None, engine.Record{}, 0)
	require.ErrorIs(t, err, engine.ErrConflict)
}

// nameless takes the version's number out of all resource names.
type nameless struct{ Client }

func (n nameless) AccessSecretVersion(ctx context.Context, in *pb.AccessSecretVersionRequest, opts ...gax.CallOption) (*pb.AccessSecretVersionResponse, error) {
	out, err := n.Client.AccessSecretVersion(ctx, in, opts...)
	if err == nil {
		out.Name = in.GetName()
	}
	return out, err
}

func (n nameless) AddSecretVersion(ctx context.Context, in *pb.AddSecretVersionRequest, opts ...gax.CallOption) (*pb.SecretVersion, error) {
	out, err := n.Client.AddSecretVersion(ctx, in, opts...)
	if err == nil {
		out.Name = in.GetParent() + "/versions/latest"
	}
	return out, err
}

// An emulator that names a version as it was asked for it.
func TestAnswerWithoutAVersionNumber_isRefused(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s, err := New(nameless{b.client(t)}, "my-project")
	require.NoError(t, err)
	err = s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"})
	require.ErrorContains(t, err, "no version number")
	require.ErrorContains(t, err, "AddSecretVersion")
	require.NoError(t, b.NewStore(t).SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
	_, err = s.FindTokenByID(ctx, "x")
	require.ErrorContains(t, err, "no version number")
	require.ErrorContains(t, err, "AccessSecretVersion")
	require.False(t, strings.Contains(err.Error(), "access_token"))
}

// A find costs a deleted token one read more than others, and no permission.
func TestDeletedToken_isReadByNumber(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	for _, access := range []string{"a", "b"} {
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: access}))
	}
	require.NoError(t, s.DeleteToken(ctx, "x"))
	b.srv.Inject(testserver.Fault{Op: "ListSecretVersions", Kind: testserver.Deny, Times: -1})
	d := b.Driver(t)
	b.srv.ResetRequests()
	rec, r, err := d.Get(ctx, "token_x", engine.None)
	require.NoError(t, err)
	require.False(t, rec.Live())
	require.Equal(t, rev{3, 4}, revision(r))
	require.Equal(t, map[string]int{"AccessSecretVersion": 2}, b.srv.Counts())
	b.srv.ResetRequests()
	_, again, err := d.(engine.Prober).Probe(ctx, "token_x")
	require.NoError(t, err)
	require.Equal(t, r, again)
	require.Equal(t, map[string]int{"AccessSecretVersion": 1}, b.srv.Counts())
	_, err = b.NewStore(t).FindTokenByID(ctx, "x")
	require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
	require.Equal(t, []string{"secretmanager.versions.access"}, b.srv.Permissions())
}
