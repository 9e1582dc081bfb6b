//go:build go1.25

package tokensource_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauthstore/oauthstore/internal/fleet"
	"github.com/oauthstore/oauthstore/memory"
)

// inMemory is a fleet of 50 over one store in memory, for some hours of access tokens that live for seconds.
func inMemory() fleet.Fleet {
	store := memory.New()
	return fleet.Fleet{
		NewStore: func(testing.TB) fleet.Store { return store }, Instances: 50, Run: 10 * time.Minute,
		Lifetime: 5 * time.Second, Latency: 200 * time.Millisecond, Lease: 2 * time.Second,
	}
}

func TestFleet(t *testing.T) {
	for name, change := range map[string]func(f *fleet.Fleet){
		"nobody is killed": func(*fleet.Fleet) {},
		"some are killed":  func(f *fleet.Fleet) { f.Kills = 200 },
		"some are killed while they ask a provider that allows for it": func(f *fleet.Fleet) {
			f.Kills, f.Grace = 200, time.Minute
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := inMemory()
				change(&f)
				r := f.Start(t)
				t.Log(r)
				r.Check(t, true)
			})
		})
	}
}

func TestFleet_byHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := inMemory()
		f.Plain = true
		r := f.Start(t)
		t.Log(r)
		if r.Reuses == 0 || r.Revocations == 0 {
			t.Error("the fleet has suffered nothing: this proves nothing of the other")
		}
	})
}
