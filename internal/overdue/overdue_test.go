package overdue

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

func TestNew_wrapsAllButContexts(t *testing.T) {
	for _, end := range []error{context.DeadlineExceeded, context.Canceled} {
		err := New("no answer in 5s", fmt.Errorf("%w (%w)", end, &oauthstore.TokenError{ID: "1", Err: oauthstore.ErrThrottled}))
		require.ErrorIs(t, err, oauthstore.ErrUnavailable)
		require.ErrorIs(t, err, oauthstore.ErrThrottled)
		require.ErrorAs(t, err, new(*oauthstore.TokenError))
		require.NotErrorIs(t, err, end)
	}
}

func TestNew_namesTheClassOnce(t *testing.T) {
	err := New("gave up after 1m0s", New("no answer in 5s", context.DeadlineExceeded))
	require.EqualError(t, err, "gave up after 1m0s: oauthstore: service unavailable: no answer in 5s: context deadline exceeded")
}
