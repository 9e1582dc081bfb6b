//go:build go1.26

package engine

import (
	"runtime"
	"testing"
	"testing/cryptotest"
)

// sameEachTime makes the test run in the same way each time.
func sameEachTime(t *testing.T, seed uint64) {
	cryptotest.SetGlobalRandom(t, seed)
	procs := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(procs) })
}
