package awssm

import (
	"testing"

	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/internal/enginetest"
)

// Without the quota of versions: the store gets its tokens in a minute, not in months.
func TestGrowth(t *testing.T) {
	b := newBackend(t, awssmtest.WithVersionQuota(0))
	enginetest.RunGrowth(t, b, enginetest.Growth{Find: 1, Refresh: 2, Insert: 3, Delete: 3, Page: 1, Batch: 20})
}
