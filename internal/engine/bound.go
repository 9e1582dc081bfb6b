package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore/internal/overdue"
)

// maxCall is how long a call about one record goes on if its caller has set no deadline; it is never less than two steps
// may take. A call that has to read many records may take so long for each of them.
const maxCall = time.Minute

// errOverdue is the cause with which the context of a call ends that goes on for too long.
var errOverdue = errors.New("the call took too long")

// timerKey is the key under which a context has the timer that ends it.
type timerKey struct{}

// bound bounds a call in time, unless its caller has. end, to be deferred, makes the error of a call that was ended so.
func (s *Store) bound(caller context.Context) (ctx context.Context, end func(err *error)) {
	if _, ok := caller.Deadline(); ok {
		return caller, func(*error) {}
	}
	most := max(maxCall, 2*s.timeout)
	ctx, cancel := context.WithCancelCause(caller)
	timer := time.AfterFunc(most, func() { cancel(errOverdue) })
	return context.WithValue(ctx, timerKey{}, boundTimer{timer, most}), func(err *error) {
		if *err != nil && caller.Err() == nil && context.Cause(ctx) == errOverdue {
			*err = overdue.New(fmt.Sprintf("gave up after %v", most), *err)
		}
		timer.Stop()
		cancel(nil)
	}
}

type boundTimer struct {
	*time.Timer
	most time.Duration
}

// progressed lets the time of a bounded call begin again: one of many records was read.
func progressed(ctx context.Context) { untimed(ctx, func() {}) }

// untimed stops the time of a bounded call while do runs. Then the time begins again.
func untimed(ctx context.Context, do func()) {
	t, ok := ctx.Value(timerKey{}).(boundTimer)
	running := ok && t.Stop()
	do()
	if running {
		t.Reset(t.most)
	}
}

func isContext(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// ended reports whether ctx has ended, or is just ending: clients may know that before it does.
func ended(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}
