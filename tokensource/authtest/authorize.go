package authtest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A code is an authorization code and what it was granted for (RFC 6749, 4.1.2).
type code struct {
	client        *Client
	user          string
	scope         []string
	redirectURI   string
	redirectNamed bool // whether the request has named redirectURI
	challenge     pkceChallenge
	expires       time.Time
	family        *family // what was issued for it; nil while it is unused
}

// Grant returns an authorization code that user has granted to the first client, for scopes or, without any, what
// [WithScopes] says. It is as one of a request without redirect_uri and code_challenge, even where the client has to send
// the latter. It panics where there is no such scope.
func (s *Server) Grant(user string, scopes ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	client := s.options.clients[0]
	g := &code{client: client, user: user, scope: s.mustGrant(scopes)}
	if len(client.RedirectURIs) > 0 {
		g.redirectURI = client.RedirectURIs[0]
	}
	return s.issueCode(g)
}

func (s *Server) issueCode(g *code) string {
	g.expires = s.now().Add(s.options.codeLifetime)
	value := newSecret("code")
	s.codes[value] = g
	return value
}

// authorize is the authorization endpoint (RFC 6749, 4.1.1). An error goes to the client by a redirect, unless it is
// one that leaves no place to redirect to (4.1.2.1): that is shown to the user.
func (s *Server) authorize(c *call) *answer {
	client, redirectURI, refused := s.redirection(c)
	if refused != nil {
		a := newAnswer(refused.status, "text/plain; charset=utf-8", []byte(refused.description+"\n"))
		a.result = refused.code
		return a
	}
	response, result := url.Values{}, OK
	granted, refused := s.consent(client, c)
	if refused == nil {
		granted.redirectURI, granted.redirectNamed = redirectURI, c.form.Get("redirect_uri") != ""
		response.Set("code", s.issueCode(granted))
	} else {
		response.Set("error", refused.code)
		response.Set("error_description", refused.description)
		result = refused.code
	}
	if state := c.form.Get("state"); state != "" {
		response.Set("state", state)
	}
	a := newAnswer(http.StatusFound, "", nil)
	a.header.Set("Location", withQuery(redirectURI, response))
	a.result = result
	return a
}

// redirection tells who asks and where the answer goes (RFC 6749, 3.1.2).
func (s *Server) redirection(c *call) (*Client, string, *refusal) {
	if refused := c.check("client_id", "redirect_uri"); refused != nil {
		return nil, "", refused
	}
	client := s.client(c.form.Get("client_id"))
	if client == nil {
		return nil, "", badRequest("client_id is not that of a registered client")
	}
	uri := c.form.Get("redirect_uri")
	switch {
	case uri == "" && len(client.RedirectURIs) == 1:
		return client, client.RedirectURIs[0], nil
	case uri == "":
		return nil, "", badRequest("redirect_uri is missing")
	case !slices.Contains(client.RedirectURIs, uri):
		return nil, "", badRequest("redirect_uri is not registered for the client")
	}
	return client, uri, nil
}

// consent is what the resource owner grants, or why not.
func (s *Server) consent(client *Client, c *call) (*code, *refusal) {
	if refused := c.check("response_type", "scope", "state", "code_challenge", "code_challenge_method"); refused != nil {
		return nil, refused
	}
	switch c.form.Get("response_type") {
	case "code":
	case "":
		return nil, badRequest("response_type is missing")
	default:
		return nil, &refusal{code: "unsupported_response_type", description: "response_type is not code"}
	}
	scope, refused := s.parseScope(c.form.Get("scope"))
	if refused != nil {
		return nil, refused
	}
	challenge, refused := newChallenge(client, c.form)
	if refused != nil {
		return nil, refused
	}
	if s.user == "" {
		return nil, &refusal{code: "access_denied", description: "the resource owner refuses"}
	}
	return &code{client: client, user: s.user, scope: scope, challenge: challenge}, nil
}

// withQuery adds to the query that uri may have (RFC 6749, 3.1.2).
func withQuery(uri string, more url.Values) string {
	if strings.Contains(uri, "?") {
		return strings.TrimSuffix(uri, "&") + "&" + more.Encode()
	}
	return uri + "?" + more.Encode()
}

// redeemable says why a request with the code is refused, or nil (RFC 6749, 4.1.3).
func (g *code) redeemable(form url.Values, now time.Time) *refusal {
	uri := form.Get("redirect_uri")
	switch {
	case !now.Before(g.expires):
		return invalidGrant("the code has expired")
	case uri == "" && g.redirectNamed:
		return badRequest("redirect_uri is missing")
	case uri != "" && uri != g.redirectURI:
		return invalidGrant("redirect_uri is not that of the authorization request")
	}
	return g.challenge.verify(form.Get("code_verifier"))
}
