package enginetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/testserver"
)

// BenchFind measures finds beside bare, which reads and unmarshals the secret of the token with this id by
// the service's own client, the two in turn on one server; the ratio is what the store adds.
func BenchFind(b *testing.B, s oauthstore.TokenStore, bare func(id string) error) {
	ctx := context.Background()
	token := &oauthstore.OAuthToken{UserName: "alice", ClientID: "client", RefreshToken: "refresh", AccessToken: "access"}
	if err := s.SaveToken(ctx, token); err != nil {
		b.Fatal(err)
	}
	finds := map[string]func() error{
		"FindTokenByID": func() error { _, err := s.FindTokenByID(ctx, token.ID); return err },
		"FindToken":     func() error { _, err := s.FindToken(ctx, &oauthstore.OAuthToken{UserName: "alice"}); return err },
	}
	for name, find := range finds {
		b.Run(name, func(b *testing.B) {
			var ours, theirs time.Duration
			for range b.N {
				ours += timed(b, find)
				theirs += timed(b, func() error { return bare(token.ID) })
			}
			b.ReportMetric(float64(ours)/float64(theirs), "ratio")
		})
	}
}

func timed(b *testing.B, do func() error) time.Duration {
	start := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// BenchGetTokens lists a thousand tokens where every request takes 5 ms.
func BenchGetTokens(b *testing.B, s oauthstore.TokenStore, server *testserver.Control) {
	ctx := context.Background()
	const tokens = 1000
	for i := range tokens {
		if err := s.SaveToken(ctx, &oauthstore.OAuthToken{ID: fmt.Sprint(i), AccessToken: fmt.Sprint("access", i)}); err != nil {
			b.Fatal(err)
		}
	}
	server.SetLatency(5 * time.Millisecond)
	b.ResetTimer()
	for range b.N {
		all, err := s.GetTokens(ctx)
		if err != nil || len(all) != tokens {
			b.Fatal(len(all), err)
		}
	}
}
