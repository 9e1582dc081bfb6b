package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// DefaultTimeout bounds a call to the service where the caller's context does not end sooner.
const DefaultTimeout = 15 * time.Second

// A Store implements oauthstore.TokenStore and oauthstore.TokenUpdater over a driver.
type Store struct {
	driver  Driver
	codec   codec.Codec
	timeout time.Duration
	locks   locks
	index   indexCache
	queue   queue
}

// New returns a store. It does no I/O.
func New(d Driver, c codec.Codec, timeout time.Duration) *Store {
	return &Store{driver: d, codec: c, timeout: timeout}
}

// state is what a secret holds at a revision.
type state struct {
	rec Record
	rev Rev
}

// get is the driver's Get, bounded in time.
func (s *Store) get(ctx context.Context, name string, after Rev) (state, error) {
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	rec, rev, err := s.driver.Get(bounded, name, after)
	return state{rec, rev}, s.failure(ctx, bounded, err)
}

// put is the driver's Put, bounded in time.
func (s *Store) put(ctx context.Context, name string, base Rev, rec Record, tidy int) (Rev, error) {
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	rev, err := s.driver.Put(bounded, name, base, rec, tidy)
	return rev, s.failure(ctx, bounded, err)
}

// remove is the driver's Delete, bounded in time.
func (s *Store) remove(ctx context.Context, name string, base Rev, tombstone Record) error {
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.failure(ctx, bounded, s.driver.Delete(bounded, name, base, tombstone))
}

// failure adds to err what the service's client may not say: that the caller's context has ended, or
// that the service took longer than a call may.
func (s *Store) failure(ctx, bounded context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%w (%w)", ctx.Err(), err)
	case bounded.Err() != nil && !errors.Is(err, oauthstore.ErrUnavailable):
		return fmt.Errorf("%w: no answer in %v: %w", oauthstore.ErrUnavailable, s.timeout, err)
	default:
		return err
	}
}

// found is a record of a token, or its absence, as read.
type found struct {
	id     string
	name   string // of the secret
	state  state
	record *oauthstore.Record // nil where there is none
}

// load reads the record under id.
func (s *Store) load(ctx context.Context, id string) (*found, error) {
	name, err := s.tokenName(id)
	if err != nil {
		return nil, err
	}
	st, err := s.get(ctx, name, None)
	if err != nil {
		return nil, err
	}
	return s.decode(id, name, st)
}

// decode makes a found of what a secret holds.
func (s *Store) decode(id, name string, st state) (*found, error) {
	f := &found{id: id, name: name, state: st}
	if !st.rec.Live() {
		return f, nil
	}
	secret := s.driver.FullName(name)
	r, err := s.codec.Decode(secret, st.rec.Document)
	if err != nil {
		return nil, err
	}
	if r.Token.ID != id {
		return nil, &oauthstore.CorruptRecordError{Secret: secret, Reason: "holds a token with another id"}
	}
	f.record = r
	return f, nil
}

// loadAll reads the records under the ids, many at a time, and calls yield for each, never twice at
// a time.
func (s *Store) loadAll(ctx context.Context, ids []string, yield func(*found)) error {
	byName := make(map[string]string, len(ids))
	names := make([]string, 0, len(ids))
	for _, id := range ids {
		name, err := s.tokenName(id)
		if err != nil {
			return err
		}
		byName[name] = id
		names = append(names, name)
	}
	var errs []error
	err := s.getAll(ctx, names, func(name string, rec Record, rev Rev, err error) {
		if err != nil {
			errs = append(errs, err)
			return
		}
		f, err := s.decode(byName[name], name, state{rec, rev})
		if err != nil {
			errs = append(errs, err)
			return
		}
		yield(f)
	})
	// The first error stands for all: a thousand secrets that are denied are one fact.
	return cmp.Or(err, errors.Join(errs[:min(len(errs), 1)]...))
}

// getAll is the driver's GetMany in batches or its Get, in parallel. yield is never called twice at a
// time.
func (s *Store) getAll(ctx context.Context, names []string, yield func(string, Record, Rev, error)) error {
	var mu sync.Mutex
	one := func(name string, rec Record, rev Rev, err error) {
		mu.Lock()
		defer mu.Unlock()
		yield(name, rec, rev, err)
	}
	limits := s.driver.Limits()
	if d, ok := s.driver.(ManyGetter); ok {
		batches := slices.Collect(slices.Chunk(names, limits.Batch))
		return inParallel(ctx, limits.Parallel, batches, func(ctx context.Context, batch []string) error {
			bounded, cancel := context.WithTimeout(ctx, s.timeout)
			defer cancel()
			d.GetMany(bounded, batch, func(name string, rec Record, rev Rev, err error) {
				one(name, rec, rev, s.failure(ctx, bounded, err))
			})
			return nil
		})
	}
	return inParallel(ctx, limits.Parallel, names, func(ctx context.Context, name string) error {
		st, err := s.get(ctx, name, None)
		one(name, st.rec, st.rev, err)
		return err
	})
}

// inParallel calls do for each item, at most n at a time, until one fails or ctx ends. It returns
// when all calls have.
func inParallel[T any](ctx context.Context, n int, items []T, do func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	places := make(chan struct{}, n)
	for _, item := range items {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-places }()
			if err := do(ctx, item); err != nil {
				cancel(err)
			}
		}()
	}
	wg.Wait()
	return context.Cause(ctx)
}

// FindToken implements oauthstore.TokenStore.
func (s *Store) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	if err := cmp.Or(ctx.Err(), token.Validate()); err != nil {
		return nil, err
	}
	if err := oauthstore.CheckFindable(token); err != nil {
		return nil, err
	}
	f, err := s.newLookup(token, false).resolve(ctx)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, oauthstore.ErrTokenNotFound
	}
	return f.record.Found(token), nil
}

// FindTokenByID implements oauthstore.TokenStore.
func (s *Store) FindTokenByID(ctx context.Context, id string) (*oauthstore.OAuthToken, error) {
	if err := cmp.Or(ctx.Err(), oauthstore.CheckID(id)); err != nil {
		return nil, err
	}
	f, err := s.load(ctx, id)
	if err != nil {
		return nil, err
	}
	if f.record == nil {
		return nil, oauthstore.ErrTokenNotFound
	}
	return f.record.Found(nil), nil
}

// GetTokens implements oauthstore.TokenStore.
func (s *Store) GetTokens(ctx context.Context) ([]*oauthstore.OAuthToken, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := s.entries(ctx, true)
	if err != nil {
		return nil, err
	}
	tokens := make([]*oauthstore.OAuthToken, 0, len(entries))
	err = s.loadAll(ctx, ids(entries), func(f *found) {
		if f.record != nil {
			tokens = append(tokens, f.record.Found(nil))
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(tokens, func(a, b *oauthstore.OAuthToken) int { return cmp.Compare(a.ID, b.ID) })
	return tokens, nil
}
