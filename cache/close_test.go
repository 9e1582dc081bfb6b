package cache

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClose_forgetsAndStillFinds(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "access"))
	s := newCache(t, b, steady()...)
	accessByID(t, s, "1")
	require.NoError(t, s.Close(t.Context()))
	require.Zero(t, s.Stats().Tokens)
	save(t, s, token("1", "alice", "", "second"))
	require.Equal(t, "second", accessByID(t, s, "1"))
	require.Equal(t, "second", access(t, s, asUser("alice", "")))
	require.Equal(t, 3, b.count())
	require.Equal(t, Stats{Misses: 1, Requests: 1}, s.Stats(), "what is counted is the cache's")
	require.NoError(t, s.Close(t.Context()), "a second time")
}

func TestClose_waitsForRequestsUnderWay(t *testing.T) {
	b, g := newBackend(), newGate()
	b.put(t, token("1", "alice", "", "access"))
	s := newCache(t, b, steady()...)
	b.on(g.hold("Find"), nil)
	found, closed := make(chan error, 1), make(chan error, 2)
	go func() { found <- second(s.FindTokenByID(context.Background(), "1")) }()
	<-g.arrived
	for range 2 {
		go func() { closed <- s.Close(context.Background()) }()
	}
	await(func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.idle != nil })
	require.Empty(t, closed)
	close(g.open)
	require.NoError(t, <-closed)
	require.NoError(t, <-closed)
	require.NoError(t, <-found)
	require.Zero(t, s.Stats().Tokens, "what was read for a closed cache")
}

func TestClose_breaksRequestsOffWhenItsContextEnds(t *testing.T) {
	b, g := newBackend(), newGate()
	s := newCache(t, b, steady()...)
	b.on(g.hold("Find"), nil)
	found := make(chan error, 1)
	go func() { found <- second(s.FindTokenByID(context.Background(), "1")) }()
	<-g.arrived
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Close(ctx), context.Canceled)
	require.ErrorIs(t, <-found, context.Canceled)
	require.NoError(t, s.Close(t.Context()))
}
