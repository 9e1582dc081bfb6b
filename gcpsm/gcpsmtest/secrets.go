package gcpsmtest

import (
	"cmp"
	"context"
	"slices"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// CreateSecret makes a secret without a version.
func (s *service) CreateSecret(_ context.Context, req *pb.CreateSecretRequest) (*pb.Secret, error) {
	n, err := parentName(req.GetParent())
	if err != nil {
		return nil, err
	}
	if req.GetSecret() == nil {
		return nil, required("secret")
	}
	if !secretIDFormat.MatchString(req.GetSecretId()) {
		return nil, invalid("The provided Secret ID [%s] does not match the expected format [[a-zA-Z_0-9]+]", req.GetSecretId())
	}
	n.secret = req.GetSecretId()

	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	meta := proto.CloneOf(req.GetSecret())
	meta.Name, meta.CreateTime = n.full(), timestamppb.New(now)
	if err := s.complete(meta, nil, n, now); err != nil {
		return nil, err
	}
	if s.store.newest(n.full()) != nil {
		return nil, alreadyExists(n)
	}
	s.store.made++
	s.store.put(n.full(), now, &secret{name: n, made: s.store.made, meta: meta})
	return meta, nil
}

// complete fills in what the service sets and checks the rest. old is what meta was before, nil for
// a new secret.
func (s *Server) complete(meta, old *pb.Secret, n name, now time.Time) error {
	meta.Tags = nil // input only
	if s.config.emulator {
		meta.VersionAliases = nil
	}
	if ttl := meta.GetTtl(); ttl != nil {
		expire := timestamppb.New(now.Add(ttl.AsDuration()))
		meta.Expiration = &pb.Secret_ExpireTime{ExpireTime: expire}
	}
	meta.Etag = s.newEtag(now)
	if s.config.has(Unvalidated) {
		return nil
	}
	return checkSecret(meta, old, n, now)
}

// GetSecret returns a secret's metadata.
func (s *service) GetSecret(_ context.Context, req *pb.GetSecretRequest) (*pb.Secret, error) {
	n, err := secretName(req.GetName())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sec := s.store.visible(n.full(), s.clock())
	if sec == nil {
		return nil, secretNotFound(n)
	}
	return sec.meta, nil
}

// UpdateSecret changes the fields that the update mask names.
func (s *service) UpdateSecret(_ context.Context, req *pb.UpdateSecretRequest) (*pb.Secret, error) {
	n, err := secretName(req.GetSecret().GetName())
	if err != nil {
		return nil, err
	}
	if err := checkMask(req.GetUpdateMask()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	sec := s.store.newest(n.full())
	if sec == nil {
		return nil, secretNotFound(n)
	}
	if err := s.checkEtag(req.GetSecret().GetEtag(), sec.meta.GetEtag()); err != nil {
		return nil, err
	}
	next := *sec
	next.meta = masked(sec.meta, req.GetSecret(), req.GetUpdateMask())
	if err := s.complete(next.meta, sec.meta, n, now); err != nil {
		return nil, err
	}
	s.store.put(n.full(), now, &next)
	return next.meta, nil
}

// DeleteSecret removes a secret and all its versions, at once and for good.
func (s *service) DeleteSecret(_ context.Context, req *pb.DeleteSecretRequest) (*emptypb.Empty, error) {
	n, err := secretName(req.GetName())
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
	if err := s.checkEtag(req.GetEtag(), sec.meta.GetEtag()); err != nil {
		return nil, err
	}
	s.store.put(n.full(), now, nil)
	return &emptypb.Empty{}, nil
}

// ListSecrets returns the secrets of a project, or of one of its locations, newest first.
func (s *service) ListSecrets(_ context.Context, req *pb.ListSecretsRequest) (*pb.ListSecretsResponse, error) {
	n, err := parentName(req.GetParent())
	if err != nil {
		return nil, err
	}
	p, err := s.newPage(req, &pb.Secret{})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	var found []*secret
	for full := range s.store.states {
		sec := s.store.visible(full, now)
		if sec != nil && sec.name.parent() == n.parent() && p.keep(sec.meta) {
			found = append(found, sec)
		}
	}
	slices.SortFunc(found, func(a, b *secret) int { return cmp.Compare(b.made, a.made) })
	resp := &pb.ListSecretsResponse{TotalSize: p.total(len(found))}
	found, resp.NextPageToken = cut(p, found, func(sec *secret) int64 { return sec.made })
	for _, sec := range found {
		resp.Secrets = append(resp.Secrets, sec.meta)
	}
	return resp, nil
}
