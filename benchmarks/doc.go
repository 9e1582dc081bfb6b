// Package benchmarks measures what a warm token costs, beside AWS's own caching client for Go, and what a function
// pays for the library when it starts, beside one that uses the bare SDK.
//
//	go test -bench . -benchmem                # nanoseconds and allocations
//	go test -run TestWarm -v -measure         # the same in turn, as ratios
//	go test -run TestColdStart -v -measure    # size of the program, and time from its start to the first token
//
// It is a module of its own, so that the caching client is in nobody's go.mod.
package benchmarks
