package authtest

import (
	"crypto/rand"
	"strconv"
	"time"
)

// A family is all that comes of one grant: the refresh tokens, each but the newest superseded by the next, and the
// access tokens (RFC 9700, 4.14.2).
type family struct {
	id      string
	client  *Client
	user    string
	scope   []string
	current *refreshToken
	revoked bool

	refreshes, graced, reuses int
}

type refreshToken struct {
	value        string
	family       *family
	expires      time.Time // zero: never
	supersededAt time.Time // where it is superseded
}

func (t *refreshToken) superseded() bool { return t != t.family.current }

func (t *refreshToken) expired(now time.Time) bool {
	return !t.expires.IsZero() && !now.Before(t.expires)
}

type accessToken struct {
	family  *family
	expires time.Time
	revoked bool // by itself, without its family
}

func (t *accessToken) valid(now time.Time) bool {
	return !t.revoked && !t.family.revoked && now.Before(t.expires)
}

// issued is what the server gives out at once.
type issued struct {
	accessToken, refreshToken string
	expires                   time.Time
	scope                     []string
}

// Tokens are a new family, as its client gets to know it.
type Tokens struct {
	AccessToken, RefreshToken string
	Expiry                    time.Time // of AccessToken, by the server's clock
	Family                    string    // the ID in [Stats]
}

// Issue returns tokens that user has granted to the first client, for scopes or, without any, what [WithScopes] says.
// It panics where there is no such scope.
func (s *Server) Issue(user string, scopes ...string) Tokens {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	f := s.newFamily(s.options.clients[0], user, s.mustGrant(scopes), now)
	i := s.issue(f, f.scope, now)
	return Tokens{AccessToken: i.accessToken, RefreshToken: i.refreshToken, Expiry: i.expires, Family: f.id}
}

func (s *Server) newFamily(client *Client, user string, scope []string, now time.Time) *family {
	f := &family{id: "family-" + strconv.Itoa(len(s.families)+1), client: client, user: user, scope: scope}
	f.current = s.newRefreshToken(f, now)
	s.families = append(s.families, f)
	return f
}

func (s *Server) newRefreshToken(f *family, now time.Time) *refreshToken {
	t := &refreshToken{value: newSecret("refresh"), family: f}
	if s.options.refreshLifetime > 0 {
		t.expires = now.Add(s.options.refreshLifetime)
	}
	s.refreshTokens[t.value] = t
	return t
}

// issue makes an access token, which goes out with the newest refresh token.
func (s *Server) issue(f *family, scope []string, now time.Time) issued {
	i := issued{
		accessToken:  newSecret("access"),
		refreshToken: f.current.value,
		expires:      now.Add(s.options.accessLifetime),
		scope:        scope,
	}
	s.accessTokens[i.accessToken] = &accessToken{family: f, expires: i.expires}
	return i
}

// reused notes that a superseded refresh token of the family was presented, and ends the family.
func (s *Server) reused(f *family, now time.Time) {
	f.reuses++
	s.reuses = append(s.reuses, Reuse{Family: f.id, User: f.user, Time: now})
	if s.options.detection {
		f.revoked = true
	}
}

// Revoke ends all families of the user, as when the user takes the consent back.
func (s *Server) Revoke(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.families {
		f.revoked = f.revoked || f.user == user
	}
}

// RevokeFamily ends the family with the ID, as in [Family]. It panics where there is none.
func (s *Server) RevokeFamily(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.families {
		if f.id == id {
			f.revoked = true
			return
		}
	}
	panic("authtest: RevokeFamily: there is no " + id)
}

// newSecret returns 130 random bits or more behind the kind of secret that they are.
func newSecret(kind string) string { return kind + "-" + rand.Text() }
