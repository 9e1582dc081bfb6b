package oauthstore_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/oauthstore/oauthstore"
)

func TestErrors_areApart(t *testing.T) {
	sentinels := []error{
		oauthstore.ErrTokenNotFound, oauthstore.ErrInvalidToken, oauthstore.ErrRecordTooLarge,
		oauthstore.ErrAccessDenied, oauthstore.ErrThrottled, oauthstore.ErrUnavailable,
	}
	for i, a := range sentinels {
		for j, b := range sentinels {
			assert.Equal(t, i == j, errors.Is(fmt.Errorf("save: %w", a), b), "errors.Is(%v, %v)", a, b)
		}
	}
}

func TestInvalidTokenError_isErrInvalidTokenOnly(t *testing.T) {
	err := error(&oauthstore.InvalidTokenError{Field: "ID", Reason: "is empty"})
	assert.Equal(t, "oauthstore: invalid token: ID: is empty", err.Error())
	assert.ErrorIs(t, err, oauthstore.ErrInvalidToken)
	assert.NotErrorIs(t, err, oauthstore.ErrTokenNotFound)
}

func TestNoSuchID_isInvalidAndNotFound(t *testing.T) {
	err := oauthstore.NoSuchID("is longer than 150 bytes")
	wantInvalid(t, err, "ID")
	assert.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
	assert.ErrorContains(t, err, "is longer than 150 bytes")
}

func TestCorruptRecordError_doesNotPrintWhatItWraps(t *testing.T) {
	cause := errors.New("cannot open " + secret)
	err := error(&oauthstore.CorruptRecordError{Secret: "oauth-t-x", Reason: "does not decrypt", Err: cause})
	assert.Equal(t, `oauthstore: corrupt record: secret "oauth-t-x": does not decrypt`, err.Error())
	assert.ErrorIs(t, err, cause)
	for _, verb := range []string{"%v", "%+v", "%s", "%q"} {
		assert.NotContains(t, fmt.Sprintf(verb, err), secret)
	}
}
