package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oauthstore/oauthstore"
)

// A layout is what is to become of a leaf: one again, or an inner node with new pages.
type layout struct {
	leaf  *Record
	node  *node // the inner node
	pages []*page
}

// A page is one that is being made.
type page struct {
	name   string
	node   *node
	record *Record
	begun  time.Time
	state  state // once it is made
}

// late reports whether one of the pages was begun so long ago that somebody may take it for one that nobody is about
// to point to.
func late(pages ...*page) bool {
	return slices.ContainsFunc(pages, func(p *page) bool { return elapsed(p.begun) > maxInsert })
}

// layOut lays out n, a leaf as it is to be at the place, which now holds cur. It becomes an inner node where it
// has no room, or where the service would soon refuse to write it, or where divide asks for it.
func (s *Store) layOut(ctx context.Context, at place, cur Record, n *node, divide bool) (*layout, error) {
	whole := *n
	whole.retired = s.index.unburied(n.retired)
	r, err := s.encodeNode(ctx, at.name, cur, &whole)
	if err != nil {
		return nil, err
	}
	q := s.quota()
	if bytes := size(r); bytes > s.room() || divide || q.spent(n.writes.count(q, time.Now())) {
		return s.divide(ctx, at, &whole, bytes)
	}
	return &layout{leaf: r}, nil
}

// divide lays out the entries of n, which take so many bytes together, in pages.
func (s *Store) divide(ctx context.Context, at place, n *node, bytes int) (*layout, error) {
	keys := make([]key, len(n.entries))
	for i, e := range n.entries {
		keys[i] = e.key()
	}
	slices.Sort(keys)
	count := s.pagesFor(n, bytes)
	ways := [][]span{at.span.cutEvenly(count), at.span.cutBetween(keys, count), at.span.cutBetween(keys, len(keys))}
	for _, spans := range ways {
		if spans == nil {
			continue
		}
		if l, err := s.layOutIn(ctx, at.name, spans, n); !errors.Is(err, oauthstore.ErrRecordTooLarge) {
			return l, err
		}
	}
	return s.layOutIn(ctx, at.name, []span{at.span}, n)
}

// How many pages take the place of one because it is written often: a page costs as much as a token.
const (
	mostPages     = 16
	tokensPerPage = 32
)

// pagesFor is how many pages the entries of n need: so many that they are half empty, and that at the rate at
// which n was written lately each is written no more often than the service allows. A few entries that are
// written often need just another page.
func (s *Store) pagesFor(n *node, bytes int) int {
	count := 1
	if full := s.room() * halfEmpty / 100; bytes > s.room()*crowded/100 {
		count = (bytes + full - 1) / full
	}
	q, now := s.quota(), time.Now()
	if load := n.load(q, now); q.used(load) {
		window := n.writes.plus(n.inherited).span(q, now)
		count = max(count, min(int((q.per+window-1)/window), len(n.entries)/tokensPerPage, mostPages))
	}
	return count
}

// layOutIn makes a page for each of the spans.
func (s *Store) layOutIn(ctx context.Context, at string, spans []span, n *node) (*layout, error) {
	inner := *n
	inner.entries, inner.pages = nil, nil
	l := &layout{node: &inner}
	inherited := n.writes.plus(n.inherited).share(len(spans))
	for _, in := range spans {
		part := slices.DeleteFunc(slices.Clone(n.entries), func(e entry) bool { return !in.contains(e.key()) })
		p, err := s.newPage(ctx, at, part, inherited)
		if err != nil {
			return nil, err
		}
		l.pages = append(l.pages, p)
		inner.pages = append(inner.pages, pointer{in.from, p.name})
	}
	return l, nil
}

// newPage lays out a page that is to take over some of what is in the secret named from.
func (s *Store) newPage(ctx context.Context, from string, entries []entry, inherited history) (*page, error) {
	p := &page{name: newPageName(), node: &node{entries: entries, inherited: inherited, made: timestamp(time.Now())}}
	var err error
	if p.record, err = s.encodeNode(ctx, p.name, Record{}, p.node); err != nil {
		return nil, err
	}
	if bytes := size(p.record); bytes > s.room() {
		return nil, fmt.Errorf("%w: secret %s: %d bytes in one page, where %d fit", oauthstore.ErrRecordTooLarge,
			s.driver.FullName(from), bytes, s.room())
	}
	return p, nil
}

// A growth is the write of a leaf that may become an inner node, over its attempts.
type growth struct {
	store *Store
	at    place
	above []place
	made  [][]*page // for each attempt

	unsure bool // an attempt may have taken effect, or may yet
}

// met takes note of the failure of an attempt.
func (g *growth) met(failure error) { g.unsure = g.unsure || !over(failure) }

// write makes the pages of the layout, and returns the record of the node.
//
// Step divide.2.
func (g *growth) write(ctx context.Context, cur state, l *layout) (*Record, error) {
	if l.leaf != nil {
		return l.leaf, nil
	}
	s := g.store
	if err := s.makePages(ctx, l.pages); err != nil {
		s.drop(ctx, l.pages)
		return nil, err
	}
	if late(l.pages...) {
		s.drop(ctx, l.pages)
		return nil, errMoved
	}
	g.made = append(g.made, l.pages)
	l.node.sealed = s.canLift(g.above, len(l.pages))
	return s.encodeNode(ctx, g.at.name, cur.rec, l.node)
}

// settle ends the growth: after is the state of the node. If it has not changed, err says why.
func (g *growth) settle(ctx context.Context, after state, try int, err error) {
	if isUnsettled(err) || try < 0 && g.unsure {
		return
	}
	g.store.settlePages(ctx, g.at.name, after, try >= 0, g.made...)
}

// settlePages keeps the pages that the node points to in its state after the attempts, and deletes the others. written says
// that one of the attempts was found to have taken effect.
//
// If none was found, an attempt may still have taken effect: since then the node may be sealed, and its parent point to the
// pages; or the node may be gone. So the pages stay unless the node is there and not sealed. If it is, a page that it does
// not point to is not part of the tree. Repair finds pages that stay for nothing.
func (s *Store) settlePages(ctx context.Context, name string, after state, written bool, made ...[]*page) {
	n, err := s.decodeNode(ctx, name, after.rec)
	if err != nil || !after.rec.Live() || n.sealed && !written {
		return
	}
	for _, p := range slices.Concat(made...) {
		if slices.ContainsFunc(n.pages, func(other pointer) bool { return other.Name == p.name }) {
			s.index.keep(p.name, p.state, p.node)
			continue
		}
		s.drop(ctx, []*page{p})
	}
}

// makePages stores new pages, which nothing points to yet.
//
// Steps divide.1 and join.2.
func (s *Store) makePages(ctx context.Context, pages []*page) error {
	for _, p := range pages {
		p.begun = time.Now()
	}
	return inParallel(ctx, s.driver.Limits().Parallel, pages, func(ctx context.Context, p *page) error {
		after, _, err := s.commit(ctx, p.name, state{}, 0, func(cur state, _ error) (*Record, error) {
			if cur.rec.Live() {
				return nil, errMoved // the name is random: this does not happen
			}
			next := *p.record
			return &next, nil
		})
		if err == nil {
			p.state, p.node.writes = after, after.rec.Writes
		}
		return err
	})
}

// drop deletes pages that nothing points to. Where one stays, a repair finds it.
func (s *Store) drop(ctx context.Context, pages []*page) {
	for _, p := range pages {
		if p.state.rev == None {
			st, err := s.read(ctx, p.name)
			if err != nil || !st.rec.Live() {
				continue
			}
			p.state = st
		}
		s.index.forget(p.name)
		_, _, _ = s.destroyState(ctx, p.name, p.state)
	}
}

// canLift reports whether the parent, the last of above, is likely to take so many more pointers. A leaf under
// the root has one as good as any; the root itself has none.
func (s *Store) canLift(above []place, pointers int) bool {
	if len(above) == 0 {
		return false
	}
	r, ok := s.index.recall(above[len(above)-1].name)
	if !ok || !r.node.inner() || r.node.sealed {
		return false
	}
	return s.takes(r.node, size(&r.state.rec), pointers)
}

// pointerSize is about how many bytes a pointer has in its node.
const pointerSize = 80

// takes reports whether an inner node has room for so many more pointers, and can be written for it.
func (s *Store) takes(n *node, bytes, pointers int) bool {
	q := s.quota()
	return !q.spent(n.writes.count(q, time.Now())+1) && bytes+pointers*pointerSize <= s.room()
}

// lift puts the pointers of the inner node at the place where its parent has the one to it. It does its best.
//
// Step divide.3.
func (s *Store) lift(ctx context.Context, at place, above []place) {
	if len(above) == 0 {
		return
	}
	n, err := s.seal(ctx, at.name, func(n *node, _ int) bool { return n.inner() && s.canLift(above, len(n.pages)) })
	if err != nil || !n.inner() { // or it has taken its pages back, and was sealed as a leaf
		return
	}
	_ = s.relink(ctx, above[len(above)-1], []string{at.name}, n.pages, n.retired)
}

// seal seals the node, if fits says so, and returns it; one that is sealed already whatever it is.
func (s *Store) seal(ctx context.Context, name string, fits func(n *node, bytes int) bool) (*node, error) {
	cur, ok := s.index.recall(name)
	if !ok {
		var err error
		if cur, err = s.node(ctx, name, fresh); err != nil {
			return nil, err
		}
	}
	after, _, err := s.commit(ctx, name, cur.state, TidyAll, func(cur state, _ error) (*Record, error) {
		n, err := s.decodeNode(ctx, name, cur.rec)
		switch {
		case err != nil:
			return nil, err
		case !cur.rec.Live():
			return nil, errMoved
		case n.sealed:
			return nil, nil
		case !fits(n, size(&cur.rec)):
			return nil, errMoved
		}
		n.sealed = true
		return s.encodeNode(ctx, name, cur.rec, n)
	})
	if err != nil {
		return nil, err
	}
	r, err := s.keepNode(ctx, name, after)
	return r.node, err
}

// relink lets the parent point to by instead of the pages with the names, which are sealed, and deletes those.
func (s *Store) relink(ctx context.Context, parent place, names []string, by []pointer, retired []string) error {
	_, err := s.changeInner(ctx, parent, func(n *node) bool { return relinks(n, names, by, retired) })
	if err == nil {
		s.bury(ctx, names)
	}
	return err
}

// relinks makes n point to by instead of the pages with the names, if it points to all of these.
func relinks(n *node, names []string, by []pointer, retired []string) bool {
	n.pages = replace(n.pages, names, by)
	n.retired = slices.Concat(n.retired, retired, names)
	return n.pages != nil
}

// relinkTo is relink with a page that was made for it, and is deleted where nothing comes to point to it.
func (s *Store) relinkTo(ctx context.Context, parent place, names []string, p *page, retired []string) error {
	tried := false
	after, err := s.changeInner(ctx, parent, func(n *node) bool {
		relinked := relinks(n, names, []pointer{{Name: p.name}}, retired) && !late(p)
		tried = tried || relinked
		return relinked
	})
	switch {
	case !tried:
		s.drop(ctx, []*page{p})
	case !isUnsettled(err):
		s.settlePages(ctx, parent.name, after, err == nil, []*page{p})
	}
	if err == nil {
		s.bury(ctx, names)
	}
	return err
}

// changeInner changes an inner node, if change says so, and returns what it is then, or was when it was read last. It returns
// errMoved if change says no, or if the node cannot be changed.
func (s *Store) changeInner(ctx context.Context, at place, change func(*node) bool) (after state, err error) {
	cur, err := s.node(ctx, at.name, recent)
	if err != nil {
		return state{}, err
	}
	after, _, err = s.commit(ctx, at.name, cur.state, TidyAll, func(cur state, _ error) (*Record, error) {
		n, err := s.decodeNode(ctx, at.name, cur.rec)
		if err != nil {
			return nil, err
		}
		if !n.inner() || n.sealed || !change(n) {
			return nil, errMoved
		}
		n.retired = s.index.unburied(n.retired)
		next, err := s.encodeNode(ctx, at.name, cur.rec, n)
		if err == nil && size(next) > s.room() && len(n.retired) > 0 {
			n.retired = nil // a repair finds them
			next, err = s.encodeNode(ctx, at.name, cur.rec, n)
		}
		return next, err
	})
	if err != nil {
		s.index.forget(at.name) // whatever it is
		return after, err
	}
	_, _ = s.keepNode(ctx, at.name, after) // it is written, whatever
	return after, nil
}

// supersede puts a page that can be changed in the place of a sealed leaf. The error is errMoved where it did,
// or where somebody else has; then the changes are to be tried again.
func (s *Store) supersede(ctx context.Context, l *leaf, changes []*change) error {
	if s.liftSealed(ctx, l.above) {
		return errMoved
	}
	parent := l.above[len(l.above)-1]
	p, err := s.newPage(ctx, l.name, l.node.entries, l.node.writes.plus(l.node.inherited))
	if err == nil {
		err = s.makePages(ctx, []*page{p})
	}
	if err != nil {
		fail(changes, err)
		return nil
	}
	if err := s.relinkTo(ctx, parent, []string{l.name}, p, l.node.retired); err != nil && !errors.Is(err, errMoved) {
		fail(changes, err)
		return nil
	}
	return errMoved
}

// liftSealed lifts the first sealed node from the top: only then can the next be. It reports whether there was one.
func (s *Store) liftSealed(ctx context.Context, above []place) bool {
	for i := 1; i < len(above); i++ {
		if r, ok := s.index.recall(above[i].name); ok && r.node.sealed {
			s.lift(ctx, above[i], above[:i])
			return true
		}
	}
	return false
}

// maxRetired is how many retired pages a node names. Those that nobody could delete, until there were more, are
// found by a repair.
const maxRetired = 64

// maxBuried is how many deleted pages a process remembers.
const maxBuried = 1000

// unburied returns the pages that are perhaps not deleted yet.
func (t *tree) unburied(names []string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return t.buried[name] })
	return left[max(0, len(left)-maxRetired):]
}

// lookedFor is how many retired pages are looked for at a time.
const lookedFor = 4

// someUnburied returns a few of those names, anywhere among them.
func (t *tree) someUnburied(names []string) []string {
	left := t.unburied(names)
	if len(left) <= lookedFor {
		return left
	}
	first := int(someOf(time.Duration(len(left) - lookedFor + 1)))
	return left[first : first+lookedFor]
}

// bury deletes retired pages. It does its best.
//
// Steps divide.4 and join.4.
func (s *Store) bury(ctx context.Context, names []string) {
	if !s.index.mayBury() {
		return
	}
	for _, name := range s.index.unburied(names) {
		st, err := s.read(ctx, name)
		if err == nil && (st.rec.Live() || st.rec.Deleted) {
			_, _, err = s.destroyState(ctx, name, st)
		}
		if err != nil {
			s.index.spare(errors.Is(err, oauthstore.ErrAccessDenied))
			return
		}
		s.index.markBuried(name)
	}
}

// markBuried takes note that a retired page is deleted.
func (t *tree) markBuried(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.nodes, name)
	if len(t.buried) >= maxBuried {
		t.buried = nil // to look for one again costs a read
	}
	if t.buried == nil {
		t.buried = make(map[string]bool)
	}
	t.buried[name] = true
}

// spare gives up deleting pages for good, where that is denied.
func (t *tree) spare(denied bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.denied = t.denied || denied
}

func (t *tree) mayBury() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.denied
}

// replaceMissing puts an empty page in the place of one that is not there. Where something else is there by now it
// does nothing.
func (s *Store) replaceMissing(ctx context.Context, m *missingPage) error {
	if len(m.above) == 0 {
		return s.replaceRoot(ctx)
	}
	if s.liftSealed(ctx, m.above) {
		return nil
	}
	err := s.sealMissing(ctx, m.at.name)
	var p *page
	if err == nil {
		p, err = s.newPage(ctx, m.at.name, nil, nil)
	}
	if err == nil {
		err = s.makePages(ctx, []*page{p})
	}
	if err == nil {
		err = s.relinkTo(ctx, m.above[len(m.above)-1], []string{m.at.name}, p, nil)
	}
	if errors.Is(err, errMoved) {
		return nil
	}
	return err
}

// sealMissing puts a sealed page where there is none, so that nobody who remembers the one that was there, or comes upon
// it once it is undeleted, takes it for part of the tree.
func (s *Store) sealMissing(ctx context.Context, name string) error {
	cur, err := s.read(ctx, name)
	if err != nil {
		return err
	}
	_, _, err = s.commit(ctx, name, cur, TidyAll, func(cur state, _ error) (*Record, error) {
		if !cur.rec.Live() {
			return s.encodeNode(ctx, name, cur.rec, &node{sealed: true})
		}
		n, err := s.decodeNode(ctx, name, cur.rec)
		if err == nil && !n.sealed {
			err = errMoved // it is there again
		}
		return nil, err
	})
	return err
}

// replaceRoot puts an empty root in the place of one that somebody has deleted.
func (s *Store) replaceRoot(ctx context.Context) error {
	cur, err := s.read(ctx, indexName)
	if err != nil {
		return err
	}
	_, _, err = s.commit(ctx, indexName, cur, TidyAll, func(cur state, _ error) (*Record, error) {
		if !cur.rec.SoftDeleted {
			return nil, nil
		}
		return s.encodeNode(ctx, indexName, Record{}, &node{})
	})
	return err
}
