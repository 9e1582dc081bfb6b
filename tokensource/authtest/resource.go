package authtest

import (
	"net/http"
	"regexp"
	"strings"
)

// resource is the protected resource (RFC 6750, 2.1 and 3).
func (s *Server) resource(c *call) *answer {
	const realm = `Bearer realm="authtest"`
	value, refused := c.bearer()
	if refused == nil && value == "" {
		// Who shows no token is told of no error (RFC 6750, 3.1).
		a := newAnswer(http.StatusUnauthorized, "", nil)
		a.header.Set("WWW-Authenticate", realm)
		a.result = "unauthorized"
		return a
	}
	t := s.accessTokens[value]
	if refused == nil && (t == nil || !t.valid(s.now())) {
		refused = &refusal{status: http.StatusUnauthorized, code: "invalid_token", description: "the access token is unknown, expired or revoked"}
	}
	if refused != nil {
		refused.challenge = realm + `, error="` + refused.code + `", error_description="` + refused.description + `"`
		return refused.answer()
	}
	return newAnswer(http.StatusOK, "text/plain; charset=utf-8", []byte(t.family.user))
}

// bearerSyntax is that of an Authorization header with an access token (RFC 6750, 2.1).
var bearerSyntax = regexp.MustCompile(`^(?i:Bearer) +([A-Za-z0-9._~+/-]+=*)$`)

// bearer returns the access token in the Authorization header, empty where there is none or one of another scheme. One
// in the query (RFC 6750, 2.3) is not taken, but there may not be both (2 and 3.1).
func (c *call) bearer() (string, *refusal) {
	if refused := c.check("access_token"); refused != nil {
		return "", refused
	}
	header := strings.Join(c.http.Header.Values("Authorization"), ", ")
	if scheme, _, _ := strings.Cut(header, " "); !strings.EqualFold(scheme, "Bearer") {
		return "", nil
	}
	m := bearerSyntax.FindStringSubmatch(header)
	switch {
	case m == nil:
		return "", badRequest("the Authorization header is malformed")
	case c.form.Get("access_token") != "":
		return "", badRequest("two ways to send an access token")
	}
	return m[1], nil
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
