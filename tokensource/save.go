package tokensource

import (
	"context"
	"errors"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/panics"
)

// save stores the provider's answer, next, and returns what is stored. Where the store does not take it after some
// tries, the answer is left to keepSaving, and callers get it beside the error; end is called once that is over.
func (r *refresh) save(ctx context.Context, next *oauthstore.OAuthToken, save func(context.Context) (*oauthstore.OAuthToken, error), end func()) (*oauthstore.OAuthToken, error) {
	r.waited = false // it is we who have refreshed it
	var stored *oauthstore.OAuthToken
	err := r.patiently(ctx, func(int) error {
		return panics.Try(func() (err error) { // a store that panics does not lose the token
			stored, err = save(ctx)
			return err
		})
	}, func(attempt int, err error) {
		r.observe(ctx, Event{Kind: SaveRetried, ID: r.id, Attempt: attempt, Err: err})
	})
	if over, err := r.settle(ctx, next, err); over {
		end()
		if err != nil {
			return nil, err
		}
		return stored, nil
	}
	r.answer = &answer{token: next, err: &NotSavedError{ID: r.id, Err: err}, save: save, end: end}
	return next, r.answer.err
}

// settle says whether a save was the last, and what callers get.
func (r *refresh) settle(ctx context.Context, next *oauthstore.OAuthToken, err error) (over bool, _ error) {
	switch {
	case err == nil:
		r.observe(ctx, Event{Kind: Refreshed, ID: r.id, Duration: time.Since(r.begun)})
		return true, nil
	case errors.Is(err, oauthstore.ErrLeaseLost):
		r.observe(ctx, Event{Kind: LeaseLost, ID: r.id, Err: err})
		return true, errAgain
	case errors.Is(err, oauthstore.ErrTokenNotFound):
		return true, errAgain // logged out meanwhile, and perhaps in again
	case isWriteQuota(err) && next.RefreshToken == r.token.RefreshToken:
		r.observe(ctx, Event{Kind: SaveFailed, ID: r.id, Err: err})
		return true, nil // an access token that can be had again, and no writes left for it
	default:
		return false, err
	}
}

// lastTry is how long the last save may take once all else has to end.
const lastTry = 2 * time.Second

// keepSaving tries again to store the answer until that succeeds, or is no longer of use, or ctx ends.
func (r *refresh) keepSaving(ctx context.Context) {
	a := r.answer
	defer a.end()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.unsaved, r.id)
	}()
	for failures, last := 1, false; ; failures++ {
		hopeless := errors.Is(a.err.Err, oauthstore.ErrInvalidToken) || errors.Is(a.err.Err, oauthstore.ErrRecordTooLarge)
		if last || hopeless {
			r.observe(ctx, Event{Kind: SaveFailed, ID: r.id, Err: a.err.Err})
			return
		}
		last = !r.rest(ctx, failures)
		trying, cancel := ctx, context.CancelFunc(func() {})
		if last {
			trying, cancel = context.WithTimeout(context.WithoutCancel(ctx), lastTry)
		}
		err := panics.Try(func() error { _, err := a.save(trying); return err })
		cancel()
		if over, _ := r.settle(ctx, a.token, err); over {
			return
		}
		r.observe(ctx, Event{Kind: SaveRetried, ID: r.id, Attempt: saveTries + failures, Err: err})
	}
}

// rest waits before the next try, at first not for long once the process is to end, and reports whether ctx still runs.
func (r *refresh) rest(ctx context.Context, failures int) bool {
	timer := time.NewTimer(pause(failures, time.Second, 30*time.Second))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.closed:
		r.hasty++
		return sleep(ctx, pause(r.hasty, 200*time.Millisecond, 10*time.Second)) == nil
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
