package vault

import (
	"context"
	"strings"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

var _ oauthstore.Rekeyer = (*Store)(nil)

// Rekey implements [oauthstore.Rekeyer]. It costs one list, what GetTokens costs, one read for each token that was
// deleted, since Vault goes on listing it, and a write for each secret that is written; a page of the index that has no
// room for its content once that is encrypted is divided, which costs two writes for each new page.
func (s *Store) Rekey(ctx context.Context, opts oauthstore.RekeyOptions) (*oauthstore.RekeyReport, error) {
	return s.engine.Rekey(ctx, opts)
}

var _ engine.Resourcer = (*driver)(nil)

// Resource implements engine.Resourcer: the namespace and the full name. A mount that is given with its namespace makes
// the same of it.
func (d *driver) Resource(name string) string {
	if namespace := strings.Trim(d.client.Namespace(), "/"); namespace != "" {
		return namespace + "/" + d.FullName(name)
	}
	return d.FullName(name)
}
