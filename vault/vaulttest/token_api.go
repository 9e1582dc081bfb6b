package vaulttest

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-secure-stdlib/parseutil"
)

// tokenEndpoints is what there is below auth/token/.
var tokenEndpoints = map[string]*endpoint{
	"create":        createEndpoint("auth/token/create", false),
	"create-orphan": createEndpoint("auth/token/create-orphan", true),
	"lookup":        tokenEndpoint("auth/token/lookup", opRead, (*Server).lookupToken),
	"lookup-self":   tokenEndpoint("auth/token/lookup-self", opRead, onSelf((*Server).lookupToken)),
	"renew":         tokenEndpoint("auth/token/renew", opUpdate, (*Server).renewToken),
	"renew-self":    tokenEndpoint("auth/token/renew-self", opUpdate, onSelf((*Server).renewToken)),
	"revoke":        tokenEndpoint("auth/token/revoke", opUpdate, (*Server).revokeToken),
	"revoke-self":   tokenEndpoint("auth/token/revoke-self", opUpdate, onSelf((*Server).revokeToken)),
}

func tokenEndpoint(name string, op operation, h handler) *endpoint {
	ep := &endpoint{
		name:   name,
		fields: map[string]kind{"token": stringKind},
		ops:    map[operation]handler{opUpdate: h, op: h},
	}
	if strings.Contains(name, "renew") {
		ep.fields["increment"] = durationKind
	}
	return ep
}

func onSelf(next handler) handler {
	return func(s *Server, c *call) (*response, error) {
		c.fields["token"] = c.by.id
		return next(s, c)
	}
}

func createEndpoint(name string, orphan bool) *endpoint {
	return &endpoint{
		name: name,
		fields: map[string]kind{
			"display_name": stringKind, "explicit_max_ttl": stringKind, "entity_alias": stringKind,
			"id": stringKind, "meta": pairsKind, "no_default_policy": boolKind,
			"no_parent": boolKind, "num_uses": intKind, "period": stringKind, "policies": stringsKind,
			"renewable": boolKind, "ttl": stringKind, "type": stringKind,
		},
		ops: map[operation]handler{opUpdate: func(s *Server, c *call) (*response, error) {
			return s.createToken(c, orphan)
		}},
	}
}

func (s *Server) createToken(c *call, orphan bool) (*response, error) {
	if c.by.numUses > 0 {
		return nil, badRequest("restricted use token cannot generate child tokens")
	}
	sudo := s.hasSudo(c.by, c.ns.path+c.path)
	t, err := c.newToken(sudo, orphan)
	if err != nil {
		return nil, err
	}
	warnings, err := c.limitToken(t, sudo)
	if err != nil {
		return nil, err
	}
	for _, name := range t.policies {
		if name != "root" && c.ns.policies[name] == nil {
			warnings = append(warnings, `Policy "`+name+`" does not exist`)
		}
	}
	s.tokens[t.id] = t
	return &response{auth: t.describe(c.now), warnings: warnings}, nil
}

var notInDisplayName = regexp.MustCompile("[^a-zA-Z0-9-]")

// newToken makes the token that the call asks for, but for its lifetime.
func (c *call) newToken(sudo, orphan bool) (*token, error) {
	if err := c.plainToken(); err != nil {
		return nil, err
	}
	policies, err := c.childPolicies(sudo)
	if err != nil {
		return nil, err
	}
	t := &token{
		id:          newTokenID(),
		accessor:    randomText(24),
		namespace:   c.ns.path,
		path:        c.path,
		displayName: "token",
		policies:    policies,
		parent:      c.by,
		created:     c.now,
	}
	t.meta, _ = field[map[string]string](c, "meta")
	if name, _ := field[string](c, "display_name"); name != "" {
		t.displayName = strings.TrimSuffix(notInDisplayName.ReplaceAllString("token-"+name, "-"), "-")
	}
	noParent, _ := field[bool](c, "no_parent")
	id, _ := field[string](c, "id")
	switch {
	case noParent && !sudo:
		return nil, badRequest("root or sudo privileges required to create orphan token")
	case id != "" && !sudo:
		return nil, badRequest("root or sudo privileges required to specify token id")
	}
	if noParent || orphan {
		t.parent = nil
	}
	if id != "" {
		t.id = id
	}
	return t, nil
}

// plainToken refuses tokens of other kinds than the server has.
func (c *call) plainToken() error {
	switch kind, _ := field[string](c, "type"); kind {
	case "", "service":
	case "batch":
		return badRequest("vaulttest: batch tokens are not emulated")
	default:
		return badRequest("invalid 'token_type' value")
	}
	if alias, _ := field[string](c, "entity_alias"); alias != "" {
		return badRequest("'entity_alias' is only allowed in combination with token role")
	}
	return nil
}

// childPolicies are those asked for, or the parent's. Without sudo they must be a subset of these.
func (c *call) childPolicies(sudo bool) ([]string, error) {
	noDefault, _ := field[bool](c, "no_default_policy")
	asked, _ := field[[]string](c, "policies")
	parent := c.by.policies
	addDefault := false
	switch {
	case len(asked) == 0:
		asked = parent
	case sudo:
		addDefault = !noDefault
	default:
		for _, name := range sanitize(asked, false) {
			if !slices.Contains(parent, name) {
				return nil, badRequest("child policies must be subset of parent")
			}
		}
		addDefault = !noDefault && slices.Contains(parent, "default")
	}
	policies := sanitize(asked, addDefault)
	if noDefault {
		policies = slices.DeleteFunc(policies, func(name string) bool { return name == "default" })
	}
	if slices.Contains(policies, "root") && !slices.Contains(parent, "root") {
		return nil, badRequest("root tokens may not be created without parent token being root")
	}
	return policies, nil
}

// sanitize sorts policy names and drops doubles. Next to root nothing else counts.
func sanitize(names []string, addDefault bool) []string {
	var clean []string
	for _, name := range names {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			clean = append(clean, name)
		}
	}
	if slices.Contains(clean, "root") {
		return []string{"root"}
	}
	if addDefault {
		clean = append(clean, "default")
	}
	slices.Sort(clean)
	return slices.Compact(clean)
}

// limitToken sets how long and how often the token can be used.
func (c *call) limitToken(t *token, sudo bool) (warnings []string, err error) {
	if t.explicitMax, err = c.duration("explicit_max_ttl"); err != nil {
		return nil, err
	}
	if t.period, err = c.duration("period"); err != nil {
		return nil, err
	}
	if t.period > 0 && !sudo {
		return nil, badRequest("root or sudo privileges required to create periodic token")
	}
	if t.ttl, err = c.duration("ttl"); err != nil {
		return nil, err
	}
	if t.numUses, _ = field[int](c, "num_uses"); t.numUses < 0 {
		return nil, badRequest("number of uses cannot be negative")
	}
	root := slices.Contains(t.policies, "root")
	if t.period > 0 || t.ttl > 0 || !root {
		if t.ttl, warnings, err = lifetime(t, 0, t.ttl, c.now); err != nil {
			return nil, err
		}
	}
	if t.ttl == 0 {
		t.ttl = t.explicitMax
	}
	if t.ttl == 0 {
		if !c.by.expires.IsZero() {
			return nil, badRequest("expiring root tokens cannot create non-expiring root tokens")
		}
		return warnings, nil
	}
	t.expires = c.now.Add(t.ttl)
	renewable, set := field[bool](c, "renewable")
	t.renewable = renewable || !set
	return warnings, nil
}

func (c *call) duration(name string) (time.Duration, error) {
	text, _ := field[string](c, name)
	d, err := parseutil.ParseDurationSecond(text)
	if err != nil {
		return 0, badRequest("%s", err)
	}
	if d < 0 {
		return 0, badRequest("%s must be positive", name)
	}
	return d, nil
}

// describe is the answer to who creates or renews the token.
func (t *token) describe(now time.Time) *authInfo {
	info := &authInfo{
		ClientToken:   t.id,
		Accessor:      t.accessor,
		Policies:      t.policies,
		TokenPolicies: t.policies,
		Metadata:      t.meta,
		Renewable:     t.renewable,
		TokenType:     "service",
		Orphan:        t.parent == nil,
		NumUses:       t.numUses,
	}
	if !t.expires.IsZero() {
		info.LeaseDuration = int(t.expires.Sub(now).Seconds())
	}
	return info
}

// named returns the token that the call is about, nil where it cannot be used any more.
func (s *Server) named(c *call) (*token, error) {
	id, _ := field[string](c, "token")
	t := s.tokens[id]
	switch {
	case id == "":
		return nil, badRequest("missing token ID")
	case t == nil && strings.HasPrefix(id, tokenPrefix) && len(id) > maxUnsignedToken:
		return nil, errBadToken // what follows the prefix would be signed by the server
	case t == nil || !t.valid(c.now):
		return nil, nil
	}
	return t, nil
}

func (s *Server) lookupToken(c *call) (*response, error) {
	if id, _ := field[string](c, "token"); id == "" {
		c.fields["token"] = c.by.id
	}
	t, err := s.named(c)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, errBadToken
	}
	data := map[string]any{
		"id": t.id, "accessor": t.accessor, "policies": t.policies, "path": t.path, "meta": t.meta,
		"display_name": t.displayName, "num_uses": t.numUses, "orphan": t.parent == nil,
		"creation_time": t.created.Unix(), "creation_ttl": int(t.ttl.Seconds()), "expire_time": nil,
		"ttl": 0, "explicit_max_ttl": int(t.explicitMax.Seconds()), "entity_id": "", "type": "service",
	}
	if t.period > 0 {
		data["period"] = int(t.period.Seconds())
	}
	if t.namespace != "" {
		data["namespace_path"] = t.namespace
	}
	if !t.expires.IsZero() {
		data["expire_time"], data["issue_time"] = t.expires, t.created
		data["ttl"] = int(t.expires.Sub(c.now).Seconds())
		data["renewable"] = t.renewable
	}
	if !t.renewed.IsZero() {
		data["last_renewal"], data["last_renewal_time"] = t.renewed, t.renewed.Unix()
	}
	return &response{data: data}, nil
}

func (s *Server) renewToken(c *call) (*response, error) {
	t, err := s.named(c)
	switch {
	case err != nil:
		return nil, err
	case t == nil:
		return nil, badRequest("token not found")
	case t.expires.IsZero():
		return nil, badRequest("invalid lease ID")
	case !t.renewable:
		return nil, badRequest("lease is not renewable")
	}
	seconds, _ := field[int](c, "increment")
	ttl, warnings, err := lifetime(t, time.Duration(seconds)*time.Second, t.ttl, c.now)
	if err != nil {
		return nil, err
	}
	t.expires, t.renewed = c.now.Add(ttl), c.now
	return &response{auth: t.describe(c.now), warnings: warnings}, nil
}

// revokeToken ends a token and, by [token.valid], those that were made with it.
func (s *Server) revokeToken(c *call) (*response, error) {
	t, err := s.named(c)
	if err != nil || t == nil {
		return nil, err
	}
	t.revoked = true
	return nil, nil
}
