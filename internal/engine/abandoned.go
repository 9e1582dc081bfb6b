package engine

import (
	"context"
	"sync"
)

// abandoned remembers entries of writes that failed, and of which it was not known whether they were stored: of inserts,
// and of changes of a user name or client id. It also remembers entries of which it is not known whether they are in the
// index. Such an entry has to stay, and keeps its user name and client id from other
// ids. Once this process has made another write of the same secret, the outcome is final: no write that is based on an older
// revision takes effect any more. Then the entries that the record does not own are removed.
type abandoned struct {
	mu     sync.Mutex
	byName map[string][]entry
}

// maxAbandoned is how many secrets are remembered. A forgotten entry refuses other ids until it is old.
const maxAbandoned = 1 << 10

// add remembers entries that were made for a write of the secret.
func (a *abandoned) add(name string, entries ...entry) {
	if len(entries) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byName == nil {
		a.byName = make(map[string][]entry)
	}
	if _, ok := a.byName[name]; !ok && len(a.byName) >= maxAbandoned {
		for other := range a.byName { // any will do
			delete(a.byName, other)
			break
		}
	}
	a.byName[name] = append(a.byName[name], entries...)
}

// take returns the entries and forgets them.
func (a *abandoned) take(name string) []entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	entries := a.byName[name]
	delete(a.byName, name)
	return entries
}

// abandonClaim remembers the entry of a claim that has failed, unless it surely was not written. No write of the secret was
// made for it.
func (s *Store) abandonClaim(name string, c *claim, failure error) {
	if !isRefusal(failure) && !notWritten(failure) {
		s.abandoned.add(name, c.entry)
	}
}

// releaseAbandoned removes the entries of failed writes of the secret, which this process has just written, but for those
// with the nonces that the record carries.
func (s *Store) releaseAbandoned(ctx context.Context, name string, but []string) {
	for _, e := range s.abandoned.take(name) {
		if !claims(but, e.Nonce) {
			s.withdraw(ctx, name, e)
		}
	}
}

// withdraw removes an entry that was made for a write of the secret, and that no record owns. If it cannot, the next write
// tries again.
func (s *Store) withdraw(ctx context.Context, name string, e entry) {
	if err := s.release(ctx, e); err != nil {
		s.abandoned.add(name, e)
	}
}

// unforgotten remembers the claims of deleted records whose entries could not be removed. The next delete of the id
// removes them: no write with such a nonce is under way.
type unforgotten struct {
	mu   sync.Mutex
	byID map[string][]string
}

func (u *unforgotten) add(deleted ...gone) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.byID == nil {
		u.byID = make(map[string][]string)
	}
	for _, g := range deleted {
		if len(g.claims) == 0 || u.byID[g.id] == nil && len(u.byID) >= maxAbandoned {
			continue
		}
		u.byID[g.id] = append(u.byID[g.id], g.claims...)
	}
}

// take returns the claims and forgets them.
func (u *unforgotten) take(id string) []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := u.byID[id]
	delete(u.byID, id)
	return all
}
