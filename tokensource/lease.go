package tokensource

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/panics"
)

// A watch sees a lease that another process has, and for how long it has not changed, by our own clock.
type watch struct {
	lease *oauthstore.Lease
	begun time.Time // when its holder was first seen
	since time.Time // when it was first seen as it is
}

// see takes a look at the lease and returns how long to wait until the next, but not for longer than the lease runs. So
// that callers without a token get a new one soon after it is there, the pauses are a part of the wait so far; who has
// a token is in no hurry.
//
// Step lease.take.2.
func (w *watch) see(l *oauthstore.Lease, hurry bool) time.Duration {
	now := time.Now()
	switch {
	case w.lease == nil || l.Holder != w.lease.Holder:
		*w = watch{l, now, now}
	case !l.Until.Equal(w.lease.Until):
		w.lease, w.since = l, now
	}
	d := 2 * time.Second
	if hurry {
		d = min(max(now.Sub(w.begun)/3, 100*time.Millisecond), time.Second)
	}
	return max(min(d/2+part(d/2), l.For-now.Sub(w.since)), time.Millisecond)
}

// ended is the lease if that has ended, else nil.
func (w *watch) ended() *oauthstore.Lease {
	if w.lease == nil || time.Since(w.since) < w.lease.For {
		return nil
	}
	return w.lease
}

// A holding is a lease that we have, and renew as long as it is of use.
type holding struct {
	leaser oauthstore.TokenLeaser
	lease  oauthstore.Lease // our own copy: renewing changes it
	stop   context.CancelFunc
	ended  chan struct{}

	mu      sync.Mutex
	renewed time.Time // when it was taken or last renewed, or that was asked for
	lost    error
}

// keepLease renews l until the holding ends, or ctx.
//
// Steps lease.renew.
func (t *Tokens) keepLease(ctx context.Context, leaser oauthstore.TokenLeaser, l *oauthstore.Lease) *holding {
	ctx, stop := context.WithCancel(ctx)
	// Taken a moment before Until less For: both are by this process's clock.
	h := &holding{leaser: leaser, lease: *l, stop: stop, ended: make(chan struct{}), renewed: time.Now().Add(min(time.Until(l.Until)-l.For, 0))}
	go func() {
		defer close(h.ended)
		for sleep(ctx, l.For/3) == nil {
			if errors.Is(h.renew(ctx), oauthstore.ErrLeaseLost) {
				return
			}
		}
	}()
	return h
}

func (h *holding) renew(ctx context.Context) error {
	begin := time.Now()
	err := panics.Try(func() error { return h.leaser.RenewLease(ctx, &h.lease) })
	if errors.As(err, new(*panics.Error)) {
		err = fmt.Errorf("%w: %w", oauthstore.ErrLeaseLost, err) // so that the refresh says so
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		h.renewed = begin
	case errors.Is(err, oauthstore.ErrLeaseLost):
		h.lost = err
	}
	return err
}

// sure returns an error unless the lease runs for a good while yet. Both clocks are asked, since the one stands still
// while a machine does, and the other may be set.
//
// Step lease.ask.1.
func (h *holding) sure() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost != nil {
		return h.lost
	}
	now := time.Now()
	if now.Sub(h.renewed) > h.lease.For*2/3 || now.Round(0).Sub(h.renewed.Round(0)) > h.lease.For*2/3 {
		return oauthstore.ErrLeaseLost
	}
	return nil
}

// end lets the lease be. What was saved has given it back.
func (h *holding) end() {
	h.stop()
	<-h.ended
}

// release gives the lease back, and tells others what the provider has said of the refresh token, if refused is not
// empty. It does its best; where it fails others wait until the lease ends.
func (h *holding) release(ctx context.Context, refused string) {
	h.end()
	h.lease.Refused = refused
	_ = h.leaser.ReleaseLease(ctx, &h.lease)
}
