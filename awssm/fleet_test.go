//go:build go1.25

package awssm

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/internal/fleet"
)

// startFleet runs a fleet over a server in virtual time.
func startFleet(t *testing.T, f fleet.Fleet, opts []Option, serverOpts ...awssmtest.Option) {
	synctest.Test(t, func(t *testing.T) {
		srv := awssmtest.NewServer(append(serverOpts, awssmtest.WithoutSocket())...)
		defer srv.Close()
		f.NewStore = func(t testing.TB) fleet.Store {
			s, err := New(srv.Client(), opts...)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		r := f.Start(t)
		t.Log(r)
		t.Logf("calls to the service: %d GetSecretValue, %d PutSecretValue", srv.Count("GetSecretValue"), srv.Count("PutSecretValue"))
		r.Check(t, true)
	})
}

// A day of access tokens that live for an hour, with the service's quotas on, and reads that lag behind.
func TestFleet_aDay(t *testing.T) {
	startFleet(t, fleet.Fleet{
		Instances: 50, Run: 24 * time.Hour, Lifetime: time.Hour, Latency: 200 * time.Millisecond, Lease: 30 * time.Second,
		Kills: 100, Grace: time.Minute, Lag: time.Second,
	}, nil, awssmtest.WithStaleReads(time.Second))
}

func TestFleet_accessTokensForSeconds(t *testing.T) {
	startFleet(t, fleet.Fleet{
		Instances: 50, Run: time.Minute, Lifetime: 5 * time.Second, Latency: 200 * time.Millisecond, Lease: 2 * time.Second,
		Kills: 20, Grace: time.Minute, Lag: time.Second,
	}, []Option{WithVersionQuota(0)}, awssmtest.WithVersionQuota(0), awssmtest.WithStaleReads(time.Second))
}
