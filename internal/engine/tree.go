package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore"
)

// A tree is what a store remembers of the index: its nodes as last read or written.
//
// The index is a tree of secrets. Its root is a leaf, and holds all entries, as long as they fit in one secret
// and one secret takes the writes. A leaf that has become too full becomes an inner node in one write: its
// entries are then in pages that were made for the purpose, and that nobody knew of before. An inner node below
// the root that has served its time is sealed, and its pointers take the place of the one to it. Pages that
// have become too empty are sealed, and one page with all their entries, or none, takes their place. What is no
// longer pointed to is deleted. Every step is one write with compare-and-set, and these hold all the time:
//
//   - A node that is sealed is never changed any more.
//   - A node is no longer pointed to only after it was sealed.
//   - So a node that was pointed to once and is not sealed is part of the tree: whoever has found a way to it,
//     however old the nodes on that way, may change it, and what its entries say is true.
//
// docs/index.md has the whole of it.
type tree struct {
	mu     sync.Mutex
	nodes  map[string]*remembered
	buried map[string]bool // retired pages that are surely deleted
	denied bool            // this process may not delete pages
}

// remembered is a node as read or written at a time.
type remembered struct {
	state state
	node  *node
	at    time.Time
}

// maxIndexAge is how old a remembered leaf may be: for looking something up in it, where a miss is not
// believed without a read, and for writing from it, where compare-and-set refuses a stale one. An inner node
// may have any age: where it leads tells whether it still holds.
const maxIndexAge = time.Minute

// maxLeaves is how many leaves are remembered.
const maxLeaves = 64

func (r *remembered) recent() bool { return elapsed(r.at) < maxIndexAge }

// recall returns the node if it is remembered.
func (t *tree) recall(name string) (remembered, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, ok := t.nodes[name]
	if !ok {
		return remembered{}, false
	}
	return *r, true
}

// keep remembers a node and returns what is to be believed: a read that shows an older one than that
// remembered came from a service that lags behind.
func (t *tree) keep(name string, st state, n *node) remembered {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.nodes[name]
	switch {
	case r == nil:
		if t.nodes == nil {
			t.nodes = make(map[string]*remembered)
		}
		r = &remembered{state: st, node: n}
		t.nodes[name] = r
	case st.rec.WriteID == "" || !slices.Contains(r.state.rec.Earlier, st.rec.WriteID):
		r.state, r.node = st, n
	}
	r.at = time.Now()
	t.shed()
	return *r
}

// shed forgets the leaves that were not seen for the longest time, where there are many.
func (t *tree) shed() {
	if len(t.nodes) <= maxLeaves {
		return
	}
	leaves, oldest := 0, ""
	for name, r := range t.nodes {
		if r.node.inner() || name == indexName {
			continue
		}
		if leaves++; oldest == "" || r.at.Before(t.nodes[oldest].at) {
			oldest = name
		}
	}
	if leaves > maxLeaves {
		delete(t.nodes, oldest)
	}
}

func (t *tree) forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.nodes, name)
}

// A leaf is where the entries with some keys are, and the way there.
type leaf struct {
	place
	remembered
	above []place // the inner nodes from the root down to the leaf's parent
}

// errMoved says that a node is no longer what it was when it was remembered.
var errMoved = errors.New("the index has changed")

// How fresh the nodes on the way to a leaf have to be.
type freshness int

const (
	recent freshness = iota // the leaf may be remembered
	fresh                   // the leaf is read
	anew                    // all are read, from the root down
	sure                    // and the root in the way that misses nothing, at the cost of the driver's Probe
	newest                  // and all others as well
)

// leafFor returns the leaf for k.
//
// Steps read.1 to read.5.
func (s *Store) leafFor(ctx context.Context, k key, how freshness) (*leaf, error) {
	l, err := s.walk(ctx, k, how)
	missing := l.name
	for p := s.patience(""); errors.Is(err, errMoved); {
		// What was remembered of the way is old, or the index has changed while it was read, or the service
		// lags behind.
		pause := time.Duration(0)
		if how < anew {
			how = anew
		} else {
			how = min(max(how, anew)+1, newest)
			pause = p.take(ctx, ErrConflict)
		}
		switch {
		case pause == giveUp && missing != "":
			return nil, &missingPage{l.place, l.above, s.driver.FullName(missing), "this page of the index is not there; Repair makes it anew"}
		case pause == giveUp:
			return nil, fmt.Errorf("%w: the index keeps changing", oauthstore.ErrUnavailable)
		}
		if err := wait(ctx, pause); err != nil {
			return nil, err
		}
		if l, err = s.walk(ctx, k, how); l == nil || l.name != missing {
			missing = "" // and not the same page all the time
		}
	}
	return l, err
}

// A missingPage is one that the index leads to and that is not there, or the root where that was surely there:
// somebody has deleted it by hand.
type missingPage struct {
	at     place
	above  []place
	secret string
	reason string
}

// Error implements error.
func (m *missingPage) Error() string { return m.Unwrap().Error() }

// Unwrap makes it an oauthstore.CorruptRecordError.
func (m *missingPage) Unwrap() error {
	return &oauthstore.CorruptRecordError{Secret: m.secret, Reason: m.reason}
}

// maxDepth is how deep the tree may be: so many divisions leave nothing of a key to divide by.
const maxDepth = 200

// walk goes down from the root, once. With an error it returns how far it has come.
func (s *Store) walk(ctx context.Context, k key, how freshness) (*leaf, error) {
	l := &leaf{place: place{indexName, everywhere}}
	for {
		r, err := s.node(ctx, l.name, how)
		if err != nil {
			return l, err
		}
		l.remembered = r
		switch {
		case r.node.inner() && len(l.above) == maxDepth:
			return l, &oauthstore.CorruptRecordError{Secret: s.driver.FullName(l.name), Reason: "the pages of the index lead in a circle"}
		case r.node.inner():
			l.above = append(l.above, l.place)
			l.name, l.span = r.node.child(k, l.span)
		case l.name != indexName && !r.state.rec.Live(), r.node.sealed && how < anew:
			// A sealed one is what it says only to those who have come to it by way of what was read just now.
			return l, errMoved
		default:
			return l, nil
		}
	}
}

// node returns a node, from memory where that is fresh enough.
func (s *Store) node(ctx context.Context, name string, how freshness) (remembered, error) {
	r, ok := s.index.recall(name)
	if ok && how < anew && (r.node.inner() || how == recent && r.recent()) {
		return r, nil
	}
	st, err := s.read(ctx, name)
	// A miss was looked at twice already.
	if err == nil && st.rec.Live() && (how == newest || how == sure && name == indexName) {
		st, err = s.probe(ctx, name, st)
	}
	if err != nil {
		return remembered{}, err
	}
	return s.keepNode(ctx, name, st)
}

// keepNode remembers a node that was read, and returns the one to be believed.
func (s *Store) keepNode(ctx context.Context, name string, st state) (remembered, error) {
	n, err := s.decodeNode(ctx, name, st.rec)
	if err != nil {
		return remembered{}, err
	}
	return s.remember(name, st, n), nil
}

// remember is keepNode for a node that is decoded already.
func (s *Store) remember(name string, st state, n *node) remembered {
	if name != indexName && !st.rec.Live() {
		s.index.forget(name)
		return remembered{st, n, time.Now()}
	}
	return s.index.keep(name, st, n)
}

// recallLeaf returns the leaf for k, as far as the way to it is remembered, and reports whether it was seen
// lately.
func (t *tree) recallLeaf(k key) (*leaf, bool) {
	l := &leaf{place: place{indexName, everywhere}}
	for {
		r, ok := t.recall(l.name)
		if !ok {
			return l, false
		}
		if !r.node.inner() {
			l.remembered = r
			return l, r.recent() && !r.node.sealed
		}
		if len(l.above) == maxDepth {
			return l, false
		}
		l.above = append(l.above, l.place)
		l.name, l.span = r.node.child(k, l.span)
	}
}

// recallUser returns the entries of a user, if the leaves where they are were seen lately.
func (t *tree) recallUser(user string) ([]entry, bool) {
	entries, ok := t.recallIn(ofUser(user))
	return entriesOf(entries, user), ok
}

// recallAll returns all entries, if all leaves were seen lately.
func (t *tree) recallAll() ([]entry, bool) { return t.recallIn(everywhere) }

// recallIn returns the entries of the leaves where those in the span are, if these were seen lately.
func (t *tree) recallIn(in span) ([]entry, bool) {
	var entries []entry
	for k := in.from; ; {
		l, ok := t.recallLeaf(k)
		if !ok {
			return nil, false
		}
		entries = append(entries, l.node.entries...)
		if k = l.span.to; in.endsBy(k) {
			return entries, true
		}
	}
}

// single reports whether the root is known to hold all entries itself.
func (t *tree) single() bool {
	r, ok := t.recall(indexName)
	return ok && !r.node.inner()
}

func entriesOf(entries []entry, user string) []entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.User != user })
}

// userEntries reads the index's entries of a user.
func (s *Store) userEntries(ctx context.Context, user string) ([]entry, error) {
	var entries []entry
	err := s.scanSpan(ctx, ofUser(user), fresh, func(l *leaf) error {
		entries = append(entries, entriesOf(l.node.entries, user)...)
		return nil
	})
	return entries, err
}

// allEntries reads all of the index's entries.
func (s *Store) allEntries(ctx context.Context, how freshness) ([]entry, error) {
	var entries []entry
	err := s.scan(ctx, how, func(l *leaf) error {
		entries = append(entries, l.node.entries...)
		return nil
	})
	return entries, err
}

// scan calls yield for every leaf, in the order of their keys, and stops where that fails. It reads some ahead.
func (s *Store) scan(ctx context.Context, how freshness, yield func(*leaf) error) error {
	return s.scanFrom(ctx, "", how, yield)
}

// scanFrom is scan from the leaf on where k is.
func (s *Store) scanFrom(ctx context.Context, k key, how freshness, yield func(*leaf) error) error {
	if how < newest {
		how = fresh
	}
	root, err := s.node(ctx, indexName, max(how, anew)) // never from memory
	if err != nil {
		return err
	}
	if !root.node.inner() {
		return yield(&leaf{place: place{indexName, everywhere}, remembered: root})
	}
	for {
		l, err := s.leafFor(ctx, k, how)
		if err != nil {
			return err
		}
		if err := yield(l); err != nil {
			return err
		}
		k = l.span.to
		next := s.after(l)
		read := s.readNodes(ctx, next, how)
		for _, at := range next {
			r, ok := read[at.name]
			if ok && r.state.rec.Live() && !r.node.inner() && !r.node.sealed {
				err = yield(&leaf{place: at, remembered: r, above: l.above})
			} else {
				err = s.scanSpan(ctx, at.span, how, yield)
			}
			if err != nil {
				return err
			}
			k = at.span.to
		}
		if k == "" {
			return nil
		}
	}
}

// scanSpan calls yield for every leaf where keys in the span are, one after the other.
func (s *Store) scanSpan(ctx context.Context, in span, how freshness, yield func(*leaf) error) error {
	for k := in.from; ; {
		l, err := s.leafFor(ctx, k, how)
		if err != nil {
			return err
		}
		if err := yield(l); err != nil {
			return err
		}
		if k = l.span.to; in.endsBy(k) {
			return nil
		}
	}
}

// readAhead is how many leaves scan reads at a time.
const readAhead = 32

// after returns the places that follow l where its parent, as it is remembered, has them.
func (s *Store) after(l *leaf) []place {
	if len(l.above) == 0 {
		return nil
	}
	parent := l.above[len(l.above)-1]
	r, ok := s.index.recall(parent.name)
	if !ok || !r.node.inner() {
		return nil
	}
	all := r.node.children(parent.span)
	i := slices.Index(all, l.place)
	if i < 0 {
		return nil
	}
	rest := all[i+1:]
	return rest[:min(len(rest), readAhead)]
}

// readNodes reads the nodes at the places, as far as they can be read.
func (s *Store) readNodes(ctx context.Context, places []place, how freshness) map[string]remembered {
	read := make(map[string]remembered, len(places))
	var mu sync.Mutex
	keep := func(name string, r remembered) {
		mu.Lock()
		defer mu.Unlock()
		read[name] = r
	}
	if how == newest {
		_ = inParallel(ctx, s.driver.Limits().Parallel, places, func(ctx context.Context, p place) error {
			if r, err := s.node(ctx, p.name, how); err == nil {
				keep(p.name, r)
			}
			return nil
		})
		return read
	}
	names := make([]string, len(places))
	for i, p := range places {
		names[i] = p.name
	}
	_ = s.getAll(ctx, names, func(ctx context.Context, got reading) {
		if got.err != nil {
			return
		}
		if r, err := s.keepNode(ctx, got.name, state{got.rec, got.rev}); err == nil {
			keep(got.name, r)
		}
	})
	return read
}
