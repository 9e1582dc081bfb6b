package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

func TestSave_isSeenAtOnceWithoutARequest(t *testing.T) {
	b := newBackend()
	s := newCache(t, b, steady()...)
	alice := token("", "alice", "web", "first")
	require.NoError(t, s.SaveToken(t.Context(), &alice))
	require.Equal(t, "first", accessByID(t, s, alice.ID))
	require.Equal(t, "first", access(t, s, asUser("alice", "web")))
	require.Zero(t, b.count())

	require.Equal(t, "first", access(t, s, asUser("alice", "")))
	require.Equal(t, 1, b.count(), "whether it is the user's only one is the store's to say")

	alice.AccessToken = "second" // a refresh, as a warm process makes it
	require.NoError(t, s.UpdateToken(t.Context(), &alice))
	require.Equal(t, "second", accessByID(t, s, alice.ID))
	require.Equal(t, "second", access(t, s, asUser("alice", "web")))
	require.Equal(t, "second", access(t, s, asUser("alice", "")))
	require.Equal(t, 1, b.count())
}

func TestSave_byUserNameLeadsToWhatItFound(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "web", "first"))
	s := newCache(t, b, steady()...)
	save(t, s, oauthstore.OAuthToken{UserName: "alice", AccessToken: "second"})
	require.Equal(t, "second", access(t, s, asUser("alice", "")))
	require.Equal(t, "second", access(t, s, asUser("alice", "web")))
	require.Equal(t, "second", accessByID(t, s, "1"))
	require.Zero(t, b.count())
}

func TestSave_keepsNothingOfTheCallersArgument(t *testing.T) {
	s := newCache(t, newBackend(), steady()...)
	alice := token("1", "alice", "", "access")
	require.NoError(t, s.SaveToken(t.Context(), &alice))
	alice.AccessToken = "the caller's"
	require.Equal(t, "access", accessByID(t, s, "1"))
}

func TestSave_ofANewTokenEndsWhatWasNotFound(t *testing.T) {
	s := newCache(t, newBackend(), steady()...)
	lookups := map[string]*oauthstore.OAuthToken{
		"by id": {ID: "1"}, "by user": asUser("alice", ""), "of the client": asUser("alice", "web"),
	}
	for name, partial := range lookups {
		require.Empty(t, access(t, s, partial), name)
	}
	save(t, s, token("1", "alice", "web", "access"))
	for name, partial := range lookups {
		require.Equal(t, "access", access(t, s, partial), name)
	}
}

func TestSave_ofABetterMatchIsSeen(t *testing.T) {
	s := newCache(t, newBackend(), steady()...)
	save(t, s, token("2", "alice", "web", "of web"))
	require.Equal(t, "of web", access(t, s, asUser("alice", "")))
	save(t, s, token("1", "alice", "", "of none"))
	require.Equal(t, "of none", access(t, s, asUser("alice", "")))
	require.Equal(t, "of web", access(t, s, asUser("alice", "web")))
	require.Equal(t, "of none", access(t, s, asUser("alice", "mobile")))
	save(t, s, token("3", "alice", "mobile", "of mobile"))
	require.Equal(t, "of mobile", access(t, s, asUser("alice", "mobile")))
}

func TestSave_ofAnotherUserNameIsSeenUnderBoth(t *testing.T) {
	for _, known := range []bool{true, false} {
		s := newCache(t, newBackend(), steady()...)
		save(t, s, token("1", "alice", "web", "access"))
		for _, client := range []string{"", "web"} {
			require.Equal(t, "access", access(t, s, asUser("alice", client)))
			require.Empty(t, access(t, s, asUser("bob", client)))
		}
		if !known {
			s.entries.tokens.drop("1") // as if others had pushed it out
		}
		save(t, s, oauthstore.OAuthToken{ID: "1", UserName: "bob"})
		for _, client := range []string{"", "web"} {
			require.Empty(t, access(t, s, asUser("alice", client)))
			require.Equal(t, "access", access(t, s, asUser("bob", client)))
		}
	}
}

func TestSave_ofAnotherClientIDIsSeen(t *testing.T) {
	s := newCache(t, newBackend(), steady()...)
	save(t, s, token("1", "alice", "", "access"))
	require.Equal(t, "access", access(t, s, asUser("alice", "mobile")))
	require.Equal(t, "access", access(t, s, asUser("alice", "web")))
	save(t, s, oauthstore.OAuthToken{ID: "1", ClientID: "web"})
	require.Empty(t, access(t, s, asUser("alice", "mobile")))
	require.Equal(t, "access", access(t, s, asUser("alice", "web")))
}

func TestDelete_isSeenAtOnce(t *testing.T) {
	for name, remove := range map[string]func(s *Store) error{
		"DeleteToken":  func(s *Store) error { return s.DeleteToken(t.Context(), "1") },
		"DeleteTokens": func(s *Store) error { return s.DeleteTokens(t.Context()) },
	} {
		s := newCache(t, newBackend(), steady()...)
		save(t, s, token("1", "alice", "web", "access"))
		require.Equal(t, "access", access(t, s, asUser("alice", "")))
		require.NoError(t, remove(s), name)
		require.Empty(t, accessByID(t, s, "1"), name)
		require.Empty(t, access(t, s, asUser("alice", "")), name)
		require.Empty(t, access(t, s, asUser("alice", "web")), name)
	}
}

// Nobody knows whether a write that failed has taken effect, so the next find asks.
func TestWrite_thatFailedIsForgotten(t *testing.T) {
	for _, effect := range []string{"before", "after"} {
		for _, c := range []struct {
			method string
			write  func(s *Store) error
		}{
			{"SaveToken", func(s *Store) error {
				return s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", AccessToken: "second"})
			}},
			{"SaveToken", func(s *Store) error {
				return s.SaveToken(t.Context(), &oauthstore.OAuthToken{UserName: "alice", AccessToken: "second"})
			}},
			{"SaveToken", func(s *Store) error {
				return s.SaveToken(t.Context(), &oauthstore.OAuthToken{AccessToken: "first", Scope: "all"})
			}},
			{"SaveToken", func(s *Store) error {
				return s.SaveToken(t.Context(), &oauthstore.OAuthToken{RefreshToken: "refresh of 1", ClientID: "web", ClientSecret: "s", AccessToken: "second"})
			}},
			{"SaveToken", func(s *Store) error {
				return s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", UserName: "bob"})
			}},
			{"SaveToken", func(s *Store) error {
				return s.SaveToken(t.Context(), &oauthstore.OAuthToken{UserName: "bob", AccessToken: "bob's"})
			}},
			{"UpdateToken", func(s *Store) error {
				return s.UpdateToken(t.Context(), &oauthstore.OAuthToken{ID: "1", AccessToken: "second"})
			}},
			{"DeleteToken", func(s *Store) error { return s.DeleteToken(t.Context(), "1") }},
			{"DeleteTokens", func(s *Store) error { return s.DeleteTokens(t.Context()) }},
		} {
			b := newBackend()
			s := newCache(t, b, steady()...)
			save(t, s, token("1", "alice", "web", "first"))
			agree(t, s, b, "before the write")
			if effect == "before" {
				b.on(failing(c.method), nil)
			} else {
				b.on(nil, failing(c.method))
			}
			require.ErrorIs(t, c.write(s), errOutage)
			agree(t, s, b, "after "+c.method+", which failed "+effect+" it took effect")
		}
	}
}

// Another process has replaced what the token is found by. What is remembered does not show that the write was to it.
func TestWrite_thatFailedIsForgottenWhicheverTokenItFound(t *testing.T) {
	for name, write := range map[string]oauthstore.OAuthToken{
		"by access token":  {AccessToken: "second", Scope: "all"},
		"by refresh token": {RefreshToken: "rotated", ClientID: "web", ClientSecret: "s", Scope: "all"},
	} {
		b := newBackend()
		b.put(t, token("1", "alice", "web", "first"))
		s := newCache(t, b, steady()...)
		agree(t, s, b, "at first")
		b.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "second", RefreshToken: "rotated"}) // another process
		b.on(nil, failing("SaveToken"))
		require.ErrorIs(t, s.SaveToken(t.Context(), &write), errOutage, name)
		agree(t, s, b, name)
	}
}

// agree demands that the cache finds the very same as the store behind it.
func agree(t testing.TB, s *Store, b *backend, when string) {
	t.Helper()
	for _, partial := range []*oauthstore.OAuthToken{
		{ID: "1"}, {ID: "2"}, {ID: "3"}, {ID: oauthstore.DerivedID("alice", "")}, {ID: oauthstore.DerivedID("bob", "")},
		asUser("alice", ""), asUser("alice", "web"), asUser("alice", "mobile"),
		asUser("bob", ""), asUser("bob", "web"), asUser("bob", "mobile"),
	} {
		want, wantErr := b.Store.FindToken(context.Background(), partial)
		for range 2 {
			got, err := s.FindToken(context.Background(), partial)
			require.Equal(t, wantErr, err, "%s: %v", when, partial)
			require.Equal(t, want, got, "%s: %v", when, partial)
		}
	}
}

// It may have changed any token. What the user names lead to it cannot have changed.
func TestWrite_byATokenThatFailedLeavesWhatUserNamesLeadTo(t *testing.T) {
	for name, write := range map[string]oauthstore.OAuthToken{
		"by access token":  {AccessToken: "another", Scope: "all"},
		"by refresh token": {RefreshToken: "another", ClientID: "web", ClientSecret: "s", Scope: "all"},
	} {
		b := newBackend()
		b.put(t, token("1", "alice", "web", "first"))
		s := newCache(t, b, steady()...)
		agree(t, s, b, "at first")
		b.on(nil, failing("SaveToken"))
		require.ErrorIs(t, s.SaveToken(t.Context(), &write), errOutage, name)
		b.on(nil, nil)
		for _, c := range []struct {
			find     *oauthstore.OAuthToken
			requests int
		}{
			{asUser("bob", ""), 0}, {asUser("bob", "web"), 0}, // none
			{&oauthstore.OAuthToken{ID: "1"}, 1},
			{asUser("alice", ""), 0}, {asUser("alice", "web"), 0},
		} {
			before := b.count()
			_, _ = s.FindToken(t.Context(), c.find)
			require.Equal(t, c.requests, b.count()-before, "%s: %v", name, c.find)
		}
		agree(t, s, b, name)
	}
}

func TestWrite_thatSurelyStoresNothingForgetsNothing(t *testing.T) {
	for name, write := range map[string]func(s *Store) error{
		"invalid": func(s *Store) error { return s.SaveToken(t.Context(), &oauthstore.OAuthToken{AccessToken: "\xff"}) },
		"an update of nothing": func(s *Store) error {
			return s.UpdateToken(t.Context(), &oauthstore.OAuthToken{AccessToken: "nobody's"})
		},
	} {
		b := newBackend()
		s := newCache(t, b, steady()...)
		for _, id := range []string{"1", "2"} {
			b.put(t, token(id, "user "+id, "", "first"))
			require.Equal(t, "first", accessByID(t, s, id), name)
		}
		require.Error(t, write(s), name)
		require.Equal(t, 2, s.Stats().Tokens, name)
	}
}

func TestWrite_thatPanicsIsForgotten(t *testing.T) {
	b := newBackend()
	s := newCache(t, b, steady()...)
	save(t, s, token("1", "alice", "", "first"))
	b.on(nil, func(context.Context, string) error { panic("after it took effect") })
	require.Panics(t, func() {
		_ = s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", AccessToken: "second"})
	})
	b.on(nil, nil)
	require.Equal(t, "second", accessByID(t, s, "1"))
	require.Zero(t, s.calls.Len())
}

// A store may take a save for done without storing all of it: what a find returns is the store's to say.
func TestSave_remembersOnlyWhatIsStored(t *testing.T) {
	b := newBackend()
	s := newCache(t, sparing{b}, steady()...)
	b.put(t, token("1", "alice", "", "first"))
	require.Equal(t, "first", accessByID(t, s, "1"))
	spared := oauthstore.OAuthToken{ID: "1", AccessToken: "second"}
	require.NoError(t, s.SaveToken(t.Context(), &spared))
	require.Equal(t, "second", spared.AccessToken)
	require.Equal(t, "first", accessByID(t, s, "1"))
}

// sparing saves no access token.
type sparing struct{ *backend }

func (p sparing) SaveToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	stored, err := p.backend.FindTokenByID(ctx, token.ID)
	if err != nil {
		return err
	}
	stored.AccessToken = token.AccessToken
	*token = *stored
	return nil
}

// The read has its answer when the write begins, and hands it over when the write is through.
func TestRead_thatAWriteHasOvertakenIsNotRemembered(t *testing.T) {
	saving := func(token oauthstore.OAuthToken) func(s *Store) error {
		return func(s *Store) error { own := token; return s.SaveToken(t.Context(), &own) }
	}
	for _, w := range []struct {
		name  string
		ids   string // that it writes
		names string // the user names whose finds it may change
		write func(s *Store) error
	}{
		{"a save by id", "1", "alice", saving(oauthstore.OAuthToken{ID: "1", AccessToken: "second"})},
		{"a save by user name", "1", "alice", saving(oauthstore.OAuthToken{UserName: "alice", AccessToken: "second"})},
		{"a rename", "1", "bob", saving(oauthstore.OAuthToken{ID: "1", UserName: "bob"})},
		{"a change of client", "1", "alice", saving(oauthstore.OAuthToken{ID: "1", ClientID: "mobile"})},
		{"an insert", "2", "bob", saving(token("2", "bob", "", "bob's"))},
		{"a better match", "2", "alice", saving(token("2", "alice", "", "better"))},
		{"an update", "1", "alice", func(s *Store) error {
			return s.UpdateToken(t.Context(), &oauthstore.OAuthToken{ID: "1", AccessToken: "second"})
		}},
		{"DeleteToken", "1", "", func(s *Store) error { return s.DeleteToken(t.Context(), "1") }},
		{"DeleteTokens", "12", "alice bob", func(s *Store) error { return s.DeleteTokens(t.Context()) }},
	} {
		for _, partial := range []*oauthstore.OAuthToken{
			{ID: "1"}, {ID: "2"}, asUser("alice", ""), asUser("alice", "web"), asUser("bob", ""), asUser("bob", "web"),
		} {
			for _, findBetween := range []bool{true, false} {
				b, g := newBackend(), newGate()
				b.put(t, token("1", "alice", "web", "first"))
				s := newCache(t, b, steady()...)
				b.on(nil, g.hold("Find"))
				old := make(chan error, 1)
				go func() { old <- second(s.FindToken(context.Background(), partial)) }()
				<-g.arrived
				require.NoError(t, w.write(s), w.name)

				b.on(nil, nil)
				// A find of what was not written, as far as is known, may well wait for the old read.
				written := w.ids
				if partial.UserName != "" {
					written = w.names
				}
				if findBetween && strings.Contains(written, partial.ID+partial.UserName) {
					agree(t, s, b, w.name+", with the read of "+partial.String()+" under way")
				}
				close(g.open)
				<-old
				agree(t, s, b, w.name+", after the read of "+partial.String())
			}
		}
	}
}

// A find that begins after a write must not wait for the answer to one from before, a failed write's included.
func TestRead_fromBeforeAFailedWriteIsNotShared(t *testing.T) {
	b, g := newBackend(), newGate()
	b.put(t, token("1", "alice", "", "first"))
	s := newCache(t, b, steady()...)
	b.on(nil, g.hold("Find"))
	old := make(chan error, 1)
	go func() { old <- second(s.FindTokenByID(context.Background(), "1")) }()
	<-g.arrived
	b.on(nil, failing("SaveToken"))
	require.ErrorIs(t, s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", AccessToken: "second"}), errOutage)
	require.Equal(t, "second", accessByID(t, s, "1"))
	close(g.open)
	require.NoError(t, <-old)
	require.Equal(t, "second", accessByID(t, s, "1"))
}

// The read, of what was remembered before, has its answer when the write begins.
func TestRead_fromBeforeAFailedWriteDoesNotBringBackWhatWasRemembered(t *testing.T) {
	for name, write := range map[string]oauthstore.OAuthToken{
		"by id":           {ID: "1", AccessToken: "second"},
		"by user name":    {UserName: "alice", AccessToken: "second"},
		"by access token": {AccessToken: "first", Scope: "all"},
	} {
		b, g := newBackend(), newGate()
		b.put(t, token("1", "alice", "", "first"))
		s := newCache(t, b, steady()...)
		require.Equal(t, "first", accessByID(t, s, "1"))
		b.on(nil, g.hold("Find"))
		old := make(chan error, 1)
		go func() { old <- second(s.FindTokenByID(oauthstore.Uncached(context.Background()), "1")) }()
		<-g.arrived
		b.on(nil, failing("SaveToken"))
		require.ErrorIs(t, s.SaveToken(t.Context(), &write), errOutage)
		b.on(nil, nil)
		close(g.open)
		require.NoError(t, <-old)
		agree(t, s, b, name)
	}
}

// The record that the read finds has not changed; but another one is the better match by now.
func TestRead_ofARecordThatIsNoLongerTheBestMatchIsNotForTheUserName(t *testing.T) {
	for name, write := range map[string]func(s *Store, b *backend) error{
		"a save": func(s *Store, _ *backend) error {
			return s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "2", ClientID: "web"})
		},
		"a save that fails, of a record that is not remembered": func(s *Store, b *backend) error {
			b.on(nil, failing("SaveToken"))
			defer b.on(nil, nil)
			if err := s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "2", ClientID: "web"}); !errors.Is(err, errOutage) {
				return fmt.Errorf("got error %w, want an outage", err)
			}
			return nil
		},
	} {
		for _, remembered := range []bool{false, true} {
			b, g := newBackend(), newGate()
			b.put(t, token("1", "alice", "", "first"))
			b.put(t, token("2", "alice", "mobile", "second"))
			s := newCache(t, b, steady()...)
			if remembered {
				require.Equal(t, "first", accessByID(t, s, "1"))
			}
			b.on(nil, g.hold("Find"))
			old := make(chan error, 1)
			go func() { old <- second(s.FindToken(context.Background(), asUser("alice", "web"))) }()
			<-g.arrived
			b.on(nil, nil)
			require.NoError(t, write(s, b), name)
			close(g.open)
			require.NoError(t, <-old)
			require.Equal(t, "second", access(t, s, asUser("alice", "web")), "%s, the other one remembered: %v", name, remembered)
		}
	}
}

// What the user name led to is not known, so the find waits for the read from before. Its answer is not for it.
func TestRead_fromBeforeAWriteIsNotForFindsAfterIt(t *testing.T) {
	for store, wrap := range map[string]func(b *backend) oauthstore.TokenStore{
		"a store":                             func(b *backend) oauthstore.TokenStore { return b },
		"one whose tokens are not to be kept": func(b *backend) oauthstore.TokenStore { return forgetful{b} },
	} {
		for name, write := range map[string]func(s *Store) error{
			"a delete": func(s *Store) error { return s.DeleteToken(t.Context(), "1") },
			"a rename": func(s *Store) error {
				return s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "1", UserName: "bob"})
			},
		} {
			b, g := newBackend(), newGate()
			b.put(t, token("1", "alice", "", "first"))
			s := newCache(t, wrap(b), steady()...)
			b.on(nil, g.hold("Find"))
			find := func() chan error {
				found := make(chan error, 1)
				go func() { found <- second(s.FindToken(context.Background(), asUser("alice", ""))) }()
				return found
			}
			before := find()
			<-g.arrived
			b.on(nil, nil)
			require.NoError(t, write(s))
			after := []chan error{find(), find()}
			await(func() bool { return s.Stats().Misses == 3 })
			close(g.open)
			require.NoError(t, <-before, name)
			for _, found := range after {
				require.ErrorIs(t, <-found, oauthstore.ErrTokenNotFound, "%s, after %s", store, name)
			}
			if store == "a store" {
				require.Equal(t, 2, b.count(), "they share a request, or know the answer")
			}
		}
	}
}

// The first write takes effect first and returns last. What it has filled in is not the newest.
func TestWrite_thatAnotherHasOvertakenIsForgotten(t *testing.T) {
	saving := func(token oauthstore.OAuthToken) func(s *Store) error {
		return func(s *Store) error { own := token; return s.SaveToken(t.Context(), &own) }
	}
	for name, other := range map[string]func(s *Store) error{
		"a save":         saving(oauthstore.OAuthToken{ID: "1", AccessToken: "third"}),
		"a rename":       saving(oauthstore.OAuthToken{ID: "1", UserName: "bob"}),
		"a better match": saving(token("2", "alice", "", "better")),
		"DeleteToken":    func(s *Store) error { return s.DeleteToken(t.Context(), "1") },
		"DeleteTokens":   func(s *Store) error { return s.DeleteTokens(t.Context()) },
	} {
		for _, by := range []struct {
			user   string // whose record 1 is
			update oauthstore.OAuthToken
		}{
			{"alice", oauthstore.OAuthToken{ID: "1"}}, {"alice", oauthstore.OAuthToken{UserName: "alice"}}, {"", oauthstore.OAuthToken{ID: "1"}},
		} {
			b, g := newBackend(), newGate()
			b.put(t, token("1", by.user, "web", "first"))
			s := newCache(t, b, steady()...)
			agree(t, s, b, "at first")
			b.on(nil, g.hold("UpdateToken"))
			slow := make(chan error, 1)
			go func() {
				update := by.update
				update.AccessToken = "second"
				slow <- s.UpdateToken(context.Background(), &update)
			}()
			<-g.arrived
			require.NoError(t, other(s), name)
			close(g.open)
			require.NoError(t, <-slow, name)
			agree(t, s, b, name)
		}
	}
}

func TestRead_thatBeganEarlierDoesNotReplaceALaterOne(t *testing.T) {
	b, g := newBackend(), newGate()
	b.put(t, token("1", "alice", "", "first"))
	s := newCache(t, b, steady()...)
	b.on(nil, g.hold("Find"))
	old := make(chan error, 1)
	go func() { old <- second(s.FindTokenByID(context.Background(), "1")) }()
	<-g.arrived
	b.on(nil, nil)
	b.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "second"}) // another process
	require.Equal(t, "second", access(t, s, asUser("alice", "")))
	close(g.open)
	require.NoError(t, <-old)
	require.Equal(t, "second", accessByID(t, s, "1"))
	require.Equal(t, "second", access(t, s, asUser("alice", "")))
}

// Finds of one key may be under way twice, after a write: the earlier one knows nothing that the later one does not.
func TestRead_thatBeganEarlierDoesNotReplaceALaterOneOfTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		before, meanwhile oauthstore.OAuthToken // by another process
		want              string
	}{
		"a better match":  {token("1", "alice", "", "first"), token("2", "alice", "web", "better"), "better"},
		"not found first": {token("1", "bob", "", "bob's"), token("2", "alice", "web", "found"), "found"},
	} {
		b, g := newBackend(), newGate()
		b.put(t, c.before)
		s := newCache(t, b, steady()...)
		b.on(nil, g.hold("Find"))
		old := make(chan error, 1)
		go func() { old <- second(s.FindToken(context.Background(), asUser("alice", "web"))) }()
		<-g.arrived
		b.on(nil, nil)
		save(t, s, token("3", "alice", "another", "another's"))
		b.put(t, c.meanwhile)
		require.Equal(t, c.want, access(t, s, asUser("alice", "web")), name)
		close(g.open)
		<-old
		require.Equal(t, c.want, access(t, s, asUser("alice", "web")), name)
	}
}

func TestRead_afterAWriteIsSharedThoughOneFromBeforeEnds(t *testing.T) {
	b, first, later := newBackend(), newGate(), newGate()
	b.put(t, token("1", "alice", "", "access"))
	s := newCache(t, b, steady()...)
	found := make(chan error, 3)
	find := func() { found <- second(s.FindToken(context.Background(), asUser("alice", ""))) }
	b.on(first.hold("Find"), nil)
	go find()
	<-first.arrived
	save(t, s, token("2", "alice", "web", "another's"))
	b.on(later.hold("Find"), nil)
	go find()
	<-later.arrived
	s.mu.Lock()
	shared := s.flights[key{user: "alice"}]
	s.mu.Unlock()
	close(first.open)
	require.NoError(t, <-found)
	s.mu.Lock()
	require.Same(t, shared, s.flights[key{user: "alice"}])
	s.mu.Unlock()
	close(later.open)
	require.NoError(t, <-found)
	require.Equal(t, 2, b.count())
}

// The read begins after the write, has its answer before that takes effect, and hands it over when the write is through.
func TestRead_duringAWriteIsNotRemembered(t *testing.T) {
	for _, inserted := range []oauthstore.OAuthToken{token("2", "bob", "", "bob's"), token("2", "alice", "", "better")} {
		for _, partial := range []*oauthstore.OAuthToken{{ID: "2"}, asUser("alice", ""), asUser("bob", ""), asUser("bob", "web")} {
			b, write, read := newBackend(), newGate(), newGate()
			b.put(t, token("1", "alice", "web", "first"))
			s := newCache(t, b, steady()...)
			b.on(write.hold("SaveToken"), read.hold("Find"))
			wrote, old := make(chan error, 1), make(chan error, 1)
			go func() { own := inserted; wrote <- s.SaveToken(context.Background(), &own) }()
			<-write.arrived
			go func() { old <- second(s.FindToken(context.Background(), partial)) }()
			<-read.arrived
			close(write.open)
			require.NoError(t, <-wrote)
			b.on(nil, nil)
			close(read.open)
			<-old
			agree(t, s, b, inserted.String()+", during the read of "+partial.String())
		}
	}
}

// Another process has written after this one, and a find has read that, when the write returns.
func TestWrite_doesNotReplaceWhatWasReadMeanwhile(t *testing.T) {
	b, g := newBackend(), newGate()
	b.put(t, token("1", "alice", "", "first"))
	s := newCache(t, b, steady()...)
	b.on(nil, g.hold("UpdateToken"))
	slow := make(chan error, 1)
	go func() {
		slow <- s.UpdateToken(context.Background(), &oauthstore.OAuthToken{ID: "1", AccessToken: "second"})
	}()
	<-g.arrived
	b.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "third"})
	require.Equal(t, "third", accessByID(t, s, "1"))
	close(g.open)
	require.NoError(t, <-slow)
	require.Equal(t, "third", accessByID(t, s, "1"))
}

// The record was the best match for the user name alone while it had no client id. A read has seen the one that it gets
// before the write has returned: that it has not changed since then does not mean that the write has changed nothing.
func TestWrite_thatAReadHasSeenBeforeItReturnsIsSeen(t *testing.T) {
	b, read, write := newBackend(), newGate(), newGate()
	b.put(t, token("1", "alice", "mobile", "of mobile"))
	b.put(t, token("2", "alice", "", "of none"))
	s := newCache(t, b, steady()...)
	require.Equal(t, "of none", access(t, s, asUser("alice", "")))

	b.on(read.hold("Find"), write.hold("SaveToken"))
	found, saved := make(chan error, 1), make(chan error, 1)
	go func() { found <- second(s.FindToken(context.Background(), asUser("alice", "web"))) }()
	<-read.arrived
	go func() { saved <- s.SaveToken(context.Background(), &oauthstore.OAuthToken{ID: "2", ClientID: "web"}) }()
	<-write.arrived
	close(read.open)
	require.NoError(t, <-found)
	close(write.open)
	require.NoError(t, <-saved)
	b.on(nil, nil)
	agree(t, s, b, "after the write")
}

// The same of a write whose answer is lost: it was another record that the user name led to.
func TestWrite_thatAReadHasSeenBeforeItFailsIsSeen(t *testing.T) {
	b, write := newBackend(), newGate()
	b.put(t, token("1", "alice", "", "of none"))
	b.put(t, token("2", "alice", "mobile", "of mobile"))
	s := newCache(t, b, steady()...)
	require.Equal(t, "of none", access(t, s, asUser("alice", "web")))
	require.Equal(t, "of mobile", accessByID(t, s, "2"))

	b.on(nil, write.hold("SaveToken"))
	ctx, giveUp := context.WithCancel(context.Background())
	saved := make(chan error, 1)
	go func() { saved <- s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "2", ClientID: "web"}) }()
	<-write.arrived
	s.mu.Lock()
	s.entries.tokens.drop("2") // as if it had to be read again
	s.mu.Unlock()
	require.Equal(t, "of mobile", accessByID(t, s, "2"))
	giveUp()
	require.ErrorIs(t, <-saved, context.Canceled)
	b.on(nil, nil)
	agree(t, s, b, "after the write")
}

// A leaser is a backend that gives out leases to whoever asks.
type leaser struct {
	*backend
	lost bool
}

func (l *leaser) LeaseToken(ctx context.Context, request oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	var lease *oauthstore.Lease
	err := l.call(ctx, "LeaseToken", func() error {
		found, err := l.Store.FindTokenByID(ctx, request.ID)
		lease = &oauthstore.Lease{Token: found, Held: true, Holder: "holder", For: request.For}
		return err
	})
	if err != nil {
		return nil, err
	}
	return lease, nil
}

func (l *leaser) RenewLease(_ context.Context, lease *oauthstore.Lease) error {
	lease.Until = lease.Until.Add(time.Hour)
	return nil
}

func (l *leaser) SaveLeased(ctx context.Context, lease *oauthstore.Lease, token *oauthstore.OAuthToken) error {
	if l.lost {
		return oauthstore.ErrLeaseLost
	}
	own := *token
	own.ID = lease.Token.ID
	if err := l.Store.UpdateToken(ctx, &own); err != nil {
		return err
	}
	*token = own
	return nil
}

func (l *leaser) ReleaseLease(_ context.Context, lease *oauthstore.Lease) error {
	lease.Holder = ""
	return nil
}

func TestLease_isTheWrappedStoresAndRefreshesTheCache(t *testing.T) {
	l := &leaser{backend: newBackend()}
	l.put(t, token("1", "alice", "", "first"))
	s := newCache(t, l, steady()...)
	require.Equal(t, "first", access(t, s, asUser("alice", "")))
	l.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "second"}) // another process
	require.Equal(t, "first", accessByID(t, s, "1"))

	lease, err := s.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "1", For: time.Minute})
	require.NoError(t, err)
	require.Equal(t, "second", lease.Token.AccessToken)
	lease.Token.Scope = "the caller's"
	for _, found := range []string{accessByID(t, s, "1"), access(t, s, asUser("alice", ""))} {
		require.Equal(t, "second", found)
	}
	require.NoError(t, s.RenewLease(t.Context(), lease))
	require.NotZero(t, lease.Until)

	third := oauthstore.OAuthToken{AccessToken: "third"}
	require.NoError(t, s.SaveLeased(t.Context(), lease, &third))
	require.Equal(t, "third", access(t, s, asUser("alice", "")))
	require.NoError(t, s.ReleaseLease(t.Context(), lease))
	require.Empty(t, lease.Holder)
	require.Equal(t, 1, l.count(), "finds of the store")
}

// heldUp leases a token through s. The lease has been taken, and is not given before g opens.
func (l *leaser) heldUp(s *Store, g *gate) (leased chan error) {
	l.on(nil, g.hold("LeaseToken"))
	leased = make(chan error, 1)
	go func() {
		_, err := s.LeaseToken(context.Background(), oauthstore.LeaseRequest{ID: "1", For: time.Minute})
		leased <- err
	}()
	<-g.arrived
	return leased
}

// A find has read, after the lease has and before it is given, what another process has written in between.
func TestLease_doesNotReplaceWhatWasReadMeanwhile(t *testing.T) {
	for name, another := range map[string]func(l *leaser){
		"a refresh": func(l *leaser) { l.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "second"}) },
		"a logout":  func(l *leaser) { require.NoError(t, l.Store.DeleteToken(t.Context(), "1")) },
	} {
		l, g := &leaser{backend: newBackend()}, newGate()
		l.put(t, token("1", "alice", "", "first"))
		s := newCache(t, l, steady()...)
		leased := l.heldUp(s, g)
		another(l)
		agree(t, s, l.backend, name+", before the lease is given")
		close(g.open)
		require.NoError(t, <-leased)
		agree(t, s, l.backend, name+", afterwards")
	}
}

// A find that begins after a lease must not wait for the answer to one from before.
func TestLease_findsThatBeginLaterDoNotWaitForOneFromBefore(t *testing.T) {
	l, g := &leaser{backend: newBackend()}, newGate()
	l.put(t, token("1", "alice", "", "first"))
	s := newCache(t, l, WithNegativeTTL(0))
	l.on(nil, g.hold("Find"))
	old := make(chan error, 1)
	go func() { old <- second(s.FindTokenByID(context.Background(), "1")) }()
	<-g.arrived
	// Another process; what it saves has ended already, and is not served without a look.
	l.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "second", Expiry: time.Now()})
	l.on(nil, nil)
	_, err := s.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "1", For: time.Minute})
	require.NoError(t, err)
	require.Equal(t, "second", accessByID(t, s, "1"))
	close(g.open)
	require.NoError(t, <-old)
}

func TestReadThrough_findsThatBeginLaterDoNotWaitForOneThatHasFoundATokenThatIsGone(t *testing.T) {
	for _, partial := range alices {
		b, g := newBackend(), newGate()
		b.put(t, token("1", "alice", "web", "first"))
		s := newCache(t, b, WithNegativeTTL(0))
		b.on(nil, g.hold("Find"))
		old := make(chan error, 1)
		go func() { old <- second(s.FindToken(context.Background(), partial)) }()
		<-g.arrived
		require.NoError(t, b.Store.DeleteToken(t.Context(), "1")) // another process
		b.on(nil, nil)
		require.ErrorIs(t, second(s.FindToken(oauthstore.Uncached(t.Context()), partial)), oauthstore.ErrTokenNotFound)
		require.Empty(t, access(t, s, partial), "find of %v", partial)
		close(g.open)
		require.NoError(t, <-old)
		require.Empty(t, access(t, s, partial), "find of %v", partial)
	}
}

func TestReadAnew_findsByUserNameThatBeginLaterDoNotWaitForOneFromBefore(t *testing.T) {
	for name, read := range readingAnew() {
		l, g := &leaser{backend: newBackend()}, newGate()
		l.put(t, token("1", "alice", "", "first"))
		s := newCache(t, l, WithNegativeTTL(0))
		l.on(nil, g.hold("Find"))
		old := make(chan error, 1)
		go func() { old <- second(s.FindToken(context.Background(), asUser("alice", ""))) }()
		<-g.arrived
		l.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "second"}) // another process
		l.on(nil, nil)
		require.NoError(t, read(t, s), name)
		require.Equal(t, "second", access(t, s, asUser("alice", "")), name)
		close(g.open)
		require.NoError(t, <-old, name)
	}
}

func TestReadAnew_endsThatTheUserWasNotFound(t *testing.T) {
	for name, read := range readingAnew() {
		l := &leaser{backend: newBackend()}
		s := newCache(t, l, steady()...)
		require.Empty(t, access(t, s, asUser("alice", "")), name)
		l.put(t, token("1", "alice", "", "first")) // another process
		require.NoError(t, read(t, s), name)
		require.Equal(t, "first", access(t, s, asUser("alice", "")), name)
	}
}

// readingAnew are the ways to read record 1 whatever is remembered.
func readingAnew() map[string]func(t *testing.T, s *Store) error {
	return map[string]func(t *testing.T, s *Store) error{
		"a lease": func(t *testing.T, s *Store) error {
			_, err := s.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "1", For: time.Minute})
			return err
		},
		"uncached": func(t *testing.T, s *Store) error {
			return second(s.FindTokenByID(oauthstore.Uncached(t.Context()), "1"))
		},
	}
}

func TestLease_thatIsNotGivenForgetsNothing(t *testing.T) {
	l := &leaser{backend: newBackend()}
	l.put(t, token("1", "alice", "", "first"))
	s := newCache(t, l, steady()...)
	require.Equal(t, "first", accessByID(t, s, "1"))
	l.on(failing("LeaseToken"), nil)
	_, err := s.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "1", For: time.Minute})
	require.ErrorIs(t, err, errOutage)
	require.Equal(t, "first", accessByID(t, s, "1"))
	require.Equal(t, 1, l.count())
}

func TestLease_thatIsLostMakesTheNextFindAsk(t *testing.T) {
	l := &leaser{backend: newBackend(), lost: true}
	l.put(t, token("1", "alice", "", "first"))
	s := newCache(t, l, steady()...)
	lease, err := s.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "1", For: time.Minute})
	require.NoError(t, err)
	l.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "of the new holder"})
	require.ErrorIs(t, s.SaveLeased(t.Context(), lease, &oauthstore.OAuthToken{AccessToken: "mine"}), oauthstore.ErrLeaseLost)
	require.Equal(t, "of the new holder", accessByID(t, s, "1"))
}

func TestLease_ofATokenThatIsGoneIsRemembered(t *testing.T) {
	l := &leaser{backend: newBackend()}
	l.put(t, token("1", "alice", "", "first"))
	s := newCache(t, l, steady()...)
	require.Equal(t, "first", accessByID(t, s, "1"))
	require.NoError(t, l.Store.DeleteToken(t.Context(), "1")) // another process
	_, err := s.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "1", For: time.Minute})
	require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
	require.Empty(t, accessByID(t, s, "1"))
}

func TestLease_thatAWriteHasOvertakenIsNotRemembered(t *testing.T) {
	l, g := &leaser{backend: newBackend()}, newGate()
	l.put(t, token("1", "alice", "", "first"))
	s := newCache(t, l, steady()...)
	leased := l.heldUp(s, g)
	save(t, s, oauthstore.OAuthToken{ID: "1", AccessToken: "second"})
	close(g.open)
	require.NoError(t, <-leased)
	require.Equal(t, "second", accessByID(t, s, "1"))
}

// The find began after the lease was asked for, and read before it was given.
func TestLease_knowsBetterThanAFindThatBeganBeforeItsEnd(t *testing.T) {
	l, asked, read := &leaser{backend: newBackend()}, newGate(), newGate()
	l.put(t, token("1", "alice", "", "first"))
	s := newCache(t, l, steady()...)
	l.on(asked.hold("LeaseToken"), read.hold("Find"))
	leased, found := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.LeaseToken(context.Background(), oauthstore.LeaseRequest{ID: "1", For: time.Minute})
		leased <- err
	}()
	<-asked.arrived
	go func() { found <- second(s.FindTokenByID(context.Background(), "1")) }()
	<-read.arrived
	l.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "second"}) // another process
	close(asked.open)
	require.NoError(t, <-leased)
	require.Equal(t, "second", accessByID(t, s, "1"))
	close(read.open)
	require.NoError(t, <-found)
	require.Equal(t, "second", accessByID(t, s, "1"))
}
