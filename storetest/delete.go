package storetest

import (
	"fmt"

	"github.com/oauthstore/oauthstore"
)

var deleteChecks = []check{
	{"a deleted token is gone for every finder", deleteGone},
	{"the other tokens stay", deleteOthers},
	{"what is not there is not found", deleteNotFound},
	{"an id that no token can have is invalid and not found", deleteInvalid},
	{"a save after a delete starts afresh, many times", deleteSave},
	{"a found token that is saved after its delete is inserted whole", deleteSaveFound},
	{"a refresh token that a deleted record had superseded may be saved again", deleteForgets},
	{"DeleteTokens removes every token", deleteAll},
	{"DeleteTokens of an empty store is no error", deleteAllEmpty},
	{"a save after DeleteTokens starts afresh", deleteAllSave},
}

// wantGone demands that no finder leads to token.
func (t *subject) wantGone(token *oauthstore.OAuthToken) {
	t.Helper()
	t.wantNoID(token.ID)
	t.wantNotFound(&oauthstore.OAuthToken{ID: token.ID})
	for _, partial := range []*oauthstore.OAuthToken{
		{UserName: token.UserName},
		{UserName: token.UserName, ClientID: token.ClientID},
		{AccessToken: token.AccessToken},
		withClient(token.GrantToken, "", token.ClientID),
		withClient("", token.RefreshToken, token.ClientID),
	} {
		if oauthstore.CheckFindable(partial) == nil { // not every token has every field
			t.wantNotFound(partial)
		}
	}
}

func deleteGone(t *subject) {
	token := t.save(full("user"))
	t.save(&oauthstore.OAuthToken{ID: token.ID, Scope: "all"})
	t.delete(token.ID)
	t.wantGone(token)
	t.wantStored()

	chosen := full("user")
	chosen.ID = "chosen"
	t.save(chosen)
	t.delete("chosen")
	t.wantGone(chosen)
	t.wantStored()
}

func deleteOthers(t *subject) {
	a, b, c := t.save(under("a", "user a", "")), t.save(under("b", "user b", "")), t.save(under("c", "", ""))
	t.delete("b")
	t.wantGone(b)
	t.wantStored(a, c)
	t.wantFound(&oauthstore.OAuthToken{UserName: "user a"}, "a")
	t.wantFound(&oauthstore.OAuthToken{AccessToken: c.AccessToken}, "c")
}

func deleteNotFound(t *subject) {
	t.wantError("DeleteToken in an empty store", t.store.DeleteToken(t.Context(), "id"), oauthstore.ErrTokenNotFound)
	token := t.save(full("user"))
	t.wantError("DeleteToken of an unknown id", t.store.DeleteToken(t.Context(), "unknown"), oauthstore.ErrTokenNotFound)
	t.wantError("DeleteToken of a user name", t.store.DeleteToken(t.Context(), "user"), oauthstore.ErrTokenNotFound)
	t.wantStored(token)
	t.delete(token.ID)
	for range 2 {
		err := t.store.DeleteToken(t.Context(), token.ID)
		t.wantError("DeleteToken of a deleted token", err, oauthstore.ErrTokenNotFound)
	}
}

func deleteInvalid(t *subject) {
	token := t.save(full("user"))
	for _, id := range []string{"", "\xff", "a\x80b"} {
		err := t.store.DeleteToken(t.Context(), id)
		t.wantInvalid(fmt.Sprintf("DeleteToken(%q)", id), err, "ID")
		t.wantError(fmt.Sprintf("DeleteToken(%q)", id), err, oauthstore.ErrTokenNotFound)
	}
	t.wantStored(token)
}

func deleteSave(t *subject) {
	for i := range 5 {
		t.save(full("user"))
		want := &oauthstore.OAuthToken{ID: oauthstore.DerivedID("user", ""), UserName: "user", AccessToken: fmt.Sprint(hush, "access ", i)}
		t.delete(want.ID)
		token := literal(want)
		token.ID = ""
		t.save(token)
		t.wantSame("the argument of the save after the delete", token, want)
		t.wantSame("FindToken", t.find(&oauthstore.OAuthToken{UserName: "user"}), want)
		t.wantStored(want)
		t.delete(want.ID)
	}
	t.wantStored()
}

func deleteSaveFound(t *subject) {
	want := literal(t.save(full("user")))
	found := t.byID(want.ID)
	t.delete(want.ID)
	found.Scope, want.Scope = "all", "all"
	t.save(found)
	t.wantSame("FindToken", t.find(&oauthstore.OAuthToken{UserName: "user"}), want)
	t.wantStored(want)
}

func deleteForgets(t *subject) {
	token := t.save(full("user"))
	t.save(&oauthstore.OAuthToken{ID: token.ID, RefreshToken: hush + "second"})
	t.delete(token.ID)
	t.save(&oauthstore.OAuthToken{UserName: "user", RefreshToken: hush + "third"})
	t.save(&oauthstore.OAuthToken{UserName: "user", RefreshToken: token.RefreshToken})
	if got := t.find(&oauthstore.OAuthToken{UserName: "user"}); got.RefreshToken != token.RefreshToken {
		t.Errorf("FindToken: got refresh token %q, want %q", got.RefreshToken, token.RefreshToken)
	}
}

func (t *subject) deleteAll() {
	t.Helper()
	if err := t.store.DeleteTokens(t.Context()); err != nil {
		t.Fatalf("DeleteTokens: %v", err)
	}
}

func deleteAll(t *subject) {
	var tokens []*oauthstore.OAuthToken
	for i := range 10 {
		tokens = append(tokens, t.save(full(fmt.Sprint("user ", i))))
	}
	tokens = append(tokens, t.save(under("chosen", "user", "")), t.save(under("", "", "")))
	t.deleteAll()
	t.wantStored()
	for _, token := range tokens {
		t.wantNoID(token.ID)
	}
	t.wantGone(tokens[0])
}

func deleteAllEmpty(t *subject) {
	t.deleteAll()
	t.wantStored()
	t.save(full("user"))
	t.deleteAll()
	t.deleteAll()
	t.wantStored()
}

func deleteAllSave(t *subject) {
	for range 3 {
		t.save(full("user"))
		t.save(under("chosen", "second user", ""))
		t.deleteAll()
		want := under("", "user", "")
		t.save(literal(want))
		want.ID = oauthstore.DerivedID("user", "")
		t.wantSame("FindToken", t.find(&oauthstore.OAuthToken{UserName: "user"}), want)
		t.wantStored(want)
	}
}
