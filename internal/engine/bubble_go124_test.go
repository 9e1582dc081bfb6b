//go:build !go1.25

package engine

import "testing"

// Go 1.24 has no testing/synctest: what takes little time runs in real time, and the rest is skipped.

func inBubble(t *testing.T, f func(t *testing.T)) { f(t) }

func virtually(t *testing.T, _ func(t *testing.T)) {
	t.Skip("needs testing/synctest, which is in Go 1.25")
}

// settle is for tests in virtual time only.
func settle() {}
