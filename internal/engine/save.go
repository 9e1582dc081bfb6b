package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oauthstore/oauthstore"
)

// errAgain says that the store changed under a save, so that the token may point at another record,
// or at none.
var errAgain = errors.New("the record changed")

// SaveToken implements oauthstore.TokenStore.
func (s *Store) SaveToken(ctx context.Context, token *oauthstore.OAuthToken) (err error) {
	ctx, end := s.bound(ctx)
	defer end(&err)
	if err := cmp.Or(ctx.Err(), s.CheckToken(token)); err != nil {
		return err
	}
	return s.save(ctx, token, saveMode{insert: true})
}

// UpdateToken implements oauthstore.TokenUpdater.
func (s *Store) UpdateToken(ctx context.Context, token *oauthstore.OAuthToken) (err error) {
	ctx, end := s.bound(ctx)
	defer end(&err)
	if err := cmp.Or(ctx.Err(), oauthstore.CheckFindable(token)); err != nil {
		return err
	}
	if err := s.CheckToken(token); err != nil {
		return err
	}
	return s.save(ctx, token, saveMode{})
}

// CheckToken implements oauthstore.TokenChecker.
func (s *Store) CheckToken(token *oauthstore.OAuthToken) error {
	if err := oauthstore.CheckSavable(token); err != nil {
		return err
	}
	if token.ID != "" {
		if _, err := s.tokenName(token.ID); err != nil {
			return asInvalid(err)
		}
	}
	names := &oauthstore.OAuthToken{UserName: token.UserName, ClientID: token.ClientID} // these are in the index too
	return cmp.Or(oauthstore.CheckSize(token, s.driver.Limits().Value-headerRoom), oauthstore.CheckSize(names, s.room()))
}

// A failedInsert is the failure of an insert whose write may have been stored, and deleted since. It is an errAgain.
type failedInsert struct{ failure error }

// Error implements error.
func (f failedInsert) Error() string { return f.failure.Error() }

// Unwrap returns the failure of the write.
func (f failedInsert) Unwrap() error { return f.failure }

// Is makes it an errAgain.
func (f failedInsert) Is(target error) bool { return target == errAgain }

// A saveMode says what a save may do.
type saveMode struct {
	insert bool
	lease  *oauthstore.Lease // under which it is made; nil for none
	tries  *insertTries
}

// insertTries are the records of one save's attempts to insert its token. Each has an incarnation of its own, the nonce of
// its entry.
type insertTries struct{ records []*oauthstore.Record }

// stored returns the attempt that made the record or tombstone, or nil, and whether it is the last attempt.
func (t *insertTries) stored(r Record) (attempt *oauthstore.Record, last bool) {
	i := slices.IndexFunc(t.records, func(a *oauthstore.Record) bool { return a.Incarnation == r.Incarnation })
	if i < 0 {
		return nil, false
	}
	return t.records[i], i == len(t.records)-1
}

// made reports whether the nonce is that of an attempt.
func (t *insertTries) made(nonce string) bool {
	return slices.ContainsFunc(t.records, func(a *oauthstore.Record) bool { return a.Incarnation == nonce })
}

// maxInserts is how many attempts a save makes to insert its token if the service fails. Each attempt begins with an entry
// of its own, and the service's client may not have tried again.
const maxInserts = 4

// save starts over as long as others keep changing what the token points at, and a few times where the service
// fails.
func (s *Store) save(ctx context.Context, token *oauthstore.OAuthToken, how saveMode) error {
	how.tries = new(insertTries)
	p := s.patience("")
	p.fails = maxInserts - 1
	for {
		stored, err := s.saveOnce(ctx, token, how)
		if err == nil {
			*token = *stored
			return nil
		}
		if !errors.Is(err, errAgain) {
			return err
		}
		var failed failedInsert
		if !errors.As(err, &failed) {
			failed.failure = ErrConflict
		}
		pause := p.take(ctx, failed.failure)
		switch {
		case pause == giveUp && errors.Is(failed.failure, ErrConflict):
			return fmt.Errorf("%w: gave up: other writers kept changing what the token points at", oauthstore.ErrUnavailable)
		case pause == giveUp:
			return failed.failure
		}
		if err := waitAfter(ctx, failed.failure, pause); err != nil {
			return err
		}
	}
}

// saveOnce returns the token as it is now stored.
func (s *Store) saveOnce(ctx context.Context, token *oauthstore.OAuthToken, how saveMode) (*oauthstore.OAuthToken, error) {
	// A save that cannot insert does not find out that the cached index is old.
	_, invalid := oauthstore.NewRecord(token)
	l := s.newLookup(token, how.insert && invalid == nil)
	l.saving = true
	if how.insert && oauthstore.RuleFor(token) == oauthstore.RuleNone {
		l.token.ID = oauthstore.DerivedTokenID(token)
	}
	if how.lease != nil {
		l.knowLeased(how.lease)
	}
	f, err := l.resolve(ctx)
	if r := s.inserted(ctx, l, how.tries); r != nil {
		return r.Found(nil), nil
	}
	switch {
	case err != nil:
		return nil, asInvalid(err)
	case f != nil:
		return s.update(ctx, l, f, how)
	case how.insert:
		return s.insert(ctx, l, how.tries)
	default:
		return nil, oauthstore.ErrTokenNotFound
	}
}

// inserted returns the record of this save's own attempt, if the lookup has met it: its write seemed to fail, and has taken
// effect. The token is not to be merged again with what others have made of that record since.
func (s *Store) inserted(ctx context.Context, l *lookup, tries *insertTries) *oauthstore.Record {
	for _, f := range l.loaded {
		r, last := tries.stored(f.state.rec)
		if last { // else the read may be older than a later attempt
			earlier := s.abandoned.take(f.id, func(l leftover) bool { return l.fate == open && tries.made(nonceOf(l.claim)) })
			s.withdraw(ctx, f.id, claimsOfAll(earlier), []string{r.Incarnation})
		}
		if r != nil {
			return r
		}
	}
	return nil
}

// asInvalid makes of the error for an id that cannot be one that is only about the argument: for a
// save it is no answer that nothing is found there.
func asInvalid(err error) error {
	var invalid *oauthstore.InvalidTokenError
	if errors.As(err, &invalid) {
		return invalid
	}
	return err
}

// update merges the token into the record f.
func (s *Store) update(ctx context.Context, l *lookup, f *found, how saveMode) (*oauthstore.OAuthToken, error) {
	unlock, waited, err := s.locks.lock(ctx, f.name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if waited {
		if f, err = s.load(ctx, f.id); err != nil {
			return nil, err
		}
	}
	u := updating{store: s, lookup: l, id: f.id, name: f.name, saveMode: how}
	after, try, err := s.commit(ctx, f.name, f.state, TidyAll, func(cur state, failure error) (*Record, error) {
		if !notWritten(failure) {
			u.spent = len(u.claims)
		}
		return u.change(ctx, cur)
	})
	switch {
	case isUnsettled(err):
		s.abandoned.add(f.id, open, u.made()...)
		return nil, err
	case err != nil:
		s.withdraw(ctx, f.id, u.made(), after.rec.Claims)
		return nil, err
	case try < 0:
		s.withdraw(ctx, f.id, u.made(), after.rec.Claims)
		return u.answer, nil
	default:
		stands := append([]string{u.tries[try].claim}, after.rec.Claims...)
		s.withdraw(ctx, f.id, u.made(), stands)
		u.drop(ctx, u.tries[try].claim)
		s.releaseAbandoned(ctx, f.id, stands)
		return u.tries[try].merged.Found(nil), nil
	}
}

// updating is one update, over its attempts.
type updating struct {
	store    *Store
	lookup   *lookup
	id, name string
	saveMode // who would insert too also changes a record that has taken another's place

	answer *oauthstore.OAuthToken // where there is nothing to write
	tries  []updateTry
	claims []*claim // made for the user names and client ids that the tries give the record
	spent  int      // how many of them a write that may have been stored has used: others may have removed their entries since
}

// updateTry is what was to be written once, and the nonce of the claim that it stands behind, if any.
type updateTry struct {
	merged *oauthstore.Record
	claim  string
}

// change merges the token into what the record now is.
//
// Steps update.1 and update.3.
func (u *updating) change(ctx context.Context, cur state) (*Record, error) {
	f, err := u.store.decode(ctx, u.id, u.name, cur)
	if err != nil {
		return nil, err
	}
	token, next := u.lookup.token, cur.rec
	if l := u.lease; l != nil {
		if err := l.Check(f.record, cur.rec.Lease.holder, token); err != nil {
			return nil, err
		}
		if next.Lease.holder == l.Holder {
			next.Lease = lease{} // given back
		}
	}
	switch {
	case f.record == nil, oauthstore.RuleFor(token) != oauthstore.RuleID &&
		oauthstore.MatchSaved(token, []*oauthstore.Record{f.record}) == nil:
		return nil, errAgain // deleted, or no longer what the token points at
	case !u.insert && f.record.Replaced(token):
		return nil, oauthstore.ErrTokenNotFound
	}
	merged, changed := f.record.Merge(token)
	if changed && next.Lease.refused != "" {
		next.Lease = lease{}
	}
	if !changed && next.Lease == cur.rec.Lease && !f.stale {
		u.answer = merged.Found(nil)
		return nil, nil
	}
	if u.lease == nil && renews(&f.record.Token, &merged.Token) {
		switch skip, err := u.store.spares(f); {
		case err != nil:
			return nil, err
		case skip:
			u.answer = f.record.Found(&merged.Token) // what was not stored counts as set in the next save
			return nil, nil
		}
	}
	nonce, err := u.rename(ctx, f, &merged.Token, &next)
	if err != nil {
		return nil, err
	}
	u.tries = append(u.tries, updateTry{merged, nonce})
	return u.store.encode(ctx, u.name, merged, &next)
}

// rename sees to the index where the update changes the user name or the client id, and returns the nonce
// of the entry.
//
// Steps rename.1 to rename.3.
func (u *updating) rename(ctx context.Context, f *found, is *oauthstore.OAuthToken, next *Record) (nonce string, err error) {
	was := &f.record.Token
	if was.UserName == is.UserName && was.ClientID == is.ClientID {
		return "", nil
	}
	c, err := u.claimFor(ctx, f, is)
	if err != nil {
		return "", err
	}
	had := placed(f.state.rec.Claims, keyOf(f.id, was.UserName, was.ClientID))
	if elapsed(c.begun) > maxInsert {
		return "", errAgain // others may take the entry for nobody's
	}
	next.Claims = append([]string{c.entry.Nonce}, had[:min(maxClaims-1, len(had))]...)
	next.Siblings = next.Siblings || c.siblings
	return c.entry.Nonce, nil
}

// claimFor returns the claim for the user name and client id, made now or for an earlier try at the same record: once
// that is deleted, its claims are nobody's.
func (u *updating) claimFor(ctx context.Context, f *found, is *oauthstore.OAuthToken) (*claim, error) {
	for _, c := range u.claims[u.spent:] {
		if c.entry.User == is.UserName && c.entry.Client == is.ClientID && c.entry.Of == f.state.rec.Incarnation &&
			elapsed(c.begun) < maxInsert {
			return c, nil
		}
	}
	// The entry that the record stands behind now stays until the record has changed, and for a while
	// after: whoever reads one leaf after the other must find the record in one of them.
	c := &claim{lookup: u.lookup, entry: newEntry(is), named: oauthstore.RuleFor(u.lookup.token) == oauthstore.RuleID}
	c.entry.Of = f.state.rec.Incarnation
	if had := f.state.rec.Claims; len(had) >= maxClaims {
		c.drop = had[maxClaims-1:]
	}
	if err := c.make(ctx); err != nil {
		u.store.abandonClaim(c, err)
		return nil, err
	}
	u.claims = append(u.claims, c)
	return c, nil
}

// made returns the claims with their keys.
func (u *updating) made() []string {
	all := make([]string, len(u.claims))
	for i, c := range u.claims {
		all[i] = claimOf(c.entry)
	}
	return all
}

// drop takes out what the record has claimed and no longer does, as far as it is not in the leaf of the claim.
//
// Step rename.5.
func (u *updating) drop(ctx context.Context, nonce string) {
	for _, c := range u.claims {
		if c.entry.Nonce != nonce {
			continue
		}
		keys, _ := keysOf(c.drop)
		for _, k := range keys {
			_, _ = u.store.removeEntries(ctx, tidyDelete, k, func(e entry) bool { return claims(c.drop, e.Nonce) })
		}
	}
}

// encode puts the record's document into next and checks that it fits.
func (s *Store) encode(ctx context.Context, name string, r *oauthstore.Record, next *Record) (*Record, error) {
	d, err := s.codec.Encode(s.driver.FullName(name), r)
	if err != nil {
		return nil, err
	}
	if d, err = s.sealDocument(ctx, name, d); err != nil {
		return nil, err
	}
	next.Document = d
	return next, s.checkSize(name, *next)
}

// insert makes a new record for the lookup's token: index first, secret second. A process that dies
// between the two leaves an entry without a secret, which readers skip; the other order would leave a
// credential that nothing lists.
func (s *Store) insert(ctx context.Context, l *lookup, tries *insertTries) (*oauthstore.OAuthToken, error) {
	r, err := oauthstore.NewRecord(l.token)
	if err != nil {
		return nil, err
	}
	f, err := l.vacancy(ctx)
	if r := s.inserted(ctx, l, tries); r != nil {
		return r.Found(nil), nil
	}
	if err != nil {
		return nil, asInvalid(err)
	}
	r.Token.ID = f.id
	c := &claim{lookup: l, entry: newEntry(&r.Token), named: l.token.ID != "", vacant: true, met: l.expects(f.id)}
	r.Incarnation = c.entry.Nonce
	next, err := s.encode(ctx, f.name, r, &Record{Incarnation: r.Incarnation, Claims: []string{c.entry.Nonce}})
	if err != nil {
		return nil, err
	}
	unlock, waited, err := s.locks.lock(ctx, f.name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if waited {
		return nil, errAgain
	}
	tries.records = append(tries.records, r)
	if r, err = s.place(ctx, c, f, next, tries); err != nil {
		return nil, err
	}
	return r.Found(nil), nil
}

// place makes the claim and stores next, the record that owns it. It returns the try that was stored: another
// may have taken effect late.
//
// Steps insert.5 to insert.8.
func (s *Store) place(ctx context.Context, c *claim, f *found, next *Record, tries *insertTries) (*oauthstore.Record, error) {
	begin := time.Now()
	if err := c.make(ctx); err != nil {
		s.abandonClaim(c, err)
		return nil, err
	}
	next.Siblings = c.siblings
	after, _, err := s.commit(ctx, f.name, f.state, TidyAll, func(cur state, failure error) (*Record, error) {
		attempt, _ := tries.stored(cur.rec)
		switch {
		case attempt != nil, cur.rec.Live(), elapsed(begin) > maxInsert:
			return nil, errAgain
		case !notWritten(failure):
			// The record may have been stored and deleted since, and its entry with it. So the insert starts over,
			// with another entry.
			return nil, failedInsert{failure}
		}
		again := *next
		return &again, nil
	})
	stored, last := tries.stored(after.rec) // by the incarnation: many may have written since
	switch {
	case last:
		s.releaseAbandoned(ctx, f.id, append([]string{c.entry.Nonce}, after.rec.Claims...))
	case !isUnsettled(err):
		s.withdraw(ctx, f.id, []string{claimOf(c.entry)}, nil) // nothing was stored, or it was deleted
	case !isOpen(err):
		s.abandoned.addEntry(open, c.entry)
	}
	if stored == nil {
		return nil, err
	}
	s.tellLate(ctx, c, elapsed(begin))
	return stored, nil
}

// tellLate tells a record that took so long to be stored that others of its user may have come meanwhile, and
// could not tell it. It does its best.
func (s *Store) tellLate(ctx context.Context, c *claim, took time.Duration) {
	if took < maxRename || c.siblings || c.entry.User == "" {
		return
	}
	if entries, err := s.userEntries(ctx, c.entry.User); err == nil && slices.ContainsFunc(entries, c.isSibling) {
		if f, err := s.loadNewest(ctx, c.entry.ID); err == nil {
			_, _ = s.flag(ctx, f)
		}
	}
}

// absent is the place of an id that nobody can have.
func (s *Store) absent(id string) (*found, error) {
	name, err := s.tokenName(id)
	return &found{id: id, name: name}, err
}

// vacancy returns the place for a new record: under the token's own id, or the first of the generated
// ones that nobody holds. It finishes a delete that stopped half-way there. A record on its way that is the
// token's own after all shows that the cached index is old.
//
// Step insert.1.
func (l *lookup) vacancy(ctx context.Context) (*found, error) {
	f, err := l.free(ctx)
	if err != nil || l.match() == nil {
		return f, err
	}
	return nil, l.readAgain(ctx)
}

// readAgain reads the index, of which the remembered state is old, so that the save can begin again: it returns errAgain.
func (l *lookup) readAgain(ctx context.Context) error {
	if _, err := l.entries(ctx); err != nil {
		return err
	}
	return errAgain
}

func (l *lookup) free(ctx context.Context) (*found, error) {
	for _, id := range l.candidates() {
		if l.token.ID == "" && l.token.UserName == "" {
			return l.store.absent(id)
		}
		f, err := l.load(ctx, id)
		if err != nil {
			return nil, err
		}
		if f.state.rec.Deleted {
			if err := l.store.remove(ctx, f.name, f.state.rev, f.state.rec); err != nil && !errors.Is(err, ErrConflict) {
				return nil, err
			}
			return nil, errAgain
		}
		if f.record == nil {
			return f, nil
		}
	}
	return nil, errAgain // only where the id is the token's own, which was free just now
}

func (l *lookup) candidates() []string {
	switch {
	case l.token.ID != "":
		return []string{l.token.ID}
	case l.token.UserName == "":
		return []string{oauthstore.RandomID()}
	}
	candidates := append(l.expected(), oauthstore.DerivedID(l.token.UserName, ""))
	if l.token.ClientID != "" {
		candidates = append(candidates, oauthstore.DerivedID(l.token.UserName, l.token.ClientID))
	}
	return append(candidates, oauthstore.RandomID())
}

// expected returns the ids under which the index expects a record of this user and client that is not
// there: an insert under way, or one that died. Meeting it at its own id, where one of the two will
// win, keeps the user from getting two records, and nobody has to wait.
func (l *lookup) expected() []string {
	if l.token.UserName == "" {
		return nil
	}
	entries, _ := l.store.index.recallUser(l.token.UserName)
	var expected []string
	for _, e := range entries {
		if e.User == l.token.UserName && e.Client == l.token.ClientID && e.Of == "" && e.pending() && l.loaded[e.ID] != nil && l.loaded[e.ID].record == nil {
			expected = append(expected, e.ID)
		}
	}
	return expected
}

// expects reports whether id is one of the expected ones, and not the token's own choice.
func (l *lookup) expects(id string) bool {
	return l.token.ID == "" && slices.Contains(l.expected(), id)
}

// tidyInsert and tidyDelete are how many superseded versions of the index an insert and a delete
// remove, where the service charges for them: a delete has calls enough to make, and there is never a
// delete without an insert.
const (
	tidyInsert = 2
	tidyDelete = 0
)

// removeEntries takes entries out of the leaf where k is, and returns its span.
func (s *Store) removeEntries(ctx context.Context, tidy int, k key, obsolete func(entry) bool) (span, error) {
	return s.changeIndex(ctx, tidy, k, func(entries []entry, _ span) ([]entry, error) {
		rest := slices.DeleteFunc(entries, obsolete)
		if len(rest) == len(entries) {
			return nil, errUnchanged
		}
		return rest, nil
	})
}
