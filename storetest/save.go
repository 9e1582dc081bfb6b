package storetest

import (
	"github.com/oauthstore/oauthstore"
)

var saveChecks = []check{
	{"an insert keeps every field and fills in the id", saveInsert},
	{"an insert keeps the id that the caller chose", saveChosenID},
	{"an insert needs a grant, refresh or access token", saveNeedsToken},
	{"an update keeps the fields that are not set", saveMerges},
	{"an update changes every field that is set", saveOverwrites},
	{"an update fills in its argument with what is stored", saveFillsIn},
	{"an update finds its record by every rule", saveByEveryRule},
	{"an update by grant or refresh token stores the client secret that it brings", saveClientSecret},
	{"an update by id finds its record though the user name differs", saveByID},
	{"an update by user name may give the record its client id", saveGainsClient},
	{"an update by id may give the record its user name", saveGainsUser},
	{"another client of a user has a record of its own", saveSecondClient},
	{"tokens to which no rule applies are inserted, each under the id derived from it", saveAnonymous},
	{"equal saves change nothing", saveEqual},
	{"a found token that is saved unchanged changes nothing", saveUnchanged},
	{"what cannot be stored is an invalid token", saveInvalid},
	{"a rename is found by the new name and not by the old one", saveRename},
	{"a rename can be taken back", saveRenameBack},
	{"a name is free after its record is renamed", saveFreedName},
}

func saveInsert(t *subject) {
	token := full("user")
	want := literal(token)
	t.save(token)
	if token.ID == "" {
		t.Fatalf("SaveToken left the argument's ID empty, want the id of the new record")
	}
	want.ID = token.ID
	t.wantSame("the argument after SaveToken", token, want)
	t.wantSame("FindTokenByID", t.byID(token.ID), want)
	t.wantStored(want)
}

func saveChosenID(t *subject) {
	token := full("user")
	token.ID = "chosen"
	t.save(token)
	if token.ID != "chosen" {
		t.Errorf(`SaveToken changed the argument's ID to %q, want "chosen"`, token.ID)
	}
	t.wantSame("FindTokenByID", t.byID("chosen"), token)
	t.wantStored(token)
}

func saveNeedsToken(t *subject) {
	for _, token := range []*oauthstore.OAuthToken{
		{},
		{ID: "id"},
		{UserName: "user"},
		{ID: "id", UserName: "user", ClientID: "client", ClientSecret: hush + "client", Scope: "all"},
	} {
		err := t.store.SaveToken(t.Context(), token)
		t.wantInvalid("SaveToken("+describe(token)+")", err, "GrantToken", "RefreshToken", "AccessToken")
	}
	t.wantStored()
	for _, token := range []*oauthstore.OAuthToken{
		{ID: "1", GrantToken: hush + "grant"},
		{ID: "2", RefreshToken: hush + "refresh"},
		{ID: "3", AccessToken: hush + "access"},
	} {
		t.save(token)
		t.wantFound(&oauthstore.OAuthToken{ID: token.ID}, token.ID)
	}
}

func saveMerges(t *subject) {
	want := literal(t.save(full("user")))
	t.save(&oauthstore.OAuthToken{UserName: "user", AccessToken: hush + "second"})
	want.AccessToken = hush + "second"
	t.wantStored(want)
	t.save(&oauthstore.OAuthToken{ID: want.ID, Scope: "all", Expiry: want.Expiry.AddDate(1, 0, 0)})
	want.Scope, want.Expiry = "all", want.Expiry.AddDate(1, 0, 0)
	t.wantStored(want)
	t.wantSame("FindToken", t.find(&oauthstore.OAuthToken{UserName: "user"}), want)
}

func saveOverwrites(t *subject) {
	stored := t.save(full("user"))
	change := literal(stored)
	for name, value := range textFields(change) {
		*value = valueOf(name, hush+"new "+name)
	}
	change.Expiry = stored.Expiry.AddDate(1, 0, 0)
	want := literal(change)
	t.save(change)
	t.wantStored(want)
}

func saveFillsIn(t *subject) {
	want := literal(t.save(full("user")))
	want.AccessToken = hush + "second"
	update := &oauthstore.OAuthToken{UserName: "user", AccessToken: hush + "second"}
	t.save(update)
	t.wantSame("the argument after SaveToken", update, want)
}

func saveByEveryRule(t *subject) {
	want := literal(t.save(full("user")))
	for _, update := range []*oauthstore.OAuthToken{
		{ID: want.ID},
		{UserName: want.UserName},
		{UserName: want.UserName, ClientID: want.ClientID},
		{AccessToken: want.AccessToken},
		{GrantToken: want.GrantToken, ClientID: want.ClientID, ClientSecret: want.ClientSecret},
		{RefreshToken: want.RefreshToken, ClientID: want.ClientID, ClientSecret: want.ClientSecret},
	} {
		update.Scope = "by " + describe(update)
		want.Scope = update.Scope
		t.save(update)
		t.wantSame("the argument after SaveToken "+update.Scope, update, want)
		t.wantStored(want)
	}
}

func saveClientSecret(t *subject) {
	want := literal(t.save(full("user")))
	for by, update := range map[string]*oauthstore.OAuthToken{
		"grant token":   withClient(want.GrantToken, "", "client"),
		"refresh token": withClient("", want.RefreshToken, "client"),
	} {
		update.ClientSecret, want.ClientSecret = hush+"brought by "+by, hush+"brought by "+by
		t.save(update)
		t.wantSame("the argument after SaveToken by "+by, update, want)
		t.wantStored(want)
	}
}

func saveByID(t *subject) {
	a, b := t.save(under("a", "user a", "")), t.save(under("b", "user b", ""))
	t.save(&oauthstore.OAuthToken{ID: "a", UserName: "user c", Scope: "all"})
	a.UserName, a.Scope = "user c", "all"
	t.wantStored(a, b)
}

func saveGainsClient(t *subject) {
	want := literal(t.save(under("", "user", "")))
	t.save(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 1"})
	want.ClientID = "client 1"
	t.wantStored(want)
	t.wantFound(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 1"}, want.ID)
	t.wantFound(&oauthstore.OAuthToken{UserName: "user"}, want.ID)
	t.wantNotFound(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 2"})
}

func saveGainsUser(t *subject) {
	want := literal(t.save(&oauthstore.OAuthToken{AccessToken: hush + "access"}))
	t.save(&oauthstore.OAuthToken{ID: want.ID, UserName: "user"})
	want.UserName = "user"
	t.wantStored(want)
	t.wantFound(&oauthstore.OAuthToken{UserName: "user"}, want.ID)
	t.save(&oauthstore.OAuthToken{UserName: "user", Scope: "all"})
	want.Scope = "all"
	t.wantStored(want)
}

func saveSecondClient(t *subject) {
	first := t.save(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 1", AccessToken: hush + "1"})
	second := t.save(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 2", AccessToken: hush + "2"})
	if first.ID == second.ID {
		t.Fatalf("two clients of one user share the id %q, want one each", first.ID)
	}
	t.wantSame("FindToken", t.find(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 1"}), first)
	t.wantSame("FindToken", t.find(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 2"}), second)
	t.save(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 2", Scope: "all"})
	t.wantSame("the first client's token", t.byID(first.ID), first)
	if n := len(t.all()); n != 2 {
		t.Errorf("GetTokens: got %d tokens, want 2", n)
	}
}

func saveAnonymous(t *subject) {
	tokens := []*oauthstore.OAuthToken{
		{RefreshToken: hush + "1"},
		{RefreshToken: hush + "1", ClientID: "client"},
		{RefreshToken: hush + "2", ClientSecret: hush + "client"},
		{GrantToken: hush + "1", ClientID: "client"},
		{AccessToken: hush + "1", ClientID: "client"},
		{AccessToken: hush + "2", ClientID: "client", ClientSecret: hush + "client"},
	}
	want := make(map[string]*oauthstore.OAuthToken)
	for range 3 { // an equal save makes no other record
		for _, token := range tokens {
			saved := t.save(literal(token))
			t.wantID(saved, oauthstore.DerivedTokenID(token))
			want[saved.ID] = literal(token)
			want[saved.ID].ID = saved.ID
			t.wantSame("FindTokenByID", t.byID(saved.ID), want[saved.ID])
		}
	}
	t.wantExactly(want)
	if len(want) != len(tokens) {
		t.Errorf("got %d ids for %d tokens, want one for each", len(want), len(tokens))
	}

	// The same refresh token with another access token is the same record, and so is a copy that comes back late.
	id := oauthstore.DerivedTokenID(tokens[1])
	t.save(&oauthstore.OAuthToken{RefreshToken: hush + "1", ClientID: "client", AccessToken: hush + "later"})
	t.save(&oauthstore.OAuthToken{ID: id, RefreshToken: hush + "rotated"})
	t.save(&oauthstore.OAuthToken{RefreshToken: hush + "1", ClientID: "client", Scope: "late"})
	want[id].AccessToken, want[id].RefreshToken, want[id].Scope = hush+"later", hush+"rotated", "late"
	t.wantExactly(want)
}

func saveEqual(t *subject) {
	want := literal(t.save(full("user")))
	for range 20 {
		again := literal(want)
		again.ID = ""
		t.save(again)
		t.wantSame("the argument after an equal save", again, want)
	}
	t.wantStored(want)
}

func saveUnchanged(t *subject) {
	want := literal(t.save(full("user")))
	for range 5 {
		found := t.find(&oauthstore.OAuthToken{UserName: "user"})
		t.save(found)
		t.wantSame("a found token after it is saved", found, want)
	}
	t.wantStored(want)
}

func saveInvalid(t *subject) {
	t.wantInvalid("SaveToken(nil)", t.store.SaveToken(t.Context(), nil))
	stored := t.save(full("user"))
	for name := range textFields(stored) {
		for _, token := range []*oauthstore.OAuthToken{full("new user"), {ID: stored.ID}} {
			*textFields(token)[name] = hush + "\xff"
			t.wantInvalid("SaveToken with an invalid "+name, t.store.SaveToken(t.Context(), token), name)
		}
	}
	t.wantInvalid("SaveToken with an invalid ID", t.store.SaveToken(t.Context(), under("a\xffb", "", "")), "ID")
	for _, blank := range []string{" ", "\t", "\r\n", "\u00a0", " \u2028 "} {
		t.wantInvalid("SaveToken with an ID of white space", t.store.SaveToken(t.Context(), under(blank, "new user", "")), "ID")
		t.wantInvalid("SaveToken with a UserName of white space", t.store.SaveToken(t.Context(), under("", blank, "")), "UserName")
		t.wantInvalid("SaveToken that renames to white space", t.store.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: stored.ID, UserName: blank}), "UserName")
	}
	for _, extra := range []string{hush, "null", "17", `"text"`, `[{}]`, `{"a":1`, `{"a":1} {}`, " "} {
		t.wantInvalid("SaveToken with an Extra that is no JSON object", t.store.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: stored.ID, Extra: extra}), "Extra")
	}
	t.wantStored(stored)
}

func saveRename(t *subject) {
	want := literal(t.save(full("old")))
	other := t.save(under("zz", "other", ""))
	t.save(&oauthstore.OAuthToken{ID: want.ID, UserName: "new"})
	want.UserName = "new"
	t.wantSame("FindToken by the new name", t.find(&oauthstore.OAuthToken{UserName: "new"}), want)
	t.wantNotFound(&oauthstore.OAuthToken{UserName: "old"})
	t.wantNotFound(&oauthstore.OAuthToken{UserName: "old", ClientID: want.ClientID})
	t.wantStored(want, other)

	t.save(&oauthstore.OAuthToken{UserName: "new", Scope: "all"})
	want.Scope = "all"
	t.wantStored(want, other)
}

func saveRenameBack(t *subject) {
	want := literal(t.save(full("old")))
	t.save(&oauthstore.OAuthToken{ID: want.ID, UserName: "new"})
	t.save(&oauthstore.OAuthToken{ID: want.ID, UserName: "old"})
	t.wantSame("FindToken by the old name", t.find(&oauthstore.OAuthToken{UserName: "old"}), want)
	t.wantNotFound(&oauthstore.OAuthToken{UserName: "new"})
	t.wantStored(want)
}

func saveFreedName(t *subject) {
	first := t.save(under("1", "old", ""))
	t.save(&oauthstore.OAuthToken{ID: "1", UserName: "new"})
	second := t.save(under("2", "old", ""))
	t.wantFound(&oauthstore.OAuthToken{UserName: "old"}, second.ID)
	t.wantFound(&oauthstore.OAuthToken{UserName: "new"}, first.ID)
}
