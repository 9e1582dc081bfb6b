package vault

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/testserver"
)

// The first write of an insert or of a rename, that of the index, has taken effect, and the caller's context ends before its
// answer. The caller repeats the call, which succeeds, so nothing of the first one may refuse others: neither after the
// record is deleted, nor after it is renamed.
func TestSave_thatWasEndedAtTheIndexAndIsRepeatedLeavesTheUserNameFree(t *testing.T) {
	ended := func(t *testing.T, b backend, s *Store, token oauthstore.OAuthToken) {
		t.Helper()
		b.Control().Inject(testserver.Fault{Op: "PUT data", Secret: "oauthstore/index", Kind: testserver.HangAfter})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		again := token
		require.ErrorIs(t, s.SaveToken(ctx, &token), context.DeadlineExceeded)
		b.Control().ClearFaults()
		require.NoError(t, s.SaveToken(t.Context(), &again))
	}
	t.Run("insert", func(t *testing.T) {
		b := newBackend(t)
		s := b.NewStore(t).(*Store)
		require.NoError(t, s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "0", RefreshToken: "r"}))
		ended(t, b, s, oauthstore.OAuthToken{ID: "1", UserName: "ann", RefreshToken: "r"})
		require.NoError(t, s.DeleteToken(t.Context(), "1"))
		assert.NoError(t, b.NewStore(t).SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "2", UserName: "ann", RefreshToken: "r"}))
	})
	t.Run("rename", func(t *testing.T) {
		b := newBackend(t)
		s := b.NewStore(t).(*Store)
		require.NoError(t, s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", UserName: "ann", RefreshToken: "r"}))
		ended(t, b, s, oauthstore.OAuthToken{ID: "1", UserName: "anna"})
		require.NoError(t, s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", UserName: "ann"}))
		assert.NoError(t, b.NewStore(t).SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "2", UserName: "anna", RefreshToken: "r"}))
	})
}
