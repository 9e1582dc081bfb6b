package awssm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/internal/engine"
)

func TestRevision_isWhatWasEncodedAndNoOtherIsWrittenLikeIt(t *testing.T) {
	taken := map[engine.Rev]rev{engine.None: {}, notThere: {}}
	for _, arn := range []string{"arn:aws:secretsmanager:us-east-1:123456789012:secret:waiting-AbCdEf", "arn:x"} {
		for _, version := range []string{"", "v1", "waiting"} {
			for _, counter := range []int{0, 1, 12} {
				for _, waiting := range []bool{false, true} {
					r := rev{arn, version, counter, waiting}
					require.NotContains(t, taken, r.encode())
					taken[r.encode()] = r
				}
			}
		}
	}
	for encoded, r := range taken {
		require.Equal(t, r, revision(encoded))
	}
}
