package gcpsm

import (
	"context"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

var _ oauthstore.Rekeyer = (*Store)(nil)

// Rekey implements [oauthstore.Rekeyer]. It costs a ListSecrets for every 25,000 secrets of the project whose names hold
// the prefix, what GetTokens costs, one to three reads more for each page of the index and for each token that was
// deleted, and an AddSecretVersion and a DestroySecretVersion for each secret that is written. Google's 600 writes a
// minute in a project are used up by some 300 secrets: Rekey then waits as DeleteTokens does.
func (s *Store) Rekey(ctx context.Context, opts oauthstore.RekeyOptions) (*oauthstore.RekeyReport, error) {
	return s.engine.Rekey(ctx, opts)
}

var _ engine.Resourcer = (*driver)(nil)

// Resource implements engine.Resourcer: the resource name, with the project as it was given to New.
func (d *driver) Resource(name string) string { return d.resource(name) }
