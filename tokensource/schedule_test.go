//go:build go1.25

package tokensource_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/cache"
	"github.com/oauthstore/oauthstore/tokensource"
	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

var (
	schedules    = flag.Int("schedules", 50, "how many seeds TestSchedules runs")
	scheduleSeed = flag.Uint64("schedule-seed", 0, "the one seed that TestSchedules runs, 0 for all")
)

// TestSchedules lets six processes refresh one token for 40 minutes over a store of which three calls in ten fail, half
// of these after they have taken effect, with a provider that takes up to eight seconds, replaces refresh tokens and
// detects reuse. Some are in the foreground, some behind a cache; callers give up, invalidate, and log in again. A seed
// decides what happens when; of what happens at the same moment it does not decide what is first.
func TestSchedules(t *testing.T) {
	first, last := uint64(1), uint64(*schedules)
	if *scheduleSeed != 0 {
		first, last = *scheduleSeed, *scheduleSeed
	}
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) { runSchedule(w, seed) }, authtest.WithAccessTokenLifetime(5*time.Minute))
		})
	}
}

func runSchedule(w *world, seed uint64) {
	w.login("alice")
	network := newDice(seed, 0)
	late := func(*http.Request) error { time.Sleep(network.time(4 * time.Second)); return nil }
	w.network(late, late)
	together(6, func(i int) { runProcess(w, i, newDice(seed, uint64(i+1))) })
	if reuses := w.srv.Stats().Reuses; len(reuses) > 0 {
		w.t.Errorf("the provider has seen reuses: %v, of refreshes: %v", reuses, w.refreshes())
	}
}

// runProcess is one process, which has a token good for the API whenever it is given one.
func runProcess(w *world, number int, d *dice) {
	store := oauthstore.TokenStore(&unsteady{w.store.(leasingStore), d})
	if number%3 == 0 {
		c, err := cache.New(store)
		if err != nil {
			w.t.Error(err)
			return
		}
		defer func() { _ = c.Close(context.Background()) }()
		store = c
	}
	opts := []tokensource.Option{tokensource.WithLease(10 * time.Second), tokensource.WithEarlyRefresh(time.Minute, 20*time.Second)}
	if number%2 == 0 {
		opts = append(opts, tokensource.WithForeground())
	}
	tokens := w.over(store, opts...)
	s := tokens.User("alice")
	for begun := time.Now(); time.Since(begun) < 40*time.Minute; time.Sleep(d.time(20 * time.Second)) {
		ctx, cancel := context.WithTimeout(w.t.Context(), 500*time.Millisecond+d.time(time.Minute))
		token, err := s.TokenContext(ctx)
		cancel()
		if errors.As(err, new(*tokensource.ReauthRequiredError)) || errors.Is(err, oauthstore.ErrTokenNotFound) {
			w.t.Errorf("process %d: %v", number, err)
			return
		}
		if token != nil {
			w.wantGood(token.AccessToken)
		}
		switch d.of(60) {
		case 0:
			_, err := tokens.Exchange(w.t.Context(), "alice", w.srv.Grant("alice"))
			if err != nil && !errors.As(err, new(*tokensource.NotSavedError)) {
				w.t.Errorf("process %d: Exchange: %v", number, err)
			}
			s.Forget()
		case 1, 2:
			if token != nil {
				s.Invalidate(token.AccessToken)
			}
		case 3, 4, 5:
			s = tokens.User("alice")
		}
	}
	if err := tokens.Shutdown(w.t.Context()); err != nil {
		w.t.Errorf("process %d: %v", number, err)
	}
}

// dice are what a seed decides for one process.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newDice(seed, number uint64) *dice { return &dice{r: rand.New(rand.NewPCG(seed, number))} }

func (d *dice) of(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

func (d *dice) time(longest time.Duration) time.Duration { return time.Duration(d.of(int(longest))) }

// unsteady is a store that is slow and fails.
type unsteady struct {
	leasingStore
	*dice
}

func (s *unsteady) call(ctx context.Context, do func() error) error {
	time.Sleep(s.time(300 * time.Millisecond))
	if err := ctx.Err(); err != nil {
		return err
	}
	fate := s.of(20)
	if fate < 3 {
		return oauthstore.ErrUnavailable
	}
	err := do()
	time.Sleep(s.time(300 * time.Millisecond))
	if fate < 6 {
		return oauthstore.ErrUnavailable
	}
	return err
}

// got is the result of a call that has one.
func got[T any](s *unsteady, ctx context.Context, do func() (*T, error)) (result *T, err error) {
	err = s.call(ctx, func() (err error) {
		result, err = do()
		return err
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

func (s *unsteady) FindToken(ctx context.Context, partial *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	return got(s, ctx, func() (*oauthstore.OAuthToken, error) { return s.leasingStore.FindToken(ctx, partial) })
}

func (s *unsteady) FindTokenByID(ctx context.Context, id string) (*oauthstore.OAuthToken, error) {
	return got(s, ctx, func() (*oauthstore.OAuthToken, error) { return s.leasingStore.FindTokenByID(ctx, id) })
}

func (s *unsteady) SaveToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return s.call(ctx, func() error { return s.leasingStore.SaveToken(ctx, token) })
}

func (s *unsteady) LeaseToken(ctx context.Context, r oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	return got(s, ctx, func() (*oauthstore.Lease, error) { return s.leasingStore.LeaseToken(ctx, r) })
}

func (s *unsteady) RenewLease(ctx context.Context, l *oauthstore.Lease) error {
	return s.call(ctx, func() error { return s.leasingStore.RenewLease(ctx, l) })
}

func (s *unsteady) SaveLeased(ctx context.Context, l *oauthstore.Lease, token *oauthstore.OAuthToken) error {
	return s.call(ctx, func() error { return s.leasingStore.SaveLeased(ctx, l, token) })
}

func (s *unsteady) ReleaseLease(ctx context.Context, l *oauthstore.Lease) error {
	return s.call(ctx, func() error { return s.leasingStore.ReleaseLease(ctx, l) })
}
