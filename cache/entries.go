package cache

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"time"
	"unicode/utf8"

	"github.com/oauthstore/oauthstore"
)

// A key is what a find that can hit asks for: an id, or a user name with or without client id.
type key struct{ id, user, client string }

// keyOf returns the key that the token asks for, if it asks for nothing else. A token that a store returned is not one
// of these, whatever of it is left: it remembers what was read.
func keyOf(token *oauthstore.OAuthToken) (key, bool) {
	switch {
	case token == nil || !utf8.ValidString(token.ID):
		return key{}, false
	case token.ID != "":
		return key{id: token.ID}, *token == oauthstore.OAuthToken{ID: token.ID}
	default:
		return key{user: token.UserName, client: token.ClientID},
			token.UserName != "" && *token == oauthstore.OAuthToken{UserName: token.UserName, ClientID: token.ClientID}
	}
}

// An answer is that of a find.
type answer struct {
	token *oauthstore.OAuthToken // never changed: callers get copies
	err   error
}

// copied returns the answer for a caller of their own who has asked with k.
func (a answer) copied(k key) (*oauthstore.OAuthToken, error) {
	if a.err != nil {
		return nil, a.err
	}
	c := *a.token
	if k.client != "" {
		c.ClientID = k.client // of a record without client id, what the caller sets is kept
	}
	return &c, nil
}

// entries are what is remembered. A token is there once, under its id; user names lead to ids.
type entries struct {
	tokens  lru[string, *record]
	users   byUser[lead]
	noIDs   lru[string, *absence]
	noUsers byUser[absence]
}

func newEntries(limit int) entries {
	return entries{
		tokens:  newLRU[string, *record](limit),
		users:   newByUser[lead](limit),
		noIDs:   newLRU[string, *absence](limit),
		noUsers: newByUser[absence](limit),
	}
}

// A record is a token as it was found by its id.
type record struct {
	stamp
	token   *oauthstore.OAuthToken
	expired bool // when it was read

	// doubted says that a write has failed which may have changed it. No find returns it any more; but it
	// still limits what another write may change.
	doubted bool
}

// A lead says under which id the token of a user name and client id was found. It holds for as long as the token that
// is remembered there has them, see leads, and the client id of its own that made it the best match.
type lead struct {
	stamp
	id, client string
}

// An absence says that no token was found.
type absence struct {
	stamp
	err error
}

// A stamp says how old an entry is.
type stamp struct {
	seq  uint64        // of the call that has read it: of two that agree, the later one's counts
	at   time.Time     // when that call began
	wall time.Time     // the same, without the monotonic reading
	life time.Duration // until it is not served any more
	due  time.Duration // until it is to be read again; 0 for never
}

// age looks at both clocks: the monotonic one may stop while a process is frozen, the other one may be set back.
func (s *stamp) age(now time.Time) time.Duration {
	return max(now.Sub(s.at), now.Round(0).Sub(s.wall))
}

func (s *stamp) fresh(now time.Time) bool { return s.age(now) < s.life }

func (s *stamp) isDue(now time.Time) bool { return s.due > 0 && s.age(now) >= s.due }

// stamp returns the stamp of what c has read.
func (s *Store) stamp(c *call) stamp {
	part := 1 - jitter*rand.Float64()
	return stamp{
		seq:  c.seq,
		at:   c.begun,
		wall: c.begun.Round(0),
		life: time.Duration(part * float64(s.ttl)),
		due:  time.Duration(math.Ceil(part * float64(s.refreshAfter))),
	}
}

// recall returns what is remembered under k and may be served, and sees to it that it is read again in time.
func (s *Store) recall(k key, now time.Time) (answer, bool) {
	l, r := s.held(k)
	if r == nil || !s.servable(r, now) || l != nil && !l.fresh(now) {
		return s.recallAbsence(k, now)
	}
	if r.isDue(now) || l != nil && l.isDue(now) {
		later := (s.ttl - s.refreshAfter) / 4 // if the read fails
		if r.due = r.age(now) + later; l != nil {
			l.due = l.age(now) + later
		}
		s.enqueue(k)
	}
	return answer{token: r.token}, true
}

// held returns the token that is remembered under k, and what leads to it where k is a user name.
func (s *Store) held(k key) (*lead, *record) {
	if k.id != "" {
		if r := s.entries.tokens.get(k.id); r != nil && !r.doubted {
			return nil, r
		}
		return nil, nil
	}
	l := s.entries.users.get(k)
	if l == nil {
		return nil, nil
	}
	r := s.entries.tokens.get(l.id)
	if r == nil || r.doubted || !leads(k, r.token) || r.token.ClientID != l.client {
		return nil, nil
	}
	return l, r
}

// leads reports whether token may be what is found by the user name and client id of k.
func leads(k key, token *oauthstore.OAuthToken) bool {
	return token.UserName == k.user && (k.client == "" || token.ClientID == "" || token.ClientID == k.client)
}

// servable reports whether r is what the wrapped store would answer, as far as can be known.
func (s *Store) servable(r *record, now time.Time) bool {
	switch {
	case !r.fresh(now):
		return false
	case r.token.Expired(oauthstore.DefaultLeeway):
		return r.expired && r.age(now) < s.negativeTTL
	default:
		return true
	}
}

func (s *Store) recallAbsence(k key, now time.Time) (answer, bool) {
	a := s.absent(k)
	if a == nil || a.age(now) >= s.negativeTTL {
		return answer{}, false
	}
	return answer{err: a.err}, true
}

func (s *Store) absent(k key) *absence {
	if k.id != "" {
		return s.entries.noIDs.get(k.id)
	}
	return s.entries.noUsers.get(k)
}

// learn remembers what the call c, which ends now, has read under k, as far as no other call knows better. It reports
// whether one may: then what c has read is not for finds that began after c.
func (s *Store) learn(c *call, now uint64, k key, a answer) (overtaken bool) {
	switch {
	case a.err == nil:
		overtaken = s.learnToken(c, now, k, a.token)
	case errors.Is(a.err, oauthstore.ErrTokenNotFound) && !errors.Is(a.err, oauthstore.ErrInvalidToken):
		overtaken = s.learnAbsence(c, now, k, a.err)
	}
	if s.closed {
		s.entries = newEntries(s.maxTokens)
	}
	return overtaken
}

func (s *Store) learnToken(c *call, now uint64, k key, found *oauthstore.OAuthToken) (overtaken bool) {
	m, st := &s.marks, s.stamp(c)
	r, absent := s.entries.tokens.peek(found.ID), s.absent(k)
	token, ok := stored(found, k.client)
	ok = ok && (k.id == token.ID || k.user != "" && leads(k, token)) // else it is not what was asked for
	same := ok && r != nil && !r.doubted && reflect.DeepEqual(r.token, token)
	overtaken = !same && (m.record(c.seq, found.ID, found.UserName) || m.ids.peek(found.ID).seen > c.seq)
	s.saw(now, found)
	switch {
	case overtaken || !ok:
		s.entries.tokens.drop(found.ID)
	case !same || r.seq < c.seq:
		s.putToken(token, st)
	}
	l := s.entries.users.get(k)
	if ok && !overtaken && k.user != "" && !m.user(c.seq, k.user) &&
		(absent == nil || absent.seq < c.seq) && (l == nil || l.seq < c.seq) {
		s.putLead(k, token, st)
	}
	return overtaken
}

func (s *Store) learnAbsence(c *call, now uint64, k key, err error) (overtaken bool) {
	m := &s.marks
	if k.id != "" {
		overtaken = m.record(c.seq, k.id, "") || m.newID > c.seq || m.ids.peek(k.id).seen > c.seq
		s.entries.tokens.drop(k.id)
	} else {
		overtaken = m.user(c.seq, k.user) || m.users.peek(k.user).seen > c.seq
		if _, r := s.held(k); r != nil {
			s.entries.tokens.drop(r.token.ID) // deleted, or no longer the user's
		}
		s.entries.users.drop(k)
	}
	m.saw(now, k.id, k.user)
	if overtaken || len(k.id)+len(k.user)+len(k.client) > longestAbsent {
		return overtaken
	}
	a := &absence{s.stamp(c), err}
	if k.id != "" {
		s.entries.noIDs.put(k.id, a)
	} else {
		s.entries.noUsers.put(k, a)
	}
	return false
}

// longestAbsent is how many bytes an id, or a user name and client id, may have for it to be remembered that there is
// no token: anybody may ask for anything.
const longestAbsent = 1024

// saw takes note of a token that a caller gets now, and forgets that it was not found.
func (s *Store) saw(now uint64, token *oauthstore.OAuthToken) {
	s.marks.saw(now, token.ID, token.UserName)
	s.entries.noIDs.drop(token.ID)
	s.entries.noUsers.dropOf(token.UserName, func(k key, _ *absence) bool { return leads(k, token) })
}

func (s *Store) putToken(token *oauthstore.OAuthToken, st stamp) {
	s.entries.noIDs.drop(token.ID)
	s.entries.tokens.put(token.ID, &record{stamp: st, token: token, expired: token.Expired(oauthstore.DefaultLeeway)})
}

func (s *Store) putLead(k key, token *oauthstore.OAuthToken, st stamp) {
	s.entries.noUsers.drop(k)
	s.entries.users.put(k, &lead{st, token.ID, token.ClientID})
}

// stored returns the token as it is stored, of one that a store returned to somebody who asked for client (empty where
// they did not). It reports false where the token has fields that are not stored, or does not remember what was read.
func stored(found *oauthstore.OAuthToken, client string) (*oauthstore.OAuthToken, bool) {
	token := *found
	switch set := setIn(found); set {
	case oauthstore.OAuthToken{ID: found.ID}:
		return &token, true
	case oauthstore.OAuthToken{ID: found.ID, ClientID: client}:
		token.ClientID = "" // that was the caller's
		return &token, true
	default:
		return nil, false
	}
}

// setIn returns those fields of the token that are not as a store has returned them, and its id.
func setIn(token *oauthstore.OAuthToken) oauthstore.OAuthToken {
	empty := oauthstore.Record{Token: oauthstore.OAuthToken{ID: token.ID}}
	set, _ := empty.Merge(token)
	return set.Token
}
