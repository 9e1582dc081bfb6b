package oauthstore_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

// literal returns a token with the exported fields of tok: one that no store has returned.
func literal(tok oauthstore.OAuthToken) oauthstore.OAuthToken {
	return oauthstore.OAuthToken{
		ID: tok.ID, UserName: tok.UserName, ClientID: tok.ClientID, ClientSecret: tok.ClientSecret, RedirectURL: tok.RedirectURL,
		GrantToken: tok.GrantToken, RefreshToken: tok.RefreshToken, AccessToken: tok.AccessToken, TokenType: tok.TokenType,
		Scope: tok.Scope, APIDomain: tok.APIDomain, Extra: tok.Extra, Expiry: tok.Expiry,
	}
}

func TestLiteral_hasEveryExportedField(t *testing.T) {
	tok := secretive()
	v := reflect.ValueOf(literal(tok))
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.IsExported() && v.FieldByIndex(f.Index).IsZero() {
			t.Errorf("%s is not in secretive or not in literal, want it in both", f.Name)
		}
	}
}

// recordOf returns the record that an insert of tok makes.
func recordOf(t *testing.T, tok oauthstore.OAuthToken) *oauthstore.Record {
	t.Helper()
	r, err := oauthstore.NewRecord(&tok)
	require.NoError(t, err)
	return r
}

// set sets the string field of that name.
func set(tok *oauthstore.OAuthToken, field, value string) {
	reflect.ValueOf(tok).Elem().FieldByName(field).SetString(value)
}

// mergeable are the string fields that a save can change.
var mergeable = []string{
	"UserName", "ClientID", "ClientSecret", "RedirectURL", "GrantToken", "RefreshToken", "AccessToken", "TokenType", "Scope", "APIDomain", "Extra",
}

func TestNewRecord(t *testing.T) {
	t.Run("keeps every field", func(t *testing.T) {
		assert.Equal(t, secretive(), recordOf(t, secretive()).Token)
	})
	t.Run("keeps the expiry in milliseconds, as UTC", func(t *testing.T) {
		tok := secretive()
		tok.Expiry = time.Date(2040, 1, 2, 5, 4, 5, 6999999, time.FixedZone("", 7200))
		assert.Equal(t, time.Date(2040, 1, 2, 3, 4, 5, 6e6, time.UTC), recordOf(t, tok).Token.Expiry)
		tok.Expiry = time.Time{}
		assert.Equal(t, time.Time{}, recordOf(t, tok).Token.Expiry)
	})
	t.Run("leaves its argument alone", func(t *testing.T) {
		tok := secretive()
		recordOf(t, tok).Token.Scope = "other"
		assert.Equal(t, secretive(), tok)
	})
	t.Run("keeps the whole of a found token", func(t *testing.T) {
		found := recordOf(t, secretive()).Found(nil)
		assert.Equal(t, secretive(), recordOf(t, *found).Token)
	})
	t.Run("needs a token", func(t *testing.T) {
		_, err := oauthstore.NewRecord(&oauthstore.OAuthToken{ID: "1", UserName: "u", ClientID: "c", ClientSecret: "s"})
		wantInvalid(t, err, "RefreshToken")
		for _, field := range []string{"GrantToken", "RefreshToken", "AccessToken"} {
			assert.ErrorContains(t, err, field)
			var tok oauthstore.OAuthToken
			set(&tok, field, "x")
			recordOf(t, tok)
		}
	})
	t.Run("needs a valid one", func(t *testing.T) {
		_, err := oauthstore.NewRecord(nil)
		wantInvalid(t, err, "token")
		_, err = oauthstore.NewRecord(&oauthstore.OAuthToken{AccessToken: "\xff"})
		wantInvalid(t, err, "AccessToken")
	})
}

func TestRecord_Merge_setFieldsWinAndOthersStay(t *testing.T) {
	for _, field := range mergeable {
		t.Run(field, func(t *testing.T) {
			r := recordOf(t, secretive())
			var change oauthstore.OAuthToken
			set(&change, field, "new")
			want := secretive()
			set(&want, field, "new")

			merged, changed := r.Merge(&change)
			assert.True(t, changed)
			assert.Equal(t, want, merged.Token)
			assert.Equal(t, secretive(), r.Token, "the record itself")
		})
	}
	t.Run("Expiry", func(t *testing.T) {
		want := secretive()
		want.Expiry = want.Expiry.Add(time.Hour)
		merged, changed := recordOf(t, secretive()).Merge(&oauthstore.OAuthToken{Expiry: want.Expiry.In(time.Local).Add(time.Microsecond)})
		assert.True(t, changed)
		assert.Equal(t, want, merged.Token)
	})
	t.Run("ID", func(t *testing.T) {
		merged, changed := recordOf(t, secretive()).Merge(&oauthstore.OAuthToken{ID: "other"})
		assert.False(t, changed)
		assert.Equal(t, secretive(), merged.Token)
	})
}

func TestRecord_Merge_equalFieldsChangeNothing(t *testing.T) {
	r := recordOf(t, secretive())
	equal := secretive()
	later := oauthstore.OAuthToken{Expiry: equal.Expiry.Add(999 * time.Microsecond)} // equal once it is stored
	for what, tok := range map[string]*oauthstore.OAuthToken{
		"nothing set": {}, "all equal": &equal, "found": r.Found(nil), "an expiry that differs by less than a millisecond": &later,
	} {
		merged, changed := r.Merge(tok)
		assert.False(t, changed, what)
		assert.Equal(t, r, merged, what)
	}
}

func TestRecord_Merge_aStaleFieldDoesNotWin(t *testing.T) {
	for _, field := range mergeable {
		t.Run(field, func(t *testing.T) {
			r := recordOf(t, secretive())
			stale := r.Found(nil)
			var other oauthstore.OAuthToken
			set(&other, field, "newer")
			r, _ = r.Merge(&other)

			merged, changed := r.Merge(stale)
			assert.False(t, changed)
			assert.Equal(t, r.Token, merged.Token)

			changing := map[bool]string{true: "RedirectURL", false: "Scope"}[field == "Scope"]
			set(stale, changing, "changed")
			merged, changed = r.Merge(stale)
			want := r.Token
			set(&want, changing, "changed")
			assert.True(t, changed)
			assert.Equal(t, want, merged.Token)
		})
	}
	t.Run("Expiry", func(t *testing.T) {
		r := recordOf(t, secretive())
		stale := r.Found(nil)
		r, _ = r.Merge(&oauthstore.OAuthToken{Expiry: stale.Expiry.Add(time.Hour)})
		merged, changed := r.Merge(stale)
		assert.False(t, changed)
		assert.Equal(t, r.Token, merged.Token)
	})
	t.Run("a copy of a stale token is as stale", func(t *testing.T) {
		r := recordOf(t, secretive())
		stale := *r.Found(nil)
		r, _ = r.Merge(&oauthstore.OAuthToken{AccessToken: "newer"})
		_, changed := r.Merge(&stale)
		assert.False(t, changed)
	})
	t.Run("a literal is not", func(t *testing.T) {
		r := recordOf(t, secretive())
		late := literal(*r.Found(nil))
		r, _ = r.Merge(&oauthstore.OAuthToken{AccessToken: "newer"})
		merged, changed := r.Merge(&late)
		assert.True(t, changed)
		assert.Equal(t, secretive().AccessToken, merged.Token.AccessToken)
	})
}

// rotated returns a record whose refresh token was refresh 0, refresh 1, … and is refresh n.
func rotated(t *testing.T, n int) *oauthstore.Record {
	t.Helper()
	r := recordOf(t, oauthstore.OAuthToken{ID: "1", RefreshToken: "refresh 0"})
	for i := range n {
		r, _ = r.Merge(&oauthstore.OAuthToken{RefreshToken: fmt.Sprint("refresh ", i+1)})
	}
	require.Equal(t, fmt.Sprint("refresh ", n), r.Token.RefreshToken)
	return r
}

func TestRecord_Merge_aSupersededRefreshTokenStaysAway(t *testing.T) {
	const remembered = 4
	r := rotated(t, 6)
	require.Len(t, r.Superseded, remembered)
	for i := range 6 {
		merged, changed := r.Merge(&oauthstore.OAuthToken{RefreshToken: fmt.Sprint("refresh ", i), AccessToken: "access"})
		assert.True(t, changed, "the access token is new")
		assert.Equal(t, "access", merged.Token.AccessToken)
		if i >= 6-remembered {
			assert.Equal(t, "refresh 6", merged.Token.RefreshToken, "refresh %d is one of the last %d", i, remembered)
			assert.Equal(t, r.Superseded, merged.Superseded)
		} else {
			assert.Equal(t, fmt.Sprint("refresh ", i), merged.Token.RefreshToken, "refresh %d is forgotten", i)
		}
	}
	merged, changed := r.Merge(&oauthstore.OAuthToken{RefreshToken: "refresh 5"})
	assert.False(t, changed, "nothing but a superseded refresh token is set")
	assert.Equal(t, r, merged)
}

// refreshDigests are what a record keeps of "refresh 4" to "refresh 1", made without this package:
//
//	printf 'refresh 4' | openssl dgst -sha256 -binary | head -c 12 | base64 | tr +/ -_
var refreshDigests = []string{"9RgPToKP5eXjoMrq", "EIucXfE2JzYxd1AZ", "tbrAyxAlBkoGm2ao", "zNvUM5bspBJPmnvP"}

func TestRecord_Merge_remembersRefreshTokensByDigest(t *testing.T) {
	r := rotated(t, 5)
	assert.Equal(t, refreshDigests, r.Superseded, "newest first")

	first := recordOf(t, oauthstore.OAuthToken{AccessToken: "a"})
	first, _ = first.Merge(&oauthstore.OAuthToken{RefreshToken: "r"})
	assert.Empty(t, first.Superseded, "no refresh token has been superseded yet")
	same, _ := rotated(t, 1).Merge(&oauthstore.OAuthToken{RefreshToken: "refresh 1", Scope: "all"})
	assert.Len(t, same.Superseded, 1, "the refresh token stays the same")
}

func TestRecord_Merge_sharesNothing(t *testing.T) {
	r := rotated(t, 2)
	r.Unknown = map[string]json.RawMessage{"later": json.RawMessage(`"x"`)}
	merged, _ := r.Merge(&oauthstore.OAuthToken{Scope: "all"})
	assert.Equal(t, r.Unknown, merged.Unknown, "unknown fields survive")

	merged.Superseded[0], merged.Unknown["more"] = "changed", nil
	assert.Equal(t, rotated(t, 2).Superseded, r.Superseded)
	assert.Len(t, r.Unknown, 1)
}

func TestRecord_Merge_aTokenReadUnderAnotherIDCountsAsWritten(t *testing.T) {
	found := recordOf(t, secretive()).Found(nil)
	found.ID = "other"
	other := recordOf(t, oauthstore.OAuthToken{ID: "other", AccessToken: "a"})
	merged, changed := other.Merge(found)
	assert.True(t, changed)
	assert.Equal(t, literal(*found), literal(merged.Token))
}

func TestRecord_Merge_aDetachedTokenCountsAsWritten(t *testing.T) {
	mine, theirs := recordOf(t, secretive()), secretive()
	theirs.AccessToken = "newer"
	found := recordOf(t, theirs).Found(nil)
	_, changed := mine.Merge(found)
	assert.False(t, changed, "of a found token only what was changed since counts")
	detached := found.Detached()
	assert.Equal(t, literal(*found), literal(*detached))
	merged, changed := mine.Merge(detached)
	assert.True(t, changed)
	assert.Equal(t, "newer", merged.Token.AccessToken)
	_, changed = mine.Merge(found)
	assert.False(t, changed, "Detached has changed the token that it was made from")
}

func TestRecord_Replaced(t *testing.T) {
	first, second := recordOf(t, secretive()), recordOf(t, secretive())
	found := first.Found(nil)
	assert.False(t, first.Replaced(found))
	assert.True(t, second.Replaced(found), "another record has taken the id")
	merged, _ := first.Merge(&oauthstore.OAuthToken{Scope: "other"})
	assert.False(t, merged.Replaced(found), "the record has changed and is still the same")
	assert.False(t, second.Replaced(found.Detached()))
	tok := secretive()
	assert.False(t, second.Replaced(&tok), "a literal was read from nowhere")
	found.ID = "other"
	assert.False(t, recordOf(t, *found).Replaced(found), "it was read under another id")
}

func TestRecord_Found(t *testing.T) {
	r := recordOf(t, secretive())
	t.Run("is the record where nothing is set", func(t *testing.T) {
		assert.Equal(t, secretive(), literal(*r.Found(nil)))
		assert.Equal(t, secretive(), literal(*r.Found(&oauthstore.OAuthToken{})))
	})
	for _, field := range mergeable {
		t.Run("keeps a set "+field, func(t *testing.T) {
			var partial oauthstore.OAuthToken
			set(&partial, field, "set")
			want := secretive()
			set(&want, field, "set")
			found := r.Found(&partial)
			assert.Equal(t, want, literal(*found))

			merged, changed := r.Merge(found)
			assert.True(t, changed, "what the caller has set is saved")
			assert.Equal(t, want, merged.Token)
		})
	}
	t.Run("keeps a set expiry", func(t *testing.T) {
		expiry := time.Date(2041, 1, 1, 0, 0, 0, 0, time.UTC)
		assert.Equal(t, expiry, r.Found(&oauthstore.OAuthToken{Expiry: expiry}).Expiry)
	})
	t.Run("has the record's id", func(t *testing.T) {
		assert.Equal(t, "id-1", r.Found(&oauthstore.OAuthToken{UserName: "alice"}).ID)
	})
	t.Run("belongs to the caller", func(t *testing.T) {
		found := r.Found(nil)
		*found = oauthstore.OAuthToken{}
		assert.Equal(t, secretive(), r.Token)
	})
	t.Run("does not see later changes of the record", func(t *testing.T) {
		r := recordOf(t, secretive())
		found := r.Found(nil)
		r.Token.Scope = "changed in place"
		merged, changed := r.Merge(found)
		assert.False(t, changed)
		assert.Equal(t, "changed in place", merged.Token.Scope)
	})
}
