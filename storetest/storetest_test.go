package storetest

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
)

func TestRun_passesTheStoreInMemory(t *testing.T) {
	Run(t, func(*testing.T) oauthstore.TokenStore { return memory.New() })
}

// plain hides the optional abilities of a store.
type plain struct{ oauthstore.TokenStore }

func TestSuite_skipsUpdateWhereItIsMissing(t *testing.T) {
	results := runSuite(t, func() oauthstore.TokenStore { return plain{memory.New()} })
	for name, r := range results {
		if want := strings.HasPrefix(name, "Update/"); r.skipped != want {
			t.Errorf("%s: skipped %v, want %v", name, r.skipped, want)
		}
		if len(r.failures) > 0 {
			t.Errorf("%s: %s", name, r.failures)
		}
	}
}

func TestSuite_failsEveryBrokenStore(t *testing.T) {
	canFail := make(map[string]bool)
	for _, f := range faults {
		t.Run(f.says, func(t *testing.T) {
			results := runSuite(t, func() oauthstore.TokenStore {
				s := &broken{Store: memory.New()}
				f.breakIt(s)
				return s
			})
			for name, r := range results {
				canFail[name] = canFail[name] || len(r.failures) > 0
			}
			r, ok := results[f.caughtBy]
			if !ok {
				t.Fatalf("there is no check %q", f.caughtBy)
			}
			if len(r.failures) == 0 {
				t.Errorf("%q passes a store that %s, want a failure; failed: %q", f.caughtBy, f.says, failed(results))
			}
		})
	}
	for _, part := range suite {
		for _, c := range part.checks {
			if name := part.name + "/" + c.name; !canFail[name] {
				t.Errorf("no broken store fails %q: is it a check at all?", name)
			}
		}
	}
}

// runSuite runs every check of the suite against a store of its own, and returns what came of each
// under "part/check".
func runSuite(t *testing.T, newStore func() oauthstore.TokenStore) map[string]*result {
	results := make(map[string]*result)
	for _, part := range suite {
		for _, c := range part.checks {
			r := &result{ctx: t.Context()}
			results[part.name+"/"+c.name] = r
			done := make(chan struct{})
			go func() { // of its own, since Fatalf ends it
				defer close(done)
				defer func() {
					if p := recover(); p != nil {
						r.Errorf("panic: %v", p)
					}
				}()
				c.run(newSubject(r, newStore()))
			}()
			<-done
		}
	}
	return results
}

func failed(results map[string]*result) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(results)) {
		if len(results[name].failures) > 0 {
			names = append(names, name)
		}
	}
	return names
}

// result is a testingT that keeps what a check says of a store.
type result struct {
	ctx      context.Context
	mu       sync.Mutex
	failures []string
	skipped  bool
}

func (r *result) Helper() {}

func (r *result) Context() context.Context { return r.ctx }

func (r *result) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *result) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *result) Skipf(string, ...any) {
	r.skipped = true
	runtime.Goexit()
}
