package engine

import (
	"fmt"
	"testing"
	"time"
)

func TestSightings_areRememberedForAMinuteAndNotForLong(t *testing.T) {
	virtually(t, func(t *testing.T) {
		var s Sightings[int]
		set := func(name string, v int) { s.Update(name, func(int) int { return v }) }
		if got := s.Of("a"); got != 0 {
			t.Errorf("got %d of what was never set", got)
		}
		set("a", 1)
		for range 10 { // others are set all the time
			time.Sleep(sightingsLast / 10)
			set("other", 1)
		}
		if got := s.Of("a"); got != 1 {
			t.Errorf("after a minute: got %d, want 1", got)
		}
		s.Update("a", func(v int) int { return v + 1 })
		if got := s.Of("a"); got != 2 {
			t.Errorf("got %d, want 2", got)
		}
		time.Sleep(2 * sightingsLast)
		if got := s.Of("a"); got != 0 {
			t.Errorf("after minutes: got %d, want that it is forgotten", got)
		}
	})
}

func TestSightings_areBounded(t *testing.T) {
	var s Sightings[int]
	for i := range 3*maxSightings + 10 {
		s.Update(fmt.Sprint(i), func(int) int { return i })
	}
	if n := len(s.lately) + len(s.before); n > 2*maxSightings {
		t.Errorf("%d are remembered", n)
	}
	if got := s.Of(fmt.Sprint(3 * maxSightings)); got != 3*maxSightings {
		t.Errorf("got %d of one of the last", got)
	}
}
