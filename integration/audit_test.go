package integration

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/internal/enginetest"
)

// auditDocuments reads the secrets of a store, by name without prefix, as docs/layout.md describes them.
func auditDocuments(t *testing.T, documents map[string][]byte) enginetest.Audit {
	t.Helper()
	var a enginetest.Audit
	for name, document := range documents {
		var d struct {
			ID      string
			Deleted string
			Entries []struct{ ID string }
		}
		require.NoError(t, json.Unmarshal(document, &d), name)
		switch {
		case name == "index":
			for _, e := range d.Entries {
				a.Listed = append(a.Listed, e.ID)
			}
		case strings.HasPrefix(name, "token") && d.Deleted == "":
			a.Stored = append(a.Stored, d.ID)
		}
	}
	slices.Sort(a.Stored)
	slices.Sort(a.Listed)
	a.Listed = slices.Compact(a.Listed)
	return a
}
