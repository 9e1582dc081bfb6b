package oauthstore_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

type token = oauthstore.OAuthToken

func TestRuleFor_takesTheFirstRuleThatApplies(t *testing.T) {
	for _, c := range []struct {
		want  oauthstore.Rule
		token token
	}{
		{oauthstore.RuleID, token{ID: "1"}},
		{oauthstore.RuleID, token{ID: "1", UserName: "u", AccessToken: "a", RefreshToken: "r", ClientID: "c", ClientSecret: "s"}},
		{oauthstore.RuleUserName, token{UserName: "u"}},
		{oauthstore.RuleUserName, token{UserName: "u", ClientID: "c", AccessToken: "a", RefreshToken: "r"}},
		{oauthstore.RuleAccessToken, token{AccessToken: "a"}},
		{oauthstore.RuleAccessToken, token{AccessToken: "a", RefreshToken: "r", GrantToken: "g"}},
		{oauthstore.RuleRefreshToken, token{RefreshToken: "r", ClientID: "c", ClientSecret: "s"}},
		{oauthstore.RuleRefreshToken, token{GrantToken: "g", ClientID: "c", ClientSecret: "s"}},
		{oauthstore.RuleRefreshToken, token{AccessToken: "a", GrantToken: "g", ClientID: "c", ClientSecret: "s"}},
		{oauthstore.RuleNone, token{}},
		{oauthstore.RuleNone, token{AccessToken: "a", ClientID: "c"}},
		{oauthstore.RuleNone, token{AccessToken: "a", ClientSecret: "s"}},
		{oauthstore.RuleNone, token{RefreshToken: "r", ClientID: "c"}},
		{oauthstore.RuleNone, token{GrantToken: "g", ClientSecret: "s"}},
		{oauthstore.RuleNone, token{ClientID: "c", ClientSecret: "s"}},
	} {
		assert.Equal(t, c.want, oauthstore.RuleFor(&c.token), "%v", c.token)
	}
}

func TestCheckFindable_namesWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		field string // empty where there is something to find the token by
		token token
	}{
		{"", token{ID: "1"}},
		{"", token{UserName: "u"}},
		{"", token{AccessToken: "a"}},
		{"", token{RefreshToken: "r", ClientID: "c", ClientSecret: "s"}},
		{"ID, UserName", token{}},
		{"ID, UserName", token{AccessToken: "a", ClientID: "c"}},
		{"ID, UserName", token{ClientID: "c", ClientSecret: "s"}},
		{"ClientID", token{RefreshToken: "r", ClientSecret: "s"}},
		{"ClientSecret", token{RefreshToken: "r", ClientID: "c"}},
		{"ClientSecret", token{GrantToken: "g", ClientID: "c"}},
	} {
		err := oauthstore.CheckFindable(&c.token)
		if c.field == "" {
			require.NoError(t, err, "%v", c.token)
			continue
		}
		wantInvalid(t, err, c.field)
	}
}

func TestMatch(t *testing.T) {
	derived := oauthstore.DerivedID("u", "")
	for _, c := range []struct {
		name   string
		token  token
		stored []token
		want   string // the id, empty for none
	}{
		{"nothing stored", token{ID: "1"}, nil, ""},
		{"nothing to go by", token{ClientID: "c"}, []token{{ID: "1", ClientID: "c"}}, ""},

		{"by id", token{ID: "2"}, []token{{ID: "1"}, {ID: "2"}}, "2"},
		{"by id, whatever the user", token{ID: "2", UserName: "u"}, []token{{ID: "1", UserName: "u"}, {ID: "2", UserName: "v"}}, "2"},
		{"an unknown id, though the user is known", token{ID: "3", UserName: "u"}, []token{{ID: "1", UserName: "u"}}, ""},
		{"ids are not folded", token{ID: "a"}, []token{{ID: "A"}}, ""},

		{"by user name", token{UserName: "u"}, []token{{ID: "1", UserName: "v"}, {ID: "2", UserName: "u"}}, "2"},
		{"an unknown user, though the access token is known", token{UserName: "u", AccessToken: "a"}, []token{{ID: "1", AccessToken: "a"}}, ""},
		{"user and client", token{UserName: "u", ClientID: "c"}, []token{{ID: "1", UserName: "u", ClientID: "c"}}, "1"},
		{"user with another client", token{UserName: "u", ClientID: "c"}, []token{{ID: "1", UserName: "u", ClientID: "d"}}, ""},
		{"user whose record has no client", token{UserName: "u", ClientID: "c"}, []token{{ID: "1", UserName: "u"}}, "1"},
		{"user given without client", token{UserName: "u"}, []token{{ID: "1", UserName: "u", ClientID: "c"}}, "1"},
		{
			"the same client before none", token{UserName: "u", ClientID: "c"},
			[]token{{ID: "1", UserName: "u"}, {ID: "2", UserName: "u", ClientID: "c"}, {ID: derived, UserName: "u", ClientID: "d"}}, "2",
		},
		{
			"no client before the derived id", token{UserName: "u"},
			[]token{{ID: derived, UserName: "u", ClientID: "c"}, {ID: "z", UserName: "u"}, {ID: "a", UserName: "u", ClientID: "d"}}, "z",
		},
		{
			"the derived id before the smallest", token{UserName: "u"},
			[]token{{ID: "1", UserName: "u", ClientID: "c"}, {ID: derived, UserName: "u", ClientID: "d"}}, derived,
		},
		{
			"the smallest id", token{UserName: "u"},
			[]token{{ID: "2", UserName: "u", ClientID: "c"}, {ID: "1", UserName: "u", ClientID: "d"}, {ID: "3", UserName: "u", ClientID: "e"}}, "1",
		},
		{
			"the derived id is no answer to another client", token{UserName: "u", ClientID: "c"},
			[]token{{ID: derived, UserName: "u", ClientID: "d"}}, "",
		},
		{
			"the derived id of a renamed user", token{UserName: "u"},
			[]token{{ID: derived, UserName: "renamed"}}, "",
		},

		{"by access token", token{AccessToken: "a"}, []token{{ID: "1", AccessToken: "b"}, {ID: "2", AccessToken: "a", ClientID: "c"}}, "2"},
		{"by access token, the smallest id", token{AccessToken: "a"}, []token{{ID: "2", AccessToken: "a"}, {ID: "1", AccessToken: "a"}}, "1"},
		{"by access token, not by refresh token", token{AccessToken: "a", RefreshToken: "r"}, []token{{ID: "1", RefreshToken: "r"}}, ""},
		{"not by access token with a client", token{AccessToken: "a", ClientID: "c"}, []token{{ID: "1", AccessToken: "a", ClientID: "c"}}, ""},

		{
			"by grant token", token{GrantToken: "g", ClientID: "c", ClientSecret: "s"},
			[]token{{ID: "1", ClientID: "c"}, {ID: "2", GrantToken: "g", ClientID: "c"}}, "2",
		},
		{
			"by refresh token", token{RefreshToken: "r", ClientID: "c", ClientSecret: "s"},
			[]token{{ID: "1", ClientID: "c"}, {ID: "2", RefreshToken: "r", ClientID: "c"}}, "2",
		},
		{
			"by access token, several", token{AccessToken: "a"},
			[]token{{ID: "3", AccessToken: "a"}, {ID: "2", AccessToken: "a", ClientID: "c"}, {ID: "1", AccessToken: "x"}}, "2",
		},
		{
			"by refresh token, several", token{RefreshToken: "r", ClientID: "c", ClientSecret: "s"},
			[]token{{ID: "3", RefreshToken: "r", ClientID: "c"}, {ID: "2", RefreshToken: "r", ClientID: "c"}, {ID: "1", RefreshToken: "r"}}, "2",
		},
		{
			"by grant token, several", token{GrantToken: "g", ClientID: "c", ClientSecret: "s"},
			[]token{{ID: "3", GrantToken: "g", ClientID: "c"}, {ID: "2", GrantToken: "g", ClientID: "c"}}, "2",
		},
		{
			"grant token before refresh token", token{GrantToken: "g", RefreshToken: "r", ClientID: "c", ClientSecret: "s"},
			[]token{{ID: "1", RefreshToken: "r", ClientID: "c"}, {ID: "2", GrantToken: "g", ClientID: "c"}}, "2",
		},
		{
			"refresh token where the grant token is unknown", token{GrantToken: "g", RefreshToken: "r", ClientID: "c", ClientSecret: "s"},
			[]token{{ID: "1", RefreshToken: "r", ClientID: "c"}, {ID: "2", GrantToken: "h", ClientID: "c"}}, "1",
		},
		{
			"refresh token of another client", token{RefreshToken: "r", ClientID: "c", ClientSecret: "s"},
			[]token{{ID: "1", RefreshToken: "r", ClientID: "d"}, {ID: "2", RefreshToken: "r"}}, "",
		},
		{
			"refresh token with another secret", token{RefreshToken: "r", ClientID: "c", ClientSecret: "s"},
			[]token{{ID: "1", RefreshToken: "r", ClientID: "c", ClientSecret: "t"}}, "1",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			stored := pointers(c.stored)
			for range 2 {
				got := ""
				if found := oauthstore.Match(&c.token, stored); found != nil {
					got = found.ID
				}
				assert.Equal(t, c.want, got, "Match(%v)", c.token)
				slices.Reverse(stored) // the order does not matter
			}
		})
	}
}

func TestMatchSaved(t *testing.T) {
	var records []*oauthstore.Record // each has had another refresh token first
	for _, tok := range []token{
		{ID: "1", ClientID: "other", RefreshToken: "r"}, {ID: "2", ClientID: "c", RefreshToken: "r2"},
		{ID: "3", ClientID: "c", RefreshToken: "r3"}, {ID: "4", ClientID: "c", RefreshToken: "r4"},
	} {
		first := tok
		first.RefreshToken = "former"
		if tok.ID == "4" {
			first.RefreshToken = "former of 4"
		}
		r, err := oauthstore.NewRecord(&first)
		require.NoError(t, err)
		r, _ = r.Merge(&tok)
		records = append(records, r)
	}
	for _, c := range []struct {
		name  string
		token token
		want  string // the id, empty for none
	}{
		{"the refresh token that a record has", token{RefreshToken: "r3", ClientID: "c", ClientSecret: "s"}, "3"},
		{"one that it has had", token{RefreshToken: "former of 4", ClientID: "c", ClientSecret: "s"}, "4"},
		{"one that several have had, the client's", token{RefreshToken: "former", ClientID: "c", ClientSecret: "s"}, "2"},
		{"one that another client has had", token{RefreshToken: "former of 4", ClientID: "other", ClientSecret: "s"}, ""},
		{"one that none has had", token{RefreshToken: "unknown", ClientID: "c", ClientSecret: "s"}, ""},
		{"no refresh token", token{GrantToken: "former", ClientID: "c", ClientSecret: "s"}, ""},
		{"by another rule", token{UserName: "u", RefreshToken: "former", ClientID: "c", ClientSecret: "s"}, ""},
		{"without client secret", token{RefreshToken: "former", ClientID: "c"}, ""},
		{"by id", token{ID: "3", RefreshToken: "former", ClientID: "c", ClientSecret: "s"}, "3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 {
				got := ""
				if found := oauthstore.MatchSaved(&c.token, records); found != nil {
					got = found.Token.ID
				}
				assert.Equal(t, c.want, got)
				slices.Reverse(records) // the order does not matter
			}
		})
	}
	now := &oauthstore.Record{Token: token{ID: "9", ClientID: "c", RefreshToken: "former"}}
	assert.Same(t, now, oauthstore.MatchSaved(&token{RefreshToken: "former", ClientID: "c", ClientSecret: "s"}, append(records, now)),
		"a record that has the token counts before those that have had it")
}

func pointers(tokens []token) []*token {
	var list []*token
	for i := range tokens {
		list = append(list, &tokens[i])
	}
	return list
}

func TestCheckConflict(t *testing.T) {
	stored := pointers([]token{{ID: "1", UserName: "u", ClientID: "c"}, {ID: "2", UserName: "u"}, {ID: "3"}, {ID: "4", ClientID: "c"}})
	for _, c := range []struct {
		name  string
		token token
		want  string // the id in conflict, empty for none
	}{
		{"itself", token{ID: "1", UserName: "u", ClientID: "c"}, ""},
		{"the same user and client", token{ID: "9", UserName: "u", ClientID: "c"}, "1"},
		{"the same user without client", token{ID: "9", UserName: "u"}, "2"},
		{"without an id of its own", token{UserName: "u"}, "2"},
		{"another client", token{ID: "9", UserName: "u", ClientID: "d"}, ""},
		{"another user", token{ID: "9", UserName: "v", ClientID: "c"}, ""},
		{"no user", token{ID: "9", ClientID: "c"}, ""},
		{"neither", token{ID: "9"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := oauthstore.CheckConflict(&c.token, stored)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			var conflict *oauthstore.ConflictError
			require.ErrorAs(t, err, &conflict)
			assert.Equal(t, c.want, conflict.ID)
			assert.Equal(t, `oauthstore: conflict: id "`+c.want+`" holds this user name and client id`, err.Error())
		})
	}
}

func TestSameUser(t *testing.T) {
	assert.True(t, oauthstore.SameUser(&token{UserName: "u", ClientID: "c"}, &token{UserName: "u", ClientID: "c", ID: "1"}))
	assert.True(t, oauthstore.SameUser(&token{UserName: "u"}, &token{UserName: "u"}))
	assert.False(t, oauthstore.SameUser(&token{UserName: "u", ClientID: "c"}, &token{UserName: "u"}))
	assert.False(t, oauthstore.SameUser(&token{UserName: "u"}, &token{UserName: "U"}))
	assert.False(t, oauthstore.SameUser(&token{}, &token{}))
}
