//go:build go1.25

package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

// caught calls find and returns what it has panicked with.
func caught(find func()) (value any) {
	defer func() { value = recover() }()
	find()
	return nil
}

func TestPanic(t *testing.T) {
	inTime("of the store reaches all who wait", t, panicOfStore)
	inTime("of the store in the background is an event", t, panicInBackground)
	inTime("of the observer in the background reaches the next find", t, panicOfObserver)
	inTime("a goroutine that the store has ended is an error", t, goroutineEnded)
}

func blowUp(context.Context, string) error { panic("the store has panicked") }

func panicOfStore(t *testing.T) {
	b, g := newBackend(), newGate()
	b.put(t, token("1", "alice", "", "access"))
	var told []Event
	var mu sync.Mutex
	s := newCache(t, b, WithObserver(func(_ context.Context, e Event) { mu.Lock(); defer mu.Unlock(); told = append(told, e) }))
	b.on(g.hold("Find"), blowUp)
	var wg sync.WaitGroup
	for range 5 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			value := caught(func() { _, _ = s.FindTokenByID(context.Background(), "1") })
			if text := fmt.Sprint(value); !strings.HasPrefix(text, "the store has panicked\n") || !strings.Contains(text, "blowUp") {
				t.Errorf("got a panic with %v, want that of the store with its stack", value)
			}
		}()
	}
	synctest.Wait()
	close(g.open)
	wg.Wait()
	require.Equal(t, 1, b.count())
	for _, e := range told {
		require.ErrorContains(t, e.Err, "panicked")
		require.NotContains(t, e.Err.Error(), "the store")
	}
	b.on(nil, nil)
	require.Equal(t, "access", accessByID(t, s, "1"), "the next find asks")
}

func panicInBackground(t *testing.T) {
	b := newBackend()
	b.put(t, token("1", "alice", "", "access"))
	var refreshed []error
	s := newCache(t, b, WithTTL(100*time.Second), WithBackgroundRefresh(50*time.Second), WithObserver(func(_ context.Context, e Event) {
		if e.Kind == Refresh {
			refreshed = append(refreshed, e.Err)
		}
	}))
	accessByID(t, s, "1")
	b.on(blowUp, nil)
	time.Sleep(60 * time.Second)
	require.Equal(t, "access", accessByID(t, s, "1"), "the token at hand is served")
	synctest.Wait()
	require.Len(t, refreshed, 1)
	require.ErrorContains(t, refreshed[0], "panicked")
	b.on(nil, nil)
	time.Sleep(20 * time.Second)
	accessByID(t, s, "1")
	synctest.Wait()
	require.Len(t, refreshed, 2, "it goes on")
	require.NoError(t, refreshed[1])
}

func panicOfObserver(t *testing.T) {
	b := newBackend()
	for _, id := range []string{"1", "2", "3"} {
		b.put(t, token(id, "", "", "access"))
	}
	var refreshed atomic.Int32
	s := newCache(t, b, WithTTL(100*time.Second), WithBackgroundRefresh(50*time.Second), WithObserver(func(_ context.Context, e Event) {
		if e.Kind != Refresh {
			return
		}
		switch refreshed.Add(1) {
		case 1:
			panic("the observer")
		case 2:
			runtime.Goexit()
		}
	}))
	for _, id := range []string{"1", "2", "3"} {
		accessByID(t, s, id)
	}
	time.Sleep(60 * time.Second)
	b.on(func(context.Context, string) error { time.Sleep(time.Second); return nil }, nil)
	for _, id := range []string{"1", "2", "3"} {
		accessByID(t, s, id)
	}
	time.Sleep(1500 * time.Millisecond)
	value := caught(func() { accessByID(t, s, "1") })
	require.True(t, strings.HasPrefix(fmt.Sprint(value), "the observer\n"), "got a panic with %v", value)
	require.Equal(t, "access", accessByID(t, s, "1"), "once")
	time.Sleep(10 * time.Second)
	require.EqualValues(t, 3, refreshed.Load(), "the others are read all the same")
	require.Zero(t, goroutines(s))
}

func goroutineEnded(t *testing.T) {
	b := newBackend()
	s := newCache(t, b)
	b.on(func(context.Context, string) error { runtime.Goexit(); return nil }, nil)
	_, err := s.FindTokenByID(t.Context(), "1")
	require.ErrorContains(t, err, "ended its goroutine")
	b.on(nil, nil)
	require.Empty(t, accessByID(t, s, "1"))
	require.Zero(t, goroutines(s))
}

// A store that does not heed the end of its context.
func TestHang(t *testing.T) {
	inTime("a find does not wait for longer than the timeout, and the next one asks", t, hangOfFind)
	inTime("a read in the background does not keep others from being read", t, hangInBackground)
	inTime("Close breaks off what it can", t, hangOfClose)
}

// stuck is for backend.on: it does not return before open.
func stuck(open chan struct{}) func(context.Context, string) error {
	return func(context.Context, string) error { <-open; return nil }
}

func wantTimeout(t *testing.T, err error) {
	t.Helper()
	require.NotErrorIs(t, err, context.DeadlineExceeded, "the caller's context has not ended")
	require.ErrorIs(t, err, oauthstore.ErrUnavailable)
	require.ErrorContains(t, err, "cache: no answer in 5s")
}

func hangOfFind(t *testing.T) {
	b, open := newBackend(), make(chan struct{})
	b.put(t, token("1", "alice", "", "first"))
	s := newCache(t, b, steady(WithTimeout(5*time.Second))...)
	b.on(stuck(open), nil)
	begun := time.Now()
	wantTimeout(t, second(s.FindTokenByID(t.Context(), "1")))
	wantTimeout(t, second(s.FindToken(t.Context(), asUser("alice", ""))))
	require.Equal(t, 10*time.Second, time.Since(begun))
	b.on(nil, nil)
	require.Equal(t, "first", accessByID(t, s, "1"))
	require.Equal(t, "first", access(t, s, asUser("alice", "")))
	require.Equal(t, 10*time.Second, time.Since(begun), "it does not wait for the one that hangs")
	b.put(t, oauthstore.OAuthToken{ID: "1", AccessToken: "second"})
	close(open)
	synctest.Wait()
	require.Equal(t, "first", accessByID(t, s, "1"), "an answer that comes too late is dropped")
	require.Zero(t, goroutines(s))
	require.Zero(t, s.calls.Len())
}

func hangInBackground(t *testing.T) {
	b, open := newBackend(), make(chan struct{})
	for _, id := range []string{"1", "2"} {
		b.put(t, token(id, "", "", "first"))
	}
	var mu sync.Mutex
	var refreshed []Event
	s := newCache(t, b, WithTTL(100*time.Second), WithBackgroundRefresh(50*time.Second), WithTimeout(5*time.Second), WithObserver(func(_ context.Context, e Event) {
		if e.Kind == Refresh {
			mu.Lock()
			defer mu.Unlock()
			refreshed = append(refreshed, e)
		}
	}))
	accessByID(t, s, "1")
	accessByID(t, s, "2")
	hangs := stuck(open)
	b.on(hangs, nil)
	time.Sleep(60 * time.Second)
	accessByID(t, s, "1")
	synctest.Wait()
	b.on(nil, nil)
	accessByID(t, s, "2")
	time.Sleep(6 * time.Second)
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, refreshed, 2)
	wantTimeout(t, refreshed[0].Err)
	require.NoError(t, refreshed[1].Err)
	close(open)
}

func hangOfClose(t *testing.T) {
	b, open := newBackend(), make(chan struct{})
	s := newCache(t, b)
	b.on(stuck(open), nil)
	found := make(chan error, 1)
	go func() { found <- second(s.FindTokenByID(context.Background(), "1")) }()
	synctest.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.ErrorIs(t, s.Close(ctx), context.DeadlineExceeded)
	require.ErrorIs(t, <-found, context.Canceled)
	closed := make(chan error, 1)
	go func() { closed <- s.Close(context.Background()) }()
	synctest.Wait()
	require.Empty(t, closed, "it waits for what is left")
	close(open)
	require.NoError(t, <-closed)
}

// A store's own error of a request whose time was up says so as well, and stays what it is.
func TestHang_ofAStoreThatHeedsItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend()
		own := errors.New("the store's own")
		b.on(func(ctx context.Context, _ string) error { <-ctx.Done(); return errors.Join(own, ctx.Err()) }, nil)
		s := newCache(t, b, WithTimeout(5*time.Second))
		wantTimeout(t, second(s.FindTokenByID(t.Context(), "1")))
		synctest.Wait()
		require.Zero(t, goroutines(s))
	})
}

// Two finds wait for a read from before a delete, since it is not known that it is about the same token.
func TestFind_thatLooksAgain(t *testing.T) {
	for name, closed := range map[string]bool{"they share a request": false, "the Store is closed meanwhile": true} {
		inTime(name, t, func(t *testing.T) {
			b, g, later := newBackend(), newGate(), newGate()
			b.put(t, token("1", "alice", "", "first"))
			s := newCache(t, b, steady()...)
			find := func() chan error {
				found := make(chan error, 1)
				go func() { found <- second(s.FindToken(context.Background(), asUser("alice", ""))) }()
				synctest.Wait()
				return found
			}
			b.on(nil, g.hold("Find"))
			before := find()
			b.on(nil, later.hold("Find"))
			require.NoError(t, s.DeleteToken(t.Context(), "1"))
			after := []chan error{find(), find()}
			if closed {
				go func() { _ = s.Close(context.Background()) }()
				synctest.Wait()
			}
			close(g.open)
			synctest.Wait()
			require.NoError(t, <-before)
			if !closed {
				require.Equal(t, 2, b.count())
			}
			close(later.open)
			for _, found := range after {
				require.ErrorIs(t, <-found, oauthstore.ErrTokenNotFound)
			}
			synctest.Wait()
			require.Zero(t, goroutines(s))
		})
	}
}

// An absence that was remembered before the token was found does not come back when the token is not served any more.
func TestFind_aTokenThatWasFoundIsNotAbsentWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, first := range alices {
			for _, found := range alices {
				b := newBackend()
				s := newCache(t, b, steady()...)
				require.Empty(t, access(t, s, first))
				ending := token("1", "alice", "web", "access")
				ending.Expiry = time.Now().Add(time.Minute)
				b.put(t, ending) // another process
				require.NoError(t, second(s.FindToken(oauthstore.Uncached(t.Context()), found)))
				time.Sleep(time.Minute)
				require.Equal(t, "access", access(t, s, first), "find of %v, then of %v", first, found)
			}
		}
	})
}
