//go:build !go1.26

package engine

import "testing"

// sameEachTime needs Go 1.26: before it, random bits are what they are.
func sameEachTime(*testing.T, uint64) {}
