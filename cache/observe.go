package cache

import (
	"context"
	"time"
)

// An EventKind says what an [Event] is about.
type EventKind string

// What there is to tell.
const (
	Hit     EventKind = "hit"     // a find was answered without a request
	Miss    EventKind = "miss"    // a find has waited for a request, its own or one under way
	Refresh EventKind = "refresh" // a token was read again in the background
)

// An Event tells of one find, or one read in the background. It holds no secret.
type Event struct {
	Kind     EventKind
	ID       string        // that was looked for; empty for a find by user name
	UserName string        // so is this
	ClientID string        // asked for with the user name, if any
	Duration time.Duration // of the wait for the wrapped store; 0 for a hit
	Err      error         // that the find returned, or the read has met; ErrTokenNotFound may be a hit
}

// Stats are counts since New, exact and of one moment.
type Stats struct {
	Hits      uint64 // finds that were answered without a request
	Misses    uint64 // finds that have waited for one
	Requests  uint64 // finds that were made of the wrapped store, for misses and in the background
	Refreshes uint64 // reads in the background that have ended
	Tokens    int    // remembered now
}

// Stats returns the counts so far. Finds that cannot hit are not among them.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Tokens = s.entries.tokens.len()
	return stats
}

func (s *Store) observe(ctx context.Context, kind EventKind, k key, d time.Duration, err error) {
	if s.observer != nil {
		s.observer(ctx, Event{Kind: kind, ID: k.id, UserName: k.user, ClientID: k.client, Duration: d, Err: err})
	}
}
