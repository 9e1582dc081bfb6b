package storetest

import (
	"github.com/oauthstore/oauthstore"
)

var conflictChecks = []check{
	{"an insert under a new id conflicts with the user's record", conflictInsert},
	{"a found token cannot be copied to another id", conflictCopy},
	{"a rename conflicts with the record of that name", conflictRename},
	{"a change of client id conflicts with the record of that client", conflictClient},
	{"a record without user name cannot take a name that is held", conflictGainsUser},
	{"other clients and records without user name do not conflict", conflictNot},
	{"an insert for a client of a user does not conflict with the record without client id", conflictNotWithNoClient},
	{"a conflict that is gone conflicts no more", conflictGone},
}

// wantSaveConflict demands that token conflicts with the record under id and that nothing happens.
func (t *subject) wantSaveConflict(token *oauthstore.OAuthToken, id string) {
	t.Helper()
	stored, before := t.all(), literal(token)
	err := t.store.SaveToken(t.Context(), token)
	t.wantConflict("SaveToken("+describe(before)+")", err, id)
	t.wantSame("the argument of a save that conflicts", token, before)
	t.wantStored(stored...)
}

func conflictInsert(t *subject) {
	a := t.save(full("user"))
	b := full("user")
	b.ID = "new"
	t.wantSaveConflict(b, a.ID)
	t.wantNoID("new")

	t.save(under("chosen", "second user", ""))
	t.wantSaveConflict(under("new", "second user", ""), "chosen")
	t.wantNoID("new")
}

func conflictCopy(t *subject) {
	a := t.save(full("user"))
	copied := t.byID(a.ID)
	copied.ID = "new"
	t.wantSaveConflict(copied, a.ID)
	copied.UserName = "second user"
	t.save(copied)
	want := literal(a)
	want.ID, want.UserName = "new", "second user"
	t.wantSame("FindTokenByID", t.byID("new"), want)
	t.wantSame("FindTokenByID of the one copied", t.byID(a.ID), a)
}

func conflictRename(t *subject) {
	a, b := t.save(full("a")), t.save(full("b"))
	t.wantSaveConflict(&oauthstore.OAuthToken{ID: b.ID, UserName: "a"}, a.ID)
	found := t.byID(b.ID)
	found.UserName, found.Scope = "a", "all"
	t.wantSaveConflict(found, a.ID)
	t.wantFound(&oauthstore.OAuthToken{UserName: "a"}, a.ID)
	t.wantFound(&oauthstore.OAuthToken{UserName: "b"}, b.ID)
}

func conflictClient(t *subject) {
	t.save(under("1", "user", "client 1"))
	t.save(under("2", "user", "client 2"))
	t.save(under("3", "user", ""))
	t.wantSaveConflict(&oauthstore.OAuthToken{ID: "2", ClientID: "client 1"}, "1")
	t.wantSaveConflict(&oauthstore.OAuthToken{ID: "3", ClientID: "client 2"}, "2")
}

func conflictGainsUser(t *subject) {
	t.save(under("1", "user", ""))
	t.save(under("2", "", ""))
	t.wantSaveConflict(&oauthstore.OAuthToken{ID: "2", UserName: "user"}, "1")
	t.wantFound(&oauthstore.OAuthToken{UserName: "user"}, "1")
}

func conflictNot(t *subject) {
	t.save(under("1", "user", "client 1"))
	t.save(under("2", "user", "client 2"))
	t.save(under("3", "user", ""))
	t.save(under("4", "", "client 1"))
	t.save(under("5", "", "client 1"))
	t.save(under("6", "", ""))
	t.save(under("7", "", ""))
	if n := len(t.all()); n != 7 {
		t.Errorf("GetTokens: got %d tokens, want 7", n)
	}
}

func conflictNotWithNoClient(t *subject) {
	none := t.save(under("1", "user", ""))
	one := t.save(under("2", "user", "client"))
	t.wantStored(none, one)
	t.wantFound(&oauthstore.OAuthToken{UserName: "user"}, "1")
	t.wantFound(&oauthstore.OAuthToken{UserName: "user", ClientID: "client"}, "2")
	t.wantFound(&oauthstore.OAuthToken{UserName: "user", ClientID: "other client"}, "1")

	t.save(&oauthstore.OAuthToken{UserName: "user", ClientID: "client", Scope: "of the client"})
	t.save(&oauthstore.OAuthToken{UserName: "user", Scope: "of no client"})
	one.Scope, none.Scope = "of the client", "of no client"
	t.wantStored(none, one)
}

func conflictGone(t *subject) {
	t.save(under("1", "user", ""))
	t.wantSaveConflict(under("2", "user", ""), "1")
	t.delete("1")
	want := t.save(under("2", "user", ""))
	t.wantFound(&oauthstore.OAuthToken{UserName: "user"}, "2")

	t.save(&oauthstore.OAuthToken{ID: "2", UserName: "renamed"})
	want.UserName = "renamed"
	third := t.save(under("3", "user", ""))
	t.wantStored(want, third)
}
