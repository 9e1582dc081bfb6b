package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
)

// pages returns the names of the index's pages that exist, pointed to or not.
func (m *memory) pages(t testing.TB) []string {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name := range m.secrets {
		if v := m.show(t, name); v != nil && v.node != nil && strings.HasPrefix(name, pagePrefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// linked returns the names of the pages that are pointed to.
func (m *memory) linked(t testing.TB, at place) []string {
	t.Helper()
	v := m.show(t, at.name)
	if v == nil || v.node == nil {
		return nil
	}
	var names []string
	for _, child := range v.node.children(at.span) {
		names = append(append(names, child.name), m.linked(t, child)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// wantNoOrphans demands that all pages are pointed to.
func (m *memory) wantNoOrphans(t testing.TB) {
	t.Helper()
	if got, want := m.pages(t), m.linked(t, place{indexName, everywhere}); !slices.Equal(got, want) {
		t.Errorf("got the pages %q, and these are pointed to: %q", got, want)
	}
}

// fill saves tokens of n users and returns their ids.
func fill(t testing.TB, s *Store, n int) []string {
	t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = save(t, s, under("", fmt.Sprint("user", i))).ID
	}
	return ids
}

func TestGrow_aFullLeafIsDivided(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		m.limits.Page = 2000
		s := m.store()
		ids := fill(t, s, 200)
		m.wantIDs(t, slices.Clone(ids)...)
		m.wantConsistent(t)
		m.wantNoOrphans(t)
		if pages := m.pages(t); len(pages) < 10 || len(pages) > 40 {
			t.Errorf("got %d pages, want some that are half full", len(pages))
		}
		for _, other := range []*Store{s, m.store()} {
			tokens, err := other.GetTokens(t.Context())
			if err != nil || len(tokens) != len(ids) {
				t.Errorf("GetTokens: got %d tokens and error %v, want %d", len(tokens), err, len(ids))
			}
			for i := range 200 {
				find(t, other, oauthstore.OAuthToken{UserName: fmt.Sprint("user", i)})
			}
		}
	})
}

func TestGrow_andShrink(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		m.limits.Page = 2000
		s := m.store()
		ids := fill(t, s, 200)
		for _, id := range ids[10:] {
			remove(t, s, id)
		}
		m.wantIDs(t, ids[:10]...)
		m.wantConsistent(t)
		m.wantNoOrphans(t)
		if pages := m.pages(t); len(pages) > 8 {
			t.Errorf("got %d pages for ten tokens, want few", len(pages))
		}
		if _, err := m.store().Repair(t.Context(), oauthstore.RepairOptions{}); err != nil {
			t.Fatal(err)
		}
		if pages := m.pages(t); len(pages) > 2 { // they fill more than half of one
			t.Errorf("got %d pages for ten tokens after a repair, want two", len(pages))
		}
	})
}

func TestGrow_andDeleteAll(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		m.limits.Page = 2000
		s := m.store()
		fill(t, s, 200)
		if err := m.store().DeleteTokens(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.wantIDs(t)
		m.wantNoOrphans(t)
		if pages := m.pages(t); len(pages) > 0 {
			t.Errorf("got %d pages, want none", len(pages))
		}
		fill(t, s, 3) // whatever it remembers
		m.wantConsistent(t)
	})
}

// limited makes of m a service that takes so many writes to a secret in a day, and counts those to the index.
func limited(m *memory, writes int) (most func() int) {
	m.limits.Writes, m.limits.Per = writes, 24*time.Hour
	times := make(map[string][]time.Time)
	m.refuse = func(name string) error {
		day := slices.DeleteFunc(times[name], func(at time.Time) bool { return time.Since(at) >= 24*time.Hour })
		if len(day) >= writes {
			return fmt.Errorf("%w: %w", oauthstore.ErrThrottled, ErrExhausted)
		}
		times[name] = append(day, time.Now())
		return nil
	}
	return func() int {
		m.mu.Lock()
		defer m.mu.Unlock()
		n := 0
		for name, all := range times {
			if !strings.HasPrefix(name, "token") {
				n = max(n, len(all))
			}
		}
		return n
	}
}

func TestGrow_aLeafThatIsWornIsReplaced(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		most := limited(m, 50)
		stores := []*Store{m.store(), m.store(), m.store()}
		for i := range 1000 {
			save(t, stores[i%len(stores)], under("", fmt.Sprint("user", i)))
			time.Sleep(24 * time.Hour / 1000)
		}
		m.wantConsistent(t)
		m.wantNoOrphans(t)
		t.Logf("%d pages, at most %d writes to one secret of the index", len(m.pages(t)), most())
	})
}

// One user who comes and goes does not need many pages, and never more than a few.
func TestGrow_oneUserWhoComesAndGoes(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		limited(m, 100)
		s := m.store()
		fill(t, s, 10)
		for range 1500 {
			remove(t, s, save(t, s, under("", "restless")).ID)
			time.Sleep(24 * time.Hour / 1000)
		}
		m.wantConsistent(t)
		m.wantNoOrphans(t)
		if pages := m.pages(t); len(pages) > 8 {
			t.Errorf("got %d pages, want few", len(pages))
		}
	})
}

// A user with very many clients fills pages of their own.
func TestGrow_oneUserWithManyClients(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		m.limits.Page = 2000
		s := m.store()
		fill(t, s, 30)
		for i := range 60 {
			token := under("", "many")
			token.ClientID = fmt.Sprint("client", i)
			save(t, s, token)
		}
		m.wantConsistent(t)
		m.wantNoOrphans(t)
		for _, other := range []*Store{s, m.store()} {
			for i := range 60 {
				find(t, other, oauthstore.OAuthToken{UserName: "many", ClientID: fmt.Sprint("client", i)})
			}
			token := under("another", "many")
			token.ClientID = "client7"
			err := other.SaveToken(t.Context(), &token)
			wantConflict(t, err, find(t, s, oauthstore.OAuthToken{UserName: "many", ClientID: "client7"}).ID)
		}
	})
}

// firstVersion stores tokens and an index as the first version of this library did: no count of writes, no pages,
// however large.
func firstVersion(t testing.TB, m *memory, n int) (ids []string) {
	t.Helper()
	var entries []string
	for i := range n {
		id, nonce := fmt.Sprint("token", i), fmt.Sprint("nonce", i)
		entries = append(entries, fmt.Sprintf(`{"id":%q,"u":"user%d","n":%q,"t":"s1a2b3","r":"abcdefgh"}`, id, i, nonce))
		m.put1(t, tokenPrefix+id, fmt.Sprintf(`{"format":"1","id":%q,"user_name":"user%d","refresh_token":"refresh%d",`+
			`"incarnation":%q,"claims":%q,"write_id":"w%d"}`, id, i, i, nonce, nonce, i))
		ids = append(ids, id)
	}
	m.put1(t, indexName, `{"format":"1","incarnation":"i","write_id":"w","entries":[`+strings.Join(entries, ",")+`]}`)
	return ids
}

// put1 makes text the first version of a secret.
func (m *memory) put1(t testing.TB, name, text string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.born++
	m.secrets[name] = &secret{birth: m.born, versions: [][]byte{[]byte(text)}, times: []time.Time{time.Now()}}
	if _, _, err := m.newest(name); err != nil {
		t.Fatal(err)
	}
}

func TestGrow_anIndexOfTheFirstVersionOpensAndGrows(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		ids := firstVersion(t, m, 600) // some 50 KB
		m.limits.Page = 4000
		m.limits.Writes, m.limits.Per = 100, 24*time.Hour
		s := m.store()
		save(t, s, oauthstore.OAuthToken{ID: ids[0], AccessToken: "refreshed"})
		if pages := m.pages(t); len(pages) > 0 {
			t.Errorf("got %d pages after a refresh, which writes no index", len(pages))
		}
		save(t, s, under("new", "another"))
		save(t, s, oauthstore.OAuthToken{ID: ids[1], UserName: "renamed"})
		remove(t, m.store(), ids[2])
		m.wantEntries(t, ids[2], 0)
		m.wantConsistent(t)
		m.wantNoOrphans(t)
		if pages := m.pages(t); len(pages) < 20 || len(pages) > 60 {
			t.Errorf("got %d pages for 600 entries, want that they are half full", len(pages))
		}
		tokens, err := m.store().GetTokens(t.Context())
		if err != nil || len(tokens) != 600 {
			t.Errorf("GetTokens: got %d tokens and error %v, want 600", len(tokens), err)
		}
		if report := repaired(t, m); len(report.Unlisted)+len(report.Dead) > 0 {
			t.Errorf("a repair reports %v", report)
		}
		if err := m.store().DeleteTokens(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.wantIDs(t)
	})
}

// The names of users are in the pages as they are in the root: encrypted where the tokens are.
func TestGrow_pagesAreEncrypted(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Page = 4000
		s := New(m, encrypting(t), DefaultTimeout)
		for i := range 100 {
			save(t, s, oauthstore.OAuthToken{UserName: fmt.Sprint("someone", i), RefreshToken: "r"})
		}
		if pages := m.pagesByName(); len(pages) < 3 {
			t.Errorf("got %d pages, want some", len(pages))
		}
		for name, sec := range m.secrets {
			for _, version := range sec.versions {
				if strings.Contains(string(version), "someone") {
					t.Errorf("secret %s has a user name in clear", name)
				}
			}
		}
		tokens, err := New(m, encrypting(t), DefaultTimeout).GetTokens(t.Context())
		if err != nil || len(tokens) != 100 {
			t.Errorf("GetTokens: got %d tokens and error %v, want 100", len(tokens), err)
		}
	})
}

// pagesByName returns the names of the pages, whatever is in them.
func (m *memory) pagesByName() (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.secrets {
		if strings.HasPrefix(name, pagePrefix) {
			names = append(names, name)
		}
	}
	return names
}
