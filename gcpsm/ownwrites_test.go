package gcpsm

import (
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/internal/enginetest"
)

func TestOwnWritesAreSeenThoughReadsLagBehind(t *testing.T) {
	for name, opt := range map[string]gcpsmtest.Option{
		"latest alone":                  gcpsmtest.WithLaggingLatest(time.Hour),
		"all but the reads by a number": gcpsmtest.WithStaleness(time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			enginetest.RunOwnWrites(t, func(t *testing.T, test func(*testing.T, enginetest.Store)) {
				test(t, newBackend(t, opt).NewStore(t))
			})
		})
	}
}
