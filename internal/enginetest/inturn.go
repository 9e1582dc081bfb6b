package enginetest

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/oauthstore/oauthstore"
)

// InTurn returns a store of which each call goes to the next of three that share a service. So calls at the same time are
// calls of several processes, and none of these knows what the one before has done.
func InTurn(newStore func() Store) oauthstore.TokenStore {
	return &inTurn{stores: []Store{newStore(), newStore(), newStore()}}
}

type inTurn struct {
	stores []Store
	calls  atomic.Uint64
}

func (s *inTurn) next() Store { return s.stores[s.calls.Add(1)%uint64(len(s.stores))] }

func (s *inTurn) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	return s.next().FindToken(ctx, token)
}

func (s *inTurn) FindTokenByID(ctx context.Context, id string) (*oauthstore.OAuthToken, error) {
	return s.next().FindTokenByID(ctx, id)
}

func (s *inTurn) SaveToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return s.next().SaveToken(ctx, token)
}

func (s *inTurn) UpdateToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return s.next().UpdateToken(ctx, token)
}

func (s *inTurn) DeleteToken(ctx context.Context, id string) error {
	return s.next().DeleteToken(ctx, id)
}

func (s *inTurn) GetTokens(ctx context.Context) ([]*oauthstore.OAuthToken, error) {
	return s.next().GetTokens(ctx)
}

func (s *inTurn) DeleteTokens(ctx context.Context) error { return s.next().DeleteTokens(ctx) }

func (s *inTurn) Tokens(ctx context.Context) iter.Seq2[*oauthstore.OAuthToken, error] {
	return s.next().Tokens(ctx)
}

func (s *inTurn) LeaseToken(ctx context.Context, request oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	return s.next().LeaseToken(ctx, request)
}

func (s *inTurn) RenewLease(ctx context.Context, lease *oauthstore.Lease) error {
	return s.next().RenewLease(ctx, lease)
}

func (s *inTurn) SaveLeased(ctx context.Context, lease *oauthstore.Lease, token *oauthstore.OAuthToken) error {
	return s.next().SaveLeased(ctx, lease, token)
}

func (s *inTurn) ReleaseLease(ctx context.Context, lease *oauthstore.Lease) error {
	return s.next().ReleaseLease(ctx, lease)
}
