//go:build go1.25

package cache

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

// inTime runs f where time passes only while everybody waits for it.
func inTime(name string, t *testing.T, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func TestTime(t *testing.T) {
	inTime("a token is served for its time to live at most, and nine tenths of it at least", t, timeTTL)
	inTime("tokens end at different times", t, timeJitter)
	inTime("an absence is remembered for its own time", t, timeAbsence)
	inTime("by user name too", t, timeUserNames)
	inTime("an access token that ends meanwhile is read again", t, timeExpires)
	inTime("one that had ended when it was read is not read all the time", t, timeExpired)
	inTime("a token in use is read again in the background", t, timeRefresh)
	inTime("so is what its user name leads to", t, timeRefreshLead)
	inTime("a token that is not in use is not", t, timeIdle)
	inTime("it can be turned off", t, timeRefreshOff)
	inTime("a read in the background that fails is tried again, and the token served", t, timeRefreshFails)
	inTime("a read in the background finds out that a token is gone", t, timeRefreshGone)
	inTime("reads in the background are made one after another", t, timeRefreshSerial)
	inTime("Close stops reading in the background", t, timeRefreshClose)
	inTime("a request that takes too long ends, whoever waits", t, timeTimeout)
}

func timeTTL(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "first"))
	s := newCache(t, b, WithTTL(100*time.Second), WithBackgroundRefresh(0))
	for range 20 {
		before := b.count()
		accessByID(t, s, "1")
		require.Equal(t, before+1, b.count(), "after the time to live")
		time.Sleep(90*time.Second - 1)
		accessByID(t, s, "1")
		require.Equal(t, before+1, b.count(), "after nine tenths of it")
		time.Sleep(10*time.Second + 1)
	}
}

func timeJitter(t *testing.T) {
	b := newBackend()
	s := newCache(t, b, WithTTL(100*time.Second), WithBackgroundRefresh(0))
	for i := range 1000 {
		save(t, s, token(fmt.Sprint(i), "", "", "access"))
	}
	time.Sleep(95 * time.Second)
	for i := range 1000 {
		accessByID(t, s, fmt.Sprint(i))
	}
	// As many heads of 1,000 coins: outside of this once in 10^20 times.
	require.Greater(t, b.count(), 350)
	require.Less(t, b.count(), 650)
}

func timeAbsence(t *testing.T) {
	b := newBackend()
	s := newCache(t, b)
	for _, find := range []func() string{
		func() string { return accessByID(t, s, "1") },
		func() string { return access(t, s, asUser("alice", "")) },
	} {
		require.NoError(t, b.Store.DeleteTokens(t.Context()))
		require.Empty(t, find())
		b.put(t, token("1", "alice", "", "access")) // another process
		time.Sleep(2*time.Second - 1)
		require.Empty(t, find())
		time.Sleep(time.Nanosecond)
		require.Equal(t, "access", find())
		require.NoError(t, s.DeleteTokens(t.Context()))
	}
}

func timeUserNames(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "first"))
	s := newCache(t, b, WithTTL(100*time.Second), WithBackgroundRefresh(0))
	require.Equal(t, "first", access(t, s, asUser("alice", "web")))
	b.put(t, token("2", "alice", "web", "better")) // another process
	for range 4 {                                  // the token is read again and again, but by its id
		time.Sleep(22 * time.Second)
		save(t, s, oauthstore.OAuthToken{ID: "1", Scope: time.Now().String()})
		require.Equal(t, "first", access(t, s, asUser("alice", "web")))
	}
	time.Sleep(12 * time.Second)
	require.Equal(t, "better", access(t, s, asUser("alice", "web")))
}

func timeExpires(t *testing.T) {
	b := newBackend()
	first := token("1", "alice", "", "first")
	first.Expiry = time.Now().Add(30 * time.Second)
	b.put(t, first)
	s := newCache(t, b)
	require.Equal(t, "first", access(t, s, asUser("alice", "")))
	b.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "second", Expiry: time.Now().Add(time.Hour)})
	time.Sleep(20*time.Second - 1) // the last moment at which it is valid
	require.Equal(t, "first", access(t, s, asUser("alice", "")))
	require.Equal(t, "first", accessByID(t, s, "1"))
	require.Equal(t, 1, b.count())
	time.Sleep(time.Nanosecond)
	require.Equal(t, "second", access(t, s, asUser("alice", "")))
	require.Equal(t, "second", accessByID(t, s, "1"))
	require.Equal(t, 2, b.count())
}

func timeExpired(t *testing.T) {
	b := newBackend()
	first := token("1", "alice", "", "first")
	first.Expiry = time.Now().Add(oauthstore.DefaultLeeway + time.Second)
	b.put(t, first)
	s := newCache(t, b)
	require.Equal(t, "first", accessByID(t, s, "1"))
	time.Sleep(time.Second) // less than absences are remembered, but it was valid when it was read
	for range 5 {
		for range 3 {
			require.Equal(t, "first", accessByID(t, s, "1"))
		}
		time.Sleep(2 * time.Second)
	}
	require.Equal(t, 1+5, b.count())

	b.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "second", Expiry: time.Now().Add(time.Hour)})
	require.Equal(t, "second", accessByID(t, s, "1"))
}

func timeRefresh(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "first"))
	var refreshed []Event
	s := newCache(t, b, WithTTL(100*time.Second), WithBackgroundRefresh(50*time.Second), WithObserver(func(_ context.Context, e Event) {
		if e.Kind == Refresh {
			refreshed = append(refreshed, e)
		}
	}))
	require.Equal(t, "first", access(t, s, asUser("alice", "")))
	b.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "second"})
	time.Sleep(45*time.Second - 1)
	access(t, s, asUser("alice", ""))
	synctest.Wait()
	require.Equal(t, 1, b.count(), "too early")

	time.Sleep(5*time.Second + 1)
	require.Equal(t, "first", access(t, s, asUser("alice", "")), "the token at hand is served")
	synctest.Wait()
	require.Equal(t, 2, b.count())
	require.Equal(t, []Event{{Kind: Refresh, UserName: "alice"}}, refreshed)
	require.Equal(t, "second", access(t, s, asUser("alice", "")))
	require.Equal(t, "second", accessByID(t, s, "1"))
	for range 100 { // in use: nobody waits any more
		time.Sleep(10 * time.Second)
		access(t, s, asUser("alice", ""))
		synctest.Wait()
	}
	require.EqualValues(t, 1, s.Stats().Misses)
	require.Less(t, b.count(), 30)
}

func timeRefreshLead(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "first"))
	s := newCache(t, b, WithTTL(100*time.Second), WithBackgroundRefresh(50*time.Second))
	require.Equal(t, "first", access(t, s, asUser("alice", "web")))
	b.put(t, token("2", "alice", "web", "better")) // another process
	time.Sleep(40 * time.Second)
	save(t, s, oauthstore.OAuthToken{ID: "1", Scope: "all"}) // the token is as new as can be
	time.Sleep(10 * time.Second)
	require.Equal(t, "first", access(t, s, asUser("alice", "web")))
	synctest.Wait()
	require.Equal(t, "better", access(t, s, asUser("alice", "web")))
	require.EqualValues(t, 1, s.Stats().Misses)
}

func timeIdle(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "first"))
	s := newCache(t, b)
	access(t, s, asUser("alice", ""))
	time.Sleep(time.Hour)
	require.Equal(t, 1, b.count())
	require.Zero(t, goroutines(s))
}

func goroutines(s *Store) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

func timeRefreshOff(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "first"))
	s := newCache(t, b, WithTTL(100*time.Second), WithBackgroundRefresh(0))
	access(t, s, asUser("alice", ""))
	time.Sleep(90*time.Second - 1)
	access(t, s, asUser("alice", ""))
	accessByID(t, s, "1")
	synctest.Wait()
	require.Equal(t, 1, b.count())
}

func timeRefreshFails(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "first"))
	s := newCache(t, b, WithTTL(100*time.Second), WithBackgroundRefresh(60*time.Second))
	accessByID(t, s, "1")
	b.on(failing("Find"), nil)
	time.Sleep(60 * time.Second)
	for range 5 {
		require.Equal(t, "first", accessByID(t, s, "1"))
		synctest.Wait()
	}
	require.Equal(t, 2, b.count(), "a read that failed is not made again at once")
	time.Sleep(10 * time.Second)
	b.on(nil, nil)
	b.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "second"})
	require.Equal(t, "first", accessByID(t, s, "1"))
	synctest.Wait()
	require.Equal(t, 3, b.count())
	require.Equal(t, "second", accessByID(t, s, "1"))
	require.EqualValues(t, 2, s.Stats().Refreshes)
}

func timeRefreshGone(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "first"))
	s := newCache(t, b, WithTTL(100*time.Second))
	access(t, s, asUser("alice", ""))
	require.NoError(t, b.Store.DeleteToken(t.Context(), "1")) // another process
	time.Sleep(80 * time.Second)
	require.Equal(t, "first", access(t, s, asUser("alice", "")))
	synctest.Wait()
	require.Empty(t, access(t, s, asUser("alice", "")))
	require.Empty(t, accessByID(t, s, "1"))
}

func timeRefreshSerial(t *testing.T) {
	b := newBackend()
	ids := []string{"1", "2", "3"}
	for _, id := range ids {
		b.put(t, token(id, "", "", "first"))
	}
	s := newCache(t, b, WithTTL(100*time.Second), WithBackgroundRefresh(50*time.Second))
	for _, id := range ids {
		accessByID(t, s, id)
	}
	busy := 0
	b.on(func(context.Context, string) error {
		busy++
		require.Equal(t, 1, busy)
		time.Sleep(10 * time.Second)
		busy--
		return nil
	}, nil)
	time.Sleep(50 * time.Second)
	for range 3 { // the last time, the last one still waits for its turn
		for _, id := range ids {
			accessByID(t, s, id)
		}
		time.Sleep(7 * time.Second)
	}
	time.Sleep(10 * time.Second)
	require.Equal(t, 6, b.count(), "each once")
	require.EqualValues(t, 3, s.Stats().Refreshes)
}

func timeRefreshClose(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "", "", "first"))
	b.put(t, token("2", "", "", "first"))
	s := newCache(t, b, WithTTL(100*time.Second), WithBackgroundRefresh(50*time.Second))
	accessByID(t, s, "1")
	accessByID(t, s, "2")
	b.on(func(context.Context, string) error { time.Sleep(time.Second); return nil }, nil)
	time.Sleep(50 * time.Second)
	accessByID(t, s, "1")
	accessByID(t, s, "2")
	synctest.Wait()
	begun := time.Now()
	require.NoError(t, s.Close(t.Context()))
	require.Equal(t, time.Second, time.Since(begun), "it waits for the read under way, and no other is begun")
	require.Equal(t, 3, b.count())
	require.Zero(t, goroutines(s))
}

func timeTimeout(t *testing.T) {
	b, g := newBackend(), newGate()
	s := newCache(t, b, WithTimeout(5*time.Second))
	b.on(g.hold("Find"), nil)
	begun := time.Now()
	_, err := s.FindTokenByID(t.Context(), "1")
	require.ErrorIs(t, err, oauthstore.ErrUnavailable)
	require.NotErrorIs(t, err, context.DeadlineExceeded, "the caller's context has not ended")
	require.Equal(t, 5*time.Second, time.Since(begun))
}

// The wrapped store may return an error of its own as the time ends.
func TestTimeout_hidesNothingButTheContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	s := newCache(t, newBackend(), WithTimeout(5*time.Second))
	for _, class := range []error{oauthstore.ErrAccessDenied, oauthstore.ErrThrottled, oauthstore.ErrUnavailable} {
		err := s.inTime(ctx, fmt.Errorf("%w (%w)", ctx.Err(), &oauthstore.TokenError{ID: "1", Err: class}))
		require.ErrorIs(t, err, class)
		require.ErrorIs(t, err, oauthstore.ErrUnavailable)
		require.ErrorAs(t, err, new(*oauthstore.TokenError))
		require.NotErrorIs(t, err, context.DeadlineExceeded, "the caller's context has not ended")
		require.Equal(t, 1, strings.Count(err.Error(), oauthstore.ErrUnavailable.Error()), err)
	}
	for _, answer := range []error{nil, oauthstore.ErrTokenNotFound} {
		require.Equal(t, answer, s.inTime(ctx, answer))
	}
}

// The monotonic clock may stand still while a process is frozen, the other one may be set back: the greater age counts.
func TestStamp_goesByBothClocks(t *testing.T) {
	now := time.Now()
	frozen := stamp{at: now, wall: now.Round(0).Add(-time.Hour)}
	require.Equal(t, time.Hour, frozen.age(now))
	setBack := stamp{at: now.Add(-time.Minute), wall: now.Round(0).Add(time.Hour)}
	require.Equal(t, time.Minute, setBack.age(now))
}

// The jitter takes a part of the age, but not all of it: 0 would be never.
func TestBackgroundRefresh_theShortestAgeIsNotNone(t *testing.T) {
	s := newCache(t, newBackend(), WithBackgroundRefresh(1))
	for range 100 {
		st := s.stamp(s.start())
		require.Positive(t, st.due)
	}
}
