package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// A lagging memory is a service whose plain reads do not show yet what was made just now.
type lagging struct {
	*memory
	probes int
}

var _ Prober = (*lagging)(nil)

func (l *lagging) Get(context.Context, string, Rev) (Record, Rev, error) { return Record{}, None, nil }

func (l *lagging) Probe(ctx context.Context, name string) (Record, Rev, error) {
	l.probes++
	return l.memory.Get(ctx, name, None)
}

func (l *lagging) store() *Store { return New(l, codec.JSON{}, time.Hour) }

// saved returns a service with one token, saved by another process.
func (l *lagging) saved(t *testing.T) *lagging {
	l.memory = newMemory()
	l.limits.Parallel = 1
	save(t, l.memory.store(), under("x", "alice"))
	return l
}

func TestProbe_looksAgainWhereAMissWouldBeBelieved(t *testing.T) {
	for name, found := range map[string]func(s *Store) error{
		"FindTokenByID": func(s *Store) error {
			_, err := s.FindTokenByID(t.Context(), "x")
			return err
		},
		"FindToken": func(s *Store) error {
			_, err := s.FindToken(t.Context(), &oauthstore.OAuthToken{UserName: "alice"})
			return err
		},
		"UpdateToken": func(s *Store) error {
			return s.UpdateToken(t.Context(), &oauthstore.OAuthToken{ID: "x", RefreshToken: "refresh of xalice"})
		},
		"DeleteToken": func(s *Store) error { return s.DeleteToken(t.Context(), "x") },
	} {
		t.Run(name, func(t *testing.T) { wantNoError(t, found(new(lagging).saved(t).store())) })
	}
	t.Run("DeleteToken that is throttled", func(t *testing.T) {
		l := new(lagging).saved(t)
		l.on(del, xName, fails(fmt.Errorf("%w: %w", oauthstore.ErrThrottled, ErrNotWritten)))
		wantNoError(t, l.store().DeleteToken(t.Context(), "x"))
		l.wantIDs(t)
		l.wantEntries(t, "x", 0)
	})
	t.Run("GetTokens", func(t *testing.T) { wantFoundAll(t, new(lagging).saved(t).store(), 1) })
	t.Run("DeleteTokens", func(t *testing.T) {
		l := new(lagging).saved(t)
		wantNoError(t, l.store().DeleteTokens(t.Context()))
		l.wantIDs(t)
	})
}

func TestProbe_isNotAskedByASaveWhoseOwnWriteFindsOut(t *testing.T) {
	l := new(lagging).saved(t)
	s := l.store()
	if _, err := s.GetTokens(t.Context()); err != nil { // so that the index is cached
		t.Fatal(err)
	}
	l.probes = 0
	save(t, s, under("y", "bob"))
	if l.probes != 0 {
		t.Errorf("got %d probes, want none", l.probes)
	}
	l.wantIDs(t, "x", "y")
}

// alone is a service whose batches leave out all but the first.
type alone struct{ batching }

func (a alone) GetMany(ctx context.Context, names []string, yield func(string, Record, Rev, error)) {
	a.batching.GetMany(ctx, names[:1], yield)
	for _, name := range names[1:] {
		yield(name, Record{}, None, ErrAlone)
	}
}

func TestGetTokens_readsAloneWhatABatchLeavesOut(t *testing.T) {
	m := newMemory()
	for _, id := range []string{"a", "b", "c", "d"} {
		save(t, m.store(), under(id, id))
	}
	m.forgetCalls()
	wantFoundAll(t, New(alone{batching{m}}, codec.JSON{}, time.Hour), 4)
	if got := m.count(get, ""); got != 1+2 {
		t.Errorf("got %d single reads, want that of the index and those of two tokens", got)
	}
}
