package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// Rekey implements oauthstore.Rekeyer.
//
// All writers write under the newest key, so a secret that was seen under it stays under it: a read that lags behind
// proves as much as any. A write of a document that is not changed, a lease for example, keeps the key that the document
// has; it is made from a revision, so it fails if the document was written under the newest key meanwhile.
func (s *Store) Rekey(ctx context.Context, opts oauthstore.RekeyOptions) (*oauthstore.RekeyReport, error) {
	r := &rekeying{store: s.inBulk(), opts: opts, report: new(oauthstore.RekeyReport), names: map[string]bool{indexName: true}}
	if s.sealer == nil {
		return r.report, fmt.Errorf("%w: the store's codec has no keys", errors.ErrUnsupported)
	}
	err := ctx.Err()
	for _, step := range []func(context.Context) error{r.tryKey, r.list, r.readIndex, r.write} {
		if err == nil {
			err = step(ctx)
		}
	}
	for name := range r.names { // none unless there is an error
		r.remains(s.driver.FullName(name), nil)
	}
	r.report.Sort()
	return r.report, err
}

// A rekeying is one run.
type rekeying struct {
	store *Store
	opts  oauthstore.RekeyOptions

	leaves map[string]key // a key of each page that holds entries

	mu     sync.Mutex
	names  map[string]bool // of the secrets of tokens and of the index that were not looked at yet
	report *oauthstore.RekeyReport
}

func (r *rekeying) progress(step string, done, total int) {
	if r.opts.Progress != nil {
		r.opts.Progress(oauthstore.RekeyProgress{Step: step, Done: done, Total: total})
	}
}

// tryKey makes sure that the newest key can be used. From two ciphertexts the codec learns to distinguish the other
// keys of a keyset.
func (r *rekeying) tryKey(ctx context.Context) error {
	for range 2 {
		if _, err := r.store.sealDocument(ctx, indexName, codec.Document{}); err != nil {
			return err
		}
	}
	return nil
}

// list takes note of the secrets that the service lists: tokens that the index does not have, and pages that nothing
// leads to, which may still be read by a process that remembers the way to them.
func (r *rekeying) list(ctx context.Context) error {
	r.progress("list", 0, 0)
	return r.store.list(ctx, func(name string) {
		if _, ok := decodeID(name); ok || IsNode(name) {
			r.names[name] = true
		}
	})
}

// readIndex takes note of the pages, and of the tokens that the listing lacks since it lags behind.
func (r *rekeying) readIndex(ctx context.Context) error {
	r.leaves = make(map[string]key)
	return r.store.scan(ctx, newest, func(l *leaf) error {
		r.names[l.name], r.leaves[l.name] = true, l.span.from
		for _, at := range l.above {
			r.names[at.name] = true
		}
		for _, e := range l.node.entries {
			if name, err := r.store.tokenName(e.ID); err == nil {
				r.names[name] = true
			}
		}
		return nil
	})
}

// write reads the secrets, and writes those that need an older key. An error of one secret does not keep it from going
// on with the others, unless the service or the keys cannot be reached.
func (r *rekeying) write(ctx context.Context) error {
	s := r.store
	all := slices.Sorted(maps.Keys(r.names))
	done := 0
	for some := range slices.Chunk(all, streamed) {
		r.progress("write", done, len(all))
		var read []reading
		err := s.getAll(ctx, some, func(_ context.Context, got reading) {
			r.mu.Lock()
			defer r.mu.Unlock()
			read = append(read, got)
		})
		if err == nil {
			err = inParallel(ctx, s.driver.Limits().Parallel, read, r.rekey)
		}
		if err != nil {
			return err
		}
		done += len(some)
	}
	r.progress("write", done, len(all))
	return ctx.Err()
}

// rekey writes one secret if it needs an older key. Its error ends the run.
func (r *rekeying) rekey(ctx context.Context, read reading) error {
	s, st, err := r.store, state{read.rec, read.rev}, read.err
	there := err != nil || st.rec.Live() // a tombstone holds no document
	stale, written := false, false
	if err == nil && there {
		stale, err = s.isStale(ctx, read.name, st)
	}
	if stale && !r.opts.DryRun {
		err = r.reseal(ctx, read.name, st)
		written = err == nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.names, read.name)
	if !there {
		return nil
	}
	r.report.Secrets++
	switch {
	case written:
		r.report.Rekeyed++
	case isCorrupt(err):
		r.report.Unreadable = append(r.report.Unreadable, err)
	case err != nil || stale:
		r.remains(s.driver.FullName(read.name), err)
	}
	if err != nil && (ctx.Err() != nil || !final(err) && !errors.Is(err, ErrConflict)) {
		return err // the others would not fare better
	}
	return nil
}

// remains takes note of a secret that needs an older key, and why if that is an error.
func (r *rekeying) remains(secret string, err error) {
	r.report.Remaining = append(r.report.Remaining, secret)
	if err != nil {
		r.report.Errors = append(r.report.Errors, fmt.Errorf("secret %s: %w", secret, err))
	}
}

// isStale reports whether what a secret holds needs an older key, if it is what the library writes there.
func (s *Store) isStale(ctx context.Context, name string, st state) (bool, error) {
	if id, ok := decodeID(name); ok {
		f, err := s.decode(ctx, id, name, st)
		return err == nil && f.stale, err
	}
	d, current, err := s.openDocument(ctx, name, st.rec.Document)
	if err != nil {
		return false, err
	}
	if _, wrong := parseNode(d); wrong != "" {
		return false, &oauthstore.CorruptRecordError{Secret: s.driver.FullName(name), Reason: wrong}
	}
	return !current, nil
}

// reseal writes what a secret holds under the newest key. A page that has no room for it is divided.
func (r *rekeying) reseal(ctx context.Context, name string, st state) error {
	s := r.store
	_, _, err := s.commit(ctx, name, st, TidyAll, func(cur state, _ error) (*Record, error) {
		if !cur.rec.Live() {
			return nil, nil // deleted meanwhile
		}
		d, current, err := s.openDocument(ctx, name, cur.rec.Document)
		if err != nil || current {
			return nil, err
		}
		if !IsNode(name) && s.quota().last(s.writes(cur.rec)) {
			return nil, fmt.Errorf("%w: %w: the last writes of the day are kept for saves", oauthstore.ErrThrottled, ErrExhausted)
		}
		next := cur.rec
		if next.Document, err = s.sealDocument(ctx, name, d); err != nil {
			return nil, err
		}
		if IsNode(name) && size(&next) > s.room() {
			return nil, errTooFull
		}
		return &next, s.checkSize(name, next)
	})
	if !errors.Is(err, errTooFull) {
		return err
	}
	if k, ok := r.leaves[name]; ok {
		_, err := s.changeIndex(ctx, TidyAll, k, func(entries []entry, _ span) ([]entry, error) { return entries, nil })
		return err
	}
	return s.divideInner(ctx, name, st)
}

// errTooFull says that a page has no room for its content once that is encrypted.
var errTooFull = fmt.Errorf("%w: the page of the index, once it is encrypted", oauthstore.ErrRecordTooLarge)

// divideInner lets an inner node that has become too large point to two new ones, which have its pointers. These stay
// part of the tree all the time, so none of the pages below has to be sealed.
func (s *Store) divideInner(ctx context.Context, name string, st state) error {
	g := &growth{store: s, at: place{name, everywhere}}
	after, try, err := s.commit(ctx, name, st, TidyAll, func(cur state, failure error) (*Record, error) {
		g.met(failure)
		n, err := s.decodeNode(ctx, name, cur.rec)
		switch {
		case err != nil:
			return nil, err
		case !n.inner() || n.sealed || len(n.pages) < 2:
			return nil, errTooFull // it has changed since: the next run finds it as it is then
		}
		inner := *n
		inner.pages = nil
		l := &layout{node: &inner}
		middle := len(n.pages) / 2
		for _, half := range [][]pointer{n.pages[:middle], n.pages[middle:]} {
			p := &page{name: newPageName(), node: &node{pages: half, made: timestamp(time.Now())}}
			if p.record, err = s.encodeNode(ctx, p.name, Record{}, p.node); err != nil {
				return nil, err
			}
			l.pages = append(l.pages, p)
			inner.pages = append(inner.pages, pointer{half[0].From, p.name})
		}
		return g.write(ctx, cur, l)
	})
	g.settle(ctx, after, try, err)
	return err
}
