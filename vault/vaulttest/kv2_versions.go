package vaulttest

import "time"

var (
	kv2DeleteVersions   = versionsEndpoint("delete", (*Server).kv2DeleteVersions)
	kv2UndeleteVersions = versionsEndpoint("undelete", (*Server).kv2UndeleteVersions)
	kv2DestroyVersions  = versionsEndpoint("destroy", (*Server).kv2DestroyVersions)
)

func versionsEndpoint(name string, h handler) *endpoint {
	return &endpoint{
		name:    name,
		capture: "path",
		fields:  map[string]kind{"path": stringKind, "versions": intsKind},
		ops:     map[operation]handler{opUpdate: ready(h)},
	}
}

// eachVersion calls do for the versions named that are there and not destroyed.
func eachVersion(k *keyMetadata, numbers []int, do func(*version)) {
	for _, n := range numbers {
		if v := k.versions[uint64(n)]; v != nil && !v.destroyed {
			do(v)
		}
	}
}

func (s *Server) kv2DeleteVersions(c *call) (*response, error) {
	numbers, _ := field[[]int](c, "versions")
	if len(numbers) == 0 {
		return nil, badRequest("No version number provided")
	}
	k := c.mount.v2.keys[c.key]
	if k == nil {
		return nil, nil
	}
	by := c.attribution()
	eachVersion(k, numbers, func(v *version) {
		if !v.deleted(c.now) {
			v.deletion, v.deletedBy = c.now, by
		}
	})
	k.lastUpdatedBy = by
	return nil, nil
}

func (s *Server) kv2UndeleteVersions(c *call) (*response, error) {
	numbers, _ := field[[]int](c, "versions")
	if len(numbers) == 0 {
		return nil, badRequest("No version number provided")
	}
	k := c.mount.v2.keys[c.key]
	if k == nil {
		return nil, nil
	}
	eachVersion(k, numbers, func(v *version) {
		v.deletion, v.deletedBy = c.mount.v2.deletionTime(k, c.now), nil
	})
	k.lastUpdatedBy = c.attribution()
	k.lastUpdatedBy.Operation = "undelete"
	return nil, nil
}

func (s *Server) kv2DestroyVersions(c *call) (*response, error) {
	numbers, _ := field[[]int](c, "versions")
	if len(numbers) == 0 {
		return nil, badRequest("no version number provided")
	}
	k := c.mount.v2.keys[c.key]
	if k == nil {
		return nil, nil
	}
	eachVersion(k, numbers, func(v *version) {
		v.data, v.destroyed = nil, true
	})
	return nil, nil
}

var kv2Config = &endpoint{
	name: "config",
	fields: map[string]kind{
		"max_versions": intKind, "cas_required": boolKind, "delete_version_after": signedDurationKind,
	},
	ops: map[operation]handler{
		opRead:   ready((*Server).kv2ReadConfig),
		opUpdate: ready((*Server).kv2WriteConfig),
	},
}

func (s *Server) kv2ReadConfig(c *call) (*response, error) {
	engine := c.mount.v2
	return &response{data: map[string]any{
		"max_versions":         engine.maxVersions,
		"cas_required":         engine.casRequired,
		"delete_version_after": engine.deleteAfter.String(),
	}}, nil
}

func (s *Server) kv2WriteConfig(c *call) (*response, error) {
	engine := c.mount.v2
	if n, ok := field[int](c, "max_versions"); ok {
		engine.maxVersions = uint32(n)
	}
	if required, ok := field[bool](c, "cas_required"); ok {
		engine.casRequired = required
	}
	if seconds, ok := field[int](c, "delete_version_after"); ok {
		engine.deleteAfter = time.Duration(max(seconds, -1)) * time.Second
	}
	return nil, nil
}
