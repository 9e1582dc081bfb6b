package memory_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
	"github.com/oauthstore/oauthstore/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) oauthstore.TokenStore { return memory.New() })
}

// Several users of one Store, which is the service and all its stores.
func TestStore_shared(t *testing.T) {
	storetest.RunShared(t, func(*testing.T) func() oauthstore.TokenStore {
		s := memory.New()
		return func() oauthstore.TokenStore { return s }
	})
}

func Example() {
	ctx := context.Background()
	var store oauthstore.TokenStore = memory.New()

	err := store.SaveToken(ctx, &oauthstore.OAuthToken{UserName: "alice", RefreshToken: "refresh", AccessToken: "access"})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := store.FindToken(ctx, &oauthstore.OAuthToken{UserName: "alice"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.AccessToken)
	// Output: access
}
