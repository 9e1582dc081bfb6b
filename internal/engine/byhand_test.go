package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// What people do to the secrets by hand, and Repair to that.

// repairing repairs by a store of a process that lives on, or one that somebody is in the way of: see repaired for others.
// There must be something to do, or nothing.
func repairing(t *testing.T, s *Store, clean bool) *oauthstore.RepairReport {
	t.Helper()
	report, err := s.Repair(t.Context(), oauthstore.RepairOptions{})
	if err != nil || report.Clean() != clean {
		t.Errorf("Repair: got %v and error %v, want that there is nothing to do: %v", report, err, clean)
	}
	return report
}

// foreign makes a secret that is no token.
func (m *memory) foreign(t testing.TB, name string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.write(name, None, Record{Document: codec.Document{"password": json.RawMessage(`"hunter2"`)}}); err != nil {
		t.Fatal(err)
	}
}

func TestRepair_aNameThatNoTokenHasIsNobodys(t *testing.T) {
	for _, name := range []string{"token_", "token32_", "token__ff"} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				save(t, m.store(), under("x", "alice"))
				m.foreign(t, name)
				if report := repaired(t, m); !report.Clean() {
					t.Errorf("got %v, want that there is nothing to do", report)
				}
				save(t, m.store(), under("y", "bob"))
				if tokens, err := m.store().GetTokens(t.Context()); err != nil || len(tokens) != 2 {
					t.Errorf("GetTokens: got %d and error %v", len(tokens), err)
				}
			})
		})
	}
}

// A line of the index that was copied by hand has the nonce of another, or none, as those of secrets without header.
func TestRepair_entriesWithOneNonceAreTwo(t *testing.T) {
	for _, nonce := range []string{"copied", ""} {
		t.Run("nonce "+nonce, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				save(t, m.store(), under("x", "alice"))
				if nonce == "" {
					d := m.show(t, "token_x").rec.Document
					delete(m.secrets, "token_x")
					m.mu.Lock()
					_, err := m.write("token_x", None, Record{Document: d})
					m.mu.Unlock()
					if err != nil {
						t.Fatal(err)
					}
				}
				m.editIndex(t, func(entries []entry) []entry {
					if nonce == "" {
						entries[0].Nonce = ""
					}
					other := entries[0]
					other.ID, other.User = "gone", "carol"
					return append(entries, other)
				})
				time.Sleep(grace + time.Minute)
				if repaired(t, m).Clean() {
					t.Error("there was nothing to do")
				}
			})
		})
	}
}

// A process that lives on remembers the index as it was before it was rolled back (vault kv rollback).
func TestRepair_doesNotGoByWhatIsRemembered(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := m.store()
		save(t, s, under("a", "alice"))
		save(t, s, under("b", "bob"))
		time.Sleep(time.Hour)
		m.mu.Lock()
		i := m.secrets[indexName]
		i.versions, i.times = append(i.versions, bytes.Clone(i.versions[0])), append(i.times, time.Now())
		m.mu.Unlock()
		repairing(t, s, false)
		m.wantConsistent(t)
	})
}

// A page is deleted in a way that leaves the numbers of its versions, and can be undone (vault kv delete).
func TestRepair_aPageThatIsMissingIsNotWrittenOnceMore(t *testing.T) {
	for _, how := range []string{"by those who remember it", "by those who find it undeleted"} {
		t.Run(how, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				m.tombstones = true
				m.limits.Page = 2000
				s := m.store()
				fill(t, s, 100)
				if _, err := s.GetTokens(t.Context()); err != nil {
					t.Fatal(err)
				}
				page := m.pages(t)[1]
				destroyed := func(n int) {
					m.mu.Lock()
					defer m.mu.Unlock()
					m.secrets[page].destroyed, m.secrets[page].shown = n, nil
				}
				destroyed(len(m.secrets[page].versions))
				repairing(t, m.store(), false)
				m.wantConsistent(t)
				if how == "by those who find it undeleted" {
					time.Sleep(time.Hour)
					destroyed(0)
				}
				for i := 0; ; i++ {
					user := fmt.Sprint("later", i)
					if l, _ := s.index.recallLeaf(keyOf("", user, "")); l.name == page {
						save(t, s, oauthstore.OAuthToken{UserName: user, RefreshToken: "r"})
						break
					}
				}
				m.wantConsistent(t)
			})
		})
	}
}

func TestRepair_goesOnAfterADenial(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.tombstones = true
		save(t, m.store(), under("a", "alice"))
		save(t, m.store(), under("b", "bob"))
		m.on(destroy, "token_a", fails(errors.New("it died")))
		_ = m.store().DeleteToken(t.Context(), "a")
		m.editIndex(t, func(entries []entry) []entry {
			return slices.DeleteFunc(entries, func(e entry) bool { return e.ID == "b" })
		})
		m.on(destroy, "token_a", fails(oauthstore.ErrAccessDenied))
		report := repairing(t, m.store(), false)
		if len(report.Unreadable) != 1 || !errors.Is(report.Unreadable[0], oauthstore.ErrAccessDenied) {
			t.Errorf("got %v, want the denial", report.Unreadable)
		}
		m.wantConsistent(t)
	})
}

func TestTree_pagesThatLeadInACircle(t *testing.T) {
	m := newMemory()
	m.limits.Page = 2000
	fill(t, m.store(), 100)
	page := m.pages(t)[0]
	d := codec.Document{pagesField: json.RawMessage(`[{"f":"","p":"` + page + `"}]`)}
	codec.SetFormat(d)
	m.overwrite(t, page, d)
	var corrupt *oauthstore.CorruptRecordError
	if _, err := m.store().GetTokens(t.Context()); !errors.As(err, &corrupt) {
		t.Errorf("got error %v, want a *CorruptRecordError", err)
	}
}

// Whoever has written a record once with a clock that is a month ahead does not use up all days until then.
func TestQuota_writesOfTheFutureDoNotCount(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := daily()
		s := m.store()
		save(t, s, under("x", "alice"))
		m.mu.Lock()
		rec, rev, err := m.newest("token_x")
		if err == nil {
			rec.Writes = history{{s.quota().slot(time.Now().Add(30 * 24 * time.Hour)), 99}}
			_, err = m.write("token_x", rev, rec)
		}
		m.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		for hour := range 7 * 24 {
			time.Sleep(time.Hour)
			l, err := s.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "x", For: time.Minute})
			if err != nil {
				t.Fatalf("hour %d: %v", hour, err)
			}
			if err := s.SaveLeased(t.Context(), l, &oauthstore.OAuthToken{AccessToken: fmt.Sprint(hour)}); err != nil {
				t.Fatalf("hour %d: %v", hour, err)
			}
		}
	})
}
