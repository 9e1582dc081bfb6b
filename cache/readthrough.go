package cache

import (
	"errors"
	"reflect"

	"github.com/oauthstore/oauthstore"
)

// readThrough asks the wrapped store with k, for a caller who does not want a remembered answer.
func (s *Store) readThrough(k key, read func() (*oauthstore.OAuthToken, error)) (*oauthstore.OAuthToken, error) {
	c, a := s.start(), answer{err: errNoAnswer}
	defer func() { s.learnThrough(c, k, a) }()
	token, err := read()
	if token != nil || err != nil {
		a = answer{token, err}
	}
	return token, err
}

// learnThrough remembers what c has read under k. Finds that begin now know it, or ask: they do not wait for one from before.
func (s *Store) learnThrough(c *call, k key, a answer) {
	s.finish(c, func(now uint64) {
		s.learn(c, now, k, a)
		switch {
		case a.err == nil:
			s.marks.wrote(now, a.token.ID, a.token.UserName)
		case errors.Is(a.err, oauthstore.ErrTokenNotFound):
			s.marks.wrote(now, k.id, k.user)
		}
	})
}

// pass lets a find through that cannot hit. What it has found is not kept; but no find is to return an older token.
func (s *Store) pass(partial *oauthstore.OAuthToken, find func() (*oauthstore.OAuthToken, error)) (found *oauthstore.OAuthToken, err error) {
	c := s.start()
	defer s.finish(c, func(now uint64) {
		switch {
		case found != nil:
			s.glimpse(now, partial, found)
		case err == nil || partial == nil:
		case partial.ID != "":
			s.learn(c, now, key{id: partial.ID}, answer{err: err})
		case partial.UserName != "":
			s.learn(c, now, key{user: partial.UserName, client: partial.ClientID}, answer{err: err})
		}
	})
	return find()
}

// passOn is pass for a token of a list, instead of a token that was found.
func (s *Store) passOn(token *oauthstore.OAuthToken) {
	if token == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	s.glimpse(s.seq, nil, token)
}

// glimpse takes note of a token that a caller gets now for partial. If it is remembered in another state, it is
// forgotten. Fields that the caller set hide the stored ones, except those that the find went by.
func (s *Store) glimpse(now uint64, partial, found *oauthstore.OAuthToken) {
	s.saw(now, found)
	r := s.entries.tokens.peek(found.ID)
	if r == nil || r.doubted {
		return
	}
	remembered, got := r.token, found
	if _, ok := stored(found, ""); !ok {
		remembered, got = (&oauthstore.Record{Token: *r.token}).Found(partial).Detached(), found.Detached()
	}
	former := partial != nil && oauthstore.Match(partial, []*oauthstore.OAuthToken{r.token}) == nil // partial led to another state
	if former || !reflect.DeepEqual(remembered, got) {
		s.entries.tokens.drop(found.ID)
	}
}
