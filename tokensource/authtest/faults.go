package authtest

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A Kind is a way for a request to go wrong.
type Kind int

// What becomes of an answer.
const (
	None   Kind = iota // it is sent
	Fail               // it is an error, with Fault.Status
	Drop               // the connection breaks instead
	Garble             // half of it is sent, which is not JSON
	HTML               // it is a page in HTML, with Fault.Status
	Huge               // 16 MiB of spaces come before it
)

// String returns the name of the constant.
func (k Kind) String() string {
	names := []string{"None", "Fail", "Drop", "Garble", "HTML", "Huge"}
	if k < 0 || int(k) >= len(names) {
		return "Kind(?)"
	}
	return names[k]
}

// hugePadding is what [Huge] is named for, in bytes.
const hugePadding = 16 << 20

// A Fault is what goes wrong with a request. The zero value is nothing.
type Fault struct {
	Kind Kind

	// After lets the request take effect before it goes wrong: the answer is lost, and the client cannot know. It
	// says nothing where Kind is None.
	After bool

	// Delay is waited before the answer, in addition to [Latency].
	Delay time.Duration

	// Status is that of the answer: by default 500 of Fail, 200 of Garble, HTML and Huge.
	Status int

	// Code is error in the answer of Fail: by default server_error for 500, temporarily_unavailable for others.
	Code string

	// RetryAfter, rounded up to seconds, is sent in the header of that name.
	RetryAfter time.Duration

	// For [Server.Inject]: Op and User, where set, must be those of the [Request]; Skip lets that many fitting
	// requests pass first; Times is how many are hit, 0 for one, a negative number for all.
	Op, User    string
	Skip, Times int
}

func (f *Fault) fits(r Request) bool {
	return (f.Op == "" || f.Op == r.Op) && (f.User == "" || f.User == r.User)
}

// processes reports whether a request that meets f is carried out.
func (f Fault) processes() bool { return f.Kind == None || f.After }

// Inject orders a fault for some of the requests to come. Of several that fit a request the one that was ordered
// first is used.
func (s *Server) Inject(f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.queue = append(s.faults.queue, &f)
}

// ClearFaults withdraws what was injected.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.queue = nil
}

// WithFaults asks decide, when a request has arrived that no injected fault is for, what is to go wrong with it. It
// is called for one request at a time, and its Op, User, Skip and Times count for nothing.
func WithFaults(decide func(Request) Fault) Option {
	return func(o *options) { o.faults = decide }
}

// faults are those to come.
type faults struct {
	mu    sync.Mutex
	queue []*Fault

	asking sync.Mutex // not mu: the hook may inject
	hook   func(Request) Fault
}

func (f *faults) next(r Request) Fault {
	if fault, ok := f.take(r); ok {
		return fault
	}
	f.asking.Lock()
	defer f.asking.Unlock()
	return f.hook(r)
}

// take finds the fault for r and uses one of its times up.
func (f *faults) take(r Request) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fault := range f.queue {
		switch {
		case !fault.fits(r):
		case fault.Skip > 0:
			fault.Skip--
		default:
			if fault.Times > 0 {
				fault.Times--
			}
			if fault.Times == 0 {
				f.queue = slices.Delete(f.queue, i, i+1)
			}
			return *fault, true
		}
	}
	return Fault{}, false
}

// spoil makes of the answer, nil where the request was not carried out, what is sent.
func (f Fault) spoil(a *answer) *answer {
	if a == nil {
		a = jsonAnswer(http.StatusOK, map[string]any{})
	}
	switch f.Kind {
	case None:
		return a
	case Drop:
		panic(http.ErrAbortHandler)
	case Fail:
		a = f.failure()
	case Garble:
		a = newAnswer(http.StatusOK, "application/json", a.body[:len(a.body)/2])
	case HTML:
		a = newAnswer(http.StatusOK, "text/html; charset=utf-8", []byte("<!DOCTYPE html>\n<title>Please wait</title>\n"))
	case Huge:
		a = newAnswer(http.StatusOK, "application/json", a.body)
		a.padding = hugePadding
	}
	if f.Status != 0 {
		a.status = f.Status
	}
	if f.RetryAfter > 0 {
		a.header.Set("Retry-After", strconv.FormatInt(int64((f.RetryAfter+time.Second-1)/time.Second), 10))
	}
	return a
}

func (f Fault) failure() *answer {
	r := &refusal{status: http.StatusInternalServerError, code: f.Code, description: "ordered by the test"}
	switch {
	case f.Code != "":
	case f.Status == 0 || f.Status == http.StatusInternalServerError:
		r.code = "server_error"
	default:
		r.code = "temporarily_unavailable"
	}
	return r.answer()
}

// Latency is how slow the server is.
type Latency struct {
	Before, After time.Duration // before a request takes effect, and before its answer
	Jitter        time.Duration // up to so much more, each
	Seed          uint64        // of the jitter
}

// SetLatency makes every request from now on take its time.
func (s *Server) SetLatency(l Latency) {
	s.latency.mu.Lock()
	defer s.latency.mu.Unlock()
	s.latency.Latency = l
	s.latency.random = rand.New(rand.NewPCG(l.Seed, 0))
}

type latency struct {
	mu     sync.Mutex
	random *rand.Rand
	Latency
}

// draw returns what the next request has to wait.
func (l *latency) draw() (before, after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Before + l.jitter(), l.After + l.jitter()
}

func (l *latency) jitter() time.Duration {
	if l.Jitter <= 0 {
		return 0
	}
	return time.Duration(l.random.Int64N(int64(l.Jitter) + 1))
}
