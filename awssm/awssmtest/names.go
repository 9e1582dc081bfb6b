package awssmtest

import (
	"math/rand/v2"
	"regexp"
	"strings"
)

const (
	arnPrefix     = "arn:aws:secretsmanager:" + Region + ":" + Account + ":secret:"
	alphanumerics = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

var (
	nameRE   = regexp.MustCompile(`^[A-Za-z0-9/_+=.@!-]+$`)
	suffixRE = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)
)

// newARN gives name an ARN: "The ARN includes the name of the secret followed by six random
// characters", so that a secret and its successor of the same name are told apart.
func newARN(name string) string {
	suffix := make([]byte, 6)
	for i := range suffix {
		suffix[i] = alphanumerics[rand.IntN(len(alphanumerics))]
	}
	return arnPrefix + name + "-" + string(suffix)
}

func checkName(name string) error {
	if nameRE.MatchString(name) {
		return nil
	}
	return clientError("ValidationException", "Invalid name. Must be a valid name containing"+
		" alphanumeric characters, or any of the following: -/_+=.@!")
}

// A secretRef is the parameter by which nearly all requests name their secret.
type secretRef struct {
	SecretID *string `json:"SecretId"`
}

func (r *secretRef) check(c *checks) {
	c.required("secretId", r.SecretID != nil)
	c.text("secretId", r.SecretID, 1, maxSecretID)
}

// validate is for the requests that have no other parameter.
func (r *secretRef) validate() error {
	var c checks
	r.check(&c)
	return r.finish(c)
}

// finish ends a validation: a broken constraint comes first, then a bad name.
func (r *secretRef) finish(c checks) error {
	if err := c.err(); err != nil {
		return err
	}
	if isARN(*r.SecretID) {
		return nil
	}
	return checkName(*r.SecretID)
}

func isARN(id string) bool { return strings.HasPrefix(id, "arn:") }

// find looks a secret up by its name, its ARN, or its ARN without the random end. A partial ARN
// that looks as if it had one is taken for a complete ARN, and not found: the trap of which the
// documentation warns for names that end in a hyphen and six characters.
func (s *Server) find(id string) (*secret, error) {
	name := id
	if isARN(id) {
		tail, ours := strings.CutPrefix(id, arnPrefix)
		if !ours {
			return nil, errNoSecret()
		}
		name = suffixRE.ReplaceAllString(tail, "")
	}
	sec, ok := s.secrets[name]
	if !ok || isARN(id) && suffixRE.MatchString(id) && id != sec.arn {
		return nil, errNoSecret()
	}
	return sec, nil
}

// usable is find for the operations that a deletion under way forbids.
func (s *Server) usable(id string) (*secret, error) {
	sec, err := s.find(id)
	if err != nil {
		return nil, err
	}
	switch {
	case sec.deletion == nil:
		return sec, nil
	case sec.deletion.forced:
		return nil, errInvalidRequest("You can't perform this operation on the secret because it was deleted.")
	}
	return nil, errInvalidRequest("You can't perform this operation on the secret because it was marked for deletion.")
}

// shortName returns the name in id, which may be an ARN and need not be that of a secret.
func (s *Server) shortName(id string) string {
	tail, ok := strings.CutPrefix(id, arnPrefix)
	if !ok {
		return id
	}
	return suffixRE.ReplaceAllString(tail, "")
}
