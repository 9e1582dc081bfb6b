package engine

import (
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

	whole bool // believed a miss since all entries were in one secret
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
	return l.store.loadAll(ctx, ids, func(f *found) { l.loaded[f.id] = f })
}

// match returns the record that the token points at among those read so far.
func (l *lookup) match() *found {
	var stored []*oauthstore.OAuthToken
	for _, f := range l.loaded {
		if f.record != nil {
			stored = append(stored, &f.record.Token)
		}
	}
	if m := oauthstore.Match(l.token, stored); m != nil {
		return l.loaded[m.ID]
	}
	return nil
}

// byUser looks where the record most likely is, under the id that the index names or the one that is
// derived from the user name, and in the index where that settles nothing.
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
	return l.byIndex(ctx, l.mayBeUser)
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

// byToken looks by the index's hints and then, since tokens change after the insert, in all records.
func (l *lookup) byToken(ctx context.Context) (*found, error) {
	f, err := l.byIndex(ctx, l.mayHaveToken)
	if err != nil || f != nil && l.settles(f) {
		return f, err
	}
	return l.byIndex(ctx, func(entry) bool { return true })
}

// settles reports whether no other record can be a better match than f: a grant token counts before
// a refresh token.
func (l *lookup) settles(f *found) bool {
	return oauthstore.RuleFor(l.token) == oauthstore.RuleAccessToken ||
		l.token.GrantToken == "" || l.token.GrantToken == f.record.Token.GrantToken
}

func (l *lookup) mayHaveToken(e entry) bool {
	if oauthstore.RuleFor(l.token) == oauthstore.RuleAccessToken {
		return e.Access == hint(l.token.AccessToken)
	}
	return e.Grant != "" && e.Grant == hint(l.token.GrantToken) ||
		e.Refresh != "" && e.Refresh == hint(l.token.RefreshToken)
}

// byIndex reads the records whose entries fit and returns the one that matches. The remembered index will do for
// the best of hits, and in a save for a miss.
func (l *lookup) byIndex(ctx context.Context, fits func(entry) bool) (*found, error) {
	if entries, ok := l.recall(); ok {
		f, err := l.byEntries(ctx, entries, fits)
		switch {
		case err != nil, f == nil && l.forSave && l.findsOut(), f != nil && l.best(f):
			return f, err
		}
	}
	entries, err := l.entries(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if f := l.loaded[e.ID]; f != nil && f.record == nil && !l.forSave && fits(e) {
			delete(l.loaded, e.ID) // the record may have come between the two reads
		}
	}
	return l.byEntries(ctx, entries, fits)
}

// findsOut reports whether the write of a new entry finds out what the remembered index lacks: it sees one leaf,
// where all entries of a user are, but not all entries.
func (l *lookup) findsOut() bool {
	if l.token.UserName != "" {
		return true
	}
	l.whole = l.store.index.single()
	return l.whole
}

// recall returns the entries among which the record has to be, if they are remembered.
func (l *lookup) recall() ([]entry, bool) {
	if l.token.UserName != "" {
		return l.store.index.recallUser(l.token.UserName)
	}
	return l.store.index.recallAll()
}

// entries reads the entries among which the record has to be.
func (l *lookup) entries(ctx context.Context) ([]entry, error) {
	if l.token.UserName != "" {
		return l.store.userEntries(ctx, l.token.UserName)
	}
	return l.store.allEntries(ctx, fresh)
}

// best reports whether no record that the remembered index lacks can be a better match than f.
func (l *lookup) best(f *found) bool {
	if oauthstore.RuleFor(l.token) == oauthstore.RuleUserName {
		return l.sure(f)
	}
	return l.settles(f)
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
