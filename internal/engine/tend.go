package engine

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A page is full when somebody's entry has no room there any more; it is worn when the service would soon take
// no more writes to it. Long before, whoever makes it so divides it, so that one caller does and not all at
// once; should that one die, another does it some writes later.
//
// tend does what the write of a leaf has made due. It does its best: all of it can wait.
func (s *Store) tend(ctx context.Context, w *written) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	l, n := w.leaf, w.leaf.node
	if oneIn(16) {
		// Whoever has retired pages may not have come to delete them. Most of them are gone: so few are looked for.
		retired := n.retired
		if len(l.above) > 0 {
			if parent, ok := s.index.recall(l.above[len(l.above)-1].name); ok {
				retired = slices.Concat(retired, parent.node.retired)
			}
		}
		s.bury(ctx, s.index.someUnburied(retired))
	}
	switch {
	case n.inner():
		if n.sealed {
			s.lift(ctx, l.place, l.above)
		}
	case s.crowded(l.remembered) && (!s.crowded(w.before) || oneIn(4)):
		s.divideLeaf(ctx, l)
	case len(l.above) > 1 && oneIn(8):
		if !s.liftSealed(ctx, l.above) {
			parent := len(l.above) - 1
			s.lift(ctx, l.above[parent], l.above[:parent])
		}
	case len(l.above) > 0 && s.lonely(l.remembered) && (len(n.entries) == 0 || oneIn(8)):
		s.joinNear(ctx, l)
	}
}

// oneIn picks one write in so many.
func oneIn(many time.Duration) bool { return someOf(many) == 0 }

// crowded reports whether the leaf is to be divided before it is full, or worn.
func (s *Store) crowded(r remembered) bool {
	q := s.quota()
	return q.used(r.node.writes.count(q, time.Now())) || size(&r.state.rec) > s.room()*crowded/100
}

// lonely reports whether the leaf may be joined with others.
func (s *Store) lonely(r remembered) bool {
	q := s.quota()
	return size(&r.state.rec) <= s.room()*nearEmpty/100 && q.quiet(r.node.load(q, time.Now()))
}

// divideLeaf divides a leaf that is crowded, and puts its pages where it was.
func (s *Store) divideLeaf(ctx context.Context, l *leaf) {
	g := &growth{store: s, at: l.place, above: l.above}
	after, try, err := s.commit(ctx, l.name, l.state, TidyAll, func(cur state, failure error) (*Record, error) {
		g.met(failure)
		n, err := s.openLeaf(ctx, l.name, cur)
		if err != nil {
			return nil, err
		}
		next, err := s.layOut(ctx, l.place, cur.rec, n, true)
		if err != nil {
			return nil, err
		}
		return g.write(ctx, cur, next)
	})
	g.settle(ctx, after, try, err)
	if err != nil || try < 0 {
		return
	}
	if r, err := s.keepNode(ctx, l.name, after); err == nil && r.node.sealed {
		s.lift(ctx, l.place, l.above)
	}
}

// joinNear joins the leaf with those beside it that are lonely too.
func (s *Store) joinNear(ctx context.Context, l *leaf) {
	parent := l.above[len(l.above)-1]
	p, err := s.node(ctx, parent.name, fresh)
	if err != nil || !p.node.inner() {
		return
	}
	all := p.node.children(parent.span)
	i := slices.Index(all, l.place)
	if i < 0 {
		return
	}
	j := s.newJoin()
	if !j.takes(l.remembered) {
		return
	}
	first, last := i, i+1
	for first > 0 && j.add(ctx, all[first-1].name) {
		first--
	}
	for last < len(all) && j.add(ctx, all[last].name) {
		last++
	}
	s.join(ctx, parent, all[first:last])
}

// A joining adds up leaves that are to become one.
type joining struct {
	store       *Store
	bytes, load int
}

func (s *Store) newJoin() *joining { return &joining{store: s} }

// add reports whether the page can be one of them.
func (j *joining) add(ctx context.Context, name string) bool {
	r, err := j.store.node(ctx, name, fresh)
	return err == nil && r.state.rec.Live() && j.takes(r)
}

func (j *joining) takes(r remembered) bool {
	s, q := j.store, j.store.quota()
	bytes, load := j.bytes+size(&r.state.rec), j.load+r.node.load(q, time.Now())
	if r.node.inner() || bytes > s.room()*halfEmpty/100 || !q.quiet(load) {
		return false
	}
	j.bytes, j.load = bytes, load
	return true
}

// join puts one page in the place of several that are beside each other, or the parent itself where they are all
// that it has.
//
// Steps join.1 to join.4.
func (s *Store) join(ctx context.Context, parent place, run []place) {
	p, ok := s.index.recall(parent.name)
	q, now := s.quota(), time.Now()
	if !ok || p.node.sealed || q.used(p.node.writes.count(q, now)+1) {
		return
	}
	whole := len(run) == len(p.node.pages) && q.quiet(p.node.writes.count(q, now)+1)
	if len(run) < 2 && !whole {
		return
	}
	sealed, err := s.sealAll(ctx, run)
	if err != nil {
		return
	}
	var entries []entry
	var retired, names []string
	var inherited history
	for i, n := range sealed {
		entries = append(entries, n.entries...)
		retired = append(retired, n.retired...)
		inherited = inherited.plus(n.writes).plus(n.inherited)
		names = append(names, run[i].name)
	}
	if whole {
		_, err := s.changeInner(ctx, parent, func(n *node) bool {
			if len(n.pages) != len(names) || replace(n.pages, names, []pointer{{}}) == nil {
				return false
			}
			n.pages, n.entries = nil, entries
			n.retired = slices.Concat(n.retired, retired, names)
			n.inherited = n.inherited.plus(inherited)
			return true
		})
		if err == nil {
			s.bury(ctx, names)
		}
		return
	}
	c, err := s.newPage(ctx, parent.name, entries, inherited)
	if err == nil {
		err = s.makePages(ctx, []*page{c})
	}
	if err == nil {
		_ = s.relinkTo(ctx, parent, names, c, retired)
	}
}

// sealAll seals leaves.
func (s *Store) sealAll(ctx context.Context, run []place) ([]*node, error) {
	sealed := make([]*node, len(run))
	var mu sync.Mutex
	at := make([]int, len(run))
	for i := range at {
		at[i] = i
	}
	err := inParallel(ctx, s.driver.Limits().Parallel, at, func(ctx context.Context, i int) error {
		n, err := s.seal(ctx, run[i].name, func(n *node, bytes int) bool { return !n.inner() && bytes <= s.room()*halfEmpty/100 })
		if err == nil && n.inner() {
			err = errMoved
		}
		mu.Lock()
		sealed[i] = n
		mu.Unlock()
		return err
	})
	return sealed, err
}

// compact joins all leaves that fit in one page together and are written little.
func (s *Store) compact(ctx context.Context) {
	for range 3 { // what was below another page is now beside it
		root, err := s.node(ctx, indexName, anew)
		if err != nil || !root.node.inner() || !s.compactOnce(ctx, root.node) {
			return
		}
	}
}

// compactOnce reports whether it has done something.
func (s *Store) compactOnce(ctx context.Context, root *node) bool {
	top := place{indexName, everywhere}
	all := root.children(everywhere)
	did := false
	var run []place
	var j *joining
	end := func() {
		if len(run) > 1 || len(run) == len(all) {
			s.join(ctx, top, run)
			did = true
		}
		run, j = nil, nil
	}
	for some := range slices.Chunk(all, readAhead) {
		read := s.readNodes(ctx, some, fresh)
		for _, at := range some {
			r, ok := read[at.name]
			if ok && r.node.inner() {
				s.lift(ctx, at, []place{top})
				did = true
			}
			switch {
			case !ok || !r.state.rec.Live() || r.node.inner():
				end()
			case j != nil && j.takes(r):
				run = append(run, at)
			default:
				end()
				if j = s.newJoin(); j.takes(r) {
					run = []place{at}
				}
			}
		}
	}
	end()
	return did
}
