package cache

import (
	"context"
	"errors"
	"time"
)

// A call is one to the wrapped store, under way. Writes that end meanwhile tell it what they have changed: it may have
// read that before, and must not remember it.
type call struct {
	seq    uint64
	begun  time.Time
	cancel context.CancelFunc // nil where the call is a caller's own

	ids, users map[string]bool // written meanwhile
	void       bool            // anything may have been
}

// begin registers a call. The caller holds s.mu.
func (s *Store) begin() *call {
	s.seq++
	c := &call{seq: s.seq, begun: time.Now(), ids: make(map[string]bool), users: make(map[string]bool)}
	s.calls[c] = true
	return c
}

// start is begin for those who do not hold s.mu.
func (s *Store) start() *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begin()
}

// A flight is a find that any number of callers wait for.
type flight struct {
	call   *call
	answer answer        // set before done is closed
	done   chan struct{} // closed at the end
}

// errNoAnswer is of a wrapped store that returns neither a token nor an error, or not at all.
var errNoAnswer = errors.New("cache: the wrapped store gave no answer")

// join returns the flight for k, a new one if there is none. It goes on when ctx ends, which lends it its values. The
// caller holds s.mu.
func (s *Store) join(ctx context.Context, k key) *flight {
	if f := s.flights[k]; f != nil {
		return f
	}
	f := &flight{call: s.begin(), answer: answer{err: errNoAnswer}, done: make(chan struct{})}
	ctx, f.call.cancel = context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	s.flights[k] = f
	s.stats.Requests++
	s.running++
	go s.fly(ctx, k, f)
	return f
}

func (s *Store) fly(ctx context.Context, k key, f *flight) {
	defer s.land(k, f)
	token, err := s.ask(ctx, k)
	if token != nil || err != nil {
		f.answer = answer{token, err}
	}
}

func (s *Store) land(k key, f *flight) {
	f.call.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, f.call)
	if s.flights[k] == f {
		delete(s.flights, k)
	}
	s.learn(f.call, k, f.answer)
	close(f.done)
	s.ended()
}

// ended counts a goroutine out. The caller holds s.mu.
func (s *Store) ended() {
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
		go s.work()
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

// next takes the first key out of the queue and begins to read it. At the end of the queue it counts the worker out.
func (s *Store) next() (key, *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		s.working = false
		s.ended()
		return key{}, nil
	}
	k := s.queue[0]
	s.queue = s.queue[1:]
	return k, s.join(context.Background(), k)
}
