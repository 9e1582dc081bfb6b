package cache

import (
	"testing"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
	"github.com/oauthstore/oauthstore/storetest"
)

func TestStore(t *testing.T) {
	for name, stack := range map[string]func(t *testing.T) oauthstore.TokenStore{
		"by default":     func(t *testing.T) oauthstore.TokenStore { return newCache(t, memory.New()) },
		"nothing ends":   func(t *testing.T) oauthstore.TokenStore { return newCache(t, memory.New(), steady()...) },
		"wrapped twice":  func(t *testing.T) oauthstore.TokenStore { return newCache(t, newCache(t, memory.New()), steady()...) },
		"one token":      func(t *testing.T) oauthstore.TokenStore { return newCache(t, memory.New(), WithMaxTokens(1)) },
		"no absences":    func(t *testing.T) oauthstore.TokenStore { return newCache(t, memory.New(), WithNegativeTTL(0)) },
		"always read":    func(t *testing.T) oauthstore.TokenStore { return newCache(t, memory.New(), WithTTL(1)) },
		"always refresh": func(t *testing.T) oauthstore.TokenStore { return newCache(t, memory.New(), WithBackgroundRefresh(1)) },
	} {
		t.Run(name, func(t *testing.T) { storetest.Run(t, stack) })
	}
}

func TestStore_closed(t *testing.T) {
	storetest.Run(t, func(t *testing.T) oauthstore.TokenStore {
		s := newCache(t, memory.New())
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s
	})
}
