package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// The index is the secret that lists what exists. What must hold, at every point at which a process
// may die: every token secret has an entry with its id, and every record's user name and client id
// stand in an entry with its id.
//
// So an insert, or a change of the user name or client id, writes the index first; a delete removes
// the secret first. An entry without a secret is harmless: readers skip it. An entry says which
// write it was made for by a nonce, which that write puts into the record's claims. A delete removes
// the entries whose nonces the deleted record carried, and leaves the others: each may belong to an
// insert that is between its two writes. An insert that takes longer than maxInsert there starts
// over, so that an entry older than grace whose nonce no record carries belongs to nobody.
const (
	maxInsert = 3 * time.Minute
	grace     = 15 * time.Minute // maxInsert, and room for clocks that disagree
	maxRename = 3 * time.Second  // how long a save by user name waits for another that is about to get it
)

// An entry is one line of the index. Digests are those of the tokens when the entry was made: hints,
// verified on the record. The names are short because the index has to fit in one secret.
type entry struct {
	ID      string `json:"id"`
	User    string `json:"u,omitempty"`
	Client  string `json:"c,omitempty"`
	Nonce   string `json:"n"`
	At      string `json:"t"` // seconds since 1970, in base 36
	Grant   string `json:"g,omitempty"`
	Refresh string `json:"r,omitempty"`
	Access  string `json:"a,omitempty"`

	rest map[string]json.RawMessage // fields of later versions, kept as they are
}

// known is an entry without what is not known of it.
type known entry

// UnmarshalJSON implements json.Unmarshaler.
func (e *entry) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, (*known)(e)); err != nil {
		return err
	}
	if err := json.Unmarshal(b, &e.rest); err != nil {
		return err
	}
	for _, name := range entryFields {
		delete(e.rest, name)
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (e entry) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(known(e))
	if err != nil || len(e.rest) == 0 {
		return b, err
	}
	all := maps.Clone(e.rest)
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	return json.Marshal(all)
}

var entryFields = []string{"id", "u", "c", "n", "t", "g", "r", "a"}

func newEntry(t *oauthstore.OAuthToken) entry {
	return entry{
		ID: t.ID, User: t.UserName, Client: t.ClientID,
		Nonce: newNonce(), At: timestamp(time.Now()),
		Grant: hint(t.GrantToken), Refresh: hint(t.RefreshToken), Access: hint(t.AccessToken),
	}
}

func timestamp(t time.Time) string { return strconv.FormatInt(t.Unix(), 36) }

// elapsed is how long ago t was, by the clock of the day too: a function that was frozen between two calls
// has a monotonic clock that stood still.
func elapsed(t time.Time) time.Duration {
	return max(time.Since(t), time.Now().Round(0).Sub(t.Round(0)))
}

// pending reports whether the write that e was made for may still come, if it has not.
func (e entry) pending() bool { return e.age() < grace }

// age is how long ago e was made, 0 where that cannot be read.
func (e entry) age() time.Duration {
	at, err := strconv.ParseInt(e.At, 36, 64)
	if err != nil {
		return 0
	}
	return time.Since(time.Unix(at, 0))
}

// ids returns the ids of the entries, each once.
func ids(entries []entry) []string {
	all := make([]string, len(entries))
	for i, e := range entries {
		all[i] = e.ID
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// indexCache is the index as last read or written.
type indexCache struct {
	mu      sync.Mutex
	state   state
	entries []entry
	at      time.Time
}

// maxIndexAge is how old the cached index may be: for looking something up in it, where a miss is
// not believed without a read, and for writing from it, where compare-and-set refuses a stale one.
const maxIndexAge = time.Minute

// cached returns the index if it was read or written lately.
func (c *indexCache) cached() (state, []entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.entries, !c.at.IsZero() && elapsed(c.at) < maxIndexAge
}

// keep remembers the index and returns what is to be believed: a read that shows an older index than
// the one remembered came from a service that lags behind.
func (c *indexCache) keep(st state, entries []entry) (state, []entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.rec.WriteID == "" || !slices.Contains(c.state.rec.Earlier, st.rec.WriteID) {
		c.state, c.entries = st, entries
	}
	c.at = time.Now()
	return c.state, c.entries
}

// entries returns the index's entries; unless fresh is asked for, those cached will do. The slice is
// shared: not to be changed.
func (s *Store) entries(ctx context.Context, fresh bool) ([]entry, error) {
	_, entries, err := s.readIndex(ctx, fresh)
	return entries, err
}

func (s *Store) readIndex(ctx context.Context, fresh bool) (state, []entry, error) {
	if st, entries, ok := s.index.cached(); ok && !fresh {
		return st, entries, nil
	}
	st, err := s.read(ctx, indexName)
	if err != nil {
		return state{}, nil, err
	}
	return s.keepIndex(st)
}

// keepIndex remembers an index that was read, and returns the one to be believed.
func (s *Store) keepIndex(st state) (state, []entry, error) {
	entries, _, err := s.decodeIndex(st.rec)
	if err != nil {
		return state{}, nil, err
	}
	st, entries = s.index.keep(st, entries)
	return st, entries, nil
}

// newestEntries is entries for those who must not miss one, at the cost of the driver's Probe.
func (s *Store) newestEntries(ctx context.Context) ([]entry, error) {
	st, err := s.get(ctx, indexName, None)
	if err != nil {
		return nil, err
	}
	if st, err = s.probe(ctx, indexName, st); err != nil {
		return nil, err
	}
	_, entries, err := s.keepIndex(st)
	return entries, err
}

var errUnchanged = errors.New("the index stays as it is")

// The fields of the index's document. An index with pages keeps its entries in other secrets and
// names them in a field of its own, which this version refuses.
const (
	entriesField = "entries"
	pagesField   = "pages"
)

// decodeIndex returns the entries and, as they are, the fields beside them that this version does not know.
func (s *Store) decodeIndex(r Record) ([]entry, codec.Document, error) {
	if !r.Live() {
		return nil, nil, nil
	}
	secret := s.driver.FullName(indexName)
	d := r.Document
	if sealer, ok := s.codec.(codec.Sealer); ok {
		var err error
		if d, err = sealer.Open(secret, d); err != nil {
			return nil, nil, err
		}
	}
	corrupt := func(reason string) ([]entry, codec.Document, error) {
		return nil, nil, &oauthstore.CorruptRecordError{Secret: secret, Reason: reason}
	}
	if err := codec.CheckFormat(d); err != nil {
		return corrupt(err.Error())
	}
	if _, ok := d[pagesField]; ok {
		return corrupt("the index has pages: a newer version of the library wrote it")
	}
	var entries []entry
	if err := json.Unmarshal(d[entriesField], &entries); err != nil {
		return corrupt("not a list of entries")
	}
	if slices.ContainsFunc(entries, func(e entry) bool { return e.ID == "" }) {
		return corrupt("an entry without id")
	}
	rest := maps.Clone(d)
	delete(rest, entriesField)
	return entries, rest, nil
}

func (s *Store) encodeIndex(cur Record, entries []entry, rest codec.Document) (*Record, error) {
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.At, b.At)) })
	list, err := json.Marshal(append([]entry{}, entries...)) // [], not null, where empty
	if err != nil {
		return nil, err
	}
	d := make(codec.Document, len(rest)+2)
	maps.Copy(d, rest)
	d[entriesField] = list
	codec.SetFormat(d)
	if sealer, ok := s.codec.(codec.Sealer); ok {
		if d, err = sealer.Seal(s.driver.FullName(indexName), d); err != nil {
			return nil, err
		}
	}
	next := &Record{Incarnation: cmp.Or(cur.Incarnation, newNonce()), Document: d}
	return next, s.checkSize(indexName, *next)
}
