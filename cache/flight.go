package cache

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/overdue"
	"github.com/oauthstore/oauthstore/internal/panics"
)

// A call is one to the wrapped store, under way.
type call struct {
	seq    uint64
	begun  time.Time
	cancel context.CancelFunc // nil where the call is a caller's own
	place  *list.Element      // in Store.calls
}

// begin registers a call. The caller holds s.mu.
func (s *Store) begin() *call {
	s.seq++
	c := &call{seq: s.seq, begun: time.Now()}
	c.place = s.calls.PushBack(c)
	return c
}

// start is begin for those who do not hold s.mu.
func (s *Store) start() *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begin()
}

// end ends a call: it takes note of the outcome, now, and forgets the call. The caller holds s.mu.
func (s *Store) end(c *call, note func(now uint64)) {
	s.seq++
	note(s.seq)
	s.calls.Remove(c.place)
	oldest := s.seq + 1
	if first := s.calls.Front(); first != nil {
		oldest = first.Value.(*call).seq
	}
	s.marks.prune(oldest)
}

// finish is end for those who do not hold s.mu.
func (s *Store) finish(c *call, note func(now uint64)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(c, note)
}

// A flight is a find that any number of callers wait for.
type flight struct {
	call *call
	done chan struct{} // closed at the end, when the rest is set

	answer    answer
	overtaken bool          // by a call that ended meanwhile: the answer is not for those who came later than the flight
	panicked  *panics.Error // instead of an answer
}

func (f *flight) landed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// errNoAnswer is of a wrapped store that returns neither a token nor an error.
var errNoAnswer = errors.New("cache: the wrapped store gave no answer")

// join returns a flight for k. It begins a new one unless the one under way sees all writes that ended before. The caller
// holds s.mu.
func (s *Store) join(ctx context.Context, k key) *flight {
	f := s.flights[k]
	switch {
	case f == nil:
	case k.id != "" && !s.marks.record(f.call.seq, k.id, ""), k.id == "" && !s.marks.user(f.call.seq, k.user):
		return f
	}
	return s.launch(ctx, k)
}

// launch begins a flight, which goes on when ctx ends; ctx lends it its values. The caller holds s.mu.
func (s *Store) launch(ctx context.Context, k key) *flight {
	f := &flight{call: s.begin(), done: make(chan struct{})}
	ctx, f.call.cancel = context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	s.flights[k] = f
	s.stats.Requests++
	s.running++
	// A store that does not heed its context is waited for no longer.
	stop := context.AfterFunc(ctx, func() { s.land(k, f, answer{err: s.inTime(ctx, ctx.Err())}, nil) })
	var a answer
	go panics.Run(func() {
		token, err := s.ask(ctx, k)
		a = answer{token, s.inTime(ctx, err)}
	}, func(p *panics.Error) {
		stop()
		if p != nil {
			a = answer{err: p}
		}
		s.land(k, f, a, p)
		f.call.cancel()
		s.ended()
	})
	return f
}

// inTime makes the error of a request whose time was up say so. That a token was not found is an answer all the same.
func (s *Store) inTime(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, oauthstore.ErrTokenNotFound) || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	return overdue.New(fmt.Sprintf("cache: no answer in %v", s.timeout), err)
}

// land ends the flight, unless it has ended.
func (s *Store) land(k key, f *flight, a answer, p *panics.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.landed() {
		return
	}
	if s.flights[k] == f {
		delete(s.flights, k)
	}
	f.answer, f.panicked = a, p
	s.end(f.call, func(now uint64) { f.overtaken = s.learn(f.call, now, k, a) })
	close(f.done)
}

// ended counts a goroutine out.
func (s *Store) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if s.running == 0 && s.idle != nil {
		close(s.idle)
	}
}

// enqueue has k read in the background. The caller holds s.mu.
func (s *Store) enqueue(k key) {
	if _, ok := s.queued[k]; ok {
		return
	}
	s.queue = append(s.queue, k)
	s.queued[k] = struct{}{}
	if !s.working {
		s.working = true
		s.running++
		go panics.Run(s.work, s.worked)
	}
}

// work reads what is in the queue, one after another, until it is empty.
func (s *Store) work() {
	for {
		k, f := s.next()
		if f == nil {
			return
		}
		begun := time.Now()
		<-f.done
		s.mu.Lock()
		delete(s.queued, k)
		s.stats.Refreshes++
		s.mu.Unlock()
		s.observe(context.Background(), Refresh, k, time.Since(begun), f.answer.err)
	}
}

// worked ends the work, unless there is more. p is a panic of the observer, which is for the next caller.
func (s *Store) worked(p *panics.Error) {
	s.mu.Lock()
	if p != nil {
		s.panicked = p
	}
	if len(s.queue) > 0 {
		s.mu.Unlock()
		go panics.Run(s.work, s.worked)
		return
	}
	s.working = false
	s.mu.Unlock()
	s.ended()
}

// next takes the first key out of the queue and begins to read it. It returns nil if the queue is empty.
func (s *Store) next() (key, *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return key{}, nil
	}
	k := s.queue[0]
	s.queue = s.queue[1:]
	return k, s.join(context.Background(), k)
}
