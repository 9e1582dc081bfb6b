package gcpsm

import (
	"context"
	"fmt"
	"strings"
	"testing"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/testserver"
)

// document is one that can be told from others by its secret.
func document(secret string) codec.Document {
	d := codec.Document{}
	codec.SetFormat(d)
	d.Set("id", "x")
	d.Set("access_token", secret)
	return d
}

// successor is a record made from rec.
func successor(rec engine.Record, base engine.Rev, write string) engine.Record {
	rec.Base, rec.WriteID, rec.Document = base, write, document("SECRET of "+write)
	return rec
}

// noSecrets checks that nothing of a token is left that anybody could read.
func (b backend) noSecrets(t *testing.T) {
	t.Helper()
	for _, s := range b.srv.Secrets() {
		for _, v := range s.Versions {
			require.False(t, strings.Contains(string(v.Data), "SECRET"), "%s/%d is %s: %s", s.Name, v.Number, v.State, v.Data)
		}
	}
}

// active counts the versions of a secret that are billed.
func (b backend) active(secret string) int {
	n := 0
	for _, s := range b.srv.Secrets() {
		for _, v := range s.Versions {
			if s.Name == secret && v.State != "DESTROYED" {
				n++
			}
		}
	}
	return n
}

// contended leaves version 2 of token_x, made from version 1, and a void version 3.
func contended(t *testing.T, b backend) {
	ctx := context.Background()
	require.NoError(t, b.NewStore(t).SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "SECRET"}))
	first, second := b.Driver(t), b.Driver(t)
	rec, base, err := first.Get(ctx, "token_x", engine.None)
	require.NoError(t, err)
	_, err = first.Put(ctx, "token_x", base, successor(rec, base, "first"), 0)
	require.NoError(t, err)
	_, err = second.Put(ctx, "token_x", base, successor(rec, base, "second"), 0)
	require.ErrorIs(t, err, engine.ErrConflict)
}

// stubborn refuses to destroy a version, n times.
type stubborn struct {
	Client
	version string
	n       int
	err     error
}

func (s *stubborn) DestroySecretVersion(ctx context.Context, in *pb.DestroySecretVersionRequest, opts ...gax.CallOption) (*pb.SecretVersion, error) {
	if strings.HasSuffix(in.GetName(), s.version) && s.n > 0 {
		s.n--
		return nil, s.err
	}
	return s.Client.DestroySecretVersion(ctx, in, opts...)
}

// A delete that was refused anything is not done, whatever that was.
func TestDelete_underContentionIsDoneOnlyWhereAllIsDestroyed(t *testing.T) {
	for number := 1; number <= 6; number++ {
		t.Run(fmt.Sprint("version ", number), func(t *testing.T) {
			t.Parallel()
			b := newBackend(t)
			ctx := context.Background()
			contended(t, b)
			for tries := 1; ; tries++ {
				// Each try is a process of its own, and is refused once more than the engine tries.
				client := &stubborn{b.client(t), fmt.Sprint("token_x/versions/", number), 3, status.Error(codes.Unavailable, "blip")}
				if tries > 3 {
					client.n = 0
				}
				s, err := New(client, "my-project")
				require.NoError(t, err)
				if err = s.DeleteToken(ctx, "x"); err == nil {
					break
				}
				require.ErrorIs(t, err, oauthstore.ErrUnavailable)
			}
			b.noSecrets(t)
			_, err := b.NewStore(t).FindTokenByID(ctx, "x")
			require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
			require.Zero(t, b.active("oauthstore__token_x"))
		})
	}
}

// The tombstone above the void version is not destroyed before all that is below.
func TestDelete_underContentionPutsATombstoneOnTheTombstone(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	contended(t, b)
	s := b.NewStore(t)
	_, err := s.GetTokens(ctx)
	require.NoError(t, err)
	b.srv.ResetRequests()
	require.NoError(t, s.DeleteToken(ctx, "x"))
	require.Equal(t, 3, b.srv.Count("AddSecretVersion"), "two tombstones and the index")
	require.Zero(t, b.active("oauthstore__token_x"))
	b.noSecrets(t)
}

// A writer that loses to a delete which stopped after its tombstone leaves nothing above that.
func TestLateWriter_leavesNoCredentialAboveATombstoneThatIsNotBuriedYet(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "SECRET"}))
	late := b.Driver(t)
	rec, base, err := late.Get(ctx, "token_x", engine.None)
	require.NoError(t, err)
	b.srv.Inject(testserver.Fault{Op: "DestroySecretVersion", Kind: testserver.FailBefore, Times: -1})
	require.ErrorIs(t, s.DeleteToken(ctx, "x"), oauthstore.ErrUnavailable)
	b.srv.ClearFaults()
	_, err = late.Put(ctx, "token_x", base, successor(rec, base, "late"), engine.TidyAll)
	require.ErrorIs(t, err, engine.ErrConflict)
	b.noSecrets(t)
	_, err = b.NewStore(t).FindTokenByID(ctx, "x")
	require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
	require.Zero(t, b.active("oauthstore__token_x"))
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "again"}))
}

// A version that was made from one that does not come before it belongs to a former secret of the name.
func TestVersionWhoseBaseDoesNotComeBeforeIt_isVoid(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	for i := range 5 {
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: fmt.Sprint(i)}))
	}
	old := b.Driver(t)
	rec, base, err := old.Get(ctx, "token_x", engine.None)
	require.NoError(t, err)
	b.deleteSecret(t, "oauthstore__token_x")
	s = b.NewStore(t)
	for _, access := range []string{"new", "newer"} {
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: access}))
	}
	_, err = old.Put(ctx, "token_x", base, successor(rec, base, "old"), engine.TidyAll)
	require.ErrorIs(t, err, engine.ErrConflict)
	now, r, err := old.Get(ctx, "token_x", base)
	require.NoError(t, err)
	require.Equal(t, 2, revision(r).number)
	for _, d := range []engine.Driver{old, b.Driver(t)} {
		now, _, err = d.Get(ctx, "token_x", engine.None)
		require.NoError(t, err)
		access, err := now.Document.Get("access_token")
		require.NoError(t, err)
		require.Equal(t, "newer", access)
	}
}

// Where the base was read anyway, its incarnation has to be that of the version made from it.
func TestVersionOfAnotherIncarnation_isVoidForWhoHasReadTheBase(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	require.NoError(t, b.NewStore(t).SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
	d := b.Driver(t).(*driver)
	rec, base, err := d.Get(ctx, "token_x", engine.None)
	require.NoError(t, err)
	stranger := successor(rec, base, "stranger")
	stranger.Incarnation = "another"
	_, _, err = d.add(ctx, "token_x", 1, stranger)
	require.NoError(t, err)
	w := d.walk("token_x")
	_, err = w.at(ctx, 1)
	require.NoError(t, err)
	v, err := w.at(ctx, 2)
	require.NoError(t, err)
	won, err := w.won(ctx, v)
	require.NoError(t, err)
	require.False(t, won)
}
