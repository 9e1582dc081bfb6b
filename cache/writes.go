package cache

import (
	"cmp"
	"context"
	"errors"

	"github.com/oauthstore/oauthstore"
)

// errPanicked stands for the outcome of a write that has none.
var errPanicked = errors.New("cache: the write has not returned")

// SaveToken implements [oauthstore.TokenStore].
func (s *Store) SaveToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return s.write("", token, func() error { return s.store.SaveToken(ctx, token) })
}

// UpdateToken implements [oauthstore.TokenUpdater] with the wrapped store.
func (s *Store) UpdateToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	u, ok := s.store.(oauthstore.TokenUpdater)
	if !ok {
		return unsupported("UpdateToken")
	}
	return s.write("", token, func() error { return u.UpdateToken(ctx, token) })
}

// DeleteToken implements [oauthstore.TokenStore].
func (s *Store) DeleteToken(ctx context.Context, id string) error {
	c := s.start()
	defer s.finish(c, func(now uint64) { s.deleted(now, id) })
	return s.store.DeleteToken(ctx, id)
}

// DeleteTokens implements [oauthstore.TokenStore].
func (s *Store) DeleteTokens(ctx context.Context) error {
	c := s.start()
	defer s.finish(c, s.changedAll)
	return s.store.DeleteTokens(ctx)
}

// write makes a write of token, to the record under id where that is known, and sees to it that finds know of it.
func (s *Store) write(id string, token *oauthstore.OAuthToken, save func() error) error {
	if token == nil {
		return save() // which refuses it
	}
	asked, err := *token, errPanicked
	asked.ID = cmp.Or(id, asked.ID)
	c := s.start()
	defer s.finish(c, func(now uint64) {
		if err != nil {
			s.failed(c, now, &asked, err)
		} else {
			s.saved(c, now, &asked, token)
		}
	})
	err = save()
	return err
}

// saved remembers what the write c, asked for with asked, has filled in. Where it cannot know whether that still is
// what is stored, it forgets.
func (s *Store) saved(c *call, now uint64, asked, filled *oauthstore.OAuthToken) {
	if s.closed {
		return
	}
	id, user, m := filled.ID, filled.UserName, &s.marks
	was := s.entries.tokens.peek(id)
	settled := !m.record(c.seq, id, user) && !m.user(c.seq, user) && m.ids.peek(id).seen <= c.seq
	m.wrote(now, id, user)
	s.markFormer(now, was)

	s.entries.noIDs.drop(id)
	s.entries.noUsers.dropName(user)
	if settled && was != nil && !was.doubted && was.token.UserName == user && was.token.ClientID == filled.ClientID {
		s.entries.users.dropOf(user, func(_ key, l *lead) bool { return l.id != id })
	} else {
		s.entries.users.dropName(user) // it may be a better match than what they lead to
	}
	token, ok := stored(filled, "")
	if !ok || !settled {
		s.entries.tokens.drop(id)
		return
	}
	st := s.stamp(c)
	s.putToken(token, st)
	if user == "" {
		return
	}
	s.putLead(key{user: user, client: token.ClientID}, token, st)
	if oauthstore.RuleFor(asked) == oauthstore.RuleUserName && asked.UserName == user {
		s.putLead(key{user: user, client: asked.ClientID}, token, st)
	}
}

// markFormer marks the user name that a record was remembered with before a write, so that finds by it do not first wait
// for an answer from before.
func (s *Store) markFormer(now uint64, was *record) {
	if was != nil {
		s.marks.wrote(now, "", was.token.UserName)
	}
}

// failed forgets what the write c, asked for with asked, may have changed.
func (s *Store) failed(c *call, now uint64, asked *oauthstore.OAuthToken, err error) {
	if surelyNothing(asked, err) {
		return
	}
	e, m := &s.entries, &s.marks
	switch oauthstore.RuleFor(asked) {
	case oauthstore.RuleID:
		was := e.tokens.peek(asked.ID)
		if s.mayChangeClient(c, asked, was) {
			m.anyUser = now
			e.forgetUsers()
		}
		m.wrote(now, asked.ID, asked.UserName)
		s.markFormer(now, was)
		if was != nil {
			was.doubted = true
		}
		e.noIDs.drop(asked.ID)
		e.forgetUser(asked.UserName)
	case oauthstore.RuleUserName:
		m.wrote(now, "", asked.UserName)
		e.forgetUser(asked.UserName)
		e.tokens.dropWhere(func(r *record) bool { return r.token.UserName == asked.UserName })
		s.mayBeNew(now)
	case oauthstore.RuleNone:
		s.mayBeNew(now)
	default:
		// Another process may have given any record the token that the save went by, so each may have changed, whatever is
		// remembered of it. A record keeps its user name and client id, and a new one has no user name.
		m.any = now
		e.tokens = newLRU[string, *record](s.maxTokens)
		s.mayBeNew(now)
	}
}

// surelyNothing reports whether a write that has failed has stored nothing, and says nothing of what is stored: an
// update that finds no record by id or user name says that there is none.
func surelyNothing(asked *oauthstore.OAuthToken, err error) bool {
	return errors.Is(err, oauthstore.ErrInvalidToken) || errors.Is(err, errors.ErrUnsupported) ||
		errors.Is(err, oauthstore.ErrTokenNotFound) && asked.ID == "" && asked.UserName == ""
}

// mayChangeClient reports whether the write c, a save by id, may have given the record another client id and left it its
// user name, which need not be the one in asked. was is the record as it is remembered, nil if it is not.
func (s *Store) mayChangeClient(c *call, asked *oauthstore.OAuthToken, was *record) bool {
	set := setIn(asked)
	if set.ClientID == "" || set.UserName != "" {
		return false
	}
	// What was read since the write began may be what it has made.
	return was == nil || was.token.ClientID != set.ClientID || max(s.marks.any, s.marks.ids.peek(asked.ID).latest()) > c.seq
}

// mayBeNew forgets which ids have no record: a write may have inserted one under any id.
func (s *Store) mayBeNew(now uint64) {
	s.marks.newID = now
	s.entries.noIDs = newLRU[string, *absence](s.maxTokens)
}

// forgetUser drops what is known of a user name.
func (e *entries) forgetUser(name string) {
	e.noUsers.dropName(name)
	e.users.dropName(name)
}

// forgetUsers drops what is known of user names.
func (e *entries) forgetUsers() {
	none := newEntries(e.tokens.max)
	e.users, e.noUsers = none.users, none.noUsers
}

// deleted forgets the token under id, however its deletion has ended. What its user name leads to otherwise stays right.
func (s *Store) deleted(now uint64, id string) {
	s.marks.wrote(now, id, "")
	s.markFormer(now, s.entries.tokens.peek(id))
	s.entries.tokens.drop(id)
	s.entries.noIDs.drop(id)
}

// changedAll forgets all, after a call that may have changed what any find returns.
func (s *Store) changedAll(now uint64) {
	s.marks.any = now
	s.entries = newEntries(s.maxTokens)
}
