package cache

import (
	"context"

	"github.com/oauthstore/oauthstore"
)

// LeaseToken implements [oauthstore.TokenLeaser] with the wrapped store. It always asks that; finds then know the token
// that it has read.
func (s *Store) LeaseToken(ctx context.Context, request oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	l, ok := s.store.(oauthstore.TokenLeaser)
	if !ok {
		return nil, unsupported("LeaseToken")
	}
	c, a := s.start(), answer{err: errNoAnswer}
	defer func() { s.leased(c, request.ID, a) }()
	lease, err := l.LeaseToken(ctx, request)
	switch {
	case err != nil:
		a.err = err
	case lease != nil && lease.Token != nil:
		a = answer{token: lease.Token}
	}
	return lease, err
}

func (s *Store) leased(c *call, id string, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, c)
	s.seq++
	c.seq = s.seq // it has written after it has read: finds that began before do not know better
	s.learn(c, key{id: id}, a)
}

// RenewLease implements [oauthstore.TokenLeaser] with the wrapped store.
func (s *Store) RenewLease(ctx context.Context, lease *oauthstore.Lease) error {
	l, ok := s.store.(oauthstore.TokenLeaser)
	if !ok {
		return unsupported("RenewLease")
	}
	return l.RenewLease(ctx, lease)
}

// SaveLeased implements [oauthstore.TokenLeaser] with the wrapped store. Where the lease is lost, the Store forgets the
// token: somebody else has a newer one.
func (s *Store) SaveLeased(ctx context.Context, lease *oauthstore.Lease, token *oauthstore.OAuthToken) error {
	l, ok := s.store.(oauthstore.TokenLeaser)
	if !ok {
		return unsupported("SaveLeased")
	}
	var id string
	if lease != nil && lease.Token != nil {
		id = lease.Token.ID
	}
	return s.write(id, token, func() error { return l.SaveLeased(ctx, lease, token) })
}

// ReleaseLease implements [oauthstore.TokenLeaser] with the wrapped store.
func (s *Store) ReleaseLease(ctx context.Context, lease *oauthstore.Lease) error {
	l, ok := s.store.(oauthstore.TokenLeaser)
	if !ok {
		return unsupported("ReleaseLease")
	}
	return l.ReleaseLease(ctx, lease)
}
