package authtest

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"regexp"
)

// A pkceChallenge is a code challenge and how it is made of the verifier (RFC 7636, 4.2); the zero value is none.
type pkceChallenge struct {
	value, method string
}

// pkceSyntax is that of a code verifier and of a code challenge (RFC 7636, 4.1 and 4.2).
var pkceSyntax = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

// newChallenge reads the challenge of an authorization request (RFC 7636, 4.3 and 4.4.1).
func newChallenge(client *Client, form url.Values) (pkceChallenge, *refusal) {
	p := pkceChallenge{value: form.Get("code_challenge"), method: form.Get("code_challenge_method")}
	switch {
	case p.value == "" && p.method != "":
		return p, badRequest("code_challenge is missing")
	case p.value == "" && (client.RequirePKCE || client.Secret == ""): // a public client (RFC 9700, 2.1.1)
		return p, badRequest("code challenge required")
	case p.value == "":
		return p, nil
	case !pkceSyntax.MatchString(p.value):
		return p, badRequest("code_challenge is malformed")
	case p.method == "":
		p.method = "plain"
	case p.method != "plain" && p.method != "S256":
		return p, badRequest("transform algorithm not supported")
	}
	return p, nil
}

// verify compares a verifier with the challenge (RFC 7636, 4.6). A verifier where there was no challenge is refused:
// somebody may have taken the challenge away (RFC 9700, 4.8.2).
func (p pkceChallenge) verify(verifier string) *refusal {
	switch {
	case p.value == "" && verifier == "":
		return nil
	case p.value == "":
		return invalidGrant("code_verifier without a code_challenge")
	case verifier == "":
		return invalidGrant("code_verifier is missing")
	case !pkceSyntax.MatchString(verifier):
		return badRequest("code_verifier is malformed")
	case p.method == "S256":
		sum := sha256.Sum256([]byte(verifier))
		verifier = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if verifier != p.value {
		return invalidGrant("code_verifier does not fit the code_challenge")
	}
	return nil
}
