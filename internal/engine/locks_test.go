package engine

import (
	"context"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
)

func TestLocks_oneHolderAtATime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var l locks
		holding, most, had := 0, 0, 0
		var results []func() error
		for range 50 {
			results = append(results, start(func() error {
				unlock, _, err := l.lock(t.Context(), "name")
				if err != nil {
					return err
				}
				defer unlock()
				holding++ // the race detector watches, too
				most = max(most, holding)
				time.Sleep(time.Microsecond)
				holding--
				had++
				return nil
			}))
		}
		for _, result := range results {
			wantNoError(t, result())
		}
		if most != 1 || had != 50 {
			t.Errorf("got at most %d holders at a time and %d in all, want 1 and 50", most, had)
		}
		if len(l.held) != 0 {
			t.Errorf("%d locks are remembered that nobody holds", len(l.held))
		}
	})
}

func TestLocks_tellWhetherSomebodyElseWasThere(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var l locks
		unlock, waited, err := l.lock(t.Context(), "name")
		if waited || err != nil {
			t.Errorf("a free lock: got waited %v and error %v", waited, err)
		}
		other, waited, err := l.lock(t.Context(), "other name")
		if waited || err != nil {
			t.Errorf("a free lock of another name: got waited %v and error %v", waited, err)
		}
		other()
		second := make(chan bool)
		go func() {
			unlock, waited, err := l.lock(t.Context(), "name")
			if err == nil {
				unlock()
			}
			second <- waited
		}()
		for l.users("name") < 2 {
			time.Sleep(time.Microsecond)
		}
		unlock()
		if !<-second {
			t.Error("a lock that somebody held: got waited false")
		}
		if len(l.held) != 0 {
			t.Errorf("%d locks are remembered that nobody holds", len(l.held))
		}
	})
}

// users returns how many hold or want name's lock.
func (l *locks) users(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.held[name]; t != nil {
		return t.users
	}
	return 0
}

func TestLocks_whoStopsWaitingLeavesNothingBehind(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var l locks
		unlock, _, err := l.lock(t.Context(), "name")
		wantNoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, _, err = l.lock(ctx, "name")
		wantIs(t, err, context.DeadlineExceeded)
		unlock()
		if len(l.held) != 0 {
			t.Errorf("%d locks are remembered that nobody holds", len(l.held))
		}
		unlock, waited, err := l.lock(t.Context(), "name")
		if waited || err != nil {
			t.Fatalf("afterwards: got waited %v and error %v", waited, err)
		}
		unlock()
	})
}

// Writers of one process take turns instead of refusing one another.
func TestLocks_manySavesOfOneTokenNeedNoSecondTry(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.slow()
		s := m.store()
		save(t, s, under("x", "alice"))
		m.forgetCalls()
		var results []func() error
		for _, scope := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			results = append(results, saving(t, s, oauthstore.OAuthToken{ID: "x", Scope: scope}))
		}
		for _, result := range results {
			wantNoError(t, result())
		}
		if got := m.count(put, xName); got != 8 {
			t.Errorf("8 saves at once: got %d writes, want 8", got)
		}
	})
}

func TestLocks_manyInsertsOfOneTokenMakeOneRecord(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.slow()
		s := m.store()
		var results []func() error
		for range 8 {
			results = append(results, saving(t, s, under("", "alice")))
		}
		for _, result := range results {
			wantNoError(t, result())
		}
		m.wantIDs(t, oauthstore.DerivedID("alice", ""))
		m.wantEntries(t, oauthstore.DerivedID("alice", ""), 1)
		if got := m.count(put, indexName); got != 1 {
			t.Errorf("got %d writes of the index, want 1", got)
		}
	})
}
