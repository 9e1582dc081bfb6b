package oauthotel

import (
	"context"

	"go.opentelemetry.io/otel/attribute"

	"github.com/oauthstore/oauthstore"
)

var _ oauthstore.Rekeyer = (*Store)(nil)

const (
	rekeyDryRunKey = attribute.Key("oauthstore.rekey.dry_run")
	remainingKey   = attribute.Key("oauthstore.rekey.remaining")
)

// Rekey implements [oauthstore.Rekeyer] with the wrapped store.
func (s *Store) Rekey(ctx context.Context, opts oauthstore.RekeyOptions) (*oauthstore.RekeyReport, error) {
	ctx, op := s.begin(ctx, "Rekey")
	defer op.end(ctx)
	op.set(rekeyDryRunKey.Bool(opts.DryRun))
	r, ok := s.store.(oauthstore.Rekeyer)
	if !ok {
		return &oauthstore.RekeyReport{}, op.unsupported()
	}
	report, err := r.Rekey(ctx, opts)
	if report != nil {
		op.set(remainingKey.Int(len(report.Remaining)))
	}
	return report, op.done(err)
}
