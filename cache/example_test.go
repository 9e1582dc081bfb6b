package cache_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/cache"
	"github.com/oauthstore/oauthstore/memory"
)

// In front of AWS Secrets Manager, the store is one of awssm.New: where a Lambda function is warm, the token is there.
func Example() {
	ctx := context.Background()
	store := memory.New()
	cached, err := cache.New(store,
		cache.WithTTL(5*time.Minute),
		cache.WithBackgroundRefresh(0), // a Lambda function is frozen between requests
	)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = cached.Close(ctx) }()

	err = cached.SaveToken(ctx, &oauthstore.OAuthToken{UserName: "alice", RefreshToken: "refresh-1", AccessToken: "access-1"})
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		token, err := cached.FindToken(ctx, &oauthstore.OAuthToken{UserName: "alice"})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(token.AccessToken)
	}
	stats := cached.Stats()
	fmt.Println(stats.Hits, "hits,", stats.Requests, "requests")
	// Output:
	// access-1
	// access-1
	// access-1
	// 3 hits, 0 requests
}
