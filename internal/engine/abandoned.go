package engine

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A leftover is an entry of the index that a failed call has left, or may have.
type leftover struct {
	claim string // its nonce and key
	fate  fate
	since time.Time
}

// A fate says what may still become of a leftover.
type fate int

const (
	// open: a write of the record that would own the entry may be under way. Until it has come to its end the entry must
	// stay. Once this process has made another write of the same secret the outcome is final: no write that is based on
	// an older revision takes effect any more.
	open fate = iota

	// unused: no such write was made.
	unused

	// deleted: the record that owned the entry may be deleted. If it is not, it says itself that it owns the entry.
	deleted
)

// abandoned remembers leftovers by the ids of their records, to remove those that no record owns: such an entry refuses its
// user name and client id to other ids until it is old.
type abandoned struct {
	mu   sync.Mutex
	byID map[string][]leftover
}

// maxAbandoned is of how many ids leftovers are remembered, and maxLeftovers how many of each.
const (
	maxAbandoned = 1 << 10
	maxLeftovers = 1 << 6
)

// add remembers claims, with their keys, of records under the id.
func (a *abandoned) add(id string, f fate, claims ...string) {
	if len(claims) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byID == nil {
		a.byID = make(map[string][]leftover)
	}
	if _, ok := a.byID[id]; !ok && len(a.byID) >= maxAbandoned {
		for other := range a.byID { // any will do
			delete(a.byID, other)
			break
		}
	}
	all := a.byID[id]
	for _, c := range claims {
		all = slices.DeleteFunc(all, func(l leftover) bool { return nonceOf(l.claim) == nonceOf(c) })
		all = append(all, leftover{c, f, time.Now()})
	}
	a.byID[id] = all[max(0, len(all)-maxLeftovers):]
}

// addEntry is add for an entry.
func (a *abandoned) addEntry(f fate, e entry) { a.add(e.ID, f, claimOf(e)) }

// claimOf returns the entry's nonce and key as a claim.
func claimOf(e entry) string { return placed([]string{e.Nonce}, e.key())[0] }

// take returns the leftovers of the id that fit, and forgets them. Old ones are forgotten: their entries block no save.
func (a *abandoned) take(id string, fits func(leftover) bool) (taken []leftover) {
	a.mu.Lock()
	defer a.mu.Unlock()
	rest := slices.DeleteFunc(a.byID[id], func(l leftover) bool {
		isOld := elapsed(l.since) >= grace
		if !isOld && fits(l) {
			taken = append(taken, l)
			return true
		}
		return isOld
	})
	if len(rest) == 0 {
		delete(a.byID, id)
	} else {
		a.byID[id] = rest
	}
	return taken
}

func claimsOfAll(all []leftover) []string {
	cs := make([]string, len(all))
	for i, l := range all {
		cs[i] = l.claim
	}
	return cs
}

// abandonClaim remembers the entry of a claim that has failed, if it may have been written all the same. No write of the
// secret was made for it.
func (s *Store) abandonClaim(c *claim, failure error) {
	if isUnsettled(failure) || isContext(failure) {
		s.abandoned.addEntry(unused, c.entry)
	}
}

// releaseAbandoned removes the leftovers of the id, whose secret this process has just written, but for those with the nonces
// that the record carries.
func (s *Store) releaseAbandoned(ctx context.Context, id string, but []string) {
	s.withdraw(ctx, id, claimsOfAll(s.abandoned.take(id, func(leftover) bool { return true })), but)
}

// withdraw removes the entries of claims that were made for a record under the id, but for those with certain nonces: no
// record owns them, and no write that would is under way. If it cannot, the next write tries again.
func (s *Store) withdraw(ctx context.Context, id string, all, but []string) {
	all = slices.DeleteFunc(slices.Clone(all), func(c string) bool { return claims(but, nonceOf(c)) })
	if len(all) == 0 {
		return
	}
	if err := s.forget(ctx, tidyDelete, []gone{{id: id, claims: all}}); err != nil {
		s.abandoned.add(id, unused, all...)
	}
}
