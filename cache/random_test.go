package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

// Whatever one process does through the cache, and whatever of it fails, finds are those of the store behind.
func TestRandom_findsAreThoseOfTheStore(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := newBackend()
		s := newCache(t, b, steady(WithMaxTokens(1+r.IntN(6)))...)
		for step := range 40 {
			fails := [...]string{"", "", "", "before", "after"}[r.IntN(5)]
			fail := func(context.Context, string) error { return errOutage }
			switch fails {
			case "before":
				b.on(fail, nil)
			case "after":
				b.on(nil, fail)
			}
			did := randomWrite(r, s, step)
			b.on(nil, nil)
			if r.IntN(2) == 0 {
				agree(t, s, b, fmt.Sprintf("seed %d, step %d, %s, failure %q", seed, step, did, fails))
			}
		}
	}
}

// randomWrite makes a write that may be refused, and says what it was.
func randomWrite(r *rand.Rand, s *Store, step int) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	token := &oauthstore.OAuthToken{
		ID:       pick("", "", "1", "2", "3"),
		UserName: pick("", "alice", "bob"),
		ClientID: pick("", "", "web", "mobile"),
	}
	if r.IntN(3) > 0 {
		token.AccessToken = fmt.Sprint("access ", step)
	}
	ctx := context.Background()
	switch r.IntN(10) {
	case 0:
		_ = s.DeleteToken(ctx, pick("1", "2", "3", oauthstore.DerivedID("alice", ""), oauthstore.DerivedID("bob", "")))
		return "DeleteToken"
	case 1:
		if r.IntN(4) == 0 {
			_ = s.DeleteTokens(ctx)
			return "DeleteTokens"
		}
		fallthrough
	case 2, 3:
		did := "UpdateToken of " + token.String()
		_ = s.UpdateToken(ctx, token)
		return did
	default:
		did := "SaveToken of " + token.String()
		_ = s.SaveToken(ctx, token)
		return did
	}
}

// Many write and read at once. Who reads after a write has returned reads it, or a later one.
func TestHammer_noFindIsOlderThanAWriteBeforeIt(t *testing.T) {
	const (
		users   = 3
		writers = 2 // of each user's token
		readers = 2 // of each user
		rounds  = 150
	)
	b := newBackend()
	yield := func(context.Context, string) error {
		for range rand.IntN(4) {
			runtime.Gosched()
		}
		return nil
	}
	b.on(yield, yield)
	// Refreshed at every find, with room for some of the tokens only.
	s := newCache(t, b, WithTTL(24*time.Hour), WithBackgroundRefresh(1), WithMaxTokens(users-1))

	// Each writer has a field of its own in the token, and counts up in it.
	fields := [writers]func(*oauthstore.OAuthToken) *string{
		func(t *oauthstore.OAuthToken) *string { return &t.Scope },
		func(t *oauthstore.OAuthToken) *string { return &t.APIDomain },
	}
	var written [users][writers]atomic.Int64
	var wg sync.WaitGroup
	for u := range users {
		id, name := fmt.Sprint("id ", u), fmt.Sprint("user ", u)
		save(t, s, token(id, name, "", "access"))
		finds := []func() (*oauthstore.OAuthToken, error){
			func() (*oauthstore.OAuthToken, error) { return s.FindTokenByID(context.Background(), id) },
			func() (*oauthstore.OAuthToken, error) { return s.FindToken(context.Background(), asUser(name, "")) },
			func() (*oauthstore.OAuthToken, error) {
				return s.FindToken(context.Background(), asUser(name, "web"))
			},
		}
		check := func() error {
			var floor [writers]int64
			for w := range writers {
				floor[w] = written[u][w].Load()
			}
			found, err := finds[rand.IntN(len(finds))]()
			if err != nil {
				return err
			}
			for w, field := range fields {
				var n int64
				if _, err := fmt.Sscan(*field(found), &n); err != nil && *field(found) != "" {
					return err
				}
				if n < floor[w] {
					return fmt.Errorf("%s, writer %d: a find returned %d after %d was written", name, w, n, floor[w])
				}
			}
			return nil
		}
		for w, field := range fields {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for n := range int64(rounds) {
					change := &oauthstore.OAuthToken{ID: id}
					if n%2 == 0 {
						change = asUser(name, "")
					}
					*field(change) = fmt.Sprint(n + 1)
					if err := s.SaveToken(context.Background(), change); err != nil {
						t.Error(err)
						return
					}
					written[u][w].Store(n + 1)
					if err := check(); err != nil {
						t.Error(err)
						return
					}
				}
			}()
		}
		for range readers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for range rounds * writers {
					if err := check(); err != nil {
						t.Error(err)
						return
					}
				}
			}()
		}
	}
	wg.Wait()
	require.NoError(t, s.Close(t.Context()))
}

// One token is saved, renamed and deleted by its writer while others read it by all names that it has.
func TestHammer_renamesAndDeletesAreSeenAtOnce(t *testing.T) {
	const rounds = 400
	b := newBackend()
	yield := func(context.Context, string) error { runtime.Gosched(); return nil }
	b.on(yield, yield)
	s := newCache(t, b, WithTTL(24*time.Hour), WithNegativeTTL(24*time.Hour), WithBackgroundRefresh(1))
	names := []string{"alice", "bob"}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, err := s.FindToken(context.Background(), []*oauthstore.OAuthToken{{ID: "1"}, asUser("alice", ""), asUser("bob", "")}[i])
				if err != nil && !errors.Is(err, oauthstore.ErrTokenNotFound) {
					t.Error(err)
					return
				}
			}
		}()
	}
	for n := range rounds {
		name, other := names[n%2], names[(n+1)%2]
		save(t, s, token("1", name, "", fmt.Sprint(n)))
		require.Equal(t, fmt.Sprint(n), accessByID(t, s, "1"))
		require.Equal(t, fmt.Sprint(n), access(t, s, asUser(name, "")))
		require.Empty(t, access(t, s, asUser(other, "")))
		if n%3 == 0 {
			require.NoError(t, s.DeleteToken(t.Context(), "1"))
			require.Empty(t, accessByID(t, s, "1"))
			require.Empty(t, access(t, s, asUser(name, "")))
		}
	}
	close(stop)
	wg.Wait()
}
