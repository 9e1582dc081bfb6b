package tokensource

import (
	"context"
	"errors"
	"time"

	"github.com/oauthstore/oauthstore"
)

// save stores the provider's answer, next, and returns what is stored. Where the store does not take it after some
// tries, the answer is left to keepSaving, and callers get it beside the error; end is called once that is over.
func (r *refresh) save(ctx context.Context, next *oauthstore.OAuthToken, save func(context.Context) error, end func()) (*oauthstore.OAuthToken, error) {
	r.waited = false // it is we who have refreshed it
	err := r.patiently(ctx, func(int) error { return save(ctx) }, func(attempt int, err error) {
		r.tell(ctx, Event{Kind: SaveRetried, ID: r.id, Attempt: attempt, Err: err})
	})
	if token, err, over := r.settle(ctx, next, err); over {
		end()
		return token, err
	}
	r.answer = &answer{token: next, err: &NotSavedError{ID: r.id, Err: err}, save: save, end: end}
	return r.answer.given(r.Tokens)
}

// settle says what comes of a save, and whether that is the end of it.
func (r *refresh) settle(ctx context.Context, next *oauthstore.OAuthToken, err error) (token *oauthstore.OAuthToken, _ error, over bool) {
	var quota *oauthstore.WriteQuotaError
	switch {
	case err == nil:
		r.tell(ctx, Event{Kind: Refreshed, ID: r.id, Duration: time.Since(r.begun)})
		return next, nil, true
	case errors.Is(err, oauthstore.ErrLeaseLost):
		r.tell(ctx, Event{Kind: LeaseLost, ID: r.id, Err: err})
		return nil, errAgain, true
	case errors.Is(err, oauthstore.ErrTokenNotFound):
		return nil, oauthstore.ErrTokenNotFound, true // logged out meanwhile
	case errors.As(err, &quota):
		r.tell(ctx, Event{Kind: SaveFailed, ID: r.id, Err: err})
		return next, nil, true // an access token that can be had again, and no writes left for it
	default:
		return nil, err, false
	}
}

// keepSaving tries again to store the answer until that succeeds, or is no longer of use, or ctx ends.
func (r *refresh) keepSaving(ctx context.Context) {
	a := r.answer
	defer a.end()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.unsaved, r.id)
	}()
	for failures := 1; ; failures++ {
		if errors.Is(a.err.Err, oauthstore.ErrInvalidToken) || errors.Is(a.err.Err, oauthstore.ErrRecordTooLarge) {
			r.tell(ctx, Event{Kind: SaveFailed, ID: r.id, Err: a.err.Err})
			return
		}
		if err := sleep(ctx, pause(failures, time.Second, 30*time.Second)); err != nil {
			r.tell(ctx, Event{Kind: SaveFailed, ID: r.id, Err: a.err.Err})
			return
		}
		err := a.save(ctx)
		if _, _, over := r.settle(ctx, a.token, err); over {
			return
		}
		r.tell(ctx, Event{Kind: SaveRetried, ID: r.id, Attempt: saveTries + failures, Err: err})
	}
}
