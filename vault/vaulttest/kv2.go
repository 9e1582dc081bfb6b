package vaulttest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// versioned is what a KV v2 engine holds.
type versioned struct {
	upgrading   bool
	maxVersions uint32
	casRequired bool
	deleteAfter time.Duration // negative: no version is deleted by time, whatever its key says
	keys        map[string]*keyMetadata
}

// keyMetadata is a key with its versions.
type keyMetadata struct {
	current       uint64 // the newest version ever written; 0: none
	oldest        uint64 // stays 0 until a version has been pruned for the first time
	versions      map[uint64]*version
	created       time.Time
	updated       time.Time
	maxVersions   uint32
	casRequired   bool
	deleteAfter   time.Duration
	custom        map[string]string
	lastUpdatedBy *attribution
}

type version struct {
	data      []byte // JSON; nil once destroyed
	created   time.Time
	deletion  time.Time // zero: not deleted. It may lie ahead, by delete_version_after.
	destroyed bool
	createdBy *attribution
	deletedBy *attribution
}

// An attribution says who did something to a version.
type attribution struct {
	Actor     string `json:"actor,omitempty"`
	Operation string `json:"operation,omitempty"`
	EntityID  string `json:"entity_id,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
}

func (c *call) attribution() *attribution {
	return &attribution{Actor: c.by.displayName, Operation: string(c.op), ClientID: c.by.clientID()}
}

// kv2Endpoint finds the endpoint of a path below a KV v2 mount, and the key.
func kv2Endpoint(rest string) (*endpoint, string) {
	word, key, slash := strings.Cut(rest, "/")
	switch {
	case rest == "config":
		return kv2Config, ""
	case slash && word == "data" && key != "" && !strings.HasSuffix(key, "/"):
		return kv2Data, key
	case slash && word == "metadata":
		return kv2Metadata, key
	case slash && word == "delete":
		return kv2DeleteVersions, key
	case slash && word == "undelete":
		return kv2UndeleteVersions, key
	case slash && word == "destroy":
		return kv2DestroyVersions, key
	}
	return kv2Invalid, rest
}

var kv2Invalid = &endpoint{
	name: "invalid",
	ops: map[operation]handler{
		opRead: kv2NotFound, opUpdate: kv2NotFound, opPatch: kv2NotFound, opDelete: kv2NotFound, opList: kv2NotFound,
	},
}

func kv2NotFound(_ *Server, c *call) (*response, error) {
	switch c.key {
	case "metadata", "data", "delete", "undelete", "destroy":
		return &response{missing: true, warnings: []string{
			"Non-listing operations on the root of a K/V v2 mount are not supported.",
		}}, nil
	}
	word := map[operation]string{opRead: "get", opUpdate: "put"}[c.op]
	if word == "" {
		word = string(c.op)
	}
	return &response{missing: true, warnings: []string{
		"Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API " +
			"endpoints to use. If using the Vault CLI, use 'vault kv " + word + "' for this operation.",
	}}, nil
}

var errUpgrading = badRequest("Upgrading from non-versioned to versioned data. This backend will be " +
	"unavailable for a brief period and will resume service shortly.")

// ready makes a handler wait for the end of an upgrade, by an error.
func ready(next handler) handler {
	return func(s *Server, c *call) (*response, error) {
		if c.mount.v2.upgrading {
			return nil, errUpgrading
		}
		return next(s, c)
	}
}

// keyExists serves policies. A key whose versions are all deleted exists, too.
func keyExists(c *call) (bool, error) {
	return c.mount.v2.keys[c.key] != nil, nil
}

// maxVersionsDefault holds where neither the mount nor the key says anything.
const maxVersionsDefault = 10

// add makes v the newest version of k, and forgets the versions that are too many then.
func (k *keyMetadata) add(v *version, mountMax uint32) {
	k.current++
	k.versions[k.current] = v
	k.updated = v.created
	if k.created.IsZero() {
		k.created = v.created
	}
	keep := uint64(max(k.maxVersions, mountMax))
	if keep == 0 {
		keep = maxVersionsDefault
	}
	if k.current-k.oldest < keep {
		return
	}
	k.oldest = k.current - keep + 1
	for n := range k.versions {
		if n < k.oldest {
			delete(k.versions, n)
		}
	}
}

// deletionTime is when a version that comes to life now will be deleted, zero for never.
func (e *versioned) deletionTime(k *keyMetadata, now time.Time) time.Time {
	switch {
	case e.deleteAfter < 0 || e.deleteAfter == 0 && k.deleteAfter == 0:
		return time.Time{}
	case e.deleteAfter == 0:
		return now.Add(k.deleteAfter)
	case k.deleteAfter == 0:
		return now.Add(e.deleteAfter)
	}
	return now.Add(min(e.deleteAfter, k.deleteAfter))
}

func (v *version) deleted(now time.Time) bool {
	return !v.deletion.IsZero() && !v.deletion.After(now)
}

// stamp is a time as KV v2 prints it.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// entryOverhead is about what encryption and framing add to a value in storage.
const entryOverhead = 52

// fits refuses what the storage would refuse.
func (s *Server) fits(c *call, value []byte) error {
	size := len(value) + entryOverhead
	if s.maxEntry == 0 || size <= s.maxEntry {
		return nil
	}
	return fmt.Errorf("put failed due to value being too large, max value size for key logical/%s is %d, got %d",
		c.mount.uuid, s.maxEntry, size)
}

func storageFailure(err error) error {
	return failMulti(http.StatusInternalServerError, err.Error())
}

var (
	errCASInvalid  = errors.New("error parsing check-and-set parameter")
	errCASMismatch = errors.New("check-and-set parameter did not match the current version")
	errCASRequired = errors.New("check-and-set parameter required for this call")
)
