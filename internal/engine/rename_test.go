package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
)

// Records that change their user name or client id.

func renaming(t *testing.T, s *Store, id, user string) func() error {
	return saving(t, s, oauthstore.OAuthToken{ID: id, UserName: user})
}

func TestRename_listsTheNewNameBeforeTheRecordHasIt(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		save(t, s, under("x", "alice"))
		m.before(put, xName, func() {
			if got := m.token(t, "x").UserName; got != "alice" {
				t.Errorf("got user %s before the record was written, want alice", got)
			}
			m.wantEntries(t, "x", 2)
		})
		save(t, s, oauthstore.OAuthToken{ID: "x", UserName: "bob"})
		if got := find(t, m.store(), oauthstore.OAuthToken{UserName: "bob"}); got.ID != "x" {
			t.Errorf("found %v, want x", got)
		}
		_, err := m.store().FindToken(t.Context(), &oauthstore.OAuthToken{UserName: "alice"})
		wantIs(t, err, oauthstore.ErrTokenNotFound)
	})
}

func TestRename_oneOfTwoToTheSameUserConflicts(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		save(t, m.store(), under("y", "bob"))
		stores := m.stopAt(put, xName)
		renamed := renaming(t, m.store(), "x", "carol")
		stores.wait()
		wantConflict(t, m.store().SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "y", UserName: "carol"}), "x")
		stores.goOn()
		wantNoError(t, renamed())
		wantConflict(t, m.store().SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "y", UserName: "carol"}), "x")
		if got := m.token(t, "y").UserName; got != "bob" {
			t.Errorf("got user %s, want bob still", got)
		}
	})
}

func TestRename_meetsAnInsertOfThatUser(t *testing.T) {
	t.Run("that listed itself first", func(t *testing.T) {
		eachKind(t, func(t *testing.T, m *memory) {
			save(t, m.store(), under("x", "alice"))
			stores := m.stopAt(put, tokenPrefix+"y")
			saved := saving(t, m.store(), under("y", "bob"))
			stores.wait()
			wantConflict(t, m.store().SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "x", UserName: "bob"}), "y")
			stores.goOn()
			wantNoError(t, saved())
			m.wantIDs(t, "x", "y")
		})
	})
	t.Run("that lists itself second", func(t *testing.T) {
		eachKind(t, func(t *testing.T, m *memory) {
			save(t, m.store(), under("x", "alice"))
			stores := m.stopAt(put, xName)
			renamed := renaming(t, m.store(), "x", "bob")
			stores.wait()
			y := under("y", "bob")
			wantConflict(t, m.store().SaveToken(t.Context(), &y), "x")
			stores.goOn()
			wantNoError(t, renamed())
			m.wantIDs(t, "x")
		})
	})
	t.Run("without id, which waits and then merges", func(t *testing.T) {
		eachKind(t, func(t *testing.T, m *memory) {
			save(t, m.store(), under("x", "alice"))
			stores := m.stopAt(put, xName)
			renamed := renaming(t, m.store(), "x", "bob")
			stores.wait()
			time.AfterFunc(200*time.Millisecond, stores.goOn)
			if got := save(t, m.store(), oauthstore.OAuthToken{UserName: "bob", AccessToken: "a"}); got.ID != "x" {
				t.Errorf("got %v, want it merged into x", got)
			}
			wantNoError(t, renamed())
			m.wantIDs(t, "x")
		})
	})
}

func TestRename_meetsARenameOfTheSameRecord(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		m.before(put, xName, func() { save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "bob"}) })
		save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "carol"})
		if got := m.token(t, "x").UserName; got != "carol" {
			t.Errorf("got user %s, want that of the last to write, carol", got)
		}
	})
}

func TestRename_isForgottenWithTheToken(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		for _, user := range []string{"bob", "carol", "alice", "bob", "carol"} {
			save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: user})
			m.wantConsistent(t)
			if n := len(m.entriesOf(t, "x")); n > maxClaims {
				t.Errorf("got %d index entries, want that which the record stands behind and a few before", n)
			}
		}
		remove(t, m.store(), "x")
		m.wantEntries(t, "x", 0)
	})
}

func TestRename_leavesTheOldNameToOthersAtOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "bob"})
		save(t, m.store(), under("y", "alice"))
		wantConflict(t, m.store().SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "x", UserName: "alice"}), "y")
		m.wantIDs(t, "x", "y")
	})
}

func TestRename_meetsADelete(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		forgets := m.stopAt(put, indexName)
		deleted := deleting(t, m.store(), "x")
		forgets.wait()
		save(t, m.store(), under("x", "alice"))
		save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "bob"})
		forgets.goOn()
		wantNoError(t, deleted())
		m.wantIDs(t, "x")
	})
}

// A record without client id matches any: it gets the one that is saved first, and the other caller's
// token is a record of its own.
func TestRename_twoClientsMeetAtARecordWithoutClient(t *testing.T) {
	for name, id := range map[string]string{"under an id of its own": "x", "under the derived id": ""} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, m *memory) {
				id := save(t, m.store(), under(id, "alice")).ID
				m.before(put, encodeID(id), func() {
					save(t, m.store(), oauthstore.OAuthToken{UserName: "alice", ClientID: "c1", AccessToken: "a1"})
				})
				second := save(t, m.store(), oauthstore.OAuthToken{UserName: "alice", ClientID: "c2", AccessToken: "a2"})
				first := m.token(t, id)
				if first.ClientID != "c1" || first.AccessToken != "a1" || second.ID == id || second.ClientID != "c2" {
					t.Errorf("got %v and %v, want the first client's under the old id and a new record for the second", first, second)
				}
			})
		})
	}
}

// dieRenaming leaves an entry for a user name that the record x never got.
func dieRenaming(t *testing.T, m *memory, user string) {
	t.Helper()
	m.on(put, xName, fails(errors.New("died")))
	if err := m.store().SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "x", UserName: user}); err == nil {
		t.Fatal("want an error")
	}
	m.wantEntries(t, "x", 2)
}

func TestRename_thatDiedKeepsTheNameForAWhile(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		dieRenaming(t, m, "bob")
		y := under("y", "bob")
		wantConflict(t, m.store().SaveToken(t.Context(), &y), "x")
		time.Sleep(grace)
		save(t, m.store(), y)
		m.wantIDs(t, "x", "y")
		m.wantConsistent(t)
		remove(t, m.store(), "x")
		m.wantEntries(t, "x", 0)
	})
}

// Here no ConflictError leads the caller on: a token that is saved by user name has to be stored, or the
// caller be told what is in the way.
func TestRename_thatDiedDoesNotKeepAUserFromSavingWithoutID(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		dieRenaming(t, m, "bob")
		token := oauthstore.OAuthToken{UserName: "bob", RefreshToken: "r"}
		err := m.store().SaveToken(t.Context(), &token)
		var conflict *oauthstore.ConflictError
		if err != nil && !errors.As(err, &conflict) {
			t.Errorf("got error %v, want none or a ConflictError", err)
		}
		m.wantConsistent(t)
	})
}

func TestRename_canBeTriedAgainAfterItDied(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		dieRenaming(t, m, "bob")
		save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "bob"})
		if got := m.token(t, "x").UserName; got != "bob" {
			t.Errorf("got user %s, want bob", got)
		}
	})
}

// A conflict leaves the record that it names as it was.
func TestConflict_writesNothing(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		save(t, m.store(), oauthstore.OAuthToken{ID: "z", UserName: "alice", ClientID: "c", RefreshToken: "r"})
		s := m.store()
		puts := 0
		m.around = func(_ context.Context, c call, run func() error) error {
			if c.op == put {
				puts++
			}
			return run()
		}
		wantConflict(t, s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "y", UserName: "alice", RefreshToken: "r"}), "x")
		if puts != 0 {
			t.Errorf("%d writes, want none", puts)
		}
	})
}

// The write has taken effect and its answer is lost. Others have changed the name so often since that the record neither
// remembers the write nor owns its entry any more.
func TestRename_thatIsRepeatedHasAnEntryOfItsOwn(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		m.on(put, xName, func(run func() error) error {
			err := lost(run)
			for i := range maxClaims {
				save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: fmt.Sprint("user", i)})
			}
			return err
		})
		save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "bob"})
		if got := find(t, m.store(), oauthstore.OAuthToken{UserName: "bob"}); got.ID != "x" {
			t.Errorf("found %v, want x", got)
		}
		y := under("y", "bob")
		wantConflict(t, m.store().SaveToken(t.Context(), &y), "x")
		m.wantConsistent(t)
	})
}

// The write of the index has taken effect, and the call ends before the answer. Once a repeat of the call has succeeded the
// entry of the first one blocks no save.
func TestSave_thatEndsAtTheIndexLeavesNothingOnceItIsRepeated(t *testing.T) {
	for name, c := range map[string]struct {
		token oauthstore.OAuthToken
		then  func(t *testing.T, s *Store)
	}{
		"insert": {under("x", "bob"), func(t *testing.T, s *Store) { remove(t, s, "x") }},
		"rename": {oauthstore.OAuthToken{ID: "z", UserName: "bob"}, func(t *testing.T, s *Store) {
			save(t, s, oauthstore.OAuthToken{ID: "z", UserName: "alice"})
		}},
		// Not a repeat of the call, but another write of the same secret. The remembered index is that from before.
		"rename, then another change": {oauthstore.OAuthToken{ID: "z", UserName: "bob"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, m *memory) {
				s := m.store()
				save(t, s, under("z", "alice"))
				ctx, cancel := context.WithCancel(t.Context())
				m.on(put, indexName, func(run func() error) error {
					err := lost(run)
					cancel()
					return err
				})
				first, again := c.token, c.token
				wantIs(t, s.SaveToken(ctx, &first), context.Canceled)
				if c.then == nil {
					save(t, s, oauthstore.OAuthToken{ID: "z", Scope: "another"})
				} else {
					save(t, s, again)
					c.then(t, s)
				}
				save(t, m.store(), under("y", "bob"))
				m.wantConsistent(t)
			})
		})
	}
}

// An insert was stored after its answer was lost. Before it looks again its process has changed the user name, and not
// learnt that either. The insert knows itself then, and leaves the entry of that change.
func TestInsert_thatIsFoundWhenItStartsOverLeavesTheEntryOfALaterRename(t *testing.T) {
	withTombstones(t, func(t *testing.T, m *memory) {
		s := m.store()
		var late func() error
		m.on(put, xName, func(run func() error) error {
			late = run
			return oauthstore.ErrUnavailable
		})
		m.onLater(1, get, xName, func(run func() error) error { // where the insert looks what has become of its write
			err := run()
			m.on(get, xName, func(run func() error) error { // where it starts over
				wantNoError(t, late())
				ctx, cancel := context.WithCancel(t.Context())
				m.on(put, xName, func(run func() error) error {
					err := lost(run)
					cancel()
					return err
				})
				wantIs(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", UserName: "bob"}), context.Canceled)
				return run()
			})
			return err
		})
		save(t, s, under("x", "alice"))
		m.wantRulesUsed(t)
		m.wantConsistent(t)
		if got := find(t, m.store(), oauthstore.OAuthToken{UserName: "bob"}); got.ID != "x" {
			t.Errorf("found %v, want x", got)
		}
	})
}
