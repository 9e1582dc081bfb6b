package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// repaired repairs and returns the report, which must say what a dry run has said before, and leave nothing to do.
func repaired(t *testing.T, m *memory) *oauthstore.RepairReport {
	t.Helper()
	before := m.bytes(indexName)
	promised, err := m.store().Repair(t.Context(), oauthstore.RepairOptions{DryRun: true})
	if err != nil {
		t.Fatalf("dry run: %v", err)
	}
	if !slices.Equal(m.bytes(indexName), before) {
		t.Error("the dry run has changed the index")
	}
	report, err := m.store().Repair(t.Context(), oauthstore.RepairOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%+v", report) != fmt.Sprintf("%+v", promised) {
		t.Errorf("the repair reports %+v, and the dry run before it %+v", report, promised)
	}
	m.wantConsistent(t)
	m.wantNoOrphans(t)
	again, err := m.store().Repair(t.Context(), oauthstore.RepairOptions{})
	if err != nil || len(report.Unreadable)+len(report.Conflicts) == 0 && !again.Clean() {
		t.Errorf("a second repair: got %v and error %v, want nothing to do", again, err)
	}
	return report
}

func wantList(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestRepair_findsNothingWhereAllIsWell(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		m.limits.Page = 2000
		s := m.store()
		ids := fill(t, s, 50)
		remove(t, s, ids[0])
		save(t, s, oauthstore.OAuthToken{ID: ids[1], UserName: "renamed"})
		if report := repaired(t, m); !report.Clean() || report.Tokens != 49 {
			t.Errorf("got %+v, want 49 tokens and nothing to repair", report)
		}
	})
}

func TestRepair_listsWhatIsNotListed(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		fill(t, s, 3)
		save(t, s, under("x", "alice"))
		save(t, s, under("y/é", "bob"))
		m.editIndex(t, func(entries []entry) []entry {
			return slices.DeleteFunc(entries, func(e entry) bool { return e.User == "alice" || e.User == "bob" })
		})
		wantList(t, "unlisted", repaired(t, m).Unlisted, "x", "y/é")
		// What was added is as good as what was there.
		remove(t, m.store(), "x")
		m.wantEntries(t, "x", 0)
	})
}

func TestRepair_listsATokenUnderTheNameThatItHas(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		m.editIndex(t, func(entries []entry) []entry {
			entries[0].User, entries[0].Nonce = "bob", "another"
			return entries
		})
		wantList(t, "unlisted", repaired(t, m).Unlisted, "x")
	})
}

func TestRepair_makesTheIndexAnew(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		m.limits.Page = 2000
		ids := fill(t, m.store(), 100)
		for name := range m.secrets {
			if !strings.HasPrefix(name, "token") {
				delete(m.secrets, name) // somebody has deleted all of it
			}
		}
		wantList(t, "unlisted", repaired(t, m).Unlisted, ids...)
		tokens, err := m.store().GetTokens(t.Context())
		if err != nil || len(tokens) != 100 {
			t.Errorf("GetTokens: got %d tokens and error %v, want 100", len(tokens), err)
		}
	})
}

func TestRepair_makesAPageAnew(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Page = 2000
		fill(t, m.store(), 100)
		page := m.pages(t)[1]
		lost := slices.Clone(m.show(t, page).node.entries)
		delete(m.secrets, page)
		_, err := m.store().GetTokens(t.Context())
		var corrupt *oauthstore.CorruptRecordError
		if !errors.As(err, &corrupt) || corrupt.Secret != "mem/"+page {
			t.Errorf("GetTokens: got error %v, want one that names the page", err)
		}
		find(t, m.store(), oauthstore.OAuthToken{UserName: lost[0].User}) // which needs no index
		report := repaired(t, m)
		wantList(t, "pages", report.Pages, "mem/"+page)
		wantList(t, "unlisted", report.Unlisted, ids(lost)...)
	})
}

func TestRepair_removesWhatNobodyStandsBehind(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := m.store()
		save(t, s, under("x", "alice"))
		save(t, s, under("y", "bob"))
		m.editIndex(t, func(entries []entry) []entry {
			dead, renaming := newEntry(&oauthstore.OAuthToken{ID: "dead", UserName: "carol"}), newEntry(&oauthstore.OAuthToken{ID: "x", UserName: "dave"})
			return append(entries, dead, renaming)
		})
		delete(m.secrets, "token_y") // by hand
		if report := repaired(t, m); !report.Clean() {
			t.Errorf("got %+v, want that young entries are left: somebody may be about to store the token", report)
		}
		time.Sleep(grace)
		wantList(t, "dead", repaired(t, m).Dead, "dead", "x", "y")
		m.wantEntries(t, "x", 1)
	})
}

func TestRepair_finishesDeletions(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.tombstones = true
		save(t, m.store(), under("x", "alice"))
		m.on(destroy, "token_x", fails(errors.New("it died")))
		_ = m.store().DeleteToken(t.Context(), "x")
		wantList(t, "unfinished", repaired(t, m).Unfinished, "x")
		if s := m.secrets["token_x"]; s.destroyed != len(s.versions) {
			t.Error("the versions of the deleted token are still there")
		}
		m.wantEntries(t, "x", 0)
	})
}

func TestRepair_removesPagesThatNothingLeadsTo(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Page = 2000
		s := m.store()
		fill(t, s, 100)
		p, err := s.newPage(t.Context(), indexName, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.makePages(t.Context(), []*page{p}); err != nil {
			t.Fatal(err)
		}
		m.wantOrphans(t, 1)
		report, err := m.store().Repair(t.Context(), oauthstore.RepairOptions{})
		if err != nil || !report.Clean() {
			t.Errorf("got %+v and error %v, want that a young page is left: it may be about to be led to", report, err)
		}
		time.Sleep(grace)
		wantList(t, "pages", repaired(t, m).Pages, "mem/"+p.name)
	})
}

// wantOrphans demands that there are n pages that nothing leads to.
func (m *memory) wantOrphans(t testing.TB, n int) {
	t.Helper()
	if got := len(m.pages(t)) - len(m.linked(t, place{indexName, everywhere})); got != n {
		t.Errorf("got %d pages that nothing leads to, want %d", got, n)
	}
}

func TestRepair_leavesWhatItCannotRead(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		save(t, m.store(), under("y", "bob"))
		m.overwrite(t, "token_y", codec.Document{"format": json.RawMessage(`"1"`)})
		report := repaired(t, m)
		if len(report.Unreadable) != 1 || report.Tokens != 1 {
			t.Errorf("got %+v, want one token and one that cannot be read", report)
		}
	})
}

func TestRepair_reportsTwoTokensOfOneUser(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		save(t, m.store(), under("y", "bob"))
		d := maps.Clone(m.show(t, "token_y").rec.Document)
		d.Set("user_name", "alice") // by hand
		m.overwrite(t, "token_y", d)
		report, err := m.store().Repair(t.Context(), oauthstore.RepairOptions{})
		want := []oauthstore.RepairConflict{{ID: "x", OtherID: "y"}}
		if err != nil || !slices.Equal(report.Conflicts, want) {
			t.Errorf("got %+v and error %v, want %v", report, err, want)
		}
		delete(m.secrets, "token_y") // for what is looked at in the end
	})
}

// A listing that lags behind lacks what is new, and shows what is gone.
func TestRepair_believesNoListingInWhatItLacks(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.listLag = time.Hour
		ids := fill(t, m.store(), 10)
		time.Sleep(grace)
		if report := repaired(t, m); !report.Clean() || report.Tokens != len(ids) {
			t.Errorf("got %+v, want %d tokens and nothing to repair", report, len(ids))
		}
		m.wantIDs(t, ids...)
	})
}

func TestRepair_tellsHowFarItIs(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		fill(t, m.store(), 250)
		var steps []string
		_, err := m.store().Repair(t.Context(), oauthstore.RepairOptions{Progress: func(p oauthstore.RepairProgress) {
			steps = append(steps, fmt.Sprint(p.Step, " ", p.Done, "/", p.Total))
		}})
		want := []string{"list 0/0", "read 0/250", "read 100/250", "read 200/250", "read 250/250", "write 0/0"}
		if err != nil || !slices.Equal(steps, want) {
			t.Errorf("got %q and error %v, want %q", steps, err, want)
		}
	})
}

func TestRepair_thatIsDeniedOrCutShortSaysSo(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		fill(t, m.store(), 10)
		m.on("list", "", fails(oauthstore.ErrAccessDenied))
		report, err := m.store().Repair(t.Context(), oauthstore.RepairOptions{})
		wantIs(t, err, oauthstore.ErrAccessDenied)
		if report == nil {
			t.Error("got no report beside the error")
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, err = m.store().Repair(ctx, oauthstore.RepairOptions{Progress: func(p oauthstore.RepairProgress) {
			if p.Step == "read" {
				cancel()
			}
		}})
		wantIs(t, err, context.Canceled)
	})
}
