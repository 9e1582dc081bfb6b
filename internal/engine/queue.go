package engine

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/oauthstore/oauthstore"
)

// A change is what one call wants of the index. The changes that gather while a write is under way
// share the next one: an import of a thousand tokens does not write the index a thousand times.
type change struct {
	ctx   context.Context
	apply func([]entry) ([]entry, error) // gets a slice of its own; may be asked several times
	tidy  int                            // superseded versions that the write may remove

	done chan error // gets the outcome
	lead chan bool  // gets true when it is this change's caller's turn to write
}

// queue holds the changes that wait. One caller at a time leads: it writes for all that wait, and when
// its own change is through it hands over to one that still waits.
type queue struct {
	mu      sync.Mutex
	leading bool
	waiting []*change
}

// errLeaderLeft says that the caller who was writing for this change gave up, for a reason of its own.
var errLeaderLeft = errors.New("the caller that led the write gave up")

// changeIndex writes the index that apply makes of the present one, together with what others want of
// it. apply may answer errUnchanged: there is nothing to write.
func (s *Store) changeIndex(ctx context.Context, tidy int, apply func([]entry) ([]entry, error)) error {
	for {
		c := &change{ctx: ctx, apply: apply, tidy: tidy, done: make(chan error, 1), lead: make(chan bool, 1)}
		err := s.await(ctx, c)
		switch {
		case errors.Is(err, errUnchanged):
			return nil
		case !errors.Is(err, errLeaderLeft):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// await queues c and waits for its outcome, leading where it must.
func (s *Store) await(ctx context.Context, c *change) error {
	s.queue.join(c)
	select {
	case err := <-c.done:
		return err
	case <-c.lead:
		s.writeWaiting(ctx)
		s.queue.handOver()
		return <-c.done
	case <-ctx.Done():
		if s.queue.leave(c) {
			s.queue.handOver() // it was just made the leader
		}
		return ctx.Err()
	}
}

// join adds c; if nobody leads, c does.
func (q *queue) join(c *change) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, c)
	if !q.leading {
		q.leading = true
		c.lead <- true
	}
}

// leave takes c out, and reports whether it had been made the leader.
func (q *queue) leave(c *change) (leader bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = slices.DeleteFunc(q.waiting, func(other *change) bool { return other == c })
	return len(c.lead) > 0
}

// handOver makes the first that waits the leader.
func (q *queue) handOver() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.leading = len(q.waiting) > 0; q.leading {
		q.waiting[0].lead <- true
	}
}

// take empties the queue.
func (q *queue) take() []*change {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.waiting
	q.waiting = nil
	return all
}

// writeWaiting writes once for all that wait and tells each its outcome.
func (s *Store) writeWaiting(ctx context.Context) {
	batch := s.queue.take()
	outcomes, err := s.writeBatch(ctx, batch)
	for i, c := range batch {
		switch {
		case outcomes[i] != nil:
			c.done <- outcomes[i]
		case err != nil && ctx.Err() != nil && c.ctx != ctx:
			c.done <- errLeaderLeft
		default:
			c.done <- err
		}
	}
}

// writeBatch applies the changes, one upon the other, and writes the index. Each may fail on its own;
// err is the failure of the write.
func (s *Store) writeBatch(ctx context.Context, batch []*change) (outcomes []error, err error) {
	outcomes, err = s.writeBatchOn(ctx, batch, false)
	if slices.ContainsFunc(outcomes, isRefusal) {
		// Nobody is refused because of what the cached index says. Those who were not are through; to
		// apply a change again does nothing.
		return s.writeBatchOn(ctx, batch, true)
	}
	return outcomes, err
}

// isRefusal reports whether a change was refused because of other entries.
func isRefusal(err error) bool {
	var conflict *oauthstore.ConflictError
	return errors.As(err, &conflict) || errors.Is(err, errAgain)
}

// writeBatchOn does it on the cached index, or on one read for the purpose.
func (s *Store) writeBatchOn(ctx context.Context, batch []*change, fresh bool) (outcomes []error, err error) {
	outcomes = make([]error, len(batch))
	cur, _, err := s.readIndex(ctx, fresh)
	if err != nil {
		return outcomes, err
	}
	var tries [][]error // the outcomes of each try
	after, try, err := s.commit(ctx, indexName, cur, tidies(batch), func(cur state, _ error) (*Record, error) {
		entries, rest, err := s.decodeIndex(cur.rec)
		if err != nil {
			return nil, err
		}
		// Remembered also where nothing is written: whoever starts over then starts from here.
		s.index.keep(cur, entries)
		encode := func(entries []entry) (*Record, error) { return s.encodeIndex(cur.rec, entries, rest) }
		var next *Record
		if next, outcomes, err = applyAll(entries, batch, encode); next != nil {
			tries = append(tries, outcomes)
		}
		return next, err
	})
	if err != nil {
		return outcomes, err
	}
	if try >= 0 {
		outcomes = tries[try] // it need not be the last: an earlier one may have come late
	}
	_, _, err = s.keepIndex(after)
	return outcomes, err
}

// applyAll applies the changes and returns the index that they make, nil where none has anything to write. Where
// that is too large, the changes that make it so fail, and the others do not.
func applyAll(entries []entry, batch []*change, encode func([]entry) (*Record, error)) (*Record, []error, error) {
	next, outcomes, err := applyEach(entries, batch, encode, func([]entry) error { return nil })
	if !errors.Is(err, oauthstore.ErrRecordTooLarge) {
		return next, outcomes, err
	}
	return applyEach(entries, batch, encode, func(changed []entry) error {
		_, err := encode(changed)
		return err
	})
}

// applyEach applies the changes, one upon the other, but for those of which the outcome does not fit.
func applyEach(entries []entry, batch []*change, encode func([]entry) (*Record, error), fits func([]entry) error) (*Record, []error, error) {
	outcomes := make([]error, len(batch))
	changed := false
	for i, c := range batch {
		next, err := c.apply(slices.Clone(entries))
		if err == nil && len(next) >= len(entries) { // what makes it shorter is in nobody's way
			err = fits(next)
		}
		if outcomes[i] = err; err == nil {
			entries, changed = next, true
		}
	}
	if !changed {
		return nil, outcomes, nil
	}
	next, err := encode(entries)
	return next, outcomes, err
}

// tidies adds up what the changes may remove.
func tidies(batch []*change) int {
	sum := 0
	for _, c := range batch {
		if c.tidy == TidyAll {
			return TidyAll
		}
		sum += c.tidy
	}
	return sum
}
