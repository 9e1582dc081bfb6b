package enginetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
)

const (
	stores  = 4   // own clients, nothing shared in memory
	workers = 32  // goroutines, eight to a store
	users   = 100 // each saved once by every store
)

// RunConcurrent is [RunWriters] on a test server.
func RunConcurrent(t *testing.T, b Backend) {
	RunWriters(t, b.NewStore, func(t *testing.T) Audit { return audit(t, b) }, 0)
}

// RunWriters lets many writers, in several stores, save the tokens of many users while others read
// and delete, and looks whether an update was lost or a token was seen half-written. newStore returns a store
// that shares nothing with others but the service, which must be empty; look looks at the service itself. A new store
// must read all updates within lag of the last.
func RunWriters(t *testing.T, newStore func(t *testing.T) Store, look func(t *testing.T) Audit, lag time.Duration) {
	ctx := patient(t)
	all := make([]Store, stores)
	for i := range all {
		all[i] = newStore(t)
	}
	type job struct{ store, user int }
	jobs := make(chan job)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := range jobs {
				if err := again(func() error { return all[w%stores].SaveToken(ctx, contribution(j.store, j.user)) }); err != nil {
					t.Errorf("SaveToken: %v", err)
				}
			}
		}()
	}
	stop := make(chan struct{})
	var others sync.WaitGroup
	for i := range stores {
		others.Add(2)
		go func() { defer others.Done(); read(t, newStore(t), stop) }()
		go func() { defer others.Done(); comeAndGo(t, newStore(t), i, stop) }()
	}
	for s := range stores {
		for u := range users {
			jobs <- job{s, u}
		}
	}
	close(jobs)
	wg.Wait()
	close(stop)
	others.Wait()
	for last, s := time.Now(), newStore(t); ; time.Sleep(time.Second) {
		lost := missing(t, s)
		if len(lost) > 0 && time.Since(last) < lag {
			continue
		}
		for _, what := range lost {
			t.Error(what)
		}
		break
	}
	if a := look(t); !slices.Equal(a.Stored, a.Listed) || len(a.Stored) != users {
		t.Errorf("%d secrets, %d index entries, want %d of both and the same\nsecrets: %v\nindex: %v",
			len(a.Stored), len(a.Listed), users, a.Stored, a.Listed)
	}
}

// contribution is the part of a user's token that one store saves: a field of its own, beside two that
// all of them set alike and two that belong together.
func contribution(store, user int) *oauthstore.OAuthToken {
	t := &oauthstore.OAuthToken{UserName: fmt.Sprint("user", user), ClientID: "app", RefreshToken: fmt.Sprint("refresh", user)}
	mine := fmt.Sprintf("store%d-user%d", store, user)
	switch store {
	case 0:
		t.APIDomain = mine
	case 1:
		t.RedirectURL = mine
	case 2:
		t.GrantToken = mine
	case 3:
		t.AccessToken, t.Scope = mine, mine
	}
	return t
}

// missing returns what a store does not show of the contributions.
func missing(t *testing.T, s Store) (lost []string) {
	t.Helper()
	var tokens []*oauthstore.OAuthToken
	if err := again(func() (err error) { tokens, err = s.GetTokens(context.Background()); return err }); err != nil {
		t.Fatal(err)
	}
	byUser := make(map[string]*oauthstore.OAuthToken)
	for _, token := range tokens {
		if byUser[token.UserName] != nil {
			lost = append(lost, fmt.Sprintf("%s has two records", token.UserName))
		}
		byUser[token.UserName] = token
	}
	for u := range users {
		got := byUser[fmt.Sprint("user", u)]
		if got == nil {
			lost = append(lost, fmt.Sprintf("user%d has no record", u))
			continue
		}
		for store := range stores {
			if merged, changed := (&oauthstore.Record{Token: *got}).Merge(contribution(store, u)); changed {
				lost = append(lost, fmt.Sprintf("user%d: the update of store %d is lost: got %+v, want %+v", u, store, got, merged))
			}
		}
	}
	return lost
}

// patient is a context with which calls may take as long as a busy machine makes them.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	t.Cleanup(cancel)
	return ctx
}

// read lists and finds until stop.
func read(t *testing.T, s Store, stop <-chan struct{}) {
	ctx := patient(t)
	for i := 0; !stopped(stop); i++ {
		var tokens []*oauthstore.OAuthToken
		if err := again(func() (err error) { tokens, err = s.GetTokens(ctx); return err }); err != nil {
			t.Errorf("GetTokens: %v", err)
		}
		for _, token := range tokens {
			whole(t, token)
		}
		var token *oauthstore.OAuthToken
		partial := &oauthstore.OAuthToken{UserName: fmt.Sprint("user", i%users)}
		if err := again(func() (err error) { token, err = s.FindToken(ctx, partial); return err }); err != nil && !errors.Is(err, oauthstore.ErrTokenNotFound) {
			t.Errorf("FindToken: %v", err)
		}
		whole(t, token)
	}
}

// whole fails for a token of which a part is missing.
func whole(t *testing.T, token *oauthstore.OAuthToken) {
	if token != nil && (token.AccessToken != token.Scope || token.RefreshToken == "") {
		t.Errorf("half-written: %v", token)
	}
}

// comeAndGo saves, finds and deletes a token of its own until stop.
func comeAndGo(t *testing.T, s Store, i int, stop <-chan struct{}) {
	ctx := patient(t)
	for n := 0; n < 5 && !stopped(stop); n++ {
		token := &oauthstore.OAuthToken{UserName: fmt.Sprint("guest", i), AccessToken: "a", Scope: "a", RefreshToken: "r"}
		if err := again(func() error { return s.SaveToken(ctx, token) }); err != nil {
			t.Errorf("SaveToken: %v", err)
		}
		if err := again(func() error { _, err := s.FindTokenByID(ctx, token.ID); return err }); err != nil {
			t.Errorf("FindTokenByID: %v", err)
		}
		if err := again(func() error { return s.DeleteToken(ctx, token.ID) }); err != nil {
			t.Errorf("DeleteToken: %v", err)
		}
	}
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}
