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
	add := []func(r *oauthstore.RepairReport){
		func(r *oauthstore.RepairReport) { r.Unlisted = one },
		func(r *oauthstore.RepairReport) { r.Dead = one },
		func(r *oauthstore.RepairReport) { r.Unfinished = one },
		func(r *oauthstore.RepairReport) { r.Pages = one },
		func(r *oauthstore.RepairReport) { r.Expiring = one },
		func(r *oauthstore.RepairReport) { r.Conflicts = []oauthstore.RepairConflict{{ID: "x", OtherID: "y"}} },
		func(r *oauthstore.RepairReport) { r.Unreadable = []error{errors.New("denied")} },
	}
	for i := range add {
		for j := range add {
			var found oauthstore.RepairReport
			add[i](&found)
			add[j](&found)
			assert.False(t, found.Clean(), "%v", &found)
		}
	}
}

func TestRepairReport_Sort(t *testing.T) {
	ids := func() []string { return []string{"b", "a", "b"} }
	r := &oauthstore.RepairReport{
		Unlisted: ids(), Dead: ids(), Unfinished: ids(), Pages: ids(), Expiring: ids(),
		Conflicts: []oauthstore.RepairConflict{{ID: "b", OtherID: "c"}, {ID: "a", OtherID: "d"}, {ID: "a", OtherID: "b"}},
	}
	r.Sort()
	for _, sorted := range [][]string{r.Unlisted, r.Dead, r.Unfinished, r.Pages, r.Expiring} {
		assert.Equal(t, []string{"a", "b"}, sorted)
	}
	assert.Equal(t, []oauthstore.RepairConflict{{ID: "a", OtherID: "b"}, {ID: "a", OtherID: "d"}, {ID: "b", OtherID: "c"}}, r.Conflicts)
}
