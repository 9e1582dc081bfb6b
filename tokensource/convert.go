package tokensource

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
)

// The members of a provider's answer that a record has fields for, beside those of oauth2.Token.
const (
	scopeMember        = "scope"          // RFC 6749, 5.1
	apiDomainMember    = "api_domain"     // Zoho
	expiresInMember    = "expires_in"     // RFC 6749, 5.1
	expiresInSecMember = "expires_in_sec" // Zoho, where expires_in is in milliseconds
)

// ToOAuth2 returns the token as package oauth2 has it. Its Extra has scope, api_domain, and the members that
// token.Extra holds, with numbers as float64.
func ToOAuth2(token *oauthstore.OAuthToken) *oauth2.Token {
	t := &oauth2.Token{
		AccessToken:  token.AccessToken,
		TokenType:    token.TokenType,
		RefreshToken: token.RefreshToken,
		Expiry:       token.Expiry,
	}
	members := parseExtra(token.Extra)
	set := func(name, value string) {
		if value != "" {
			members[name] = value
		}
	}
	set(scopeMember, token.Scope)
	set(apiDomainMember, token.APIDomain)
	return t.WithExtra(members)
}

// FromOAuth2 returns what a store keeps of t: its tokens, type and expiry, scope and api_domain, and in Extra those of
// the named other members of the provider's answer that it has. Whose it is, is the caller's to set.
func FromOAuth2(t *oauth2.Token, extra ...string) *oauthstore.OAuthToken {
	token := &oauthstore.OAuthToken{
		AccessToken:  t.AccessToken,
		TokenType:    t.TokenType,
		RefreshToken: t.RefreshToken,
		Scope:        scopeOf(t),
		APIDomain:    textOf(t, apiDomainMember),
		Expiry:       t.Expiry,
	}
	members := make(map[string]any)
	for _, name := range extra {
		if v := t.Extra(name); v != nil && v != "" {
			members[name] = v
		}
	}
	token.Extra = formatExtra(members)
	return token
}

func textOf(t *oauth2.Token, member string) string {
	text, _ := t.Extra(member).(string)
	return text
}

// scopeOf is the scope of the answer; some providers send a list.
func scopeOf(t *oauth2.Token) string {
	list, ok := t.Extra(scopeMember).([]any)
	if !ok {
		return textOf(t, scopeMember)
	}
	var names []string
	for _, name := range list {
		if s, ok := name.(string); ok {
			names = append(names, s)
		}
	}
	return strings.Join(names, " ")
}

// parseExtra returns the members of a record's Extra, none where that is no JSON object.
func parseExtra(extra string) map[string]any {
	members := make(map[string]any)
	if extra == "" || json.Unmarshal([]byte(extra), &members) != nil || members == nil {
		return make(map[string]any)
	}
	return members
}

func formatExtra(members map[string]any) string {
	if len(members) == 0 {
		return ""
	}
	b, err := json.Marshal(members)
	if err != nil {
		return "" // not from a provider's JSON
	}
	return string(b)
}

// mergeExtra returns the Extra of a record after an answer: what the answer lacks stays.
func mergeExtra(had, has string) string {
	if had == "" || has == "" {
		return had + has
	}
	members := parseExtra(had)
	maps.Copy(members, parseExtra(has))
	return formatExtra(members)
}

// lifetime returns how long the access token of an answer lives, 0 where it does not say. expires_in is in unit. members
// are those of the answer, where it is in JSON.
func lifetime(t *oauth2.Token, members map[string]any, unit time.Duration) time.Duration {
	if seconds, ok := number(t.Extra(expiresInSecMember)); ok {
		return seconds.times(time.Second)
	}
	n, ok := number(members[expiresInMember])
	if !ok {
		n, _ = number(t.Extra(expiresInMember)) // of a form
	}
	return n.times(unit)
}

// count is a number of units of time, as a provider has it.
type count float64

// maxLifetime keeps a provider's number from running over.
const maxLifetime = 100 * 365 * 24 * time.Hour

func (c count) times(unit time.Duration) time.Duration {
	switch d := float64(c) * float64(unit); {
	case !(d > 0):
		return 0
	case d > float64(maxLifetime):
		return maxLifetime
	default:
		return time.Duration(d)
	}
}

// number reads a number, or a text that is one.
func number(v any) (count, bool) {
	switch n := v.(type) {
	case float64:
		return count(n), true
	case int64:
		return count(n), true
	case string:
		f, err := strconv.ParseFloat(n, 64)
		return count(f), err == nil
	default:
		return 0, false
	}
}
