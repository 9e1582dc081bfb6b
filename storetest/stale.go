package storetest

import (
	"fmt"

	"github.com/oauthstore/oauthstore"
)

var staleChecks = []check{
	{"a stale copy does not undo a refresh", staleCopy},
	{"a token found by user name does not undo a refresh", staleFound(atUser)},
	{"a token found by access token does not undo a refresh", staleFound(atAccess)},
	{"a token found by grant token does not undo a refresh", staleFound(atGrant)},
	{"a token found by refresh token does not undo a refresh", staleFound(atRefresh)},
	{"a token that an insert has filled in does not undo a refresh", staleInserted},
	{"a token that a save has filled in, by whatever rule, does not undo a refresh", staleSaved},
	{"a stale copy of an expiry does not undo a later one", staleExpiry},
	{"a stale copy with a changed field changes that field only", staleChange},
	{"an older refresh token in a literal does not come back", staleLiteral},
	{"the one before the newest refresh token does not come back by a found copy with changes", staleRotation},
	{"a save by a superseded refresh token updates the record that has had it", staleSuperseded},
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

// The ways to point at a record, by the rules of oauthstore.RuleFor.

func atID(stored *oauthstore.OAuthToken) *oauthstore.OAuthToken {
	return &oauthstore.OAuthToken{ID: stored.ID}
}

func atUser(stored *oauthstore.OAuthToken) *oauthstore.OAuthToken {
	return &oauthstore.OAuthToken{UserName: stored.UserName}
}

func atAccess(stored *oauthstore.OAuthToken) *oauthstore.OAuthToken {
	return &oauthstore.OAuthToken{AccessToken: stored.AccessToken}
}

func atGrant(stored *oauthstore.OAuthToken) *oauthstore.OAuthToken {
	return withClient(stored.GrantToken, "", stored.ClientID)
}

func atRefresh(stored *oauthstore.OAuthToken) *oauthstore.OAuthToken {
	return withClient("", stored.RefreshToken, stored.ClientID)
}

// wantNoUndo refreshes the only record of the store, which is want, then saves an older copy of it with
// one change, and demands that the refresh stays.
func (t *subject) wantNoUndo(from string, stale, want *oauthstore.OAuthToken) {
	t.Helper()
	want.GrantToken, want.RefreshToken, want.AccessToken = hush+"grant after "+from, hush+"refresh after "+from, hush+"access after "+from
	t.save(&oauthstore.OAuthToken{
		ID: want.ID, GrantToken: want.GrantToken, RefreshToken: want.RefreshToken, AccessToken: want.AccessToken,
	})
	stale.APIDomain, want.APIDomain = "from "+from, "from "+from
	t.save(stale)
	t.wantSame("a stale token of "+from+", after it is saved", stale, want)
	t.wantStored(want)
}

func staleCopy(t *subject) {
	want := literal(t.save(full("user")))
	for from, stale := range copies(t, want.ID) {
		t.wantNoUndo(from, stale, want)
	}
}

func staleFound(at func(stored *oauthstore.OAuthToken) *oauthstore.OAuthToken) func(t *subject) {
	return func(t *subject) {
		want := literal(t.save(full("user")))
		t.wantNoUndo("FindToken", t.find(at(want)), want)

		// With a field of the caller's own: what equals the rest of the record is still not set.
		partial := at(want)
		partial.Scope, want.Scope = "all", "all"
		t.wantNoUndo("FindToken with a scope", t.find(partial), want)
	}
}

func staleInserted(t *subject) {
	named, chosen, anonymous := full("user"), full("user"), full("")
	chosen.ID = "chosen"
	for what, inserted := range map[string]*oauthstore.OAuthToken{
		"with a user name": named, "under an id of the caller's": chosen, "without user name": anonymous,
	} {
		t.save(inserted)
		t.wantNoUndo("an insert "+what, inserted, literal(inserted))
		t.delete(inserted.ID)
	}
}

func staleSaved(t *subject) {
	t.filledIn(func(token *oauthstore.OAuthToken) { t.save(token) })
}

// filledIn demands that what save fills in does not undo a refresh, whatever it finds its record by, and
// whether it changes it or not.
func (t *subject) filledIn(save func(token *oauthstore.OAuthToken)) {
	t.Helper()
	want := literal(t.save(full("user")))
	for by, at := range map[string]func(*oauthstore.OAuthToken) *oauthstore.OAuthToken{
		"id": atID, "user name": atUser, "access token": atAccess, "grant token": atGrant, "refresh token": atRefresh,
	} {
		same := at(want)
		save(same)
		t.wantNoUndo("a save by "+by+" that changes nothing", same, want)

		change := at(want)
		change.Scope, want.Scope = "by "+by, "by "+by
		save(change)
		t.wantNoUndo("a save by "+by, change, want)
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

func staleSuperseded(t *subject) {
	t.superseded(func(token *oauthstore.OAuthToken) { t.save(token) })

	other := withClient("", hush+"refresh 1", "other client")
	t.save(other)
	t.wantFound(withClient("", hush+"refresh 1", "other client"), other.ID)
	if n := len(t.all()); n != 3 {
		t.Errorf("GetTokens after a save for another client: got %d tokens, want 3", n)
	}
}

// superseded demands that a save by a refresh token that two records have had goes to the one with the smaller id and
// leaves its newer refresh token, and that a record which has that refresh token now counts before them.
func (t *subject) superseded(save func(token *oauthstore.OAuthToken)) {
	t.Helper()
	late := func(access string) *oauthstore.OAuthToken {
		token := withClient("", hush+"refresh 1", "client")
		token.AccessToken = hush + access
		return token
	}
	for _, id := range []string{"2", "1"} {
		first := withClient("", hush+"refresh 1", "client")
		first.ID = id
		t.save(first)
		first.RefreshToken = hush + "refresh 2 of " + id
		t.save(first)
	}
	one, two := t.byID("1"), t.byID("2")
	token := late("late")
	save(token)
	one.AccessToken = hush + "late"
	t.wantSame("a token with a superseded refresh token, after it is saved", token, one)
	t.wantStored(one, two)
	t.wantNotFound(withClient("", hush+"refresh 1", "client"))

	three := withClient("", hush+"refresh 1", "client")
	three.ID = "3"
	t.save(three)
	save(late("of 3"))
	three.AccessToken = hush + "of 3"
	t.wantStored(one, two, three)
	t.delete("3")
}
