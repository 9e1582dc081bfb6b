package codec

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/oauthstore/oauthstore"
)

// JSON is the codec for documents in clear. Every field is a string; the names are the columns of the
// Zoho CRM SDKs' token persistence:
//
//	format                     "1", or the "1.x" that a newer library wrote
//	id, user_name              who
//	client_id, client_secret, redirect_url
//	grant_token, refresh_token, access_token
//	token_type, scope, api_domain
//	extra                      other members of the provider's answer, a JSON object in a string
//	expiry_time                milliseconds since 1970-01-01 UTC
//	superseded_refresh_tokens  digests of former refresh tokens, newest first, with spaces between
//
// Empty fields are left out. Fields that it does not know, a name in other case among them, are kept as
// they are.
type JSON struct{}

var _ Codec = JSON{}

const (
	expiryField     = "expiry_time"
	supersededField = "superseded_refresh_tokens"
)

// column is a string field of the token and its name in the document.
type column struct {
	name  string
	value *string
}

func columns(t *oauthstore.OAuthToken) []column {
	return []column{
		{"id", &t.ID},
		{"user_name", &t.UserName},
		{"client_id", &t.ClientID},
		{"client_secret", &t.ClientSecret},
		{"redirect_url", &t.RedirectURL},
		{"grant_token", &t.GrantToken},
		{"refresh_token", &t.RefreshToken},
		{"access_token", &t.AccessToken},
		{"token_type", &t.TokenType},
		{"scope", &t.Scope},
		{"api_domain", &t.APIDomain},
		{"extra", &t.Extra},
	}
}

// Encode implements [Codec]. The document does not depend on the secret's name.
func (JSON) Encode(_ string, r *oauthstore.Record) (Document, error) {
	if err := r.Token.Validate(); err != nil {
		return nil, err
	}
	if r.Token.ID == "" {
		return nil, &oauthstore.InvalidTokenError{Field: "ID", Reason: "is not set"}
	}
	if !hasToken(&r.Token) {
		return nil, &oauthstore.InvalidTokenError{Field: "RefreshToken", Reason: "is not set, nor are GrantToken and AccessToken"}
	}
	d := make(Document, len(r.Unknown)+12)
	for name, value := range r.Unknown {
		d[name] = value
	}
	SetFormat(d)
	token := r.Token
	for _, c := range columns(&token) {
		d.setOrOmit(c.name, *c.value)
	}
	d.setOrOmit(expiryField, formatExpiry(token.Expiry))
	d.setOrOmit(supersededField, strings.Join(r.Superseded, " "))
	return d, nil
}

// hasToken reports whether there is what every record has: an insert needs it, and no update takes it away.
func hasToken(t *oauthstore.OAuthToken) bool {
	return t.GrantToken != "" || t.RefreshToken != "" || t.AccessToken != ""
}

// setOrOmit sets a field of the token; an empty one is left out, whatever has come in by its name.
func (d Document) setOrOmit(name, value string) {
	if value == "" {
		delete(d, name)
		return
	}
	d.Set(name, value)
}

// formatExpiry is empty also for a time in the zero time's millisecond, as which it would come back.
func formatExpiry(t time.Time) string {
	ms := t.UnixMilli()
	if ms == (time.Time{}).UnixMilli() {
		return ""
	}
	return strconv.FormatInt(ms, 10)
}

// Decode implements [Codec].
func (JSON) Decode(secret string, d Document) (*oauthstore.Record, error) {
	r, err := decode(d)
	if err != nil {
		return nil, corrupt(secret, err)
	}
	return r, nil
}

func decode(d Document) (*oauthstore.Record, error) {
	if err := CheckFormat(d); err != nil {
		return nil, err
	}
	r := new(oauthstore.Record)
	format, _ := d.Get(formatField)
	known := map[string]bool{formatField: format == FormatVersion, expiryField: true, supersededField: true}
	for _, c := range columns(&r.Token) {
		value, err := d.Get(c.name)
		if err != nil {
			return nil, err
		}
		*c.value, known[c.name] = value, true
	}
	if r.Token.ID == "" {
		return nil, errors.New("no id")
	}
	var err error
	if r.Token.Expiry, err = expiry(d); err != nil {
		return nil, err
	}
	superseded, err := d.Get(supersededField)
	if err != nil {
		return nil, err
	}
	if !hasToken(&r.Token) {
		return nil, errors.New("no grant, refresh or access token")
	}
	r.Superseded = strings.Fields(superseded)
	r.Unknown = unknown(d, known)
	return r, r.Token.Validate()
}

func expiry(d Document) (time.Time, error) {
	text, err := d.Get(expiryField)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	t := time.UnixMilli(ms).UTC()
	if err != nil || formatExpiry(t) != text { // as Encode writes it: no plus, no leading zeros
		return time.Time{}, errors.New("field expiry_time is not a number of milliseconds")
	}
	return t, nil
}

// unknown returns the fields of d that are not known, nil where there are none.
func unknown(d Document, known map[string]bool) map[string]json.RawMessage {
	var rest map[string]json.RawMessage
	for name, value := range d {
		if known[name] {
			continue
		}
		if rest == nil {
			rest = make(map[string]json.RawMessage)
		}
		rest[name] = value
	}
	return rest
}
