package engine

import (
	"errors"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore"
)

// A bulk is a call that makes so many writes that it may use up a quota of the service: all of them together,
// that is, and not of one secret. Nobody waits for an answer in the next seconds, and to stop half-way helps
// nobody; so it goes on when the quota is there again.
type bulk struct {
	mu    sync.Mutex
	since time.Time // when calls stopped getting through; zero if the last step did
}

// maxStalled is how long a bulk goes on while nothing gets through. The quotas that are worth waiting for are those
// of a minute, of which others may use some.
const maxStalled = 5 * time.Minute

// inBulk returns s as it is for one bulk.
func (s *Store) inBulk() *Store {
	own := *s
	own.queues = new(queues) // whoever is in a hurry does not let a bulk do their writes
	own.bulk = new(bulk)
	return &own
}

// wrote takes note of the outcome of a write, or of a step that leads to one.
func (b *bulk) wrote(err error) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !errors.Is(err, oauthstore.ErrThrottled) && !errors.Is(err, oauthstore.ErrUnavailable):
		b.since = time.Time{}
	case b.since.IsZero():
		b.since = time.Now()
	}
}

// stalled reports whether nothing has got through for long, though it was tried.
func (b *bulk) stalled() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.since.IsZero() && elapsed(b.since) >= maxStalled
}
