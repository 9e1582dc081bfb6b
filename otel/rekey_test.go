package oauthotel_test

import (
	"context"
	"errors"
	"testing"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
	oauthotel "github.com/oauthstore/oauthstore/otel"
)

// rekeying is a store that can change its keys.
type rekeying struct {
	fixed
	failure error
}

func (r *rekeying) Rekey(context.Context, oauthstore.RekeyOptions) (*oauthstore.RekeyReport, error) {
	return &oauthstore.RekeyReport{Secrets: 7, Remaining: []string{"a", "b"}}, r.failure
}

func TestStore_Rekey(t *testing.T) {
	for outcome, failure := range map[string]error{"ok": nil, "access_denied": oauthstore.ErrAccessDenied} {
		r := record(t)
		s := oauthotel.Wrap(&rekeying{failure: failure}, r.options()...)
		report, err := s.Rekey(t.Context(), oauthstore.RekeyOptions{DryRun: true})
		if !errors.Is(err, failure) || report == nil || report.Secrets != 7 {
			t.Errorf("got %v and error %v, want what the store returned", report, err)
		}
		attributes := r.span("oauthstore.Rekey").Attributes
		wantAttribute(t, outcome, attributes, "oauthstore.rekey.dry_run", true)
		wantAttribute(t, outcome, attributes, "oauthstore.rekey.remaining", int64(2))
		wantAttribute(t, outcome, attributes, "oauthstore.outcome", outcome)
	}
	r := record(t)
	report, err := oauthotel.Wrap(bare{memory.New()}, r.options()...).Rekey(t.Context(), oauthstore.RekeyOptions{})
	if !errors.Is(err, errors.ErrUnsupported) || report == nil {
		t.Errorf("got %v and error %v, want errors.ErrUnsupported", report, err)
	}
}
