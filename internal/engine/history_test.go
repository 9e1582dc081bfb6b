package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseHistory_takesWhatIsNoneForNone(t *testing.T) {
	require.Equal(t, history{{5, 2}, {36, 1}}, parseHistory("5:2 10:1"))
	for _, damaged := range []string{"", "5", ":2", "5:", "5:x", "!:2", "5:-1", "5:2 5:3", "6:2 5:3", "5:2 6", "5:2:3"} {
		require.Empty(t, parseHistory(damaged), damaged)
	}
	h := history{{5, 2}, {36, 1}}
	require.Equal(t, h, parseHistory(h.String()))
}
