package authtest

import (
	"strings"
	"time"
)

// A Request is one that has arrived. It holds no secret.
type Request struct {
	// Op is what is asked for: at the token endpoint the grant, "authorization_code" or "refresh_token", or "token"
	// for any other; elsewhere "authorize", "revoke" or "resource", and "unknown" for all other paths.
	Op string

	// ClientID is that of the registered client which the request claims to be from.
	ClientID string

	// User and Family are those of the code or token in the request, valid or not.
	User, Family string

	// Time is the server's clock when the request arrived.
	Time time.Time

	// Fault is what goes wrong with the request on a test's order.
	Fault Fault

	// Result is [OK], the error code in the RFC's terms, or [Unprocessed]; at the resource also "unauthorized" for a
	// request without a token. It is what the request came to, even if the answer is lost. It is empty until then.
	Result string
}

// What a [Request] may come to, besides an error code.
const (
	OK          = "ok"
	Unprocessed = "unprocessed" // a fault has hit it before it took effect
)

// describe names a request for the log.
func (s *Server) describe(c *call) *Request {
	r := &Request{Op: operation(c), Time: s.now()}
	id, _, ok := basicCredentials(c.http)
	if !ok {
		id = c.form.Get("client_id")
	}
	if s.client(id) != nil { // anything else could be a secret in the wrong place
		r.ClientID = id
	}
	r.User, r.Family = s.owner(r.Op, c)
	return r
}

func operation(c *call) string {
	path := c.http.URL.Path
	switch grant := c.form.Get("grant_type"); {
	case path == "/token" && (grant == "authorization_code" || grant == "refresh_token"):
		return grant
	case path == "/token", path == "/authorize", path == "/revoke", path == "/resource":
		return strings.TrimPrefix(path, "/")
	}
	return "unknown"
}

// owner tells whose the code or the token in a request is.
func (s *Server) owner(op string, c *call) (user, familyID string) {
	var f *family
	switch op {
	case "authorize":
		return s.user, ""
	case "authorization_code":
		g := s.codes[c.form.Get("code")]
		switch {
		case g != nil && g.family != nil:
			f = g.family
		case g != nil:
			return g.user, ""
		}
	case "refresh_token":
		f = s.familyOf(c.form.Get("refresh_token"))
	case "revoke":
		f = s.familyOf(c.form.Get("token"))
	case "resource":
		value, _ := c.bearer()
		f = s.familyOf(value)
	}
	if f == nil {
		return "", ""
	}
	return f.user, f.id
}

func (s *Server) familyOf(token string) *family {
	if t := s.refreshTokens[token]; t != nil {
		return t.family
	}
	if t := s.accessTokens[token]; t != nil {
		return t.family
	}
	return nil
}

// Requests returns the requests so far, in the order in which they arrived.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Request, len(s.requests))
	for i, r := range s.requests {
		all[i] = *r
	}
	return all
}

// Stats are what a server has done, and the state that it is in, at one moment.
type Stats struct {
	// TokenRequests counts the requests to the token endpoint that have come to something, by Op and Result of the
	// [Request], such as TokenRequests["refresh_token"]["invalid_grant"].
	TokenRequests map[string]map[string]int

	// Families are all that there have been, oldest first.
	Families []Family

	// Reuses are the presentations of superseded refresh tokens, in their order, those in the grace period excepted.
	Reuses []Reuse

	// AccessTokens is how many of them are good now.
	AccessTokens int
}

// A Family is all that came of one grant of a user.
type Family struct {
	ID, User, ClientID string
	Refreshes          int  // that were successful
	Graced             int  // of them, those with a superseded refresh token: see WithReuseGrace
	Reuses             int  // presentations of superseded refresh tokens that were refused
	Revoked            bool // whether its tokens are worth nothing any more
	AccessTokens       int  // that are good now
}

// A Reuse is a presentation of a refresh token that was superseded. Of one family there may be several: the first ends
// it, and the others find it ended.
type Reuse struct {
	Family, User string
	Time         time.Time
}

// Stats counts what there has been until now. Whatever is in the answer to a request is counted before it is sent.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := Stats{TokenRequests: make(map[string]map[string]int), Reuses: append([]Reuse(nil), s.reuses...)}
	for _, r := range s.requests {
		stats.count(r)
	}
	valid, now := make(map[*family]int), s.now()
	for _, t := range s.accessTokens {
		if t.valid(now) {
			valid[t.family]++
			stats.AccessTokens++
		}
	}
	for _, f := range s.families {
		stats.Families = append(stats.Families, Family{
			ID: f.id, User: f.user, ClientID: f.client.ID, Refreshes: f.refreshes, Graced: f.graced,
			Reuses: f.reuses, Revoked: f.revoked, AccessTokens: valid[f],
		})
	}
	return stats
}

func (s *Stats) count(r *Request) {
	switch {
	case r.Result == "":
	case r.Op == "authorization_code", r.Op == "refresh_token", r.Op == "token":
		if s.TokenRequests[r.Op] == nil {
			s.TokenRequests[r.Op] = make(map[string]int)
		}
		s.TokenRequests[r.Op][r.Result]++
	}
}
