package engine

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore"
)

// commit makes one write to the secret name and sees it through. cur is what the caller has read.
//
// change returns the record to write in place of cur, nil for none, or an error to stop with. It is
// asked again, with what was read anew and the failure that made it necessary, until a write takes
// effect; so it must be safe to ask twice. Commit returns the state in which the write had taken
// effect, after which another writer may have been there, and which of the records of change it was: 0
// is the first, -1 if there was nothing to write.
//
// If it fails, after is the state that was read last. The error is unsettled if a write may take effect, or have taken
// effect, after that. Otherwise a write may still have taken effect before, if more writes of others came since than a
// record remembers: only what the write itself leaves in the record shows it.
//
// Steps write.2 to write.4.
func (s *Store) commit(ctx context.Context, name string, cur state, tidy int,
	change func(cur state, failure error) (*Record, error)) (after state, try int, err error) {
	var mine []string // the write ids of this call
	var failure error
	p := s.patience(name)
	looked := true                  // since the last write that may have taken effect
	unsure, mayCome := false, false // one may yet; and whatever is written meanwhile
	defer func() {
		if err != nil && (unsure || !looked) {
			err = unsettled{err, mayCome}
		}
	}()
	for {
		rec, err := change(cur, failure)
		if err != nil || rec == nil {
			return cur, -1, err
		}
		stamp(rec, cur, s.quota())
		mine = append(mine, rec.WriteID)
		var rev Rev
		if rev, failure = s.put(ctx, name, cur.rev, *rec, tidy); failure == nil {
			return state{*rec, rev}, len(mine) - 1, nil
		}
		looked = notWritten(failure)
		unsure, mayCome = unsure || !over(failure), mayCome || errors.Is(failure, ErrMayCome)
		more := p.take(ctx, failure)
		switch {
		case !final(failure):
			if err := waitAfter(ctx, failure, more); err != nil {
				return cur, -1, err
			}
		case looked || !over(failure):
			return cur, -1, failure
		}
		// A failed write may have taken effect all the same: its answer was lost, or the service's client tried
		// twice, met itself, and was refused. The newest record knows.
		next, err := s.get(ctx, name, superseded(cur, failure))
		switch {
		case err != nil && final(failure):
			return cur, -1, failure
		case err != nil:
			return cur, -1, err
		}
		looked = true
		cur = next
		if try := cur.rec.lastOf(mine); try >= 0 {
			return cur, try, nil
		}
		switch {
		case final(failure):
			return cur, -1, failure
		case more == giveUp:
			return cur, -1, s.tired(name, failure)
		}
	}
}

// unsettled is the error of a call whose write may have taken effect, or may still.
type unsettled struct {
	error
	mayCome bool // whatever is written meanwhile
}

// Unwrap returns the error itself.
func (u unsettled) Unwrap() error { return u.error }

// isUnsettled reports whether err says that a write may have taken effect, or may still.
func isUnsettled(err error) bool {
	var u unsettled
	return errors.As(err, &u)
}

// isOpen reports whether err is of a call whose write may take effect whatever is written meanwhile.
func isOpen(err error) bool {
	var u unsettled
	return errors.As(err, &u) && u.mayCome
}

// notWritten reports whether a failed write surely has stored nothing and will not.
func notWritten(failure error) bool {
	return failure == nil || errors.Is(failure, ErrNotWritten) || errors.Is(failure, ErrBlocked)
}

// over reports whether a failed write will store nothing any more. It may have stored something: if the service's
// client sends a request twice, the service refuses the second.
func over(failure error) bool {
	if isUnsettled(failure) {
		return false
	}
	for _, refusal := range []error{ErrConflict, ErrExhausted, oauthstore.ErrAccessDenied, oauthstore.ErrRecordTooLarge} {
		if errors.Is(failure, refusal) {
			return true
		}
	}
	return notWritten(failure)
}

// stamp makes next the successor of cur, where the service has the quota.
func stamp(next *Record, cur state, q quota) {
	next.WriteID = newNonce()
	next.Base = cur.rev
	next.Earlier, next.Expires = nil, time.Time{}
	if cur.rec.WriteID != "" {
		earlier := append([]string{cur.rec.WriteID}, cur.rec.Earlier...)
		next.Earlier = earlier[:min(len(earlier), maxEarlier)]
	}
	now := time.Now()
	next.Writes = cur.rec.Writes.add(q, now)
	if !q.none() || !cur.rec.Written.IsZero() {
		next.Written = now
	}
}

// newNonce returns 72 random bits.
func newNonce() string {
	b := make([]byte, 9)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// superseded is the revision that a failed write has shown to be an old one, or may have made one by itself.
func superseded(cur state, failure error) Rev {
	if errors.Is(failure, ErrConflict) || over(failure) && !notWritten(failure) {
		return cur.rev
	}
	return None
}

// final reports whether trying again cannot help.
func final(err error) bool {
	if errors.Is(err, ErrExhausted) {
		return true
	}
	for _, passing := range []error{ErrConflict, ErrBlocked, ErrBehind, oauthstore.ErrThrottled, oauthstore.ErrUnavailable} {
		if errors.Is(err, passing) {
			return false
		}
	}
	return true
}

// How often one call tries again before it leaves that to its caller. Failures get few tries: the
// service's client has tried already.
const (
	maxConflicts  = 24
	maxFailures   = 2
	maxThrottles  = 4               // where the service's limit has a window that is worth waiting for
	maxBlocked    = 2 * time.Minute // below maxInsert; a forced deletion of a secret in AWS ends within seconds
	conflictPause = 10 * time.Millisecond
	failurePause  = 100 * time.Millisecond
	longestPause  = 2 * time.Second
)

// patience counts the failures of one call.
type patience struct {
	store  *Store
	name   string        // of the secret, empty where it is about several
	window time.Duration // over which the service counts; 0 is not worth waiting for
	longer int           // how often the pause doubles if the call is throttled, from twice the window
	most   int           // tries if the call is throttled
	fails  int           // failures after which it is tried again
	bulk   *bulk         // which decides on that instead, if the call is a write of one

	tries, conflicts, failures, throttles, blocks int
	start                                         time.Time
}

func (s *Store) patience(name string) patience {
	return patience{store: s, name: name, window: s.driver.Limits().Window, longer: 2, most: maxThrottles, fails: maxFailures, bulk: s.bulk}
}

// patienceOfMany is for reads of many secrets, which may be more in a second than the service allows: then one may be
// refused again and again, since others get through. A few refusals cost little; the pauses grow if there are many.
func (s *Store) patienceOfMany(name string) patience {
	return patience{store: s, name: name, window: 20 * time.Millisecond, longer: 6, most: 3 * maxThrottles, fails: maxFailures}
}

// outlasts waits where a call was throttled, and reports whether it is to be made again.
func (p *patience) outlasts(ctx context.Context, err error) bool {
	if !errors.Is(err, oauthstore.ErrThrottled) || final(err) {
		return false
	}
	pause := p.take(ctx, err)
	return pause != giveUp && wait(ctx, pause) == nil
}

// giveUp, as the answer of take, is no more tries.
const giveUp time.Duration = -1

// take counts a failure and returns how long to wait at most before the next try.
func (p *patience) take(ctx context.Context, err error) time.Duration {
	pause := p.count(err)
	if pause != giveUp && !final(err) {
		p.tries++
		p.store.retry(ctx, p.name, p.tries, pause, err)
	}
	return pause
}

func (p *patience) count(err error) time.Duration {
	if p.start.IsZero() {
		p.start = time.Now()
	}
	switch {
	case errors.Is(err, ErrBlocked):
		p.blocks++
		return next(elapsed(p.start) < maxBlocked, failurePause, p.blocks)
	case errors.Is(err, oauthstore.ErrThrottled) && p.window > 0:
		p.throttles++
		more, longest := p.throttles <= p.most, p.longer
		if p.bulk != nil {
			more, longest = !p.bulk.stalled(), 4
		}
		if !more {
			return giveUp
		}
		return p.window << min(p.throttles, longest)
	case errors.Is(err, ErrConflict), errors.Is(err, ErrBehind):
		p.conflicts++
		return next(p.conflicts < maxConflicts, conflictPause, p.conflicts)
	default:
		p.failures++
		return next(p.failures <= p.fails, failurePause, p.failures)
	}
}

// next doubles the pause with each failure.
func next(more bool, pause time.Duration, failures int) time.Duration {
	if !more {
		return giveUp
	}
	return min(pause<<min(failures, 10), longestPause)
}

// waitAfter is wait after a failure. If ctx ends, the text of its error names the failure too. It does not wrap the
// failure: callers must not take that for the write's outcome.
func waitAfter(ctx context.Context, failure error, longest time.Duration) error {
	if err := wait(ctx, longest); err != nil {
		return fmt.Errorf("%w (%v)", err, failure)
	}
	return nil
}

// wait waits for a random part of longest ("full jitter"), or for the end of ctx.
func wait(ctx context.Context, longest time.Duration) error {
	if longest <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(someOf(longest))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// someOf returns a random duration below longest.
func someOf(longest time.Duration) time.Duration {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return time.Duration(binary.BigEndian.Uint64(b) % uint64(longest))
}

// tired is the error of a call whose patience has ended.
func (s *Store) tired(name string, failure error) error {
	if errors.Is(failure, ErrConflict) || errors.Is(failure, ErrBlocked) || errors.Is(failure, ErrBehind) {
		return fmt.Errorf("%w: gave up on secret %s: %w", oauthstore.ErrUnavailable, s.driver.FullName(name), failure)
	}
	return failure
}
