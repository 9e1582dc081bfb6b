package engine

import (
	"errors"
	"testing"

	"github.com/oauthstore/oauthstore"
)

// What happens when inserts, deletes and updates of several processes meet, each at one certain moment.
// Every test ends with the look at the invariant that eachKind takes.

const xName = tokenPrefix + "x" // the secret of the token x

// saving, deleting and updating are calls of another process.
func saving(t *testing.T, s *Store, token oauthstore.OAuthToken) func() error {
	return start(func() error { return s.SaveToken(t.Context(), &token) })
}

func deleting(t *testing.T, s *Store, id string) func() error {
	return start(func() error { return s.DeleteToken(t.Context(), id) })
}

func wantNoError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("got error %v, want none", err)
	}
}

func TestInsert_listsTheTokenBeforeItStoresIt(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		m.before(put, xName, func() {
			m.wantIDs(t)
			m.wantEntries(t, "x", 1)
			tokens, err := m.store().GetTokens(t.Context())
			if err != nil || len(tokens) != 0 {
				t.Errorf("GetTokens between the two writes of an insert: got %v and error %v, want nothing", tokens, err)
			}
		})
		save(t, m.store(), under("x", "alice"))
		m.wantIDs(t, "x")
		m.wantEntries(t, "x", 1)
	})
}

func TestDelete_removesTheSecretBeforeItsEntry(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		m.before(put, indexName, func() {
			m.wantIDs(t)
			m.wantEntries(t, "x", 1)
		})
		remove(t, m.store(), "x")
		m.wantEntries(t, "x", 0)
	})
}

func TestDelete_leavesTheEntryOfAnInsertThatIsBetweenItsTwoWrites(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		forgets := m.stopAt(put, indexName)
		deleted := deleting(t, m.store(), "x")
		forgets.wait()
		stores := m.stopAt(put, xName)
		saved := saving(t, m.store(), under("x", "alice"))
		stores.wait()
		forgets.goOn()
		wantNoError(t, deleted())
		m.wantEntries(t, "x", 1)
		stores.goOn()
		wantNoError(t, saved())
		m.wantIDs(t, "x")
		m.wantEntries(t, "x", 1)
	})
}

func TestDelete_ofATokenThatIsBeingInsertedFindsNothingAndLeavesTheEntry(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		stores := m.stopAt(put, xName)
		saved := saving(t, m.store(), under("x", "alice"))
		stores.wait()
		wantIs(t, m.store().DeleteToken(t.Context(), "x"), oauthstore.ErrTokenNotFound)
		wantNoError(t, m.store().DeleteTokens(t.Context()))
		m.wantEntries(t, "x", 1)
		stores.goOn()
		wantNoError(t, saved())
		m.wantIDs(t, "x")
	})
}

func TestDelete_thatStoppedHalfWayIsFinishedByAnInsert(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := newMemory()
		m.tombstones = true
		save(t, m.store(), under("x", "alice"))
		destroys := m.stopAt(destroy, xName)
		deleted := deleting(t, m.store(), "x")
		destroys.wait()
		m.wantIDs(t)
		save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "alice", RefreshToken: "second"})
		destroys.goOn()
		wantNoError(t, deleted())
		if got := m.token(t, "x").RefreshToken; got != "second" {
			t.Errorf("got refresh token %q, want the one that was saved after the delete", got)
		}
		m.wantConsistent(t)
	})
}

func TestDelete_thatStoppedHalfWayIsFinishedByAnotherDelete(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := newMemory()
		m.tombstones = true
		save(t, m.store(), under("x", "alice"))
		for range 1 + maxFailures {
			m.on(destroy, xName, fails(oauthstore.ErrUnavailable))
		}
		wantIs(t, m.store().DeleteToken(t.Context(), "x"), oauthstore.ErrUnavailable)
		if _, err := m.store().FindTokenByID(t.Context(), "x"); !errors.Is(err, oauthstore.ErrTokenNotFound) {
			t.Errorf("half-deleted: got error %v, want ErrTokenNotFound", err)
		}
		m.wantEntries(t, "x", 1)
		remove(t, m.store(), "x")
		m.wantEntries(t, "x", 0)
		if s := m.secrets[xName]; s.destroyed != len(s.versions) {
			t.Errorf("%d of %d versions are destroyed, want all", s.destroyed, len(s.versions))
		}
		wantIs(t, m.store().DeleteToken(t.Context(), "x"), oauthstore.ErrTokenNotFound)
	})
}

func TestDelete_thatIsDeniedLeavesTheToken(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for _, denied := range []string{bury, destroy} {
			m := newMemory()
			m.tombstones = true
			saved := save(t, m.store(), under("x", "alice"))
			m.on(denied, xName, fails(oauthstore.ErrAccessDenied))
			s := m.store()
			wantIs(t, s.DeleteToken(t.Context(), "x"), oauthstore.ErrAccessDenied)
			if got := find(t, s, oauthstore.OAuthToken{UserName: "alice"}); got.RefreshToken != saved.RefreshToken {
				t.Errorf("%s denied: got refresh token %q, want %q", denied, got.RefreshToken, saved.RefreshToken)
			}
			m.wantConsistent(t)
			remove(t, m.store(), "x")
			m.wantIDs(t)
			m.wantEntries(t, "x", 0)
		}
	})
}

// Whoever saves meanwhile finishes the delete, and then has a token of their own.
func TestDelete_thatIsDeniedLeavesWhatOthersHaveSavedMeanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := newMemory()
		m.tombstones = true
		save(t, m.store(), under("x", "alice"))
		m.on(destroy, xName, func(func() error) error {
			save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "alice", RefreshToken: "second"})
			return oauthstore.ErrAccessDenied
		})
		wantIs(t, m.store().DeleteToken(t.Context(), "x"), oauthstore.ErrAccessDenied)
		if got := m.token(t, "x").RefreshToken; got != "second" {
			t.Errorf("got refresh token %q, want the one that was saved meanwhile", got)
		}
		m.wantConsistent(t)
	})
}

func TestDelete_meetsADeleteOfTheSameID(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		first := bury
		if !m.tombstones {
			first = del
		}
		m.before(first, xName, func() { remove(t, m.store(), "x") })
		wantNoError(t, m.store().DeleteToken(t.Context(), "x"))
		m.wantIDs(t)
		m.wantEntries(t, "x", 0)
	})
}

// The second insert is stored after the first was deleted, under the entry of the second.
func TestDelete_meetsADeleteAndAnInsertOfTheSameID(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		forgets := m.stopAt(put, indexName)
		deleted := deleting(t, m.store(), "x")
		forgets.wait()
		other := m.store()
		save(t, other, under("x", "alice"))
		remove(t, other, "x")
		save(t, other, under("x", "alice"))
		forgets.goOn()
		wantNoError(t, deleted())
		m.wantIDs(t, "x")
		m.wantEntries(t, "x", 1)
	})
}

func TestInsert_oneOfTwoOfTheSameIDMergesIntoTheOther(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		first := oauthstore.OAuthToken{ID: "x", UserName: "alice", RefreshToken: "r"}
		second := oauthstore.OAuthToken{ID: "x", UserName: "alice", AccessToken: "a"}
		m.before(put, xName, func() { save(t, m.store(), second) })
		save(t, m.store(), first)
		if got := m.token(t, "x"); got.RefreshToken != "r" || got.AccessToken != "a" {
			t.Errorf("got %v, want the tokens of both", got)
		}
		m.wantEntries(t, "x", 1) // the other's entry is withdrawn
	})
}

func TestInsert_ofAUserUnderTwoIDsIsAConflict(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		stores := m.stopAt(put, xName)
		saved := saving(t, m.store(), under("x", "alice"))
		stores.wait()
		y := under("y", "alice")
		wantConflict(t, m.store().SaveToken(t.Context(), &y), "x")
		stores.goOn()
		wantNoError(t, saved())
		wantConflict(t, m.store().SaveToken(t.Context(), &y), "x")
		m.wantIDs(t, "x")
		m.wantEntries(t, "y", 0)
	})
}

func TestInsert_ofAUserUnderTwoIDsAtTheSameMomentIsAConflict(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		y := under("y", "alice")
		// Both have looked and found nothing.
		m.before(put, indexName, func() { save(t, m.store(), under("x", "alice")) })
		wantConflict(t, m.store().SaveToken(t.Context(), &y), "x")
		m.wantIDs(t, "x")
	})
}

func TestInsert_withoutIDMeetsAnInsertOfTheUserAtItsID(t *testing.T) {
	alice := oauthstore.OAuthToken{UserName: "alice", AccessToken: "a"}
	t.Run("that is stored first", func(t *testing.T) {
		eachKind(t, func(t *testing.T, m *memory) {
			stores := m.stopAt(put, xName)
			saved := saving(t, m.store(), under("x", "alice"))
			stores.wait()
			m.on(put, xName, func(run func() error) error {
				stores.goOn()
				wantNoError(t, saved())
				return run()
			})
			got := save(t, m.store(), alice)
			wantMerged(t, m, got)
		})
	})
	t.Run("that is stored second", func(t *testing.T) {
		eachKind(t, func(t *testing.T, m *memory) {
			stores := m.stopAt(put, xName)
			saved := saving(t, m.store(), under("x", "alice"))
			stores.wait()
			save(t, m.store(), alice)
			stores.goOn()
			wantNoError(t, saved())
			wantMerged(t, m, m.token(t, "x"))
		})
	})
	t.Run("that died", func(t *testing.T) {
		eachKind(t, func(t *testing.T, m *memory) {
			m.on(put, xName, fails(errors.New("died")))
			token := under("x", "alice")
			if err := m.store().SaveToken(t.Context(), &token); err == nil {
				t.Fatal("want an error")
			}
			if got := save(t, m.store(), alice); got.ID != "x" {
				t.Errorf("got id %s, want x", got.ID)
			}
			m.wantIDs(t, "x")
		})
	})
}

func wantMerged(t *testing.T, m *memory, got *oauthstore.OAuthToken) {
	t.Helper()
	if got.ID != "x" || got.AccessToken != "a" || got.RefreshToken == "" {
		t.Errorf("got %v, want the tokens of both under the id x", got)
	}
	m.wantIDs(t, "x")
	m.wantEntries(t, "x", 1)
}

func TestUpdate_neverBringsADeletedTokenBack(t *testing.T) {
	for name, partial := range map[string]oauthstore.OAuthToken{
		"by id":           {ID: "x", UserName: "alice", RefreshToken: "new", AccessToken: "new"},
		"by user name":    {UserName: "alice", RefreshToken: "new"},
		"by access token": {AccessToken: "access", RefreshToken: "new"},
		"renaming":        {ID: "x", UserName: "bob"},
	} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, m *memory) {
				token := under("x", "alice")
				token.AccessToken = "access"
				save(t, m.store(), token)
				m.before(put, xName, func() { remove(t, m.store(), "x") })
				wantIs(t, m.store().UpdateToken(t.Context(), &partial), oauthstore.ErrTokenNotFound)
				m.wantIDs(t)
			})
		})
	}
}

func TestUpdate_thatMeetsADeleteAndAnInsertChangesTheNewToken(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		m.before(put, xName, func() {
			remove(t, m.store(), "x")
			save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "alice", RefreshToken: "second"})
		})
		wantNoError(t, m.store().UpdateToken(t.Context(), &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
		if got := m.token(t, "x"); got.RefreshToken != "second" || got.AccessToken != "a" {
			t.Errorf("got %v with refresh token %q, want those of the insert and of the update", got, got.RefreshToken)
		}
	})
}

func TestSave_ofATokenThatIsDeletedMeanwhileInsertsItOrSaysWhatIsMissing(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		m.before(put, xName, func() { remove(t, m.store(), "x") })
		wantIs(t, m.store().SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "x", Scope: "s"}), oauthstore.ErrInvalidToken)
		m.wantIDs(t)

		save(t, m.store(), under("x", "alice"))
		m.before(put, xName, func() { remove(t, m.store(), "x") })
		save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "alice", AccessToken: "a"})
		if got := m.token(t, "x"); got.RefreshToken != "" || got.AccessToken != "a" {
			t.Errorf("got %v, want what was saved and nothing of what was deleted", got)
		}
	})
}

func TestSave_neitherOfTwoLosesAField(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		m.before(put, xName, func() { save(t, m.store(), oauthstore.OAuthToken{ID: "x", Scope: "s"}) })
		save(t, m.store(), oauthstore.OAuthToken{UserName: "alice", AccessToken: "a"})
		if got := m.token(t, "x"); got.Scope != "s" || got.AccessToken != "a" || got.RefreshToken == "" {
			t.Errorf("got %v, want the fields of all", got)
		}
	})
}

func TestSave_ofAUserWhoseRecordIsRenamedMeanwhileInserts(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		m.before(put, xName, func() { save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "bob"}) })
		got := save(t, m.store(), oauthstore.OAuthToken{UserName: "alice", AccessToken: "a"})
		if got.ID == "x" || got.RefreshToken != "" {
			t.Errorf("got %v, want a record of its own", got)
		}
		if x := m.token(t, "x"); x.UserName != "bob" || x.AccessToken != "" {
			t.Errorf("the record of the other user: got %v, want it as it was", x)
		}
	})
}

// The delete that was denied would have taken its tombstone back.
func TestDelete_thatFinishesAnotherKeepsThatFromTakingItBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := newMemory()
		m.tombstones = true
		save(t, m.store(), under("x", "alice"))
		m.on(destroy, xName, fails(oauthstore.ErrAccessDenied))
		spares := m.stopAt(put, xName)
		denied := deleting(t, m.store(), "x")
		spares.wait()
		remove(t, m.store(), "x")
		spares.goOn()
		wantIs(t, denied(), oauthstore.ErrAccessDenied)
		m.wantIDs(t)
		m.wantEntries(t, "x", 0)
	})
}

func TestDelete_takesTheEntriesOfAllThatItMet(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		m.before(deletions(m)[0], xName, func() { save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "bob"}) })
		remove(t, m.store(), "x")
		if m.tombstones { // Secrets Manager deletes whatever is newest, and tells nobody what that was
			m.wantEntries(t, "x", 0)
			save(t, m.store(), under("y", "bob"))
		}
	})
}
