// Package memory keeps OAuth tokens in the memory of the process: what a unit test needs, and the
// plainest implementation of the contract of [oauthstore.TokenStore].
//
// It is for one process. All users in that process have to share one [Store], which then passes both suites of package
// storetest. Two Stores have nothing in common.
package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/oauthstore/oauthstore"
)

// Store is an [oauthstore.TokenStore] that lives as long as the process does. Make it with [New].
type Store struct {
	mu      sync.Mutex
	records map[string]*oauthstore.Record // by id
	leases  map[string]*oauthstore.Lease  // by the id of their record
}

var (
	_ oauthstore.TokenStore   = (*Store)(nil)
	_ oauthstore.TokenUpdater = (*Store)(nil)
	_ oauthstore.TokenLeaser  = (*Store)(nil)
)

// New returns an empty store.
func New() *Store {
	return &Store{records: make(map[string]*oauthstore.Record), leases: make(map[string]*oauthstore.Lease)}
}

// FindToken implements [oauthstore.TokenStore].
func (s *Store) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	if err := cmp.Or(ctx.Err(), oauthstore.CheckFindable(token)); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := oauthstore.Match(token, s.stored())
	if found == nil {
		return nil, oauthstore.ErrTokenNotFound
	}
	return s.records[found.ID].Found(token), nil
}

// FindTokenByID implements [oauthstore.TokenStore].
func (s *Store) FindTokenByID(ctx context.Context, id string) (*oauthstore.OAuthToken, error) {
	if err := cmp.Or(ctx.Err(), oauthstore.CheckID(id)); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[id]
	if !ok {
		return nil, oauthstore.ErrTokenNotFound
	}
	return r.Found(nil), nil
}

// SaveToken implements [oauthstore.TokenStore].
func (s *Store) SaveToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	if err := cmp.Or(ctx.Err(), oauthstore.CheckSavable(token)); err != nil {
		return err
	}
	saved := *token
	if oauthstore.RuleFor(token) == oauthstore.RuleNone {
		saved.ID = oauthstore.DerivedTokenID(token)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.save(&saved); err != nil {
		return err
	}
	*token = saved
	return nil
}

// UpdateToken implements [oauthstore.TokenUpdater].
func (s *Store) UpdateToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	if err := cmp.Or(ctx.Err(), oauthstore.CheckFindable(token)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.updated(token)
	if r == nil || r.Replaced(token) {
		return oauthstore.ErrTokenNotFound
	}
	return s.update(r, token)
}

// DeleteToken implements [oauthstore.TokenStore].
func (s *Store) DeleteToken(ctx context.Context, id string) error {
	if err := cmp.Or(ctx.Err(), oauthstore.CheckID(id)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.records[id]; !ok {
		return oauthstore.ErrTokenNotFound
	}
	delete(s.records, id)
	delete(s.leases, id)
	return nil
}

// GetTokens implements [oauthstore.TokenStore].
func (s *Store) GetTokens(ctx context.Context) ([]*oauthstore.OAuthToken, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	tokens := make([]*oauthstore.OAuthToken, 0, len(s.records))
	for _, r := range s.records {
		tokens = append(tokens, r.Found(nil))
	}
	slices.SortFunc(tokens, func(a, b *oauthstore.OAuthToken) int { return cmp.Compare(a.ID, b.ID) })
	return tokens, nil
}

// DeleteTokens implements [oauthstore.TokenStore].
func (s *Store) DeleteTokens(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.records)
	clear(s.leases)
	return nil
}

// stored returns the tokens of all records.
func (s *Store) stored() []*oauthstore.OAuthToken {
	all := make([]*oauthstore.OAuthToken, 0, len(s.records))
	for _, r := range s.records {
		all = append(all, &r.Token)
	}
	return all
}

// updated returns the record that a save of token updates, or nil.
func (s *Store) updated(token *oauthstore.OAuthToken) *oauthstore.Record {
	return oauthstore.MatchSaved(token, slices.Collect(maps.Values(s.records)))
}

func (s *Store) save(token *oauthstore.OAuthToken) error {
	if r := s.updated(token); r != nil {
		return s.update(r, token)
	}
	return s.insert(token)
}

func (s *Store) update(r *oauthstore.Record, token *oauthstore.OAuthToken) error {
	merged, changed := r.Merge(token)
	if !oauthstore.SameUser(&merged.Token, &r.Token) {
		if err := oauthstore.CheckConflict(&merged.Token, s.stored()); err != nil {
			return err
		}
	}
	if l := s.leases[r.Token.ID]; changed && l != nil {
		l.Refused = ""
	}
	s.keep(merged, token)
	return nil
}

func (s *Store) insert(token *oauthstore.OAuthToken) error {
	r, err := oauthstore.NewRecord(token)
	if err != nil {
		return err
	}
	if err := oauthstore.CheckConflict(&r.Token, s.stored()); err != nil {
		return err
	}
	if r.Token.ID == "" {
		r.Token.ID = s.newID(token)
	}
	s.keep(r, token)
	return nil
}

// newID returns the first of the generated ids that no record has.
func (s *Store) newID(token *oauthstore.OAuthToken) string {
	if token.UserName != "" {
		for _, id := range []string{
			oauthstore.DerivedID(token.UserName, ""),
			oauthstore.DerivedID(token.UserName, token.ClientID),
		} {
			if _, held := s.records[id]; !held {
				return id
			}
		}
	}
	return oauthstore.RandomID()
}

// keep stores r and fills token in with it.
func (s *Store) keep(r *oauthstore.Record, token *oauthstore.OAuthToken) {
	s.records[r.Token.ID] = r
	*token = *r.Found(nil)
}
