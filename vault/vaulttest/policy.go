package vaulttest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl"
	"github.com/hashicorp/hcl/hcl/ast"
)

// A policy is a named list of rules, with the text that they were read from.
type policy struct {
	text  string
	rules []rule
}

// builtinPolicies are the policies of every namespace. Real Vault's default policy also opens
// paths that this server does not have.
func builtinPolicies() map[string]*policy {
	const text = `
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
`
	rules, err := parsePolicy(text)
	if err != nil {
		panic("vaulttest: " + err.Error())
	}
	return map[string]*policy{"default": {text: text, rules: rules}}
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
	names := sortedKeys(c.ns.policies)
	if c.ns.path == "" {
		names = append(names, "root")
	}
	return listing(names), nil
}

func (s *Server) readPolicy(c *call) (*response, error) {
	name := strings.ToLower(c.key)
	if p := c.ns.policies[name]; p != nil {
		return &response{data: map[string]any{"name": name, "policy": p.text}}, nil
	}
	if name == "root" && c.ns.path == "" {
		return &response{data: map[string]any{"name": name, "policy": ""}}, nil
	}
	return nil, nil
}

func (s *Server) writePolicy(c *call) (*response, error) {
	name := strings.ToLower(c.key)
	text, _ := field[string](c, "policy")
	if text == "" {
		return nil, badRequest("'policy' parameter not supplied or empty")
	}
	if decoded, err := base64.StdEncoding.DecodeString(text); err == nil {
		text = string(decoded)
	}
	rules, err := parsePolicy(text)
	if err != nil {
		return nil, badRequest("failed to parse policy: %s", err)
	}
	if immutable(name) {
		return nil, badRequest("cannot update %q policy", name)
	}
	c.ns.policies[name] = &policy{text: text, rules: rules}
	if name != c.key {
		return &response{warnings: []string{"policy name was converted to " + name}}, nil
	}
	return nil, nil
}

func (s *Server) deletePolicy(c *call) (*response, error) {
	name := strings.ToLower(c.key)
	switch {
	case immutable(name):
		return nil, badRequest("cannot delete %q policy", name)
	case name == "default":
		return nil, badRequest("cannot delete default policy")
	}
	delete(c.ns.policies, name)
	return nil, nil
}

func immutable(name string) bool {
	return name == "root" || name == "response-wrapping" || name == "control-group"
}

// parsePolicy reads a policy in HCL, or in its JSON form.
func parsePolicy(text string) ([]rule, error) {
	file, err := hcl.Parse(text)
	if err != nil {
		return nil, err
	}
	list, ok := file.Node.(*ast.ObjectList)
	if !ok {
		return nil, fmt.Errorf("does not contain a root object")
	}
	for _, item := range list.Items {
		if key := item.Keys[0].Token.Value(); key != "path" && key != "name" {
			return nil, fmt.Errorf("invalid key %q on line %d", key, item.Pos().Line)
		}
	}
	var rules []rule
	for _, item := range list.Filter("path").Items {
		if len(item.Keys) == 0 {
			return nil, fmt.Errorf("a path block on line %d has no path", item.Pos().Line)
		}
		r, err := parseRule(item.Keys[0].Token.Value().(string), item.Val)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func parseRule(path string, body ast.Node) (rule, error) {
	var keys map[string]any
	if err := hcl.DecodeObject(&keys, body); err != nil {
		return rule{}, fmt.Errorf("path %q: %w", path, err)
	}
	for _, key := range sortedKeys(keys) {
		switch {
		case slices.Contains(notEmulated, key):
			return rule{}, fmt.Errorf("path %q: vaulttest does not emulate %s", path, key)
		case key != "capabilities" && key != "policy" && key != "comment":
			return rule{}, fmt.Errorf("path %q: invalid key %q", path, key)
		}
	}
	var block struct {
		Policy       string
		Capabilities []string
	}
	if err := hcl.DecodeObject(&block, body); err != nil {
		return rule{}, fmt.Errorf("path %q: %w", path, err)
	}
	implied, ok := shorthand[block.Policy]
	if !ok {
		return rule{}, fmt.Errorf("path %q: invalid policy %q", path, block.Policy)
	}
	return newRule(path, slices.Concat(implied, block.Capabilities))
}

// notEmulated are keys that would make a policy stricter than this server would enforce.
var notEmulated = []string{
	"allowed_parameters", "denied_parameters", "required_parameters", "min_wrapping_ttl",
	"max_wrapping_ttl", "mfa_methods", "control_group", "subscribe_event_types",
}

// shorthand is what "policy" in place of "capabilities" stands for.
var shorthand = map[string][]string{
	"":      nil,
	"deny":  {"deny"},
	"read":  {"read", "list"},
	"write": {"create", "read", "update", "delete", "list"},
	"sudo":  {"create", "read", "update", "delete", "list", "sudo"},
}
