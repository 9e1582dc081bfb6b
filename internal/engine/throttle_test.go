package engine

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// Three refusals on the way are no reason to take seconds.
func TestTokens_whereSomeReadsAreThrottledItWaitsShortly(t *testing.T) {
	for name, driver := range map[string]func(m *memory) Driver{
		"one by one": func(m *memory) Driver { return m },
		"in batches": func(m *memory) Driver { return batching{m} },
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				fill(t, m.store(), 5)
				refuse := 3
				m.around = func(_ context.Context, c call, run func() error) error {
					m.mu.Lock()
					refused := c.name != indexName && refuse > 0
					if refused {
						refuse--
					}
					m.mu.Unlock()
					if refused {
						return oauthstore.ErrThrottled
					}
					return run()
				}
				var longest time.Duration // of all pauses, if they come one after another
				s := New(driver(m), codec.JSON{}, time.Hour)
				var mu sync.Mutex
				s.Observe(Observer{Tell: func(_ context.Context, e oauthstore.Event) {
					mu.Lock()
					defer mu.Unlock()
					longest += e.Duration
				}})
				n, begin := 0, time.Now()
				for _, err := range s.Tokens(t.Context()) {
					wantNoError(t, err)
					n++
				}
				if n != 5 || refuse != 0 {
					t.Errorf("got %d tokens, %d refusals left", n, refuse)
				}
				if took := time.Since(begin); took > longest || longest == 0 || longest > 300*time.Millisecond {
					t.Errorf("took %v, and could have taken %v, want 300ms at most", took, longest)
				}
			})
		})
	}
}

// A service takes so many requests in a second, and reading all tokens may be more.
func TestGetTokens_whereReadsAreThrottled(t *testing.T) {
	for name, driver := range map[string]func(m *memory) Driver{
		"one by one": func(m *memory) Driver { return m },
		"in batches": func(m *memory) Driver { return batching{m} },
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				fill(t, m.store(), 60)
				begin, admitted := time.Now(), 0
				m.around = func(_ context.Context, c call, run func() error) error {
					m.mu.Lock()
					refused := admitted > 5+int(time.Since(begin)/(50*time.Millisecond)) // 20 in a second
					if !refused {
						admitted++
					}
					m.mu.Unlock()
					if refused {
						return fmt.Errorf("%w: %s", oauthstore.ErrThrottled, c)
					}
					return run()
				}
				s := New(driver(m), codec.JSON{}, time.Hour)
				if tokens, err := s.GetTokens(t.Context()); err != nil || len(tokens) != 60 {
					t.Errorf("got %d tokens and error %v", len(tokens), err)
				}
				m.around = func(_ context.Context, c call, run func() error) error {
					if c.name == indexName {
						return run()
					}
					return oauthstore.ErrThrottled
				}
				begin = time.Now()
				_, err := s.GetTokens(t.Context())
				wantIs(t, err, oauthstore.ErrThrottled)
				if took := time.Since(begin); took > time.Minute {
					t.Errorf("gave up after %v", took)
				}
			})
		})
	}
}
