package oauthstore

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// DerivedID returns the id that a store gives to a token with this user name and no id of its own,
// so that it is found by user name in one read. Where that id is held by another user or client the
// store takes the one derived from user name and client id, and where that is held too, [RandomID].
//
// The id is the letter u and, in base32 (RFC 4648, lower case, no padding), the first 20 bytes of the
// SHA-256 of "oauthstore/user" and the user name, each with its length in bytes before it as 8 bytes,
// most significant first. With a client id it is the letter c, "oauthstore/user+client", the user
// name and the client id. It will never change. Whoever can guess a user name can compute its id.
func DerivedID(userName, clientID string) string {
	if clientID == "" {
		return "u" + hashID("oauthstore/user", userName)
	}
	return "c" + hashID("oauthstore/user+client", userName, clientID)
}

// DerivedTokenID returns the id under which a token is saved that has neither an id nor a user name and to which no other
// rule applies ([RuleNone]), so that an equal save updates the same record: an access token with a client id, say, or
// the refresh token of a client that has no secret.
//
// The id is made as [DerivedID] makes it, of the letter t and the hash of "oauthstore/token", the client id, and name and
// value of the first of these that the token has: refresh_token, grant_token, access_token. It will never change. The id
// can be computed from the token. It does not give away a token that cannot be guessed (RFC 6749, 10.10).
func DerivedTokenID(token *OAuthToken) string {
	name, value := "access_token", token.AccessToken
	switch {
	case token.RefreshToken != "":
		name, value = "refresh_token", token.RefreshToken
	case token.GrantToken != "":
		name, value = "grant_token", token.GrantToken
	}
	return "t" + hashID("oauthstore/token", token.ClientID, name, value)
}

// RandomID returns an id for another token without user name: the letter r and 160 random bits in base32.
func RandomID() string {
	b := make([]byte, 20)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return "r" + idEncoding.EncodeToString(b)
}

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func hashID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_ = binary.Write(h, binary.BigEndian, uint64(len(p))) // a hash never fails
		h.Write([]byte(p))
	}
	return idEncoding.EncodeToString(h.Sum(nil)[:20])
}

// CheckID returns the error of FindTokenByID and DeleteToken for an id that no record can have: it is
// an [*InvalidTokenError], and since nothing is stored under such an id also [ErrTokenNotFound].
func CheckID(id string) error {
	switch {
	case id == "":
		return NoSuchID("is empty")
	case !utf8.ValidString(id):
		return NoSuchID(notUTF8)
	case isBlank(id):
		return NoSuchID(onlySpace)
	}
	return nil
}

// NoSuchID returns an error as CheckID does, for a reason of the store's own.
func NoSuchID(reason string) error {
	return fmt.Errorf("%w (%w)", &InvalidTokenError{Field: "ID", Reason: reason}, ErrTokenNotFound)
}
