package storetest

import (
	"strings"
	"time"

	"github.com/oauthstore/oauthstore"
)

var valueChecks = []check{
	{"a field of 10 KB comes back whole", valueLarge},
	{"text comes back byte for byte", valueText},
	{"access tokens that differ in case or space are kept apart", valueApart},
	{"an expiry is kept to the millisecond, as UTC", valueExpiry},
	{"no expiry stays no expiry, and does not replace one", valueNoExpiry},
	{"an expiry outside of the years 1 to 9999 is an invalid token", valueExpiryRange},
	{"what is returned belongs to the caller", valueOwned},
	{"what is passed in is not kept", valueNotKept},
}

func valueLarge(t *subject) {
	want := full("user")
	want.AccessToken = hush + strings.Repeat("0123456789", 1024)
	t.save(want)
	t.wantSame("FindTokenByID", t.byID(want.ID), want)
	t.wantSame("FindToken by access token", t.find(&oauthstore.OAuthToken{AccessToken: want.AccessToken}), want)

	update := &oauthstore.OAuthToken{ID: want.ID, RefreshToken: hush + strings.Repeat("é", 5*1024)}
	want.RefreshToken = update.RefreshToken
	t.save(update)
	t.wantStored(want)
}

func valueText(t *subject) {
	for _, text := range []string{
		`"quoted" \ back\u0041slash`, "<script>&amp;'", "a\x00b", "\u2028\u2029", "\ufeff", "\ufffd", "\x7f\x01\x1f", "line\r\nline",
		"e\u0301 \u00e9", "\U0001F511", "  spaces  ", "1234567890123456789012", "1e400", "-0", "null", "{}", "$${a}", "%",
	} {
		token := full("user of " + text)
		for name, value := range textFields(token) {
			if name != "UserName" {
				*value = valueOf(name, hush+text+name)
			}
		}
		token.TokenType, token.Scope, token.APIDomain = text, text, text
		want := literal(token)
		t.save(token)
		want.ID = token.ID
		t.wantSame("FindTokenByID", t.byID(token.ID), want)
		t.wantSame("FindToken by refresh token", t.find(&oauthstore.OAuthToken{
			RefreshToken: want.RefreshToken, ClientID: want.ClientID, ClientSecret: want.ClientSecret,
		}), want)
	}
}

func valueApart(t *subject) {
	a := t.save(&oauthstore.OAuthToken{AccessToken: hush + "Token"})
	b := t.save(&oauthstore.OAuthToken{AccessToken: hush + "token"})
	c := t.save(&oauthstore.OAuthToken{AccessToken: hush + "token "})
	for _, want := range []*oauthstore.OAuthToken{a, b, c} {
		t.wantFound(&oauthstore.OAuthToken{AccessToken: want.AccessToken}, want.ID)
	}
	t.wantNotFound(&oauthstore.OAuthToken{AccessToken: hush + "TOKEN"})
	if n := len(t.all()); n != 3 {
		t.Errorf("GetTokens: got %d tokens, want 3", n)
	}
}

func valueExpiry(t *subject) {
	zone := time.FixedZone("east of Greenwich", 5*3600+30*60)
	for _, c := range []struct{ saved, want time.Time }{
		{time.Date(2040, 1, 2, 3, 4, 5, 678e6, time.UTC), time.Date(2040, 1, 2, 3, 4, 5, 678e6, time.UTC)},
		{time.Date(2040, 1, 2, 3, 4, 5, 678999999, time.UTC), time.Date(2040, 1, 2, 3, 4, 5, 678e6, time.UTC)},
		{time.Date(2040, 1, 2, 3, 4, 5, 1e6, zone), time.Date(2040, 1, 1, 21, 34, 5, 1e6, time.UTC)},
		{time.Unix(0, 0), time.Unix(0, 0)},
		{time.Date(1969, 12, 31, 23, 59, 59, 5e6, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 5e6, time.UTC)},
		{time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)},
	} {
		token := &oauthstore.OAuthToken{ID: "id", AccessToken: hush + "access", Expiry: c.saved}
		t.save(token)
		got := map[string]*oauthstore.OAuthToken{
			"SaveToken's argument": token,
			"FindTokenByID":        t.byID("id"),
			"FindToken":            t.find(&oauthstore.OAuthToken{ID: "id"}),
		}
		for from, token := range got {
			if !token.Expiry.Equal(c.want) {
				t.Errorf("%s: saved Expiry %v, got %v, want %v", from, c.saved, token.Expiry, c.want)
			}
			if token.Expiry.Location() != time.UTC {
				t.Errorf("%s: saved Expiry %v, got it in %v, want it in UTC", from, c.saved, token.Expiry.Location())
			}
		}
	}
}

func valueNoExpiry(t *subject) {
	token := t.save(under("1", "user", ""))
	for from, got := range map[string]*oauthstore.OAuthToken{"SaveToken's argument": token, "FindTokenByID": t.byID("1")} {
		if !got.Expiry.IsZero() {
			t.Errorf("%s: got Expiry %v, want none", from, got.Expiry)
		}
	}
	want := t.save(full("other user"))
	t.save(&oauthstore.OAuthToken{ID: want.ID, Scope: "all"})
	if got := t.byID(want.ID); !got.Expiry.Equal(want.Expiry) {
		t.Errorf("after a save without Expiry: got Expiry %v, want %v", got.Expiry, want.Expiry)
	}
}

func valueExpiryRange(t *subject) {
	for _, expiry := range []time.Time{
		time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(1<<60, 0),
	} {
		token := under("1", "user", "")
		token.Expiry = expiry
		t.wantInvalid("SaveToken with Expiry "+expiry.String(), t.store.SaveToken(t.Context(), token), "Expiry")
	}
	t.wantStored()
}

// scribble changes all that a caller can change of a token.
func scribble(token *oauthstore.OAuthToken) {
	*token = oauthstore.OAuthToken{ID: "scribbled", UserName: "scribbled", AccessToken: hush + "scribbled", Expiry: time.Unix(1, 0)}
}

func valueOwned(t *subject) {
	want := literal(t.save(full("user")))
	scribble(t.byID(want.ID))
	t.wantSame("after the result of FindTokenByID is changed", t.byID(want.ID), want)
	scribble(t.find(&oauthstore.OAuthToken{UserName: "user"}))
	t.wantSame("after the result of FindToken is changed", t.byID(want.ID), want)
	all := t.all()
	for i := range all {
		scribble(all[i])
		all[i] = nil
	}
	t.wantStored(want)
}

func valueNotKept(t *subject) {
	token := full("user")
	t.save(token)
	want := literal(token)
	scribble(token)
	t.wantSame("after the argument of an insert is changed", t.byID(want.ID), want)

	update := &oauthstore.OAuthToken{ID: want.ID, Scope: "all"}
	t.save(update)
	scribble(update)
	want.Scope = "all"
	t.wantStored(want)

	partial := &oauthstore.OAuthToken{ID: want.ID}
	found := t.find(partial)
	scribble(partial)
	t.wantSame("what was found, after the argument of FindToken is changed", found, want)
}
