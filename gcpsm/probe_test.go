package gcpsm

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// late are the two ways in which latest can lag behind.
var late = map[string]gcpsmtest.Option{
	"all plain reads":    gcpsmtest.WithStaleness(time.Hour),
	"the pointer latest": gcpsmtest.WithLaggingLatest(time.Hour),
}

func TestProbe_findsWhatLatestDoesNotShowYet(t *testing.T) {
	for name, lag := range late {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t, lag)
			ctx := context.Background()
			s, other := b.NewStore(t), b.Driver(t)
			read := func(d engine.Driver) (engine.Record, rev) {
				rec, r, err := d.(engine.Prober).Probe(ctx, "token_x")
				require.NoError(t, err)
				return rec, revision(r)
			}
			b.srv.ResetRequests()
			rec, r := read(other)
			require.False(t, rec.Live())
			require.Zero(t, r.number)
			require.Equal(t, 1, b.srv.Count(), "a secret that is not there costs one read")

			for _, access := range []string{"a", "b", "c"} {
				require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: access}))
			}
			rec, _, err := other.Get(ctx, "token_x", engine.None)
			require.NoError(t, err)
			require.False(t, rec.Live(), "latest lags")
			rec, r = read(other)
			require.Equal(t, 3, r.number)
			access, err := rec.Document.Get("access_token")
			require.NoError(t, err)
			require.Equal(t, "c", access)

			require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "d"}))
			b.srv.ResetRequests()
			_, r = read(other)
			require.Equal(t, 4, r.number)
			require.Equal(t, 2, b.srv.Count(), "it begins above what is known")

			require.NoError(t, s.DeleteToken(ctx, "x"))
			rec, r = read(other)
			require.False(t, rec.Live() || rec.Deleted)
			require.Equal(t, 5, r.number)
		})
	}
}

// A user signs in at one process, and is found and signed out at another.
func TestSecretJustMade_isMissedByNobodyWhoBelievesAMiss(t *testing.T) {
	for name, lag := range late {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t, lag)
			ctx := context.Background()
			token := func(id string) *oauthstore.OAuthToken {
				return &oauthstore.OAuthToken{ID: id, UserName: "user " + id, AccessToken: "SECRET"}
			}
			for _, id := range []string{"x", "y", "z"} {
				require.NoError(t, b.NewStore(t).SaveToken(ctx, token(id)))
			}
			found, err := b.NewStore(t).FindTokenByID(ctx, "x")
			require.NoError(t, err)
			require.Equal(t, "SECRET", found.AccessToken)
			found, err = b.NewStore(t).FindToken(ctx, &oauthstore.OAuthToken{UserName: "user y"})
			require.NoError(t, err)
			require.Equal(t, "y", found.ID)

			require.NoError(t, b.NewStore(t).DeleteToken(ctx, "x"))
			require.ErrorIs(t, b.NewStore(t).DeleteToken(ctx, "x"), oauthstore.ErrTokenNotFound)
			require.NoError(t, b.NewStore(t).DeleteTokens(ctx))
			for _, payload := range b.Payloads() {
				require.NotContains(t, payload, "SECRET")
			}
			b.srv.Advance(2 * time.Hour)
			_, err = b.NewStore(t).FindTokenByID(ctx, "x")
			require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
		})
	}
}

// The version to which latest leads may be destroyed, and another one above it.
func TestLatestThatLeadsToADestroyedVersion_isNotTakenForADelete(t *testing.T) {
	b := newBackend(t, gcpsmtest.WithLaggingLatest(time.Hour))
	ctx := context.Background()
	require.NoError(t, b.NewStore(t).SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
	b.srv.Advance(2 * time.Hour)
	for _, access := range []string{"b", "c"} {
		require.NoError(t, b.NewStore(t).SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: access}))
	}
	b.srv.ResetRequests()
	found, err := b.NewStore(t).FindTokenByID(ctx, "x")
	require.NoError(t, err)
	require.Equal(t, "c", found.AccessToken)
	require.Equal(t, []string{"secretmanager.versions.access"}, b.srv.Permissions())
}
