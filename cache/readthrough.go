package cache

import (
	"errors"

	"github.com/oauthstore/oauthstore"
)

// readThrough asks the wrapped store with k, for a caller who does not want what is remembered.
func (s *Store) readThrough(k key, read func() (*oauthstore.OAuthToken, error)) (*oauthstore.OAuthToken, error) {
	c, a := s.start(), answer{err: errNoAnswer}
	defer func() { s.learnAnew(c, k, a) }()
	token, err := read()
	if token != nil || err != nil {
		a = answer{token, err}
	}
	return token, err
}

// learnAnew remembers what c has read under k. Finds that begin now know it, or ask: they do not wait for one from before.
func (s *Store) learnAnew(c *call, k key, a answer) {
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

// pass lets a find through that cannot hit.
func (s *Store) pass(partial *oauthstore.OAuthToken, find func() (*oauthstore.OAuthToken, error)) (*oauthstore.OAuthToken, error) {
	c := s.start()
	defer s.finish(c, func(uint64) {})
	found, err := find()
	if found != nil {
		s.glimpse(c, partial, found)
	}
	return found, err
}
