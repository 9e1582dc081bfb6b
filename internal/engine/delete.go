package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore"
)

// gone is a record that was deleted.
type gone struct {
	id     string
	claims []string  // of the record, in all states that were met
	keys   []key     // of its entries, as far as they are known
	at     time.Time // when the search for it began: a record made since is another; zero: another is there already
}

// DeleteToken implements oauthstore.TokenStore.
func (s *Store) DeleteToken(ctx context.Context, id string) (err error) {
	ctx, end := s.bound(ctx)
	defer end(&err)
	if err := cmp.Or(ctx.Err(), oauthstore.CheckID(id)); err != nil {
		return err
	}
	g, err := s.destroyed(ctx, id, s.checkIndex)
	if err != nil {
		return err
	}
	return s.forgetDeleted(ctx, tidyDelete, []gone{g})
}

// destroyed is destroy, and adds the claims whose entries failed calls have left to those that are to be removed. If there
// is no record, but an earlier delete of this process has failed, this is its second half. What fails itself is remembered.
func (s *Store) destroyed(ctx context.Context, id string, check func(context.Context, gone) error) (gone, error) {
	g, err := s.destroy(ctx, id, check)
	var left []leftover
	switch {
	case err == nil:
		left = s.abandoned.take(id, func(l leftover) bool { return l.fate != open })
	case errors.Is(err, oauthstore.ErrTokenNotFound):
		if left = s.abandoned.take(id, func(l leftover) bool { return l.fate == deleted }); len(left) > 0 {
			err = nil
		}
	default:
		s.abandoned.add(id, deleted, g.claims...)
	}
	g.claims = append(g.claims, claimsOfAll(left)...)
	return g, err
}

// DeleteTokens implements oauthstore.TokenStore. Tokens that cannot be deleted do not keep the others
// from being deleted.
func (s *Store) DeleteTokens(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s = s.inBulk()
	entries, err := s.allEntries(ctx, newest)
	if err != nil {
		return err
	}
	keys := make(map[string][]key)
	for _, e := range entries {
		keys[e.ID] = append(keys[e.ID], e.key())
	}
	var mu sync.Mutex
	var all []gone
	var failed error
	err = inParallel(ctx, s.driver.Limits().Parallel, ids(entries), func(ctx context.Context, id string) error {
		if s.bulk.stalled() {
			return oauthstore.ErrUnavailable // the service was tried for long enough
		}
		g, err := s.destroyed(ctx, id, nil)
		s.bulk.wrote(err)
		mu.Lock()
		defer mu.Unlock()
		if err != nil && !errors.Is(err, oauthstore.ErrTokenNotFound) {
			failed = cmp.Or(failed, err)
			return nil
		}
		g.keys = keys[id]
		all = append(all, g)
		return nil
	})
	err = errors.Join(cmp.Or(failed, err), s.forgetDeleted(ctx, TidyAll, all))
	if !s.index.single() {
		s.compact(ctx)
	}
	return err
}

// destroy removes the secret of a token. It is gone, with all that anyone could base a write on,
// before its entry is. check, unless it is nil, is asked before anything is removed.
//
// Steps delete.1 to delete.4.
func (s *Store) destroy(ctx context.Context, id string, check func(context.Context, gone) error) (gone, error) {
	name, err := s.tokenName(id)
	if err != nil {
		return gone{}, err
	}
	unlock, _, err := s.locks.lock(ctx, name)
	if err != nil {
		return gone{}, err
	}
	defer unlock()
	begin := time.Now()
	cur, err := s.read(ctx, name)
	if err != nil {
		return gone{}, err
	}
	if cur.rec.Absent() {
		return gone{id: id, at: begin}, oauthstore.ErrTokenNotFound
	}
	if check != nil {
		cur.rec.Claims = s.claimsOf(ctx, name, cur.rec)
		if err := check(ctx, gone{id: id, claims: cur.rec.Claims, at: begin}); err != nil {
			return gone{}, err
		}
	}
	claims, replaced, err := s.destroyState(ctx, name, cur)
	if replaced {
		begin = time.Time{}
	}
	return gone{id: id, claims: claims, at: begin}, err
}

// destroyState removes cur, or its newer states, and returns the claims of all states that it has met. If it meets a record
// of another incarnation, it ends and reports that: the former record was deleted, by this delete or by another, and the new
// one is not to be deleted.
//
// A tombstone of another delete means that it stopped half-way, or is at it; this one puts its own on top, so
// that the other cannot take its own back any more.
//
// Steps delete.3 and delete.4.
func (s *Store) destroyState(ctx context.Context, name string, cur state) (claims []string, replaced bool, err error) {
	p := s.patience(name)
	mine, missed := "", false
	began, acted := cur.rec.Incarnation, false // acted: a tombstone may have been stored, or the secret deleted
	for {
		if !strings.HasPrefix(name, pagePrefix) {
			cur.rec.Claims = s.claimsOf(ctx, name, cur.rec)
		}
		claims = append(claims, cur.rec.Claims...)
		tombstone := cur.rec
		if mine == "" || cur.rec.WriteID != mine {
			tombstone.Deleted, tombstone.Document = true, nil
			stamp(&tombstone, cur, s.quota())
			mine = tombstone.WriteID
		}
		failure := s.remove(ctx, name, cur.rev, tombstone)
		if errors.Is(failure, oauthstore.ErrAccessDenied) {
			s.spare(ctx, name, cur, tombstone)
		}
		if failure == nil || final(failure) {
			return claims, false, failure
		}
		acted = acted || !notWritten(failure)
		pause := p.take(ctx, failure)
		if err := waitAfter(ctx, failure, pause); err != nil {
			return claims, false, err
		}
		next, err := s.get(ctx, name, superseded(cur, failure))
		if err != nil {
			return claims, false, err
		}
		if next.rec.Absent() || next.rec.Incarnation != began {
			if next, err = s.probe(ctx, name, next); err != nil {
				return claims, false, err
			}
		}
		if !acted {
			began = next.rec.Incarnation // the first read may have lagged behind
		}
		done := next.rec.Absent() || next.rec.Incarnation != began
		switch _, probed := s.driver.(Prober); {
		case done && (probed || missed || errors.Is(failure, ErrConflict)):
			return claims, !next.rec.Absent(), nil
		case pause == giveUp:
			return claims, false, s.tired(name, failure)
		case done:
			missed = true // a read that lags behind, perhaps: once more, from what was there
		default:
			cur = next
		}
	}
}

// spare puts a record back over the tombstone of a delete that was then denied: who may write and not delete
// must not have deleted by halves. It does its best; where the tombstone stays, the next delete finishes.
func (s *Store) spare(ctx context.Context, name string, was state, tombstone Record) {
	now, err := s.get(ctx, name, None)
	if err != nil || now.rec.WriteID != tombstone.WriteID || !was.rec.Live() {
		return
	}
	back := s.resealed(ctx, name, was.rec) // Rekey, which passes over tombstones, may have been here
	stamp(&back, now, s.quota())
	_, _ = s.put(ctx, name, now.rev, back, 0)
}

// claimsOf returns the claims of a token's record, with their keys as far as they can be known: a tombstone does
// not say any more whose the record was.
func (s *Store) claimsOf(ctx context.Context, name string, r Record) []string {
	all := r.Claims
	if !claims(all, r.Incarnation) {
		all = append(slices.Clone(all), r.Incarnation)
	}
	if _, complete := keysOf(all); complete || !r.Live() {
		return all
	}
	d, _, err := s.openDocument(ctx, name, r.Document)
	if err != nil {
		return all
	}
	stored, err := s.codec.Decode(s.driver.FullName(name), d)
	if err != nil {
		return all
	}
	t := &stored.Token
	return placed(all, keyOf(t.ID, t.UserName, t.ClientID))
}

// forgetDeleted is forget. If it fails, the next delete of the ids tries again.
func (s *Store) forgetDeleted(ctx context.Context, tidy int, all []gone) error {
	err := s.forget(ctx, tidy, all)
	if err != nil {
		for _, g := range all {
			s.abandoned.add(g.id, deleted, g.claims...)
		}
	}
	return err
}

// forget removes the index entries of deleted records: those that the record stood behind, and those
// of writers that must have died. Another one may belong to an insert that is under way.
//
// Step delete.5.
func (s *Store) forget(ctx context.Context, tidy int, deleted []gone) error {
	if len(deleted) == 0 {
		return nil
	}
	byID := make(map[string]gone, len(deleted))
	for _, g := range deleted {
		byID[g.id] = g
	}
	obsolete := func(e entry) bool {
		g, ok := byID[e.ID]
		return ok && (claims(g.claims, e.Nonce) || e.Of != "" && claims(g.claims, e.Of) ||
			!e.pending() && elapsed(g.at) < maxInsert)
	}
	keys, err := s.keysOfGone(ctx, deleted)
	if err != nil {
		return err
	}
	return inParallel(ctx, s.driver.Limits().Parallel, s.inLeaves(keys), func(ctx context.Context, keys []key) error {
		for len(keys) > 0 {
			at, err := s.forgetIn(ctx, tidy, keys[0], obsolete)
			if err != nil {
				return err
			}
			keys = slices.DeleteFunc(keys, at.contains)
		}
		return nil
	})
}

// forgetIn removes the obsolete entries of the leaf where k is, and returns its span, which may be smaller than
// was remembered.
func (s *Store) forgetIn(ctx context.Context, tidy int, k key, obsolete func(entry) bool) (span, error) {
	l, err := s.leafFor(ctx, k, recent)
	if err == nil && !slices.ContainsFunc(l.node.entries, obsolete) {
		_, err = s.leafFor(ctx, k, fresh) // what was remembered is older than the record
	}
	if err != nil {
		return span{}, err
	}
	return s.removeEntries(ctx, tidy, k, obsolete)
}

// inLeaves groups keys, which are sorted, by the leaves that they are in as far as these are remembered.
func (s *Store) inLeaves(keys []key) [][]key {
	var groups [][]key
	var at span
	for _, k := range keys {
		if n := len(groups); n > 0 && at.contains(k) {
			groups[n-1] = append(groups[n-1], k)
			continue
		}
		l, _ := s.index.recallLeaf(k)
		at = l.span
		groups = append(groups, []key{k})
	}
	return groups
}

// keysOfGone returns the keys under which entries of the deleted records may be, sorted. Where a record does not
// say, all of the index is looked through.
func (s *Store) keysOfGone(ctx context.Context, deleted []gone) ([]key, error) {
	var keys []key
	unknown := make(map[string]bool)
	for _, g := range deleted {
		known, complete := keysOf(g.claims)
		keys = slices.Concat(keys, known, g.keys)
		if !complete && len(g.keys) == 0 {
			unknown[g.id] = true
		}
	}
	if len(unknown) > 0 {
		entries, err := s.allEntries(ctx, fresh)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if unknown[e.ID] {
				keys = append(keys, e.key())
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// checkIndex reads the pages of the index that forget will write, unless they were read lately: a page that cannot be
// read must be found before the secret is removed.
//
// Step delete.2.
func (s *Store) checkIndex(ctx context.Context, g gone) error {
	keys, err := s.keysOfGone(ctx, []gone{g})
	if err != nil {
		return err
	}
	for _, k := range keys {
		if _, err := s.leafFor(ctx, k, recent); err != nil {
			return err
		}
	}
	return nil
}
