package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// A key says where in the index an entry is: 32 hexadecimal digits, of which the first half is a hash of the
// user name, or of the id where there is none, and the second half one of the client id. So the entries that
// could contradict each other, those of one user and client, are always in one page; and those of one user are,
// unless there are more of them than fit in one.
type key string

// keySize is the length of a key, userSize that of the part which all entries of a user share.
const (
	keySize  = 32
	userSize = 16
)

// keyOf returns the key of a token, or of an entry, with this id, user name and client id.
func keyOf(id, user, client string) key {
	if user == "" {
		return key(digits("id", id) + digits("client", client))
	}
	return key(digits("user", user) + digits("client", client))
}

// digits is the first 8 bytes of a SHA-256, in hexadecimal.
func digits(of, s string) string {
	sum := sha256.Sum256([]byte("oauthstore/page/" + of + "\x00" + s))
	return hex.EncodeToString(sum[:userSize/2])
}

func (e entry) key() key { return keyOf(e.ID, e.User, e.Client) }

// A span is the keys from one on and below another. The bounds are keys without the zeros at their end; an
// empty to is the end of all keys.
type span struct{ from, to key }

// everywhere is the span of all keys, ofUser that of a user's.
var everywhere = span{}

func ofUser(user string) span {
	k := keyOf("", user, "")[:userSize]
	return span{k, k + "g"} // g is the first letter that is no digit
}

func (s span) contains(k key) bool { return k >= s.from && (s.to == "" || k < s.to) }

// endsBy reports whether no key of s is left from to on, where a leaf has ended.
func (s span) endsBy(to key) bool { return to == "" || s.to != "" && to >= s.to }

// parts reports whether the entries of one user may be in s and outside of it.
func (s span) parts(user string) bool {
	all := ofUser(user)
	return s.from > all.from || s.to != "" && s.to < all.to
}

// clip returns the part of s that is in within.
func (s span) clip(within span) span {
	s.from = max(s.from, within.from)
	if s.to == "" || within.to != "" && within.to < s.to {
		s.to = within.to
	}
	return s
}

// cutEvenly cuts s into n spans of the same width; nil if it is too narrow for that.
func (s span) cutEvenly(n int) []span {
	low, high := s.from.number(), s.to.number()-1 // the largest number where to is the end
	width := (high - low) / uint64(n)
	if width == 0 || len(s.from) > userSize || len(s.to) > userSize {
		return nil
	}
	bounds := make([]key, n-1)
	for i := range bounds {
		bounds[i] = numbered(low + width*uint64(i+1))
	}
	return s.cut(bounds)
}

// cutBetween cuts s into at most n spans with about the same number of the keys, which are sorted; nil if
// they are all the same.
func (s span) cutBetween(keys []key, n int) []span {
	var bounds []key
	for i := 1; i < n; i++ {
		b := keys[len(keys)*i/n]
		if b > keys[0] && !slices.Contains(bounds, b) {
			bounds = append(bounds, b)
		}
	}
	if bounds == nil {
		// All but a few are the same: the few go.
		i := slices.IndexFunc(keys, func(k key) bool { return k != keys[0] })
		if i < 0 {
			return nil
		}
		bounds = []key{keys[i]}
	}
	return s.cut(bounds)
}

func (s span) cut(bounds []key) []span {
	spans := make([]span, 0, len(bounds)+1)
	for _, b := range bounds {
		b = key(strings.TrimRight(string(b), "0"))
		spans = append(spans, span{s.from, b})
		s.from = b
	}
	return append(spans, s)
}

// number reads the first half of a bound.
func (k key) number() uint64 {
	n, _ := strconv.ParseUint((string(k) + "0000000000000000")[:userSize], 16, 64)
	return n
}

func numbered(n uint64) key {
	digits := strconv.FormatUint(n, 16)
	return key(strings.Repeat("0", userSize-len(digits)) + digits)
}
