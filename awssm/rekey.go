package awssm

import (
	"context"

	"github.com/oauthstore/oauthstore"
)

var _ oauthstore.Rekeyer = (*Store)(nil)

// Rekey implements [oauthstore.Rekeyer]. It costs a ListSecrets for every 100 secrets under the prefix, what
// GetTokens costs, and a PutSecretValue for each secret that is written; a page of the index that has no room for its
// content once that is encrypted is divided, which costs a CreateSecret for each new page. A token of which nine tenths of
// the day's writes are used up is left for another day: see [WithVersionQuota].
func (s *Store) Rekey(ctx context.Context, opts oauthstore.RekeyOptions) (*oauthstore.RekeyReport, error) {
	return s.engine.Rekey(ctx, opts)
}
