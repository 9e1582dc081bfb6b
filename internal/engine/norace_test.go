//go:build !race

package engine

const defaultSchedules = 40
