package engine

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/oauthstore/oauthstore"
)

// streamed is how many tokens are read ahead at most.
const streamed = 100

// errEnough says that the caller wants no more.
var errEnough = errors.New("no more tokens are wanted")

// Tokens implements oauthstore.TokenRanger. It goes from leaf to leaf of the index.
func (s *Store) Tokens(ctx context.Context) iter.Seq2[*oauthstore.OAuthToken, error] {
	return func(yield func(*oauthstore.OAuthToken, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(nil, err)
			return
		}
		// A record whose user name has changed has an entry in two leaves.
		seen := make(map[string]bool)
		err := s.scan(ctx, fresh, func(l *leaf) error {
			next := slices.DeleteFunc(ids(l.node.entries), func(id string) bool { return seen[id] })
			for some := range slices.Chunk(next, streamed) {
				for _, id := range some {
					seen[id] = true
				}
				if err := s.yieldTokens(ctx, some, yield); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

// yieldTokens reads the records under the ids and yields the token of each.
func (s *Store) yieldTokens(ctx context.Context, ids []string, yield func(*oauthstore.OAuthToken, error) bool) error {
	read := make(map[string]readToken, len(ids))
	if err := s.loadEach(ctx, ids, func(id string, f *found, err error) { read[id] = readToken{f, err} }); err != nil {
		return err
	}
	for _, id := range ids {
		r := read[id]
		more := true
		switch {
		case r.err != nil:
			more = yield(nil, &oauthstore.TokenError{ID: id, Err: r.err})
		case r.found != nil && r.found.record != nil:
			more = yield(r.found.record.Found(nil), nil)
		}
		if !more {
			return errEnough
		}
	}
	return nil
}

// readToken is what a read came to.
type readToken struct {
	found *found
	err   error
}
