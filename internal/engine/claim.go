package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/oauthstore/oauthstore"
)

// A claim writes an entry into the index, for an insert or for a record that changes its user name or
// client id, and sees to it that no other id has them.
type claim struct {
	lookup *lookup
	entry  entry
	named  bool     // the caller gave the id: another record of the user is a conflict, not the answer
	vacant bool     // there is no record under the id yet
	drop   []string // nonces of entries that the record has stood behind and no longer does

	siblings bool // found: other records may have the same user name
	flagged  bool // the record under the derived id knows that it has siblings
}

// errUnflagged says that the record under the derived id must be told first that it is not alone.
var errUnflagged = errors.New("a sibling has no mark")

// make writes the entry.
func (c *claim) make(ctx context.Context) error {
	s := c.lookup.store
	err := s.changeIndex(ctx, tidyInsert, func(entries []entry) ([]entry, error) { return c.change(ctx, entries) })
	if !errors.Is(err, errUnflagged) {
		return err
	}
	if err := s.flag(ctx, oauthstore.DerivedID(c.entry.User, "")); err != nil {
		return err
	}
	c.flagged = true
	return s.changeIndex(ctx, tidyInsert, func(entries []entry) ([]entry, error) { return c.change(ctx, entries) })
}

// change adds the entry, replacing those that are no longer needed.
func (c *claim) change(ctx context.Context, entries []entry) ([]entry, error) {
	c.siblings = false
	if c.entry.User == "" {
		if err := c.overlooked(entries); err != nil {
			return nil, err
		}
	}
	for _, e := range entries {
		if c.entry.User == "" || e.User != c.entry.User || e.ID == c.entry.ID {
			continue
		}
		if err := c.meet(ctx, e); err != nil {
			return nil, err
		}
	}
	entries = slices.DeleteFunc(entries, func(e entry) bool {
		return e.ID == c.entry.ID && (slices.Contains(c.drop, e.Nonce) || c.vacant && !e.pending())
	})
	return append(entries, c.entry), nil
}

// overlooked asks for another lookup if a record may have been inserted since that the token, one
// without user name and id, points at.
func (c *claim) overlooked(entries []entry) error {
	if c.named || oauthstore.RuleFor(c.lookup.token) == oauthstore.RuleNone {
		return nil
	}
	for _, e := range entries {
		if c.lookup.mayHaveToken(e) && !c.lookup.knows(e.ID) {
			return errAgain
		}
	}
	return nil
}

// meet looks at the entry e of another id for the same user.
func (c *claim) meet(ctx context.Context, e entry) error {
	if !c.named && c.lookup.mayBeUser(e) && !c.lookup.knows(e.ID) {
		return errAgain // inserted since the lookup: it may be the record to update
	}
	c.siblings = true
	if e.ID == oauthstore.DerivedID(c.entry.User, "") && !c.flagged {
		return errUnflagged
	}
	if e.Client != c.entry.Client {
		return nil
	}
	// Not from the lookup's memory: the entry may be newer.
	other, err := c.lookup.store.load(ctx, e.ID)
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
	case slices.Contains(other.state.rec.Claims, e.Nonce):
		return nil // it had them before
	case e.pending() && !c.named:
		return errAgain // about to have them: the next lookup expects the record there
	case e.pending():
		return &oauthstore.ConflictError{ID: e.ID}
	default:
		return nil // whoever wanted them died
	}
}

// flag tells the record under id that others may have its user name.
func (s *Store) flag(ctx context.Context, id string) error {
	f, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	_, err = s.commit(ctx, f.name, f.state, TidyAll, func(cur state, _ error) (*Record, error) {
		if !cur.rec.Live() || cur.rec.Siblings {
			return nil, nil
		}
		next := cur.rec
		next.Siblings = true
		return &next, nil
	})
	return err
}
