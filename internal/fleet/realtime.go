package fleet

import (
	"flag"
	"testing"
	"time"
)

const defaultLength = 4 * time.Second

var length = flag.Duration("fleet", defaultLength, "how long the fleets in real time run")

// InRealTime runs a fleet of 50 whose access tokens live for 2 seconds, over a server that is reached by a socket,
// checks what it is promised but for times, and logs the report. Where it runs for longer than it does by default, it
// also logs what the same instances suffer without package tokensource.
func InRealTime(t *testing.T, newStore func(testing.TB) Store) {
	t.Helper()
	f := Fleet{
		NewStore: newStore, Instances: 50, Run: *length, Lifetime: 2 * time.Second, Latency: 50 * time.Millisecond,
		Lease: time.Second, Kills: int(*length / (500 * time.Millisecond)), Grace: time.Minute,
	}
	r := f.Start(t)
	t.Log(r)
	r.Check(t, false)
	if *length > defaultLength {
		f.Plain, f.Kills, f.Grace = true, 0, 0
		t.Log(f.Start(t))
	}
}
