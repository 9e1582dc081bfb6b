package storetest

import (
	"fmt"

	"github.com/oauthstore/oauthstore"
)

var findChecks = []check{
	{"an empty store finds nothing", findNothing},
	{"what cannot be looked for is an invalid token", findInvalid},
	{"an error names the fields that are missing", findMissing},
	{"by id, and by that alone", findByID},
	{"by user name", findByUser},
	{"by user name, and by that alone", findByUserOnly},
	{"by user name: never the record of another client", findOtherClient},
	{"by user name: the very same client id comes first", findSameClient},
	{"by user name: then the record without client id", findNoClient},
	{"by user name without client id: first the record without one", findNoClientFirst},
	{"by user name without client id: then the derived id", findDerived},
	{"by user name without client id: then the smallest id", findSmallest},
	{"by access token alone", findByAccess},
	{"by access token only where client id and secret are not set", findAccessWithClient},
	{"by access token: the one stored now, not an earlier one", findLaterAccess},
	{"by access token: of several the smallest id", findSmallestAccess},
	{"by grant token or refresh token with the client", findByRefresh},
	{"by grant token before refresh token", findGrantFirst},
	{"by grant or refresh token: the stored client id must be equal", findRefreshClient},
	{"by refresh token: an unset grant token leads to no record", findUnsetGrant},
	{"by grant token: an unset refresh token leads to no record", findUnsetRefresh},
	{"by refresh token: the one stored now, not an earlier one", findLaterRefresh},
	{"by grant or refresh token: of several the smallest id", findSmallestRefresh},
	{"keeps what the partial token sets, takes the rest from storage", findKeepsFields},
	{"leaves its argument as it was", findLeavesArgument},
	{"what was found with changes is saved with them", findThenSave},
}

func findNothing(t *subject) {
	for _, partial := range []*oauthstore.OAuthToken{
		{ID: "id"},
		{UserName: "user"},
		{UserName: "user", ClientID: "client"},
		{AccessToken: hush + "access"},
		{GrantToken: hush + "grant", ClientID: "client", ClientSecret: hush + "client"},
		{RefreshToken: hush + "refresh", ClientID: "client", ClientSecret: hush + "client"},
	} {
		t.wantNotFound(partial)
	}
	t.wantNoID("id")
	t.wantNoID(oauthstore.DerivedID("user", ""))
}

func findInvalid(t *subject) {
	_, err := t.store.FindToken(t.Context(), nil)
	t.wantInvalid("FindToken(nil)", err)
	_, err = t.store.FindToken(t.Context(), &oauthstore.OAuthToken{UserName: "\xff"})
	t.wantInvalid(`FindToken(UserName: "\xff")`, err, "UserName")
	_, err = t.store.FindToken(t.Context(), &oauthstore.OAuthToken{UserName: " "})
	t.wantInvalid(`FindToken(UserName: " ")`, err, "UserName")
	for _, id := range []string{"", "\xff", "a\x80b", " ", "\n\t", "\u2028"} {
		_, err = t.store.FindTokenByID(t.Context(), id)
		t.wantInvalid(fmt.Sprintf("FindTokenByID(%q)", id), err, "ID")
		t.wantError(fmt.Sprintf("FindTokenByID(%q)", id), err, oauthstore.ErrTokenNotFound)
	}
}

func findMissing(t *subject) {
	t.save(full("user"))
	for _, c := range []struct {
		partial *oauthstore.OAuthToken
		missing []string
	}{
		{&oauthstore.OAuthToken{}, []string{"ID", "UserName", "AccessToken"}},
		{&oauthstore.OAuthToken{ClientID: "client", ClientSecret: hush + "client"}, []string{"ID", "UserName"}},
		{&oauthstore.OAuthToken{AccessToken: hush + "access of user", ClientID: "client"}, []string{"ID", "UserName"}},
		{&oauthstore.OAuthToken{RefreshToken: hush + "refresh of user"}, []string{"ClientID"}},
		{&oauthstore.OAuthToken{RefreshToken: hush + "refresh of user", ClientSecret: hush + "client"}, []string{"ClientID"}},
		{&oauthstore.OAuthToken{RefreshToken: hush + "refresh of user", ClientID: "client"}, []string{"ClientSecret"}},
		{&oauthstore.OAuthToken{GrantToken: hush + "grant of user", ClientID: "client"}, []string{"ClientSecret"}},
	} {
		_, err := t.store.FindToken(t.Context(), c.partial)
		t.wantInvalid("FindToken("+describe(c.partial)+")", err, c.missing...)
	}
}

func findByID(t *subject) {
	a, b := t.save(full("a")), t.save(full("b"))
	t.wantSame("FindTokenByID", t.byID(a.ID), a)
	t.wantSame("FindToken by id", t.find(&oauthstore.OAuthToken{ID: b.ID}), b)
	t.wantFound(&oauthstore.OAuthToken{ID: a.ID, UserName: b.UserName, AccessToken: b.AccessToken}, a.ID)
	t.wantFound(&oauthstore.OAuthToken{ID: a.ID, ClientID: "other client"}, a.ID)
	t.wantNotFound(&oauthstore.OAuthToken{ID: "unknown", UserName: a.UserName, ClientID: a.ClientID})
	t.wantNoID("unknown")
}

func findByUser(t *subject) {
	a, b := t.save(full("a")), t.save(full("b"))
	t.wantSame("FindToken", t.find(&oauthstore.OAuthToken{UserName: "a"}), a)
	t.wantSame("FindToken", t.find(&oauthstore.OAuthToken{UserName: "b", ClientID: "client"}), b)
	t.wantNotFound(&oauthstore.OAuthToken{UserName: "c"})

	t.save(under("chosen", "d", ""))
	t.wantFound(&oauthstore.OAuthToken{UserName: "d"}, "chosen")
	t.wantFound(&oauthstore.OAuthToken{UserName: "d", ClientID: "client"}, "chosen")
}

func findByUserOnly(t *subject) {
	a := t.save(full("a"))
	t.wantNotFound(&oauthstore.OAuthToken{UserName: "b", AccessToken: a.AccessToken})
	t.wantNotFound(&oauthstore.OAuthToken{
		UserName: "b", RefreshToken: a.RefreshToken, ClientID: a.ClientID, ClientSecret: a.ClientSecret,
	})
}

func findOtherClient(t *subject) {
	t.save(under("", "user", "client 1"))
	t.wantNotFound(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 2"})
	t.save(under("chosen", "other user", "client 1"))
	t.wantNotFound(&oauthstore.OAuthToken{UserName: "other user", ClientID: "client 2"})
}

func findSameClient(t *subject) {
	t.save(under("1", "user", ""))
	t.save(under("2", "user", "client 1"))
	t.save(under("3", "user", "client 2"))
	t.wantFound(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 1"}, "2")
	t.wantFound(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 2"}, "3")

	derived := oauthstore.DerivedID("user", "")
	t.save(under(derived, "user", "client 3"))
	t.wantFound(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 2"}, "3")
	t.wantFound(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 3"}, derived)
}

func findNoClient(t *subject) {
	t.save(under("1", "user", "client 1"))
	t.save(under("2", "user", ""))
	t.wantFound(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 2"}, "2")
	t.wantFound(&oauthstore.OAuthToken{UserName: "user", ClientID: "client 1"}, "1")
	t.wantFound(&oauthstore.OAuthToken{UserName: "user"}, "2")
}

func findNoClientFirst(t *subject) {
	t.save(under("1", "user", "client 1"))
	t.save(under(oauthstore.DerivedID("user", ""), "user", "client 2"))
	t.save(under("z", "user", ""))
	t.wantFound(&oauthstore.OAuthToken{UserName: "user"}, "z")
}

func findDerived(t *subject) {
	derived := oauthstore.DerivedID("user", "")
	t.save(under("1", "user", "client 1"))
	t.save(under(derived, "user", "client 2"))
	t.wantFound(&oauthstore.OAuthToken{UserName: "user"}, derived)
}

func findSmallest(t *subject) {
	t.save(under("2", "user", "client 1"))
	t.save(under("1", "user", "client 2"))
	t.save(under("3", "user", "client 3"))
	t.wantFound(&oauthstore.OAuthToken{UserName: "user"}, "1")
}

func findByAccess(t *subject) {
	a, b := t.save(full("a")), t.save(full("b"))
	t.wantSame("FindToken", t.find(&oauthstore.OAuthToken{AccessToken: a.AccessToken}), a)
	t.wantFound(&oauthstore.OAuthToken{AccessToken: b.AccessToken}, b.ID)
	t.wantFound(&oauthstore.OAuthToken{AccessToken: b.AccessToken, RefreshToken: a.RefreshToken, GrantToken: a.GrantToken}, b.ID)
	t.wantNotFound(&oauthstore.OAuthToken{AccessToken: hush + "unknown", RefreshToken: a.RefreshToken})

	anonymous := t.save(&oauthstore.OAuthToken{AccessToken: hush + "nobody's"})
	t.wantFound(&oauthstore.OAuthToken{AccessToken: hush + "nobody's"}, anonymous.ID)
}

func findAccessWithClient(t *subject) {
	a := t.save(full("a"))
	for _, partial := range []*oauthstore.OAuthToken{
		{AccessToken: a.AccessToken, ClientID: a.ClientID},
		{AccessToken: a.AccessToken, ClientSecret: a.ClientSecret},
		{AccessToken: a.AccessToken, ClientID: a.ClientID, ClientSecret: a.ClientSecret},
	} {
		_, err := t.store.FindToken(t.Context(), partial)
		t.wantInvalid("FindToken("+describe(partial)+")", err)
	}
	t.wantFound(&oauthstore.OAuthToken{
		AccessToken: hush + "unknown", RefreshToken: a.RefreshToken, ClientID: a.ClientID, ClientSecret: a.ClientSecret,
	}, a.ID)
}

func findLaterAccess(t *subject) {
	a := t.save(full("a"))
	t.save(full("b"))
	t.save(&oauthstore.OAuthToken{UserName: "a", AccessToken: hush + "later"})
	t.wantFound(&oauthstore.OAuthToken{AccessToken: hush + "later"}, a.ID)
	t.wantNotFound(&oauthstore.OAuthToken{AccessToken: hush + "access of a"})
}

// The record with the smallest id gets the token last, so that an index which was written at the inserts leads elsewhere.
func findSmallestAccess(t *subject) {
	for _, id := range []string{"2", "1", "3"} {
		t.save(&oauthstore.OAuthToken{ID: id, AccessToken: hush + "first of " + id})
	}
	for _, token := range []*oauthstore.OAuthToken{
		{ID: "5", ClientID: "client", AccessToken: hush + "shared"}, {ID: "3", AccessToken: hush + "shared"},
		{ID: "4", UserName: "user", AccessToken: hush + "shared"}, {ID: "1", AccessToken: hush + "shared"},
	} {
		t.save(token)
	}
	shared := &oauthstore.OAuthToken{AccessToken: hush + "shared"}
	t.wantFound(shared, "1")
	t.wantID(t.save(&oauthstore.OAuthToken{AccessToken: hush + "shared", Scope: "saved"}), "1")
	t.save(&oauthstore.OAuthToken{ID: "1", AccessToken: hush + "another"})
	t.wantFound(shared, "3")
	t.wantID(t.save(&oauthstore.OAuthToken{AccessToken: hush + "shared", Scope: "saved"}), "3")
	t.delete("3")
	t.wantFound(shared, "4")
}

// withClient returns a partial token for the rule of grant and refresh tokens.
func withClient(grant, refresh, clientID string) *oauthstore.OAuthToken {
	return &oauthstore.OAuthToken{GrantToken: grant, RefreshToken: refresh, ClientID: clientID, ClientSecret: hush + "client"}
}

func findByRefresh(t *subject) {
	a, b := t.save(full("a")), t.save(full("b"))
	t.wantSame("FindToken by grant token", t.find(withClient(a.GrantToken, "", "client")), a)
	t.wantSame("FindToken by refresh token", t.find(withClient("", b.RefreshToken, "client")), b)
	t.wantNotFound(withClient(hush+"unknown", "", "client"))
	t.wantNotFound(withClient("", hush+"unknown", "client"))
	t.wantNotFound(withClient(a.RefreshToken, a.GrantToken, "client"))

	// The client secret says that the caller is the client; it is not compared.
	rotated := withClient("", a.RefreshToken, "client")
	rotated.ClientSecret = hush + "rotated"
	t.wantFound(rotated, a.ID)
}

func findGrantFirst(t *subject) {
	a, b := t.save(full("a")), t.save(full("b"))
	t.wantFound(withClient(a.GrantToken, b.RefreshToken, "client"), a.ID)
	t.wantFound(withClient(b.GrantToken, a.RefreshToken, "client"), b.ID)
	t.wantFound(withClient(hush+"unknown", b.RefreshToken, "client"), b.ID)
	t.wantFound(withClient(b.GrantToken, hush+"unknown", "client"), b.ID)
}

func findRefreshClient(t *subject) {
	a := t.save(full("a"))
	t.wantNotFound(withClient(a.GrantToken, "", "other client"))
	t.wantNotFound(withClient("", a.RefreshToken, "other client"))

	t.save(&oauthstore.OAuthToken{ID: "no client", GrantToken: hush + "grant", RefreshToken: hush + "refresh"})
	t.wantNotFound(withClient(hush+"grant", hush+"refresh", "client"))

	t.save(&oauthstore.OAuthToken{ID: "second", GrantToken: hush + "grant", RefreshToken: hush + "refresh", ClientID: "client"})
	t.wantFound(withClient(hush+"grant", "", "client"), "second")
	t.wantFound(withClient("", hush+"refresh", "client"), "second")
}

func findUnsetGrant(t *subject) {
	for _, id := range []string{"1", "2", "3"} {
		t.save(&oauthstore.OAuthToken{ID: id, ClientID: "client", RefreshToken: hush + "refresh " + id})
	}
	t.wantFound(withClient("", hush+"refresh 1", "client"), "1")
	t.wantFound(withClient("", hush+"refresh 2", "client"), "2")
	t.wantFound(withClient("", hush+"refresh 3", "client"), "3")
	t.wantNotFound(withClient("", hush+"unknown", "client"))

	saved := t.save(withClient("", hush+"refresh 2", "client"))
	t.wantID(saved, "2")
}

func findUnsetRefresh(t *subject) {
	for _, id := range []string{"1", "2", "3"} {
		t.save(&oauthstore.OAuthToken{ID: id, ClientID: "client", GrantToken: hush + "grant " + id})
	}
	t.wantFound(withClient(hush+"grant 1", "", "client"), "1")
	t.wantFound(withClient(hush+"grant 2", "", "client"), "2")
	t.wantFound(withClient(hush+"grant 3", "", "client"), "3")
	t.wantNotFound(withClient(hush+"unknown", "", "client"))

	saved := t.save(withClient(hush+"grant 2", "", "client"))
	t.wantID(saved, "2")
}

func findLaterRefresh(t *subject) {
	a := t.save(full("a"))
	t.save(full("b"))
	t.save(&oauthstore.OAuthToken{UserName: "a", GrantToken: hush + "later grant", RefreshToken: hush + "later refresh"})
	t.wantFound(withClient(hush+"later grant", "", "client"), a.ID)
	t.wantFound(withClient("", hush+"later refresh", "client"), a.ID)
	t.wantNotFound(withClient(hush+"grant of a", "", "client"))
	t.wantNotFound(withClient("", hush+"refresh of a", "client"))
}

func findSmallestRefresh(t *subject) {
	for name, partial := range map[string]*oauthstore.OAuthToken{
		"GrantToken": withClient(hush+"shared", "", "client"), "RefreshToken": withClient("", hush+"shared", "client"),
	} {
		give := func(id, value string) {
			token := &oauthstore.OAuthToken{ID: id, ClientID: "client", AccessToken: hush + "access"}
			*textFields(token)[name] = value
			t.save(token)
		}
		wantFirst := func(id string) {
			t.wantFound(partial, id)
			saved := literal(partial)
			saved.Scope = "saved by " + name
			t.wantID(t.save(saved), id)
		}
		for _, id := range []string{"2", "1", "3"} {
			give(id, hush+"first of "+id)
		}
		for _, id := range []string{"4", "3", "1"} {
			give(id, hush+"shared")
		}
		wantFirst("1")
		give("1", hush+"another")
		wantFirst("3")
		t.deleteAll()
	}
}

func findKeepsFields(t *subject) {
	stored := t.save(full("user"))
	partial := &oauthstore.OAuthToken{
		UserName: "user", ClientSecret: hush + "other", AccessToken: hush + "other", Scope: "other", Expiry: stored.Expiry.AddDate(1, 0, 0),
	}
	want := literal(stored)
	want.ClientSecret, want.AccessToken, want.Scope, want.Expiry = partial.ClientSecret, partial.AccessToken, partial.Scope, partial.Expiry
	t.wantSame("FindToken", t.find(partial), want)

	byID := &oauthstore.OAuthToken{ID: stored.ID, UserName: "other user", ClientID: "other client"}
	want = literal(stored)
	want.UserName, want.ClientID = "other user", "other client"
	t.wantSame("FindToken by id", t.find(byID), want)
	t.wantStored(stored)
}

func findLeavesArgument(t *subject) {
	t.save(full("user"))
	partial := &oauthstore.OAuthToken{UserName: "user", Scope: "other"}
	if found := t.find(partial); found == partial {
		t.Errorf("FindToken returned its argument, want a token of its own")
	}
	t.wantSame("the argument after FindToken", partial, &oauthstore.OAuthToken{UserName: "user", Scope: "other"})
	t.wantNotFound(&oauthstore.OAuthToken{UserName: "nobody"})
}

func findThenSave(t *subject) {
	stored := t.save(full("user"))
	found := t.find(&oauthstore.OAuthToken{UserName: "user", APIDomain: "https://eu.example.com"})
	t.save(found)
	want := literal(stored)
	want.APIDomain = "https://eu.example.com"
	t.wantStored(want)
}
