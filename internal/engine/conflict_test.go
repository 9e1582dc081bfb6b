package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// Writes that take effect, though the answer is a conflict: the service's client has sent them twice, or the writer was
// superseded before it could look.

// withTombstones runs f over a service that deletes with a tombstone, in a bubble.
func withTombstones(t *testing.T, f func(t *testing.T, m *memory)) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.tombstones = true
		f(t, m)
		m.wantConsistent(t)
		m.wantRulesUsed(t)
	})
}

// refusedAfter lets the call take effect, and others go, before it is refused.
func refusedAfter(t *testing.T, refusal error, others func()) func(run func() error) error {
	return func(run func() error) error {
		wantNoError(t, run())
		others()
		return refusal
	}
}

var refusals = []error{ErrConflict, oauthstore.ErrAccessDenied, fmt.Errorf("%w: %w", oauthstore.ErrThrottled, ErrExhausted), oauthstore.ErrUnavailable}

func TestInsert_thatWasRefusedAfterItWasStoredAndDeletedHasAnotherEntry(t *testing.T) {
	for _, refusal := range []error{ErrConflict, oauthstore.ErrUnavailable} {
		withTombstones(t, func(t *testing.T, m *memory) {
			m.on(put, xName, refusedAfter(t, refusal, func() { remove(t, m.store(), "x") }))
			save(t, m.store(), under("x", "alice"))
			m.wantIDs(t, "x")
			m.wantEntries(t, "x", 1)
		})
	}
}

func TestInsert_thatWasRefusedAfterItWasStoredKnowsItself(t *testing.T) {
	for _, refusal := range refusals {
		for others := range maxEarlier + 3 {
			withTombstones(t, func(t *testing.T, m *memory) {
				m.on(put, xName, refusedAfter(t, refusal, func() {
					for i := range others {
						save(t, m.store(), oauthstore.OAuthToken{ID: "x", Scope: fmt.Sprint("newer ", i)})
					}
				}))
				token := under("x", "alice")
				token.Scope = "first"
				save(t, m.store(), token)
				want := "first"
				if others > 0 {
					want = fmt.Sprint("newer ", others-1)
				}
				if got := m.token(t, "x").Scope; got != want {
					t.Errorf("%v, superseded by %d: got scope %q, want %q", refusal, others, got, want)
				}
				m.wantEntries(t, "x", 1)
			})
		}
	}
}

func TestInsert_thatWasDeniedIsOnlyGivenUpWhenItWasLookedFor(t *testing.T) {
	withTombstones(t, func(t *testing.T, m *memory) {
		m.on(put, xName, refusedAfter(t, oauthstore.ErrAccessDenied, func() {
			m.on(get, xName, fails(oauthstore.ErrAccessDenied))
		}))
		token := under("x", "alice")
		wantIs(t, m.store().SaveToken(t.Context(), &token), oauthstore.ErrAccessDenied)
		m.wantIDs(t, "x")
		m.wantEntries(t, "x", 1)
	})
}

func TestRename_thatWasRefusedAfterItWasStoredKeepsItsEntry(t *testing.T) {
	for _, refusal := range refusals {
		for others := range maxEarlier + 3 {
			withTombstones(t, func(t *testing.T, m *memory) {
				save(t, m.store(), under("x", "alice"))
				m.on(put, xName, refusedAfter(t, refusal, func() {
					for i := range others {
						save(t, m.store(), oauthstore.OAuthToken{ID: "x", AccessToken: fmt.Sprint("newer ", i)})
					}
				}))
				s := m.store()
				if err := s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "x", UserName: "bob"}); err != nil {
					wantIs(t, err, refusal)
				}
				if got := m.token(t, "x").UserName; got != "bob" {
					t.Errorf("got user %s, want bob", got)
				}
				save(t, s, oauthstore.OAuthToken{ID: "x", Scope: "s"})
				m.wantConsistent(t)
			})
		}
	}
}

func TestDelete_thatWasRefusedAfterItsTombstoneLeavesWhatWasSavedSince(t *testing.T) {
	for _, refusal := range []error{ErrConflict, oauthstore.ErrUnavailable} {
		withTombstones(t, func(t *testing.T, m *memory) {
			save(t, m.store(), under("x", "alice"))
			m.on(bury, xName, refusedAfter(t, refusal, func() {
				save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "alice", RefreshToken: "second"})
			}))
			remove(t, m.store(), "x")
			if got := m.token(t, "x").RefreshToken; got != "second" {
				t.Errorf("got refresh token %q, want the one that was saved after the delete", got)
			}
			m.wantEntries(t, "x", 1)
		})
	}
}

func TestDelete_atOneStrokeThatFailedAfterItTookEffectLeavesWhatWasSavedSince(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		m.on(del, xName, refusedAfter(t, oauthstore.ErrUnavailable, func() {
			save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "alice", RefreshToken: "second"})
		}))
		remove(t, m.store(), "x")
		m.wantIDs(t, "x")
		m.wantConsistent(t)
	})
}

// A former is a service that shows a former state in its first answer about x. refusal is how it refuses to write on that.
type former struct {
	*memory
	rec     Record
	rev     Rev
	refusal error
}

func (l *former) Get(ctx context.Context, name string, after Rev) (Record, Rev, error) {
	if name == xName && l.rev != None {
		rec, rev := l.rec, l.rev
		l.rev = None
		return rec, rev, nil
	}
	return l.memory.Get(ctx, name, after)
}

func (l *former) Delete(ctx context.Context, name string, base Rev, tombstone Record) error {
	err := l.memory.Delete(ctx, name, base, tombstone)
	if errors.Is(err, ErrConflict) {
		return l.refusal
	}
	return err
}

func TestDelete_thatBeganWithAFormerTokenLeavesTheEntriesOfTheNewOne(t *testing.T) {
	for refusal, ids := range map[error][]string{
		ErrConflict: {"x"},
		fmt.Errorf("%w: %w", ErrConflict, ErrNotWritten): nil, // it begins with the new one
	} {
		withTombstones(t, func(t *testing.T, m *memory) {
			save(t, m.store(), under("x", "alice"))
			rec, rev, err := m.newest(xName)
			wantNoError(t, err)
			remove(t, m.store(), "x")
			save(t, m.store(), under("x", "alice"))
			time.Sleep(grace + time.Second)
			s := New(&former{m, rec, rev, refusal}, codec.JSON{}, time.Hour)
			remove(t, s, "x")
			m.wantIDs(t, ids...)
		})
	}
}

func TestDivision_thatWasRefusedAfterItTookEffectKeepsItsPages(t *testing.T) {
	withTombstones(t, func(t *testing.T, m *memory) {
		m.limits.Page = 900
		count := 0
		saved := func(s *Store, user string) {
			count++
			save(t, s, oauthstore.OAuthToken{UserName: user, RefreshToken: "r"})
		}
		for i := range 12 { // a few pages: the root has room for more
			saved(m.store(), fmt.Sprint("filler", i))
		}
		divided := ""
		m.around = func(_ context.Context, c call, run func() error) error {
			err := run()
			if divided != "" || c.op != put || !strings.HasPrefix(c.name, pagePrefix) || c.rec.Document[pagesField] == nil || c.rec.Document[sealedField] == nil {
				return err
			}
			divided = c.name
			// Others put the new pages in its place, and delete it.
			for i := 0; m.secrets[c.name].destroyed < len(m.secrets[c.name].versions); i++ {
				if i == 500 {
					t.Error("the page is still there")
					break
				}
				saved(m.store(), fmt.Sprint("other", i))
			}
			return ErrConflict
		}
		s := m.store()
		for i := 0; divided == "" && i < 500; i++ {
			saved(s, fmt.Sprint("user", i))
		}
		got, err := m.store().GetTokens(t.Context())
		if err != nil || divided == "" || len(got) != count {
			t.Errorf("got %d tokens and error %v, want %d", len(got), err, count)
		}
	})
}

// What failed attempts leave.

func TestInsert_thatFailedAndThenSucceededRefusesNobody(t *testing.T) {
	for _, failure := range []error{oauthstore.ErrUnavailable, oauthstore.ErrThrottled, errors.New("unknown")} {
		for failures := range 2*maxInserts + 1 {
			eachKindVirtually(t, func(t *testing.T, m *memory) {
				for range failures {
					m.on(put, xName, fails(failure))
				}
				s, x := m.store(), under("x", "ann")
				for err := s.SaveToken(t.Context(), &x); err != nil; err = s.SaveToken(t.Context(), &x) {
					wantIs(t, err, failure)
				}
				m.wantEntries(t, "x", 1)
				remove(t, m.store(), "x")
				save(t, m.store(), under("y", "ann"))
			})
		}
	}
}

func TestInsert_thatFailedAndThenSucceededLeavesTheUserNameFree(t *testing.T) {
	eachKindVirtually(t, func(t *testing.T, m *memory) {
		m.on(put, xName, fails(oauthstore.ErrThrottled))
		s := m.store()
		save(t, s, under("x", "ann"))
		save(t, s, oauthstore.OAuthToken{ID: "x", UserName: "anna"})
		save(t, m.store(), under("y", "ann"))
		m.wantIDs(t, "x", "y")
	})
}

func TestRename_thatFailedAndThenSucceededLeavesTheUserNameFree(t *testing.T) {
	eachKindVirtually(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "ann"))
		for range maxFailures + 1 {
			m.on(put, xName, fails(oauthstore.ErrUnavailable))
		}
		s, anna := m.store(), oauthstore.OAuthToken{ID: "x", UserName: "anna"}
		wantIs(t, s.SaveToken(t.Context(), &anna), oauthstore.ErrUnavailable)
		save(t, s, anna)
		save(t, s, oauthstore.OAuthToken{ID: "x", UserName: "annabel"})
		save(t, m.store(), under("y", "anna"))
		m.wantIDs(t, "x", "y")
	})
}

// The write without answer is carried out after the token was saved and deleted.
func TestInsert_thatMayComeKeepsItsEntry(t *testing.T) {
	eachKindVirtually(t, func(t *testing.T, m *memory) {
		var late func() error
		m.on(put, xName, func(run func() error) error {
			late = run
			return errLost
		})
		save(t, m.store(), under("x", "ann"))
		remove(t, m.store(), "x")
		if err := late(); m.tombstones {
			wantIs(t, err, ErrConflict)
		}
		m.wantConsistent(t)
	})
}

// A blind service does not show x to the next read.
type blind struct {
	*memory
	next bool
}

func (b *blind) Get(ctx context.Context, name string, after Rev) (Record, Rev, error) {
	if name == xName && b.next {
		b.next = false
		return Record{}, None, nil
	}
	return b.memory.Get(ctx, name, after)
}

func TestInsert_thatIsFoundWhenItStartsOverIsNotMergedWithWhatOthersMadeOfIt(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		d := &blind{memory: m}
		m.on(put, xName, func(run func() error) error {
			wantNoError(t, run())
			save(t, m.store(), oauthstore.OAuthToken{ID: "x", Scope: "newer"})
			d.next = true
			return errLost
		})
		token := under("x", "alice")
		token.Scope = "first"
		save(t, New(d, codec.JSON{}, time.Hour), token)
		if got := m.token(t, "x").Scope; got != "newer" {
			t.Errorf("got scope %q, want newer", got)
		}
		m.wantEntries(t, "x", 1)
		m.wantConsistent(t)
	})
}

// A page takes the place of a sealed leaf. Its parent points to it, which the process is not told, and others have lifted
// and deleted that parent since.
func TestSupersession_thatWasRefusedAfterItTookEffectKeepsItsPage(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		_, _, entries := m.content(t)
		m.putNode(t, "page_leaf", &node{entries: entries, sealed: true})
		m.putNode(t, "page_inner", &node{pages: []pointer{{"", "page_leaf"}}})
		m.putNode(t, indexName, &node{pages: []pointer{{"", "page_inner"}}})
		m.on(put, "page_inner", func(run func() error) error {
			wantNoError(t, run())
			m.mu.Lock()
			n := m.show(t, "page_inner").node
			m.mu.Unlock()
			m.putNode(t, indexName, &node{pages: n.pages})
			m.mu.Lock()
			m.secrets["page_inner"].destroyed = len(m.secrets["page_inner"].versions)
			m.mu.Unlock()
			return ErrConflict
		})
		save(t, m.store(), under("y", "bob"))
		m.wantRulesUsed(t)
		wantFoundAll(t, m.store(), 2)
		m.wantConsistent(t)
	})
}
