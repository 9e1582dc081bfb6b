package engine

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/oauthstore/oauthstore"
)

// indexName is the secret that lists all tokens. Names of tokens begin with tokenPrefix, which it
// does not; later kinds of secrets have other words before the underscore.
const (
	indexName   = "index"
	tokenPrefix = "token_"
)

// tokenName returns the name of the secret for a token: the id itself where it holds letters, digits
// and hyphens only, so that people find it.
//
// Secrets Manager advises against names that end in a hyphen and six characters, which it takes for
// the end of an ARN; there the hyphen is escaped.
func (s *Store) tokenName(id string) (string, error) {
	name := tokenPrefix + Escape(id, "-", '_')
	if i := len(name) - 7; name[i] == '-' {
		name = name[:i] + "_2d" + name[i+1:]
	}
	if limit := s.driver.Limits().Name; len(name) > limit {
		return "", oauthstore.NoSuchID(fmt.Sprintf("is too long: it makes a secret name of %d characters, where %d fit", len(name), limit))
	}
	return name, nil
}

// Escape writes s in ASCII letters, digits and the characters of literal: any other byte becomes esc
// and its two hex digits. esc must not be in literal. Different strings stay different, and [Unescape]
// finds the way back.
func Escape(s, literal string, esc byte) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if isAlphanumeric(c) || strings.IndexByte(literal, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%c%02x", esc, c)
	}
	return b.String()
}

// Unescape is the inverse of [Escape]; ok is false for what Escape does not write.
func Unescape(s, literal string, esc byte) (text string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != esc {
			b.WriteByte(s[i])
			continue
		}
		if i+3 > len(s) {
			return "", false
		}
		c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		i += 2
	}
	return b.String(), Escape(b.String(), literal, esc) == s
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
