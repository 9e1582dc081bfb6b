package storetest

import (
	"fmt"
	"slices"

	"github.com/oauthstore/oauthstore"
)

var getChecks = []check{
	{"an empty store has an empty slice", getEmpty},
	{"every token, whole, ordered by id", getOrdered},
	{"what was last saved", getLatest},
	{"a hundred tokens", getMany},
}

func getEmpty(t *subject) {
	got, err := t.store.GetTokens(t.Context())
	if err != nil || got == nil || len(got) != 0 {
		t.Errorf("GetTokens: got %#v, %v, want an empty slice", got, err)
	}
	t.save(under("1", "user", ""))
	t.delete("1")
	if got := t.all(); len(got) != 0 {
		t.Errorf("GetTokens after the only token is deleted: got %q, want none", ids(got))
	}
}

func getOrdered(t *subject) {
	want := make(map[string]*oauthstore.OAuthToken)
	for _, id := range []string{"b", "a", "B", "_", "-", "10", "9", "é", "z", "ab", "a-", ""} {
		token := full("user " + id)
		token.ID = id
		t.save(token)
		want[token.ID] = token
	}
	t.wantExactly(want)
}

func getLatest(t *subject) {
	a, b := t.save(under("a", "user a", "")), t.save(under("b", "user b", ""))
	t.save(&oauthstore.OAuthToken{ID: "a", UserName: "user c", Scope: "all"})
	t.save(&oauthstore.OAuthToken{ID: "b", AccessToken: hush + "second"})
	a.UserName, a.Scope, b.AccessToken = "user c", "all", hush+"second"
	t.wantStored(a, b)
}

func getMany(t *subject) {
	const workers, each = 4, 25
	t.together(workers, func(i int) error {
		for n := range each {
			token := full(fmt.Sprintf("user %d of %d", n, i))
			if err := patiently(func() error { return t.store.SaveToken(t.Context(), token) }); err != nil {
				return err
			}
		}
		return nil
	})
	got := t.all()
	if len(got) != workers*each {
		t.Errorf("GetTokens: got %d tokens, want %d", len(got), workers*each)
	}
	if !slices.IsSorted(ids(got)) {
		t.Errorf("GetTokens: got the ids %q, want them in order", ids(got))
	}
	for _, token := range got {
		want := full(token.UserName)
		want.ID = oauthstore.DerivedID(token.UserName, "")
		t.wantSame("one of GetTokens", token, want)
	}
}
