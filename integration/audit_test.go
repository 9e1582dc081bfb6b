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
		var d struct{ ID, Deleted string }
		require.NoError(t, json.Unmarshal(document, &d), name)
		if strings.HasPrefix(name, "token") && d.Deleted == "" {
			a.Stored = append(a.Stored, d.ID)
		}
	}
	a.Listed = enginetest.Listed(t, func(name string) (d map[string]json.RawMessage) {
		if document, ok := documents[name]; ok {
			require.NoError(t, json.Unmarshal(document, &d), name)
		}
		return d
	})
	slices.Sort(a.Stored)
	return a
}
