package oauthstore

import (
	"slices"
	"strings"
)

// A Rule says by what a token points at a record.
type Rule int

// The rules, in their order: the first that applies to a token is the only one that counts.
const (
	RuleID           Rule = iota + 1 // the id is set
	RuleUserName                     // the user name is set; client ids, where both sides have one, are equal
	RuleAccessToken                  // the access token is set, client id and client secret are not
	RuleRefreshToken                 // the grant or refresh token, client id and client secret are set
	RuleNone                         // nothing to go by: cannot be found, and is saved under its DerivedTokenID
)

// RuleFor returns the rule that applies to token.
func RuleFor(token *OAuthToken) Rule {
	switch {
	case token.ID != "":
		return RuleID
	case token.UserName != "":
		return RuleUserName
	case token.AccessToken != "" && token.ClientID == "" && token.ClientSecret == "":
		return RuleAccessToken
	case (token.GrantToken != "" || token.RefreshToken != "") && token.ClientID != "" && token.ClientSecret != "":
		return RuleRefreshToken
	default:
		return RuleNone
	}
}

// CheckFindable returns the [*InvalidTokenError] of a token that is not valid, or to which no rule applies: then it names
// the fields that are missing.
func CheckFindable(token *OAuthToken) error {
	if err := token.Validate(); err != nil {
		return err
	}
	switch {
	case RuleFor(token) != RuleNone:
		return nil
	case token.GrantToken == "" && token.RefreshToken == "":
		return &InvalidTokenError{Field: "ID, UserName", Reason: "are not set, and there is nothing else to find a token by: " +
			"an AccessToken without client, or a GrantToken or RefreshToken with ClientID and ClientSecret"}
	default:
		var missing []string
		if token.ClientID == "" {
			missing = append(missing, "ClientID")
		}
		if token.ClientSecret == "" {
			missing = append(missing, "ClientSecret")
		}
		return &InvalidTokenError{Field: strings.Join(missing, ", "), Reason: "needed to find a token by its grant or refresh token"}
	}
}

// CheckSavable returns the [*InvalidTokenError] of a token that no store can save, whatever is stored: a token that is not
// valid, or that has no grant, refresh or access token and neither an id nor a user name to find a record by. A store
// calls it before anything else.
func CheckSavable(token *OAuthToken) error {
	if err := token.Validate(); err != nil {
		return err
	}
	if RuleFor(token) == RuleNone {
		return checkToken(token)
	}
	return nil
}

// Match returns the one of the stored tokens that token points at, nil if there is none. It looks at
// the stored tokens only: the answer does not depend on their order.
//
// By user name several may match. The first of these counts: the one with the very same client id,
// the one without a client id, the one under the id derived from the user name, the one with the
// smallest id.
//
// By access, grant or refresh token several may match too. The one with the smallest id counts, in every store, whatever
// the order in which the records got the token. A token that has both a grant and a refresh token is found by its grant
// token first: a record with that grant token counts before one with that refresh token, whatever their ids.
//
// A save goes by the same rules, and also by former refresh tokens: see [MatchSaved]. A token to which no rule applies is
// saved as if its id were [DerivedTokenID], so that equal saves make one record. FindTokenByID finds it, under the id that
// SaveToken fills in.
func Match(token *OAuthToken, stored []*OAuthToken) *OAuthToken {
	switch RuleFor(token) {
	case RuleID:
		return first(stored, func(s *OAuthToken) bool { return s.ID == token.ID })
	case RuleUserName:
		return matchUser(token, stored)
	case RuleAccessToken:
		return first(stored, func(s *OAuthToken) bool { return s.AccessToken == token.AccessToken })
	case RuleRefreshToken:
		if found := first(stored, func(s *OAuthToken) bool {
			return token.GrantToken != "" && s.GrantToken == token.GrantToken && s.ClientID == token.ClientID
		}); found != nil {
			return found
		}
		return first(stored, func(s *OAuthToken) bool {
			return token.RefreshToken != "" && s.RefreshToken == token.RefreshToken && s.ClientID == token.ClientID
		})
	default:
		return nil
	}
}

// MatchSaved returns the stored record that a save of token updates, or nil. That is the record that [Match]
// returns. If Match returns nil and the token goes by its refresh token, it is the record with the smallest id among those that
// have the same client id and have had the refresh token before ([Record.Superseded]).
//
// So a copy of a token that comes back after its refresh token was replaced does not become a second record. [Record.Merge]
// keeps the newer refresh token; the other fields that the copy sets win, as in every save.
func MatchSaved(token *OAuthToken, stored []*Record) *Record {
	tokens := make([]*OAuthToken, len(stored))
	for i, r := range stored {
		tokens[i] = &r.Token
	}
	if found := Match(token, tokens); found != nil {
		return stored[slices.Index(tokens, found)]
	}
	if RuleFor(token) != RuleRefreshToken || token.RefreshToken == "" {
		return nil
	}
	had := digest(token.RefreshToken)
	var found *Record
	for _, r := range stored {
		if r.Token.ClientID == token.ClientID && slices.Contains(r.Superseded, had) && (found == nil || r.Token.ID < found.Token.ID) {
			found = r
		}
	}
	return found
}

func matchUser(token *OAuthToken, stored []*OAuthToken) *OAuthToken {
	sameUser := func(s *OAuthToken) bool { return s.UserName == token.UserName }
	for _, fits := range []func(s *OAuthToken) bool{
		func(s *OAuthToken) bool { return s.ClientID == token.ClientID },
		func(s *OAuthToken) bool { return s.ClientID == "" },
		func(s *OAuthToken) bool { return token.ClientID == "" && s.ID == DerivedID(token.UserName, "") },
		func(s *OAuthToken) bool { return token.ClientID == "" },
	} {
		if found := first(stored, func(s *OAuthToken) bool { return sameUser(s) && fits(s) }); found != nil {
			return found
		}
	}
	return nil
}

// first returns the token with the smallest id of those that fit.
func first(stored []*OAuthToken, fits func(*OAuthToken) bool) *OAuthToken {
	var found *OAuthToken
	for _, s := range stored {
		if fits(s) && (found == nil || s.ID < found.ID) {
			found = s
		}
	}
	return found
}

// CheckConflict returns a [*ConflictError] if one of the stored tokens, under another id, has the
// user name and client id of token. Tokens without user name never conflict.
func CheckConflict(token *OAuthToken, stored []*OAuthToken) error {
	i := slices.IndexFunc(stored, func(s *OAuthToken) bool { return s.ID != token.ID && SameUser(s, token) })
	if i < 0 {
		return nil
	}
	return &ConflictError{ID: stored[i].ID}
}

// SameUser reports whether a and b have one user name, which is set, and one client id.
func SameUser(a, b *OAuthToken) bool {
	return a.UserName != "" && a.UserName == b.UserName && a.ClientID == b.ClientID
}
