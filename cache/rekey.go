package cache

import (
	"context"

	"github.com/oauthstore/oauthstore"
)

var _ oauthstore.Rekeyer = (*Store)(nil)

// Rekey implements [oauthstore.Rekeyer] with the wrapped store. The tokens stay as they are, so the Store forgets none.
func (s *Store) Rekey(ctx context.Context, opts oauthstore.RekeyOptions) (*oauthstore.RekeyReport, error) {
	r, ok := s.store.(oauthstore.Rekeyer)
	if !ok {
		return &oauthstore.RekeyReport{}, unsupported("Rekey")
	}
	return r.Rekey(ctx, opts)
}
