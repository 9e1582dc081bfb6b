package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/oauthstore/oauthstore"
)

// hint is a digest that tells tokens apart well enough to look in the right record first; empty for
// the empty token.
func hint(token string) string {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// A lookup finds the record that a token points at. It remembers all that it has read.
type lookup struct {
	store  *Store
	token  *oauthstore.OAuthToken // not the caller's own: a claim may look at it after the caller has gone
	loaded map[string]*found
	broken map[string]bool // ids of records that cannot be read
	begin  time.Time

	// forSave lets a miss in the cached index count: a save that inserts writes the index, and is
	// refused if the cached one was old.
	forSave bool

	saving bool // a refresh token that a record has had before points at it too

	whole bool // by token: all entries were in one secret
}

func (s *Store) newLookup(token *oauthstore.OAuthToken, forSave bool) *lookup {
	own := *token
	return &lookup{store: s, token: &own, loaded: make(map[string]*found), broken: make(map[string]bool), begin: time.Now(), forSave: forSave}
}

// resolve returns the record, nil if there is none.
func (l *lookup) resolve(ctx context.Context) (*found, error) {
	switch oauthstore.RuleFor(l.token) {
	case oauthstore.RuleID:
		f, err := l.load(ctx, l.token.ID)
		if err != nil || f.record == nil {
			return nil, err
		}
		return f, nil
	case oauthstore.RuleUserName:
		return l.byUser(ctx)
	case oauthstore.RuleAccessToken, oauthstore.RuleRefreshToken:
		return l.byToken(ctx)
	default:
		return nil, nil
	}
}

// load reads the record under id, once.
func (l *lookup) load(ctx context.Context, id string) (*found, error) {
	if f, ok := l.loaded[id]; ok {
		return f, nil
	}
	read := l.store.look
	if l.forSave && (l.token.ID != "" || l.token.UserName != "") {
		read = l.store.load // the write to this id, or of an entry for this user, finds out what the read has missed
	}
	f, err := read(ctx, id)
	if err != nil {
		return nil, err
	}
	l.loaded[id] = f
	return f, nil
}

// loadAll reads the records under those of the ids that were not read yet.
func (l *lookup) loadAll(ctx context.Context, ids []string) error {
	ids = slices.DeleteFunc(ids, func(id string) bool { return l.loaded[id] != nil })
	if len(ids) == 1 {
		_, err := l.load(ctx, ids[0])
		return err
	}
	var corrupt error
	err := l.store.loadAll(ctx, ids, func(f *found) { l.loaded[f.id] = f }, func(_ string, err error) { corrupt = cmp.Or(corrupt, err) })
	return cmp.Or(err, corrupt)
}

// match returns the record that the token points at among those read so far.
func (l *lookup) match() *found {
	var stored []*oauthstore.Record
	for _, f := range l.loaded {
		if f.record != nil {
			stored = append(stored, f.record)
		}
	}
	m := oauthstore.MatchSaved(l.token, stored)
	if m == nil || !l.saving && !pointsAt(l.token, m) {
		return nil
	}
	return l.loaded[m.Token.ID]
}

// pointsAt reports whether a find of token may return the record.
func pointsAt(token *oauthstore.OAuthToken, r *oauthstore.Record) bool {
	return oauthstore.Match(token, []*oauthstore.OAuthToken{&r.Token}) != nil
}

// byUser looks where the record most likely is, under the id that the index names or the one that is
// derived from the user name, and in the index where that settles nothing.
//
// Steps find.user.
func (l *lookup) byUser(ctx context.Context) (*found, error) {
	f, err := l.load(ctx, l.likelyID())
	if err != nil {
		return nil, err
	}
	if l.sure(f) {
		return f, nil
	}
	if f.record != nil && l.token.ClientID != "" {
		if f, err = l.load(ctx, oauthstore.DerivedID(l.token.UserName, l.token.ClientID)); err != nil {
			return nil, err
		}
		if l.sure(f) {
			return f, nil
		}
	}
	return l.byIndex(ctx)
}

func (l *lookup) likelyID() string {
	derived := oauthstore.DerivedID(l.token.UserName, "")
	entries, ok := l.store.index.recallUser(l.token.UserName)
	if !ok {
		return derived
	}
	entries = slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return !l.mayBeUser(e) })
	i := slices.IndexFunc(entries, func(e entry) bool { return e.Client == l.token.ClientID })
	switch {
	case i >= 0:
		return entries[i].ID
	case len(entries) == 1:
		return entries[0].ID
	default:
		return derived
	}
}

// sure reports whether f is the token's record, whatever other records there are: it has the very same
// client id, or none was asked for and it is the user's only record.
func (l *lookup) sure(f *found) bool {
	if f.record == nil || f.record.Token.UserName != l.token.UserName {
		return false
	}
	client := f.record.Token.ClientID
	return client == l.token.ClientID || l.token.ClientID == "" && !f.state.rec.Siblings
}

func (l *lookup) mayBeUser(e entry) bool {
	return e.User == l.token.UserName &&
		(e.Client == l.token.ClientID || e.Client == "" || l.token.ClientID == "")
}

// byToken finds the best match of all records. The remembered index decides one thing only: that a save inserts, and only
// if it is a single leaf. Then the insert's own write sees all entries, and finds out what the remembered index lacks.
//
// Steps find.token.
func (l *lookup) byToken(ctx context.Context) (*found, error) {
	if entries, ok := l.store.index.recallAll(); ok && l.forSave && l.store.index.single() {
		l.whole = true
		if f, err := l.byHints(ctx, entries); err != nil || f == nil {
			return f, err
		}
	}
	entries, err := l.entries(ctx)
	if err != nil {
		return nil, err
	}
	l.whole = l.store.index.single()
	return l.byHints(ctx, entries)
}

// byHints reads the records that had the token when they were inserted, and then, since tokens change, all that can be
// a better match.
func (l *lookup) byHints(ctx context.Context, entries []entry) (*found, error) {
	f, err := l.byEntries(ctx, entries, l.mayHaveToken)
	if err != nil {
		return nil, err
	}
	return l.byEntries(ctx, entries, func(e entry) bool { return f == nil || l.mayBeat(e.ID, f) })
}

// mayBeat reports whether the record under id can be a better match than f. The grant token counts first, then the
// record's refresh token, then a former refresh token. Of equal matches the smallest id counts.
func (l *lookup) mayBeat(id string, f *found) bool {
	has := &f.record.Token
	switch {
	case id < f.id:
		return true
	case oauthstore.RuleFor(l.token) == oauthstore.RuleAccessToken:
		return false
	case l.token.GrantToken != "":
		return has.GrantToken != l.token.GrantToken
	default:
		return has.RefreshToken != l.token.RefreshToken
	}
}

func (l *lookup) mayHaveToken(e entry) bool {
	if oauthstore.RuleFor(l.token) == oauthstore.RuleAccessToken {
		return e.Access == hint(l.token.AccessToken)
	}
	return e.Grant != "" && e.Grant == hint(l.token.GrantToken) ||
		e.Refresh != "" && e.Refresh == hint(l.token.RefreshToken)
}

// byIndex reads the records whose entries may be of the token's user and returns the matching one. The remembered index
// will do for the best of hits, and in a save for a miss: the write of a new entry sees all entries of the user.
func (l *lookup) byIndex(ctx context.Context) (*found, error) {
	if entries, ok := l.store.index.recallUser(l.token.UserName); ok {
		f, err := l.byEntries(ctx, entries, l.mayBeUser)
		switch {
		case err != nil, f == nil && l.forSave, f != nil && l.sure(f):
			return f, err
		}
	}
	entries, err := l.entries(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if f := l.loaded[e.ID]; f != nil && f.record == nil && !l.forSave && l.mayBeUser(e) {
			delete(l.loaded, e.ID) // the record may have come between the two reads
		}
	}
	return l.byEntries(ctx, entries, l.mayBeUser)
}

// entries reads the entries among which the record has to be.
func (l *lookup) entries(ctx context.Context) ([]entry, error) {
	if l.token.UserName != "" {
		return l.store.userEntries(ctx, l.token.UserName)
	}
	return l.store.allEntries(ctx, fresh)
}

func (l *lookup) byEntries(ctx context.Context, entries []entry, fits func(entry) bool) (*found, error) {
	fitting := slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return !fits(e) })
	err := l.loadAll(ctx, ids(fitting))
	match := l.match()
	if isCorrupt(err) && oauthstore.RuleFor(l.token) != oauthstore.RuleUserName &&
		(match != nil || l.forSave && !(isUndeciphered(err) && l.mayBeAmong(fitting))) {
		l.passOver(fitting)
		return match, nil
	}
	if err != nil {
		return nil, err
	}
	return match, nil
}

// mayBeAmong reports whether one of the records that could not be read had the token when it was inserted.
func (l *lookup) mayBeAmong(entries []entry) bool {
	return slices.ContainsFunc(entries, func(e entry) bool { return l.loaded[e.ID] == nil && l.mayHaveToken(e) })
}

// isUndeciphered reports whether a record is only corrupt to who has no key, or cannot reach the service that has it.
func isUndeciphered(err error) bool {
	var corrupt *oauthstore.CorruptRecordError
	return errors.As(err, &corrupt) && corrupt.Err != nil
}

// passOver takes note of the records that cannot be read, among those that were to be: they stand in the way
// of nobody's token but their own.
func (l *lookup) passOver(entries []entry) {
	for _, e := range entries {
		if l.loaded[e.ID] == nil {
			l.broken[e.ID] = true
		}
	}
}

// knows reports whether the record under id was read, as far as it can be.
func (l *lookup) knows(id string) bool {
	return l.loaded[id] != nil || l.broken[id]
}
