package authtest

import (
	"regexp"
	"slices"
	"strings"
)

// scopeSyntax is that of a list of scopes (RFC 6749, 3.3).
var scopeSyntax = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$`)

// parseScope reads the parameter scope of an authorization request.
func (s *Server) parseScope(list string) ([]string, *refusal) {
	if list == "" {
		return s.options.scopes, nil
	}
	if !scopeSyntax.MatchString(list) {
		return nil, invalidScope("scope is malformed")
	}
	scopes := strings.Split(list, " ")
	if s.options.scopes != nil && !contains(s.options.scopes, scopes) {
		return nil, invalidScope("there is no such scope")
	}
	return scopes, nil
}

// narrowScope reads the parameter scope of a refresh, which may not be more than was granted (RFC 6749, 6).
func narrowScope(list string, granted []string) ([]string, *refusal) {
	if list == "" {
		return granted, nil
	}
	scopes := strings.Split(list, " ")
	if !scopeSyntax.MatchString(list) || !contains(granted, scopes) {
		return nil, invalidScope("the scope exceeds what was granted")
	}
	return scopes, nil
}

func (s *Server) mustGrant(scopes []string) []string {
	granted, refused := s.parseScope(strings.Join(scopes, " "))
	if refused != nil {
		panic("authtest: " + refused.description)
	}
	return granted
}

// contains reports whether all is all of some.
func contains(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}
