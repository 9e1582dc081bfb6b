package cache

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

// othersWrites are writes of tokens other than alice's, 1: they fail or not.
func othersWrites() map[string]func(ctx context.Context, s *Store) error {
	saving := func(token oauthstore.OAuthToken) func(ctx context.Context, s *Store) error {
		return func(ctx context.Context, s *Store) error { own := token; return s.SaveToken(ctx, &own) }
	}
	return map[string]func(ctx context.Context, s *Store) error{
		"an insert or a rename":   saving(token("2", "bob", "web", "bob's")),
		"a save by user name":     saving(oauthstore.OAuthToken{UserName: "bob", AccessToken: "bob's"}),
		"a save by id":            saving(oauthstore.OAuthToken{ID: "2", AccessToken: "bob's"}),
		"a save with a client id": saving(oauthstore.OAuthToken{ID: "2", ClientID: "web", AccessToken: "bob's"}),
		"a record without user":   saving(oauthstore.OAuthToken{AccessToken: "nobody's", ClientID: "web"}),
		"an update": func(ctx context.Context, s *Store) error {
			return s.UpdateToken(ctx, &oauthstore.OAuthToken{ID: "2", AccessToken: "bob's"})
		},
		"of a copy that was found": func(ctx context.Context, s *Store) error {
			found, err := s.FindTokenByID(ctx, "2")
			if err != nil {
				return err
			}
			found.AccessToken = "bob's"
			return s.SaveToken(ctx, found)
		},
		"a delete": func(ctx context.Context, s *Store) error { return s.DeleteToken(ctx, "2") },
		"a conflict": saving(oauthstore.OAuthToken{
			ID: "3", UserName: "bob", ClientID: "web", AccessToken: "another's",
		}),
		"nothing to be found": func(ctx context.Context, s *Store) error {
			return s.UpdateToken(ctx, &oauthstore.OAuthToken{ID: "4", AccessToken: "nobody's"})
		},
	}
}

// eachWrite calls f for each of the writes as it succeeds and as it fails, before it takes effect or after.
func eachWrite(f func(name string, write func(ctx context.Context, s *Store) error, b *backend)) {
	fail := func(_ context.Context, method string) error {
		if method == "Find" {
			return nil
		}
		return errOutage
	}
	for name, write := range othersWrites() {
		for _, outcome := range []string{"succeeds", "fails before", "fails after"} {
			b := newBackend()
			for _, t := range []oauthstore.OAuthToken{token("1", "alice", "web", "alice's"), token("2", "bob", "web", "first")} {
				_ = b.Store.SaveToken(context.Background(), &t)
			}
			f(name+", which "+outcome, func(ctx context.Context, s *Store) error {
				switch outcome {
				case "fails before":
					b.on(fail, nil)
				case "fails after":
					b.on(nil, fail)
				}
				defer b.on(nil, nil)
				return write(ctx, s)
			}, b)
		}
	}
}

var alices = []*oauthstore.OAuthToken{{ID: "1"}, asUser("alice", ""), asUser("alice", "web")}

// Finds of one token share a request whatever is written beside, of other tokens.
func TestFind_sharesOneRequestBesideWritesOfOthers(t *testing.T) {
	const callers = 20
	for _, partial := range alices {
		eachWrite(func(name string, write func(ctx context.Context, s *Store) error, b *backend) {
			s := newCache(t, b, steady()...)
			accessByID(t, s, "2") // a client id that it has already is no change
			before := b.count()
			g := newGate()
			b.on(g.hold("Find"), nil)
			var wg sync.WaitGroup
			find := func() {
				wg.Add(1)
				go func() {
					defer wg.Done()
					found, err := s.FindToken(context.Background(), partial)
					if err != nil || found.AccessToken != "alice's" {
						t.Errorf("%s: got %v, %v", name, found, err)
					}
				}()
			}
			find()
			<-g.arrived
			begun := func() uint64 { stats := s.Stats(); return stats.Hits + stats.Misses }
			for range callers - 1 {
				_ = write(context.Background(), s)
				before := begun()
				find()
				await(func() bool { return begun() > before })
			}
			close(g.open)
			wg.Wait()
			require.LessOrEqual(t, b.count()-before, 1+othersFinds(name, callers), "%s, find of %v", name, partial)
			require.Equal(t, "alice's", access(t, s, partial), name)
			require.LessOrEqual(t, b.count()-before, 1+othersFinds(name, callers), "%s, find of %v: its answer is not remembered", name, partial)
		})
	}
}

// othersFinds is how often the writes themselves may ask for the other token.
func othersFinds(name string, writes int) int {
	if len(name) > 9 && name[:9] == "of a copy" {
		return writes
	}
	return 0
}

// A remembered token stays, however writes of other tokens end.
func TestFind_hitsBesideWritesOfOthers(t *testing.T) {
	for _, partial := range append(alices, &oauthstore.OAuthToken{ID: "nobody"}, asUser("nobody", "")) {
		eachWrite(func(name string, write func(ctx context.Context, s *Store) error, b *backend) {
			s := newCache(t, b, steady()...)
			accessByID(t, s, "2")
			want := access(t, s, partial)
			misses := s.Stats().Misses
			for range 10 {
				_ = write(context.Background(), s)
				b.on(nil, nil)
				require.Equal(t, want, access(t, s, partial), name)
			}
			missed := int(s.Stats().Misses - misses)
			if partial.ID == "nobody" { // a write that fails may have inserted a record under any id
				missed = 0
			}
			require.LessOrEqual(t, missed, othersFinds(name, 10), "%s, find of %v", name, partial)
		})
	}
}

// A write costs the same time and memory however many finds are under way.
func TestWrite_costsTheSameHoweverManyFindsAreUnderWay(t *testing.T) {
	costs := make(map[int]float64)
	for _, finds := range []int{10, 3000} {
		b, g := newBackend(), newGate()
		g.arrived = make(chan struct{}, finds)
		s := newCache(t, b, steady()...)
		b.on(g.hold("Find"), nil)
		var wg sync.WaitGroup
		for i := range finds {
			wg.Add(1)
			go func() {
				defer wg.Done()
				_, _ = s.FindToken(context.Background(), asUser(fmt.Sprint("user ", i), ""))
			}()
		}
		for range finds {
			<-g.arrived
		}
		n := 0
		costs[finds] = testing.AllocsPerRun(500, func() {
			n++
			bob := oauthstore.OAuthToken{ID: fmt.Sprint(n % 50), UserName: fmt.Sprint("bob ", n%50), AccessToken: fmt.Sprint(n)}
			_ = s.SaveToken(context.Background(), &bob)
		})
		s.mu.Lock()
		require.LessOrEqual(t, s.marks.ids.len(), 50)
		require.LessOrEqual(t, s.marks.users.len(), 50)
		s.mu.Unlock()
		close(g.open)
		wg.Wait()
		s.mu.Lock()
		require.Zero(t, s.marks.ids.len()+s.marks.users.len(), "when no call is under way")
		s.mu.Unlock()
	}
	require.InDelta(t, costs[10], costs[3000], 2, "allocations of a save")
}

// A call during which so many others end that they are not all remembered learns nothing.
func TestMarks_areBounded(t *testing.T) {
	b, g := newBackend(), newGate()
	b.put(t, token("1", "alice", "", "first"))
	s := newCache(t, b, steady()...)
	b.on(nil, g.hold("Find"))
	old := make(chan error, 1)
	go func() { old <- second(s.FindTokenByID(context.Background(), "1")) }()
	<-g.arrived
	b.on(nil, nil)
	save(t, s, oauthstore.OAuthToken{ID: "1", AccessToken: "second"})
	for i := range maxMarks {
		s.mu.Lock()
		s.seq++
		s.marks.wrote(s.seq, fmt.Sprint("id ", i), fmt.Sprint("user ", i))
		s.mu.Unlock()
	}
	require.Equal(t, maxMarks, s.marks.ids.len())
	s.mu.Lock()
	s.entries.tokens.drop("1") // as if others had pushed it out
	s.mu.Unlock()
	close(g.open)
	require.NoError(t, <-old)
	require.Equal(t, "second", accessByID(t, s, "1"))
}

// Once any call has shown a caller the newer state, no find returns the older one that is remembered.
func TestFind_isNotOlderThanWhatACallerHasSeen(t *testing.T) {
	uncached := oauthstore.Uncached(context.Background())
	for name, look := range map[string]func(s *Store) error{
		"uncached, by user":     func(s *Store) error { return second(s.FindToken(uncached, asUser("alice", ""))) },
		"uncached, of a client": func(s *Store) error { return second(s.FindToken(uncached, asUser("alice", "web"))) },
		"uncached, by id":       func(s *Store) error { return second(s.FindToken(uncached, &oauthstore.OAuthToken{ID: "1"})) },
		"by access token": func(s *Store) error {
			return second(s.FindToken(context.Background(), &oauthstore.OAuthToken{AccessToken: "second"}))
		},
		"with a field of the caller's own": func(s *Store) error {
			return second(s.FindToken(context.Background(), &oauthstore.OAuthToken{UserName: "alice", Scope: "mine"}))
		},
		"GetTokens": func(s *Store) error { _, err := s.GetTokens(context.Background()); return err },
		"Tokens": func(s *Store) error {
			for _, err := range s.Tokens(context.Background()) {
				if err != nil {
					return err
				}
			}
			return nil
		},
	} {
		for _, gone := range []bool{false, true} {
			b := newBackend()
			b.put(t, token("1", "alice", "web", "first"))
			s := newCache(t, b, steady()...)
			if gone {
				require.NoError(t, b.Store.DeleteTokens(t.Context()))
			}
			for _, partial := range alices {
				access(t, s, partial)
			}
			b.put(t, token("1", "alice", "web", "second")) // another process
			require.NoError(t, look(s), name)
			for _, partial := range alices {
				require.Equal(t, "second", access(t, s, partial), "%s, then a find of %v, not found before: %v", name, partial, gone)
			}
		}
	}
}

// An answer which shows that a token has not changed does not make the cache forget it.
func TestFind_thatCannotHitForgetsNothingThatItAgreesWith(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "web", "first"))
	s := newCache(t, b, steady()...)
	for _, partial := range alices {
		access(t, s, partial)
	}
	for _, partial := range []*oauthstore.OAuthToken{
		{AccessToken: "first"}, {UserName: "alice", Scope: "mine"}, {ID: "1", ClientSecret: "secret"}, {UserName: "alice", ClientID: "web", RedirectURL: "here"},
	} {
		require.Equal(t, "first", access(t, s, partial))
	}
	_, err := s.GetTokens(t.Context())
	require.NoError(t, err)
	before := b.count()
	for _, partial := range alices {
		require.Equal(t, "first", access(t, s, partial))
	}
	require.Equal(t, before, b.count())
}

func TestFind_thatCannotHitFindsOutThatATokenIsGone(t *testing.T) {
	for _, look := range []*oauthstore.OAuthToken{{ID: "1", Scope: "mine"}, {UserName: "alice", Scope: "mine"}} {
		b := newBackend()
		b.put(t, token("1", "alice", "web", "first"))
		s := newCache(t, b, steady()...)
		for _, partial := range alices {
			access(t, s, partial)
		}
		require.NoError(t, b.Store.DeleteToken(t.Context(), "1")) // another process
		require.Empty(t, access(t, s, look))
		for _, partial := range alices {
			require.Empty(t, access(t, s, partial), "after a find of %v, one of %v", look, partial)
		}
	}
}

// The find joins a read that began before, and whose answer is older than what its caller has seen.
func TestFind_doesNotTakeAnAnswerThatIsOlderThanWhatItsCallerHasSeen(t *testing.T) {
	b, g := newBackend(), newGate()
	b.put(t, token("1", "alice", "", "first"))
	s := newCache(t, b, steady()...)
	b.on(nil, g.hold("Find"))
	type result struct {
		token *oauthstore.OAuthToken
		err   error
	}
	find := func() chan result {
		got := make(chan result, 1)
		go func() {
			found, err := s.FindToken(context.Background(), asUser("alice", ""))
			got <- result{found, err}
		}()
		return got
	}
	first := find()
	<-g.arrived
	b.on(nil, nil)
	b.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "second"}) // another process
	require.Equal(t, "second", accessByID(t, s, "1"))
	later := find()
	await(func() bool { return s.Stats().Misses == 3 })
	close(g.open)
	require.Equal(t, "first", (<-first).token.AccessToken, "it began before that was so")
	require.Equal(t, "second", (<-later).token.AccessToken)
	require.Equal(t, "second", access(t, s, asUser("alice", "")))
	require.Equal(t, "second", accessByID(t, s, "1"))
}

// The find has read that there is no token; meanwhile its caller, or a write that fails, has learned of one.
func TestFind_doesNotRememberAnAbsenceThatIsOver(t *testing.T) {
	derived := oauthstore.DerivedID("alice", "")
	for name, c := range map[string]struct {
		old, find *oauthstore.OAuthToken
		meanwhile func(s *Store, b *backend)
	}{
		"by id, found by user name":                 {&oauthstore.OAuthToken{ID: derived}, asUser("alice", ""), nil},
		"by user name, found by id":                 {asUser("alice", "web"), &oauthstore.OAuthToken{ID: derived}, nil},
		"of a client, found as the user's only one": {asUser("alice", "web"), asUser("alice", ""), nil},
		"by id, after a failed save by user name": {&oauthstore.OAuthToken{ID: derived}, asUser("bob", ""), func(s *Store, b *backend) {
			b.on(nil, failing("SaveToken"))
			require.ErrorIs(t, s.SaveToken(t.Context(), &oauthstore.OAuthToken{UserName: "alice", AccessToken: "access"}), errOutage)
			b.on(nil, nil)
		}},
		"by user name, after a failed save by id": {asUser("alice", ""), asUser("bob", ""), func(s *Store, b *backend) {
			b.on(nil, failing("SaveToken"))
			require.ErrorIs(t, s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", UserName: "alice", AccessToken: "access"}), errOutage)
			b.on(nil, nil)
		}},
		"by id, after a failed save of a token without names": {&oauthstore.OAuthToken{ID: "new"}, asUser("bob", ""), func(s *Store, b *backend) {
			b.on(nil, failing("SaveToken"))
			require.ErrorIs(t, s.SaveToken(t.Context(), &oauthstore.OAuthToken{ClientID: "web", AccessToken: "nobody's"}), errOutage)
			b.on(nil, nil)
			b.put(t, oauthstore.OAuthToken{ID: "new", AccessToken: "access"}) // as if that had been its id
		}},
	} {
		b, g := newBackend(), newGate()
		b.put(t, token("2", "bob", "", "access"))
		s := newCache(t, b, steady()...)
		b.on(nil, g.hold("Find"))
		old := make(chan error, 1)
		go func() { old <- second(s.FindToken(context.Background(), c.old)) }()
		<-g.arrived
		b.on(nil, nil)
		if c.meanwhile == nil {
			b.put(t, oauthstore.OAuthToken{ID: derived, UserName: "alice", ClientID: "web", AccessToken: "access"}) // another process
		} else {
			c.meanwhile(s, b)
		}
		require.Equal(t, "access", access(t, s, c.find), name)
		close(g.open)
		require.ErrorIs(t, <-old, oauthstore.ErrTokenNotFound, name)
		require.Equal(t, "access", access(t, s, c.old), name)
	}
}

// The user had no token in between, and the former token is not the best match any more.
func TestFind_anAbsenceEndsWhatTheUserNameLedTo(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "web", "first"))
	s := newCache(t, b, steady()...)
	require.Equal(t, "first", access(t, s, asUser("alice", "")))
	require.NoError(t, b.Store.DeleteToken(t.Context(), "1")) // another process
	uncached := oauthstore.Uncached(t.Context())
	require.ErrorIs(t, second(s.FindToken(uncached, asUser("alice", ""))), oauthstore.ErrTokenNotFound)
	b.put(t, token("1", "alice", "web", "second"))
	b.put(t, token("2", "alice", "", "better"))
	require.NoError(t, second(s.FindTokenByID(uncached, "1")))
	require.Equal(t, "better", access(t, s, asUser("alice", "")))
}

// The record was deleted by another process: an update says so, by which it is also known from then on.
func TestWrite_thatFindsNothingForgetsTheToken(t *testing.T) {
	for name, update := range map[string]oauthstore.OAuthToken{
		"by id":        {ID: "1", AccessToken: "second"},
		"by user name": {UserName: "alice", AccessToken: "second"},
	} {
		b := newBackend()
		b.put(t, token("1", "alice", "web", "first"))
		s := newCache(t, b, steady()...)
		for _, partial := range alices {
			require.Equal(t, "first", access(t, s, partial))
		}
		require.NoError(t, b.Store.DeleteToken(t.Context(), "1")) // another process
		require.ErrorIs(t, s.UpdateToken(t.Context(), &update), oauthstore.ErrTokenNotFound)
		for _, partial := range alices {
			require.Empty(t, access(t, s, partial), "%s, then a find of %v", name, partial)
		}
	}
}

// What is found has the caller's own fields, which hide that the record has had others before.
func TestFind_isNotOlderThanWhatACallerHasSeenBehindItsOwnFields(t *testing.T) {
	for name, c := range map[string]struct {
		now  oauthstore.OAuthToken
		look oauthstore.OAuthToken
	}{
		"user name":    {oauthstore.OAuthToken{ID: "1", UserName: "bob"}, oauthstore.OAuthToken{UserName: "bob", Scope: "mine"}},
		"client":       {oauthstore.OAuthToken{ID: "1", ClientID: "app"}, oauthstore.OAuthToken{UserName: "alice", ClientID: "app", Scope: "mine"}},
		"access token": {oauthstore.OAuthToken{ID: "1", AccessToken: "b"}, oauthstore.OAuthToken{AccessToken: "b", Scope: "mine"}},
	} {
		b := newBackend()
		b.put(t, token("1", "alice", "web", "a"))
		s := newCache(t, b, steady()...)
		require.NoError(t, second(s.FindTokenByID(t.Context(), "1")), name)
		require.NoError(t, b.Store.SaveToken(t.Context(), &c.now), name) // another process
		require.NoError(t, second(s.FindToken(t.Context(), &c.look)), name)
		want, err := b.Store.FindTokenByID(t.Context(), "1")
		require.NoError(t, err)
		got, err := s.FindTokenByID(t.Context(), "1")
		require.NoError(t, err)
		require.Equal(t, want.Detached(), got.Detached(), name)
	}
}
