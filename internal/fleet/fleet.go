// Package fleet runs many instances of a service that use one user's token, over one store and one provider, and
// counts what the provider sees of them. Instances share nothing but those two, and may be killed at any moment.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/tokensource"
	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

// A Fleet says what is to run. Times may be virtual.
type Fleet struct {
	NewStore func(testing.TB) Store // one for each instance

	Instances int
	Run       time.Duration
	Lifetime  time.Duration // of access tokens
	Latency   time.Duration // of the provider, before and after a request takes effect
	Lease     time.Duration
	Lag       time.Duration // of the store: how long a read may show what was before
	Kills     int           // spread over Run; each is followed by a new instance

	// Grace is how long the provider takes a superseded refresh token, as some do for clients that have died. Without
	// it an instance is not killed between its request to the provider and the end of its save.
	Grace time.Duration

	// Plain lets the instances do without package tokensource: they look into the store, refresh where that is needed,
	// and save what they get.
	Plain bool
}

// A Store is what the stores of this module are.
type Store interface {
	oauthstore.TokenStore
	oauthstore.TokenUpdater
	oauthstore.TokenLeaser
}

// A Report is what has happened.
type Report struct {
	Fleet       Fleet
	Calls       int           // of instances for a token
	Refreshes   int           // that the provider has granted
	Refused     int           // that it has not
	Reuses      int           // of superseded refresh tokens that the provider has detected
	Graced      int           // that it has let pass
	Revocations int           // of families of tokens
	Logins      int           // that became necessary
	Holders     int           // killed while they were refreshing
	Bad         int           // tokens that the API did not take
	Longest     time.Duration // that an instance was without a token
}

// Expiries is how many access tokens can have come to their end.
func (r *Report) Expiries() int { return int(r.Fleet.Run/(r.Fleet.Lifetime-leeway)) + 1 }

// String is the report in some lines.
func (r *Report) String() string {
	what := "tokensource"
	if r.Fleet.Plain {
		what = "persist-on-refresh wrapper"
	}
	return fmt.Sprintf(`%s: %d instances, %v, access tokens for %v, provider latency %v, lease %v, %d killed, %d of them while refreshing
	calls for a token %d; access tokens that can have ended: %d
	refreshes granted %d, refused %d; reuse detections %d, let pass %d; families revoked %d; new logins %d
	tokens that the API did not take %d; longest time without a token %v`,
		what, r.Fleet.Instances, r.Fleet.Run, r.Fleet.Lifetime, 2*r.Fleet.Latency, r.Fleet.Lease, r.Fleet.Kills, r.Holders,
		r.Calls, r.Expiries(), r.Refreshes, r.Refused, r.Reuses, r.Graced, r.Revocations, r.Logins, r.Bad, r.Longest.Round(time.Millisecond))
}

// Check demands what a fleet is promised. Times are only looked at where they are exact.
func (r *Report) Check(t testing.TB, exact bool) {
	t.Helper()
	if r.Reuses > 0 || r.Revocations > 0 || r.Logins > 0 {
		t.Errorf("got %d reuse detections, %d revocations, %d new logins, want none", r.Reuses, r.Revocations, r.Logins)
	}
	if r.Bad > 0 {
		t.Errorf("%d tokens were given out that the API does not take", r.Bad)
	}
	if r.Graced > r.Holders {
		t.Errorf("%d refresh tokens were sent twice, want no more than the %d holders that were killed", r.Graced, r.Holders)
	}
	if !exact {
		return
	}
	if most := r.Expiries() + r.Holders; r.Refreshes > most {
		t.Errorf("got %d refreshes, want at most %d", r.Refreshes, most)
	}
	pauses := 200*time.Millisecond + 2*r.Fleet.Lag // of those who wait
	if most := 2*r.Fleet.Latency + r.Fleet.Lease + pauses; r.Longest > most {
		t.Errorf("an instance was without a token for %v, want at most %v", r.Longest, most)
	}
}

// leeway is how long before its end a token is not given out any more.
const leeway = 500 * time.Millisecond

const user = "alice"

// run is a fleet at work.
type run struct {
	Fleet
	t     testing.TB
	srv   *authtest.Server
	admin Store

	mu     sync.Mutex
	report Report
	crew   map[*instance]bool

	lastHolder time.Time // when one was killed that was refreshing
}

// Start runs the fleet and returns what has happened.
func (f Fleet) Start(t testing.TB) *Report {
	t.Helper()
	srv := authtest.NewServer(authtest.WithoutSocket(), authtest.WithAccessTokenLifetime(f.Lifetime), authtest.WithReuseGrace(f.Grace))
	defer srv.Close()
	r := &run{Fleet: f, t: t, srv: srv, admin: f.NewStore(t), report: Report{Fleet: f}, crew: make(map[*instance]bool)}
	if err := r.login(); err != nil {
		t.Fatal(err)
	}
	r.report.Logins = 0 // that one was to be
	ctx, cancel := context.WithTimeout(context.Background(), f.Run)
	defer cancel()
	var working sync.WaitGroup
	begin := func() {
		i := r.newInstance(ctx)
		working.Add(1)
		go func() {
			defer working.Done()
			i.work()
		}()
	}
	for range f.Instances {
		begin()
	}
	for range f.Kills {
		sleep(ctx, time.Duration(float64(f.Run)/float64(f.Kills+1)*(0.5+rand.Float64())))
		if ctx.Err() == nil && r.kill(ctx) {
			begin()
		}
	}
	<-ctx.Done()
	working.Wait()
	r.count()
	return &r.report
}

// login stores new tokens of the user, unless those that are stored are good.
func (r *run) login() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	ctx := context.Background()
	stored, err := r.admin.FindToken(ctx, &oauthstore.OAuthToken{UserName: user})
	if err == nil && r.good(stored.AccessToken) {
		return nil // somebody else was faster
	}
	r.report.Logins++
	got := r.srv.Issue(user)
	return r.admin.SaveToken(ctx, &oauthstore.OAuthToken{
		UserName: user, ClientID: authtest.ClientID, AccessToken: got.AccessToken, RefreshToken: got.RefreshToken, Expiry: got.Expiry,
	})
}

// kill kills one of the instances, where it may every third time one that is refreshing; but not one after the other, so
// that what the fleet has to wait for can be told.
func (r *run) kill(ctx context.Context) bool {
	holder := r.Grace > 0 && rand.N(3) == 0
	for tries := 0; ctx.Err() == nil; tries++ {
		r.mu.Lock()
		spare := time.Since(r.lastHolder) < r.Lifetime+2*r.Lease
		var victim *instance
		for i := range r.crew { // in random order
			switch {
			case holder && !spare && tries < 2000 && !i.isHolding():
			case spare && i.isHolding():
			case r.Grace > 0 || r.Plain || !i.isAsking():
				victim = i
			}
			if victim != nil {
				break
			}
		}
		if victim != nil {
			delete(r.crew, victim)
			if victim.isHolding() {
				r.report.Holders++
				r.lastHolder = time.Now()
			}
			victim.die()
		}
		r.mu.Unlock()
		if victim != nil {
			return true
		}
		time.Sleep(r.Lifetime / 1000)
	}
	return false
}

func (r *run) count() {
	stats := r.srv.Stats()
	for result, n := range stats.TokenRequests["refresh_token"] {
		if result == authtest.OK {
			r.report.Refreshes = n
		} else {
			r.report.Refused += n
		}
	}
	r.report.Reuses = len(stats.Reuses)
	for _, f := range stats.Families {
		r.report.Graced += f.Graced
		if f.Revoked {
			r.report.Revocations++
		}
	}
}

// good reports whether the API takes the access token.
func (r *run) good(accessToken string) bool {
	rec := httptest.NewRecorder()
	req := httptest.NewRequest("GET", "/resource", nil)
	req.Header.Set("Authorization", "Bearer "+accessToken)
	r.srv.ServeHTTP(rec, req)
	return rec.Code == http.StatusOK
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// A source is how an instance comes by a token.
type source interface {
	TokenContext(ctx context.Context) (*oauth2.Token, error)
}

// work asks for tokens and uses them, until the instance is killed or the run is over.
func (i *instance) work() {
	r := i.run
	var since time.Time // that it has none
	for i.ctx.Err() == nil {
		begin := time.Now()
		if since.IsZero() {
			since = begin
		}
		token, err := i.source.TokenContext(i.ctx)
		r.mu.Lock()
		if i.ctx.Err() == nil {
			r.report.Calls++
			if err == nil {
				if !r.good(token.AccessToken) && time.Now().Before(token.Expiry) { // else the machine has stood still
					r.report.Bad++
				}
				r.report.Longest = max(r.report.Longest, time.Since(since))
				since = time.Time{}
			}
		}
		r.mu.Unlock()
		var reauth *tokensource.ReauthRequiredError
		if i.ctx.Err() == nil && errors.As(err, &reauth) {
			if err := r.login(); err != nil {
				r.t.Errorf("a new login: %v", err)
			}
		} else if err != nil && i.ctx.Err() == nil && !errors.Is(err, oauthstore.ErrUnavailable) {
			r.t.Errorf("an instance: %v", err)
		}
		sleep(i.ctx, rand.N(r.Lifetime/10))
	}
	i.end()
}
