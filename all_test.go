package oauthstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

// listing is a store without Tokens whose GetTokens answers so.
type listing struct {
	oauthstore.TokenStore
	tokens []*token
	err    error
}

func (l listing) GetTokens(context.Context) ([]*token, error) { return l.tokens, l.err }

// unreadable is the error for so many corrupt records.
func unreadable(n int) *oauthstore.UnreadableTokensError {
	e := &oauthstore.UnreadableTokensError{}
	for i := range n {
		corrupt := &oauthstore.CorruptRecordError{Secret: fmt.Sprint("secret ", i), Reason: "not a JSON object"}
		e.Tokens = append(e.Tokens, &oauthstore.TokenError{ID: fmt.Sprint("corrupt ", i), Err: corrupt})
	}
	return e
}

// ranged is what AllTokens yields, until it has yielded limit times.
func ranged(store oauthstore.TokenStore, limit int) (ids []string, errs []error) {
	for tok, err := range oauthstore.AllTokens(context.Background(), store) {
		if err != nil {
			errs = append(errs, err)
		} else {
			ids = append(ids, tok.ID)
		}
		if limit--; limit == 0 {
			break
		}
	}
	return ids, errs
}

func TestAllTokens_ofAStoreWithoutTokens(t *testing.T) {
	tokens := []*token{{ID: "1"}, {ID: "2"}}

	ids, errs := ranged(listing{tokens: tokens}, -1)
	assert.Equal(t, []string{"1", "2"}, ids)
	assert.Empty(t, errs)
	ids, _ = ranged(listing{tokens: tokens}, 1)
	assert.Equal(t, []string{"1"}, ids, "the caller breaks it off")

	ids, errs = ranged(listing{err: oauthstore.ErrUnavailable}, -1)
	assert.Empty(t, ids)
	require.Len(t, errs, 1, "a store that fails is not an empty one")
	require.ErrorIs(t, errs[0], oauthstore.ErrUnavailable)
	assert.False(t, errors.As(errs[0], new(*oauthstore.TokenError)), "it is not about one token")
}

func TestAllTokens_goesOnAfterWhatCannotBeRead(t *testing.T) {
	store := listing{tokens: []*token{{ID: "1"}, {ID: "2"}}, err: fmt.Errorf("wrapped: %w", unreadable(2))}
	ids, errs := ranged(store, -1)
	assert.Equal(t, []string{"1", "2"}, ids)
	require.Len(t, errs, 2)
	for i, err := range errs {
		var one *oauthstore.TokenError
		require.ErrorAs(t, err, &one)
		assert.Equal(t, fmt.Sprint("corrupt ", i), one.ID)
	}
	_, errs = ranged(store, 3)
	assert.Len(t, errs, 1, "the caller breaks it off")
	ids, errs = ranged(listing{err: unreadable(1)}, -1)
	assert.Empty(t, ids)
	assert.Len(t, errs, 1)
}

func TestUnreadableTokensError(t *testing.T) {
	err := error(unreadable(1))
	assert.Equal(t, `oauthstore: 1 of the tokens cannot be read: "corrupt 0": oauthstore: corrupt record: secret "secret 0": not a JSON object`, err.Error())
	err = unreadable(1000)
	assert.Contains(t, err.Error(), "1000 of the tokens")
	assert.Contains(t, err.Error(), `; "corrupt 2": `)
	assert.Contains(t, err.Error(), "; and 997 more")
	assert.Less(t, len(err.Error()), 500, "its text is bounded")

	var corrupt *oauthstore.CorruptRecordError
	require.ErrorAs(t, err, &corrupt)
	assert.Equal(t, "secret 0", corrupt.Secret)
	var one *oauthstore.TokenError
	require.ErrorAs(t, err, &one)
	assert.Equal(t, "corrupt 0", one.ID)
	cause := errors.New("the key service's own")
	require.ErrorIs(t, &oauthstore.UnreadableTokensError{Tokens: []*oauthstore.TokenError{
		{ID: "a", Err: corrupt}, {ID: "b", Err: &oauthstore.CorruptRecordError{Err: cause}},
	}}, cause)
}
