//go:build race

package engine

// defaultSchedules is low where the race detector makes them slow: a schedule lets one goroutine run at a time.
const defaultSchedules = 10
