package vaulttest

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A token is a service token. A token that was revoked stays, to be told from one that never was.
type token struct {
	id          string
	accessor    string
	namespace   string
	path        string // of its creation
	displayName string
	policies    []string
	meta        map[string]string
	parent      *token // nil: an orphan
	created     time.Time

	ttl         time.Duration
	period      time.Duration
	explicitMax time.Duration
	expires     time.Time // zero: never
	renewed     time.Time
	renewable   bool
	numUses     int // left; 0: any number
	revoked     bool
}

const (
	tokenPrefix      = "hvs."
	maxUnsignedToken = 33
)

func (s *Server) newRootToken() *token {
	t := &token{
		id:          newTokenID(),
		accessor:    randomText(24),
		path:        "auth/token/root",
		displayName: "root",
		policies:    []string{"root"},
		created:     s.Now(),
	}
	s.tokens[t.id] = t
	return t
}

// valid reports whether the token can be used: a token ends with its parent.
func (t *token) valid(now time.Time) bool {
	for ; t != nil; t = t.parent {
		if t.revoked || !t.expires.IsZero() && !now.Before(t.expires) {
			return false
		}
	}
	return true
}

// clientID is how Vault names a client that is no known entity: by its policies and namespace.
func (t *token) clientID() string {
	namespace := t.namespace
	if namespace == "" {
		namespace = "root"
	}
	sum := sha256.Sum256([]byte(strings.Join(slices.Sorted(slices.Values(t.policies)), "\x7f") + "\x00" + namespace))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// authenticate finds the call's token. Endpoints that need none still refuse a bad one.
func (s *Server) authenticate(c *call) error {
	if c.token == "" {
		if c.endpoint != nil && c.endpoint.public {
			return nil
		}
		return errNoToken
	}
	t := s.tokens[c.token]
	if t == nil || !t.valid(c.now) {
		return errInvalidToken
	}
	c.by = t
	// What a token asks about itself goes to its own namespace.
	if c.mount != nil && c.mount.kind == tokenMount && strings.HasSuffix(c.path, "-self") {
		c.ns = s.namespaces[t.namespace]
	}
	return nil
}

// useUp counts a use of a token that has a limited number of them.
func (s *Server) useUp(c *call) {
	if c.by == nil || c.by.numUses == 0 || c.endpoint != nil && c.endpoint.public {
		return
	}
	c.by.numUses--
	c.by.revoked = c.by.numUses == 0
}

// lifetime calculates how long a token lives from now on, with a warning where that is less than
// was asked for. Increment may be 0, for base; base may be 0, for the system's default.
func lifetime(t *token, increment, base time.Duration, now time.Time) (time.Duration, []string, error) {
	limit := systemTTL
	if t.explicitMax > 0 {
		limit = min(limit, t.explicitMax)
	}
	var warnings []string
	var ttl time.Duration
	end := t.created.Truncate(time.Second).Add(limit)
	switch {
	case t.period > 0:
		ttl = min(t.period, limit)
		if ttl < t.period {
			warnings = append(warnings, fmt.Sprintf("period of %q exceeded the effective max_ttl of %q; "+
				"period value is capped accordingly", short(t.period), short(limit)))
		}
		if t.explicitMax == 0 {
			return ttl, warnings, nil
		}
	case increment > 0:
		ttl = increment
	case base > 0:
		ttl = base
	default:
		ttl = systemTTL
	}
	left := end.Sub(now.Truncate(time.Second))
	if left <= 0 {
		return 0, nil, storageFailure(fmt.Errorf("past the max TTL, cannot renew"))
	}
	if ttl > left {
		warnings = append(warnings, fmt.Sprintf("TTL of %q exceeded the effective max_ttl of %q; "+
			"TTL value is capped accordingly", short(ttl), short(left)))
		ttl = left
	}
	return ttl, warnings, nil
}

// short prints a duration without trailing zeros: "1h", not "1h0m0s".
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
