package vaulttest

import (
	"encoding/json"

	"github.com/mitchellh/mapstructure"
)

var kv2Data = &endpoint{
	name:    "data",
	capture: "path",
	fields:  map[string]kind{"path": stringKind, "version": intKind, "options": mapKind, "data": mapKind},
	exists:  keyExists,
	ops: map[operation]handler{
		opRead:   ready((*Server).kv2Read),
		opCreate: ready((*Server).kv2Write),
		opUpdate: ready((*Server).kv2Write),
		opPatch:  ready((*Server).kv2Patch),
		opDelete: ready((*Server).kv2Delete),
	},
}

// kv2Read answers a version that was deleted or destroyed with 404, and yet says its number.
func (s *Server) kv2Read(c *call) (*response, error) {
	k := c.mount.v2.keys[c.key]
	if k == nil {
		return nil, nil
	}
	number := k.current
	if n, _ := field[int](c, "version"); n > 0 {
		number = uint64(n)
	}
	v := k.versions[number]
	if v == nil {
		return nil, nil
	}
	resp := &response{data: map[string]any{"data": nil, "metadata": k.describe(number)}}
	if v.destroyed || v.deleted(c.now) {
		resp.missing = true
		return resp, nil
	}
	resp.data["data"] = decodeLoosely(v.data)
	return resp, nil
}

// describe is what KV v2 says about a version in its answers to reads and writes.
func (k *keyMetadata) describe(number uint64) map[string]any {
	v := k.versions[number]
	return map[string]any{
		"version":         number,
		"created_time":    stamp(v.created),
		"deletion_time":   stamp(v.deletion),
		"destroyed":       v.destroyed,
		"custom_metadata": k.custom,
	}
}

// decodeLoosely turns numbers into float64, as KV v2 does: integers above 2^53 lose digits.
func decodeLoosely(b []byte) map[string]any {
	var data map[string]any
	if err := json.Unmarshal(b, &data); err != nil {
		panic("vaulttest: " + err.Error()) // encode made it
	}
	return data
}

func (s *Server) kv2Write(c *call) (*response, error) {
	data, ok := field[map[string]any](c, "data")
	if !ok {
		return nil, badRequest("no data provided")
	}
	k := c.mount.v2.keys[c.key]
	if k == nil {
		k = &keyMetadata{versions: make(map[uint64]*version)}
	}
	if err := c.checkAndSet(k); err != nil {
		return nil, badRequest("%s", err)
	}
	return s.addVersion(c, k, data)
}

// checkAndSet compares options.cas with the number of the newest version, deleted or not.
func (c *call) checkAndSet(k *keyMetadata) error {
	options, _ := field[map[string]any](c, "options")
	raw, ok := options["cas"]
	if !ok {
		if c.mount.v2.casRequired || k.casRequired {
			return errCASRequired
		}
		return nil
	}
	var cas int
	if mapstructure.WeakDecode(raw, &cas) != nil {
		return errCASInvalid
	}
	if uint64(cas) != k.current {
		return errCASMismatch
	}
	return nil
}

func (s *Server) addVersion(c *call, k *keyMetadata, data any) (*response, error) {
	value := encode(data)
	if err := s.fits(c, value); err != nil {
		return nil, storageFailure(err)
	}
	engine := c.mount.v2
	k.lastUpdatedBy = c.attribution()
	k.add(&version{
		data:      value,
		created:   c.now,
		deletion:  engine.deletionTime(k, c.now),
		createdBy: k.lastUpdatedBy,
	}, engine.maxVersions)
	engine.keys[c.key] = k
	return &response{data: k.describe(k.current)}, nil
}

// kv2Patch merges into the newest version, which must be there.
func (s *Server) kv2Patch(c *call) (*response, error) {
	patch, ok := field[map[string]any](c, "data")
	if !ok {
		return nil, badRequest("no data provided")
	}
	k := c.mount.v2.keys[c.key]
	if k == nil {
		return &response{missing: true}, nil
	}
	if err := c.checkAndSet(k); err != nil {
		return nil, badRequest("%s", err)
	}
	v := k.versions[k.current]
	switch {
	case v == nil:
		return &response{missing: true}, nil
	case v.destroyed || v.deleted(c.now):
		return &response{missing: true, data: k.describe(k.current)}, nil
	}
	return s.addVersion(c, k, merge(decodeLoosely(v.data), patch))
}

// merge applies a JSON merge patch (RFC 7396): null removes, objects are merged, all else replaces.
func merge(target any, patch map[string]any) map[string]any {
	merged, ok := target.(map[string]any)
	if !ok || merged == nil {
		merged = make(map[string]any)
	}
	for name, value := range patch {
		if value == nil {
			delete(merged, name)
		} else if object, ok := value.(map[string]any); ok {
			merged[name] = merge(merged[name], object)
		} else {
			merged[name] = value
		}
	}
	return merged
}

// kv2Delete marks the newest version as deleted. There is no condition to be had.
func (s *Server) kv2Delete(c *call) (*response, error) {
	k := c.mount.v2.keys[c.key]
	if k == nil {
		return nil, nil
	}
	v := k.versions[k.current]
	if v == nil || v.destroyed || v.deleted(c.now) {
		return nil, nil
	}
	v.deletion = c.now
	v.deletedBy = c.attribution()
	k.lastUpdatedBy = v.deletedBy
	return nil, nil
}
