//go:build go1.25

package engine

import (
	"testing"
	"testing/synctest"
)

// inBubble runs f where time passes only while everybody waits for it.
func inBubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

// virtually is inBubble for tests in which much time passes.
func virtually(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

// settle waits until all goroutines of the bubble wait for something.
func settle() { synctest.Wait() }
