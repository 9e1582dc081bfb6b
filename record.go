package oauthstore

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// maxSuperseded is how many former refresh tokens a record remembers.
const maxSuperseded = 4

// A Record is what a store keeps for one token. Whoever writes a store of their own stores records
// (package codec turns one into JSON and back) and leaves merging to [Record.Merge].
type Record struct {
	// Token is the token as last saved.
	Token OAuthToken

	// Superseded holds digests of the refresh tokens that Token had before, newest first, so that one
	// that comes back by a queue or a file does not replace its successor.
	Superseded []string

	// Unknown holds the fields of the stored document that this version does not know, and its format version if
	// that is a later minor one. They are kept as they are.
	Unknown map[string]json.RawMessage

	// Incarnation tells the record from others that had its id before and were deleted: [NewRecord] makes
	// it, at random, and the store keeps it beside the document. Empty where the store does not.
	Incarnation string
}

// NewRecord returns the record that an insert of token makes, or an [*InvalidTokenError]: an insert
// needs a grant, refresh or access token. The id is the caller's to set.
func NewRecord(token *OAuthToken) (*Record, error) {
	if err := token.Validate(); err != nil {
		return nil, err
	}
	if err := checkToken(token); err != nil {
		return nil, err
	}
	r := &Record{Token: *token.Detached(), Incarnation: RandomID()}
	r.Token.Expiry = stored(token.Expiry)
	return r, nil
}

// checkToken returns the error of an insert of a token that holds none.
func checkToken(token *OAuthToken) error {
	if token.GrantToken == "" && token.RefreshToken == "" && token.AccessToken == "" {
		return &InvalidTokenError{Field: "RefreshToken", Reason: "is not set, nor are GrantToken and AccessToken: " +
			"a new record needs one of them"}
	}
	return nil
}

// Merge returns the record that saving token over r makes, and whether it differs from r. Neither r
// nor token is changed.
//
// A field of token that is set replaces the stored one, unless the token was read under this id and
// the field still is what was read: then someone else's newer value stays. A refresh token that the
// record has had before does not come back. The id of r stays.
func (r *Record) Merge(token *OAuthToken) (merged *Record, changed bool) {
	m := *r
	m.Superseded, m.Unknown = slices.Clone(r.Superseded), maps.Clone(r.Unknown)
	changed = overlay(&m.Token, token, func(f textField) bool {
		return f.name == "RefreshToken" && slices.Contains(r.Superseded, digest(*f.value))
	})
	if m.Token.RefreshToken != r.Token.RefreshToken && r.Token.RefreshToken != "" {
		m.Superseded = append([]string{digest(r.Token.RefreshToken)}, m.Superseded...)
		m.Superseded = m.Superseded[:min(len(m.Superseded), maxSuperseded)]
	}
	return &m, changed
}

// Replaced reports whether token was read from another record than r: one that had the same id and has
// since been deleted. An update must not bring it back by way of r: see [TokenUpdater].
func (r *Record) Replaced(token *OAuthToken) bool {
	read := token.read
	return read != nil && read.ID == r.Token.ID &&
		read.incarnation != "" && r.Incarnation != "" && read.incarnation != r.Incarnation
}

// Found returns the token as a store returns it to a caller who asked with partial (nil where they
// asked by id): fields that partial sets are kept, the others are those of the record. The token
// remembers what was read, for Merge.
func (r *Record) Found(partial *OAuthToken) *OAuthToken {
	read := *r.Token.Detached()
	read.incarnation = r.Incarnation
	found := *r.Token.Detached()
	if partial != nil {
		overlay(&found, partial, func(textField) bool { return false })
	}
	found.read = &read
	return &found
}

// overlay sets the fields of dst that src sets, but for those to keep, and reports whether that
// changed one.
func overlay(dst, src *OAuthToken, keep func(textField) bool) (changed bool) {
	read := src.read
	if read == nil || read.ID != dst.ID {
		read = &OAuthToken{}
	}
	to, was := dst.textFields(), read.textFields()
	for i, f := range src.textFields() {
		if *f.value == "" || *f.value == *was[i].value || *f.value == *to[i].value || keep(f) {
			continue
		}
		*to[i].value, changed = *f.value, true
	}
	e := stored(src.Expiry)
	if !e.IsZero() && !e.Equal(read.Expiry) && !e.Equal(dst.Expiry) {
		dst.Expiry, changed = e, true
	}
	return changed
}

// stored is t as it comes back from storage.
func stored(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

// digest names a secret without telling it: 96 bits of its SHA-256.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// String shows the record's token with its secrets redacted.
func (r Record) String() string { return "Record{" + r.Token.String() + "}" }

// Format writes String for every verb.
func (r Record) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue makes slog show the record's token with its secrets redacted.
func (r Record) LogValue() slog.Value { return r.Token.LogValue() }

// MarshalJSON always fails: see [OAuthToken.MarshalJSON].
func (r Record) MarshalJSON() ([]byte, error) { return nil, errUseCodec }

// UnmarshalJSON always fails: see [OAuthToken.UnmarshalJSON].
func (r *Record) UnmarshalJSON([]byte) error { return errUseCodec }
