package vault

import (
	"testing"

	"github.com/oauthstore/oauthstore/internal/enginetest"
)

// The first call of a store that finds nothing looks the mount up. The first write reads its configuration.
func TestGrowth(t *testing.T) {
	enginetest.RunGrowth(t, newBackend(t), enginetest.Growth{Find: 1, Refresh: 2, Insert: 4, Delete: 4, First: 1, Write: 1, Page: 1, Batch: 1})
}
