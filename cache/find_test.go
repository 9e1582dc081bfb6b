package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
)

func TestFind_costsOneRequestHoweverOften(t *testing.T) {
	for name, find := range map[string]func(s oauthstore.TokenStore) (*oauthstore.OAuthToken, error){
		"by id": func(s oauthstore.TokenStore) (*oauthstore.OAuthToken, error) {
			return s.FindTokenByID(t.Context(), "1")
		},
		"by id alone": finder(t, &oauthstore.OAuthToken{ID: "1"}),
		"by user":     finder(t, asUser("alice", "")),
		"of a client": finder(t, asUser("alice", "web")),
		"no such id": func(s oauthstore.TokenStore) (*oauthstore.OAuthToken, error) {
			return s.FindTokenByID(t.Context(), "2")
		},
		"no such user":  finder(t, asUser("bob", "")),
		"other client":  finder(t, asUser("alice", "mobile")),
		"client unset":  finder(t, asUser("carol", "web")),
		"nobody's id":   finder(t, &oauthstore.OAuthToken{ID: "3"}),
		"anonymous one": finder(t, &oauthstore.OAuthToken{ID: "anonymous"}),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend()
			b.put(t, token("1", "alice", "web", "access"))
			b.put(t, token("carol", "carol", "", "access"))
			b.put(t, token("anonymous", "", "", "access"))
			s := newCache(t, b, steady()...)
			want, wantErr := find(b.Store)
			for range 3 {
				got, err := find(s)
				require.Equal(t, wantErr, err)
				require.Equal(t, want, got, "not what the wrapped store returns, what it remembers included")
			}
			require.Equal(t, 1, b.count(), "requests")
			stats := s.Stats()
			require.EqualValues(t, 2, stats.Hits)
			require.EqualValues(t, 1, stats.Misses)
			require.EqualValues(t, 1, stats.Requests)
		})
	}
}

func finder(t *testing.T, partial *oauthstore.OAuthToken) func(oauthstore.TokenStore) (*oauthstore.OAuthToken, error) {
	return func(s oauthstore.TokenStore) (*oauthstore.OAuthToken, error) {
		return s.FindToken(t.Context(), partial)
	}
}

func TestFind_byUserNameKnowsTheTokenByIDToo(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "access"))
	s := newCache(t, b, steady()...)
	want, err := b.Store.FindTokenByID(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, "access", access(t, s, asUser("alice", "web")))

	// The client id was the caller's: the record has none.
	got, err := s.FindTokenByID(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, 1, b.count())
}

func TestFind_asksTheStoreForEverythingElse(t *testing.T) {
	b := newBackend()
	alice := token("1", "alice", "web", "access")
	b.put(t, alice)
	s := newCache(t, b, steady()...)
	read, err := s.FindTokenByID(t.Context(), "1")
	require.NoError(t, err)
	remembers := *read
	remembers.ID, remembers.AccessToken, remembers.RefreshToken = "", "", ""
	for name, partial := range map[string]*oauthstore.OAuthToken{
		"a field of the caller's own":  {UserName: "alice", Scope: "mine"},
		"an id and more":               {ID: "1", Scope: "mine"},
		"an access token":              {AccessToken: "access"},
		"a refresh token":              {RefreshToken: alice.RefreshToken, ClientID: "web", ClientSecret: "secret"},
		"what is left of a read token": &remembers,
	} {
		before := b.count()
		for range 2 {
			want, err := b.Store.FindToken(t.Context(), partial)
			require.NoError(t, err, name)
			got, err := s.FindToken(t.Context(), partial)
			require.NoError(t, err, name)
			require.Equal(t, want, got, name)
		}
		require.Equal(t, before+2, b.count(), name)
	}
	for _, partial := range []*oauthstore.OAuthToken{nil, {}, {ClientID: "web"}, {ID: "\xff"}, {UserName: "\xff"}} {
		want := second(b.Store.FindToken(t.Context(), partial))
		require.Equal(t, want, second(s.FindToken(t.Context(), partial)))
		require.Equal(t, want, second(s.FindToken(t.Context(), partial)))
	}
}

func second(_ *oauthstore.OAuthToken, err error) error { return err }

func TestFind_returnsACopyOfTheCallersOwn(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "access"))
	s := newCache(t, b, steady()...)
	for range 3 {
		for _, partial := range []*oauthstore.OAuthToken{{ID: "1"}, {UserName: "alice"}} {
			found, err := s.FindToken(t.Context(), partial)
			require.NoError(t, err)
			require.Equal(t, "access", found.AccessToken)
			found.AccessToken, found.UserName = "the caller's", "the caller's"
		}
	}
}

// Another process has rotated the refresh token. A copy from the cache, saved with a change, leaves it alone.
func TestFind_aStaleCopyDoesNotUndoARotation(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "access"))
	s := newCache(t, b, steady()...)
	access(t, s, asUser("alice", ""))
	b.put(t, oauthstore.OAuthToken{ID: "1", RefreshToken: "rotated"})

	stale, err := s.FindToken(t.Context(), asUser("alice", ""))
	require.NoError(t, err)
	require.Equal(t, "refresh of 1", stale.RefreshToken, "want a copy that is stale")
	stale.Scope = "all"
	require.NoError(t, s.SaveToken(t.Context(), stale))
	require.Equal(t, "rotated", stale.RefreshToken)
	found, err := s.FindToken(t.Context(), asUser("alice", ""))
	require.NoError(t, err)
	require.Equal(t, "rotated", found.RefreshToken)
	require.Equal(t, "all", found.Scope)
}

func TestFind_remembersNoErrorButNotFound(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "access"))
	s := newCache(t, b, steady()...)
	b.on(failing("Find"), nil)
	for _, partial := range []*oauthstore.OAuthToken{{ID: "1"}, {UserName: "alice"}} {
		_, err := s.FindToken(t.Context(), partial)
		require.ErrorIs(t, err, errOutage)
	}
	b.on(nil, nil)
	require.Equal(t, "access", accessByID(t, s, "1"))
	require.Equal(t, "access", access(t, s, asUser("alice", "")))
}

// An id that no record can have is an error about the argument, and costs the store nothing to find out.
func TestFind_remembersNoIDThatCannotBe(t *testing.T) {
	refused := &refusing{newBackend()}
	s := newCache(t, refused, steady()...)
	for range 2 {
		_, err := s.FindTokenByID(t.Context(), "too long")
		require.ErrorIs(t, err, oauthstore.ErrInvalidToken)
	}
	require.Equal(t, 2, refused.count())
}

type refusing struct{ *backend }

func (r *refusing) FindTokenByID(ctx context.Context, _ string) (*oauthstore.OAuthToken, error) {
	return r.find(ctx, func() (*oauthstore.OAuthToken, error) { return nil, oauthstore.NoSuchID("is too long") })
}

func TestFind_ofAnEndedContextIsItsError(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "access"))
	s := newCache(t, b, steady()...)
	accessByID(t, s, "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.FindTokenByID(ctx, "1")
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.FindToken(ctx, asUser("nobody", ""))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, b.count())
}

func TestFind_withoutNegativeTTLRemembersNoAbsence(t *testing.T) {
	b := newBackend()
	s := newCache(t, b, WithNegativeTTL(0))
	for i := range 3 {
		require.Empty(t, accessByID(t, s, "1"))
		require.Empty(t, access(t, s, asUser("alice", "")))
		require.Equal(t, 2*(i+1), b.count())
	}
}

func TestFind_theTokenFoundLeastRecentlyMakesRoom(t *testing.T) {
	b := newBackend()
	for _, id := range []string{"1", "2", "3"} {
		b.put(t, token(id, "user "+id, "", "access "+id))
	}
	s := newCache(t, b, steady(WithMaxTokens(2))...)
	for _, id := range []string{"1", "2", "1", "3"} {
		accessByID(t, s, id)
	}
	require.Equal(t, 3, b.count())
	require.Equal(t, 2, s.Stats().Tokens)
	accessByID(t, s, "1")
	accessByID(t, s, "3")
	require.Equal(t, 3, b.count(), "the two found last must be there")
	accessByID(t, s, "2")
	require.Equal(t, 4, b.count(), "the one before must not")
}

func TestFind_whatIsNotThereDoesNotPushOutTokens(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "access"))
	s := newCache(t, b, steady(WithMaxTokens(1))...)
	access(t, s, asUser("alice", ""))
	for _, user := range []string{"bob", "carol", "dave"} {
		access(t, s, asUser(user, ""))
		accessByID(t, s, user)
	}
	before := b.count()
	require.Equal(t, "access", access(t, s, asUser("alice", "")))
	require.Equal(t, "access", accessByID(t, s, "1"))
	require.Equal(t, before, b.count())
}

func TestFind_aUserMayHaveAsManyClientIDsAsThereIsRoomFor(t *testing.T) {
	for name, of := range map[string]struct {
		user, want string
		held       func(e *entries) int
	}{
		"found":     {"alice", "access", func(e *entries) int { return e.users.values.len() }},
		"not found": {"bob", "", func(e *entries) int { return e.noUsers.values.len() }},
	} {
		b := newBackend()
		b.put(t, token("1", "alice", "", "access"))
		const room = 100
		s := newCache(t, b, steady(WithMaxTokens(room))...)
		for range 3 {
			for i := range room {
				require.Equal(t, of.want, access(t, s, asUser(of.user, fmt.Sprint(i))))
			}
		}
		require.Equal(t, room, b.count(), "%s: each is asked for once", name)
		for i := range 10 * room {
			require.Equal(t, of.want, access(t, s, asUser(of.user, fmt.Sprint(i))))
		}
		require.Equal(t, room, of.held(&s.entries), "%s: the bound", name)
	}
}

func TestFind_sharesOneRequest(t *testing.T) {
	const callers = 50
	b, g := newBackend(), newGate()
	b.put(t, token("1", "alice", "", "access"))
	s := newCache(t, b, steady()...)
	b.on(g.hold("Find"), nil)
	var wg sync.WaitGroup
	tokens := make([]*oauthstore.OAuthToken, callers)
	for i := range callers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			tokens[i], _ = s.FindToken(context.Background(), asUser("alice", ""))
		}()
	}
	await(func() bool { return s.Stats().Misses == callers })
	close(g.open)
	wg.Wait()
	require.Equal(t, 1, b.count())
	for _, found := range tokens {
		require.NotNil(t, found)
		require.Equal(t, "access", found.AccessToken, "another caller's change")
		found.AccessToken = "the caller's"
	}
}

func TestFind_whoGivesUpDoesSoAlone(t *testing.T) {
	b, g := newBackend(), newGate()
	b.put(t, token("1", "alice", "", "access"))
	s := newCache(t, b, steady()...)
	b.on(g.hold("Find"), nil)
	ctx, cancel := context.WithCancel(t.Context())
	first, others := make(chan error, 1), make(chan error, 1)
	go func() { first <- second(s.FindTokenByID(ctx, "1")) }()
	<-g.arrived
	go func() { others <- second(s.FindTokenByID(context.Background(), "1")) }()
	await(func() bool { return s.Stats().Misses == 2 })

	cancel()
	require.ErrorIs(t, <-first, context.Canceled)
	close(g.open)
	require.NoError(t, <-others)
	require.Equal(t, 1, b.count(), "the request of the one who gave up goes on")
	require.Equal(t, "access", accessByID(t, s, "1"))
	require.Equal(t, 1, b.count())
}

func TestFind_theRequestHasTheValuesOfItsContext(t *testing.T) {
	type trace struct{}
	b := newBackend()
	s := newCache(t, b)
	var got any
	b.on(func(ctx context.Context, _ string) error { got = ctx.Value(trace{}); return nil }, nil)
	_, err := s.FindTokenByID(context.WithValue(t.Context(), trace{}, "trace"), "1")
	require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
	require.Equal(t, "trace", got)
}

func TestFind_ofAStoreThatAnswersNothingIsAnError(t *testing.T) {
	s := newCache(t, silent{memory.New()})
	_, err := s.FindTokenByID(t.Context(), "1")
	require.ErrorIs(t, err, errNoAnswer)
}

type silent struct{ *memory.Store }

func (silent) FindTokenByID(context.Context, string) (*oauthstore.OAuthToken, error) { return nil, nil }

func TestFind_doesNotRememberAnAnswerToSomethingElse(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "access"))
	s := newCache(t, confused{b}, steady()...)
	require.Equal(t, "access", accessByID(t, s, "2"))
	require.Equal(t, "access", access(t, s, asUser("bob", "")))
	require.Zero(t, s.Stats().Tokens)
}

// confused finds the same token whatever is looked for.
type confused struct{ *backend }

func (c confused) FindTokenByID(ctx context.Context, _ string) (*oauthstore.OAuthToken, error) {
	return c.backend.FindTokenByID(ctx, "1")
}

func (c confused) FindToken(ctx context.Context, _ *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	return c.backend.FindTokenByID(ctx, "1")
}

// What a store returns without Record.Found cannot be told from what the caller has set: it is passed on, not kept.
func TestFind_doesNotRememberTokensThatDoNotRemember(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "web", "access"))
	s := newCache(t, forgetful{b}, steady()...)
	for range 2 {
		require.Equal(t, "access", access(t, s, asUser("alice", "web")))
	}
	require.Equal(t, 2, b.count())
	require.Zero(t, s.Stats().Tokens)
}

type forgetful struct{ *backend }

func (f forgetful) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	found, err := f.backend.FindToken(ctx, token)
	if err != nil {
		return nil, err
	}
	return found.Detached(), nil
}

func TestObserver_hearsOfEveryFindThatCanHit(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "access"))
	var events []Event
	s := newCache(t, b, steady(WithObserver(func(_ context.Context, e Event) {
		e.Duration = 0
		events = append(events, e)
	}))...)
	accessByID(t, s, "1")
	accessByID(t, s, "1")
	access(t, s, asUser("alice", "web"))
	access(t, s, asUser("bob", ""))
	access(t, s, asUser("bob", ""))
	require.Equal(t, []Event{
		{Kind: Miss, ID: "1"},
		{Kind: Hit, ID: "1"},
		{Kind: Miss, UserName: "alice", ClientID: "web"},
		{Kind: Miss, UserName: "bob", Err: oauthstore.ErrTokenNotFound},
		{Kind: Hit, UserName: "bob", Err: oauthstore.ErrTokenNotFound},
	}, events)
}

func TestObserver_mayUseTheCache(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "access"))
	var s *Store
	var seen uint64
	s = newCache(t, b, steady(WithObserver(func(context.Context, Event) { seen = s.Stats().Misses }))...)
	accessByID(t, s, "1")
	require.EqualValues(t, 1, seen)
}

// corrupt is a store of which one token cannot be read.
type corrupt struct{ oauthstore.TokenStore }

func (c corrupt) GetTokens(ctx context.Context) ([]*oauthstore.OAuthToken, error) {
	tokens, err := c.TokenStore.GetTokens(ctx)
	if err != nil {
		return nil, err
	}
	return tokens, &oauthstore.UnreadableTokensError{Tokens: []*oauthstore.TokenError{{ID: "corrupt", Err: &oauthstore.CorruptRecordError{}}}}
}

func TestGetTokens_hasTheTokensBesideTheErrorOfTheCorruptOnes(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "access"))
	s := newCache(t, corrupt{b})
	tokens, err := s.GetTokens(t.Context())
	require.ErrorAs(t, err, new(*oauthstore.UnreadableTokensError))
	require.Len(t, tokens, 1)
	yielded := 0
	for range s.Tokens(t.Context()) {
		yielded++
	}
	require.Equal(t, 2, yielded)
}

// checking is a store that refuses every token.
type checking struct{ oauthstore.TokenStore }

func (checking) CheckToken(*oauthstore.OAuthToken) error { return oauthstore.ErrRecordTooLarge }

func TestCheckToken_asksTheWrappedStore(t *testing.T) {
	s := newCache(t, checking{newBackend()})
	require.ErrorIs(t, s.CheckToken(&oauthstore.OAuthToken{ID: "1"}), oauthstore.ErrRecordTooLarge)
}

func TestAbilities_thatTheWrappedStoreHasNot(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "access"))
	s := newCache(t, plain{b})
	ctx := t.Context()
	require.ErrorIs(t, s.UpdateToken(ctx, &oauthstore.OAuthToken{ID: "1", Scope: "all"}), errors.ErrUnsupported)
	require.ErrorIs(t, s.CheckToken(&oauthstore.OAuthToken{}), oauthstore.ErrInvalidToken)
	report, err := s.Repair(ctx, oauthstore.RepairOptions{})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.NotNil(t, report)
	_, err = s.LeaseToken(ctx, oauthstore.LeaseRequest{ID: "1"})
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorIs(t, s.RenewLease(ctx, &oauthstore.Lease{}), errors.ErrUnsupported)
	require.ErrorIs(t, s.SaveLeased(ctx, &oauthstore.Lease{}, &oauthstore.OAuthToken{ID: "1"}), errors.ErrUnsupported)
	require.ErrorIs(t, s.ReleaseLease(ctx, &oauthstore.Lease{}), errors.ErrUnsupported)
	var ids []string
	for token, err := range s.Tokens(ctx) {
		require.NoError(t, err)
		ids = append(ids, token.ID)
	}
	require.Equal(t, []string{"1"}, ids)
}

// plain has the methods of TokenStore only.
type plain struct{ oauthstore.TokenStore }

func TestRepair_isTheWrappedStores(t *testing.T) {
	want := &oauthstore.RepairReport{Tokens: 7}
	s := newCache(t, repairing{memory.New(), want})
	report, err := s.Repair(t.Context(), oauthstore.RepairOptions{})
	require.NoError(t, err)
	require.Same(t, want, report)
}

// A repair lists tokens that the store did not find by their user names, or found by others.
func TestRepair_isSeenAtOnce(t *testing.T) {
	r := listing{newBackend()}
	s := newCache(t, r, steady()...)
	r.put(t, token("1", "alice", "", "worse"))
	require.Equal(t, "worse", access(t, s, asUser("alice", "web")))
	require.Empty(t, access(t, s, asUser("bob", "")))
	for _, dry := range []bool{true, false} {
		_, err := s.Repair(t.Context(), oauthstore.RepairOptions{DryRun: dry})
		require.NoError(t, err)
		require.Equal(t, !dry, access(t, s, asUser("alice", "web")) == "better")
		require.Equal(t, !dry, access(t, s, asUser("bob", "")) == "bob's")
	}
}

// listing finds two tokens more once it is repaired.
type listing struct{ *backend }

func (l listing) Repair(ctx context.Context, opts oauthstore.RepairOptions) (*oauthstore.RepairReport, error) {
	if opts.DryRun {
		return &oauthstore.RepairReport{}, nil
	}
	better, bobs := token("2", "alice", "web", "better"), token("3", "bob", "", "bob's")
	return &oauthstore.RepairReport{}, errors.Join(l.Store.SaveToken(ctx, &better), l.Store.SaveToken(ctx, &bobs))
}

type repairing struct {
	*memory.Store
	report *oauthstore.RepairReport
}

func (r repairing) Repair(context.Context, oauthstore.RepairOptions) (*oauthstore.RepairReport, error) {
	return r.report, nil
}

func TestFind_uncachedAsksTheStore(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "first"))
	s := newCache(t, b, steady()...)
	require.Equal(t, "first", access(t, s, asUser("alice", "")))
	b.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "second"}) // another process

	uncached := oauthstore.Uncached(t.Context())
	require.Equal(t, "first", access(t, s, asUser("alice", "")))
	found, err := s.FindToken(uncached, asUser("alice", ""))
	require.NoError(t, err)
	require.Equal(t, "second", found.AccessToken)
	found, err = s.FindTokenByID(uncached, "1")
	require.NoError(t, err)
	require.Equal(t, "second", found.AccessToken)
	require.Equal(t, "second", accessByID(t, s, "1"), "what was read is known from then on")

	require.NoError(t, b.Store.DeleteToken(t.Context(), "1")) // another process
	_, err = s.FindTokenByID(uncached, "1")
	require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
	require.Empty(t, accessByID(t, s, "1"))
}

// Of two that are under way at once, the one that began later has read what another process has saved in between.
func TestFind_uncachedKnowsWhatItHasReadAfterOneThatReadBefore(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "first"))
	s := newCache(t, b, steady()...)
	uncached := oauthstore.Uncached(t.Context())
	begin := func() (answer *gate, done chan error) {
		answer, done = newGate(), make(chan error, 1)
		b.on(nil, answer.hold("Find"))
		go func() { done <- second(s.FindTokenByID(uncached, "1")) }()
		<-answer.arrived
		return answer, done
	}
	before, beforeDone := begin()
	b.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "second"}) // another process
	after, afterDone := begin()
	b.on(nil, nil)
	close(before.open)
	require.NoError(t, <-beforeDone)
	close(after.open)
	require.NoError(t, <-afterDone)
	require.Equal(t, "second", accessByID(t, s, "1"))
}

func TestFind_whatIsNotThereIsNotRememberedUnderALongName(t *testing.T) {
	b := newBackend()
	s := newCache(t, b, steady()...)
	for _, c := range []struct{ length, finds int }{{longestAbsent, 1}, {longestAbsent + 1, 2}} {
		before := b.count()
		name := strings.Repeat("a", c.length)
		for range 2 {
			require.Empty(t, access(t, s, asUser(name, "")))
		}
		require.Equal(t, c.finds, b.count()-before, c.length)
		before = b.count()
		for range 2 {
			require.Empty(t, access(t, s, asUser(name[10:], "the client")))
		}
		require.Equal(t, c.finds, b.count()-before, "with a client, %d together", c.length)
	}
}
