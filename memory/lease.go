package memory

import (
	"cmp"
	"context"
	"time"

	"github.com/oauthstore/oauthstore"
)

// LeaseToken implements [oauthstore.TokenLeaser].
func (s *Store) LeaseToken(ctx context.Context, request oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	if err := cmp.Or(ctx.Err(), request.Validate()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[request.ID]
	if !ok {
		return nil, oauthstore.ErrTokenNotFound
	}
	lease := &oauthstore.Lease{}
	if l := s.leases[request.ID]; l != nil {
		*lease = *l
	}
	lease.Token = r.Found(nil)
	if !lease.Take(request) {
		return lease, nil
	}
	kept := *lease
	s.leases[request.ID] = &kept
	return lease, nil
}

// RenewLease implements [oauthstore.TokenLeaser].
func (s *Store) RenewLease(ctx context.Context, lease *oauthstore.Lease) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !lease.Held || s.holder(lease.Token.ID) != lease.Holder {
		return oauthstore.ErrLeaseLost
	}
	lease.Until = time.Now().Add(lease.For)
	s.leases[lease.Token.ID].Until = lease.Until
	return nil
}

// SaveLeased implements [oauthstore.TokenLeaser].
func (s *Store) SaveLeased(ctx context.Context, lease *oauthstore.Lease, token *oauthstore.OAuthToken) error {
	if err := cmp.Or(ctx.Err(), lease.Validate(token)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := lease.Token.ID
	r := s.records[id]
	if err := lease.Check(r, s.holder(id), token); err != nil {
		return err
	}
	if err := s.update(r, token); err != nil {
		return err
	}
	s.release(lease)
	return nil
}

// ReleaseLease implements [oauthstore.TokenLeaser].
func (s *Store) ReleaseLease(ctx context.Context, lease *oauthstore.Lease) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(lease)
	return nil
}

func (s *Store) release(lease *oauthstore.Lease) {
	id := lease.Token.ID
	if !lease.Held || s.holder(id) != lease.Holder {
		return
	}
	left := lease.Released(s.records[id])
	s.leases[id] = &left
}

// holder is who has the lease on the record, empty where nobody has.
func (s *Store) holder(id string) string {
	if l := s.leases[id]; l != nil {
		return l.Holder
	}
	return ""
}
