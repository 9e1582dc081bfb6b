package engine

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// dieInserting leaves the entry of an insert that has stored no record.
func dieInserting(t *testing.T, m *memory, token oauthstore.OAuthToken) {
	t.Helper()
	m.on(put, encodeID(token.ID), fails(errors.New("died")))
	if err := m.store().SaveToken(t.Context(), &token); err == nil {
		t.Fatal("want an error")
	}
	m.wantEntries(t, token.ID, 1)
}

func TestIndex_theEntryOfADeadInsertIsHonouredForAWhile(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		died := time.Now()
		dieInserting(t, m, under("x", "alice"))
		y := under("y", "alice")
		wantConflict(t, m.store().SaveToken(t.Context(), &y), "x")
		time.Sleep(time.Until(died.Add(grace - time.Second)))
		wantConflict(t, m.store().SaveToken(t.Context(), &y), "x")
		time.Sleep(time.Second)
		save(t, m.store(), y)
		m.wantIDs(t, "y")
		m.wantConsistent(t)
	})
}

func TestIndex_theEntryOfADeadInsertIsDroppedAfterAWhile(t *testing.T) {
	for name, dropped := range map[string]func(t *testing.T, m *memory){
		"by an insert": func(t *testing.T, m *memory) {
			save(t, m.store(), under("x", "alice"))
			m.wantEntries(t, "x", 1)
		},
		"by a delete": func(t *testing.T, m *memory) {
			s := m.store()
			save(t, s, under("x", "alice"))
			remove(t, s, "x")
			m.wantEntries(t, "x", 0)
		},
		"by DeleteTokens": func(t *testing.T, m *memory) {
			wantNoError(t, m.store().DeleteTokens(t.Context()))
			m.wantEntries(t, "x", 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				m := newMemory()
				dieInserting(t, m, under("x", "alice"))
				m.editIndex(t, func(entries []entry) []entry {
					entries[0].At = timestamp(time.Now().Add(-grace))
					return entries
				})
				dropped(t, m)
				m.wantConsistent(t)
			})
		})
	}
}

func TestIndex_theEntryOfADeadInsertIsNotDroppedBefore(t *testing.T) {
	for name, at := range map[string]string{"young": "", "of a clock that is ahead": "9999999999", "without a time": "no number"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				m := newMemory()
				dieInserting(t, m, under("x", "alice"))
				m.editIndex(t, func(entries []entry) []entry {
					if at != "" {
						entries[0].At = at
					}
					return entries
				})
				wantNoError(t, m.store().DeleteTokens(t.Context()))
				m.wantEntries(t, "x", 1)
				save(t, m.store(), under("x", "alice"))
				m.wantEntries(t, "x", 2)
				remove(t, m.store(), "x")
				m.wantEntries(t, "x", 1)
				m.wantConsistent(t)
			})
		})
	}
}

// An insert that takes very long between its two writes finds that its entry may be gone.
func TestInsert_thatTookTooLongStartsOver(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.on(put, xName, func(func() error) error {
			time.Sleep(grace)
			wantNoError(t, m.store().DeleteTokens(t.Context()))
			m.wantEntries(t, "x", 0)
			return ErrConflict
		})
		save(t, m.store(), under("x", "alice"))
		m.wantIDs(t, "x")
		m.wantEntries(t, "x", 1)
		m.wantConsistent(t)
	})
}

// A process may stand still between two of its calls: a function that is frozen, a laptop that sleeps, a
// rate limit that is waited for. An entry that has become old meanwhile may have been made meanwhile.

func TestDelete_thatStandsStillLeavesTheEntriesOfLaterInserts(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		m.before(put, indexName, func() {
			save(t, m.store(), under("x", "alice"))
			time.Sleep(grace)
		})
		remove(t, m.store(), "x")
		m.wantIDs(t, "x")
		m.wantConsistent(t)
	})
}

func TestDeleteTokens_thatTakesLongLeavesTheEntriesOfLaterInserts(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Parallel = 1
		save(t, m.store(), under("x", "alice"))
		save(t, m.store(), under("y", "bob"))
		m.before(del, tokenPrefix+"y", func() {
			m.wantIDs(t, "y")
			save(t, m.store(), under("x", "alice"))
			time.Sleep(grace)
		})
		wantNoError(t, m.store().DeleteTokens(t.Context()))
		m.wantIDs(t, "x")
		m.wantConsistent(t)
	})
}

func TestInsert_thatStandsStillLeavesTheEntriesOfLaterInserts(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.before(put, indexName, func() {
			save(t, m.store(), under("x", "alice"))
			time.Sleep(grace)
		})
		save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "alice", AccessToken: "a"})
		m.wantIDs(t, "x")
		m.wantConsistent(t)
	})
}

// What a store remembers of the index is up to a minute old.

func TestCache_aMissIsNotBelieved(t *testing.T) {
	for name, partial := range map[string]oauthstore.OAuthToken{
		"by user name":     {UserName: "bob"},
		"and client id":    {UserName: "bob", ClientID: "c"},
		"by access token":  {AccessToken: "access"},
		"by refresh token": {RefreshToken: "refresh", ClientID: "c", ClientSecret: "s"},
		"by grant token":   {GrantToken: "grant", ClientID: "c", ClientSecret: "s"},
	} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, m *memory) {
				s := m.store()
				save(t, s, under("x", "alice"))
				save(t, m.store(), oauthstore.OAuthToken{
					ID: "y", UserName: "bob", ClientID: "c", ClientSecret: "s",
					RefreshToken: "refresh", AccessToken: "access", GrantToken: "grant",
				})
				if got := find(t, s, partial); got.ID != "y" {
					t.Errorf("found %v, want y", got)
				}
			})
		})
	}
}

func TestCache_aHitIsLookedAt(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		save(t, s, under("x", "alice"))
		other := m.store()
		remove(t, other, "x")
		_, err := s.FindToken(t.Context(), &oauthstore.OAuthToken{UserName: "alice"})
		wantIs(t, err, oauthstore.ErrTokenNotFound)
		save(t, other, under("y", "alice"))
		if got := find(t, s, oauthstore.OAuthToken{UserName: "alice"}); got.ID != "y" {
			t.Errorf("found %v, want y", got)
		}
		save(t, other, oauthstore.OAuthToken{ID: "y", UserName: "bob"})
		_, err = s.FindToken(t.Context(), &oauthstore.OAuthToken{UserName: "alice"})
		wantIs(t, err, oauthstore.ErrTokenNotFound)
	})
}

func TestCache_aSaveFindsWhatOthersHaveInserted(t *testing.T) {
	for name, token := range map[string]oauthstore.OAuthToken{
		"by user name":     {UserName: "bob", ClientID: "c", Scope: "new"},
		"by access token":  {AccessToken: "access", Scope: "new"},
		"by refresh token": {RefreshToken: "refresh", ClientID: "c", ClientSecret: "s", Scope: "new"},
	} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, m *memory) {
				s := m.store()
				save(t, s, under("x", "alice"))
				save(t, m.store(), oauthstore.OAuthToken{
					ID: "y", UserName: "bob", ClientID: "c", ClientSecret: "s", RefreshToken: "refresh", AccessToken: "access",
				})
				if got := save(t, s, token); got.ID != "y" {
					t.Errorf("saved as %v, want it merged into y", got)
				}
				m.wantIDs(t, "x", "y")
			})
		})
	}
}

// The entry's hints are of the tokens at the insert, so that they do not lead to the record.
func TestCache_aSaveFindsWhatOthersHaveInsertedAndRefreshed(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		save(t, s, under("x", "alice"))
		other := m.store()
		save(t, other, oauthstore.OAuthToken{ID: "y", ClientID: "c", ClientSecret: "s", RefreshToken: "first"})
		save(t, other, oauthstore.OAuthToken{ID: "y", RefreshToken: "second"})
		got := save(t, s, oauthstore.OAuthToken{RefreshToken: "second", ClientID: "c", ClientSecret: "s", Scope: "new"})
		if got.ID != "y" {
			t.Errorf("saved as %v, want it merged into y", got)
		}
		m.wantIDs(t, "x", "y")
	})
}

func TestCache_makesNoConflictOfATokenThatOthersHaveDeleted(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		save(t, s, under("x", "alice"))
		remove(t, m.store(), "x")
		save(t, s, under("y", "alice"))
		m.wantIDs(t, "y")
	})
}

func TestCache_makesNoConflictOfAnInsertThatOthersHaveWithdrawn(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		x, y := under("x", "alice"), under("y", "alice")
		m.on(put, xName, func(func() error) error {
			wantConflict(t, s.SaveToken(t.Context(), &y), "x")
			return oauthstore.ErrAccessDenied
		})
		wantIs(t, m.store().SaveToken(t.Context(), &x), oauthstore.ErrAccessDenied)
		m.wantEntries(t, "x", 0)
		save(t, s, y)
		m.wantIDs(t, "y")
	})
}

// By user name several records may fit, and the one that fits best counts, also where the store knows an
// older one.
func TestCache_aBetterMatchOfOthersCounts(t *testing.T) {
	for name, c := range map[string]struct{ known, better, partial oauthstore.OAuthToken }{
		"the very same client id": {
			oauthstore.OAuthToken{ID: "x", UserName: "alice", RefreshToken: "r"},
			oauthstore.OAuthToken{ID: "y", UserName: "alice", ClientID: "c", RefreshToken: "r"},
			oauthstore.OAuthToken{UserName: "alice", ClientID: "c"},
		},
		"no client id": {
			oauthstore.OAuthToken{ID: "x", UserName: "alice", ClientID: "c", RefreshToken: "r"},
			oauthstore.OAuthToken{ID: "y", UserName: "alice", RefreshToken: "r"},
			oauthstore.OAuthToken{UserName: "alice"},
		},
		"the derived id": {
			oauthstore.OAuthToken{ID: "x", UserName: "alice", ClientID: "c", RefreshToken: "r"},
			oauthstore.OAuthToken{UserName: "alice", ClientID: "d", RefreshToken: "r"},
			oauthstore.OAuthToken{UserName: "alice"},
		},
		"the smaller id": {
			oauthstore.OAuthToken{ID: "x", UserName: "alice", ClientID: "c", RefreshToken: "r"},
			oauthstore.OAuthToken{ID: "a", UserName: "alice", ClientID: "d", RefreshToken: "r"},
			oauthstore.OAuthToken{UserName: "alice"},
		},
		"the known one is under the derived id": {
			oauthstore.OAuthToken{UserName: "alice", RefreshToken: "r"},
			oauthstore.OAuthToken{ID: "y", UserName: "alice", ClientID: "c", RefreshToken: "r"},
			oauthstore.OAuthToken{UserName: "alice", ClientID: "c"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, m *memory) {
				s := m.store()
				save(t, s, c.known)
				better := save(t, m.store(), c.better)
				if got := find(t, s, c.partial); got.ID != better.ID {
					t.Errorf("found %v, want %v", got, better)
				}
				if got := find(t, m.store(), c.partial); got.ID != better.ID {
					t.Errorf("a store that knows nothing yet found %v, want %v", got, better)
				}
			})
		})
	}
}

func TestSiblings_theRecordUnderTheDerivedIDIsToldThatItIsNotAlone(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		derived := save(t, m.store(), oauthstore.OAuthToken{UserName: "alice", RefreshToken: "r"}).ID
		wantSiblings(t, m, derived, false)
		save(t, m.store(), oauthstore.OAuthToken{UserName: "alice", AccessToken: "a"})
		wantSiblings(t, m, derived, false)
		save(t, m.store(), oauthstore.OAuthToken{ID: "y", UserName: "alice", ClientID: "c", RefreshToken: "r"})
		wantSiblings(t, m, derived, true)
		save(t, m.store(), oauthstore.OAuthToken{UserName: "alice", AccessToken: "a"})
		wantSiblings(t, m, derived, true)
		if got := m.token(t, derived); got.RefreshToken != "r" || got.AccessToken != "a" {
			t.Errorf("got %v, want it with both tokens", got)
		}
	})
}

func TestSiblings_aRecordThatIsNotTheFirstKnowsIt(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), oauthstore.OAuthToken{ID: "y", UserName: "alice", ClientID: "c", RefreshToken: "r"})
		derived := save(t, m.store(), oauthstore.OAuthToken{UserName: "alice", ClientID: "d", RefreshToken: "r"}).ID
		wantSiblings(t, m, derived, true)
	})
}

func TestSiblings_aRenameTellsTheRecordUnderTheDerivedID(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		derived := save(t, m.store(), oauthstore.OAuthToken{UserName: "alice", RefreshToken: "r"}).ID
		save(t, m.store(), oauthstore.OAuthToken{ID: "y", UserName: "bob", ClientID: "c", RefreshToken: "r"})
		wantSiblings(t, m, derived, false)
		save(t, m.store(), oauthstore.OAuthToken{ID: "y", UserName: "alice"})
		wantSiblings(t, m, derived, true)
		if got := find(t, m.store(), oauthstore.OAuthToken{UserName: "alice", ClientID: "c"}); got.ID != "y" {
			t.Errorf("found %v, want y", got)
		}
	})
}

func wantSiblings(t *testing.T, m *memory, id string, want bool) {
	t.Helper()
	_, headers, _ := m.content(t)
	if got := headers[id].Siblings; got != want {
		t.Errorf("record %s, marked as not alone: got %v, want %v", id, got, want)
	}
}

// wantTheClients demands that the user's record with client id c is found, not the one without.
func wantTheClients(t *testing.T, m *memory) {
	t.Helper()
	if got := find(t, m.store(), oauthstore.OAuthToken{UserName: "alice", ClientID: "c"}); got.ID != "y" {
		t.Errorf("found %v, want y, which has the very same client id", got)
	}
}

func TestSiblings_aRecordThatIsBeingInsertedIsToldToo(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		stores := m.stopAt(put, encodeID(oauthstore.DerivedID("alice", "")))
		saved := saving(t, m.store(), oauthstore.OAuthToken{UserName: "alice", RefreshToken: "r"})
		stores.wait()
		save(t, m.store(), oauthstore.OAuthToken{ID: "y", UserName: "alice", ClientID: "c", RefreshToken: "r"})
		stores.goOn()
		wantNoError(t, saved())
		wantTheClients(t, m)
	})
}

func TestSiblings_aRecordThatIsDeletedAndInsertedMeanwhileIsToldToo(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		derived := save(t, m.store(), oauthstore.OAuthToken{UserName: "alice", RefreshToken: "r"}).ID
		m.before(put, indexName, func() {
			other := m.store()
			remove(t, other, derived)
			save(t, other, oauthstore.OAuthToken{UserName: "alice", RefreshToken: "r"})
		})
		save(t, m.store(), oauthstore.OAuthToken{ID: "y", UserName: "alice", ClientID: "c", RefreshToken: "r"})
		wantTheClients(t, m)
	})
}

func TestIndex_anEntryThatFitsInNoPageIsAnErrorAndStoresNothing(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		m.limits.Page = 2000
		for i := range 50 {
			save(t, s, under(fmt.Sprint("token", i), fmt.Sprint("user", i)))
		}
		large := under("large", strings.Repeat("n", 2000))
		err := s.SaveToken(t.Context(), &large)
		wantIs(t, err, oauthstore.ErrRecordTooLarge)
		if tokens, _, entries := m.content(t); len(tokens) != 50 || len(entries) != 50 {
			t.Errorf("got %d secrets and %d entries, want 50 of both", len(tokens), len(entries))
		}
		save(t, s, oauthstore.OAuthToken{ID: "token0", Scope: "s"})
		save(t, s, under("tokenN", "userN"))
	})
}

func TestRecord_tooLargeForTheServiceIsAnErrorAndWritesNothing(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		large := under("x", "alice")
		large.AccessToken = strings.Repeat("a", m.limits.Value)
		wantIs(t, s.SaveToken(t.Context(), &large), oauthstore.ErrRecordTooLarge)
		save(t, s, under("x", "alice"))
		m.forgetCalls()
		wantIs(t, s.SaveToken(t.Context(), &large), oauthstore.ErrRecordTooLarge)
		if m.count(put, "") != 0 {
			t.Errorf("got calls %v, want no writes", m.calls)
		}
		if got := m.token(t, "x").AccessToken; got != "" {
			t.Error("the record has changed")
		}
	})
}

// A token without a token can only be merged into a record, so a miss has to be right the first time.
func TestSave_withoutATokenLooksForItsRecordOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		save(t, s, under("x", "alice"))
		for _, c := range []struct {
			token oauthstore.OAuthToken
			reads int
		}{
			{oauthstore.OAuthToken{ClientID: "c", Scope: "s"}, 0},
			{oauthstore.OAuthToken{ID: "y", Scope: "s"}, 1},
			{oauthstore.OAuthToken{UserName: "bob", Scope: "s"}, 2},
		} {
			m.forgetCalls()
			wantIs(t, s.SaveToken(t.Context(), &c.token), oauthstore.ErrInvalidToken)
			if got := m.count("", ""); got != c.reads {
				t.Errorf("%v: got calls %v, want %d reads", c.token, m.calls, c.reads)
			}
		}
		save(t, s, oauthstore.OAuthToken{ID: "x", Scope: "s"})
		save(t, s, oauthstore.OAuthToken{UserName: "alice", APIDomain: "d"})
		if got := m.token(t, "x"); got.Scope != "s" || got.APIDomain != "d" {
			t.Errorf("got %v, want both updates", got)
		}
	})
}

func TestRecord_thatCouldBeInsertedCanBeRefreshed(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		size := m.limits.Value
		for err := oauthstore.ErrRecordTooLarge; errors.Is(err, oauthstore.ErrRecordTooLarge); size-- {
			large := under("x", "alice")
			large.AccessToken = strings.Repeat("a", size)
			err = s.SaveToken(t.Context(), &large)
		}
		for _, user := range []string{"bob", "carol", "david", "erika", "alice"} {
			save(t, s, oauthstore.OAuthToken{ID: "x", UserName: user, AccessToken: strings.Repeat(user[:1], size)})
		}
	})
}

func TestID_tooLongForTheServiceMakesNoCall(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		long := under(strings.Repeat("x", 200), "alice")
		err := s.SaveToken(t.Context(), &long)
		wantIs(t, err, oauthstore.ErrInvalidToken)
		if errors.Is(err, oauthstore.ErrTokenNotFound) {
			t.Errorf("a save says that nothing is found: %v", err)
		}
		wantIs(t, s.DeleteToken(t.Context(), long.ID), oauthstore.ErrTokenNotFound)
		_, err = s.FindTokenByID(t.Context(), long.ID)
		wantIs(t, err, oauthstore.ErrTokenNotFound)
		if len(m.calls) != 0 {
			t.Errorf("got calls %v, want none", m.calls)
		}
	})
}

func TestIndex_thatThisVersionDoesNotReadIsNeverOverwritten(t *testing.T) {
	entries := `[{"id":"x","u":"alice","n":"n","t":"0"}]`
	for name, document := range map[string]string{
		"with pages":              `{"format":"1","pages":["p1"],"entries":` + entries + `}`,
		"with pages only":         `{"format":"1","pages":["p1"]}`,
		"of a newer format":       `{"format":"2","entries":` + entries + `}`,
		"without format":          `{"entries":` + entries + `}`,
		"without entries":         `{"format":"1"}`,
		"entries that are a text": `{"format":"1","entries":"x"}`,
		"an entry that is none":   `{"format":"1","entries":[1]}`,
		"an entry without id":     `{"format":"1","entries":[{"u":"alice","n":"n","t":"0"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				m := newMemory()
				save(t, m.store(), under("x", "alice"))
				d, err := codec.Parse([]byte(document))
				if err != nil {
					t.Fatal(err)
				}
				m.overwrite(t, indexName, d)
				before := m.bytes(indexName)
				s := m.store()
				wantIndexRefused(t, s)
				if got := m.bytes(indexName); !bytes.Equal(got, before) {
					t.Errorf("the index was overwritten: got %s, want %s", got, before)
				}
				if got, err := s.FindTokenByID(t.Context(), "x"); err != nil || got.ID != "x" {
					t.Errorf("FindTokenByID, which needs no index: got %v and error %v", got, err)
				}
				save(t, s, oauthstore.OAuthToken{ID: "x", Scope: "s"}) // nor does a refresh
			})
		})
	}
}

// wantIndexRefused demands that whatever needs the index says what is wrong with it.
func wantIndexRefused(t *testing.T, s *Store) {
	t.Helper()
	y := under("y", "bob")
	_, listErr := s.GetTokens(t.Context())
	_, findErr := s.FindToken(t.Context(), &oauthstore.OAuthToken{UserName: "bob"})
	for what, err := range map[string]error{
		"an insert":      s.SaveToken(t.Context(), &y),
		"a rename":       s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "x", UserName: "bob"}),
		"GetTokens":      listErr,
		"a find by user": findErr,
		"DeleteTokens":   s.DeleteTokens(t.Context()),
	} {
		var corrupt *oauthstore.CorruptRecordError
		if !errors.As(err, &corrupt) || corrupt.Secret != "mem/"+indexName {
			t.Errorf("%s: got error %v, want a CorruptRecordError that names the index", what, err)
		}
	}
}

func TestIndex_staysAListWhenItIsEmpty(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		save(t, s, under("x", "alice"))
		remove(t, s, "x")
		var doc struct{ Entries json.RawMessage }
		if err := json.Unmarshal(m.bytes(indexName), &doc); err != nil || string(doc.Entries) != "[]" {
			t.Errorf("got entries %s and error %v, want []", doc.Entries, err)
		}
		tokens, err := m.store().GetTokens(t.Context())
		if err != nil || tokens == nil || len(tokens) != 0 {
			t.Errorf("GetTokens: got %v and error %v, want an empty slice", tokens, err)
		}
	})
}

// gcm is AES-GCM as an AEAD.
type gcm struct{ cipher.AEAD }

func (g gcm) Encrypt(plaintext, data []byte) ([]byte, error) {
	return g.Seal(nil, nil, plaintext, data), nil
}

func (g gcm) Decrypt(ciphertext, data []byte) ([]byte, error) {
	return g.Open(nil, nil, ciphertext, data)
}

func encrypting(t *testing.T, opts ...codec.Option) codec.Codec {
	t.Helper()
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	c, err := codec.NewEncrypted(codec.JSON{}, gcm{aead}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestIndex_isEncryptedWhereTheTokensAre(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := newMemory()
		s := New(m, encrypting(t), time.Hour)
		save(t, s, under("visible-id", "visible user"))
		for name, sec := range m.secrets {
			if bytes.Contains(sec.versions[0], []byte("visible")) {
				t.Errorf("secret %s shows what is in it: %s", name, sec.versions[0])
			}
		}
		tokens, err := New(m, encrypting(t), time.Hour).GetTokens(t.Context())
		if err != nil || len(tokens) != 1 || tokens[0].UserName != "visible user" {
			t.Errorf("GetTokens: got %v and error %v, want the token", tokens, err)
		}
		_, err = m.store().GetTokens(t.Context())
		var corrupt *oauthstore.CorruptRecordError
		if !errors.As(err, &corrupt) {
			t.Errorf("without the key: got error %v, want a CorruptRecordError", err)
		}
		if err := m.store().DeleteTokens(t.Context()); err == nil {
			t.Error("DeleteTokens without the key: got no error")
		}
	})
}

func TestIndex_inClearIsReadAndEncryptedByTheNextWrite(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		if _, err := New(m, encrypting(t), time.Hour).GetTokens(t.Context()); err == nil {
			t.Error("an index in clear is read though that was not allowed")
		}
		s := New(m, encrypting(t, codec.WithPlaintextReads()), time.Hour)
		save(t, s, under("y", "bob"))
		if bytes.Contains(m.bytes(indexName), []byte("alice")) {
			t.Errorf("the index is still in clear: %s", m.bytes(indexName))
		}
		tokens, err := s.GetTokens(t.Context())
		if err != nil || len(tokens) != 2 {
			t.Errorf("GetTokens: got %v and error %v, want both tokens", tokens, err)
		}
	})
}

func TestGetTokens_readsInBatchesWhereTheServiceCan(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := newMemory()
		s := New(batching{m}, codec.JSON{}, time.Hour)
		for i := range 7 {
			save(t, s, under(fmt.Sprint("token", i), fmt.Sprint("user", i)))
		}
		remove(t, m.store(), "token3")
		m.forgetCalls()
		tokens, err := s.GetTokens(t.Context())
		if err != nil || len(tokens) != 6 {
			t.Errorf("got %v and error %v, want 6 tokens", tokens, err)
		}
		if got, want := len(m.calls), 1+2; got != want {
			t.Errorf("got %d calls, want %d, the index and two of three names each: %v", got, want, m.calls)
		}
	})
}

func TestGetTokens_returnsTheOthersWhereOneRecordCannotBeRead(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		for i := range 9 {
			save(t, s, under(fmt.Sprint("token", i), fmt.Sprint("user", i)))
		}
		m.on(get, tokenPrefix+"token4", fails(oauthstore.ErrAccessDenied))
		tokens, err := s.GetTokens(t.Context())
		wantIs(t, err, oauthstore.ErrAccessDenied)
		if len(tokens) != 8 {
			t.Errorf("got %v beside the error, want 8 tokens", tokens)
		}
	})
}

func TestDeleteTokens_deletesAllThatItCan(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		for i := range 9 {
			save(t, s, under(fmt.Sprint("token", i), fmt.Sprint("user", i)))
		}
		m.on(get, tokenPrefix+"token4", fails(oauthstore.ErrAccessDenied))
		wantIs(t, s.DeleteTokens(t.Context()), oauthstore.ErrAccessDenied)
		m.wantIDs(t, "token4")
		m.wantEntries(t, "token4", 1)
		wantNoError(t, s.DeleteTokens(t.Context()))
		m.wantIDs(t)
		if _, _, entries := m.content(t); len(entries) != 0 {
			t.Errorf("got index entries %+v, want none", entries)
		}
	})
}

// Another process has deleted the record that the cached index lists.
func TestCache_aGeneratedIDIsTheDerivedOneWhateverIsCached(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		save(t, s, under("chosen", "alice"))
		remove(t, m.store(), "chosen")
		if got := save(t, s, oauthstore.OAuthToken{UserName: "alice", RefreshToken: "r"}); got.ID != oauthstore.DerivedID("alice", "") {
			t.Errorf("got the id %q, want the derived one", got.ID)
		}
	})
}

func TestCache_makesNoSecondRecordOfAUser(t *testing.T) {
	meanwhile := map[string]func(t *testing.T, other *Store) *oauthstore.OAuthToken{
		"renamed": func(t *testing.T, other *Store) *oauthstore.OAuthToken {
			save(t, other, oauthstore.OAuthToken{ID: "x", UserName: "bob"})
			return save(t, other, oauthstore.OAuthToken{UserName: "alice", ClientID: "c", RefreshToken: "r1"})
		},
		"deleted": func(t *testing.T, other *Store) *oauthstore.OAuthToken {
			remove(t, other, "x")
			return save(t, other, oauthstore.OAuthToken{UserName: "alice", ClientID: "c", RefreshToken: "r1"})
		},
	}
	for name, inserted := range meanwhile {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "alice", ClientID: "d", RefreshToken: "r0"})
				time.Sleep(grace + time.Second)
				s := m.store()
				wantFoundAll(t, s, 1)
				first := inserted(t, m.store())
				if got := save(t, s, oauthstore.OAuthToken{UserName: "alice", RefreshToken: "r2"}); got.ID != first.ID {
					t.Errorf("saved under the id %q, want %q, where the user's token is", got.ID, first.ID)
				}
				m.wantConsistent(t)
			})
		})
	}
}

func wantFoundAll(t *testing.T, s *Store, n int) {
	t.Helper()
	if tokens, err := s.GetTokens(t.Context()); err != nil || len(tokens) != n {
		t.Fatalf("GetTokens: got %d tokens and error %v, want %d", len(tokens), err, n)
	}
}

// The cached index makes the save start over, and it must not start from there again.
func TestCache_thatIsOldDoesNotKeepASaveStartingOver(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := m.store()
		save(t, s, oauthstore.OAuthToken{ID: "b", UserName: "alice", ClientID: "d", RefreshToken: "r1"})
		save(t, s, oauthstore.OAuthToken{ID: "b", UserName: "bob"})
		save(t, s, oauthstore.OAuthToken{ID: "a", UserName: "alice", ClientID: "d", RefreshToken: "r2"})
		wantNoError(t, m.store().DeleteTokens(t.Context()))
		begin := time.Now()
		save(t, s, oauthstore.OAuthToken{UserName: "alice", ClientID: "d", RefreshToken: "r3"})
		if took := time.Since(begin); took > time.Second {
			t.Errorf("took %v, though nobody else was writing", took)
		}
	})
}

func TestSiblings_aRecordThatTookLongToStoreFindsOutByItself(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		derived := oauthstore.DerivedID("alice", "")
		stores := m.stopAt(put, encodeID(derived))
		saved := saving(t, m.store(), oauthstore.OAuthToken{UserName: "alice", ClientID: "c1", RefreshToken: "r1"})
		stores.wait()
		time.Sleep(maxRename + time.Second)
		save(t, m.store(), oauthstore.OAuthToken{ID: "z", UserName: "alice", RefreshToken: "r2"})
		stores.goOn()
		wantNoError(t, saved())
		for _, client := range []string{"", "c3"} {
			if got := find(t, m.store(), oauthstore.OAuthToken{UserName: "alice", ClientID: client}); got.ID != "z" {
				t.Errorf("client %q: found %v, want the one without a client", client, got)
			}
		}
		m.wantConsistent(t)
	})
}

// A later version of the library may write more than this one knows.
func TestIndex_unknownFieldsStay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		e := m.entriesOf(t, "x")[0]
		list := `[{"id":"x","u":"alice","n":"` + e.Nonce + `","t":"` + e.At + `","later":["1"]}]`
		d := codec.Document{entriesField: json.RawMessage(list), "later": json.RawMessage(`"2"`), "format": json.RawMessage(`"1.9"`)}
		m.overwrite(t, indexName, d)
		save(t, m.store(), under("y", "bob"))
		got := string(m.bytes(indexName))
		for _, want := range []string{`"later":["1"]`, `"later":"2"`, `"format":"1.9"`} {
			if !strings.Contains(got, want) {
				t.Errorf("the index has lost %s: %s", want, got)
			}
		}
		m.wantConsistent(t)
	})
}
