package oauthstore_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/oauthstore/oauthstore"
)

func TestRepairReport_Clean(t *testing.T) {
	assert.True(t, (&oauthstore.RepairReport{Tokens: 5}).Clean())
	one := []string{"x"}
	for _, found := range []oauthstore.RepairReport{
		{Unlisted: one}, {Dead: one}, {Unfinished: one}, {Pages: one}, {Expiring: one},
		{Conflicts: []oauthstore.RepairConflict{{ID: "x", OtherID: "y"}}}, {Unreadable: []error{errors.New("denied")}},
		{Dead: one, Pages: one},
	} {
		assert.False(t, found.Clean(), "%v", &found)
	}
}
