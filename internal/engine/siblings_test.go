package engine

import (
	"fmt"
	"testing"

	"github.com/oauthstore/oauthstore"
)

// Users with several clients.

// A further client costs no more for a user who has many.
func TestClaim_tellsFewSiblings(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := m.store()
		for i := range 60 {
			m.forgetCalls()
			save(t, s, oauthstore.OAuthToken{UserName: "alice", ClientID: fmt.Sprint("client", i), RefreshToken: "r"})
			if n := m.count("", ""); n > 4+2*enoughTold {
				t.Fatalf("client %d: got %d calls", i, n)
			}
		}
		_, headers, _ := m.content(t)
		for id, rec := range headers {
			if !rec.Siblings {
				t.Errorf("the record %s does not know that the user has others", id)
			}
		}
		m.wantConsistent(t)
	})
}

// The first read of the user's record lags behind. The claim reads it again, and must not insert another.
func TestClaim_whatItFindsAfterTheLookupIsNotPassedOver(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := m.store()
		save(t, s, oauthstore.OAuthToken{ID: "y", UserName: "alice", ClientID: "c", RefreshToken: "first"})
		m.on(get, "token_y", func(func() error) error { return nil }) // not there yet, it says
		save(t, s, oauthstore.OAuthToken{UserName: "alice", RefreshToken: "second"})
		m.wantIDs(t, "y")
		if got := m.token(t, "y").RefreshToken; got != "second" {
			t.Errorf("got %s", got)
		}
	})
}
