package authtest

import (
	"net/http"
	"strings"
)

// resource is the protected resource (RFC 6750, 2.1 and 3).
func (s *Server) resource(c *call) *answer {
	const realm = `Bearer realm="authtest"`
	value, ok := bearer(c.http)
	if !ok {
		// Who shows no token is told of no error (RFC 6750, 3.1).
		a := newAnswer(http.StatusUnauthorized, "", nil)
		a.header.Set("WWW-Authenticate", realm)
		a.result = "unauthorized"
		return a
	}
	t := s.accessTokens[value]
	if t == nil || !t.valid(s.now()) {
		r := &refusal{status: http.StatusUnauthorized, code: "invalid_token", description: "the access token is unknown, expired or revoked"}
		r.challenge = realm + `, error="` + r.code + `", error_description="` + r.description + `"`
		return r.answer()
	}
	return newAnswer(http.StatusOK, "text/plain; charset=utf-8", []byte(t.family.user))
}

// bearer returns the access token in the Authorization header.
func bearer(r *http.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// revocation is the revocation endpoint (RFC 7009). A refresh token takes its family with it, an access token goes
// alone. It is no error if there is no such token (2.2).
func (s *Server) revocation(c *call) *answer {
	refused := c.check("token", "token_type_hint", "client_id", "client_secret")
	var client *Client
	if refused == nil {
		client, refused = s.authenticate(c)
	}
	value := c.form.Get("token")
	if refused == nil && value == "" {
		refused = badRequest("token is missing")
	}
	if refused == nil {
		refused = s.revoke(client, value)
	}
	if refused != nil {
		return refused.answer()
	}
	return newAnswer(http.StatusOK, "", nil)
}

func (s *Server) revoke(client *Client, value string) *refusal {
	refresh, access := s.refreshTokens[value], s.accessTokens[value]
	switch {
	case refresh != nil && refresh.family.client != client, access != nil && access.family.client != client:
		return invalidGrant("the token is another client's")
	case refresh != nil:
		refresh.family.revoked = true
	case access != nil:
		access.revoked = true
	}
	return nil
}
