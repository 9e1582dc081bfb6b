package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// A change is what one call wants of a leaf of the index. The changes that gather while a write is under way
// share the next one: an import of a thousand tokens does not write the index a thousand times.
type change struct {
	key   key   // of the entries that it is about
	apply apply // may be asked several times
	tidy  int   // superseded versions that the write may remove

	err     error // the outcome
	failed  bool  // it is that of the write, not of this change alone
	settled bool  // there is an outcome
	at      span  // of the leaf that it was applied to, where it has not failed

	done chan error // gets the outcome
	lead chan bool  // gets true when it is this change's caller's turn to write
}

// apply returns the entries that a leaf is to have in place of those it has, which are those with keys in the
// span; the slice is its own. It may answer errUnchanged: there is nothing to write.
type apply func(entries []entry, within span) ([]entry, error)

var errUnchanged = errors.New("the index stays as it is")

// queues are the changes that wait, by the leaf as it is remembered when they come.
type queues struct {
	mu     sync.Mutex
	byLeaf map[string]*queue
}

// queue holds the changes that wait. One caller at a time leads: it writes for all that wait, and when
// its own change is through it hands over to one that still waits.
type queue struct {
	waiting []*change
}

// errLeaderLeft says that the caller who was writing for this change gave up, for a reason of its own.
var errLeaderLeft = errors.New("the caller that led the write gave up")

// changeIndex writes what apply makes of the leaf where k is, together with what others want of it, and returns the
// leaf's span.
func (s *Store) changeIndex(ctx context.Context, tidy int, k key, apply apply) (span, error) {
	for {
		c := &change{key: k, apply: apply, tidy: tidy, done: make(chan error, 1), lead: make(chan bool, 1)}
		err := s.await(ctx, c)
		switch {
		case err == nil:
			return c.at, nil
		case !errors.Is(err, errLeaderLeft):
			return span{}, err // c is no longer this goroutine's: who waits no more is served all the same
		case ctx.Err() != nil:
			return span{}, ctx.Err()
		}
	}
}

// await queues c and waits for its outcome, leading where it must.
func (s *Store) await(ctx context.Context, c *change) error {
	l, _ := s.index.recallLeaf(c.key)
	name := l.name
	s.queues.join(name, c)
	select {
	case err := <-c.done:
		return err
	case <-c.lead:
		s.leads(ctx, name)
		return <-c.done
	case <-ctx.Done():
		if s.queues.leave(name, c) {
			s.queues.handOver(name) // it was just made the leader
		}
		return ctx.Err()
	}
}

// leads writes for all that wait, and hands over: also where it panics, which its caller may recover from.
func (s *Store) leads(ctx context.Context, name string) {
	batch := s.queues.take(name)
	defer s.queues.handOver(name)
	returned := false
	defer func() {
		for _, c := range batch {
			if !returned && len(c.done) == 0 {
				c.done <- errLeaderLeft
			}
		}
	}()
	s.writeAll(ctx, batch)
	returned = true
}

// join adds c; if nobody leads, c does.
func (q *queues) join(name string, c *change) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if one, ok := q.byLeaf[name]; ok {
		one.waiting = append(one.waiting, c)
		return
	}
	if q.byLeaf == nil {
		q.byLeaf = make(map[string]*queue)
	}
	q.byLeaf[name] = &queue{waiting: []*change{c}}
	c.lead <- true
}

// leave takes c out, and reports whether it had been made the leader.
func (q *queues) leave(name string, c *change) (leader bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if one, ok := q.byLeaf[name]; ok {
		one.waiting = slices.DeleteFunc(one.waiting, func(other *change) bool { return other == c })
	}
	return len(c.lead) > 0
}

// handOver makes the first that waits the leader; where nobody does, the queue ends.
func (q *queues) handOver(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	one := q.byLeaf[name]
	if len(one.waiting) == 0 {
		delete(q.byLeaf, name)
		return
	}
	one.waiting[0].lead <- true
}

// take empties the queue.
func (q *queues) take(name string) []*change {
	q.mu.Lock()
	defer q.mu.Unlock()
	one := q.byLeaf[name]
	all := one.waiting
	one.waiting = nil
	return all
}
