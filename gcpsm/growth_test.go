package gcpsm

import (
	"testing"

	"github.com/oauthstore/oauthstore/internal/enginetest"
)

func TestGrowth(t *testing.T) {
	enginetest.RunGrowth(t, newBackend(t), enginetest.Growth{Find: 1, Refresh: 3, Insert: 5, Delete: 5, Page: 2, Batch: 1})
}
