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
		most := limited(m, 100)
		stores := []*Store{m.store(), m.store(), m.store()}
		for i := range 2000 {
			save(t, stores[i%len(stores)], under("", fmt.Sprint("user", i)))
			time.Sleep(24 * time.Hour / 2000)
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
		for range 3000 {
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
