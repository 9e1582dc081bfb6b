package engine

import (
	"fmt"
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
	rec := f.state.rec
	since := time.Since(rec.Written)
	if s.spacing > 0 && !rec.Written.IsZero() && since < s.spacing && since > -grace {
		return true, nil
	}
	switch {
	case !s.quota().reserved(s.writes(rec)):
		return false, nil
	case s.spacing > 0:
		return true, nil
	default:
		return false, s.quotaError(f)
	}
}

// writes is how many writes of the record the service counts.
func (s *Store) writes(r Record) int { return r.Writes.count(s.quota(), time.Now()) }

// quotaError says that what is left of the writes to the record is kept for more than access tokens.
func (s *Store) quotaError(f *found) error {
	q, now, writes := s.quota(), time.Now(), f.state.rec.Writes
	return &oauthstore.WriteQuotaError{ID: f.id, Writes: writes.count(q, now), Per: q.per, RetryAfter: writes.until(q, now)}
}

// lastError says that what is left of the writes to the record under id is kept for saves.
func (s *Store) lastError(id string) error {
	return fmt.Errorf("%w: id %q was written so often that the writes that are left are kept for saves, and there is no lease",
		oauthstore.ErrThrottled, id)
}
