package awssm

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/testserver"
)

// A delete that has removed the secret, and could not write the index, is completed by a second call: the user name is free
// then, though the entry is not old.
func TestDeleteToken_thatFailedAndIsRepeatedLeavesTheUserNameFree(t *testing.T) {
	for name, deletes := range map[string]func(*Store) error{
		"one": func(s *Store) error { return s.DeleteToken(t.Context(), "1") },
		"all": func(s *Store) error { return s.DeleteTokens(t.Context()) },
	} {
		for _, between := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				b := newBackend(t)
				s := b.NewStore(t).(*Store)
				require.NoError(t, s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", UserName: "ann", RefreshToken: "r"}))
				b.Control().Inject(testserver.Fault{Op: "PutSecretValue", Kind: testserver.Deny, Times: -1})
				require.ErrorIs(t, deletes(s), oauthstore.ErrAccessDenied)
				b.Control().ClearFaults()
				if between {
					require.NoError(t, s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", UserName: "ann", RefreshToken: "r"}))
				}
				require.NoError(t, deletes(s))
				assert.NoError(t, b.NewStore(t).SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "2", UserName: "ann", RefreshToken: "r"}))
			})
		}
	}
}
