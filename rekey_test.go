package oauthstore_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/oauthstore/oauthstore"
)

func TestRekeyReport(t *testing.T) {
	r := &oauthstore.RekeyReport{Secrets: 5, Rekeyed: 3}
	assert.True(t, r.Done())
	r.Remaining = []string{"b", "a", "b"}
	r.Sort()
	assert.Equal(t, []string{"a", "b"}, r.Remaining)
	assert.False(t, r.Done())
	assert.Equal(t, "5 secrets: 3 written under the newest key, 2 still need an older one; 0 unreadable", r.String())
	assert.False(t, (&oauthstore.RekeyReport{Unreadable: []error{errors.New("of a key that could not be asked, perhaps")}}).Done())
}
