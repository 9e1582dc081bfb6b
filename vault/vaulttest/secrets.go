package vaulttest

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Secret is a key of a KV engine as [Server.Secrets] found it. Of one on a KV v1 mount there is a
// single version, number 0, and nothing else is known.
type Secret struct {
	Namespace string // "" is the root, others have no slash at the end: "team"
	Mount     string // "secret"
	Path      string // below the mount, without the word data: "app/db"

	CurrentVersion     int // 0: never written
	OldestVersion      int // 0: none was pruned so far
	MaxVersions        int
	CASRequired        bool
	DeleteVersionAfter time.Duration
	CustomMetadata     map[string]string
	CreatedTime        time.Time
	UpdatedTime        time.Time

	Versions []Version // oldest first; pruned ones are gone
}

// A Version is one version of a [Secret].
type Version struct {
	Number       int
	State        State
	Data         map[string]any // numbers are [encoding/json.Number]; nil once destroyed
	CreatedTime  time.Time
	DeletionTime time.Time // zero: none. It may lie ahead, by delete_version_after.
}

// A State is what became of a [Version].
type State string

// The states of a version.
const (
	Live      State = "live"
	Deleted   State = "deleted"   // can be undeleted; the data is still there
	Destroyed State = "destroyed" // the data is gone
)

// Secrets returns everything that is stored, sorted by namespace, mount and path. It is a copy.
func (s *Server) Secrets() []Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	var all []Secret
	for _, ns := range s.namespaces {
		for _, m := range ns.mounts {
			all = append(all, m.secrets(strings.TrimSuffix(ns.path, "/"), now)...)
		}
	}
	slices.SortFunc(all, func(a, b Secret) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Mount, b.Mount), cmp.Compare(a.Path, b.Path))
	})
	return all
}

func (m *mount) secrets(namespace string, now time.Time) []Secret {
	var all []Secret
	name := strings.TrimSuffix(m.path, "/")
	for path, data := range m.v1 {
		live := Version{State: Live, Data: decodeExact(data)}
		all = append(all, Secret{Namespace: namespace, Mount: name, Path: path, Versions: []Version{live}})
	}
	if m.v2 == nil {
		return all
	}
	for path, k := range m.v2.keys {
		secret := k.snapshot(now)
		secret.Namespace, secret.Mount, secret.Path = namespace, name, path
		all = append(all, secret)
	}
	return all
}

func (k *keyMetadata) snapshot(now time.Time) Secret {
	secret := Secret{
		CurrentVersion:     int(k.current),
		OldestVersion:      int(k.oldest),
		MaxVersions:        int(k.maxVersions),
		CASRequired:        k.casRequired,
		DeleteVersionAfter: k.deleteAfter,
		CustomMetadata:     maps.Clone(k.custom),
		CreatedTime:        k.created,
		UpdatedTime:        k.updated,
	}
	for _, n := range slices.Sorted(maps.Keys(k.versions)) {
		secret.Versions = append(secret.Versions, k.versions[n].snapshot(int(n), now))
	}
	return secret
}

func (v *version) snapshot(number int, now time.Time) Version {
	out := Version{Number: number, State: Live, CreatedTime: v.created, DeletionTime: v.deletion}
	if v.data != nil {
		out.Data = decodeExact(v.data)
	}
	switch {
	case v.destroyed:
		out.State = Destroyed
	case v.deleted(now):
		out.State = Deleted
	}
	return out
}
