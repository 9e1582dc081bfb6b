package vaulttest

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A token is a service token of the token auth method.
type token struct {
	id, accessor string
	ns           *namespace
	policies     []string // sorted
	displayName  string
	meta         map[string]string
	created      time.Time
	ttl          time.Duration // at creation; 0 does not expire
	expires      time.Time     // zero: never
	renewable    bool
	orphan       bool
	usesLeft     int // 0: any number
	parent       string
}

func (t *token) isRoot() bool { return t != nil && slices.Contains(t.policies, "root") }

// clientID stands for a token without identity entity in KV's attributions.
func (t *token) clientID() string {
	sum := sha256.Sum256([]byte(t.accessor))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (s *Server) newRootToken() *token {
	t := s.addToken(&token{
		ns: s.namespaces[""], policies: []string{"root"}, displayName: "root", orphan: true, created: s.Now(),
	})
	return t
}

// addToken gives t an id and keeps it.
func (s *Server) addToken(t *token) *token {
	t.id = "hvs." + base64.RawURLEncoding.EncodeToString(randomBytes(18))
	t.accessor = base64.RawURLEncoding.EncodeToString(randomBytes(18))
	s.tokens[t.id] = t
	return t
}

// valid returns the token with this id, nil if there is none any more.
func (s *Server) valid(id string, now time.Time) *token {
	t := s.tokens[id]
	if t == nil || !t.expires.IsZero() && !now.Before(t.expires) {
		return nil
	}
	return t
}

// authenticate finds the call's token.
func (s *Server) authenticate(c *call) error {
	c.by = s.valid(c.token, c.now)
	switch {
	case c.by != nil:
		return nil
	case c.endpoint != nil && c.endpoint.public:
		return nil
	case c.token == "":
		return errNoToken
	default:
		return errInvalidToken
	}
}

// useUp takes one of the uses off a token that has a limited number.
func (s *Server) useUp(c *call) {
	if c.by == nil || c.by.usesLeft == 0 {
		return
	}
	if c.by.usesLeft--; c.by.usesLeft == 0 {
		s.revoke(c.by)
	}
}

// revoke removes t and the tokens that it made, but for orphans.
func (s *Server) revoke(t *token) {
	delete(s.tokens, t.id)
	for _, child := range s.tokens {
		if child.parent == t.id && !child.orphan {
			s.revoke(child)
		}
	}
}

var tokenEndpoints = map[string]*endpoint{
	"create":      {name: "auth/token/create", fields: createFields, ops: map[operation]handler{opUpdate: (*Server).createToken}},
	"lookup":      {name: "auth/token/lookup", fields: tokenFields, ops: map[operation]handler{opUpdate: (*Server).lookupToken}},
	"lookup-self": {name: "auth/token/lookup-self", fields: tokenFields, ops: map[operation]handler{opRead: (*Server).lookupSelf}},
	"renew":       {name: "auth/token/renew", fields: tokenFields, ops: map[operation]handler{opUpdate: (*Server).renewToken}},
	"renew-self":  {name: "auth/token/renew-self", fields: tokenFields, ops: map[operation]handler{opUpdate: (*Server).renewSelf}},
	"revoke":      {name: "auth/token/revoke", fields: tokenFields, ops: map[operation]handler{opUpdate: (*Server).revokeToken}},
	"revoke-self": {name: "auth/token/revoke-self", fields: tokenFields, ops: map[operation]handler{opUpdate: (*Server).revokeSelf}},
}

var (
	createFields = map[string]kind{
		"policies": stringsKind, "ttl": durationKind, "explicit_max_ttl": durationKind, "renewable": boolKind,
		"no_parent": boolKind, "no_default_policy": boolKind, "display_name": stringKind, "num_uses": intKind,
		"meta": pairsKind, "period": durationKind, "type": stringKind, "id": stringKind, "entity_alias": stringKind,
	}
	tokenFields = map[string]kind{"token": stringKind, "increment": durationKind}
)

func (s *Server) createToken(c *call) (*response, error) {
	for _, name := range []string{"explicit_max_ttl", "period", "id", "entity_alias"} {
		if _, given := c.fields[name]; given && c.data[name] != "" {
			return nil, badRequest("vaulttest: %s is not emulated", name)
		}
	}
	if kind, _ := field[string](c, "type"); kind != "" && kind != "service" {
		return nil, badRequest("vaulttest: tokens of type %q are not emulated", kind)
	}
	policies, err := c.newPolicies()
	if err != nil {
		return nil, err
	}
	t := &token{ns: c.ns, policies: policies, parent: c.by.id, created: c.now, displayName: "token", renewable: true}
	if name, _ := field[string](c, "display_name"); name != "" {
		t.displayName += "-" + name
	}
	t.meta, _ = field[map[string]string](c, "meta")
	t.orphan, _ = field[bool](c, "no_parent")
	t.usesLeft, _ = field[int](c, "num_uses")
	if renewable, given := field[bool](c, "renewable"); given {
		t.renewable = renewable
	}
	seconds, _ := field[int](c, "ttl")
	t.ttl = time.Duration(seconds) * time.Second
	if t.ttl == 0 && !t.isRoot() {
		t.ttl = systemTTL
	}
	t.live(c.now, t.ttl)
	s.addToken(t)
	return &response{auth: t.auth()}, nil
}

// newPolicies are the policies of a token to make: those asked for, which a token other than root must
// have itself, or the maker's, and the default one.
func (c *call) newPolicies() ([]string, error) {
	policies, _ := field[[]string](c, "policies")
	if len(policies) == 0 {
		return c.by.policies, nil
	}
	for i, p := range policies {
		policies[i] = strings.ToLower(p)
		if !c.by.isRoot() && !slices.Contains(c.by.policies, policies[i]) {
			return nil, badRequest("child policies must be subset of parent")
		}
	}
	if without, _ := field[bool](c, "no_default_policy"); !without && !slices.Contains(policies, "root") {
		policies = append(policies, "default")
	}
	slices.Sort(policies)
	return slices.Compact(policies), nil
}

// live lets t live for ttl from now, but not beyond the system's maximum.
func (t *token) live(now time.Time, ttl time.Duration) {
	if ttl == 0 {
		return
	}
	t.expires = now.Add(ttl)
	if latest := t.created.Add(systemTTL); t.expires.After(latest) {
		t.expires = latest
	}
}

func (t *token) auth() *authInfo {
	return &authInfo{
		ClientToken: t.id, Accessor: t.accessor, Policies: t.policies, TokenPolicies: t.policies, Metadata: t.meta,
		LeaseDuration: int(t.ttl.Seconds()), Renewable: t.renewable && t.ttl > 0, TokenType: "service",
		Orphan: t.orphan, NumUses: t.usesLeft,
	}
}

func (s *Server) lookupSelf(c *call) (*response, error) { return c.by.describe(c.now), nil }

func (s *Server) lookupToken(c *call) (*response, error) {
	t, err := s.named(c)
	if err != nil {
		return nil, err
	}
	return t.describe(c.now), nil
}

// named finds the token that a call is about.
func (s *Server) named(c *call) (*token, error) {
	id, _ := field[string](c, "token")
	t := s.valid(id, c.now)
	if t == nil {
		return nil, errBadToken
	}
	return t, nil
}

// describe is what a lookup says of a token.
func (t *token) describe(now time.Time) *response {
	data := map[string]any{
		"id": t.id, "accessor": t.accessor, "policies": t.policies, "display_name": t.displayName, "meta": t.meta,
		"path": "auth/token/create", "creation_time": t.created.Unix(), "creation_ttl": int(t.ttl.Seconds()),
		"ttl": 0, "explicit_max_ttl": 0, "expire_time": nil, "num_uses": t.usesLeft, "orphan": t.orphan,
		"type": "service", "entity_id": "",
	}
	if !t.expires.IsZero() {
		data["ttl"] = int(t.expires.Sub(now).Seconds())
		data["expire_time"] = t.expires.UTC().Format(time.RFC3339Nano)
		data["issue_time"] = t.created.UTC().Format(time.RFC3339Nano)
		data["renewable"] = t.renewable
	}
	if t.parent == "" {
		data["path"] = "auth/token/root"
	}
	return &response{data: data}
}

func (s *Server) renewSelf(c *call) (*response, error) { return c.renew(c.by) }

func (s *Server) renewToken(c *call) (*response, error) {
	t, err := s.named(c)
	if err != nil {
		return nil, err
	}
	return c.renew(t)
}

// renew extends t by the increment, or by its lifetime at creation.
func (c *call) renew(t *token) (*response, error) {
	if !t.renewable || t.ttl == 0 {
		return nil, badRequest("lease is not renewable")
	}
	ttl := t.ttl
	if seconds, given := field[int](c, "increment"); given && seconds > 0 {
		ttl = time.Duration(seconds) * time.Second
	}
	t.live(c.now, ttl)
	info := t.auth()
	info.LeaseDuration = int(t.expires.Sub(c.now).Seconds())
	return &response{auth: info}, nil
}

func (s *Server) revokeSelf(c *call) (*response, error) {
	s.revoke(c.by)
	return nil, nil
}

// revokeToken succeeds for a token that there is not, as Vault does.
func (s *Server) revokeToken(c *call) (*response, error) {
	id, _ := field[string](c, "token")
	if id == "" {
		return nil, fail(http.StatusBadRequest, "missing token ID")
	}
	if t := s.tokens[id]; t != nil {
		s.revoke(t)
	}
	return nil, nil
}
