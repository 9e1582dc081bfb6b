package cache

import (
	"context"

	"github.com/oauthstore/oauthstore"
)

// LeaseToken implements [oauthstore.TokenLeaser] with the wrapped store. It always asks that; finds that begin later know
// the token that it has read, or ask themselves.
func (s *Store) LeaseToken(ctx context.Context, request oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	l, ok := s.store.(oauthstore.TokenLeaser)
	if !ok {
		return nil, unsupported("LeaseToken")
	}
	c, a := s.start(), answer{err: errNoAnswer}
	defer func() { s.learnThrough(c, key{id: request.ID}, a) }()
	lease, err := l.LeaseToken(ctx, request)
	switch {
	case err != nil:
		a.err = err
	case lease != nil && lease.Token != nil:
		a = answer{token: lease.Token}
	}
	return lease, err
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
