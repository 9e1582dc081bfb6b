package engine

import (
	"time"

	"github.com/oauthstore/oauthstore"
)

// A service that counts the writes to a secret over a day refuses those of an access token that lives for minutes
// before the day is over. What such a token replaces can be had again: by a refresh. A refresh token that was
// replaced cannot. So the last of a day's writes are kept for saves that change more than the access token.

// renews reports whether all that a save changes is what comes with a new access token (RFC 6749, 5.1).
func renews(was, is *oauthstore.OAuthToken) bool {
	a, b := *was.Detached(), *is.Detached()
	if a.AccessToken == b.AccessToken {
		return false
	}
	b.AccessToken, b.TokenType, b.Scope, b.Expiry, b.Extra = a.AccessToken, a.TokenType, a.Scope, a.Expiry, a.Extra
	return a == b
}

// spares reports whether a new access token for the record is not to be stored; the error is that there are no
// writes left for it.
func (s *Store) spares(f *found) (bool, error) {
	q, now, rec := s.quota(), time.Now(), f.state.rec
	since := now.Sub(rec.Written)
	if s.spacing > 0 && !rec.Written.IsZero() && since < s.spacing && since > -grace {
		return true, nil
	}
	writes := rec.Writes.count(q, now)
	switch {
	case !q.reserved(writes):
		return false, nil
	case s.spacing > 0:
		return true, nil
	default:
		return false, s.quotaError(f)
	}
}

// quotaError says that what is left of the writes to the record is kept for more than access tokens.
func (s *Store) quotaError(f *found) error {
	q, now, writes := s.quota(), time.Now(), f.state.rec.Writes
	return &oauthstore.WriteQuotaError{ID: f.id, Writes: writes.count(q, now), Per: q.per, RetryAfter: writes.until(q, now)}
}
