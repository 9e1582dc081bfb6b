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
)

// writeAll writes what the changes make of their leaves, once for each leaf, and tells each its outcome.
func (s *Store) writeAll(ctx context.Context, batch []*change) {
	written := s.writeBatch(ctx, batch)
	for _, c := range batch {
		if c.failed && ctx.Err() != nil { // the leader finds out by its own context
			c.err = errLeaderLeft
		}
		c.done <- c.err
	}
	// Nobody's outcome depends on it.
	for _, w := range written {
		s.tend(ctx, w)
	}
}

// A written leaf is one as it was before a write and is after it.
type written struct {
	leaf   *leaf
	before remembered
}

// writeBatch gives each change its outcome.
func (s *Store) writeBatch(ctx context.Context, batch []*change) (done []*written) {
	how := recent
	for p := s.patience(""); ; how = fresh {
		var mu sync.Mutex
		moved := false
		_ = inParallel(ctx, s.driver.Limits().Parallel, s.byLeaf(ctx, unsettledOf(batch), how), func(ctx context.Context, g *group) error {
			w, err := s.writeLeaf(ctx, g.leaf, g.changes)
			mu.Lock()
			defer mu.Unlock()
			if w != nil {
				done = append(done, w)
			}
			moved = moved || errors.Is(err, errMoved)
			return nil
		})
		for _, c := range batch {
			// Nobody is refused because of what a remembered leaf says.
			c.settled = c.settled && !(how == recent && !c.failed && isRefusal(c.err))
		}
		pending := unsettledOf(batch)
		if len(pending) == 0 {
			return done
		}
		pause := time.Duration(0)
		if moved {
			pause = p.take(ctx, ErrConflict)
		}
		err := ctx.Err()
		if err == nil && pause == giveUp {
			err = fmt.Errorf("%w: the index keeps changing", oauthstore.ErrUnavailable)
		}
		if err = cmp.Or(err, wait(ctx, pause)); err != nil {
			fail(pending, err)
			return done
		}
	}
}

// unsettledOf returns the changes that have no outcome yet.
func unsettledOf(changes []*change) []*change {
	return slices.DeleteFunc(slices.Clone(changes), func(c *change) bool { return c.settled })
}

// settle is the outcome of a change by itself.
func (c *change) settle(err error) { c.err, c.failed, c.settled = err, false, true }

// fail is the outcome of changes of which the write has failed.
func fail(changes []*change, err error) {
	for _, c := range changes {
		c.err, c.failed, c.settled = err, true, true
	}
}

// A group is the changes to one leaf.
type group struct {
	leaf    *leaf
	changes []*change
}

// byLeaf groups the changes. Those whose leaf cannot be found have failed.
func (s *Store) byLeaf(ctx context.Context, changes []*change, how freshness) []*group {
	var groups []*group
	var missing []*missingPage
	for _, c := range changes {
		if i := slices.IndexFunc(missing, func(m *missingPage) bool { return m.at.span.contains(c.key) }); i >= 0 {
			fail([]*change{c}, missing[i]) // it was looked for long enough
			continue
		}
		if i := slices.IndexFunc(groups, func(g *group) bool { return g.leaf.span.contains(c.key) }); i >= 0 {
			groups[i].changes = append(groups[i].changes, c)
			continue
		}
		l, err := s.leafFor(ctx, c.key, how)
		var gone *missingPage
		switch {
		case errors.As(err, &gone):
			missing = append(missing, gone)
			fallthrough
		case err != nil:
			fail([]*change{c}, err)
			continue
		}
		groups = append(groups, &group{l, []*change{c}})
	}
	return groups
}

// isRefusal reports whether a change was refused because of other entries.
func isRefusal(err error) bool {
	var conflict *oauthstore.ConflictError
	return errors.As(err, &conflict) || errors.Is(err, errAgain)
}

// writeLeaf writes the leaf with the changes, and gives each its outcome; but where the leaf is no longer one,
// or no longer there, the error is errMoved.
func (s *Store) writeLeaf(ctx context.Context, l *leaf, changes []*change) (*written, error) {
	if l.node.sealed {
		return nil, s.supersede(ctx, l, changes)
	}
	g := &growth{store: s, at: l.place, above: l.above}
	var tries []*attempt
	after, try, err := s.commit(ctx, l.name, l.state, tidies(changes), func(cur state, failure error) (*Record, error) {
		g.met(failure)
		n, err := s.openLeaf(ctx, l.name, cur)
		if err != nil {
			return nil, err
		}
		a := &attempt{store: s, at: l.place, cur: cur, before: n}
		next, err := a.apply(ctx, changes)
		if next == nil || err != nil {
			a.settle(changes)
			return nil, err
		}
		tries = append(tries, a)
		return g.write(ctx, cur, next)
	})
	g.settle(ctx, after, try, err)
	switch {
	case errors.Is(err, errMoved):
		return nil, err
	case err != nil:
		fail(changes, err)
		return nil, nil
	case try < 0:
		return nil, nil
	}
	tries[try].settle(changes) // it need not be the last: an earlier one may have come late
	r, err := s.keepNode(ctx, l.name, after)
	if err != nil {
		fail(changes, err)
		return nil, nil
	}
	return &written{&leaf{l.place, r, l.above}, remembered{state: tries[try].cur, node: tries[try].before}}, nil
}

// openLeaf returns what a leaf holds that may be changed; errMoved is that it is no such leaf.
func (s *Store) openLeaf(ctx context.Context, name string, cur state) (*node, error) {
	n, err := s.decodeNode(ctx, name, cur.rec)
	if err != nil {
		return nil, err
	}
	// Remembered also where nothing is written: whoever starts over then starts from here.
	s.remember(name, cur, n)
	if n.inner() || n.sealed || name != indexName && !cur.rec.Live() {
		return nil, errMoved
	}
	return n, nil
}

// An attempt is the changes as applied to a leaf as it was once.
type attempt struct {
	store  *Store
	at     place
	cur    state
	before *node
	errs   []error // the outcome of each change
}

func (a *attempt) settle(changes []*change) {
	for i, err := range a.errs {
		if errors.Is(err, errUnchanged) {
			err = nil
		}
		changes[i].at = a.at.span
		changes[i].settle(err)
	}
}

// apply applies the changes and returns what they make of the leaf, nil where none has anything to write.
// Where that has no room, the changes that make it so fail, and the others do not.
func (a *attempt) apply(ctx context.Context, changes []*change) (*layout, error) {
	next, err := a.applyEach(ctx, changes, func([]entry) error { return nil })
	if !errors.Is(err, oauthstore.ErrRecordTooLarge) {
		return next, err
	}
	return a.applyEach(ctx, changes, func(changed []entry) error {
		_, err := a.layOut(ctx, changed)
		return err
	})
}

// applyEach applies the changes, one upon the other, but for those of which the outcome does not fit.
func (a *attempt) applyEach(ctx context.Context, changes []*change, fits func([]entry) error) (*layout, error) {
	entries, changed := a.before.entries, false
	a.errs = make([]error, len(changes))
	for i, c := range changes {
		next, err := c.apply(slices.Clone(entries), a.at.span)
		if err == nil && len(next) >= len(entries) { // what makes it shorter is in nobody's way
			err = fits(next)
		}
		if a.errs[i] = err; err == nil {
			entries, changed = next, true
		}
	}
	if !changed {
		return nil, nil
	}
	return a.layOut(ctx, entries)
}

func (a *attempt) layOut(ctx context.Context, entries []entry) (*layout, error) {
	next := *a.before
	next.entries = entries
	return a.store.layOut(ctx, a.at, a.cur.rec, &next, false)
}

// tidies adds up what the changes may remove.
func tidies(batch []*change) int {
	sum := 0
	for _, c := range batch {
		if c.tidy == TidyAll {
			return TidyAll
		}
		sum += c.tidy
	}
	return sum
}
