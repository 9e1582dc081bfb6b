package vaulttest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/hcl"
)

// A policy is what an ACL policy permits, and its text.
type policy struct {
	text  string
	rules []rule
}

// A rule permits some capabilities on the paths that a pattern fits.
type rule struct {
	pattern      string
	capabilities []string
}

// capabilities are all that a rule may name.
var capabilities = []string{"create", "read", "update", "delete", "list", "patch", "sudo", "deny", "subscribe", "recover"}

// defaultPolicy is the part of Vault's default policy that this server has endpoints for.
const defaultPolicy = `
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
`

func builtinPolicies() map[string]*policy {
	p, err := parsePolicy(defaultPolicy)
	if err != nil {
		panic("vaulttest: " + err.Error())
	}
	return map[string]*policy{"default": p, "root": {}}
}

// parsePolicy reads a policy in HCL or JSON. What it could not enforce it refuses.
func parsePolicy(text string) (*policy, error) {
	var raw struct {
		Path map[string][]map[string]any `hcl:"path"`
	}
	if err := hcl.Decode(&raw, text); err != nil {
		return nil, badRequest("failed to parse policy: failed to parse policy: %s", err)
	}
	p := &policy{text: text}
	for _, pattern := range sortedKeys(raw.Path) {
		r := rule{pattern: strings.TrimPrefix(pattern, "/")}
		for _, block := range raw.Path[pattern] {
			if err := r.read(pattern, block); err != nil {
				return nil, err
			}
		}
		p.rules = append(p.rules, r)
	}
	return p, nil
}

func (r *rule) read(pattern string, block map[string]any) error {
	for _, key := range sortedKeys(block) {
		list, ok := block[key].([]any)
		if key != "capabilities" || !ok {
			return badRequest("failed to parse policy: path %q: %s is not emulated", pattern, key)
		}
		for _, c := range list {
			name, _ := c.(string)
			if !slices.Contains(capabilities, name) {
				return badRequest("failed to parse policy: path %q: invalid capability %q", pattern, name)
			}
			r.capabilities = append(r.capabilities, name)
		}
	}
	return nil
}

// fits reports whether the rule's pattern fits path: "+" is one segment, a "*" at the end anything.
func (r rule) fits(path string) bool {
	pattern, glob := strings.CutSuffix(r.pattern, "*")
	if !strings.Contains(pattern, "+") {
		return path == pattern || glob && strings.HasPrefix(path, pattern)
	}
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(got) < len(want) || len(got) > len(want) && !glob {
		return false
	}
	for i, w := range want {
		last := i == len(want)-1
		if w != "+" && w != got[i] && !(glob && last && strings.HasPrefix(got[i], w)) {
			return false
		}
	}
	return true
}

// before reports whether r counts before other where both fit (Vault's documentation, policies,
// priority matching): the later the first wildcard, no "*" at the end, fewer "+", the longer.
func (r rule) before(other rule) bool {
	first := func(p string) int {
		if i := strings.IndexAny(p, "+*"); i >= 0 {
			return i
		}
		return len(p) + 1
	}
	a, b := r.pattern, other.pattern
	switch glob := strings.HasSuffix(a, "*"); {
	case first(a) != first(b):
		return first(a) > first(b)
	case glob != strings.HasSuffix(b, "*"):
		return !glob
	case strings.Count(a, "+") != strings.Count(b, "+"):
		return strings.Count(a, "+") < strings.Count(b, "+")
	default:
		return len(a) > len(b)
	}
}

// permits returns the capabilities of the best rule for path; rules of several policies with one
// pattern add up.
func permits(policies []*policy, path string) []string {
	var best *rule
	for _, p := range policies {
		for _, r := range p.rules {
			switch {
			case !r.fits(path):
			case best == nil || r.before(*best):
				best = &rule{r.pattern, slices.Clone(r.capabilities)}
			case r.pattern == best.pattern:
				best.capabilities = append(best.capabilities, r.capabilities...)
			}
		}
	}
	if best == nil || slices.Contains(best.capabilities, "deny") {
		return nil
	}
	return best.capabilities
}

// authorize refuses what the token's policies do not permit.
func (s *Server) authorize(c *call) error {
	if c.endpoint != nil && c.endpoint.public || c.by.isRoot() {
		return nil
	}
	policies := s.policiesOf(c.by)
	allowed := permits(policies, c.ns.path+c.path)
	if c.op == opList && allowed == nil {
		allowed = permits(policies, strings.TrimSuffix(c.ns.path+c.path, "/"))
	}
	if !slices.Contains(allowed, string(c.op)) {
		return errPermissionDenied
	}
	path := c.ns.path + c.path
	if s.granted[path] == nil {
		s.granted[path] = make(map[string]bool)
	}
	s.granted[path][string(c.op)] = true
	return nil
}

// mayUse reports whether the token may do anything below the mount.
func (s *Server) mayUse(t *token, mount string) bool {
	if t.isRoot() {
		return true
	}
	for _, p := range s.policiesOf(t) {
		for _, r := range p.rules {
			fixed, _, _ := strings.Cut(strings.TrimSuffix(r.pattern, "*"), "+")
			if (strings.HasPrefix(fixed, mount) || strings.HasPrefix(mount, fixed) && fixed != r.pattern) &&
				!slices.Contains(r.capabilities, "deny") {
				return true
			}
		}
	}
	return false
}

// policiesOf returns the token's policies, with the namespace before their paths.
func (s *Server) policiesOf(t *token) []*policy {
	var all []*policy
	for _, name := range t.policies {
		p := t.ns.policies[name]
		if p == nil {
			continue
		}
		qualified := &policy{}
		for _, r := range p.rules {
			qualified.rules = append(qualified.rules, rule{t.ns.path + r.pattern, r.capabilities})
		}
		all = append(all, qualified)
	}
	return all
}

var policyList = &endpoint{
	name:   "sys/policies/acl",
	fields: map[string]kind{},
	ops:    map[operation]handler{opList: (*Server).listPolicies},
}

var onePolicy = &endpoint{
	name:    "sys/policies/acl",
	capture: "name",
	fields:  map[string]kind{"name": stringKind, "policy": stringKind},
	ops: map[operation]handler{
		opRead:   (*Server).readPolicy,
		opUpdate: (*Server).writePolicy,
		opDelete: (*Server).deletePolicy,
	},
}

func (s *Server) listPolicies(c *call) (*response, error) {
	return listing(sortedKeys(c.ns.policies)), nil
}

func (s *Server) readPolicy(c *call) (*response, error) {
	name := strings.ToLower(c.key)
	p := c.ns.policies[name]
	if p == nil {
		return nil, nil
	}
	return &response{data: map[string]any{"name": name, "policy": p.text}}, nil
}

func (s *Server) writePolicy(c *call) (*response, error) {
	name := strings.ToLower(c.key)
	text, _ := field[string](c, "policy")
	switch {
	case name == "root":
		return nil, badRequest("cannot update \"root\" policy")
	case text == "":
		return nil, badRequest("'policy' parameter not supplied or empty")
	}
	p, err := parsePolicy(text)
	if err != nil {
		return nil, err
	}
	c.ns.policies[name] = p
	return nil, nil
}

func (s *Server) deletePolicy(c *call) (*response, error) {
	name := strings.ToLower(c.key)
	if name == "root" || name == "default" {
		return nil, fail(http.StatusBadRequest, "cannot delete %q policy", name)
	}
	delete(c.ns.policies, name)
	return nil, nil
}
