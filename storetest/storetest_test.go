package storetest

import (
	"context"
	"fmt"
	"runtime"
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

func TestSuite_skipsWhatIsMissing(t *testing.T) {
	for name, run := range checksByName(suite) {
		r := runCheck(t, run, over(plain{memory.New()}))
		if want := strings.HasPrefix(name, "Update/") || strings.HasPrefix(name, "Range/") || strings.HasPrefix(name, "Lease/"); r.skipped != want {
			t.Errorf("%s: skipped %v, want %v", name, r.skipped, want)
		}
		if len(r.failures) > 0 {
			t.Errorf("%s: %q", name, r.failures)
		}
	}
}

func TestSuite_failsEveryBrokenStore(t *testing.T) {
	checks := checksByName(suite)
	for _, f := range faults {
		t.Run(f.says, func(t *testing.T) {
			run, ok := checks[f.caughtBy]
			if !ok {
				t.Fatalf("there is no check %q", f.caughtBy)
			}
			for range 20 { // a fault of timing need not show the first time
				s := &broken{Store: memory.New()}
				f.breakIt(s)
				if r := runCheck(t, run, over(s)); len(r.failures) > 0 {
					t.Log(r.failures[0])
					return
				}
			}
			t.Errorf("%q passes a store that %s, want a failure", f.caughtBy, f.says)
		})
	}
}

func TestSuite_hasABrokenStoreForEveryCheck(t *testing.T) {
	caught := make(map[string]bool)
	for _, f := range faults {
		caught[f.caughtBy] = true
	}
	for name := range checksByName(suite) {
		if !caught[name] {
			t.Errorf("no broken store is there for %q to fail", name)
		}
	}
}

// checksByName returns the functions of all checks of parts under "part/check".
func checksByName(parts []part) map[string]func(*subject) {
	checks := make(map[string]func(*subject))
	for _, part := range parts {
		for _, c := range part.checks {
			checks[part.name+"/"+c.name] = c.run
		}
	}
	return checks
}

// over makes the subject of a store.
func over(store oauthstore.TokenStore) func(r *result) *subject {
	return func(r *result) *subject { return newSubject(r, store) }
}

// runCheck returns the result of a check.
func runCheck(t *testing.T, run func(*subject), of func(r *result) *subject) *result {
	r := &result{ctx: t.Context()}
	done := make(chan struct{})
	go func() { // a goroutine of its own, since Fatalf ends it
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				r.Errorf("panic: %v", p)
			}
		}()
		run(of(r))
	}()
	<-done
	return r
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
