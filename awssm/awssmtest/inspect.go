package awssmtest

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Secret is a secret as it is stored.
type Secret struct {
	Name        string
	ARN         string
	Description string
	KMSKey      string // empty for the key that AWS manages
	Tags        map[string]string
	Replicas    []string // Regions
	Created     time.Time
	Changed     time.Time

	// DeletionDate is the end of the recovery window, zero for a secret that is not deleted.
	DeletionDate time.Time

	// Versions are those with and without labels, oldest first.
	Versions []Version
}

// A Version is a version of a [Secret]. Its payload is a secret in clear.
type Version struct {
	ID      string
	Stages  []string // sorted
	Payload []byte
	Binary  bool // whether the payload came as SecretBinary rather than as SecretString
	Created time.Time
}

// Secrets returns copies of all secrets, sorted by name, whatever lag clients see. Those that wait
// for the end of their recovery window are among them, those that were deleted without one are not.
func (s *Server) Secrets() []Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.purge(s.Now())
	var secrets []Secret
	for _, sec := range s.secrets {
		if sec.deletion == nil || !sec.deletion.forced {
			secrets = append(secrets, sec.snapshot())
		}
	}
	slices.SortFunc(secrets, func(a, b Secret) int { return strings.Compare(a.Name, b.Name) })
	return secrets
}

func (sec *secret) snapshot() Secret {
	snapshot := Secret{
		Name:        sec.name,
		ARN:         sec.arn,
		Description: sec.description,
		KMSKey:      sec.kmsKey,
		Tags:        maps.Clone(sec.tags),
		Replicas:    sec.replicaRegions(),
		Created:     sec.created,
		Changed:     sec.changed,
	}
	if sec.deletion != nil {
		snapshot.DeletionDate = sec.deletion.due
	}
	for _, v := range sec.versions {
		snapshot.Versions = append(snapshot.Versions, Version{
			ID:      v.id,
			Stages:  sec.labels(v.id),
			Payload: bytes.Clone(v.value.data),
			Binary:  v.value.binary,
			Created: v.created,
		})
	}
	return snapshot
}
