package oauthstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"
)

// An OAuthToken is what an OAuth 2 client keeps for one user: the tokens of RFC 6749 and what is
// needed to use and refresh them.
//
// Printing a token does not show a secret: with package fmt (%v, %+v, %#v, %s, %q and the others), with
// log/slog, in a panic, as value or pointer, in exported fields, slices and maps. What Go does not let a
// type prevent, three things print it whole:
//
//   - %w and %p, which do not take a token (go vet says so): fmt reports such a mistake with all fields;
//   - a token by value in an unexported field of something else that is printed, because Go calls no
//     method there, and a pointer there with a verb other than %v, %+v, %#v, %d and %x;
//   - encoders that look at fields by reflection: encoding/gob, encoding/xml, debuggers.
//
// encoding/json, which slog's JSON handler uses for what stands inside of something else, gets an error
// instead: see [OAuthToken.MarshalJSON].
type OAuthToken struct {
	// ID is the record's key in the store. Any string but white space only; the store makes one if it is empty.
	ID string

	// UserName says whose token it is: whatever the application calls its users. Any string but white space only.
	UserName string

	// ClientID and ClientSecret are the application's credentials at the provider (RFC 6749, 2.2, 2.3.1).
	ClientID, ClientSecret string

	// RedirectURL is where the provider sends the user back to (RFC 6749, 3.1.2).
	RedirectURL string

	// GrantToken is the authorization code (RFC 6749, 1.3.1), which Zoho calls grant token.
	GrantToken string

	// RefreshToken is the credential for new access tokens (RFC 6749, 1.5).
	RefreshToken string

	// AccessToken is the credential for the provider's API (RFC 6749, 1.4).
	AccessToken string

	// TokenType says how to present AccessToken, usually "Bearer" (RFC 6749, 7.1).
	TokenType string

	// Scope is what AccessToken is good for: names with spaces between (RFC 6749, 3.3).
	Scope string

	// APIDomain is the base URL of the API that AccessToken is for, where the provider names one.
	APIDomain string

	// Extra holds those other members of the provider's answer that the application keeps, such as instance_url,
	// as the text of a JSON object.
	Extra string

	// Expiry is when AccessToken ends. Zero: not known, or never. Stored in milliseconds, as UTC.
	Expiry time.Time

	// read is the token as a store returned it; what equals it was not set by the caller. Never
	// changed once made, so that copies of a token may share it.
	read *OAuthToken

	// incarnation, of what was read, is that of the record.
	incarnation string
}

// Detached returns a copy of t that does not remember what a store returned: each of its fields that is
// set counts in a save. It is for tokens that go from one store to another.
func (t *OAuthToken) Detached() *OAuthToken {
	c := *t
	c.read = nil
	return &c
}

// textField is one of the string fields of a token, by name.
type textField struct {
	name   string
	value  *string
	secret bool
}

// textFields lists the string fields but ID, in the order of the type. Merging, validation and
// printing go by this list, so that a new field cannot be left out of one of them.
func (t *OAuthToken) textFields() []textField {
	return []textField{
		{"UserName", &t.UserName, false},
		{"ClientID", &t.ClientID, false},
		{"ClientSecret", &t.ClientSecret, true},
		{"RedirectURL", &t.RedirectURL, false},
		{"GrantToken", &t.GrantToken, true},
		{"RefreshToken", &t.RefreshToken, true},
		{"AccessToken", &t.AccessToken, true},
		{"TokenType", &t.TokenType, false},
		{"Scope", &t.Scope, false},
		{"APIDomain", &t.APIDomain, false},
		{"Extra", &t.Extra, true},
	}
}

// DefaultLeeway is how long before its expiry [OAuthToken.Valid] takes an access token for expired,
// so that a request that is sent with it still arrives in time.
const DefaultLeeway = 10 * time.Second

// Expired reports whether the access token ends within leeway from now. A token without Expiry does
// not expire.
func (t *OAuthToken) Expired(leeway time.Duration) bool {
	return !t.Expiry.IsZero() && !time.Now().Add(leeway).Before(t.Expiry)
}

// Valid reports whether there is an access token that does not expire within [DefaultLeeway].
func (t *OAuthToken) Valid() bool {
	return t != nil && t.AccessToken != "" && !t.Expired(DefaultLeeway)
}

// Validate returns an [*InvalidTokenError] for a token that no store can keep: a nil token, or one with a field that is
// not valid UTF-8, an ID or a UserName of only white space, an Extra that is not a JSON object, or an Expiry outside of
// the years 1 to 9999. Whether a token can be saved is for [CheckSavable] to say.
func (t *OAuthToken) Validate() error {
	if t == nil {
		return &InvalidTokenError{Field: "token", Reason: "is nil"}
	}
	if !utf8.ValidString(t.ID) {
		return &InvalidTokenError{Field: "ID", Reason: notUTF8}
	}
	for _, f := range t.textFields() {
		if !utf8.ValidString(*f.value) {
			return &InvalidTokenError{Field: f.name, Reason: notUTF8}
		}
	}
	switch {
	case isBlank(t.ID):
		return &InvalidTokenError{Field: "ID", Reason: onlySpace}
	case isBlank(t.UserName):
		return &InvalidTokenError{Field: "UserName", Reason: onlySpace}
	case t.Extra != "" && !isObject(t.Extra):
		return &InvalidTokenError{Field: "Extra", Reason: "is not a JSON object"}
	}
	if y := t.Expiry.UTC().Year(); !t.Expiry.IsZero() && (y < 1 || y > 9999) {
		return &InvalidTokenError{Field: "Expiry", Reason: "is outside of the years 1 to 9999"}
	}
	return nil
}

// Reasons of an InvalidTokenError.
const (
	notUTF8   = "is not valid UTF-8"
	onlySpace = "is only white space"
)

// isBlank reports whether s is set and has nothing but white space.
func isBlank(s string) bool { return s != "" && strings.TrimSpace(s) == "" }

// isObject reports whether text is a JSON object.
func isObject(text string) bool {
	return strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") && json.Valid([]byte(text))
}

const redacted = "[redacted]"

// String shows the token with its secrets redacted; empty fields are left out.
func (t OAuthToken) String() string {
	var b strings.Builder
	b.WriteString("OAuthToken{")
	for i, a := range t.attrs() {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s: %s", a.Key, a.Value)
	}
	b.WriteString("}")
	return b.String()
}

// GoString is String: %#v shows no secret either.
func (t OAuthToken) GoString() string { return t.String() }

// Format writes String for every verb.
func (t OAuthToken) Format(f fmt.State, _ rune) {
	// There is nowhere to report an error of the writer to.
	_, _ = io.WriteString(f, t.String())
}

// LogValue makes slog show the token as a group with its secrets redacted.
func (t OAuthToken) LogValue() slog.Value { return slog.GroupValue(t.attrs()...) }

// attrs is what may be shown of the token.
func (t *OAuthToken) attrs() []slog.Attr {
	var attrs []slog.Attr
	if t.ID != "" {
		attrs = append(attrs, slog.String("ID", t.ID))
	}
	for _, f := range t.textFields() {
		switch {
		case *f.value == "":
		case f.secret:
			attrs = append(attrs, slog.String(f.name, redacted))
		default:
			attrs = append(attrs, slog.String(f.name, *f.value))
		}
	}
	if !t.Expiry.IsZero() {
		attrs = append(attrs, slog.String("Expiry", t.Expiry.UTC().Format(time.RFC3339Nano)))
	}
	return attrs
}

var errUseCodec = errors.New("oauthstore: package encoding/json does not take an OAuthToken: use codec.JSON of github.com/oauthstore/oauthstore/codec")

// MarshalJSON always fails, so that no secret gets into a log by way of encoding/json (slog's JSON
// handler uses it for a token inside a struct). To make a token's JSON document on purpose, use
// codec.JSON.
func (t OAuthToken) MarshalJSON() ([]byte, error) { return nil, errUseCodec }

// UnmarshalJSON always fails; codec.JSON reads what it wrote.
func (t *OAuthToken) UnmarshalJSON([]byte) error { return errUseCodec }
