package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// A node is one secret of the index: the root, whose name is fixed, or a page. A leaf holds entries, an inner
// node names the pages among which its part of the index is divided.
type node struct {
	entries []entry   // of a leaf
	pages   []pointer // of an inner node, in the order of their keys; the first is where the node's span begins

	// sealed is for ever: nobody changes the node any more, but whoever changes its parent may take its place.
	sealed bool

	// retired are pages that were taken out below this node, and are perhaps not deleted yet.
	retired []string

	writes    history // to this secret, as its header says
	inherited history // a page's share of what was written to those whose place it took
	made      string  // of a page: when, as in an entry

	rest codec.Document // fields of later versions, kept as they are
}

// A pointer names the page for the keys from one on.
type pointer struct {
	From key    `json:"f"`
	Name string `json:"p"`
}

func (n *node) inner() bool { return n.pages != nil }

// load is how often what is in the node now was written lately, in this secret or in others before.
func (n *node) load(q quota, now time.Time) int {
	return n.writes.plus(n.inherited).count(q, now)
}

// child returns the page for k, which is in within, and the page's span.
func (n *node) child(k key, within span) (string, span) {
	i, _ := slices.BinarySearchFunc(n.pages, k, func(p pointer, k key) int {
		if p.From <= k {
			return -1
		}
		return 1
	})
	i = max(i, 1)
	s := span{from: n.pages[i-1].From}
	if i < len(n.pages) {
		s.to = n.pages[i].From
	}
	return n.pages[i-1].Name, s.clip(within)
}

// children returns the pages and their spans.
func (n *node) children(within span) []place {
	all := make([]place, len(n.pages))
	for i, p := range n.pages {
		all[i] = place{p.Name, within}
		if i > 0 {
			all[i].span.from = p.From
		}
		if i+1 < len(n.pages) {
			all[i].span.to = n.pages[i+1].From
		}
	}
	return all
}

// A place is a page's name and its span.
type place struct {
	name string
	span span
}

// replace returns the pointers with those of by in place of those to the names; by begins where they begin.
func replace(pages []pointer, names []string, by []pointer) []pointer {
	i := slices.IndexFunc(pages, func(p pointer) bool { return p.Name == names[0] })
	if i < 0 || i+len(names) > len(pages) {
		return nil
	}
	for j, name := range names {
		if pages[i+j].Name != name {
			return nil
		}
	}
	by = slices.Clone(by)
	by[0].From = pages[i].From
	return slices.Concat(pages[:i], by, pages[i+len(names):])
}

// The fields of a node's document.
const (
	entriesField   = "entries"
	pagesField     = "pages"
	sealedField    = "sealed"
	retiredField   = "retired"
	inheritedField = "inherited_writes"
	madeField      = "made"
)

// decodeNode returns what the secret holds; one that is not there is a leaf without entries.
func (s *Store) decodeNode(ctx context.Context, name string, r Record) (*node, error) {
	if r.SoftDeleted && name == indexName {
		return nil, &missingPage{at: place{indexName, everywhere}, secret: s.driver.FullName(indexName),
			reason: "the index was deleted by other means: undelete it, or Repair makes it anew"}
	}
	if !r.Live() {
		return &node{}, nil
	}
	secret := s.driver.FullName(name)
	d, _, err := s.openDocument(ctx, name, r.Document)
	if err != nil {
		return nil, err
	}
	n, reason := parseNode(d)
	if reason != "" {
		return nil, &oauthstore.CorruptRecordError{Secret: secret, Reason: reason}
	}
	n.writes = r.Writes
	return n, nil
}

// parseNode says what is wrong where d is no node.
func parseNode(d codec.Document) (n *node, wrong string) {
	if err := codec.CheckFormat(d); err != nil {
		return nil, err.Error()
	}
	n = &node{rest: maps.Clone(d)}
	var texts [4]string
	for i, name := range []string{sealedField, retiredField, inheritedField, madeField} {
		var err error
		if texts[i], err = d.Get(name); err != nil {
			return nil, err.Error()
		}
		delete(n.rest, name)
	}
	delete(n.rest, entriesField)
	delete(n.rest, pagesField)
	n.sealed, n.retired, n.inherited, n.made = texts[0] != "", strings.Fields(texts[1]), parseHistory(texts[2]), texts[3]
	if raw, ok := d[pagesField]; ok {
		if d[entriesField] != nil {
			return nil, "both entries and pages"
		}
		if err := json.Unmarshal(raw, &n.pages); err != nil || !ordered(n.pages) {
			return nil, "not a list of pages"
		}
		return n, ""
	}
	if err := json.Unmarshal(d[entriesField], &n.entries); err != nil {
		return nil, "not a list of entries"
	}
	if slices.ContainsFunc(n.entries, func(e entry) bool { return e.ID == "" }) {
		return nil, "an entry without id"
	}
	return n, ""
}

// ordered reports whether the pages are what an inner node can have.
func ordered(pages []pointer) bool {
	for i, p := range pages {
		if !strings.HasPrefix(p.Name, pagePrefix) || i > 0 && p.From <= pages[i-1].From {
			return false
		}
	}
	return len(pages) > 0
}

// encodeNode returns the record that makes n what the secret holds, in place of cur.
func (s *Store) encodeNode(ctx context.Context, name string, cur Record, n *node) (*Record, error) {
	q, now := s.quota(), time.Now()
	d := make(codec.Document, len(n.rest)+7)
	maps.Copy(d, n.rest)
	list, field := any(n.pages), pagesField
	if !n.inner() {
		list, field = sorted(n.entries), entriesField // [], not null, where empty
	}
	var err error
	if d[field], err = json.Marshal(list); err != nil {
		return nil, err
	}
	set := func(name, value string) {
		if value != "" {
			d.Set(name, value)
		}
	}
	set(sealedField, mark(n.sealed))
	set(retiredField, strings.Join(n.retired, " "))
	set(inheritedField, n.inherited.recent(q, now).String())
	set(madeField, n.made)
	codec.SetFormat(d)
	if d, err = s.sealDocument(ctx, name, d); err != nil {
		return nil, err
	}
	return &Record{Incarnation: cmp.Or(cur.Incarnation, newNonce()), Document: d}, nil
}

func sorted(entries []entry) []entry {
	entries = append([]entry{}, entries...)
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.At, b.At), cmp.Compare(a.Nonce, b.Nonce))
	})
	return entries
}

// How large a page may be: what fits in one secret of every service. A larger one costs more at every insert.
const (
	maxPage   = 1 << 16
	pageRoom  = 1024 // kept free for the header
	crowded   = 75   // percent of the room, from which on a page is divided by whoever made it so full
	halfEmpty = 50   // percent of the room that pages are filled to when they are made
	nearEmpty = 12   // percent of the room, below which a page may be joined with others
)

// room is how many bytes a page's document may have.
func (s *Store) room() int {
	l := s.driver.Limits()
	return cmp.Or(l.Page, min(l.Value, maxPage)-pageRoom)
}

// size is how many bytes a node's document has.
func size(r *Record) int {
	b, err := MarshalBytes(Record{Document: r.Document})
	if err != nil {
		return 0
	}
	return len(b)
}
