package storetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/oauthstore/oauthstore"
)

var nameChecks = []check{
	{"ids are kept apart whatever characters they hold", func(t *subject) { nameIDs(t, hostile) }},
	{"ids are kept apart whatever they look like", func(t *subject) { nameIDs(t, hostileIDs) }},
	{"user names are kept apart whatever characters they hold", nameUsers},
	{"client ids are kept apart whatever characters they hold", nameClients},
	{"ids that are keys of two fields run together are kept apart", nameRunTogether},
	{"an id that is too long is refused, or works", nameLongIDs},
	{"a user name of 300 characters works", nameLongUsers},
}

// hostile are names that a store which cleans them, or puts them into a path, a pattern or a query
// as they are, takes for one another, or for something else.
var hostile = []string{
	// Paths and what becomes of them when they are cleaned.
	"../x", "x", "a/b", "a//b", "a/./b", "a/b/", "/a/b", "/", "..", `a\b`,
	// What stands for "/" or for an odd character where names are sanitised.
	"a_b", "a-b", "a.b", "a b", "ab", "a%2Fb", "_", "-",
	// Escapes, patterns and queries.
	"%2e%2e", "%s%d%v", "*", "?", "a?b=c", "a#b", "' or 1=1 --", `"quoted"`,
	// Space and control characters.
	" x", "x ", "x\n", "a\x00b",
	// Letters of one look, and normal forms of one letter.
	"\u00e9", "e\u0301", "\u0456", "i", "\u202ex", "\ufffd", "\U0001F511",
	// Case.
	"Alice", "alice", "ALICE",
}

// hostileIDs are more of them, for what becomes the name of a secret, a file or a row.
var hostileIDs = []string{
	"//", ".", "...", "a/../b", `C:\x`,
	"a+b", "a:b", "a@b", "a%2fb", "a~1b", "--", "__",
	"%", "%%", "%2e%2e%2fx", "%00", "+", "#", "[a-z]", "{{.}}", "$(id)", "`", "<a>&amp;", ",", ";", "=", "|", "~",
	"x  ", "\nx", "x\r\n", "x\t", "\x00", "\x1b[31m", "\x7f",
	"\u212b", "\u00c5", "A\u030a", "\ufb01", "fi", "stra\u00dfe", "strasse", "\u0130", "\u200bx", "\ufeffx", "x\u2028", "日本語",
	// What a store may use for itself, and what a service puts after a name.
	"index", "index-0", "root", "lock", "latest", "data", "metadata", "t-x", "i-x",
	"app", "app-AbCdEf", "app-AbCdEg", "app-AbCdEf-AbCdEf", "projects/p/secrets/s/versions/1",
	"null", "true", "0", "1", "01", "1e3", "u", "r", "c",
	// As long as an id may be in every store.
	strings.Repeat("\u00e9", 50),
}

func nameIDs(t *subject, names []string) {
	want := make(map[string]*oauthstore.OAuthToken)
	for i, id := range names {
		token := &oauthstore.OAuthToken{ID: id, AccessToken: fmt.Sprint(hush, "access ", i)}
		t.save(token)
		t.wantID(token, id)
		want[id] = token
	}
	for id, token := range want {
		t.wantSame(fmt.Sprintf("FindTokenByID(%q)", id), t.byID(id), token)
	}
	t.wantExactly(want)
	for i, id := range names {
		if i%3 == 0 {
			t.delete(id)
			delete(want, id)
			t.wantNoID(id)
		}
	}
	t.wantExactly(want)
}

// wantExactly demands that GetTokens returns these tokens and nothing else.
func (t *subject) wantExactly(want map[string]*oauthstore.OAuthToken) {
	t.Helper()
	sorted := slices.Collect(maps.Values(want))
	slices.SortFunc(sorted, func(a, b *oauthstore.OAuthToken) int { return strings.Compare(a.ID, b.ID) })
	t.wantStored(sorted...)
}

func nameUsers(t *subject) {
	want := make(map[string]*oauthstore.OAuthToken)
	for i, name := range hostile {
		token := t.save(&oauthstore.OAuthToken{UserName: name, AccessToken: fmt.Sprint(hush, "access ", i)})
		t.wantID(token, oauthstore.DerivedID(name, ""))
		want[token.ID] = token
	}
	for _, token := range want {
		t.wantSame("FindToken", t.find(&oauthstore.OAuthToken{UserName: token.UserName}), token)
	}
	t.wantExactly(want)
}

func nameClients(t *subject) {
	clients := []string{"a/b", "a_b", "a-b", "A-B", "a b", "a%2Fb", "é", "e\u0301", "' or 1=1 --", "*", "a\x00b", "../x"}
	for i, client := range clients {
		t.save(&oauthstore.OAuthToken{UserName: "user", ClientID: client, AccessToken: fmt.Sprint(hush, "access ", i)})
	}
	for i, client := range clients {
		got := t.find(&oauthstore.OAuthToken{UserName: "user", ClientID: client})
		if want := fmt.Sprint(hush, "access ", i); got.AccessToken != want {
			t.Errorf("FindToken with client id %q: got access token %q, want %q", client, got.AccessToken, want)
		}
	}
	if n := len(t.all()); n != len(clients) {
		t.Errorf("GetTokens: got %d tokens, want %d", n, len(clients))
	}
}

func nameRunTogether(t *subject) {
	pairs := [][2]string{{"a", "bc"}, {"ab", "c"}, {"a-b", "c"}, {"a", "b-c"}, {"a/b", "c"}, {"a", "b/c"}, {"a\x00b", "c"}, {"a", "b\x00c"}}
	for i, p := range pairs {
		for n := range 2 { // the second client's record has the id that is derived from both
			t.save(&oauthstore.OAuthToken{UserName: p[0], ClientID: p[1] + strings.Repeat(" 2", n), AccessToken: fmt.Sprint(hush, i, " ", n)})
		}
	}
	for i, p := range pairs {
		got := t.find(&oauthstore.OAuthToken{UserName: p[0], ClientID: p[1]})
		if want := fmt.Sprint(hush, i, " ", 0); got.AccessToken != want {
			t.Errorf("FindToken(user %q, client %q): got access token %q, want %q", p[0], p[1], got.AccessToken, want)
		}
	}
	if n := len(t.all()); n != 2*len(pairs) {
		t.Errorf("GetTokens: got %d tokens, want %d", n, 2*len(pairs))
	}
}

func nameLongIDs(t *subject) {
	for _, id := range []string{
		strings.Repeat("a", 300),
		strings.Repeat("a", 299) + "b", // where a store cuts, these two are one
		strings.Repeat("/", 100),
		strings.Repeat("\U0001F511", 300),
		strings.Repeat("a", 5000),
	} {
		token := full("user")
		token.ID = id
		before := t.all()
		err := t.store.SaveToken(t.Context(), token)
		if err != nil {
			t.wantInvalid(fmt.Sprintf("SaveToken with an id of %d bytes", len(id)), err, "ID")
			t.wantStored(before...)
			t.wantNoID(id)
			t.wantNotFound(&oauthstore.OAuthToken{ID: id})
			t.wantError("DeleteToken of a refused id", t.store.DeleteToken(t.Context(), id), oauthstore.ErrTokenNotFound)
			continue
		}
		t.wantSame("FindTokenByID", t.byID(id), token)
		t.wantFound(&oauthstore.OAuthToken{UserName: "user"}, id)
		t.wantStored(token)
		t.save(&oauthstore.OAuthToken{ID: id, Scope: "all"})
		token.Scope = "all"
		t.wantStored(token)
		t.delete(id)
		t.wantNoID(id)
		t.wantStored()
	}
}

func nameLongUsers(t *subject) {
	long := strings.Repeat("n", 299)
	a, b := t.save(full(long+"a")), t.save(full(long+"b"))
	c := t.save(full(strings.Repeat("\U0001F511", 300)))
	for _, want := range []*oauthstore.OAuthToken{a, b, c} {
		t.wantSame("FindToken", t.find(&oauthstore.OAuthToken{UserName: want.UserName}), want)
	}
	if n := len(t.all()); n != 3 {
		t.Errorf("GetTokens: got %d tokens, want 3", n)
	}
}
