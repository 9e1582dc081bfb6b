package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/testserver"
)

// events remembers what an observer is told.
type events struct {
	mu  sync.Mutex
	all []oauthstore.Event
}

func (e *events) observe(ctx context.Context, event oauthstore.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
}

// take returns and forgets them.
func (e *events) take() []oauthstore.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.all
	e.all = nil
	return all
}

func only(all []oauthstore.Event, want func(oauthstore.Event) bool) []oauthstore.Event {
	return slices.DeleteFunc(slices.Clone(all), func(e oauthstore.Event) bool { return !want(e) })
}

// An Observed is a backend whose stores are observed.
type Observed interface {
	Backend

	// Observe returns a store as NewStore does, which tells observe.
	Observe(t *testing.T, observe func(context.Context, oauthstore.Event)) Store
}

// RunObserver compares what an observer is told with what reaches the server. name is the package of the store, and
// write the request by which a token that exists is written.
func RunObserver(t *testing.T, name, write string, newBackend func(t *testing.T) Observed) {
	t.Run("all requests", func(t *testing.T) { observeRequests(t, name, newBackend) })
	t.Run("requests that fail", func(t *testing.T) { observeFailures(t, write, newBackend(t)) })
	t.Run("a conflict", func(t *testing.T) { observeConflict(t, newBackend(t)) })
	t.Run("a panic", func(t *testing.T) { observePanics(t, newBackend) })
}

func observeRequests(t *testing.T, name string, newBackend func(t *testing.T) Observed) {
	repair := method{name: "Repair", do: func(ctx context.Context, s Store) error {
		_, err := s.Repair(ctx, oauthstore.RepairOptions{})
		return err
	}}
	for _, m := range append(methods(), repair) {
		var told events
		b := newBackend(t)
		s := b.Observe(t, told.observe)
		save(t, s, secretToken("alice", ""))
		save(t, s, secretToken("bob", "bob"))
		told.take()
		b.Control().ResetRequests()
		if err := m.do(context.Background(), s); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		got := make(Calls)
		for _, e := range told.take() {
			got[e.Operation]++
			if e.Kind != oauthstore.EventRequest || e.Backend != name || e.Attempt != 0 || e.Duration <= 0 || e.Code == "" && e.Err != nil {
				t.Errorf("%s: got %+v, want a request of %s, with a duration, and with a code for an error", m.name, e, name)
			}
		}
		if want := b.Control().Counts(); !maps.Equal(got, want) {
			t.Errorf("%s: told of the requests %v, want %v", m.name, got, want)
		}
	}
}

func observeFailures(t *testing.T, write string, b Observed) {
	var told events
	s := b.Observe(t, told.observe)
	token := save(t, s, secretToken("alice", "alice"))
	for kind, class := range map[testserver.Kind]error{
		testserver.FailBefore: oauthstore.ErrUnavailable,
		testserver.DropAfter:  oauthstore.ErrUnavailable,
		testserver.Throttle:   oauthstore.ErrThrottled,
		testserver.Deny:       oauthstore.ErrAccessDenied,
	} {
		told.take()
		b.Control().Inject(testserver.Fault{Op: write, Kind: kind})
		token.AccessToken = fmt.Sprint("access ", SecretMark, kind)
		if err := s.SaveToken(context.Background(), token); (err == nil) == (kind == testserver.Deny) {
			t.Errorf("%v: SaveToken: %v", kind, err)
		}
		all := told.take()
		failed := only(all, func(e oauthstore.Event) bool { return e.Operation == write && errors.Is(e.Err, class) })
		if len(failed) != 1 || !strings.HasSuffix(failed[0].Secret, "token_alice") || failed[0].Code == "" && kind != testserver.DropAfter {
			t.Errorf("%v: told of the failures %+v, want one %s of token_alice, with a code if there was an answer", kind, failed, write)
		}
		retries := only(all, func(e oauthstore.Event) bool { return e.Kind == oauthstore.EventRetry })
		if kind == testserver.Deny {
			if len(retries) > 0 {
				t.Errorf("%v: told of the retries %+v, want none", kind, retries)
			}
		} else if len(retries) != 1 || retries[0].Attempt != 1 || retries[0].Secret != failed[0].Secret || !errors.Is(retries[0].Err, class) {
			t.Errorf("%v: told of the retries %+v, want the first of %+v", kind, retries, failed)
		}
		if text, err := json.Marshal(all); err != nil || strings.Contains(fmt.Sprintf("%s %+v %#v", text, all, all), SecretMark) {
			t.Errorf("%v: told of a secret (or %v): %s", kind, err, text)
		}
	}
}

// observeConflict lets another store write between a save's read and its write: when the observer is told of the read.
func observeConflict(t *testing.T, b Observed) {
	var told events
	other := b.NewStore(t)
	var meanwhile func()
	s := b.Observe(t, func(ctx context.Context, e oauthstore.Event) {
		told.observe(ctx, e)
		if do := meanwhile; do != nil {
			meanwhile = nil
			do()
		}
	})
	save(t, s, secretToken("alice", "alice"))
	told.take()
	meanwhile = func() { save(t, other, &oauthstore.OAuthToken{ID: "alice", Scope: "theirs"}) }
	save(t, s, &oauthstore.OAuthToken{ID: "alice", AccessToken: "access " + SecretMark + " mine"})
	all := only(told.take(), func(e oauthstore.Event) bool { return e.Kind != oauthstore.EventRequest })
	for i, kind := range []oauthstore.EventKind{oauthstore.EventConflict, oauthstore.EventRetry} {
		if len(all) != 2 || all[i].Kind != kind || !strings.HasSuffix(all[i].Secret, "token_alice") || all[i].Err == nil {
			t.Fatalf("told of %+v, want a conflict and a retry of token_alice", all)
		}
	}
	got, err := s.FindTokenByID(context.Background(), "alice")
	if err != nil || got.Scope != "theirs" || !strings.HasSuffix(got.AccessToken, "mine") {
		t.Errorf("FindTokenByID: got %v, %v, want what both have saved", got, err)
	}
}

// observePanics lets the observer panic at each request in turn. The caller can recover from it, and the store goes on.
func observePanics(t *testing.T, newBackend func(t *testing.T) Observed) {
	panics := func(do func() error) (panicked bool) {
		defer func() { panicked = recover() != nil }()
		_ = do() // a store may have passed the panic to another caller, and done the work again
		return false
	}
	for _, m := range methods() {
		reached := 0
		for at := int32(1); ; at++ {
			var requests atomic.Int32
			requests.Store(1 << 16)
			b := newBackend(t)
			s := b.Observe(t, func(context.Context, oauthstore.Event) {
				if requests.Add(1) == at {
					panic("the observer")
				}
			})
			save(t, s, secretToken("alice", ""))
			save(t, s, secretToken("bob", "bob"))
			requests.Store(0)
			if panics(func() error { return m.do(context.Background(), s) }) {
				reached++
			}
			if requests.Load() < at {
				break // it makes fewer requests
			}
			for user, id := range map[string]string{"alice": "", "bob": "bob", "dave": "dave"} {
				if err := s.SaveToken(context.Background(), secretToken(user, id)); err != nil {
					t.Errorf("%s, a panic at request %d: SaveToken of %s afterwards: %v", m.name, at, user, err)
				}
			}
			if _, err := s.GetTokens(context.Background()); err != nil {
				t.Errorf("%s, a panic at request %d: GetTokens afterwards: %v", m.name, at, err)
			}
		}
		if reached == 0 {
			t.Errorf("%s: no panic has reached the caller", m.name)
		}
	}
}
