package engine

import (
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/oauthstore/oauthstore"
)

// The index lists what exists. What must hold, at every point at which a process may die: every token
// secret has an entry with its id, and every record's user name and client id stand in an entry with its
// id. Where the entries are is the business of [tree].
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

	// Of is the incarnation of the record that is to change its user name or client id; empty for an insert.
	// Once that is deleted the entry is nobody's.
	Of string `json:"i,omitempty"`

	rest map[string]json.RawMessage // fields of later versions, kept as they are
}

// known is an entry without what is not known of it.
type known entry

// UnmarshalJSON implements json.Unmarshaler.
func (e *entry) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &e.rest); err != nil {
		return err
	}
	for name, value := range e.fields() {
		if raw, ok := e.rest[name]; ok {
			if err := json.Unmarshal(raw, value); err != nil {
				return err
			}
			delete(e.rest, name)
		}
	}
	return nil
}

// fields yields the known fields with their names in the document.
func (e *entry) fields() iter.Seq2[string, *string] {
	return func(yield func(string, *string) bool) {
		_ = yield("id", &e.ID) && yield("u", &e.User) && yield("c", &e.Client) && yield("n", &e.Nonce) && yield("t", &e.At) &&
			yield("g", &e.Grant) && yield("r", &e.Refresh) && yield("a", &e.Access) && yield("i", &e.Of)
	}
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

func newEntry(t *oauthstore.OAuthToken) entry {
	return entry{
		ID: t.ID, User: t.UserName, Client: t.ClientID,
		Nonce: newNonce(), At: timestamp(time.Now()),
		Grant: hint(t.GrantToken), Refresh: hint(t.RefreshToken), Access: hint(t.AccessToken),
	}
}

func timestamp(t time.Time) string { return strconv.FormatInt(t.Unix(), 36) }

// parseTimestamp returns the zero time for what is no timestamp.
func parseTimestamp(s string) time.Time {
	seconds, err := strconv.ParseInt(s, 36, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// elapsed is how long ago t was, by the clock of the day too: a function that was frozen between two calls
// has a monotonic clock that stood still.
func elapsed(t time.Time) time.Duration {
	return max(time.Since(t), time.Now().Round(0).Sub(t.Round(0)))
}

// pending reports whether the write that e was made for may still come, if it has not.
func (e entry) pending() bool { return e.age() < grace }

// age is how long ago e was made, 0 where that cannot be read.
func (e entry) age() time.Duration { return age(e.At) }

func age(timestamp string) time.Duration {
	at := parseTimestamp(timestamp)
	if at.IsZero() {
		return 0
	}
	return time.Since(at)
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
