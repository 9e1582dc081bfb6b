// Package testserver holds what the test servers of this module have in common: a clock that a
// test moves, a log of the requests that arrived, latency, and faults that a test orders.
//
// The servers themselves are awssm/awssmtest, vault/vaulttest and gcpsm/gcpsmtest; each embeds a
// [Control]. A test speaks to it like this:
//
//	srv := awssmtest.NewServer()
//	defer srv.Close()
//	srv.Inject(testserver.Fault{Op: "PutSecretValue", Kind: testserver.FailAfter})
//	… the next PutSecretValue takes effect, and its answer is an internal error …
//	srv.Count("PutSecretValue")
package testserver

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A Request is one call that reached a server, in the service's own words.
type Request struct {
	// Op is the operation: "GetSecretValue" on AWS, "AccessSecretVersion" on Google Cloud, and on
	// Vault the HTTP method and the API path up to the mount, such as "GET data" or "PUT destroy".
	Op string

	// Secret is the name of the secret that the request is about, empty where it is about several
	// or none.
	Secret string

	// Secrets are the names in a request for several.
	Secrets []string

	// Time is the server's clock when the request arrived.
	Time time.Time

	// Fault is what was done to the request on a test's order, None mostly.
	Fault Kind
}

// A Kind is a way for a request to go wrong.
type Kind int

// What a server can be told to do to a request.
const (
	None       Kind = iota
	FailBefore      // answer with the service's internal error; nothing has happened
	FailAfter       // carry the request out, then answer with the service's internal error
	DropAfter       // carry the request out, then break the connection without an answer
	Throttle        // answer that the rate is exceeded; nothing has happened
	Deny            // answer that the permission is missing; nothing has happened
	Hang            // do nothing and never answer; ends when the client gives up or the server closes
	HangAfter       // carry the request out and never answer
)

// String returns the name of the constant.
func (k Kind) String() string {
	names := []string{"None", "FailBefore", "FailAfter", "DropAfter", "Throttle", "Deny", "Hang", "HangAfter"}
	if k < 0 || int(k) >= len(names) {
		return "Kind(?)"
	}
	return names[k]
}

// TakesEffect reports whether a request that meets k is carried out.
func (k Kind) TakesEffect() bool {
	return k == None || k == FailAfter || k == DropAfter || k == HangAfter
}

// A Fault orders a [Kind] for some of the requests to come. Of several faults that fit a request
// the one that was ordered first is used.
type Fault struct {
	Kind Kind

	// Op and Secret, where set, must be those of the request.
	Op, Secret string

	// Skip lets that many fitting requests pass first.
	Skip int

	// Times is how many requests are hit: 0 means one, a negative number all.
	Times int
}

func (f *Fault) fits(r Request) bool {
	return (f.Op == "" || f.Op == r.Op) && (f.Secret == "" || f.Secret == r.Secret)
}

// A Control is the part of a test server that a test holds. It is safe for concurrent use.
type Control struct {
	mu       sync.Mutex
	offset   time.Duration
	latency  time.Duration
	requests []Request
	faults   []*Fault
	closing  chan struct{}
}

// NewControl returns a Control whose clock shows the time of day.
func NewControl() *Control {
	return &Control{closing: make(chan struct{})}
}

// Now returns the server's clock.
func (c *Control) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Control) now() time.Time { return time.Now().Add(c.offset) }

// Advance moves the server's clock ahead by d. Deletion windows, version quotas and delayed
// listings follow it.
func (c *Control) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// SetLatency makes every request from now on take d before it is looked at.
func (c *Control) SetLatency(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.latency = d
}

// Inject orders a fault.
func (c *Control) Inject(f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, &f)
}

// ClearFaults withdraws all faults.
func (c *Control) ClearFaults() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = nil
}

// Requests returns the requests since the start or the last [Control.ResetRequests], oldest first.
func (c *Control) Requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

// ResetRequests empties the log.
func (c *Control) ResetRequests() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = nil
}

// Count returns how many requests were logged, of the given operations or, without any, of all.
func (c *Control) Count(ops ...string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, r := range c.requests {
		if len(ops) == 0 || slices.Contains(ops, r.Op) {
			n++
		}
	}
	return n
}

// Counts returns how many requests were logged of each operation.
func (c *Control) Counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := make(map[string]int)
	for _, r := range c.requests {
		counts[r.Op]++
	}
	return counts
}

// Begin is for the servers: it logs r, waits for the latency, and returns what is to be done to it.
// Where that is [Hang], or ctx ends during the wait, Begin returns only then, with [Hang].
func Begin(ctx context.Context, c *Control, r Request) Kind {
	kind, latency := c.log(r)
	if latency > 0 && !c.wait(ctx, time.After(latency)) {
		return Hang
	}
	if kind == Hang {
		c.wait(ctx, nil)
	}
	return kind
}

// End is for the servers: for [HangAfter] it returns only when ctx ends or the server closes.
func End(ctx context.Context, c *Control, kind Kind) {
	if kind == HangAfter {
		c.wait(ctx, nil)
	}
}

// Close is for the servers: it releases every request that hangs. It may be called once.
func Close(c *Control) { close(c.closing) }

func (c *Control) log(r Request) (Kind, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.Time = c.now()
	r.Fault = c.take(r)
	c.requests = append(c.requests, r)
	return r.Fault, c.latency
}

// take finds the fault for r and uses one of its times up.
func (c *Control) take(r Request) Kind {
	for i, f := range c.faults {
		switch {
		case !f.fits(r):
		case f.Skip > 0:
			f.Skip--
		default:
			if f.Times > 0 {
				f.Times--
			}
			if f.Times == 0 {
				c.faults = slices.Delete(c.faults, i, i+1)
			}
			return f.Kind
		}
	}
	return None
}

// wait reports whether done came before the end of ctx and of the server.
func (c *Control) wait(ctx context.Context, done <-chan time.Time) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	case <-c.closing:
		return false
	}
}
