package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

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
