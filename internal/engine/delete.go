package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore"
)

// gone is a record that was deleted.
type gone struct {
	id     string
	nonces []string  // that the record carried
	at     time.Time // when it was found gone
}

// DeleteToken implements oauthstore.TokenStore.
func (s *Store) DeleteToken(ctx context.Context, id string) error {
	if err := cmp.Or(ctx.Err(), oauthstore.CheckID(id)); err != nil {
		return err
	}
	g, err := s.destroy(ctx, id)
	if err != nil {
		return err
	}
	return s.forget(ctx, tidyDelete, []gone{g})
}

// DeleteTokens implements oauthstore.TokenStore. Tokens that cannot be deleted do not keep the others
// from being deleted.
func (s *Store) DeleteTokens(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := s.newestEntries(ctx)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var deleted []gone
	var failed error
	err = inParallel(ctx, s.driver.Limits().Parallel, ids(entries), func(ctx context.Context, id string) error {
		g, err := s.destroy(ctx, id)
		mu.Lock()
		defer mu.Unlock()
		if err != nil && !errors.Is(err, oauthstore.ErrTokenNotFound) {
			failed = cmp.Or(failed, err)
			return nil
		}
		deleted = append(deleted, g)
		return nil
	})
	return errors.Join(cmp.Or(failed, err), s.forget(ctx, TidyAll, deleted))
}

// destroy removes the secret of a token. It is gone, with all that anyone could base a write on,
// before its entry is.
func (s *Store) destroy(ctx context.Context, id string) (gone, error) {
	name, err := s.tokenName(id)
	if err != nil {
		return gone{}, err
	}
	unlock, _, err := s.locks.lock(ctx, name)
	if err != nil {
		return gone{}, err
	}
	defer unlock()
	cur, err := s.read(ctx, name)
	if err != nil {
		return gone{}, err
	}
	if !cur.rec.Live() && !cur.rec.Deleted {
		return gone{id: id, at: time.Now()}, oauthstore.ErrTokenNotFound
	}
	nonces, err := s.destroyState(ctx, name, cur)
	return gone{id: id, nonces: nonces, at: time.Now()}, err
}

// destroyState removes what cur is, or what has become of it, and returns the nonces of all that it has met.
//
// A tombstone of another delete means that it stopped half-way, or is at it; this one puts its own on top, so
// that the other cannot take its own back any more.
func (s *Store) destroyState(ctx context.Context, name string, cur state) (nonces []string, err error) {
	p := s.patience()
	mine := ""
	for {
		nonces = append(nonces, append(cur.rec.Claims, cur.rec.Incarnation)...)
		tombstone := cur.rec
		if mine == "" || cur.rec.WriteID != mine {
			tombstone.Deleted, tombstone.Document = true, nil
			stamp(&tombstone, cur)
			mine = tombstone.WriteID
		}
		failure := s.remove(ctx, name, cur.rev, tombstone)
		if errors.Is(failure, oauthstore.ErrAccessDenied) {
			s.spare(ctx, name, cur, tombstone)
		}
		if failure == nil || final(failure) {
			return nonces, failure
		}
		pause := p.take(failure)
		if err := wait(ctx, pause); err != nil {
			return nonces, err
		}
		next, err := s.get(ctx, name, superseded(cur, failure))
		if err != nil {
			return nonces, err
		}
		if !next.rec.Live() && !next.rec.Deleted {
			return nonces, nil
		}
		if pause == giveUp {
			return nonces, s.tired(name, failure)
		}
		cur = next
	}
}

// spare puts a record back over the tombstone of a delete that was then denied: who may write and not delete
// must not have deleted by halves. It does its best; where the tombstone stays, the next delete finishes.
func (s *Store) spare(ctx context.Context, name string, was state, tombstone Record) {
	now, err := s.get(ctx, name, None)
	if err != nil || now.rec.WriteID != tombstone.WriteID || !was.rec.Live() {
		return
	}
	back := was.rec
	stamp(&back, now)
	_, _ = s.put(ctx, name, now.rev, back, 0)
}

// forget removes the index entries of deleted records: those that the record stood behind, and those
// of writers that must have died. Another one may belong to an insert that is under way.
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
		return ok && (slices.Contains(g.nonces, e.Nonce) || !e.pending() && elapsed(g.at) < maxInsert)
	}
	if entries, err := s.entries(ctx, false); err != nil || !slices.ContainsFunc(entries, obsolete) {
		// The cached index is older than the record.
		if _, err := s.entries(ctx, true); err != nil {
			return err
		}
	}
	return s.changeIndex(ctx, tidy, func(entries []entry) ([]entry, error) {
		rest := slices.DeleteFunc(entries, obsolete)
		if len(rest) == len(entries) {
			return nil, errUnchanged
		}
		return rest, nil
	})
}
