package engine

import (
	"sync"
	"time"
)

// Sightings remember a value for each name. A driver whose service's reads lag behind notes in them what it has
// written and read, to recognise a read that shows an older state. The zero value is ready.
//
// A value is remembered for one to two minutes after it was last set. If more than 32,768 names are set in that time, the
// oldest are forgotten sooner.
type Sightings[V any] struct {
	mu     sync.Mutex
	begun  time.Time // when the first value of lately was set
	lately map[string]V
	before map[string]V // as lately was until then
}

const (
	sightingsLast = time.Minute
	maxSightings  = 1 << 15 // in each of the two maps
)

// Of returns the value for a name, or the zero value.
func (s *Sightings[V]) Of(name string) V {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of(name)
}

func (s *Sightings[V]) of(name string) (v V) {
	old := elapsed(s.begun)
	if old >= 2*sightingsLast {
		return v
	}
	if v, ok := s.lately[name]; ok || old >= sightingsLast {
		return v
	}
	return s.before[name]
}

// Update sets the value for a name to what change makes of the remembered one.
func (s *Sightings[V]) Update(name string, change func(V) V) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := change(s.of(name))
	if s.lately == nil || elapsed(s.begun) >= sightingsLast || len(s.lately) >= maxSightings {
		if elapsed(s.begun) >= 2*sightingsLast {
			s.lately = nil
		}
		s.before, s.lately, s.begun = s.lately, make(map[string]V), time.Now()
	}
	s.lately[name] = next
}
