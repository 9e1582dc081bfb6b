package gcpsm

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
)

// A global secret takes two versions a second, and the index is one. The processes have nothing in common.
func TestSaveToken_fewProcessesAtOnceWaitForTheQuotaOfTheIndex(t *testing.T) {
	b := newBackend(t, gcpsmtest.WithQuotas())
	var wg sync.WaitGroup
	for i := range 4 {
		s := b.NewStore(t)
		wg.Add(1)
		go func() {
			defer wg.Done()
			token := &oauthstore.OAuthToken{UserName: fmt.Sprint("user", i), RefreshToken: "r"}
			assert.NoError(t, s.SaveToken(context.Background(), token))
		}()
	}
	wg.Wait()
	tokens, err := b.NewStore(t).GetTokens(context.Background())
	assert.NoError(t, err)
	assert.Len(t, tokens, 4)
}
