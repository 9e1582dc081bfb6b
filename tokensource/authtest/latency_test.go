package authtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLatency_isTheSameForTheSameSeed(t *testing.T) {
	draws := func(seed uint64) (all []time.Duration) {
		s := &Server{}
		s.SetLatency(Latency{Before: time.Second, After: time.Minute, Jitter: time.Millisecond, Seed: seed})
		for range 100 {
			before, after := s.latency.draw()
			require.GreaterOrEqual(t, before, time.Second)
			require.LessOrEqual(t, before, time.Second+time.Millisecond)
			require.GreaterOrEqual(t, after, time.Minute)
			require.LessOrEqual(t, after, time.Minute+time.Millisecond)
			all = append(all, before, after)
		}
		return all
	}
	require.Equal(t, draws(1), draws(1))
	require.NotEqual(t, draws(1), draws(2))
}
