package gcpsm

import (
	"testing"

	"github.com/oauthstore/oauthstore/internal/fleet"
)

func TestFleet(t *testing.T) {
	b := newBackend(t)
	fleet.InRealTime(t, func(testing.TB) fleet.Store {
		s, err := New(b.client(t), "my-project")
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
