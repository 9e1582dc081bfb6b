package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/oauthstore/oauthstore"
)

// A claim writes an entry into the index, for an insert or for a record that changes its user name or
// client id, and sees to it that no other id has them.
type claim struct {
	lookup *lookup
	entry  entry
	named  bool // the caller gave the id: another record of the user is a conflict, not the answer
	vacant bool // there is no record under the id yet
	met    bool // the id is that of another insert under way, as the index has it
	begun  time.Time
	drop   []string // what the record has claimed and no longer does

	// The user's entries in other leaves, where there are so many that they are in several: as they were when
	// they were read, for only the entries of one user and client are always in one.
	apart   []entry
	sawThem bool

	siblings bool            // found: other records may have the same user name
	told     map[string]bool // nonces of their entries, once they know it, or are not there
}

// errUntold says that a record of the same user must be told first that it is not alone: a find by user
// name that meets it would not look for another.
type errUntold struct{ entry entry }

// Error implements error.
func (e errUntold) Error() string { return "a sibling has no mark" }

// errApart says that the user's entries are in several leaves, and all have to be seen.
var errApart = errors.New("the entries of the user are in several pages")

// enoughTold is how many siblings are told of another at most. One would do: of two entries of a user the later one was
// written when the record of the earlier one had been told, and its own record was made with the mark. But records that
// somebody has restored by hand may lack it.
const enoughTold = 4

// make writes the entry.
//
// Steps insert.2 to insert.4.
func (c *claim) make(ctx context.Context) error {
	s := c.lookup.store
	c.begun = time.Now()
	for {
		_, err := s.changeIndex(ctx, tidyInsert, c.entry.key(), func(entries []entry, within span) ([]entry, error) {
			return c.change(ctx, entries, within)
		})
		if errors.Is(err, errApart) {
			if c.apart, err = s.userEntries(ctx, c.entry.User); err != nil {
				return err
			}
			c.sawThem = true
			continue
		}
		var untold errUntold
		if !errors.As(err, &untold) {
			return err
		}
		there, err := c.tell(ctx, untold.entry.ID)
		switch {
		case errors.Is(err, errAgain):
			return c.lookup.readAgain(ctx) // the remembered index did not lead the lookup to the record
		case err != nil:
			return err
		case !there && untold.entry.age() < maxRename:
			if err := c.lookAgain(ctx, untold.entry); err != nil {
				return err
			}
			continue
		case c.told == nil:
			c.told = make(map[string]bool)
		}
		c.told[untold.entry.Nonce] = true
	}
}

// lookAgain reads the user's entries. It returns errAgain if e is still among them: its record is just being inserted, so it
// could not be marked. If e is gone, the remembered entry was from before its record was deleted.
func (c *claim) lookAgain(ctx context.Context, e entry) error {
	entries, err := c.lookup.store.userEntries(ctx, c.entry.User)
	switch {
	case err != nil:
		return err
	case slices.ContainsFunc(entries, func(other entry) bool { return other.Nonce == e.Nonce }):
		return errAgain
	case c.sawThem:
		c.apart = entries
	}
	return nil
}

// change adds the entry, replacing those that are no longer needed.
//
// Steps insert.3 and insert.4.
func (c *claim) change(ctx context.Context, entries []entry, within span) ([]entry, error) {
	if elapsed(c.lookup.begin) > maxInsert {
		return nil, errAgain // what was looked up may no longer be so
	}
	if c.lookup.whole && within != everywhere {
		return nil, errAgain // the entries are in several secrets by now
	}
	if c.met && !slices.ContainsFunc(entries, c.isTwin) {
		return nil, errAgain // the other insert came to nothing
	}
	all := entries
	if c.entry.User != "" && within.parts(c.entry.User) {
		if !c.sawThem {
			return nil, errApart
		}
		all = slices.Clone(entries)
		for _, e := range c.apart {
			if !within.contains(e.key()) {
				all = append(all, e)
			}
		}
	}
	for _, e := range all {
		if c.overlooked(e) {
			return nil, errAgain
		}
		if c.isSibling(e) && e.Client == c.entry.Client {
			if err := c.contest(ctx, e); err != nil {
				return nil, err
			}
		}
	}
	// Only now that nothing speaks against the claim is anything written.
	c.siblings = c.siblings || slices.ContainsFunc(all, c.isSibling)
	for _, e := range all {
		if c.isSibling(e) && !c.told[e.Nonce] && len(c.told) < enoughTold {
			return nil, errUntold{e}
		}
	}
	if err := c.sureOfVacancy(ctx, entries); err != nil {
		return nil, err
	}
	entries = slices.DeleteFunc(entries, func(e entry) bool {
		return e.Nonce == c.entry.Nonce || // from a try that came late
			e.ID == c.entry.ID && (claims(c.drop, e.Nonce) || c.dead(e))
	})
	return append(entries, c.entry), nil
}

// dead reports whether e is of an insert under the claim's id that came to nothing, if there is no record.
func (c *claim) dead(e entry) bool { return c.vacant && e.ID == c.entry.ID && !e.pending() }

// sureOfVacancy looks again whether there is no record, where entries are taken out for that: the read that has
// shown none may have lagged behind.
func (c *claim) sureOfVacancy(ctx context.Context, entries []entry) error {
	if !slices.ContainsFunc(entries, c.dead) {
		return nil
	}
	f, err := c.lookup.store.look(ctx, c.entry.ID)
	if err == nil && f.record != nil {
		err = errAgain
	}
	return err
}

// isTwin reports whether e is for the same record as the claim.
func (c *claim) isTwin(e entry) bool {
	return e.ID == c.entry.ID && e.User == c.entry.User && e.Client == c.entry.Client
}

// isSibling reports whether e is of another record of the same user.
func (c *claim) isSibling(e entry) bool {
	return c.entry.User != "" && e.User == c.entry.User && e.ID != c.entry.ID
}

// overlooked reports whether e may be of a record that was inserted since the lookup, and that the
// token points at.
func (c *claim) overlooked(e entry) bool {
	switch {
	case c.named || c.lookup.knows(e.ID):
		return false
	case c.entry.User != "":
		return c.lookup.mayBeUser(e)
	default: // tokens change: each new record may be it
		return oauthstore.RuleFor(c.lookup.token) != oauthstore.RuleNone
	}
}

// contest settles who of two ids has the user name and client id: the entry's, e, or the claim's.
func (c *claim) contest(ctx context.Context, e entry) error {
	other, err := c.lookup.store.loadNewest(ctx, e.ID) // not from the lookup's memory: the entry may be newer
	if err != nil {
		return err
	}
	holder := &oauthstore.OAuthToken{UserName: c.entry.User, ClientID: c.entry.Client}
	switch {
	case other.record != nil && oauthstore.SameUser(&other.record.Token, holder):
		if !c.named {
			return errAgain
		}
		return &oauthstore.ConflictError{ID: e.ID}
	case claims(other.state.rec.Claims, e.Nonce):
		return nil // it had them before
	case !e.pending():
		return nil // whoever wanted them died
	case e.Of != "" && e.Of != other.state.rec.Incarnation && e.age() >= maxRename:
		return nil // of a record that is not there any more
	case e.age() < maxRename || !c.named && c.vacant && other.record == nil:
		return errAgain // about to have them; an insert without id will expect the record there
	default:
		return &oauthstore.ConflictError{ID: e.ID}
	}
}

// tell tells the record under id that others may have its user name, and reports whether it is there. It is errAgain
// where the record is the one that the token points at: the read that has not shown it lagged behind.
func (c *claim) tell(ctx context.Context, id string) (there bool, err error) {
	f, err := c.lookup.store.loadNewest(ctx, id)
	if err != nil {
		return false, err
	}
	if c.vacant && !c.named && f.record != nil && oauthstore.Match(c.lookup.token, []*oauthstore.OAuthToken{&f.record.Token}) != nil {
		return false, errAgain
	}
	return c.lookup.store.flag(ctx, f)
}

// flag marks a record as one whose user name others may have, and reports whether it is there.
func (s *Store) flag(ctx context.Context, f *found) (there bool, err error) {
	after, _, err := s.commit(ctx, f.name, f.state, TidyAll, func(cur state, _ error) (*Record, error) {
		if !cur.rec.Live() || cur.rec.Siblings {
			return nil, nil
		}
		next := cur.rec
		next.Siblings = true
		return &next, nil
	})
	return after.rec.Live(), err
}

// A record's claims are the nonces of the entries that it stands behind, the newest first, each with the key of
// its entry where that is not the record's own: "nonce@key". So whoever deletes the record knows where its
// entries are.
const maxClaims = 4

// claims reports whether the nonce is among a record's claims.
func claims(all []string, nonce string) bool {
	return slices.ContainsFunc(all, func(c string) bool { return nonceOf(c) == nonce })
}

func nonceOf(claim string) string {
	nonce, _, _ := strings.Cut(claim, "@")
	return nonce
}

// placed returns the claims with the key k for those that have none.
func placed(all []string, k key) []string {
	with := make([]string, len(all))
	for i, c := range all {
		if with[i] = c; !strings.Contains(c, "@") {
			with[i] = c + "@" + string(k)
		}
	}
	return with
}

// keysOf returns the keys of those claims that have one, and reports whether all do.
func keysOf(all []string) (keys []key, complete bool) {
	complete = true
	for _, c := range all {
		_, k, ok := strings.Cut(c, "@")
		complete = complete && ok
		if ok && !slices.Contains(keys, key(k)) {
			keys = append(keys, key(k))
		}
	}
	return keys, complete
}
