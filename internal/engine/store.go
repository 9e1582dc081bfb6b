package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/overdue"
	"github.com/oauthstore/oauthstore/internal/panics"
)

// How long a step of a call may take where the caller's context does not end sooner. More than MaxTimeout would
// let a write outlive what the index grants an insert: see maxInsert.
const (
	DefaultTimeout = 15 * time.Second
	MaxTimeout     = 2 * time.Minute
)

// A Store implements oauthstore.TokenStore, and the abilities beside it, over a driver.
type Store struct {
	driver   Driver
	codec    codec.Codec  // of documents in clear
	sealer   codec.Sealer // nil if documents are stored as they are
	timeout  time.Duration
	spacing  time.Duration // see SpaceAccessTokens
	observer Observer
	locks    *locks
	index    *tree
	queues   *queues
	leases   *leases
	bulk     *bulk // nil unless this is for one

	abandoned *abandoned
}

// New returns a store. It does no I/O.
func New(d Driver, c codec.Codec, timeout time.Duration) *Store {
	sealer, ok := c.(codec.Sealer)
	if ok {
		c = sealer.Plain()
	}
	return &Store{
		driver: d, codec: c, sealer: sealer, timeout: timeout,
		locks: new(locks), index: new(tree), queues: new(queues), leases: new(leases),
		abandoned: new(abandoned),
	}
}

// SpaceAccessTokens lets a save that changes nothing but the access token, and what comes with one, write nothing
// where the record was written less than d ago, or as often lately as the service allows for such saves. Before the
// first call.
func (s *Store) SpaceAccessTokens(d time.Duration) { s.spacing = d }

// state is what a secret holds at a revision.
type state struct {
	rec Record
	rev Rev
}

// get is the driver's Get, made again as long as the service's reads lag behind.
func (s *Store) get(ctx context.Context, name string, after Rev) (state, error) {
	st, err := s.getOnce(ctx, name, after)
	for p := s.patience(name); errors.Is(err, ErrBehind); {
		pause := p.take(ctx, err)
		if pause == giveUp {
			return st, s.tired(name, err)
		}
		if err := wait(ctx, pause); err != nil {
			return st, err
		}
		st, err = s.getOnce(ctx, name, after)
	}
	return st, err
}

// getOnce is the driver's Get, bounded in time.
func (s *Store) getOnce(ctx context.Context, name string, after Rev) (state, error) {
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	rec, rev, err := s.driver.Get(bounded, name, after)
	return state{rec, rev}, s.failure(ctx, bounded, err)
}

// read is get for those who believe a miss: there the driver's Probe looks again.
func (s *Store) read(ctx context.Context, name string) (state, error) {
	st, err := s.get(ctx, name, None)
	if err != nil || !st.rec.Absent() {
		return st, err
	}
	return s.probe(ctx, name, st)
}

// probe is the driver's Probe, bounded in time; without one, what was read before stands.
func (s *Store) probe(ctx context.Context, name string, before state) (state, error) {
	d, ok := s.driver.(Prober)
	if !ok {
		return before, nil
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	rec, rev, err := d.Probe(bounded, name)
	return state{rec, rev}, s.failure(ctx, bounded, err)
}

// put is the driver's Put, bounded in time.
func (s *Store) put(ctx context.Context, name string, base Rev, rec Record, tidy int) (Rev, error) {
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	rev, err := s.driver.Put(bounded, name, base, rec, tidy)
	s.bulk.wrote(err)
	return rev, s.told(ctx, name, s.failure(ctx, bounded, err))
}

// remove is the driver's Delete, bounded in time.
func (s *Store) remove(ctx context.Context, name string, base Rev, tombstone Record) error {
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := s.driver.Delete(bounded, name, base, tombstone)
	s.bulk.wrote(err)
	return s.told(ctx, name, s.failure(ctx, bounded, err))
}

// list is the driver's List. If the caller has set no deadline, it ends if the service does not answer for as long as a
// call about one record may take. The time that yield takes does not count.
func (s *Store) list(caller context.Context, yield func(name string)) (err error) {
	lister, ok := s.driver.(Lister)
	if !ok {
		return fmt.Errorf("%w: this store cannot list its secrets", errors.ErrUnsupported)
	}
	ctx, end := s.bound(caller)
	defer end(&err)
	err = lister.List(ctx, func(names []string) bool {
		untimed(ctx, func() {
			for i := 0; i < len(names) && ctx.Err() == nil; i++ {
				yield(names[i])
			}
		})
		return ctx.Err() == nil
	})
	if err != nil {
		return s.failure(ctx, ctx, err)
	}
	return ctx.Err()
}

// failure adds to err what the service's client may not say: that the caller's context has ended, or that the service
// took longer than a step may. A client's own timeout is no end of the caller's context.
func (s *Store) failure(ctx, bounded context.Context, err error) error {
	if err == nil {
		return nil
	}
	if end := ended(ctx); end != nil {
		return fmt.Errorf("%w (%w)", end, err)
	}
	switch {
	case bounded.Err() != nil:
		return overdue.New(fmt.Sprintf("no answer in %v", s.timeout), err)
	case isContext(err):
		return overdue.New("no answer", err)
	}
	return err
}

// found is a record of a token, or its absence, as read.
type found struct {
	id     string
	name   string // of the secret
	state  state
	record *oauthstore.Record // nil where there is none
	stale  bool               // the document needs an older key, or plaintext reads
}

// load reads the record under id, for a write that will find out what the read has missed.
func (s *Store) load(ctx context.Context, id string) (*found, error) {
	return s.loadBy(ctx, id, func(ctx context.Context, name string) (state, error) { return s.get(ctx, name, None) })
}

// look reads the record under id, for those who believe a miss.
func (s *Store) look(ctx context.Context, id string) (*found, error) {
	return s.loadBy(ctx, id, s.read)
}

// loadNewest reads the record under id in the way that misses nothing, at the cost of the driver's Probe: for those who
// believe what it is not.
func (s *Store) loadNewest(ctx context.Context, id string) (*found, error) {
	return s.loadBy(ctx, id, func(ctx context.Context, name string) (state, error) {
		st, err := s.get(ctx, name, None)
		if err != nil {
			return st, err
		}
		return s.probe(ctx, name, st)
	})
}

func (s *Store) loadBy(ctx context.Context, id string, read func(ctx context.Context, name string) (state, error)) (*found, error) {
	name, err := s.tokenName(id)
	if err != nil {
		return nil, err
	}
	st, err := read(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.decode(ctx, id, name, st)
}

// decode makes a found of what a secret holds.
func (s *Store) decode(ctx context.Context, id, name string, st state) (*found, error) {
	f := &found{id: id, name: name, state: st}
	secret := s.driver.FullName(name)
	switch {
	case st.rec.Expired:
		return nil, &oauthstore.CorruptRecordError{Secret: secret, Reason: "the service has deleted it after a time, as it is set " +
			"to: undelete it, or delete the token"}
	case !st.rec.Live():
		return f, nil
	}
	d, current, err := s.openDocument(ctx, name, st.rec.Document)
	if err != nil {
		return nil, err
	}
	r, err := s.codec.Decode(secret, d)
	if err != nil {
		return nil, err
	}
	if r.Token.ID != id {
		return nil, &oauthstore.CorruptRecordError{Secret: secret, Reason: "holds a token with another id"}
	}
	r.Incarnation = st.rec.Incarnation
	f.record, f.stale = r, !current
	return f, nil
}

// loadAll reads the records under the ids, many at a time, and calls yield for each that can be read and corrupt for
// each whose document is corrupt, never twice at a time. Any other error ends it.
func (s *Store) loadAll(ctx context.Context, ids []string, yield func(*found), corrupt func(id string, err error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var failed error
	err := s.loadEach(ctx, ids, func(id string, f *found, err error) {
		switch {
		case err == nil:
			yield(f)
		case isCorrupt(err):
			corrupt(id, err)
		default:
			// One error stands for all: a thousand secrets that are denied are one fact.
			failed = cmp.Or(failed, err)
			cancel(err) // the others are not likely to be well
		}
	})
	return cmp.Or(failed, err)
}

// loadEach reads the records under the ids, many at a time, and calls yield for each, never twice at a time. It
// ends with ctx.
func (s *Store) loadEach(ctx context.Context, ids []string, yield func(id string, f *found, err error)) error {
	byName := make(map[string]string, len(ids))
	names := make([]string, 0, len(ids))
	for _, id := range ids {
		name, err := s.tokenName(id)
		if err != nil {
			yield(id, nil, err)
			continue
		}
		byName[name] = id
		names = append(names, name)
	}
	var mu sync.Mutex
	return s.getAll(ctx, names, func(ctx context.Context, r reading) {
		id := byName[r.name]
		var f *found
		if r.err == nil {
			f, r.err = s.decode(ctx, id, r.name, state{r.rec, r.rev})
		}
		mu.Lock()
		defer mu.Unlock()
		yield(id, f, r.err)
	})
}

// getAll is the driver's GetMany in batches or its Get, in parallel, until ctx ends. It calls yield from several
// goroutines, at most Limits.Parallel at a time: yield may ask the service of a key.
func (s *Store) getAll(ctx context.Context, names []string, yield func(context.Context, reading)) error {
	limits := s.driver.Limits()
	if d, ok := s.driver.(ManyGetter); ok {
		var mu sync.Mutex
		var alone []string
		places := make(chan struct{}, limits.Parallel) // for the readings of all batches
		err := s.getBatches(ctx, d, names, func(ctx context.Context, r reading) {
			if errors.Is(r.err, ErrAlone) {
				mu.Lock()
				defer mu.Unlock()
				alone = append(alone, r.name)
				return
			}
			places <- struct{}{}
			defer func() { <-places }()
			progressed(ctx)
			yield(ctx, r)
		})
		if err != nil {
			return err
		}
		names = alone
	}
	return inParallel(ctx, limits.Parallel, names, func(ctx context.Context, name string) error {
		st, err := s.read(ctx, name)
		for p := s.patienceOfMany(name); p.outlasts(ctx, err); {
			st, err = s.read(ctx, name)
		}
		progressed(ctx)
		yield(ctx, reading{name, st.rec, st.rev, err})
		return nil
	})
}

// getBatches is the driver's GetMany, batch by batch and each bounded in time. It calls yield from several
// goroutines, also for the readings of one batch.
func (s *Store) getBatches(ctx context.Context, d ManyGetter, names []string, yield func(context.Context, reading)) error {
	limits := s.driver.Limits()
	batches := slices.Collect(slices.Chunk(names, limits.Batch))
	return inParallel(ctx, limits.Parallel, batches, func(ctx context.Context, batch []string) error {
		read, throttled := s.getBatch(ctx, d, batch)
		for p := s.patienceOfMany(""); p.outlasts(ctx, throttled); {
			read, throttled = s.getBatch(ctx, d, batch)
		}
		return inParallel(ctx, limits.Parallel, read, func(ctx context.Context, r reading) error {
			yield(ctx, r)
			return nil
		})
	})
}

// A reading is what Get returns for a name, and GetMany yields.
type reading struct {
	name string
	rec  Record
	rev  Rev
	err  error
}

// getBatch is the driver's GetMany for one batch, bounded in time; throttled is one of its errors, if one is that.
func (s *Store) getBatch(ctx context.Context, d ManyGetter, batch []string) (read []reading, throttled error) {
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	d.GetMany(bounded, batch, func(name string, rec Record, rev Rev, err error) {
		err = s.failure(ctx, bounded, err)
		if errors.Is(err, oauthstore.ErrThrottled) {
			throttled = err
		}
		read = append(read, reading{name, rec, rev, err})
	})
	return read, throttled
}

func isCorrupt(err error) bool {
	var corrupt *oauthstore.CorruptRecordError
	return errors.As(err, &corrupt)
}

// inParallel calls do for each item, at most n at a time, until one fails or ctx ends. It returns
// when all calls have. If one has panicked, inParallel panics.
func inParallel[T any](ctx context.Context, n int, items []T, do func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var panicked atomic.Pointer[panics.Error]
	places := make(chan struct{}, n)
	for _, item := range items {
		places <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Add(1)
		go panics.Run(func() {
			if err := do(ctx, item); err != nil {
				cancel(err)
			}
		}, func(p *panics.Error) {
			defer wg.Done()
			if p != nil {
				panicked.CompareAndSwap(nil, p)
				cancel(p)
			}
			<-places
		})
	}
	wg.Wait()
	panicked.Load().Repeat()
	return context.Cause(ctx)
}

// FindToken implements oauthstore.TokenStore.
func (s *Store) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (found *oauthstore.OAuthToken, err error) {
	ctx, end := s.bound(ctx)
	defer end(&err)
	if err := cmp.Or(ctx.Err(), oauthstore.CheckFindable(token)); err != nil {
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
func (s *Store) FindTokenByID(ctx context.Context, id string) (found *oauthstore.OAuthToken, err error) {
	ctx, end := s.bound(ctx)
	defer end(&err)
	if err := cmp.Or(ctx.Err(), oauthstore.CheckID(id)); err != nil {
		return nil, err
	}
	f, err := s.look(ctx, id)
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
	entries, err := s.allEntries(ctx, fresh)
	if err != nil {
		return nil, err
	}
	tokens := make([]*oauthstore.OAuthToken, 0, len(entries))
	var unreadable []*oauthstore.TokenError
	all := s.newListing()
	err = all.read(ctx, all.next(entries), func(id string, f *found, err error) {
		switch {
		case err != nil:
			unreadable = append(unreadable, &oauthstore.TokenError{ID: id, Err: err})
		case f.record != nil:
			tokens = append(tokens, f.record.Found(nil))
		}
	})
	if err = cmp.Or(err, all.end()); err != nil {
		return nil, err
	}
	slices.SortFunc(tokens, func(a, b *oauthstore.OAuthToken) int { return cmp.Compare(a.ID, b.ID) })
	if len(unreadable) > 0 {
		slices.SortFunc(unreadable, func(a, b *oauthstore.TokenError) int { return cmp.Compare(a.ID, b.ID) })
		return tokens, &oauthstore.UnreadableTokensError{Tokens: unreadable}
	}
	return tokens, nil
}
