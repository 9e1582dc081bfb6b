package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/oauthstore/oauthstore"
)

// Whether a lease is still held, and what is written because it is, is one step. These checks let the holder of a
// lease meet another caller, who comes in between where it is two.

// A met is a lease whose holder meets another caller.
type met struct {
	*subject          // the holder's process
	other    *subject // the other's
	round    int
	before   *oauthstore.OAuthToken // what is stored when both begin
	mine     *oauthstore.Lease      // the holder's
	seen     *oauthstore.Lease      // the same, as the other has seen it
	head     time.Duration          // how much earlier one of the two begins
}

// meeting returns a check that runs run on several leases, one after another. By turns the holder and the other get a
// head start of less than the time that a save takes, so that one meets the other half-way, however slow the store.
func meeting(rounds int, run func(m *met)) func(t *subject) {
	return leasing(func(t *subject) {
		for round := range rounds {
			begin := time.Now()
			before := literal(t.save(full(fmt.Sprint("user ", round))))
			head := rand.N(time.Since(begin) + 1)
			run(&met{t, t.process(1), round, before, t.held(before.ID), t.process(1).lease(before.ID), head})
			t.deleteAll()
		}
	})
}

// meet lets the holder and the other do their work at the same time.
func (m *met) meet(holder, other func() error) {
	m.Helper()
	work := []func() error{holder, other}
	m.together(len(work), func(i int) error {
		if i == m.round%2 {
			time.Sleep(m.head)
		}
		return work[i]()
	})
}

// takeSeen takes over what the other has seen, for use in meet.
func (m *met) takeSeen() (l *oauthstore.Lease, err error) {
	err = patiently(func() (err error) {
		l, err = m.other.leaser.LeaseToken(m.Context(), oauthstore.LeaseRequest{ID: m.before.ID, For: time.Minute, TakeOver: m.seen})
		return err
	})
	return l, err
}

// saveLeasedTogether is SaveLeased for use in meet. It leaves token as it is.
func (t *subject) saveLeasedTogether(l *oauthstore.Lease, token *oauthstore.OAuthToken) error {
	saved := *token
	return patiently(func() error { return t.leaser.SaveLeased(t.Context(), l, &saved) })
}

// except returns err unless it is target.
func except(err, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return err
}

// wantOnly demands that token is all that is stored.
func (m *met) wantOnly(token *oauthstore.OAuthToken) {
	m.Helper()
	m.wantStored(token)
	m.wantSame("FindTokenByID", m.byID(token.ID), token)
}

// wantLeft demands that l is the lease on the token under id, or that there is none where it is nil.
func (m *met) wantLeft(id string, l *oauthstore.Lease) {
	m.Helper()
	if l != nil {
		m.wantLeased(l)
	} else if l = m.held(id); l.TakenOver {
		m.Errorf("LeaseToken(%q): got a lease taken over, want one that nobody had", id)
	}
}

// takenAtSave lets the holder save what make makes while another takes the lease over and saves too.
func takenAtSave(make func(l *oauthstore.Lease, name string) *oauthstore.OAuthToken) func(m *met) {
	return func(m *met) {
		mine := make(m.mine, "of the holder")
		var theirs *oauthstore.OAuthToken
		var next *oauthstore.Lease
		var first, second error
		m.meet(func() error {
			first = m.saveLeasedTogether(m.mine, mine)
			return except(first, oauthstore.ErrLeaseLost)
		}, func() (err error) {
			if next, err = m.takeSeen(); err != nil || !next.Held {
				return err
			}
			if theirs = refreshed(next, "of the other"); m.round%4 < 2 {
				theirs = rotated(next, "of the other")
			}
			second = m.other.saveLeasedTogether(next, theirs)
			return except(second, oauthstore.ErrLeaseLost)
		})
		if next == nil || !next.Held {
			m.Fatalf("LeaseToken that takes over a lease, or comes after the holder's save: got %v, want the lease", next)
		}
		read, stays := m.before, theirs
		var wantFirst, wantSecond error
		var left *oauthstore.Lease
		switch rotates := mine.RefreshToken != m.before.RefreshToken; {
		case !next.TakenOver: // the holder's save came before, and gave the lease back
			read = mine
		case rotates && first == nil: // it came between the two, and the provider takes no other refresh token any more
			stays, wantSecond, left = mine, oauthstore.ErrLeaseLost, next
		default:
			wantFirst = oauthstore.ErrLeaseLost
		}
		m.wantSame(fmt.Sprintf("the token of a lease (taken over: %v)", next.TakenOver), next.Token, read)
		m.wantError("SaveLeased by the holder", first, wantFirst)
		m.wantError("SaveLeased by who has taken over", second, wantSecond)
		m.wantOnly(stays)
		m.wantLeft(stays.ID, left)
	}
}

func takenAtRenewal(m *met) {
	time.Sleep(2 * time.Millisecond) // so that it is renewed to another time
	var next *oauthstore.Lease
	var renewed error
	m.meet(func() error {
		renewed = patiently(func() error { return m.leaser.RenewLease(m.Context(), m.mine) })
		return except(renewed, oauthstore.ErrLeaseLost)
	}, func() (err error) {
		next, err = m.takeSeen()
		return err
	})
	if next == nil {
		m.Fatalf("LeaseToken: got no lease")
	}
	winner, loser := m.mine, next
	if next.Held {
		winner, loser = next, m.mine
	}
	switch {
	case !next.Held:
		m.wantError("RenewLease of a lease that was not taken over", renewed, nil)
	case renewed == nil && !m.mine.Until.Equal(m.seen.Until): // what is renewed to the time that it had looks as it did
		m.Errorf("RenewLease and LeaseToken, which has seen it before: got %v and %v, want one of them", m.mine, next)
	}
	m.wantLeased(winner)
	m.wantError("SaveLeased by who does not have the lease", m.leaser.SaveLeased(m.Context(), loser, refreshed(loser, "lost")), oauthstore.ErrLeaseLost)
	m.wantOnly(m.before)
	token := refreshed(winner, "new")
	m.saveLeased(winner, token)
	m.wantOnly(token)
}

func takenAtRelease(m *met) {
	var next *oauthstore.Lease
	m.meet(func() error {
		return patiently(func() error { return m.leaser.ReleaseLease(m.Context(), m.mine) })
	}, func() (err error) {
		next, err = m.takeSeen()
		return err
	})
	if next == nil || !next.Held {
		m.Fatalf("LeaseToken that takes over a lease, or comes after it was given back: got %v, want the lease", next)
	}
	m.wantLeased(next)
	m.wantOnly(m.before)
}

// A use is a call of one of the methods that have to do with a lease.
type use struct {
	saves *oauthstore.OAuthToken                     // what is stored after it
	gone  error                                      // what it returns where the record was deleted
	call  func() (left *oauthstore.Lease, err error) // left is the lease after it, nil where nobody has one
}

// use returns each of them in two rounds of eight, of which one begins with it.
func (m *met) use() use {
	token := rotated(m.mine, "new")
	uses := []use{
		{literal(token), oauthstore.ErrTokenNotFound, func() (*oauthstore.Lease, error) {
			return nil, m.saveLeasedTogether(m.mine, token)
		}},
		{m.before, oauthstore.ErrLeaseLost, func() (*oauthstore.Lease, error) {
			return m.mine, patiently(func() error { return m.leaser.RenewLease(m.Context(), m.mine) })
		}},
		{m.before, nil, func() (*oauthstore.Lease, error) {
			return nil, patiently(func() error { return m.leaser.ReleaseLease(m.Context(), m.mine) })
		}},
		{m.before, oauthstore.ErrTokenNotFound, m.takeSeen},
	}
	return uses[m.round/2%len(uses)]
}

// during lets u, which may fail with target, meet the other's work. It returns the lease that u has left.
func (m *met) during(u use, target error, other func() error) (left *oauthstore.Lease) {
	m.Helper()
	m.meet(func() error {
		l, err := u.call()
		if err == nil {
			left = l
		}
		return except(err, target)
	}, other)
	return left
}

func deletedAtUse(m *met) {
	u := m.use()
	m.during(u, u.gone, func() error { return m.other.deleteTogether(m.before.ID) })
	m.wantGone(m.before)
	m.wantStored()
}

func replacedAtUse(m *met) {
	u := m.use()
	next := full(m.before.UserName) // with the same refresh token, even
	next.Scope = "of a new consent"
	left := m.during(u, u.gone, func() error {
		if err := m.other.deleteTogether(m.before.ID); err != nil {
			return err
		}
		return m.other.saveTogether(next)
	})
	m.wantOnly(next)
	if left == m.mine || left != nil && left.TakenOver {
		left = nil // it went with the record
	}
	m.wantLeft(next.ID, left)
}

func savedAtUse(m *met) {
	u := m.use()
	want := literal(u.saves)
	want.Scope = "another"
	left := m.during(u, nil, func() error {
		return m.other.saveTogether(&oauthstore.OAuthToken{ID: want.ID, Scope: want.Scope})
	})
	m.wantOnly(want)
	m.wantLeft(want.ID, left)
}
