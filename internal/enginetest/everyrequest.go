package enginetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/testserver"
)

// Shown is the access token of the record that a driver returns, or absent.
func Shown(rec engine.Record, _ engine.Rev, err error) (string, error) {
	if err != nil || !rec.Live() {
		return "absent", err
	}
	return rec.Document.Get("access_token")
}

// A Played operation of a driver is one that RunEveryRequest lets fail.
type Played struct {
	// Play carries the operation out on a server of its own, with a failure of the request with the number at, and
	// returns the requests that it made and its result.
	Play func(at int, kind testserver.Kind) (ops []string, got string, err error)

	Want string // the result if nothing fails

	// Tolerated reports whether the request may fail in this way without an error, and the result then.
	Tolerated func(op string, kind testserver.Kind) (want string, ok bool)

	// Class has the requests whose failure has another class than its own.
	Class map[string]error

	// Blocked says that a failure may be engine.ErrBlocked instead, which is said of a secret that may not be looked at.
	Blocked bool
}

// RunEveryRequest demands of an operation that it says so, whichever of its requests fails, or does its work all the same.
func RunEveryRequest(t *testing.T, p Played) {
	ops, got, err := p.Play(0, testserver.None)
	require.NoError(t, err)
	require.Equal(t, p.Want, got)
	for at, op := range ops {
		for kind, class := range map[testserver.Kind]error{
			testserver.FailBefore: oauthstore.ErrUnavailable, testserver.FailAfter: oauthstore.ErrUnavailable,
			testserver.Throttle: oauthstore.ErrThrottled, testserver.Deny: oauthstore.ErrAccessDenied,
		} {
			_, got, err := p.Play(at, kind)
			what := fmt.Sprintf("%s, request %d, %v: got %q", op, at, kind, got)
			if want, ok := p.Tolerated(op, kind); ok && err == nil {
				require.Equal(t, want, got, what)
				continue
			}
			if other, ok := p.Class[op]; ok {
				class = other
			}
			require.Error(t, err, what)
			if !p.Blocked || !errors.Is(err, engine.ErrBlocked) {
				require.ErrorIs(t, err, class, what)
			}
		}
	}
}
