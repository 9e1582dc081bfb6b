package gcpsmtest

import (
	"context"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// EnableSecretVersion makes a version accessible, and withdraws its scheduled destruction.
func (s *service) EnableSecretVersion(_ context.Context, req *pb.EnableSecretVersionRequest) (*pb.SecretVersion, error) {
	return s.change(req, func(_ *secret, v *version, _ time.Time) error {
		return v.set(pb.SecretVersion_ENABLED)
	})
}

// DisableSecretVersion makes a version inaccessible, and withdraws its scheduled destruction.
func (s *service) DisableSecretVersion(_ context.Context, req *pb.DisableSecretVersionRequest) (*pb.SecretVersion, error) {
	return s.change(req, func(_ *secret, v *version, _ time.Time) error {
		return v.set(pb.SecretVersion_DISABLED)
	})
}

// set changes the state of v to one in which the payload is kept.
func (v *version) set(state pb.SecretVersion_State) error {
	if v.meta.GetState() == pb.SecretVersion_DESTROYED {
		return wrongState(v.meta)
	}
	v.meta.State = state
	v.meta.ScheduledDestroyTime = nil
	return nil
}

// DestroySecretVersion erases a version's payload, at once or, where the secret has a
// version_destroy_ttl, after that time, during which the version is disabled.
func (s *service) DestroySecretVersion(_ context.Context, req *pb.DestroySecretVersionRequest) (*pb.SecretVersion, error) {
	return s.change(req, func(sec *secret, v *version, now time.Time) error {
		ttl := sec.meta.GetVersionDestroyTtl().AsDuration()
		switch {
		case v.meta.GetState() == pb.SecretVersion_DESTROYED && s.config.has(DestroyTwice):
			return nil
		case v.meta.GetState() == pb.SecretVersion_DESTROYED:
			return alreadyDestroyed()
		case v.meta.GetScheduledDestroyTime() != nil:
			return alreadyScheduled()
		case ttl > 0:
			v.meta.State = pb.SecretVersion_DISABLED
			v.meta.ScheduledDestroyTime = timestamppb.New(now.Add(ttl))
		default:
			*v = version{meta: destroyed(v.meta, now)}
		}
		return nil
	})
}

// A stateRequest is what the requests that change a version's state have in common.
type stateRequest interface {
	GetName() string
	GetEtag() string
}

// change makes a new state of a version, from a copy that by may alter. The etag is new even where
// by changes nothing.
func (s *service) change(req stateRequest, by func(*secret, *version, time.Time) error) (*pb.SecretVersion, error) {
	n, err := numberedName(req.GetName())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	sec := s.store.newest(n.full())
	if sec == nil {
		return nil, secretNotFound(n)
	}
	old, err := sec.numbered(n)
	if err != nil {
		return nil, err
	}
	if err := s.checkEtag(req.GetEtag(), old.meta.GetEtag()); err != nil {
		return nil, err
	}
	next := &version{proto.CloneOf(old.meta), old.data, old.crc}
	if err := by(sec, next, now); err != nil {
		return nil, err
	}
	next.meta.Etag = s.newEtag(now)
	s.store.put(n.full(), now, sec.with(old, next))
	return next.meta, nil
}
