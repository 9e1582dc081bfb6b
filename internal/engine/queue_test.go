package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
)

// slow makes every call take a while, so that others come in between.
func (m *memory) slow() {
	m.around = func(ctx context.Context, _ call, run func() error) error {
		select {
		case <-time.After(time.Millisecond):
			return run()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// saveMany saves tokens of n users at the same time and returns functions that wait for each.
func saveMany(t *testing.T, s *Store, n int) (results []func() error) {
	for i := range n {
		results = append(results, saving(t, s, under(fmt.Sprint("token", i), fmt.Sprint("user", i))))
	}
	return results
}

func TestQueue_manyChangesShareAWrite(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.slow()
		s := m.store()
		for _, result := range saveMany(t, s, 100) {
			wantNoError(t, result())
		}
		if got := m.count(put, indexName); got != 2 {
			t.Errorf("100 inserts at once: got %d writes of the index, want 2, the first one's and that of all others", got)
		}
		m.wantConsistent(t)
		m.forgetCalls()
		var deletes []func() error
		for i := range 100 {
			deletes = append(deletes, deleting(t, s, fmt.Sprint("token", i)))
		}
		for _, result := range deletes {
			wantNoError(t, result())
		}
		if got := m.count(put, indexName); got != 2 {
			t.Errorf("100 deletes at once: got %d writes of the index, want 2", got)
		}
		if _, _, entries := m.content(t); len(entries) != 0 {
			t.Errorf("got %d index entries, want none", len(entries))
		}
	})
}

// queued starts a save that leads a write of the index and stops before it, one that will lead the next
// write, under ctx, and n more that will share that.
func queued(t *testing.T, m *memory, s *Store, ctx context.Context, n int) (first stop, leader, next func() error, others []func() error) {
	first = m.stopAt(put, indexName)
	leader = saving(t, s, under("leader", "leader"))
	first.wait()
	next = start(func() error {
		token := under("next", "next")
		return s.SaveToken(ctx, &token)
	})
	settle()
	others = saveMany(t, s, n)
	settle()
	return first, leader, next, others
}

func TestQueue_aLeaderThatIsCancelledDoesNotFailTheOthers(t *testing.T) {
	for name, takesEffect := range map[string]bool{"before its write": false, "after its write": true} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				ctx, cancel := context.WithCancel(t.Context())
				first, leader, next, others := queued(t, m, m.store(), ctx, 5)
				m.on(put, indexName, func(run func() error) error {
					cancel()
					if takesEffect {
						_ = run()
					}
					return context.Canceled
				})
				first.goOn()
				wantNoError(t, leader())
				wantIs(t, next(), context.Canceled)
				for i, result := range others {
					wantNoError(t, result())
					m.wantEntries(t, fmt.Sprint("token", i), 1) // though it was written twice
				}
				m.wantIDs(t, "leader", "token0", "token1", "token2", "token3", "token4")
				m.wantConsistent(t)
			})
		})
	}
}

func TestQueue_aFailureOfTheWriteIsEverybodys(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := m.store()
		first, leader, next, others := queued(t, m, s, t.Context(), 5)
		m.on(put, indexName, fails(oauthstore.ErrAccessDenied))
		first.goOn()
		wantNoError(t, leader())
		for _, result := range append(others, next) {
			wantIs(t, result(), oauthstore.ErrAccessDenied)
		}
		m.wantIDs(t, "leader")
		m.wantConsistent(t)
	})
}

func TestQueue_oneChangeThatIsRefusedDoesNotFailTheOthers(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := m.store()
		first, leader, next, others := queued(t, m, s, t.Context(), 3)
		refused := saving(t, s, under("other", "user1"))
		settle()
		first.goOn()
		for _, result := range append(others, leader, next) {
			wantNoError(t, result())
		}
		wantConflict(t, refused(), "token1")
		m.wantIDs(t, "leader", "next", "token0", "token1", "token2")
		m.wantConsistent(t)
	})
}

func TestQueue_aWaiterThatLeavesIsNotWaitedFor(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := m.store()
		ctx, cancel := context.WithCancel(t.Context())
		first, leader, next, others := queued(t, m, s, ctx, 3)
		cancel()
		wantIs(t, next(), context.Canceled)
		first.goOn()
		for _, result := range append(others, leader) {
			wantNoError(t, result())
		}
		save(t, s, under("later", "later"))
		m.wantEntries(t, "next", 0)
		m.wantConsistent(t)
	})
}

// Whoever is chosen when its context has just ended hands on.
func TestQueue_leavingHandsOn(t *testing.T) {
	var q queues
	const at = "a leaf"
	newChange := func() *change { return &change{lead: make(chan bool, 1)} }
	a, b, c := newChange(), newChange(), newChange()
	q.join(at, a)
	q.join(at, b)
	q.join(at, c)
	if !<-a.lead || len(b.lead) > 0 || len(c.lead) > 0 {
		t.Fatal("the first to join leads, alone")
	}
	if got := q.take(at); !slices.Equal(got, []*change{a, b, c}) {
		t.Fatalf("got %v, want all three", got)
	}
	d, e := newChange(), newChange()
	q.join(at, d)
	q.join(at, e)
	q.handOver(at)
	if len(d.lead) != 1 || len(e.lead) != 0 {
		t.Fatal("the lead goes to the first that waits")
	}
	if !q.leave(at, d) {
		t.Error("d was made the leader, and leave does not say so")
	}
	q.handOver(at)
	if len(e.lead) != 1 || len(q.byLeaf) == 0 {
		t.Error("the lead does not go on to e")
	}
	if !q.leave(at, e) {
		t.Error("e was made the leader, and leave does not say so")
	}
	q.handOver(at)
	if len(q.byLeaf) > 0 {
		t.Error("somebody leads, and nobody is there")
	}
	if q.leave(at, newChange()) {
		t.Error("one that never joined was the leader")
	}
}

// cancellable are calls on a store with the tokens x of alice and z of zoe.
var cancellable = map[string]func(ctx context.Context, s *Store) error{
	"insert": func(ctx context.Context, s *Store) error {
		token := under("y", "bob")
		return s.SaveToken(ctx, &token)
	},
	"insert without id": func(ctx context.Context, s *Store) error {
		token := under("", "bob")
		return s.SaveToken(ctx, &token)
	},
	"insert of a sibling": func(ctx context.Context, s *Store) error {
		token := under("y", "zoe")
		token.ClientID = "c"
		return s.SaveToken(ctx, &token)
	},
	"insert by refresh token": func(ctx context.Context, s *Store) error {
		return s.SaveToken(ctx, &oauthstore.OAuthToken{RefreshToken: "r", ClientID: "c", ClientSecret: "s"})
	},
	"update": func(ctx context.Context, s *Store) error {
		return s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", Scope: "s"})
	},
	"rename": func(ctx context.Context, s *Store) error {
		return s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", UserName: "bob"})
	},
	"UpdateToken": func(ctx context.Context, s *Store) error {
		return s.UpdateToken(ctx, &oauthstore.OAuthToken{UserName: "alice", Scope: "s"})
	},
	"delete":       func(ctx context.Context, s *Store) error { return s.DeleteToken(ctx, "x") },
	"DeleteTokens": func(ctx context.Context, s *Store) error { return s.DeleteTokens(ctx) },
	"GetTokens": func(ctx context.Context, s *Store) error {
		_, err := s.GetTokens(ctx)
		return err
	},
	"FindToken": func(ctx context.Context, s *Store) error {
		_, err := s.FindToken(ctx, &oauthstore.OAuthToken{UserName: "alice"})
		return err
	},
}

func TestContext_thatEndsAtAnyCallLeavesTheInvariant(t *testing.T) {
	for name, do := range cancellable {
		for _, takesEffect := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, the call takes effect: %v", name, takesEffect), func(t *testing.T) {
				eachKind(t, func(t *testing.T, m *memory) {
					for at, more := 0, true; more; at++ {
						more = cancelAt(t, m.tombstones, at, takesEffect, do)
					}
				})
			})
		}
	}
}

// cancelAt ends the context at a call, by its number, and reports whether there is one.
func cancelAt(t *testing.T, tombstones bool, at int, takesEffect bool, do func(ctx context.Context, s *Store) error) bool {
	t.Helper()
	m := newMemory()
	m.tombstones = tombstones
	first := m.store()
	save(t, first, under("x", "alice"))
	save(t, first, under("", "zoe"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var calls atomic.Int32
	var ended atomic.Bool
	m.around = func(_ context.Context, _ call, run func() error) error {
		if int(calls.Add(1)) != at+1 {
			return run()
		}
		ended.Store(true)
		cancel()
		if takesEffect {
			_ = run()
		}
		return context.Canceled
	}
	err := do(ctx, m.store())
	m.wantConsistent(t)
	switch {
	case !ended.Load():
		wantNoError(t, err)
		return false
	case err != nil:
		wantIs(t, err, context.Canceled)
	}
	m.around = nil
	if err := do(t.Context(), m.store()); err != nil && !errors.Is(err, oauthstore.ErrTokenNotFound) {
		t.Errorf("called again after it was cancelled at call %d: %v", at+1, err)
	}
	m.wantConsistent(t)
	return true
}

func TestContext_thatHasEndedMakesNoCall(t *testing.T) {
	for name, do := range cancellable {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			wantIs(t, do(ctx, m.store()), context.Canceled)
			if len(m.calls) != 0 {
				t.Errorf("got calls %v, want none", m.calls)
			}
		})
	}
}

func TestContext_aDeadlineIsTheCallersError(t *testing.T) {
	for name, do := range cancellable {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				save(t, m.store(), under("x", "alice"))
				s := m.store()
				m.around = func(ctx context.Context, _ call, _ func() error) error {
					<-ctx.Done()
					return errors.New("what the client says")
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				wantIs(t, do(ctx, s), context.DeadlineExceeded)
			})
		})
	}
}

func TestTimeout_aServiceThatDoesNotAnswerIsUnavailable(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := New(m, m.store().codec, time.Second)
		m.around = func(ctx context.Context, _ call, _ func() error) error {
			<-ctx.Done()
			return errors.New("what the client says")
		}
		begin := time.Now()
		_, err := s.FindTokenByID(t.Context(), "x")
		wantIs(t, err, oauthstore.ErrUnavailable)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("took %v, want the timeout, 1s", took)
		}
		if !strings.Contains(fmt.Sprint(err), "1s") {
			t.Errorf("the error does not say how long it waited: %v", err)
		}
	})
}

func TestQueue_aChangeThatIsTooLargeFailsAlone(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := m.store()
		save(t, s, under("old", "old"))
		first := m.stopAt(put, indexName)
		leader := saving(t, s, under("leader", "leader"))
		first.wait()
		large := saving(t, s, oauthstore.OAuthToken{ID: "large", UserName: strings.Repeat("n", m.limits.Value-1024-50), AccessToken: "a"})
		small := saving(t, s, under("small", "small"))
		deleted := deleting(t, s, "old")
		settle()
		first.goOn()
		wantNoError(t, leader())
		wantIs(t, large(), oauthstore.ErrRecordTooLarge)
		wantNoError(t, small())
		wantNoError(t, deleted())
		m.wantIDs(t, "leader", "small")
		m.wantEntries(t, "old", 0)
		m.wantConsistent(t)
	})
}

// The race detector sees it where this is not so.
func TestQueue_aWaiterThatHasLeftKeepsItsToken(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := m.store()
		save(t, s, under("seed", "seed"))
		first := m.stopAt(put, indexName)
		leader := saving(t, s, under("leader", "leader"))
		first.wait()
		second := m.stopAt(put, indexName)
		next := saving(t, s, under("next", "next"))
		settle()
		ctx, cancel := context.WithCancel(t.Context())
		token := &oauthstore.OAuthToken{UserName: "waits", RefreshToken: "r"}
		left := start(func() error { return s.SaveToken(ctx, token) })
		settle()
		first.goOn()
		wantNoError(t, leader())
		second.wait() // the next write, which takes the waiter's change along
		cancel()
		wantIs(t, left(), context.Canceled)
		save(t, m.store(), under("other", "other")) // so that the changes are applied again
		second.goOn()
		for range 1000 {
			token.UserName, token.ClientID = "another use", "of it"
		}
		wantNoError(t, next())
		m.wantConsistent(t)
	})
}

// The panic is an observer's, or a codec's, and the caller recovers, as servers do.
func TestQueue_aLeaderThatPanicsHandsOver(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := m.store()
		m.on(get, indexName, func(func() error) error { panic("an observer's") })
		func() {
			defer func() { _ = recover() }()
			a := under("a", "alice")
			_ = s.SaveToken(t.Context(), &a)
		}()
		save(t, s, under("b", "bob"))
	})
}
