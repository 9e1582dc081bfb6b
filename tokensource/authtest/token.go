package authtest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// token is the token endpoint (RFC 6749, 3.2).
func (s *Server) token(c *call) *answer {
	t, refused := s.grant(c)
	switch {
	case refused == nil:
		return jsonAnswer(http.StatusOK, s.members(t))
	case s.options.zoho:
		return refused.zohoAnswer()
	}
	return refused.answer()
}

func (s *Server) grant(c *call) (issued, *refusal) {
	refused := c.check("grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "client_id", "client_secret")
	if refused != nil {
		return issued{}, refused
	}
	client, refused := s.authenticate(c)
	if refused != nil {
		return issued{}, refused
	}
	switch c.form.Get("grant_type") {
	case "authorization_code":
		return s.exchange(client, c)
	case "refresh_token":
		return s.refresh(client, c)
	case "":
		return issued{}, badRequest("grant_type is missing")
	}
	return issued{}, &refusal{status: http.StatusBadRequest, code: "unsupported_grant_type", description: "not a grant of this server"}
}

// exchange gives tokens for an authorization code, once (RFC 6749, 4.1.3). Whoever presents the code after that revokes
// what was given for it (4.1.2). A request that is refused does not use the code up.
func (s *Server) exchange(client *Client, c *call) (issued, *refusal) {
	value := c.form.Get("code")
	g, now := s.codes[value], s.now()
	switch {
	case value == "":
		return issued{}, badRequest("code is missing")
	case g == nil || g.client != client:
		return issued{}, invalidGrant("there is no such code")
	case g.family != nil:
		g.family.revoked = true
		return issued{}, invalidGrant("the code was used before")
	}
	if refused := g.redeemable(c.form, now); refused != nil {
		return issued{}, refused
	}
	g.family = s.newFamily(client, g.user, g.scope, now)
	c.entry.Family = g.family.id
	return s.issue(g.family, g.scope, now), nil
}

// refresh gives an access token for a refresh token (RFC 6749, 6; RFC 9700, 4.14.2).
func (s *Server) refresh(client *Client, c *call) (issued, *refusal) {
	value := c.form.Get("refresh_token")
	t, now := s.refreshTokens[value], s.now()
	switch {
	case value == "":
		return issued{}, badRequest("refresh_token is missing")
	case t == nil || t.family.client != client:
		return issued{}, invalidGrant("there is no such refresh token")
	case t.superseded() && !now.Before(t.supersededAt.Add(s.options.grace)):
		s.reused(t.family, now)
		return issued{}, invalidGrant("the refresh token is superseded")
	case t.family.revoked:
		return issued{}, invalidGrant("the refresh token is revoked")
	case t.expired(now):
		return issued{}, invalidGrant("the refresh token has expired")
	}
	scope, refused := narrowScope(c.form.Get("scope"), t.family.scope)
	if refused != nil {
		return issued{}, refused
	}
	return s.refreshed(t, scope, now), nil
}

func (s *Server) refreshed(t *refreshToken, scope []string, now time.Time) issued {
	f := t.family
	f.refreshes++
	if t.superseded() {
		f.graced++
	} else if s.options.rotation == Rotate {
		t.supersededAt = now
		f.current = s.newRefreshToken(f, now)
	}
	i := s.issue(f, scope, now)
	if s.options.rotation == Omit {
		i.refreshToken = ""
	}
	return i
}

// members are those of a successful answer (RFC 6749, 5.1).
func (s *Server) members(i issued) map[string]any {
	all := map[string]any{
		"access_token":  i.accessToken,
		"token_type":    "Bearer",
		"expires_in":    seconds(s.options.accessLifetime),
		"refresh_token": i.refreshToken,
		"scope":         strings.Join(i.scope, " "),
	}
	if s.options.zoho {
		all["expires_in_sec"] = all["expires_in"]
		all["expires_in"] = max(1, s.options.accessLifetime.Milliseconds())
	}
	if s.options.stringExpiresIn {
		all["expires_in"] = strconv.FormatInt(all["expires_in"].(int64), 10)
	}
	for _, name := range []string{"refresh_token", "scope"} {
		if all[name] == "" {
			delete(all, name)
		}
	}
	for name, value := range s.options.members {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return all
}

// seconds rounds down, so that a client does not count on more than it has, but not to 0, which some take for never.
func seconds(d time.Duration) int64 { return max(1, int64(d/time.Second)) }
