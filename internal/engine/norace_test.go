//go:build !race

package engine

const defaultSchedules = 100
