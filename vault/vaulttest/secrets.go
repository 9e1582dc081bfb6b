package vaulttest

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// A Secret is a key of a KV engine as it is stored.
type Secret struct {
	Mount          string // with its namespace, ends in "/"
	Path           string // below the mount
	MaxVersions    int    // of the key; 0 leaves it to the mount
	CustomMetadata map[string]string
	Versions       []Version // oldest first; one, with the number 0, in KV v1
}

// A Version is a version of a Secret. Its data is a secret in clear.
type Version struct {
	Number    int
	Data      map[string]any // nil once destroyed
	Created   time.Time
	Deleted   time.Time // zero: not deleted, nor to be
	Destroyed bool
}

// Secrets returns what is stored in all KV engines, by mount and path.
func (s *Server) Secrets() []Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Secret
	for _, path := range sortedKeys(s.namespaces) {
		mounts := s.namespaces[path].mounts
		for _, at := range sortedKeys(mounts) {
			all = append(all, mounts[at].secrets(path+at)...)
		}
	}
	return all
}

func (m *mount) secrets(at string) []Secret {
	var all []Secret
	for _, key := range sortedKeys(m.v1) {
		all = append(all, Secret{Mount: at, Path: key, Versions: []Version{{Data: decoded(m.v1[key])}}})
	}
	if m.v2 == nil {
		return all
	}
	for _, key := range sortedKeys(m.v2.keys) {
		k := m.v2.keys[key]
		secret := Secret{Mount: at, Path: key, MaxVersions: int(k.maxVersions), CustomMetadata: maps.Clone(k.custom)}
		for _, n := range slices.Sorted(maps.Keys(k.versions)) {
			v := k.versions[n]
			secret.Versions = append(secret.Versions, Version{
				Number: int(n), Data: decoded(v.data), Created: v.created, Deleted: v.deletion, Destroyed: v.destroyed,
			})
		}
		all = append(all, secret)
	}
	return all
}

func decoded(b []byte) map[string]any {
	var data map[string]any
	if b != nil {
		_ = json.Unmarshal(b, &data) // it was marshalled here
	}
	return data
}
