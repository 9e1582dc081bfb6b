package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// What a token points at by the rules other than the id, while others change just that.

func TestSave_byATokenThatIsReplacedMeanwhileDoesNotUndoThat(t *testing.T) {
	app := func(token oauthstore.OAuthToken) oauthstore.OAuthToken {
		token.ClientID, token.ClientSecret = "app", "s"
		return token
	}
	for name, c := range map[string]struct{ saved, meanwhile, partial oauthstore.OAuthToken }{
		"access token": {
			oauthstore.OAuthToken{ID: "x", AccessToken: "old"},
			oauthstore.OAuthToken{ID: "x", AccessToken: "new"},
			oauthstore.OAuthToken{AccessToken: "old", Scope: "s"},
		},
		"grant token": {
			app(oauthstore.OAuthToken{ID: "x", GrantToken: "old"}),
			oauthstore.OAuthToken{ID: "x", GrantToken: "new"},
			app(oauthstore.OAuthToken{GrantToken: "old", Scope: "s"}),
		},
		"client id": {
			app(oauthstore.OAuthToken{ID: "x", RefreshToken: "new"}),
			oauthstore.OAuthToken{ID: "x", ClientID: "other"},
			app(oauthstore.OAuthToken{RefreshToken: "new", Scope: "s"}),
		},
	} {
		check := func(t *testing.T, m *memory) {
			t.Helper()
			got := m.token(t, "x")
			if got.Scope != "" || got.AccessToken == "old" || got.GrantToken == "old" || name == "client id" && got.ClientID != "other" {
				t.Errorf("undone: access token %q, grant token %q, client %q", got.AccessToken, got.GrantToken, got.ClientID)
			}
		}
		t.Run(name+", by another process", func(t *testing.T) {
			eachKind(t, func(t *testing.T, m *memory) {
				save(t, m.store(), c.saved)
				m.before(put, xName, func() { save(t, m.store(), c.meanwhile) })
				save(t, m.store(), c.partial) // another record, since nothing has the old token any more
				check(t, m)
			})
		})
		t.Run(name+", by the same process", func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				s := m.store()
				save(t, s, c.saved)
				writes := m.stopAt(put, xName)
				first := saving(t, s, c.meanwhile)
				writes.wait()
				second := saving(t, s, c.partial)
				settle()
				writes.goOn()
				wantNoError(t, first())
				wantNoError(t, second())
				check(t, m)
			})
		})
	}
}

func TestUpdate_byATokenDoesNotLandInARecordThatTookItsPlace(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), oauthstore.OAuthToken{ID: "x", AccessToken: "a"})
		m.before(put, xName, func() {
			remove(t, m.store(), "x")
			save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "somebody else", AccessToken: "theirs"})
		})
		err := m.store().UpdateToken(t.Context(), &oauthstore.OAuthToken{AccessToken: "a", Scope: "s"})
		wantIs(t, err, oauthstore.ErrTokenNotFound)
		if got := m.token(t, "x"); got.AccessToken != "theirs" || got.Scope != "" {
			t.Errorf("somebody else's record was written: %v", got)
		}
	})
}

// A refresh, of a token whose user signed out and in again meanwhile.
func TestUpdate_ofATokenThatWasReadFromADeletedRecordIsErrTokenNotFound(t *testing.T) {
	again := func(t *testing.T, m *memory) {
		remove(t, m.store(), "x")
		save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "alice", RefreshToken: "of the new consent"})
	}
	for name, between := range map[string]func(t *testing.T, m *memory){
		"before the update": again,
		"during the update": func(t *testing.T, m *memory) { m.before(put, xName, func() { again(t, m) }) },
	} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, m *memory) {
				saved := save(t, m.store(), under("x", "alice"))
				for _, token := range []*oauthstore.OAuthToken{saved, find(t, m.store(), oauthstore.OAuthToken{UserName: "alice"})} {
					if token == saved {
						between(t, m)
					}
					token.RefreshToken = "rotated"
					wantIs(t, m.store().UpdateToken(t.Context(), token), oauthstore.ErrTokenNotFound)
				}
				if got := m.token(t, "x").RefreshToken; got != "of the new consent" {
					t.Errorf("got refresh token %q, want that of the new consent", got)
				}
			})
		})
	}
}

// A save by a refresh token that is replaced meanwhile belongs to the record that had it.
func TestSave_byARefreshTokenThatIsReplacedMeanwhileLeavesTheNewerOne(t *testing.T) {
	first := oauthstore.OAuthToken{ID: "x", ClientID: "app", RefreshToken: "old"}
	second := oauthstore.OAuthToken{ID: "x", RefreshToken: "new"}
	late := oauthstore.OAuthToken{RefreshToken: "old", ClientID: "app", ClientSecret: "s", Scope: "late"}
	check := func(t *testing.T, m *memory) {
		t.Helper()
		if got := m.token(t, "x"); got.RefreshToken != "new" || got.Scope != "late" {
			t.Errorf("got refresh token %q and scope %q, want the newer one and what the late save has set", got.RefreshToken, got.Scope)
		}
		m.wantIDs(t, "x")
		m.wantConsistent(t)
	}
	t.Run("by another process", func(t *testing.T) {
		eachKind(t, func(t *testing.T, m *memory) {
			save(t, m.store(), first)
			m.before(put, xName, func() { save(t, m.store(), second) })
			save(t, m.store(), late)
			check(t, m)
		})
	})
	t.Run("by another process, long ago", func(t *testing.T) {
		eachKind(t, func(t *testing.T, m *memory) {
			s := m.store()
			save(t, s, first)
			save(t, m.store(), second)
			save(t, s, late)
			check(t, m)
			_, err := s.FindToken(t.Context(), &late)
			wantIs(t, err, oauthstore.ErrTokenNotFound)
		})
	})
	t.Run("by the same process", func(t *testing.T) {
		virtually(t, func(t *testing.T) {
			m := newMemory()
			s := m.store()
			save(t, s, first)
			writes := m.stopAt(put, xName)
			one := saving(t, s, second)
			writes.wait()
			two := saving(t, s, late)
			settle()
			writes.goOn()
			wantNoError(t, one())
			wantNoError(t, two())
			check(t, m)
		})
	})
}

// An entry has the hints of the insert, and the remembered index lacks what other processes have inserted: neither
// decides which of several records counts.
func TestFind_byATokenOfSeveralTheSmallestIDCounts(t *testing.T) {
	for name, token := range map[string]oauthstore.OAuthToken{
		"access token":  {AccessToken: "shared"},
		"grant token":   {GrantToken: "shared", ClientID: "app"},
		"refresh token": {RefreshToken: "shared", ClientID: "app"},
	} {
		partial := token
		if partial.ClientID != "" {
			partial.ClientSecret = "s"
		}
		give := func(t *testing.T, s *Store, id string) {
			t.Helper()
			shared := token
			shared.ID = id
			save(t, s, shared)
		}
		want := func(t *testing.T, finder, saver *Store, id string) {
			t.Helper()
			if got := find(t, finder, partial); got.ID != id {
				t.Errorf("found %q, want %q", got.ID, id)
			}
			saved := partial
			saved.Scope = "s"
			if got := save(t, saver, saved); got.ID != id {
				t.Errorf("saved into %q, want %q", got.ID, id)
			}
		}
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, m *memory) {
				finder, saver := m.store(), m.store()
				save(t, saver, oauthstore.OAuthToken{ID: "2", AccessToken: "another"})
				give(t, saver, "3")
				want(t, finder, saver, "3")
				give(t, saver, "2") // which has no hint
				want(t, finder, saver, "2")
				give(t, m.store(), "1") // which the remembered indexes lack
				want(t, finder, saver, "1")
			})
		})
	}
}

func TestFind_byATokenReadsTheIndexOnceAndNoRecordThatCannotCount(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		for i := range 9 {
			save(t, m.store(), oauthstore.OAuthToken{
				ID: fmt.Sprint(i), AccessToken: fmt.Sprint("access", i), RefreshToken: fmt.Sprint("refresh", i), GrantToken: fmt.Sprint("grant", i), ClientID: "c",
			})
		}
		save(t, m.store(), oauthstore.OAuthToken{ID: "7", AccessToken: "later"})
		for _, c := range []struct {
			partial oauthstore.OAuthToken
			tokens  int
		}{
			{oauthstore.OAuthToken{AccessToken: "access0"}, 1},
			{oauthstore.OAuthToken{AccessToken: "access3"}, 4},
			{oauthstore.OAuthToken{AccessToken: "later"}, 9},
			{oauthstore.OAuthToken{AccessToken: "unknown"}, 9},
			{oauthstore.OAuthToken{RefreshToken: "refresh2", ClientID: "c", ClientSecret: "s"}, 3},
			{oauthstore.OAuthToken{GrantToken: "grant4", RefreshToken: "refresh1", ClientID: "c", ClientSecret: "s"}, 5},
			{oauthstore.OAuthToken{GrantToken: "unknown", RefreshToken: "refresh1", ClientID: "c", ClientSecret: "s"}, 9},
		} {
			s := m.store()
			for _, cached := range []string{"cold", "warm"} {
				m.forgetCalls()
				if _, err := s.FindToken(t.Context(), &c.partial); err != nil {
					wantIs(t, err, oauthstore.ErrTokenNotFound)
				}
				if index, all := m.count(get, indexName), m.count(get, ""); index != 1 || all != 1+c.tokens {
					t.Errorf("%s, %s: got %d reads of the index and %d of tokens, want 1 and %d", describeRule(c.partial), cached, index, all-index, c.tokens)
				}
			}
		}
	})
}

func describeRule(t oauthstore.OAuthToken) string {
	return strings.TrimSpace(fmt.Sprint(t.AccessToken, " ", t.GrantToken, " ", t.RefreshToken))
}

func TestFind_theGrantTokenCountsBeforeTheRefreshTokenWhateverIsCached(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		save(t, s, oauthstore.OAuthToken{ID: "a", GrantToken: "grant a", RefreshToken: "refresh a", ClientID: "c"})
		save(t, m.store(), oauthstore.OAuthToken{ID: "b", GrantToken: "grant b", RefreshToken: "refresh b", ClientID: "c"})
		partial := oauthstore.OAuthToken{GrantToken: "grant b", RefreshToken: "refresh a", ClientID: "c", ClientSecret: "s"}
		if got := find(t, s, partial); got.ID != "b" {
			t.Errorf("found %v, want the one with the grant token", got)
		}
		s = m.store()
		save(t, s, oauthstore.OAuthToken{ID: "c", AccessToken: "a"})
		save(t, s, partial)
		if got := m.token(t, "a").GrantToken; got != "grant a" {
			t.Errorf("saved over the grant token of another record: %q", got)
		}
	})
}

func TestFind_aRecordThatCannotBeReadStandsInTheWayOfNoOther(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		save(t, s, oauthstore.OAuthToken{ID: "x", AccessToken: "a"})
		save(t, s, oauthstore.OAuthToken{ID: "y", AccessToken: "b"})
		save(t, s, oauthstore.OAuthToken{ID: "y", AccessToken: "refreshed"})
		m.overwrite(t, xName, codec.Document{"format": json.RawMessage(`"1"`)})
		if got := find(t, s, oauthstore.OAuthToken{AccessToken: "refreshed"}); got.ID != "y" {
			t.Errorf("found %v, want y", got)
		}
		var corrupt *oauthstore.CorruptRecordError
		if _, err := s.FindToken(t.Context(), &oauthstore.OAuthToken{AccessToken: "none has it"}); !errors.As(err, &corrupt) {
			t.Errorf("got error %v, want a CorruptRecordError: the broken record may have it", err)
		}
		saved := save(t, s, oauthstore.OAuthToken{AccessToken: "c"})
		if _, err := s.GetTokens(t.Context()); !errors.As(err, &corrupt) {
			t.Errorf("GetTokens: got error %v, want a CorruptRecordError", err)
		}
		remove(t, s, "x")
		remove(t, s, saved.ID)
		m.wantIDs(t, "y")
	})
}
