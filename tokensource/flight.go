package tokensource

import (
	"context"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/panics"
)

// A flight is work that several callers wait for. Its result is there once done is closed.
type flight struct {
	done  chan struct{}
	token *oauthstore.OAuthToken
	err   error
}

// land ends the wait.
func (f *flight) land(token *oauthstore.OAuthToken, err error) {
	f.token, f.err = token, err
	close(f.done)
}

// fail ends the wait with err if work has not ended it.
func (f *flight) fail(err error) {
	select {
	case <-f.done:
	default:
		f.land(nil, err)
	}
}

// begin runs work in the background, with the values of ctx but not its end, until Shutdown gives up.
func (t *Tokens) begin(ctx context.Context, work func(context.Context, *flight)) *flight {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		f := &flight{done: make(chan struct{})}
		f.land(nil, ErrShutdown)
		return f
	}
	return t.launch(ctx, work)
}

// launch is begin for work that other work has begun. The caller has locked t.mu. If work panics, that is the error of
// those who wait.
func (t *Tokens) launch(ctx context.Context, work func(context.Context, *flight)) *flight {
	f := &flight{done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(t.lifetimes, cancel)
	if t.running++; t.running == 1 {
		t.idle = make(chan struct{})
	}
	go panics.Run(func() { work(ctx, f) }, func(p *panics.Error) {
		defer t.landed()
		stop()
		cancel()
		if p != nil {
			f.fail(p)
		}
	})
	return f
}

// landed counts a goroutine out.
func (t *Tokens) landed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running--; t.running == 0 {
		close(t.idle)
	}
}

// fly is run, and then others no longer wait for r, however run has ended.
func (r *refresh) fly(ctx context.Context) (*oauthstore.OAuthToken, error) {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.flights, r.id)
		if r.answer != nil {
			r.unsaved[r.id] = r.answer
		}
	}()
	return r.run(ctx)
}

// refresh returns a good token in the place of the stale one, which is, or soon will not be, good. All callers of this
// process, each in a flight of its own, share one refresh of a record. A token beside an error could not be stored.
func (t *Tokens) refresh(ctx context.Context, old stale) (*oauthstore.OAuthToken, error) {
	if err := t.heldOff(old.token); err != nil {
		return nil, err
	}
	id := old.token.ID
	t.mu.Lock()
	if a := t.unsaved[id]; a != nil {
		t.mu.Unlock()
		return a.token, a.err
	}
	f := t.flights[id]
	if f == nil {
		f = t.launch(ctx, func(ctx context.Context, f *flight) {
			r := &refresh{Tokens: t, stale: old, id: id, begun: time.Now()}
			token, err := r.fly(ctx)
			if err == nil {
				t.forget(id)
			}
			t.holdOff(old.token, err)
			r.report(ctx, err)
			f.land(token, err)
			if r.answer != nil {
				r.keepSaving(ctx)
			}
		})
		t.flights[id] = f
	}
	t.mu.Unlock()
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
