package oauthstore_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
)

func TestCheckSavable(t *testing.T) {
	for _, tok := range []token{
		{ID: "1"}, {ID: "1", Scope: "s"}, {UserName: "u"}, {AccessToken: "a"}, {RefreshToken: "r"}, {AccessToken: "a", ClientID: "c"},
	} {
		assert.NoError(t, oauthstore.CheckSavable(&tok), "%v", tok)
	}
	wantInvalid(t, oauthstore.CheckSavable(nil), "token")
	wantInvalid(t, oauthstore.CheckSavable(&token{ID: "1", Extra: "x"}), "Extra")
	for _, tok := range []token{{}, {ClientID: "c", ClientSecret: "s"}, {Scope: "s"}} {
		wantInvalid(t, oauthstore.CheckSavable(&tok), "RefreshToken")
	}
}

func TestCheckSize_countsWhatASaveSets(t *testing.T) {
	tok := &token{ID: "an id is not counted", UserName: "12345", Scope: "123"}
	require.NoError(t, oauthstore.CheckSize(tok, 8))
	err := oauthstore.CheckSize(tok, 7)
	require.ErrorIs(t, err, oauthstore.ErrRecordTooLarge)
	assert.Equal(t, "oauthstore: record too large: UserName has 5 bytes, all fields together 8, and 7 fit", err.Error())

	r, err := oauthstore.NewRecord(&token{ID: "1", AccessToken: strings.Repeat("a", 100)})
	require.NoError(t, err)
	found := r.Found(nil)
	require.NoError(t, oauthstore.CheckSize(found, 10), "what was read is not set")
	found.RefreshToken = "12345678901"
	require.ErrorIs(t, oauthstore.CheckSize(found, 10), oauthstore.ErrRecordTooLarge)
	require.ErrorIs(t, oauthstore.CheckSize(found.Detached(), 100), oauthstore.ErrRecordTooLarge)
}

func TestCheckToken_asksTheStoreIfItCanTell(t *testing.T) {
	large := &token{UserName: strings.Repeat("n", 20)}
	require.NoError(t, oauthstore.CheckToken(memory.New(), large))
	wantInvalid(t, oauthstore.CheckToken(memory.New(), &token{}), "RefreshToken")
	require.ErrorIs(t, oauthstore.CheckToken(limited{memory.New()}, large), oauthstore.ErrRecordTooLarge)
}

type limited struct{ oauthstore.TokenStore }

func (limited) CheckToken(token *oauthstore.OAuthToken) error { return oauthstore.CheckSize(token, 10) }
