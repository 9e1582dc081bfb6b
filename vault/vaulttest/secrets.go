package vaulttest

import (
	"maps"
	"slices"
	"time"
)

// A Secret is a key of a KV engine as it is stored. Of a key on a KV v1 mount nothing is known but
// its data.
type Secret struct {
	Mount string // with its namespace, ends in "/": "secret/", "team/secret/"
	Path  string // below the mount

	CurrentVersion     int           // the newest ever written; 0: none
	OldestVersion      int           // 0: none was pruned so far
	MaxVersions        int           // of the key; 0 leaves it to the mount
	CASRequired        bool          // of the key
	DeleteVersionAfter time.Duration // of the key; 0 leaves it to the mount
	CustomMetadata     map[string]string
	Created            time.Time
	Updated            time.Time

	Versions []Version // oldest first, without pruned ones; one, with the number 0, in KV v1
}

// A Version is a version of a [Secret]. Its data is a secret in clear.
type Version struct {
	Number    int
	Data      map[string]any // numbers are [encoding/json.Number]; nil once destroyed
	Created   time.Time
	Deleted   time.Time // zero: not deleted. It may lie ahead, by delete_version_after.
	Destroyed bool
}

// Secrets returns a copy of what is stored in all KV engines, by namespace, mount and path.
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
		all = append(all, Secret{Mount: at, Path: key, Versions: []Version{{Data: decodeExact(m.v1[key])}}})
	}
	if m.v2 == nil {
		return all
	}
	for _, key := range sortedKeys(m.v2.keys) {
		secret := m.v2.keys[key].snapshot()
		secret.Mount, secret.Path = at, key
		all = append(all, secret)
	}
	return all
}

func (k *keyMetadata) snapshot() Secret {
	secret := Secret{
		CurrentVersion:     int(k.current),
		OldestVersion:      int(k.oldest),
		MaxVersions:        int(k.maxVersions),
		CASRequired:        k.casRequired,
		DeleteVersionAfter: k.deleteAfter,
		CustomMetadata:     maps.Clone(k.custom),
		Created:            k.created,
		Updated:            k.updated,
	}
	for _, n := range slices.Sorted(maps.Keys(k.versions)) {
		v := k.versions[n]
		out := Version{Number: int(n), Created: v.created, Deleted: v.deletion, Destroyed: v.destroyed}
		if v.data != nil {
			out.Data = decodeExact(v.data)
		}
		secret.Versions = append(secret.Versions, out)
	}
	return secret
}
