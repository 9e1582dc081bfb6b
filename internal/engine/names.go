package engine

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/oauthstore/oauthstore"
)

// indexName is the root of the index, the secret that lists all tokens, and pagePrefix begins the names of its
// pages. The names of tokens begin with one of the two prefixes; later kinds of secrets have other words before
// the underscore.
const (
	indexName   = "index"
	pagePrefix  = "page_"    // and a random word
	tokenPrefix = "token_"   // and the id, escaped
	base32Token = "token32_" // and the id in base32
)

// idBase32 is base32 (RFC 4648) in lower case, without padding.
var idBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// IsNode reports whether a driver is given the name of the index or of one of its pages.
func IsNode(name string) bool { return name == indexName || strings.HasPrefix(name, pagePrefix) }

// newPageName returns a name that no page has had before.
func newPageName() string {
	b := make([]byte, 10)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return pagePrefix + idBase32.EncodeToString(b)
}

// tokenName returns the name of the secret for a token: the id itself where it holds letters, digits
// and hyphens only, so that people find it. What is mostly other characters is shorter in base32.
//
// Secrets Manager advises against names that end in a hyphen and six characters, which it takes for
// the end of an ARN; there the hyphen is escaped.
func (s *Store) tokenName(id string) (string, error) {
	name := encodeID(id)
	if limit := s.driver.Limits().Name; len(name) > limit {
		return "", oauthstore.NoSuchID(fmt.Sprintf("is too long: it makes a secret name of %d characters, where %d fit", len(name), limit))
	}
	return name, nil
}

func encodeID(id string) string {
	escaped := escape(id)
	if len(base32Token)+idBase32.EncodedLen(len(id)) < len(tokenPrefix)+len(escaped) {
		return base32Token + idBase32.EncodeToString([]byte(id))
	}
	if i := len(escaped) - 7; i >= 0 && escaped[i] == '-' {
		escaped = escaped[:i] + "_2d" + escaped[i+1:]
	}
	return tokenPrefix + escaped
}

// decodeID is the inverse of encodeID. It reports whether the name is a token's.
func decodeID(name string) (id string, ok bool) {
	if word, ok := strings.CutPrefix(name, base32Token); ok {
		b, err := idBase32.DecodeString(word)
		id = string(b)
		return id, err == nil && isNameOf(name, id)
	}
	escaped, ok := strings.CutPrefix(name, tokenPrefix)
	if !ok {
		return "", false
	}
	parts := strings.Split(escaped, "_")
	id = parts[0]
	for _, p := range parts[1:] {
		b, err := hex.DecodeString(p[:min(2, len(p))])
		if err != nil || len(b) != 1 {
			return "", false
		}
		id += string(b) + p[2:]
	}
	return id, isNameOf(name, id)
}

// isNameOf reports whether id is one that a token can have, and name that of its secret.
func isNameOf(name, id string) bool { return id != "" && utf8.ValidString(id) && encodeID(id) == name }

// escape writes s in ASCII letters, digits and hyphens: any other byte becomes an underscore and its two hex digits.
// Different strings stay different.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if isAlphanumeric(c) || c == '-' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "_%02x", c)
	}
	return b.String()
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
