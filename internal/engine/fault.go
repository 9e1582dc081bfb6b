package engine

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Fault is an error of a service, filed under the class that callers branch on. Its text says who
// failed at what on which secret, and the service's message only where the request held no token: a
// service may quote in an error what it was sent. The text is one line, and at most 512 bytes of it are the message.
// errors.As reaches the service's own error all the same.
type Fault struct {
	Backend string // "awssm"
	Op      string // the service's word for the call
	Secret  string // full name, empty for calls about several
	Class   error  // a sentinel of package oauthstore or of this one; nil for anything else
	Code    string // the service's word for the error, or the HTTP status
	Message string // the service's message; empty if the request held a token. Never the body of an unknown answer
	Err     error

	// Outcome is [ErrNotWritten] or [ErrMayCome], if the write's outcome is known. It is not part of the text.
	Outcome error
}

// NotWritten adds to the error of a write that nothing was written.
func NotWritten(err error) error {
	f, ok := err.(*Fault)
	if !ok {
		return fmt.Errorf("%w: %w", err, ErrNotWritten)
	}
	known := *f
	known.Outcome = ErrNotWritten
	return &known
}

// Error implements error.
func (f *Fault) Error() string {
	text := f.Backend + ": " + f.Op
	if f.Secret != "" {
		text += " " + f.Secret
	}
	if f.Class != nil {
		text += ": " + strings.TrimPrefix(f.Class.Error(), "oauthstore: ") // who failed stands before it
	}
	if f.Code != "" {
		text += " (" + f.Code + ")"
	}
	if f.Message != "" {
		text += ": " + excerpt(f.Message)
	}
	return text
}

// maxMessage is how many bytes of a message are shown.
const maxMessage = 512

// credentials finds signs that a message quotes a request with the caller's credentials: the headers that carry them,
// and what such values begin with. Proxies quote requests, and AWS quotes what was signed.
var credentials = regexp.MustCompile(`(?i)\b(authorization|x-vault-token|x-amz-security-token|cookie)["']*\s*[:=]` +
	`|\bbearer\s+\S|\baws4-hmac-sha256\b|\bhv[sbr]\.|\bya29\.`)

// excerpt is what may be shown of a message: one line of it, bounded, and nothing if it quotes credentials. It looks only at
// the beginning of a very long message.
func excerpt(message string) string {
	message = message[:min(len(message), 16*maxMessage)]
	if credentials.MatchString(message) {
		return "the message is not shown, since it quotes credentials"
	}
	line := strings.Join(strings.FieldsFunc(strings.ToValidUTF8(message, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if len(line) <= maxMessage {
		return line
	}
	const more = "…"
	cut := maxMessage - len(more)
	for !utf8.RuneStart(line[cut]) {
		cut--
	}
	return line[:cut] + more
}

// minSecret is the least length of a secret in Redact: "true" is the value of a header too.
const minSecret = 8

// Redact replaces the secrets in a text. A text of less than 8 bytes is no secret.
func Redact(text string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) >= minSecret {
			text = strings.ReplaceAll(text, s, "[redacted]")
		}
	}
	return text
}

// GoString is Error in quotes, so that %#v does not walk through the service's error.
func (f *Fault) GoString() string { return fmt.Sprintf("%q", f.Error()) }

// MarshalText makes the text of it for encoders too, which would otherwise walk through the service's error.
func (f *Fault) MarshalText() ([]byte, error) { return []byte(f.Error()), nil }

// Unwrap returns what there is of class, outcome and cause.
func (f *Fault) Unwrap() []error {
	return slices.DeleteFunc([]error{f.Class, f.Outcome, f.Err}, func(err error) bool { return err == nil })
}
