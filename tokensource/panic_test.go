//go:build go1.25

package tokensource_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/tokensource"
)

// panickyStore panics in the method of that name after a while, as often as times says.
type panickyStore struct {
	leasingStore
	method string
	times  atomic.Int32
}

func (s *panickyStore) call(method string) {
	if method == s.method && s.times.Add(-1) >= 0 {
		time.Sleep(time.Second) // so that all who call together wait for it
		panic("hush: " + method)
	}
}

func (s *panickyStore) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	s.call("FindToken")
	return s.leasingStore.FindToken(ctx, token)
}

func (s *panickyStore) LeaseToken(ctx context.Context, r oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	s.call("LeaseToken")
	return s.leasingStore.LeaseToken(ctx, r)
}

func (s *panickyStore) RenewLease(ctx context.Context, l *oauthstore.Lease) error {
	s.call("RenewLease")
	return s.leasingStore.RenewLease(ctx, l)
}

func (s *panickyStore) SaveLeased(ctx context.Context, l *oauthstore.Lease, token *oauthstore.OAuthToken) error {
	s.call("SaveLeased")
	return s.leasingStore.SaveLeased(ctx, l, token)
}

// What a caller's code does in a goroutine of the source reaches those who wait, and the next refresh is not held up.
func TestRefresh_aPanicInTheBackgroundIsAnError(t *testing.T) {
	for _, method := range []string{"FindToken", "LeaseToken", "the client"} {
		t.Run(method, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.login("alice")
				store := &panickyStore{leasingStore: w.store.(leasingStore), method: method}
				store.times.Store(1)
				w.network(func(*http.Request) error { store.call("the client"); return nil }, nil)
				tokens := w.over(store)
				s := tokens.User("alice")
				time.Sleep(lifetime)
				together(5, func(int) {
					_, err := s.Token()
					if err == nil || !strings.Contains(err.Error(), "panicked") || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "hush") {
						t.Errorf("got error %v, want one that says that a call has panicked, and not with what", err)
					}
				})
				time.Sleep(time.Minute) // the lease ends
				w.get(s)
				if err := tokens.Shutdown(t.Context()); err != nil {
					t.Errorf("Shutdown: %v", err)
				}
			})
		})
	}
}

// The provider has given a token that is not stored yet: neither a store nor an observer that panics loses it.
func TestRefresh_aPanicDoesNotLoseAToken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		old := w.login("alice")
		var saves atomic.Int32
		store := w.saving(func(next func() error) error {
			switch saves.Add(1) {
			case 1, 3:
				panic("the store")
			case 2:
				return oauthstore.ErrUnavailable
			default:
				return next()
			}
		})
		tokens := w.over(store, tokensource.WithObserver(func(_ context.Context, e tokensource.Event) {
			panic(fmt.Sprint("the observer: ", e.Kind))
		}))
		s := tokens.User("alice")
		time.Sleep(lifetime)
		get := func() (got *oauth2.Token, panicked any, err error) {
			defer func() { panicked = recover() }()
			got, err = s.Token()
			return got, nil, err
		}
		if _, panicked, _ := get(); !strings.HasPrefix(fmt.Sprint(panicked), "the observer: asked\n") {
			t.Errorf("got a panic with %v, want the observer's first", panicked)
		}
		got, panicked, err := get()
		if err != nil || panicked != nil {
			t.Fatalf("the next call: got error %v and a panic with %v, want the new token", err, panicked)
		}
		if err := tokens.Wait(t.Context()); err != nil {
			t.Errorf("Wait: %v", err)
		}
		if stored := w.stored("alice"); stored.AccessToken != got.AccessToken || stored.RefreshToken == old.RefreshToken {
			t.Error("the new token is not stored")
		}
		w.wantRefreshes(1)
	})
}

func TestRefresh_aPanicWhileTheLeaseIsRenewedIsALostLease(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		store := &panickyStore{leasingStore: w.store.(leasingStore), method: "RenewLease"}
		store.times.Store(1)
		s := w.over(store, tokensource.WithLease(9*time.Second)).User("alice")
		time.Sleep(lifetime)
		asked := 0
		w.network(func(r *http.Request) error {
			if asked++; asked == 1 {
				time.Sleep(4 * time.Second)
				return errors.New("no answer")
			}
			return nil
		}, nil)
		w.get(s)
		lost := 0
		for _, e := range w.events {
			if e.Kind == tokensource.LeaseLost {
				lost++
				if !errors.Is(e.Err, oauthstore.ErrLeaseLost) || !strings.Contains(e.Err.Error(), "panicked") {
					t.Errorf("told of the lost lease: %v", e.Err)
				}
			}
		}
		if lost != 1 {
			t.Errorf("told of %d lost leases, want one", lost)
		}
	})
}
