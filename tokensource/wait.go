package tokensource

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/oauthstore/oauthstore"
)

// part returns a random part of d.
func part(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}

// pause is how long to wait after so many failures: a random time, of which the longest doubles.
func pause(failures int, first, longest time.Duration) time.Duration {
	d := min(first<<min(failures-1, 16), longest)
	return d/2 + part(d/2)
}

// sleep waits, or ends with ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// saveTries is how often a token is saved before callers are told that it is not.
const saveTries = 3

// patiently calls do some times, as long as it fails in a way that may pass, and failed before it does so again.
func (t *Tokens) patiently(ctx context.Context, do func(attempt int) error, failed func(attempt int, err error)) error {
	for attempt := 1; ; attempt++ {
		err := do(attempt)
		if err == nil || attempt == saveTries || !mayPass(err) {
			return err
		}
		failed(attempt, err)
		if sleep(ctx, pause(attempt, 100*time.Millisecond, time.Second)) != nil {
			return err
		}
	}
}

func isWriteQuota(err error) bool {
	var quota *oauthstore.WriteQuotaError
	return errors.As(err, &quota)
}

// mayPass reports whether a store's failure is one after which the same call may succeed.
func mayPass(err error) bool {
	if isWriteQuota(err) {
		return false
	}
	return errors.Is(err, oauthstore.ErrUnavailable) || errors.Is(err, oauthstore.ErrThrottled) || errors.Is(err, context.DeadlineExceeded)
}
