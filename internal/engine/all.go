package engine

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"

	"github.com/oauthstore/oauthstore"
)

// streamed is how many tokens are read ahead at most.
const streamed = 100

// errEnough says that the caller wants no more.
var errEnough = errors.New("no more tokens are wanted")

// maxRefused is how many reads may be refused if no other read has succeeded. Then the caller may read none of the
// tokens, not only some.
const maxRefused = 100

// A listing reads all tokens. It goes on after a record that cannot be read. It ends if the service refuses all reads,
// or does not answer any more.
type listing struct {
	store    *Store
	seen     map[string]bool // ids that were read: a record that was renamed has several entries
	answered bool            // a read was neither refused nor without answer
	refused  int             // reads that cannot succeed if they are repeated
	silent   int             // reads without answer since the last one with an answer
	err      error           // of the first read that was refused or had no answer
}

func (s *Store) newListing() *listing { return &listing{store: s, seen: make(map[string]bool)} }

// next returns the ids of the entries that were not read yet, in an order that is always the same but looks random: ids
// that are next to each other may come under one policy.
func (l *listing) next(entries []entry) []string {
	next := slices.DeleteFunc(ids(entries), func(id string) bool { return l.seen[id] })
	rand.New(rand.NewPCG(0, 0)).Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
	for _, id := range next {
		l.seen[id] = true
	}
	return next
}

// read is loadEach, but it ends if the service has failed, with the first error.
func (l *listing) read(ctx context.Context, ids []string, yield func(id string, f *found, err error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	failed := false
	return l.store.loadEach(ctx, ids, func(id string, f *found, err error) {
		if failed {
			return // this read was under way, and has ended with ctx
		}
		yield(id, f, err)
		if failed = l.failed(err); failed {
			cancel(l.err)
		}
	})
}

// failed counts a read and reports whether the service has failed. More reads must go without answer than are made at a
// time plus those of one batch: all of these may have been on one connection, which broke.
func (l *listing) failed(err error) bool {
	limits := l.store.driver.Limits()
	switch {
	case err == nil, isCorrupt(err):
		l.answered, l.silent = true, 0
		return false
	case final(err):
		l.refused++
		l.silent = 0
	default:
		l.silent++
	}
	l.err = cmp.Or(l.err, err)
	return l.silent > limits.Parallel+limits.Batch || !l.answered && l.refused >= maxRefused
}

// end returns the first error if no read was answered.
func (l *listing) end() error {
	if l.answered {
		return nil
	}
	return l.err
}

// Tokens implements oauthstore.TokenRanger. It goes from leaf to leaf of the index.
func (s *Store) Tokens(ctx context.Context) iter.Seq2[*oauthstore.OAuthToken, error] {
	return func(yield func(*oauthstore.OAuthToken, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(nil, err)
			return
		}
		all := s.newListing()
		err := s.scan(ctx, fresh, func(l *leaf) error {
			for some := range slices.Chunk(all.next(l.node.entries), streamed) {
				if err := all.yield(ctx, some, yield); err != nil {
					return err
				}
			}
			return nil
		})
		if err = cmp.Or(err, all.end()); err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

// yield reads the records under the ids and yields the token of each.
func (l *listing) yield(ctx context.Context, ids []string, yield func(*oauthstore.OAuthToken, error) bool) error {
	read := make(map[string]readToken, len(ids))
	if err := l.read(ctx, ids, func(id string, f *found, err error) { read[id] = readToken{f, err} }); err != nil {
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
