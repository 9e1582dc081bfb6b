//go:build go1.25

package tokensource_test

import (
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/tokensource"
)

// A lease is taken over once it was seen unchanged for as long as it was to run, by however many calls.

// die takes the lease on a user's record, and does nothing with it.
func (w *world) die(user string, lease time.Duration) {
	w.t.Helper()
	l, err := w.store.(leasingStore).LeaseToken(w.t.Context(), oauthstore.LeaseRequest{ID: user, For: lease})
	if err != nil || !l.Held {
		w.t.Fatalf("got %v and error %v", l, err)
	}
}

func TestRefresh_inTheForegroundADeadHolderIsSeenToBeDead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		old := w.login("alice")
		s := w.tokens(tokensource.WithForeground(), tokensource.WithEarlyRefresh(5*time.Minute, 0)).User("alice")
		w.get(s)
		time.Sleep(lifetime - 5*time.Minute)
		w.die("alice", 30*time.Second)
		for range 60 {
			w.get(s)
			time.Sleep(time.Second)
		}
		if got := w.get(s); got.AccessToken == old.AccessToken {
			t.Error("a minute later the token is not refreshed")
		}
	})
}

func TestRefresh_aDeadHolderWhoseLeaseIsLongerThanOnesPatience(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		w.die("alice", 5*time.Minute)
		s := w.tokens().User("alice")
		begun := time.Now()
		for {
			if _, err := s.Token(); err == nil {
				break
			}
		}
		if took := time.Since(begun); took > 6*time.Minute {
			t.Errorf("the lease was taken over after %v", took)
		}
	})
}
