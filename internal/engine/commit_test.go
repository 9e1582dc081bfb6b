package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
)

// How often a call tries, and how long.

func TestPatience_everyCallEnds(t *testing.T) {
	exhausted := fmt.Errorf("%w: %w", oauthstore.ErrThrottled, ErrExhausted)
	for name, c := range map[string]struct {
		failure error
		want    error // what the caller gets
		tries   int
	}{
		"other writers keep coming": {ErrConflict, oauthstore.ErrUnavailable, maxConflicts},
		"the service is down":       {oauthstore.ErrUnavailable, oauthstore.ErrUnavailable, 1 + maxFailures},
		"the service throttles":     {oauthstore.ErrThrottled, oauthstore.ErrThrottled, 1 + maxFailures},
		"a quota is used up":        {exhausted, oauthstore.ErrThrottled, 1},
		"denied":                    {oauthstore.ErrAccessDenied, oauthstore.ErrAccessDenied, 1},
		"too large":                 {oauthstore.ErrRecordTooLarge, oauthstore.ErrRecordTooLarge, 1},
		"something else":            {errors.New("something else"), nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				save(t, m.store(), under("x", "alice"))
				m.forgetCalls()
				m.around = refuse(put, xName, c.failure)
				begin := time.Now()
				err := m.store().SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "x", Scope: "s"})
				wantIs(t, err, c.failure)
				if c.want != nil {
					wantIs(t, err, c.want)
				}
				if got := m.count(put, xName); got != c.tries {
					t.Errorf("got %d tries, want %d", got, c.tries)
				}
				if took, most := time.Since(begin), maxConflicts*longestPause; took > most {
					t.Errorf("took %v, want at most %v", took, most)
				}
				m.around = nil
				m.wantConsistent(t)
			})
		})
	}
}

// refuse is an around that fails one kind of calls.
func refuse(op, name string, failure error) func(context.Context, call, func() error) error {
	return func(_ context.Context, c call, run func() error) error {
		if c.op == op && c.name == name {
			return failure
		}
		return run()
	}
}

func TestPatience_aDeleteEndsToo(t *testing.T) {
	for name, c := range map[string]struct {
		failure, want error
		tries         int
	}{
		"other writers keep coming": {ErrConflict, oauthstore.ErrUnavailable, maxConflicts},
		"the service is down":       {oauthstore.ErrUnavailable, oauthstore.ErrUnavailable, 1 + maxFailures},
		"denied":                    {oauthstore.ErrAccessDenied, oauthstore.ErrAccessDenied, 1},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				save(t, m.store(), under("x", "alice"))
				m.around = refuse(del, xName, c.failure)
				err := m.store().DeleteToken(t.Context(), "x")
				wantIs(t, err, c.want)
				if got := m.count(del, xName); got != c.tries {
					t.Errorf("got %d tries, want %d", got, c.tries)
				}
				m.wantIDs(t, "x")
				m.wantConsistent(t)
			})
		})
	}
}

func TestPatience_aBlockedNameIsWaitedForAWhile(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		freed := time.Now().Add(time.Minute)
		m.around = func(ctx context.Context, c call, run func() error) error {
			if c.op == put && c.name == xName && time.Now().Before(freed) {
				return fmt.Errorf("%w: %w", oauthstore.ErrUnavailable, ErrBlocked)
			}
			return run()
		}
		save(t, m.store(), under("x", "alice"))
		m.wantIDs(t, "x")

		freed = time.Now().Add(time.Hour)
		remove(t, m.store(), "x")
		begin := time.Now()
		token := under("x", "alice")
		err := m.store().SaveToken(t.Context(), &token)
		wantIs(t, err, oauthstore.ErrUnavailable)
		wantIs(t, err, ErrBlocked)
		// An insert that has waited for maxInsert starts over, and each start waits again.
		if took, most := time.Since(begin), (maxBlocked+longestPause)*maxConflicts; took > most {
			t.Errorf("took %v, want at most %v", took, most)
		}
		m.wantIDs(t)
		m.wantConsistent(t)
	})
}

func TestPatience_theIndexIsTriedAsOftenAsARecord(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.around = refuse(put, indexName, ErrConflict)
		token := under("x", "alice")
		wantIs(t, m.store().SaveToken(t.Context(), &token), oauthstore.ErrUnavailable)
		if got := m.count(put, indexName); got != maxConflicts {
			t.Errorf("got %d tries, want %d", got, maxConflicts)
		}
		if got := m.count(put, xName); got != 0 {
			t.Errorf("got %d writes of a record that is not listed", got)
		}
	})
}

// Whenever the record is to be written it is gone, and whenever it is to be inserted it is there.
func TestPatience_startingOverEndsToo(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		other := m.store()
		save(t, other, under("x", "alice"))
		type disturbed struct{}
		m.around = func(ctx context.Context, c call, run func() error) error {
			if c.op == put && c.name == xName && ctx.Value(disturbed{}) != nil {
				if tokens, _, _ := m.content(t); tokens["x"] != nil {
					remove(t, other, "x")
				} else {
					save(t, other, under("x", "alice"))
				}
			}
			return run()
		}
		ctx := context.WithValue(t.Context(), disturbed{}, true)
		begin := time.Now()
		err := m.store().SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", UserName: "alice", RefreshToken: "new"})
		wantIs(t, err, oauthstore.ErrUnavailable)
		if took, most := time.Since(begin), 2*maxConflicts*longestPause; took > most {
			t.Errorf("took %v, want at most %v", took, most)
		}
		m.wantConsistent(t)
	})
}

func TestWait_endsWithTheContext(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		m.around = refuse(put, xName, ErrConflict)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		wantIs(t, m.store().SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", Scope: "s"}), context.DeadlineExceeded)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("took %v, want 1s", took)
		}
	})
}

func TestSave_thatChangesNothingWritesNothing(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		token := save(t, s, under("x", "alice"))
		m.forgetCalls()
		for range 100 {
			save(t, s, *token)
			save(t, s, under("x", "alice"))
			save(t, s, oauthstore.OAuthToken{UserName: "alice"})
		}
		if got := m.count(put, ""); got != 0 {
			t.Errorf("got %d writes, want none", got)
		}
	})
}

// A service that takes two writes a second, and a client that does not try again.
func TestPatience_aLimitWithAWindowIsWaitedFor(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Window = time.Second
		for range maxThrottles {
			m.on(put, xName, fails(oauthstore.ErrThrottled))
		}
		save(t, m.store(), under("x", "alice"))
		for range maxThrottles + 1 {
			m.on(put, xName, fails(oauthstore.ErrThrottled))
		}
		wantIs(t, m.store().SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "x", Scope: "s"}), oauthstore.ErrThrottled)
		m.wantRulesUsed(t)
		m.wantConsistent(t)
	})
}

// Each start over writes the index, of which services keep few versions a day.
func TestPatience_anInsertThatKeepsFailingStartsOverAFewTimes(t *testing.T) {
	for _, failure := range []error{errLost, oauthstore.ErrThrottled} {
		virtually(t, func(t *testing.T) {
			m := newMemory()
			m.around = refuse(put, xName, failure)
			token := under("x", "alice")
			err := m.store().SaveToken(t.Context(), &token)
			wantIs(t, err, failure)
			if got := m.count(put, indexName); got > maxInserts {
				t.Errorf("got %d writes of the index, want at most %d", got, maxInserts)
			}
			m.around = nil
			save(t, m.store(), under("x", "alice"))
			m.wantConsistent(t)
		})
	}
}
