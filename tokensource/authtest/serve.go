package authtest

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"time"
)

// maxBody is the largest request body that is read, in bytes.
const maxBody = 1 << 20

// A call is a request on its way through the server.
type call struct {
	http  *http.Request
	form  url.Values // of the query in a GET, of the body in a POST
	err   error      // why form is not all
	entry *Request   // in the log
}

// ServeHTTP answers a request, for who serves the server on a socket of their own.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.handlers.Done()

	c := newCall(w, r)
	fault := s.arrive(c)
	before, after := s.latency.draw()
	s.wait(before)
	answer := s.process(c, fault)
	s.wait(after + fault.Delay)
	fault.spoil(answer).write(w)
}

func newCall(w http.ResponseWriter, r *http.Request) *call {
	c := &call{http: r}
	if r.Method != http.MethodPost {
		c.form, c.err = url.ParseQuery(r.URL.RawQuery)
		return c
	}
	if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t != "application/x-www-form-urlencoded" {
		c.err = errors.New("the body is not a form")
		return c
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	c.err = r.ParseForm()
	c.form = r.PostForm
	return c
}

// arrive logs the call and finds out what is to happen to it.
func (s *Server) arrive(c *call) Fault {
	fault := s.faults.next(s.logged(c))
	s.mu.Lock()
	defer s.mu.Unlock()
	c.entry.Fault = fault
	return fault
}

// logged writes the call into the log and returns a copy of the entry.
func (s *Server) logged(c *call) Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.entry = s.describe(c)
	s.requests = append(s.requests, c.entry)
	return *c.entry
}

// process carries the call out, at one moment, unless the fault is that it is not.
func (s *Server) process(c *call, fault Fault) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !fault.processes() {
		c.entry.Result = Unprocessed
		return nil
	}
	a := s.route(c)
	c.entry.Result = a.result
	return a
}

func (s *Server) route(c *call) *answer {
	endpoint, method := s.authorize, http.MethodGet
	switch c.http.URL.Path {
	case "/authorize":
	case "/token":
		endpoint, method = s.token, http.MethodPost
	case "/revoke":
		endpoint, method = s.revocation, http.MethodPost
	case "/resource":
		endpoint = s.resource
	default:
		return (&refusal{status: http.StatusNotFound, code: "not_found", description: "no such endpoint"}).answer()
	}
	if c.http.Method != method {
		a := (&refusal{status: http.StatusMethodNotAllowed, code: "invalid_request", description: "wrong method"}).answer()
		a.header.Set("Allow", method)
		return a
	}
	return endpoint(c)
}

// check refuses what RFC 6749, 3.1 and 3.2, refuse of the parameters that an endpoint knows: more than one value. The
// others are ignored, and one without a value counts as left out.
func (c *call) check(known ...string) *refusal {
	if c.err != nil {
		return badRequest("the request cannot be read") // the cause may quote a secret
	}
	for _, name := range known {
		if len(c.form[name]) > 1 {
			return badRequest(name + " is given more than once")
		}
	}
	return nil
}

// wait lets d pass; a server that closes ends the request instead, without an answer.
func (s *Server) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.closing:
		panic(http.ErrAbortHandler)
	}
}
