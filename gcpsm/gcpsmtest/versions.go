package gcpsmtest

import (
	"context"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// AddSecretVersion adds the next version. It has no precondition: who comes second gets the number
// after.
func (s *service) AddSecretVersion(_ context.Context, req *pb.AddSecretVersionRequest) (*pb.SecretVersion, error) {
	n, err := secretName(req.GetParent())
	if err != nil {
		return nil, err
	}
	if err := s.checkPayload(req.GetPayload()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	sec := s.store.newest(n.full())
	if sec == nil {
		return nil, secretNotFound(n)
	}
	meta := &pb.SecretVersion{
		Name:                           n.numberOf(len(sec.versions) + 1),
		CreateTime:                     timestamppb.New(now),
		State:                          pb.SecretVersion_ENABLED,
		Etag:                           s.newEtag(now),
		ClientSpecifiedPayloadChecksum: req.GetPayload().DataCrc32C != nil,
		ReplicationStatus:              replicationStatus(sec.meta.GetReplication()),
		CustomerManagedEncryption:      keyStatus(sec.meta.GetCustomerManagedEncryption()),
	}
	if err := s.checkKeys(meta); err != nil {
		return nil, err
	}
	data := req.GetPayload().GetData()
	s.store.put(n.full(), now, sec.with(nil, &version{meta, data, checksum(data)}))
	return meta, nil
}

// checksum returns the CRC32C of data as the API has it.
func checksum(data []byte) int64 {
	return int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
}

// AccessSecretVersion returns a version's payload. By number it is the one read that is always
// fresh.
func (s *service) AccessSecretVersion(_ context.Context, req *pb.AccessSecretVersionRequest) (*pb.AccessSecretVersionResponse, error) {
	n, err := versionName(req.GetName())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	sec := s.store.newest(n.full())
	if !n.numbered() {
		sec = s.store.visible(n.full(), now)
		if n, err = s.pointed(n, now); err != nil {
			return nil, err
		}
	}
	v, err := s.find(sec, n)
	if err != nil {
		return nil, err
	}
	if v.meta.GetState() != pb.SecretVersion_ENABLED {
		return nil, s.unreadable(v.meta)
	}
	if err := s.checkKeys(v.meta); err != nil {
		return nil, err
	}
	out := &pb.AccessSecretVersionResponse{Name: v.meta.GetName(), Payload: &pb.SecretPayload{Data: v.data}}
	if !s.config.has(NoChecksums) {
		out.Payload.DataCrc32C = &v.crc
	}
	return out, nil
}

// pointed puts in the place of latest, or of an alias, the number to which it led a while ago.
func (s *Server) pointed(n name, now time.Time) (name, error) {
	if s.config.lag == 0 {
		return n, nil
	}
	v, err := s.find(s.store.then(n.full(), now.Add(-s.config.lag)), n)
	if err != nil {
		return n, err
	}
	_, n.version, _ = strings.Cut(v.meta.GetName(), "/versions/")
	return n, nil
}

// unreadable is the answer to an access to a version that is not enabled.
func (s *Server) unreadable(v *pb.SecretVersion) error {
	switch {
	case v.GetState() == pb.SecretVersion_DESTROYED && s.config.has(DestroyedNotFound):
		return status.Errorf(codes.NotFound, "Secret version is destroyed: %s", v.GetName())
	case v.GetState() == pb.SecretVersion_DISABLED && s.config.has(DisabledInvalid):
		return invalid("Secret version is disabled: %s", v.GetName())
	default:
		return wrongState(v)
	}
}

// GetSecretVersion returns a version's metadata.
func (s *service) GetSecretVersion(_ context.Context, req *pb.GetSecretVersionRequest) (*pb.SecretVersion, error) {
	n, err := versionName(req.GetName())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.find(s.store.visible(n.full(), s.clock()), n)
	if err != nil {
		return nil, err
	}
	return v.meta, nil
}

// find returns the version of sec that n names by number, as latest or by alias.
func (s *Server) find(sec *secret, n name) (*version, error) {
	switch {
	case sec == nil:
		return nil, noVersions(n)
	case n.version == latest:
		return s.latest(sec)
	case n.numbered():
		return sec.numbered(n)
	}
	number, ok := sec.meta.GetVersionAliases()[n.version]
	if !ok {
		return nil, versionNotFound(n)
	}
	n.version = strconv.FormatInt(number, 10)
	return sec.numbered(n)
}

// latest returns the version of sec that was created last, whatever its state.
func (s *Server) latest(sec *secret) (*version, error) {
	for _, v := range slices.Backward(sec.versions) {
		if !s.config.emulator || v.meta.GetState() == pb.SecretVersion_ENABLED {
			return v, nil
		}
	}
	return nil, noVersions(sec.name)
}

// numbered returns the version of sec with the number in n.
func (sec *secret) numbered(n name) (*version, error) {
	number, err := strconv.Atoi(n.version)
	if err != nil || number < 1 || number > len(sec.versions) {
		return nil, versionNotFound(n)
	}
	return sec.versions[number-1], nil
}

// ListSecretVersions returns the metadata of a secret's versions, newest first.
func (s *service) ListSecretVersions(_ context.Context, req *pb.ListSecretVersionsRequest) (*pb.ListSecretVersionsResponse, error) {
	n, err := secretName(req.GetParent())
	if err != nil {
		return nil, err
	}
	p, err := s.newPage(req, &pb.SecretVersion{})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sec := s.store.visible(n.full(), s.clock())
	if sec == nil {
		return nil, secretNotFound(n)
	}
	var found []int64 // numbers
	for i, v := range slices.Backward(sec.versions) {
		if p.keep(v.meta) {
			found = append(found, int64(i+1))
		}
	}
	resp := &pb.ListSecretVersionsResponse{TotalSize: p.total(len(found))}
	found, resp.NextPageToken = cut(p, found, func(number int64) int64 { return number })
	for _, number := range found {
		resp.Versions = append(resp.Versions, sec.versions[number-1].meta)
	}
	return resp, nil
}
