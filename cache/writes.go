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
	defer s.deleted(c, id)
	return s.store.DeleteToken(ctx, id)
}

// DeleteTokens implements [oauthstore.TokenStore].
func (s *Store) DeleteTokens(ctx context.Context) error {
	c := s.start()
	defer s.changedAll(c)
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
	defer func() {
		if err != nil {
			s.failed(c, &asked, err)
		} else {
			s.saved(c, &asked, token)
		}
	}()
	err = save()
	return err
}

// saved remembers what the write c, asked for with asked, has filled in. Where it cannot know whether that still is
// what is stored, it forgets.
func (s *Store) saved(c *call, asked, filled *oauthstore.OAuthToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, c)
	if s.closed {
		return
	}
	id, user := filled.ID, filled.UserName
	s.tell(id, user)
	s.part(id)

	was := s.entries.tokens.get(id)
	settled := !c.void && !c.ids[id] && !c.users[user] && (was == nil || was.seq < c.seq)
	s.entries.noIDs.drop(id)
	s.entries.noUsers.dropName(user)
	if settled && was != nil && was.token.UserName == user && was.token.ClientID == filled.ClientID {
		s.keepLeads(user, id)
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

// keepLeads drops what the user name leads to, but for the record under id.
func (s *Store) keepLeads(user, id string) {
	clients := s.entries.users.names.get(user)
	for client, l := range clients {
		if l.id != id {
			delete(clients, client)
		}
	}
}

// failed forgets what the write c, asked for with asked, may have changed.
func (s *Store) failed(c *call, asked *oauthstore.OAuthToken, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, c)
	if surelyNothing(asked, err) {
		return
	}
	s.tellAll()
	s.entries.forget(asked)
}

// surelyNothing reports whether a write that has failed has stored nothing, and says nothing of what is stored: an
// update that finds no record by id or user name says that there is none.
func surelyNothing(asked *oauthstore.OAuthToken, err error) bool {
	return errors.Is(err, oauthstore.ErrInvalidToken) || errors.Is(err, errors.ErrUnsupported) ||
		errors.Is(err, oauthstore.ErrTokenNotFound) && asked.ID == "" && asked.UserName == ""
}

// forget drops all that a save of token may change.
func (e *entries) forget(token *oauthstore.OAuthToken) {
	switch oauthstore.RuleFor(token) {
	case oauthstore.RuleAccessToken, oauthstore.RuleRefreshToken:
		*e = newEntries(e.tokens.max) // another process may have given any record what it is found by
		return
	}
	e.forgetUser(token.UserName)
	if token.ID != "" {
		was := e.tokens.get(token.ID)
		e.noIDs.drop(token.ID)
		e.tokens.drop(token.ID)
		switch { // it may have given another client id to the record, whose user need not be the one in a copy of it
		case token.ClientID == "":
		case token.UserName == "" || was == nil:
			e.forgetUsers()
		default:
			e.forgetUser(was.token.UserName)
		}
		return
	}
	e.noIDs = newLRU[*absence](e.noIDs.max) // it may have inserted under any id
	e.tokens.dropWhere(func(r *record) bool { return token.UserName != "" && r.token.UserName == token.UserName })
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
func (s *Store) deleted(c *call, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, c)
	s.tell(id, "")
	s.part(id)
	s.entries.tokens.drop(id)
	s.entries.noIDs.drop(id)
}

// changedAll forgets all, after a call that may have changed what any find returns.
func (s *Store) changedAll(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, c)
	s.tellAll()
	s.entries = newEntries(s.maxTokens)
}

// tell tells the calls that are under way what was written.
func (s *Store) tell(id, user string) {
	for c := range s.calls {
		c.ids[id] = true
		if user != "" {
			c.users[user] = true
		}
	}
}

// tellAll tells them that anything may have been written, and finds that begin now not to wait for them.
func (s *Store) tellAll() {
	for c := range s.calls {
		c.void = true
	}
	clear(s.flights)
}

// part keeps finds that begin now from waiting for an answer that may be from before the record under id was written.
// Any user name may have been its own.
func (s *Store) part(id string) {
	for k := range s.flights {
		if k.user != "" || k.id == id {
			delete(s.flights, k)
		}
	}
}
