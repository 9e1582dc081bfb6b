package cache

import (
	"context"
	"testing"

	"github.com/oauthstore/oauthstore"
)

func BenchmarkHit(b *testing.B) {
	store := newBackend()
	store.put(b, token("1", "alice", "web", "access"))
	s := newCache(b, store, steady()...)
	ctx, alice := context.Background(), asUser("alice", "web")
	for name, find := range map[string]func() (*oauthstore.OAuthToken, error){
		"ID":       func() (*oauthstore.OAuthToken, error) { return s.FindTokenByID(ctx, "1") },
		"UserName": func() (*oauthstore.OAuthToken, error) { return s.FindToken(ctx, alice) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := find(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"Parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := find(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
