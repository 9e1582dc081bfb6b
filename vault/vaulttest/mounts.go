package vaulttest

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// systemTTL is the default and the maximum lifetime of leases and tokens: 32 days.
const systemTTL = 768 * time.Hour

// The kinds of mounts, as in mount_type of an answer.
const (
	kvMount     = "kv"
	systemMount = "system"
	tokenMount  = "token"
)

// A mount is a secrets engine at a path. The system backend and the token store are there in every
// namespace and hold nothing in themselves.
type mount struct {
	path        string // ends in "/"
	kind        string
	description string
	options     map[string]string
	uuid        string
	accessor    string

	v1 map[string][]byte // KV v1: JSON by key
	v2 *versioned        // KV v2
}

func builtinMounts() map[string]*mount {
	mounts := make(map[string]*mount)
	for path, kind := range map[string]string{
		"sys/": systemMount, "auth/token/": tokenMount, "cubbyhole/": "cubbyhole", "identity/": "identity",
	} {
		mounts[path] = &mount{path: path, kind: kind, uuid: newUUID(), accessor: newAccessor(kind)}
	}
	return mounts
}

// mount enables a KV engine of the version in options, 1 where there is none.
func (ns *namespace) mount(path, description string, options map[string]string) {
	m := &mount{
		path:        path,
		kind:        kvMount,
		description: description,
		options:     options,
		uuid:        newUUID(),
		accessor:    newAccessor(kvMount),
	}
	if options["version"] == "2" {
		m.v2 = &versioned{keys: make(map[string]*keyMetadata)}
	} else {
		m.v1 = make(map[string][]byte)
	}
	ns.mounts[path] = m
}

// find returns the mount that path is under, and what is left of path. The mount's own path does
// not need its slash.
func (ns *namespace) find(path string) (*mount, string) {
	for p, m := range ns.mounts {
		if rest, ok := strings.CutPrefix(path, p); ok {
			return m, rest
		}
		if path+"/" == p {
			return m, ""
		}
	}
	return nil, ""
}

// route finds the mount and the endpoint for a path, and what is left of it for the endpoint.
func route(ns *namespace, path string) (*mount, *endpoint, string) {
	m, rest := ns.find(path)
	switch {
	case m == nil:
		return nil, nil, ""
	case m.kind == systemMount:
		ep, key := systemEndpoint(rest)
		return m, ep, key
	case m.kind == tokenMount:
		return m, tokenEndpoints[rest], ""
	case m.v2 != nil:
		ep, key := kv2Endpoint(rest)
		return m, ep, key
	case m.v1 != nil:
		return m, kv1Endpoint, rest
	}
	return m, nil, ""
}

// systemEndpoint finds the endpoint of a path below sys/. It takes a slash at the end, as lists have it.
func systemEndpoint(rest string) (*endpoint, string) {
	switch strings.TrimSuffix(rest, "/") {
	case "mounts":
		return mountTable, ""
	case "internal/ui/mounts":
		return visibleMounts, ""
	case "policies/acl":
		return policyList, ""
	}
	for prefix, ep := range map[string]*endpoint{
		"mounts/":             oneMount,
		"internal/ui/mounts/": visibleMount,
		"policies/acl/":       onePolicy,
	} {
		if key, ok := strings.CutPrefix(rest, prefix); ok && !strings.HasSuffix(key, "/tune") {
			return ep, key
		}
	}
	return nil, ""
}

var mountTable = &endpoint{
	name:   "sys/mounts",
	fields: map[string]kind{},
	ops:    map[operation]handler{opRead: (*Server).listMounts},
}

var oneMount = &endpoint{
	name:    "sys/mounts",
	capture: "path",
	fields: map[string]kind{
		"path": stringKind, "type": stringKind, "description": stringKind, "config": mapKind,
		"local": boolKind, "seal_wrap": boolKind, "external_entropy_access": boolKind,
		"plugin_name": stringKind, "plugin_version": stringKind, "options": pairsKind,
	},
	ops: map[operation]handler{
		opRead:   (*Server).readMount,
		opUpdate: (*Server).enableMount,
		opDelete: (*Server).disableMount,
	},
}

var visibleMounts = &endpoint{
	name:   "sys/internal/ui/mounts",
	fields: map[string]kind{},
	public: true,
	ops:    map[operation]handler{opRead: (*Server).listVisibleMounts},
}

var visibleMount = &endpoint{
	name:    "sys/internal/ui/mounts",
	capture: "path",
	fields:  map[string]kind{"path": stringKind},
	public:  true,
	ops:     map[operation]handler{opRead: (*Server).readVisibleMount},
}

func (s *Server) listMounts(c *call) (*response, error) {
	data := make(map[string]any)
	for path, m := range c.ns.mounts {
		if m.kind != tokenMount {
			data[path] = m.info(0)
		}
	}
	return &response{data: data, inject: true}, nil
}

func (s *Server) readMount(c *call) (*response, error) {
	path := mountPath(c.key)
	m, _ := c.ns.find(path)
	if m == nil {
		return nil, badRequest("No secret engine mount at %s", path)
	}
	return &response{data: m.info(0), inject: true}, nil
}

func (s *Server) enableMount(c *call) (*response, error) {
	engine, _ := field[string](c, "type")
	options, _ := field[map[string]string](c, "options")
	if options == nil {
		options = make(map[string]string)
	}
	switch engine {
	case "":
		return nil, badRequest("backend type must be specified as a string")
	case "kv", "generic":
	case "kv-v1", "kv-v2":
		options["version"] = strings.TrimPrefix(engine, "kv-v")
	default:
		return nil, badRequest("plugin not found in the catalog: %s", engine)
	}
	switch options["version"] {
	case "", "1", "2":
	default:
		return nil, badRequest("nil backend of type %q returned from factory", engine)
	}
	path := mountPath(c.key)
	if err := c.ns.free(path); err != nil {
		return nil, err
	}
	description, _ := field[string](c, "description")
	c.ns.mount(path, description, options)
	return nil, nil
}

// free reports whether a mount at path would be neither above, nor below, nor in place of another.
func (ns *namespace) free(path string) error {
	for _, p := range []string{"audit/", "auth/", "sys/", "cubbyhole/", "identity/"} {
		if strings.HasPrefix(path, p) {
			return badRequest("cannot mount %q", path)
		}
	}
	for _, p := range sortedKeys(ns.mounts) {
		if strings.HasPrefix(p, path) || strings.HasPrefix(path, p) {
			return badRequest("path is already in use at %s", p)
		}
	}
	return nil
}

// disableMount succeeds where there is nothing, too.
func (s *Server) disableMount(c *call) (*response, error) {
	path := mountPath(c.key)
	m, ok := c.ns.mounts[path]
	if ok && m.kind != kvMount {
		return nil, badRequest("cannot unmount %q", path)
	}
	delete(c.ns.mounts, path)
	return nil, nil
}

func (s *Server) listVisibleMounts(c *call) (*response, error) {
	secret, auth := make(map[string]any), make(map[string]any)
	for path, m := range c.ns.mounts {
		switch {
		case c.by == nil || !s.mayUse(c.by, c.ns.path+path):
		case m.kind == tokenMount:
			auth["token/"] = m.info(systemTTL)
		default:
			secret[path] = m.info(systemTTL)
		}
	}
	return &response{data: map[string]any{"secret": secret, "auth": auth}}, nil
}

// readVisibleMount tells about the mount that a path is under to whoever may do anything there.
func (s *Server) readVisibleMount(c *call) (*response, error) {
	if c.by == nil {
		return nil, errNoToken
	}
	path := mountPath(c.key)
	ns, rest := s.namespaceOf(c.ns.path, path)
	m, _ := ns.find(rest)
	if m == nil || !s.mayUse(c.by, ns.path+m.path) {
		return nil, fail(http.StatusForbidden, "preflight capability check returned 403, please ensure "+
			"client's policies grant access to path %q", path)
	}
	data := m.info(systemTTL)
	data["path"] = strings.TrimPrefix(m.path, "auth/")
	if ns != c.ns {
		data["path"] = ns.path + m.path
	}
	return &response{data: data}, nil
}

// info describes a mount; ttl is what is shown for lifetimes that are not set.
func (m *mount) info(ttl time.Duration) map[string]any {
	version := "v1.21.4+builtin.vault"
	if m.kind == kvMount {
		version = "v0.25.0+builtin"
	}
	return map[string]any{
		"type":                    m.kind,
		"description":             m.description,
		"accessor":                m.accessor,
		"local":                   m.kind == "cubbyhole",
		"seal_wrap":               m.kind == systemMount,
		"external_entropy_access": false,
		"options":                 m.options,
		"uuid":                    m.uuid,
		"plugin_version":          "",
		"running_plugin_version":  version,
		"running_sha256":          "",
		"deprecation_status":      "supported",
		"config": map[string]any{
			"default_lease_ttl": int(ttl.Seconds()),
			"max_lease_ttl":     int(ttl.Seconds()),
			"force_no_cache":    false,
		},
	}
}

func mountPath(p string) string {
	return strings.TrimLeft(strings.TrimSuffix(p, "/")+"/", "/")
}

func newAccessor(kind string) string {
	return fmt.Sprintf("%s_%x", kind, randomBytes(4))
}
