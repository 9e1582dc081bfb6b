package cache

import (
	"errors"

	"github.com/oauthstore/oauthstore"
)

// readAnew reads the record under id of the wrapped store, for a caller who does not want what is remembered.
func (s *Store) readAnew(id string, read func() (*oauthstore.OAuthToken, error)) (*oauthstore.OAuthToken, error) {
	c, a := s.start(), answer{err: errNoAnswer}
	defer func() { s.learnAnew(c, id, a) }()
	token, err := read()
	if token != nil || err != nil {
		a = answer{token, err}
	}
	return token, err
}

// learnAnew remembers what c has read under id, whatever was remembered: finds that begin now know it, or ask.
func (s *Store) learnAnew(c *call, id string, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, c)
	if a.err != nil && !errors.Is(a.err, oauthstore.ErrTokenNotFound) {
		return
	}
	s.tell(id, "") // what is under way may have read before
	s.part(id)
	if c.void || c.ids[id] || !s.supersedes(c, key{id: id}) { // nor does anybody know which was first, that or this
		s.entries.tokens.drop(id)
		s.entries.noIDs.drop(id)
		return
	}
	s.learn(c, key{id: id}, a)
}
