package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// A behind is a service whose plain reads show an older version of one secret, 0 for none. Probe does not lag.
type behind struct {
	*memory
	name    string
	version int
}

var _ Prober = (*behind)(nil)

func (l *behind) Get(ctx context.Context, name string, after Rev) (Record, Rev, error) {
	switch {
	case name != l.name || after != None:
		return l.memory.Get(ctx, name, after)
	case l.version == 0:
		return Record{}, None, nil
	}
	s := l.secrets[name]
	rec, err := UnmarshalBytes(l.FullName(name), s.versions[l.version-1])
	return rec, Rev(fmt.Sprintf("%d.%d", s.birth, l.version)), err
}

func (l *behind) Probe(ctx context.Context, name string) (Record, Rev, error) {
	return l.memory.Get(ctx, name, None)
}

func TestClaim_believesNoReadThatLagsBehind(t *testing.T) {
	for _, id := range []string{"", "x", "y"} {
		virtually(t, func(t *testing.T) {
			m := newMemory()
			save(t, m.store(), under("x", "carol"))
			save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "alice"})
			time.Sleep(grace + time.Second)
			for version := range 2 { // not there, or of its former user
				token := under(id, "alice")
				_ = New(&behind{m, tokenPrefix + "x", version}, codec.JSON{}, DefaultTimeout).SaveToken(t.Context(), &token)
				m.wantConsistent(t)
			}
		})
	}
}

func TestRepair_believesNoReadThatLagsBehind(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.tombstones = true
		save(t, m.store(), under("x", "carol"))
		remove(t, m.store(), "x")
		save(t, m.store(), under("x", "carol"))
		save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "alice"})
		time.Sleep(grace + time.Second)
		for version := range 4 { // 1 and 3 are of carol, 2 is a tombstone
			_, err := New(&behind{m, tokenPrefix + "x", version}, codec.JSON{}, DefaultTimeout).Repair(t.Context(), oauthstore.RepairOptions{})
			if err != nil {
				t.Error(err)
			}
			m.wantConsistent(t)
		}
	})
}

func TestRename_thatStandsStillStartsOver(t *testing.T) {
	for name, meanwhile := range map[string]func(t *testing.T, m *memory){
		"another takes the name": func(t *testing.T, m *memory) { save(t, m.store(), under("y", "bob")) },
		"a repair": func(t *testing.T, m *memory) {
			if _, err := m.store().Repair(t.Context(), oauthstore.RepairOptions{}); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				save(t, m.store(), under("x", "alice"))
				time.Sleep(time.Hour)
				m.on(put, indexName, func(run func() error) error {
					err := run()
					time.Sleep(grace + time.Second)
					meanwhile(t, m)
					return err
				})
				_ = m.store().SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "x", UserName: "bob"})
				m.wantConsistent(t)
			})
		})
	}
}

func TestRename_whoseAnswerIsLostKeepsItsEntry(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		m.on(put, tokenPrefix+"x", func(run func() error) error {
			_ = run()
			for i := range maxEarlier + 1 { // so many that the record does not remember it
				save(t, m.store(), oauthstore.OAuthToken{ID: "x", AccessToken: fmt.Sprint("a", i)})
			}
			return errLost
		})
		save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "bob"})
		m.wantConsistent(t)
	})
}

// Whoever divides a leaf stands still before it points to the pages, and a repair takes them for nobody's.
func TestRename_whoseAnswerIsLostKeepsItsEntryWhereTheNextReadLagsBehind(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		b := &behind{m, "nothing", 0}
		m.on(put, tokenPrefix+"x", func(run func() error) error {
			_ = run()
			b.name = tokenPrefix + "x" // is not shown to be there any more
			return errLost
		})
		_ = New(b, codec.JSON{}, DefaultTimeout).SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "x", UserName: "bob"})
		m.wantConsistent(t)
	})
}

func TestGrow_aDivisionThatStandsStillStartsOver(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Page, m.limits.Parallel = 2000, 1
		pages := 0
		m.around = func(ctx context.Context, c call, run func() error) error {
			err := run()
			if c.op == put && strings.HasPrefix(c.name, pagePrefix) {
				if pages++; pages == 2 {
					time.Sleep(grace + time.Second)
					if _, err := m.store().Repair(t.Context(), oauthstore.RepairOptions{}); err != nil {
						t.Error(err)
					}
				}
			}
			return err
		}
		fill(t, m.store(), 40)
		m.wantConsistent(t)
		m.wantNoOrphans(t)
	})
}

// The write that divides the root gets no answer, the change is refused when it is tried again, and then the write
// comes.
func TestGrow_aDivisionThatMayComeLateKeepsItsPages(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Page = 2000
		s := New(m, codec.JSON{}, DefaultTimeout)
		fill(t, s, 10)
		long := "user" + strings.Repeat("x", 700)
		m.editIndex(t, func(all []entry) []entry { // of an insert that died
			return append(all, entry{ID: "dead", User: long, Nonce: "n", At: timestamp(time.Now().Add(-time.Hour))})
		})
		var late func() error
		m.around = func(ctx context.Context, c call, run func() error) error {
			switch {
			case c.op == put && c.name == indexName && late == nil && strings.Contains(c.content(), " from"):
				late = run
				return errLost
			case late != nil && c.op == get && c.name == tokenPrefix+"dead":
				return errLost
			}
			return run()
		}
		token := under("y", long)
		_ = s.SaveToken(t.Context(), &token)
		m.around = nil
		if late == nil {
			t.Fatal("nothing was divided")
		}
		_ = late()
		m.wantConsistent(t)
	})
}

// putNode makes n what a secret of the index holds.
func (m *memory) putNode(t testing.TB, name string, n *node) {
	t.Helper()
	s := m.store()
	st, err := s.get(t.Context(), name, None)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.encodeNode(t.Context(), name, st.rec, n)
	if err != nil {
		t.Fatal(err)
	}
	stamp(r, st, quota{})
	if _, err := m.Put(t.Context(), name, st.rev, *r, 0); err != nil {
		t.Fatal(err)
	}
}

func TestGrow_sealedNodesAboveASealedLeafAreLiftedFromTheTop(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		_, _, entries := m.content(t)
		m.putNode(t, "page_leaf", &node{entries: entries, sealed: true})
		m.putNode(t, "page_low", &node{pages: []pointer{{"", "page_leaf"}}, sealed: true})
		m.putNode(t, "page_high", &node{pages: []pointer{{"", "page_low"}}, sealed: true})
		m.putNode(t, indexName, &node{pages: []pointer{{"", "page_high"}}})
		save(t, m.store(), under("y", "bob"))
		remove(t, m.store(), "x")
		m.wantIDs(t, "y")
		m.wantConsistent(t)
		m.wantNoOrphans(t)
	})
}

// A page that had pages of its own has taken them back and was then sealed, to be joined with another.
func TestGrow_aLeafIsNotLifted(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		_, _, entries := m.content(t)
		m.putNode(t, "page_leaf", &node{entries: entries, sealed: true})
		m.putNode(t, indexName, &node{pages: []pointer{{"", "page_leaf"}}})
		m.store().lift(t.Context(), place{"page_leaf", everywhere}, []place{{indexName, everywhere}})
		m.wantConsistent(t)
	})
}

// Whoever deletes has read a record, and stands still while that is deleted by another, and made anew.
func TestDelete_thatStandsStillLeavesTheEntryOfTheNextRecord(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		m.before(del, tokenPrefix+"x", func() {
			remove(t, m.store(), "x")
			save(t, m.store(), under("x", "alice"))
			time.Sleep(grace + time.Second)
		})
		if err := m.store().DeleteToken(t.Context(), "x"); err != nil {
			t.Error(err)
		}
		m.wantConsistent(t)
	})
}
