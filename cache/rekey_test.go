package cache

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
)

// rekeying is a store that can change its keys.
type rekeying struct {
	oauthstore.TokenStore
	opts *oauthstore.RekeyOptions
}

func (r rekeying) Rekey(_ context.Context, opts oauthstore.RekeyOptions) (*oauthstore.RekeyReport, error) {
	*r.opts = opts
	return &oauthstore.RekeyReport{Secrets: 7}, nil
}

func TestRekey_isTheWrappedStores(t *testing.T) {
	var opts oauthstore.RekeyOptions
	s, err := New(rekeying{memory.New(), &opts})
	require.NoError(t, err)
	report, err := s.Rekey(t.Context(), oauthstore.RekeyOptions{DryRun: true})
	require.NoError(t, err)
	require.Equal(t, 7, report.Secrets)
	require.True(t, opts.DryRun)

	s, err = New(memory.New())
	require.NoError(t, err)
	report, err = s.Rekey(t.Context(), oauthstore.RekeyOptions{})
	require.ErrorContains(t, err, "unsupported")
	require.NotNil(t, report)
}
