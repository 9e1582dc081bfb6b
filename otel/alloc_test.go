//go:build !race

package oauthotel_test

import (
	"context"
	"testing"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/oauthstore/oauthstore"
	oauthotel "github.com/oauthstore/oauthstore/otel"
)

// If nothing is recorded, an operation costs what OpenTelemetry's API needs to begin a span.
func TestStore_withoutProvidersCostsLittle(t *testing.T) {
	token := secretToken()
	inner := &fixed{token: token, lease: &oauthstore.Lease{Token: token, Refused: "invalid_grant"}}
	for name, c := range map[string]struct {
		options []oauthotel.Option
		most    float64
	}{
		"the global ones, not set": {nil, 3},
		"of no operation":          {[]oauthotel.Option{oauthotel.WithTracerProvider(tracenoop.NewTracerProvider()), oauthotel.WithMeterProvider(metricnoop.NewMeterProvider())}, 1},
	} {
		s := oauthotel.Wrap(inner, c.options...)
		ctx := context.Background()
		for method, call := range map[string]func(s oauthstore.TokenStore) error{
			"FindToken": func(s oauthstore.TokenStore) error { _, err := s.FindToken(ctx, token); return err },
			"FindTokenByID": func(s oauthstore.TokenStore) error {
				_, err := s.FindTokenByID(ctx, token.ID)
				return err
			},
			"SaveToken": func(s oauthstore.TokenStore) error { return s.SaveToken(ctx, token) },
			"GetTokens": func(s oauthstore.TokenStore) error { _, err := s.GetTokens(ctx); return err },
			"LeaseToken": func(s oauthstore.TokenStore) error {
				_, err := s.(oauthstore.TokenLeaser).LeaseToken(ctx, oauthstore.LeaseRequest{ID: token.ID, For: 1})
				return err
			},
			"ReleaseLease": func(s oauthstore.TokenStore) error {
				return s.(oauthstore.TokenLeaser).ReleaseLease(ctx, inner.lease)
			},
		} {
			own := testing.AllocsPerRun(100, func() { _ = call(inner) })
			if more := testing.AllocsPerRun(100, func() { _ = call(s) }) - own; more > c.most {
				t.Errorf("%s, %s: %v allocations more than the store's own, want %v at most", name, method, more, c.most)
			}
		}
		inner.err = oauthstore.ErrTokenNotFound
		if more := testing.AllocsPerRun(100, func() { _, _ = s.FindTokenByID(ctx, token.ID) }); more > c.most {
			t.Errorf("%s, a token that is not found: %v allocations, want %v at most", name, more, c.most)
		}
		inner.err = nil
	}
}
