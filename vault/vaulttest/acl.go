package vaulttest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A rule gives capabilities on the paths that it matches: one path, all with a prefix ("a/*"), or
// all where "+" stands for any one segment.
type rule struct {
	path         string // without the "*" of a prefix
	prefix       bool
	segments     bool // has "+"
	capabilities map[string]bool
}

var capabilityNames = []string{
	"deny", "create", "read", "update", "delete", "list", "sudo", "patch", "subscribe", "recover",
}

func newRule(path string, capabilities []string) (rule, error) {
	r := rule{path: strings.TrimPrefix(path, "/"), capabilities: make(map[string]bool)}
	if strings.Contains(path, "+*") {
		return rule{}, fmt.Errorf("path %q: invalid use of wildcards ('+*' is forbidden)", path)
	}
	for _, name := range capabilities {
		if !slices.Contains(capabilityNames, name) {
			return rule{}, fmt.Errorf("path %q: invalid capability %q", path, name)
		}
		r.capabilities[name] = true
	}
	if r.capabilities["deny"] {
		r.capabilities = map[string]bool{"deny": true}
	}
	r.path, r.prefix = strings.CutSuffix(r.path, "*")
	r.segments = r.path == "+" || strings.HasPrefix(r.path, "+/") || strings.Contains(r.path, "/+")
	return r, nil
}

// grants reports whether the rule gives anything at all.
func (r *rule) grants() bool { return len(r.capabilities) > 0 && !r.capabilities["deny"] }

func (r *rule) matches(path string) bool {
	switch {
	case !r.segments && !r.prefix:
		return r.path == path
	case !r.segments:
		return strings.HasPrefix(path, r.path)
	}
	want, have := strings.Split(r.path, "/"), strings.Split(path, "/")
	if len(have) < len(want) || len(have) > len(want) && !r.prefix {
		return false
	}
	for i, segment := range want {
		last := i == len(want)-1
		if segment != "+" && segment != have[i] && !(last && r.prefix && strings.HasPrefix(have[i], segment)) {
			return false
		}
	}
	return true
}

// An acl is the rules of all policies of a token.
type acl struct {
	root  bool
	rules []rule
}

// aclOf collects what a token may do. Rules for one and the same path add up, but for deny, which
// wins. All paths are those of the whole server, namespace included.
func (s *Server) aclOf(t *token) acl {
	if slices.Contains(t.policies, "root") {
		return acl{root: true}
	}
	ns := s.namespaces[t.namespace]
	byPath := make(map[string]rule)
	for _, name := range t.policies {
		p := ns.policies[name]
		if p == nil {
			continue
		}
		for _, r := range p.rules {
			r.path = ns.path + r.path
			key := fmt.Sprint(r.path, r.prefix)
			byPath[key] = union(byPath[key], r)
		}
	}
	var a acl
	for _, key := range sortedKeys(byPath) {
		a.rules = append(a.rules, byPath[key])
	}
	return a
}

func union(a, b rule) rule {
	all := make(map[string]bool)
	for name := range a.capabilities {
		all[name] = true
	}
	for name := range b.capabilities {
		all[name] = true
	}
	if all["deny"] {
		all = map[string]bool{"deny": true}
	}
	b.capabilities = all
	return b
}

// on returns the capabilities on a path: those of the most specific rule that matches. A list of
// a folder is also covered by a rule for the folder's name without its slash.
func (a acl) on(path string, list bool) map[string]bool {
	forms := []string{path}
	if bare, ok := strings.CutSuffix(path, "/"); list && ok {
		forms = append(forms, bare)
	}
	for _, p := range forms {
		if r := a.best(p, func(r *rule) bool { return !r.prefix && !r.segments }); r != nil {
			return r.capabilities
		}
	}
	slices.Reverse(forms)
	for _, p := range forms {
		if r := a.best(p, func(r *rule) bool { return r.prefix || r.segments }); r != nil {
			return r.capabilities
		}
	}
	return nil
}

func (a acl) best(path string, of func(*rule) bool) *rule {
	var best *rule
	for i := range a.rules {
		r := &a.rules[i]
		if of(r) && r.matches(path) && (best == nil || specificity(r, best) > 0) {
			best = r
		}
	}
	return best
}

// specificity compares two rules for one path by the order of the policies documentation: the
// rule whose first wildcard comes later is the more specific one; then one without "*" at the end,
// with fewer "+", the longer one, the later in the alphabet.
func specificity(a, b *rule) int {
	return cmp.Or(
		cmp.Compare(a.firstWildcard(), b.firstWildcard()),
		-cmp.Compare(asInt(a.prefix), asInt(b.prefix)),
		-cmp.Compare(a.pluses(), b.pluses()),
		cmp.Compare(len(a.path), len(b.path)),
		cmp.Compare(a.path, b.path),
	)
}

func (r *rule) firstWildcard() int {
	if r.segments {
		return strings.Index(r.path, "+")
	}
	return len(r.path)
}

func (r *rule) pluses() int {
	n := 0
	for _, segment := range strings.Split(r.path, "/") {
		n += asInt(segment == "+")
	}
	return n
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// authorize checks the call against the policies of its token, and notes what it needed.
func (s *Server) authorize(c *call) error {
	if c.endpoint != nil && c.endpoint.public {
		return nil
	}
	a := s.aclOf(c.by)
	if a.root {
		return nil
	}
	path := c.ns.path + c.path
	if !a.on(path, c.op == opList)[string(c.op)] {
		return errPermissionDenied
	}
	if s.granted[path] == nil {
		s.granted[path] = make(map[string]bool)
	}
	s.granted[path][string(c.op)] = true
	return nil
}

// hasSudo reports whether a token has root's powers on a path.
func (s *Server) hasSudo(t *token, path string) bool {
	a := s.aclOf(t)
	return a.root || a.on(path, false)["sudo"]
}

// mayUse reports whether a token has any capability on a mount or somewhere below it.
func (s *Server) mayUse(t *token, mount string) bool {
	a := s.aclOf(t)
	if a.root {
		return true
	}
	if on := a.on(mount, true); len(on) > 0 && !on["deny"] {
		return true
	}
	return slices.ContainsFunc(a.rules, func(r rule) bool { return r.grants() && r.reaches(mount) })
}

// reaches reports whether the rule is about paths below mount, which ends in "/".
func (r *rule) reaches(mount string) bool {
	if !r.segments {
		return strings.HasPrefix(r.path, mount)
	}
	want, have := strings.Split(r.path, "/"), strings.Split(strings.TrimSuffix(mount, "/"), "/")
	if len(want) < len(have) {
		return false
	}
	for i, segment := range have {
		if want[i] != "+" && want[i] != segment {
			return false
		}
	}
	return true
}
