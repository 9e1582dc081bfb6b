package storetest

import (
	"fmt"

	"github.com/oauthstore/oauthstore"
)

var staleChecks = []check{
	{"a stale copy does not undo a refresh", staleCopy},
	{"a stale copy of an expiry does not undo a later one", staleExpiry},
	{"a stale copy with a changed field changes that field only", staleChange},
	{"an older refresh token in a literal does not come back", staleLiteral},
	{"the one before the newest refresh token does not come back by a found copy with changes", staleRotation},
}

// copies are the ways in which a caller comes by a token that it saves later.
func copies(t *subject, id string) map[string]*oauthstore.OAuthToken {
	t.Helper()
	saved := &oauthstore.OAuthToken{ID: id, TokenType: "Bearer"}
	found := map[string]*oauthstore.OAuthToken{
		"FindTokenByID": t.byID(id),
		"FindToken":     t.find(&oauthstore.OAuthToken{ID: id}),
		"SaveToken":     t.save(saved),
	}
	for _, token := range t.all() {
		if token.ID == id {
			found["GetTokens"] = token
		}
	}
	if len(found) != 4 {
		t.Fatalf("GetTokens: the token %q is not there", id)
	}
	return found
}

func staleCopy(t *subject) {
	want := literal(t.save(full("user")))
	for from, stale := range copies(t, want.ID) {
		want.RefreshToken, want.AccessToken = hush+"refresh after "+from, hush+"access after "+from
		t.save(&oauthstore.OAuthToken{ID: want.ID, RefreshToken: want.RefreshToken, AccessToken: want.AccessToken})

		stale.APIDomain, want.APIDomain = "from "+from, "from "+from
		t.save(stale)
		t.wantSame("a stale token of "+from+", after it is saved", stale, want)
		t.wantStored(want)
	}
}

func staleExpiry(t *subject) {
	want := literal(t.save(full("user")))
	stale := t.byID(want.ID)
	want.Expiry = want.Expiry.AddDate(0, 0, 1)
	t.save(&oauthstore.OAuthToken{ID: want.ID, Expiry: want.Expiry})
	stale.Scope, want.Scope = "all", "all"
	t.save(stale)
	t.wantStored(want)
}

func staleChange(t *subject) {
	want := literal(t.save(full("user")))
	one, two := t.byID(want.ID), t.byID(want.ID)
	one.AccessToken, two.Scope = hush+"one", "two"
	t.save(one)
	t.save(two)
	want.AccessToken, want.Scope = hush+"one", "two"
	t.wantStored(want)
	t.wantSame("the second saver's token", two, want)
	two.AccessToken = hush + "two"
	t.save(two)
	want.AccessToken = hush + "two"
	t.wantStored(want)
}

func staleLiteral(t *subject) {
	want := literal(t.save(full("user")))
	old := []string{want.RefreshToken}
	for i := range 3 {
		want.RefreshToken = fmt.Sprint(hush, "refresh ", i)
		t.save(&oauthstore.OAuthToken{ID: want.ID, RefreshToken: want.RefreshToken})
		for n, refresh := range old {
			late := &oauthstore.OAuthToken{UserName: "user", RefreshToken: refresh, Scope: fmt.Sprint("late ", n)}
			t.save(late)
			want.Scope = late.Scope
			t.wantSame("a token with a superseded refresh token, after it is saved", late, want)
		}
		old = append(old, want.RefreshToken)
	}
	t.wantStored(want)
}

func staleRotation(t *subject) {
	want := literal(t.save(full("user")))
	stale := t.byID(want.ID)
	t.save(&oauthstore.OAuthToken{ID: want.ID, RefreshToken: hush + "second"})
	t.save(&oauthstore.OAuthToken{ID: want.ID, RefreshToken: hush + "third"})
	stale.RefreshToken, stale.Scope = hush+"second", "all"
	t.save(stale)
	want.RefreshToken, want.Scope = hush+"third", "all"
	t.wantStored(want)
}
