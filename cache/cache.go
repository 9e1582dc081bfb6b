// Package cache keeps the tokens of an [oauthstore.TokenStore] in the memory of the process, so that most finds cost
// no request. Start with [New]: it wraps any store and is one itself.
//
// What it guarantees:
//
//   - A find by id or by user name (and client id) that hits costs no request, and no allocation but the copy that it
//     returns. The copy is what the wrapped store returned, what it remembers for a later save included: a stale one
//     does not undo what others have saved.
//   - Writes through the Store are seen by every find that begins after they have returned, Repair among them. A write
//     that fails may have taken effect all the same: the Store forgets what it may have changed, which is what it knows
//     under the id or the user name of the token. A save by access, grant or refresh token that fails makes it forget
//     all tokens, but not which user names lead to which ids, or to none.
//   - No find returns an older state of a token than an earlier call of the Store has returned, whichever method that was.
//   - An access token that has expired, or does within [oauthstore.DefaultLeeway], is read again before it is
//     returned: another process may have refreshed it. One that had expired already when it was read is not read
//     more often than [WithNegativeTTL] says.
//   - Finds of one token that miss at the same time share one request, whatever is written to other tokens meanwhile. A
//     caller who gives up does not end it for the others. A request that takes longer than [WithTimeout] says is given up,
//     and the next find makes another.
//
// What it does not guarantee: writes of other processes, or past the Store, are not seen for as long as [WithTTL] says,
// and of a token that was not found for as long as WithNegativeTTL says. Whoever must know what is stored now takes a
// lease, for which [Store.LeaseToken] always reads, or finds with a context of [oauthstore.Uncached], as token sources do
// before they use a refresh token. All other finds, by access, grant or refresh token or with fields of the caller's own,
// and GetTokens, go to the wrapped store and are not kept.
//
// If the wrapped store panics during a request that finds share, each of these finds panics.
//
// Tokens are in the process's memory, as every token in use is. They stay there until they are read again, pushed out
// by others, or the Store is closed.
//
// Only what the contract of [oauthstore.OAuthToken] demands is kept: tokens that remember what was read, as
// [oauthstore.Record.Found] makes them.
package cache

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/args"
	"github.com/oauthstore/oauthstore/internal/panics"
)

// A Store is an [oauthstore.TokenStore] that remembers what the one it wraps has answered. Make it with [New], one
// for a wrapped store, and keep it for as long as the process lives.
//
// It has the methods of [oauthstore.TokenUpdater], [oauthstore.TokenRanger], [oauthstore.Repairer],
// [oauthstore.Rekeyer] and [oauthstore.TokenLeaser]. One that the wrapped store lacks answers with
// [errors.ErrUnsupported]; but Tokens and CheckToken work over every store.
type Store struct {
	store oauthstore.TokenStore
	config

	mu       sync.Mutex // never held during a request
	entries  entries
	seq      uint64     // counts the beginnings and ends of calls to the wrapped store
	calls    *list.List // of *call, those that are under way, in the order in which they began
	marks    marks
	flights  map[key]*flight  // calls that a find may join
	queue    []key            // to be read again in the background
	queued   map[key]struct{} // the keys in queue, and the one being read
	working  bool             // a goroutine reads the queue
	running  int              // goroutines
	idle     chan struct{}    // made by Close; closed when none runs any more
	panicked *panics.Error    // of the observer in the background, for the next find
	closed   bool
	stats    Stats
}

var (
	_ oauthstore.TokenStore   = (*Store)(nil)
	_ oauthstore.TokenUpdater = (*Store)(nil)
	_ oauthstore.TokenChecker = (*Store)(nil)
	_ oauthstore.TokenRanger  = (*Store)(nil)
	_ oauthstore.Repairer     = (*Store)(nil)
	_ oauthstore.TokenLeaser  = (*Store)(nil)
)

// New returns a cache in front of store. It asks store nothing and starts nothing.
func New(store oauthstore.TokenStore, options ...Option) (*Store, error) {
	if args.IsNil(store) {
		return nil, errors.New("cache: the store is nil")
	}
	c := defaults()
	args.Apply(&c, options)
	if err := c.complete(); err != nil {
		return nil, err
	}
	return &Store{
		store:   store,
		config:  c,
		entries: newEntries(c.maxTokens),
		calls:   list.New(),
		marks:   newMarks(),
		flights: make(map[key]*flight),
		queued:  make(map[key]struct{}),
	}, nil
}

// FindToken implements [oauthstore.TokenStore]. It can hit where token has only an id, or only a user name with or
// without client id, unless ctx is [oauthstore.Uncached].
func (s *Store) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	find := func() (*oauthstore.OAuthToken, error) { return s.store.FindToken(ctx, token) }
	k, ok := keyOf(token)
	switch {
	case !ok:
		return s.pass(token, find)
	case oauthstore.IsUncached(ctx):
		return s.readThrough(k, find)
	default:
		return s.find(ctx, k)
	}
}

// FindTokenByID implements [oauthstore.TokenStore]. Where ctx is [oauthstore.Uncached] it asks the wrapped store; finds
// that begin later know the token that it has read.
func (s *Store) FindTokenByID(ctx context.Context, id string) (*oauthstore.OAuthToken, error) {
	switch {
	case oauthstore.CheckID(id) != nil:
		return s.store.FindTokenByID(ctx, id)
	case oauthstore.IsUncached(ctx):
		return s.readThrough(key{id: id}, func() (*oauthstore.OAuthToken, error) { return s.store.FindTokenByID(ctx, id) })
	default:
		return s.find(ctx, key{id: id})
	}
}

// CheckToken implements [oauthstore.TokenChecker], by [oauthstore.CheckToken] of the wrapped store.
func (s *Store) CheckToken(token *oauthstore.OAuthToken) error {
	return oauthstore.CheckToken(s.store, token)
}

// GetTokens implements [oauthstore.TokenStore]. It always asks the wrapped store.
func (s *Store) GetTokens(ctx context.Context) ([]*oauthstore.OAuthToken, error) {
	c := s.start()
	defer s.finish(c, func(uint64) {})
	tokens, err := s.store.GetTokens(ctx)
	for _, t := range tokens {
		s.passOn(t)
	}
	return tokens, err
}

// Tokens implements [oauthstore.TokenRanger], by [oauthstore.AllTokens] of the wrapped store.
func (s *Store) Tokens(ctx context.Context) iter.Seq2[*oauthstore.OAuthToken, error] {
	return func(yield func(*oauthstore.OAuthToken, error) bool) {
		c := s.start()
		defer s.finish(c, func(uint64) {})
		for token, err := range oauthstore.AllTokens(ctx, s.store) {
			s.passOn(token)
			if !yield(token, err) {
				return
			}
		}
	}
}

// Repair implements [oauthstore.Repairer] with the wrapped store. Afterwards user names may lead to tokens that they did
// not lead to before, so the Store forgets all; but for a dry run.
func (s *Store) Repair(ctx context.Context, opts oauthstore.RepairOptions) (*oauthstore.RepairReport, error) {
	r, ok := s.store.(oauthstore.Repairer)
	if !ok {
		return &oauthstore.RepairReport{}, unsupported("Repair")
	}
	if !opts.DryRun {
		defer s.finish(s.start(), s.changedAll)
	}
	return r.Repair(ctx, opts)
}

// Close forgets all tokens, stops reading in the background, and waits for the requests that are under way. Where ctx
// ends first, it breaks them off and returns the error of ctx; another Close waits for what is left of them. The Store
// still works afterwards, without remembering anything.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.entries = newEntries(s.maxTokens)
	s.queue = nil
	if s.running == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		s.breakOff()
		return ctx.Err()
	}
}

// breakOff ends the requests that no caller makes on their own.
func (s *Store) breakOff() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.calls.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*call); c.cancel != nil {
			c.cancel()
		}
	}
}

// find answers from what is remembered, or else waits for the answer of the wrapped store.
func (s *Store) find(ctx context.Context, k key) (*oauthstore.OAuthToken, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	now := time.Now()
	s.mu.Lock()
	if p := s.panicked; p != nil {
		s.panicked = nil
		s.mu.Unlock()
		p.Repeat()
		s.mu.Lock()
	}
	if s.closed {
		s.mu.Unlock()
		return s.ask(ctx, k)
	}
	if a, ok := s.recall(k, now); ok {
		s.stats.Hits++
		s.mu.Unlock()
		s.observe(ctx, Hit, k, 0, a.err)
		return a.copied(k)
	}
	s.stats.Misses++
	began := s.seq
	f := s.join(ctx, k)
	s.mu.Unlock()

	a, p := s.wait(ctx, f, began, k)
	s.observe(ctx, Miss, k, time.Since(now), a.err)
	p.Repeat()
	return a.copied(k)
}

// wait waits for the answer of f, for a find that began at a moment. If another call has overtaken f before, its answer is
// for finds that began earlier, and this one looks again.
func (s *Store) wait(ctx context.Context, f *flight, began uint64, k key) (answer, *panics.Error) {
	for {
		select {
		case <-f.done:
		case <-ctx.Done():
			return answer{err: ctx.Err()}, nil
		}
		if !f.overtaken || f.call.seq > began {
			return f.answer, f.panicked
		}
		a, next := s.again(ctx, k)
		if next == nil {
			return a, nil
		}
		f = next
	}
}

// again returns what a find that has waited for a flight is to go on with: an answer, or another flight, which began later
// than the find, or the find would have joined that.
func (s *Store) again(ctx context.Context, k key) (answer, *flight) {
	s.mu.Lock()
	if a, ok := s.recall(k, time.Now()); ok {
		s.mu.Unlock()
		return a, nil
	}
	if s.closed {
		s.mu.Unlock()
		token, err := s.ask(ctx, k)
		return answer{token, err}, nil
	}
	defer s.mu.Unlock()
	return answer{}, s.join(ctx, k)
}

// ask asks the wrapped store. It returns a token or an error.
func (s *Store) ask(ctx context.Context, k key) (token *oauthstore.OAuthToken, err error) {
	if k.id != "" {
		token, err = s.store.FindTokenByID(ctx, k.id)
	} else {
		token, err = s.store.FindToken(ctx, &oauthstore.OAuthToken{UserName: k.user, ClientID: k.client})
	}
	if token == nil && err == nil {
		err = errNoAnswer
	}
	return token, err
}

func unsupported(method string) error {
	return fmt.Errorf("cache: %s: %w by the wrapped store", method, errors.ErrUnsupported)
}
