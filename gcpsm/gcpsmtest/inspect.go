package gcpsmtest

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A Secret is what the server held of a secret when it was asked.
type Secret struct {
	Name        string // as its creator called it
	Resource    string // the full resource name, with the project's number
	Created     time.Time
	Expires     time.Time // zero for never
	Etag        string
	Labels      map[string]string
	Annotations map[string]string
	Aliases     map[string]int64
	Versions    []Version // the oldest first
}

// A Version is one version of a [Secret].
type Version struct {
	Number           int
	State            string // ENABLED, DISABLED or DESTROYED
	Data             []byte // nil once destroyed
	Etag             string
	Created          time.Time
	Destroyed        time.Time // zero until then
	ScheduledDestroy time.Time // zero if nobody has asked for it, or it has happened
}

// Secrets returns all secrets, of all projects, by name. It shows the newest state of each, whatever
// stale reads see.
func (s *Server) Secrets() []Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Secret
	for _, sec := range s.current() {
		all = append(all, sec.snapshot())
	}
	slices.SortFunc(all, func(a, b Secret) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Resource, b.Resource))
	})
	return all
}

// ActiveVersions returns how many versions of all secrets are ENABLED or DISABLED: the ones that the
// service bills (a version of a secret with user-managed replication once for each replica, which
// this number does not count).
func (s *Server) ActiveVersions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, sec := range s.current() {
		for _, v := range sec.versions {
			if v.meta.GetState() != pb.SecretVersion_DESTROYED {
				n++
			}
		}
	}
	return n
}

// current returns the newest states of the secrets that exist.
func (s *Server) current() []*secret {
	s.clock()
	var all []*secret
	for full := range s.store.states {
		if sec := s.store.newest(full); sec != nil {
			all = append(all, sec)
		}
	}
	return all
}

func (sec *secret) snapshot() Secret {
	out := Secret{
		Name:        sec.name.secret,
		Resource:    sec.name.full(),
		Created:     timeOf(sec.meta.GetCreateTime()),
		Expires:     timeOf(sec.meta.GetExpireTime()),
		Etag:        sec.meta.GetEtag(),
		Labels:      maps.Clone(sec.meta.GetLabels()),
		Annotations: maps.Clone(sec.meta.GetAnnotations()),
		Aliases:     maps.Clone(sec.meta.GetVersionAliases()),
	}
	for i, v := range sec.versions {
		out.Versions = append(out.Versions, Version{
			Number:           i + 1,
			State:            v.meta.GetState().String(),
			Data:             bytes.Clone(v.data),
			Etag:             v.meta.GetEtag(),
			Created:          timeOf(v.meta.GetCreateTime()),
			Destroyed:        timeOf(v.meta.GetDestroyTime()),
			ScheduledDestroy: timeOf(v.meta.GetScheduledDestroyTime()),
		})
	}
	return out
}

// timeOf returns the zero time where there is none.
func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
