package cache

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
)

func TestNew_refusesWhatMakesNoSenseAndNamesTheOption(t *testing.T) {
	for name, refused := range map[string][][]Option{
		"WithTTL":               {{WithTTL(0)}, {WithTTL(-1)}},
		"WithNegativeTTL":       {{WithNegativeTTL(-1)}, {WithNegativeTTL(61 * time.Second)}, {WithTTL(2), WithNegativeTTL(3)}},
		"WithMaxTokens":         {{WithMaxTokens(0)}, {WithMaxTokens(-1)}},
		"WithBackgroundRefresh": {{WithBackgroundRefresh(-1)}, {WithBackgroundRefresh(time.Minute)}, {WithBackgroundRefresh(2), WithTTL(2)}},
		"WithTimeout":           {{WithTimeout(0)}, {WithTimeout(-1)}},
		"WithObserver":          {{WithObserver(nil)}},
	} {
		for i, options := range refused {
			_, err := New(memory.New(), options...)
			require.Error(t, err, "%s, case %d", name, i)
			require.True(t, strings.HasPrefix(err.Error(), "cache: "+name+": "), "%s, case %d: the error does not name the option: %v", name, i, err)
		}
	}
}

func TestNew_refusesAStoreThatIsNil(t *testing.T) {
	for _, store := range []oauthstore.TokenStore{nil, (*memory.Store)(nil), (*Store)(nil)} {
		_, err := New(store)
		require.EqualError(t, err, "cache: the store is nil")
	}
}

func TestNew_ignoresNilOptions(t *testing.T) {
	_, err := New(memory.New(), nil, WithTTL(1), nil)
	require.NoError(t, err)
}

func TestNew_takesTheOutermostValues(t *testing.T) {
	for _, options := range [][]Option{
		nil,
		{WithTTL(1)}, // the defaults of the others follow
		{WithTTL(1), WithNegativeTTL(1), WithBackgroundRefresh(0), WithTimeout(1), WithMaxTokens(1)},
		{WithNegativeTTL(0), WithObserver(func(context.Context, Event) {})},
	} {
		_, err := New(memory.New(), options...)
		require.NoError(t, err)
	}
}
