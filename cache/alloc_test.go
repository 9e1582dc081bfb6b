//go:build !race

package cache

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

func TestFind_aHitAllocatesNothingButItsCopy(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "access"))
	seen := 0
	s := newCache(t, b, steady(WithObserver(func(context.Context, Event) { seen++ }))...)
	ctx := context.Background()
	for name, c := range map[string]struct {
		find func() (*oauthstore.OAuthToken, error)
		want float64
	}{
		"by id":       {func() (*oauthstore.OAuthToken, error) { return s.FindTokenByID(ctx, "1") }, 1},
		"by user":     {finderIn(ctx, s, asUser("alice", "")), 1},
		"of a client": {finderIn(ctx, s, asUser("alice", "web")), 1},
		"not found":   {finderIn(ctx, s, asUser("bob", "")), 0},
	} {
		_, _ = c.find()
		require.Equal(t, c.want, testing.AllocsPerRun(100, func() { _, _ = c.find() }), name)
	}
	require.EqualValues(t, seen, s.Stats().Hits+s.Stats().Misses)
}

func finderIn(ctx context.Context, s *Store, partial *oauthstore.OAuthToken) func() (*oauthstore.OAuthToken, error) {
	return func() (*oauthstore.OAuthToken, error) { return s.FindToken(ctx, partial) }
}
