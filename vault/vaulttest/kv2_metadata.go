package vaulttest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mitchellh/mapstructure"
)

var kv2Metadata = &endpoint{
	name:    "metadata",
	capture: "path",
	fields: map[string]kind{
		"path": stringKind, "exclude_deleted": boolKind, "cas_required": boolKind, "max_versions": intKind,
		"delete_version_after": durationKind, "custom_metadata": mapKind,
	},
	exists: keyExists,
	ops: map[operation]handler{
		opRead:   ready((*Server).kv2ReadMetadata),
		opCreate: ready((*Server).kv2WriteMetadata),
		opUpdate: ready((*Server).kv2WriteMetadata),
		opPatch:  ready((*Server).kv2PatchMetadata),
		opDelete: ready((*Server).kv2DeleteMetadata),
		opList:   ready((*Server).kv2List),
	},
}

// kv2List shows keys whose versions are all deleted, too, unless it is asked not to.
func (s *Server) kv2List(c *call) (*response, error) {
	keys := c.mount.v2.keys
	names := children(sortedKeys(keys), c.key)
	if hide, _ := field[bool](c, "exclude_deleted"); !hide {
		return listing(names), nil
	}
	var left []string
	for _, name := range names {
		k := keys[c.key+name]
		if k == nil || k.versions[k.current] == nil || k.versions[k.current].deletion.IsZero() {
			left = append(left, name)
		}
	}
	return listing(left), nil
}

func (s *Server) kv2ReadMetadata(c *call) (*response, error) {
	k := c.mount.v2.keys[strings.TrimSuffix(c.key, "/")]
	if k == nil {
		return nil, nil
	}
	versions := make(map[string]any, len(k.versions))
	for n, v := range k.versions {
		versions[strconv.FormatUint(n, 10)] = map[string]any{
			"created_time":  stamp(v.created),
			"deletion_time": stamp(v.deletion),
			"destroyed":     v.destroyed,
			"created_by":    v.createdBy,
			"deleted_by":    v.deletedBy,
		}
	}
	return &response{data: map[string]any{
		"versions":             versions,
		"current_version":      k.current,
		"oldest_version":       k.oldest,
		"created_time":         stamp(k.created),
		"updated_time":         stamp(k.updated),
		"max_versions":         k.maxVersions,
		"cas_required":         k.casRequired,
		"delete_version_after": k.deleteAfter.String(),
		"custom_metadata":      k.custom,
		"last_updated_by":      k.lastUpdatedBy,
	}}, nil
}

// kv2WriteMetadata creates the key where it does not exist; it has no version then.
func (s *Server) kv2WriteMetadata(c *call) (*response, error) {
	if !c.changesMetadata() {
		return nil, nil
	}
	raw, hasCustom := field[map[string]any](c, "custom_metadata")
	custom, err := customMetadata(raw)
	if err != nil {
		return nil, err
	}
	k := c.mount.v2.keys[c.key]
	if k == nil {
		k = &keyMetadata{versions: make(map[uint64]*version), created: c.now, updated: c.now}
		c.mount.v2.keys[c.key] = k
	}
	k.change(c)
	if hasCustom {
		k.setCustom(custom)
	}
	return c.casMandated(), nil
}

// setCustom stores no custom metadata and empty custom metadata alike: both are read as null.
func (k *keyMetadata) setCustom(custom map[string]string) {
	if len(custom) == 0 {
		custom = nil
	}
	k.custom = custom
}

func (c *call) changesMetadata() bool {
	for _, name := range []string{"max_versions", "cas_required", "delete_version_after", "custom_metadata"} {
		if _, ok := c.fields[name]; ok {
			return true
		}
	}
	return false
}

// change sets what the call names, but for custom metadata.
func (k *keyMetadata) change(c *call) {
	if n, ok := field[int](c, "max_versions"); ok {
		k.maxVersions = uint32(n)
	}
	if required, ok := field[bool](c, "cas_required"); ok {
		k.casRequired = required
	}
	if seconds, ok := field[int](c, "delete_version_after"); ok {
		k.deleteAfter = time.Duration(seconds) * time.Second
	}
}

// casMandated warns that the mount requires check-and-set whatever the key says.
func (c *call) casMandated() *response {
	required, ok := field[bool](c, "cas_required")
	if !ok || required || !c.mount.v2.casRequired {
		return nil
	}
	return &response{warnings: []string{
		`"cas_required" set to false, but is mandated by backend config. This value will be ignored.`,
	}}
}

// kv2PatchMetadata differs from a write in that null removes a piece of custom metadata, or all.
func (s *Server) kv2PatchMetadata(c *call) (*response, error) {
	patch, hasCustom := field[map[string]any](c, "custom_metadata")
	set := make(map[string]any)
	for name, value := range patch {
		if value != nil {
			set[name] = value
		}
	}
	if _, err := customMetadata(set); err != nil {
		return nil, err
	}
	k := c.mount.v2.keys[c.key]
	if k == nil {
		return &response{missing: true}, nil
	}
	for _, value := range set {
		if _, ok := value.(string); !ok {
			return nil, failMulti(http.StatusInternalServerError, "json: cannot unmarshal into Go struct field "+
				"KeyMetadata.custom_metadata of type string")
		}
	}
	k.change(c)
	if hasCustom {
		k.patchCustom(patch)
	}
	return c.casMandated(), nil
}

func (k *keyMetadata) patchCustom(patch map[string]any) {
	if patch == nil {
		k.custom = nil
		return
	}
	merged := make(map[string]string, len(k.custom)+len(patch))
	for name, value := range k.custom {
		merged[name] = value
	}
	for name, value := range patch {
		if text, ok := value.(string); ok {
			merged[name] = text
		} else {
			delete(merged, name)
		}
	}
	k.setCustom(merged)
}

// kv2DeleteMetadata removes the key with all versions. The next write starts again at version 1.
func (s *Server) kv2DeleteMetadata(c *call) (*response, error) {
	delete(c.mount.v2.keys, strings.TrimSuffix(c.key, "/"))
	return nil, nil
}

// Limits of custom metadata, from the API documentation of KV v2.
const (
	maxCustomKeys      = 64
	maxCustomKeySize   = 128
	maxCustomValueSize = 512
)

// customMetadata converts and checks custom metadata, and names all that is wrong with it.
func customMetadata(raw map[string]any) (map[string]string, error) {
	const failed = "custom_metadata validation failed: "
	custom := make(map[string]string, len(raw))
	for name, value := range raw {
		var text string
		if err := mapstructure.WeakDecode(value, &text); err != nil {
			return nil, badRequest("%s%s", failed, err)
		}
		custom[name] = text
	}
	if n := len(custom); n > maxCustomKeys {
		return nil, failMulti(http.StatusBadRequest,
			fmt.Sprintf("%spayload must contain at most %d keys, provided %d", failed, maxCustomKeys, n))
	}
	var wrong []string
	for _, name := range sortedKeys(custom) {
		for _, text := range checkCustom(name, custom[name]) {
			wrong = append(wrong, failed+text)
		}
	}
	if len(wrong) > 0 {
		return nil, failMulti(http.StatusBadRequest, wrong...)
	}
	return custom, nil
}

func checkCustom(name, value string) (wrong []string) {
	if n := len(name); n == 0 || n > maxCustomKeySize {
		wrong = append(wrong, fmt.Sprintf("length of key %q is %d but must be 0 < len(key) <= %d",
			name, n, maxCustomKeySize))
	}
	if n := len(value); n == 0 || n > maxCustomValueSize {
		wrong = append(wrong, fmt.Sprintf("length of value for key %q is %d but must be 0 < len(value) <= %d",
			name, n, maxCustomValueSize))
	}
	if !printable(name) {
		wrong = append(wrong, fmt.Sprintf("key %q (%s) contains unprintable characters", name, name))
	}
	if !printable(value) {
		wrong = append(wrong, fmt.Sprintf("value for key %q contains unprintable characters", name))
	}
	return wrong
}
