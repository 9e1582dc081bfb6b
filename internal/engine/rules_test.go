package engine

import (
	"encoding/json"
	"errors"
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
		"refresh token": {
			app(oauthstore.OAuthToken{ID: "x", RefreshToken: "old"}),
			oauthstore.OAuthToken{ID: "x", RefreshToken: "new"},
			app(oauthstore.OAuthToken{RefreshToken: "old", Scope: "s"}),
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
			if got.Scope != "" || got.AccessToken == "old" || got.RefreshToken == "old" || name == "client id" && got.ClientID != "other" {
				t.Errorf("undone: access token %q, refresh token %q, client %q", got.AccessToken, got.RefreshToken, got.ClientID)
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
