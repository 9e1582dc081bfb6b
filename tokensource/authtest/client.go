package authtest

import (
	"net/http"
	"net/url"
	"strings"
)

// The client that is registered by default.
const (
	ClientID     = "client"
	ClientSecret = "client-secret"
	RedirectURI  = "http://127.0.0.1/callback"
)

// A Client is a registered client (RFC 6749, 2).
type Client struct {
	ID string

	// Secret is the client's password; a public client (RFC 6749, 2.1) has none, and names itself with client_id.
	Secret string

	// Auth is the one way in which the client may authenticate; empty: both.
	Auth AuthMethod

	// RedirectURIs are those that may be asked for, compared as strings (RFC 9700, 2.1). Where there is one only, an
	// authorization request may leave it out.
	RedirectURIs []string

	// RequirePKCE refuses authorization requests without a code_challenge, as those of a public client always are
	// (RFC 9700, 2.1.1).
	RequirePKCE bool
}

// An AuthMethod is a way to send a client secret, under its registered name (RFC 7591, 2).
type AuthMethod string

// The two ways of RFC 6749, 2.3.1.
const (
	ClientSecretBasic AuthMethod = "client_secret_basic" // HTTP Basic
	ClientSecretPost  AuthMethod = "client_secret_post"  // client_id and client_secret in the body
)

const noSecret AuthMethod = "none" // of public clients

// mustBeRegistrable panics for a client without an id, or with another's, and for a redirect URI that is not absolute or
// has a fragment (RFC 6749, 3.1.2), or is itself what a browser would run or show.
func (s *Server) mustBeRegistrable(c *Client) {
	switch {
	case c.ID == "":
		panic("authtest: a client has no ID")
	case s.client(c.ID) != c:
		panic("authtest: client " + c.ID + " is registered twice")
	}
	for _, uri := range c.RedirectURIs {
		u, err := url.Parse(uri)
		if err != nil || !u.IsAbs() || strings.Contains(uri, "#") || u.Scheme == "javascript" || u.Scheme == "data" {
			panic("authtest: client " + c.ID + ": not a redirect URI: " + uri)
		}
	}
}

func (c *Client) accepts(m AuthMethod) bool {
	if c.Secret == "" {
		return m == noSecret
	}
	return m == c.Auth || c.Auth == "" && m != noSecret
}

func (s *Server) client(id string) *Client {
	for _, c := range s.options.clients {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// authenticate tells which client a request to the token or revocation endpoint is from (RFC 6749, 2.3 and 3.2.1).
func (s *Server) authenticate(c *call) (*Client, *refusal) {
	id, secret, method, refused := credentials(c)
	if refused != nil {
		return nil, refused
	}
	client := s.client(id)
	if client == nil || !client.accepts(method) || client.Secret != secret {
		return nil, invalidClient(method == ClientSecretBasic)
	}
	return client, nil
}

func credentials(c *call) (id, secret string, method AuthMethod, refused *refusal) {
	id, secret = c.form.Get("client_id"), c.form.Get("client_secret")
	switch {
	case c.http.Header.Get("Authorization") == "" && secret == "":
		return id, "", noSecret, nil
	case c.http.Header.Get("Authorization") == "":
		return id, secret, ClientSecretPost, nil
	case secret != "":
		return "", "", "", badRequest("two ways of client authentication")
	}
	basicID, basicSecret, ok := basicCredentials(c.http)
	if !ok {
		return "", "", "", invalidClient(true)
	}
	if id != "" && id != basicID {
		return "", "", "", badRequest("client_id is not the client that authenticates")
	}
	return basicID, basicSecret, ClientSecretBasic, nil
}

// basicCredentials decodes twice: both values are form-encoded before they become user and password of HTTP Basic
// (RFC 6749, 2.3.1).
func basicCredentials(r *http.Request) (id, secret string, ok bool) {
	user, password, ok := r.BasicAuth()
	id, idErr := url.QueryUnescape(user)
	secret, secretErr := url.QueryUnescape(password)
	return id, secret, ok && idErr == nil && secretErr == nil
}

// invalidClient is 401 with a challenge to who has used the Authorization header (RFC 6749, 5.2).
func invalidClient(byHeader bool) *refusal {
	r := &refusal{status: http.StatusBadRequest, code: "invalid_client", description: "client authentication failed"}
	if byHeader {
		r.status, r.challenge = http.StatusUnauthorized, `Basic realm="authtest"`
	}
	return r
}
