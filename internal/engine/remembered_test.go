package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

// What a process remembers of the tree meets what others have made of it.

func TestTree_aSealedLeafIsNotBelievedByWayOfWhatIsRemembered(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		_, _, entries := m.content(t)
		m.putNode(t, "page_old", &node{entries: entries})
		m.putNode(t, indexName, &node{pages: []pointer{{"", "page_old"}}})
		s := m.store()
		find(t, s, oauthstore.OAuthToken{UserName: "alice"})
		// Another process has put a new page in its place, and nobody has deleted the old one.
		m.putNode(t, "page_old", &node{entries: entries, sealed: true})
		m.putNode(t, "page_new", &node{entries: entries})
		m.putNode(t, indexName, &node{pages: []pointer{{"", "page_new"}}})
		save(t, m.store(), under("y", "bob"))
		time.Sleep(maxIndexAge + time.Second)
		if got := find(t, s, oauthstore.OAuthToken{UserName: "bob"}); got.ID != "y" {
			t.Errorf("got %v", got)
		}
	})
}

func TestGetTokens_doesNotGoByWhatIsRemembered(t *testing.T) {
	m := newMemory()
	s := m.store()
	save(t, s, under("x", "alice"))
	save(t, m.store(), under("y", "bob"))
	tokens, err := s.GetTokens(t.Context())
	if err != nil || len(tokens) != 2 {
		t.Errorf("got %d tokens and error %v, want that of another process too", len(tokens), err)
	}
}

func TestTree_aSealedInnerNodeIsNotChanged(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		_, _, entries := m.content(t)
		m.putNode(t, "page_leaf", &node{entries: entries})
		m.putNode(t, "page_inner", &node{pages: []pointer{{"", "page_leaf"}}})
		m.putNode(t, indexName, &node{pages: []pointer{{"", "page_inner"}}})
		s := m.store()
		find(t, s, oauthstore.OAuthToken{UserName: "alice"})
		m.putNode(t, "page_inner", &node{pages: []pointer{{"", "page_leaf"}}, sealed: true}) // its pages are being lifted
		_, err := s.changeInner(t.Context(), place{"page_inner", everywhere}, func(n *node) bool {
			n.pages = []pointer{{"", "page_another"}}
			return true
		})
		wantIs(t, err, errMoved)
		m.wantConsistent(t)
	})
}

// Two pages are all that the root has when they are sealed, and one of them is another when it takes them back.
func TestTree_takesItsPagesBackOnlyIfTheyAreAllThatItHas(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		save(t, m.store(), under("y", "bob"))
		_, _, entries := m.content(t)
		slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.key(), b.key()) })
		high := entries[1].key()
		root := func(second string) *node { return &node{pages: []pointer{{"", "page_low"}, {high, second}}} }
		m.putNode(t, "page_low", &node{entries: entries[:1]})
		m.putNode(t, "page_high", &node{})
		m.putNode(t, indexName, root("page_high"))
		m.before(put, indexName, func() { // another process has found the page sealed, and has written to one in its place
			m.putNode(t, "page_next", &node{entries: entries[1:]})
			m.putNode(t, indexName, root("page_next"))
		})
		m.store().compact(t.Context())
		m.wantRulesUsed(t)
		m.wantConsistent(t)
	})
}

func TestClaim_seesTheUsersEntriesInOtherPages(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		first := under("x", "alice")
		first.ClientID = "first"
		save(t, m.store(), first)
		_, _, entries := m.content(t)
		second, at := under("y", "alice"), key("")
		for i := 0; at <= keyOf("x", "alice", "first"); i++ {
			second.ClientID = fmt.Sprint("client", i)
			at = keyOf("y", "alice", second.ClientID)
		}
		m.putNode(t, "page_low", &node{entries: entries})
		m.putNode(t, "page_high", &node{})
		m.putNode(t, indexName, &node{pages: []pointer{{"", "page_low"}, {at, "page_high"}}})
		save(t, m.store(), second)
		for _, id := range []string{"x", "y"} {
			if !m.show(t, tokenPrefix+id).rec.Siblings {
				t.Errorf("the record %s does not know that the user has another", id)
			}
		}
		m.wantConsistent(t)
	})
}

// The names of retired pages are a help only: they must not be what makes an inner node too large to be written.
func TestTree_aNodeThatIsNearlyFullNamesNoRetiredPages(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Page = 2000
		full := &node{pages: []pointer{{"", newPageName()}}}
		for i := range 35 {
			full.pages = append(full.pages, pointer{key(fmt.Sprintf("%06d", i)), newPageName()})
		}
		m.putNode(t, indexName, full)
		s := m.store()
		var gone []string
		for range 20 {
			gone = append(gone, newPageName())
		}
		next := newPageName()
		err := s.relink(t.Context(), place{indexName, everywhere}, []string{full.pages[0].Name}, []pointer{{Name: next}}, gone)
		if err != nil {
			t.Fatal(err)
		}
		root := m.show(t, indexName)
		if bytes := size(&root.rec); bytes > 2000 || root.node.pages[0].Name != next {
			t.Errorf("got a root of %d bytes that begins with the page %s, want at most 2000 and %s", bytes, root.node.pages[0].Name, next)
		}
	})
}

// Others have retired many pages, which this process has never looked for.
func TestTree_looksForFewRetiredPagesAtATime(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Page = 6000
		for i := range 12 {
			save(t, m.store(), under(fmt.Sprint("x", i), fmt.Sprint("alice", i)))
		}
		_, _, entries := m.content(t)
		root := &node{pages: []pointer{{"", "page_leaf"}}}
		for range maxRetired {
			root.retired = append(root.retired, newPageName())
		}
		const left = "page_left" // whoever retired it has died
		root.retired[maxRetired/2] = left
		m.putNode(t, "page_leaf", &node{entries: entries})
		m.putNode(t, left, &node{sealed: true})
		m.putNode(t, indexName, root)
		tries, looked := 0, 0
		for m.show(t, left) != nil || tries < 200 {
			if tries++; tries > 10_000 {
				t.Fatal("the page was never deleted")
			}
			s := m.store()
			before := len(m.calls)
			save(t, s, under("y", "bob"))
			remove(t, s, "y")
			calls := m.calls[before:]
			if len(calls) > 12+2*lookedFor {
				t.Fatalf("got %d calls for a save and a delete: %v", len(calls), calls)
			}
			if slices.ContainsFunc(calls, func(c call) bool { return slices.Contains(root.retired, c.name) }) {
				looked++
			}
		}
		if 4*looked > tries { // it is a sixteenth of the writes, and each try makes two
			t.Errorf("looked for retired pages in %d of %d tries, want few", looked, tries)
		}
	})
}

// Another process has put a sealed page in the place of the missing one since.
func TestRepair_aMissingPageMayBeSealedAlready(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.putNode(t, "page_x", &node{sealed: true})
		wantNoError(t, m.store().sealMissing(t.Context(), "page_x"))
		m.putNode(t, "page_y", &node{})
		wantIs(t, m.store().sealMissing(t.Context(), "page_y"), errMoved)
	})
}

// Another process has deleted the user's record since the index was read.
func TestClaim_doesNotWaitForARememberedEntryThatIsGone(t *testing.T) {
	for name, token := range map[string]oauthstore.OAuthToken{
		"a new record with an id":               under("x", "bob"),
		"a new record with an id and a client":  {ID: "x", UserName: "bob", ClientID: "c2", AccessToken: "a"},
		"a new record with the former's client": {ID: "x", UserName: "bob", ClientID: "c1", AccessToken: "a"},
		"a new record without an id":            {UserName: "bob", AccessToken: "a"},
		"another client":                        {UserName: "bob", ClientID: "c2", AccessToken: "a"},
		"a change of the user name":             {ID: "y", UserName: "bob"},
		"a change of user name and client":      {ID: "y", UserName: "bob", ClientID: "c1"},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				s := m.store()
				save(t, s, under("y", "alice"))
				bob := save(t, s, oauthstore.OAuthToken{UserName: "bob", ClientID: "c1", AccessToken: "b"})
				remove(t, m.store(), bob.ID)
				begin := time.Now()
				save(t, s, token)
				if took := time.Since(begin); took > 10*conflictPause {
					t.Errorf("the save took %v", took)
				}
				m.wantConsistent(t)
			})
		})
	}
}

// The remembered entry of a record leads a claim to the record that the token points at by now.
func TestClaim_findsARecordUnderAnIDWhoseRememberedEntryHasAnotherClient(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := m.store()
		save(t, s, oauthstore.OAuthToken{ID: "x", UserName: "bob", ClientID: "d", AccessToken: "a1"})
		remove(t, m.store(), "x")
		save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "bob", ClientID: "c", AccessToken: "a2"})
		begin := time.Now()
		require.Equal(t, "x", save(t, s, oauthstore.OAuthToken{UserName: "bob", ClientID: "c", AccessToken: "a3"}).ID)
		require.Less(t, time.Since(begin), 10*conflictPause)
		m.wantConsistent(t)
	})
}

// The remembered leaf was sealed by another process since. What is saved goes to the page that takes its place.
func TestTree_aSealedLeafIsNotChanged(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		_, _, entries := m.content(t)
		m.putNode(t, "page_leaf", &node{entries: entries})
		m.putNode(t, indexName, &node{pages: []pointer{{"", "page_leaf"}}})
		s := m.store()
		_, err := s.GetTokens(t.Context()) // it remembers the leaf
		wantNoError(t, err)
		m.putNode(t, "page_leaf", &node{entries: entries, sealed: true})
		m.forgetCalls()
		save(t, s, under("y", "bob"))
		require.LessOrEqual(t, m.count(put, "page_leaf"), 1, "which has met the conflict")
		require.NotContains(t, m.linked(t, place{indexName, everywhere}), "page_leaf")
		m.wantIDs(t, "x", "y")
		m.wantConsistent(t)
	})
}

func TestDeleteTokens_doesNotGoByWhatIsRemembered(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		save(t, s, under("x", "alice"))
		save(t, m.store(), under("y", "bob"))
		wantNoError(t, s.DeleteTokens(t.Context()))
		m.wantIDs(t)
	})
}

// The pages after the first are read several at a time.
func TestScan_readsPagesAhead(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Page = 2000
		ids := fill(t, m.store(), 150)
		pages := len(m.linked(t, place{indexName, everywhere}))
		require.Greater(t, pages, m.limits.Parallel+1)
		const each = 50 * time.Millisecond
		m.around = func(_ context.Context, _ call, run func() error) error {
			time.Sleep(each)
			return run()
		}
		m.forgetCalls()
		begin := time.Now()
		wantFoundAll(t, m.store(), len(ids))
		rounds := func(n int) int { return (n + m.limits.Parallel - 1) / m.limits.Parallel }
		require.Equal(t, 1+pages+len(ids), m.count(get, ""), "the root, the pages and the tokens, each once")
		require.Equal(t, time.Duration(2+rounds(pages-1)+rounds(len(ids)))*each, time.Since(begin))
		m.around = nil
	})
}

// The pages that a division has made are remembered: the process that has made them reads them only to delete them.
func TestGrow_whatADivisionHasMadeIsRemembered(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Page = 2000
		s := m.store()
		for i := 0; len(m.pages(t)) < 8; i++ {
			save(t, s, under("", fmt.Sprint("user", i)))
		}
		read := m.nodesRead()
		require.Equal(t, indexName, read[0], "when it was empty")
		for _, page := range m.pages(t) {
			require.NotContains(t, read[1:], page)
		}
		require.NotContains(t, read[1:], indexName)
	})
}

// nodesRead returns the nodes that were read.
func (m *memory) nodesRead() (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.calls {
		if c.op == get && IsNode(c.name) {
			names = append(names, c.name)
		}
	}
	return names
}

// A page that takes the place of others has their writes too: their secrets are gone, but the service has counted them for
// the time in which it would have to be divided again.
func TestJoin_thePageHasTheWritesOfThoseBefore(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		limited(m, 100)
		s := m.store()
		for _, name := range []string{"page_a", "page_a", "page_b", "page_b", "page_b", "page_c"} { // so often each is written
			st, err := s.get(t.Context(), name, None)
			require.NoError(t, err)
			r, err := s.encodeNode(t.Context(), name, st.rec, &node{})
			require.NoError(t, err)
			stamp(r, st, s.quota())
			_, err = m.Put(t.Context(), name, st.rev, *r, 0)
			require.NoError(t, err)
		}
		m.putNode(t, indexName, &node{pages: []pointer{{"", "page_a"}, {"8", "page_b"}, {"c", "page_c"}}})
		_, err := s.GetTokens(t.Context()) // it remembers them
		require.NoError(t, err)
		root := m.show(t, indexName).node
		load := func(name string) int {
			r, err := m.store().node(t.Context(), name, fresh)
			require.NoError(t, err)
			return r.node.load(s.quota(), time.Now())
		}
		require.Equal(t, 5, load("page_a")+load("page_b"))
		s.join(t.Context(), place{indexName, everywhere}, root.children(everywhere)[:2])
		root = m.show(t, indexName).node
		require.Len(t, root.pages, 2)
		require.GreaterOrEqual(t, load(root.pages[0].Name), 5)
		m.wantConsistent(t)
	})
}
