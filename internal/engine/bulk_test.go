package engine

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
)

// A service takes so many writes a minute of all callers together, and its client does not try again.

// metered lets the service take so many writes a minute, counted from the first.
func (m *memory) metered(perMinute int) {
	var mu sync.Mutex
	var began time.Time
	n := 0
	m.limits.Window = time.Second
	m.around = func(_ context.Context, c call, run func() error) error {
		switch c.op {
		case put, del, bury, destroy:
			mu.Lock()
			defer mu.Unlock()
			if time.Since(began) >= time.Minute {
				began, n = time.Now(), 0
			}
			if n++; n > perMinute {
				return fmt.Errorf("%w: %s", oauthstore.ErrThrottled, c)
			}
		}
		return run()
	}
}

func TestDeleteTokens_goesOnWhereItHasUsedUpAQuota(t *testing.T) {
	eachKindVirtually(t, func(t *testing.T, m *memory) {
		m.limits.Page = 2000
		fill(t, m.store(), 100)
		m.metered(30)
		begin := time.Now()
		wantNoError(t, m.store().DeleteTokens(t.Context()))
		if took := time.Since(begin); took < 3*time.Minute || took > 20*time.Minute {
			t.Errorf("took %v, want the time that the quota asks for", took)
		}
		m.wantIDs(t)
		if _, _, entries := m.content(t); len(entries) > 0 {
			t.Errorf("%d entries are left in the index", len(entries))
		}
		if pages := m.linked(t, place{indexName, everywhere}); len(pages) > 0 {
			t.Errorf("%d pages are left, want them joined", len(pages))
		}
	})
}

func TestDeleteTokens_endsWithTheContextWhereAQuotaIsUsedUp(t *testing.T) {
	eachKindVirtually(t, func(t *testing.T, m *memory) {
		fill(t, m.store(), 100)
		m.metered(30)
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		begin := time.Now()
		wantIs(t, m.store().DeleteTokens(ctx), context.DeadlineExceeded)
		if took := time.Since(begin); took != 90*time.Second {
			t.Errorf("took %v, want 1m30s", took)
		}
		wantNoError(t, m.store().DeleteTokens(t.Context()))
		m.wantIDs(t)
	})
}

func TestDeleteTokens_givesUpWhereNothingGetsThroughForLong(t *testing.T) {
	eachKindVirtually(t, func(t *testing.T, m *memory) {
		fill(t, m.store(), 100)
		m.metered(0)
		begin := time.Now()
		wantIs(t, m.store().DeleteTokens(t.Context()), oauthstore.ErrThrottled)
		if took := time.Since(begin); took < time.Minute || took > 2*maxStalled {
			t.Errorf("took %v, want more than a minute and at most %v", took, 2*maxStalled)
		}
	})
}

func TestRepair_goesOnWhereItHasUsedUpAQuota(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.tombstones = true
		m.limits.Page = 2000
		ids := fill(t, m.store(), 100)
		m.around = func(_ context.Context, c call, run func() error) error {
			if c.op == destroy {
				return context.Canceled
			}
			return run()
		}
		for _, id := range ids[:50] {
			_ = m.store().DeleteToken(t.Context(), id)
		}
		m.metered(10)
		report, err := m.store().Repair(t.Context(), oauthstore.RepairOptions{})
		wantNoError(t, err)
		if len(report.Unfinished) != 50 {
			t.Errorf("got %d unfinished deletions, want 50", len(report.Unfinished))
		}
		m.around = nil
		m.wantIDs(t, ids[50:]...)
		m.wantConsistent(t)
		again, err := m.store().Repair(t.Context(), oauthstore.RepairOptions{})
		if err != nil || !again.Clean() {
			t.Errorf("a second repair: got %+v and error %v, want nothing to do", again, err)
		}
	})
}

// Who saves one token has somebody waiting, and is not to wait for a write of the index by a call that deletes all.
func TestSaveToken_doesNotWaitForAQuotaAsLongAsACallOfManyWrites(t *testing.T) {
	eachKindVirtually(t, func(t *testing.T, m *memory) {
		s := m.store()
		fill(t, s, 3)
		m.limits.Window = time.Second
		begin := time.Now()
		m.around = func(_ context.Context, c call, run func() error) error {
			if c.op == put && c.name == indexName && time.Since(begin) < time.Minute {
				return oauthstore.ErrThrottled
			}
			return run()
		}
		deleted := start(func() error { return s.DeleteTokens(t.Context()) })
		time.Sleep(time.Millisecond)
		token := under("x", "alice")
		wantIs(t, s.SaveToken(t.Context(), &token), oauthstore.ErrThrottled)
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("took %v, want at most 20s", took)
		}
		wantNoError(t, deleted())
		m.wantIDs(t)
	})
}

// Reading all of a large store takes longer than a bulk goes on while nothing gets through.
func TestBulk_whatItHasReadForIsNotWhatItHasWaitedFor(t *testing.T) {
	throttled := fails(fmt.Errorf("%w: a minute's quota", oauthstore.ErrThrottled))
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Window = 5 * time.Second
		save(t, m.store(), under("x", "alice"))
		m.on(get, indexName, func(run func() error) error { time.Sleep(2 * maxStalled); return run() })
		m.on(del, "token_x", throttled)
		wantNoError(t, m.store().DeleteTokens(t.Context()))
	})
}
