package engine

import (
	"fmt"
	"strings"
)

// A Fault is an error of a service, filed under the class that callers branch on. Its text says who
// failed at what on which secret, and the service's message only where the request held no token: a
// service may quote in an error what it was sent. errors.As reaches the service's own error all the
// same.
type Fault struct {
	Backend string // "awssm"
	Op      string // the service's word for the call
	Secret  string // full name, empty for calls about several
	Class   error  // a sentinel of package oauthstore or of this one; nil for anything else
	Code    string // the service's word for the error
	Message string // the service's message; empty if the request held a token
	Err     error
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
		text += ": " + f.Message
	}
	return text
}

// GoString is Error in quotes, so that %#v does not walk through the service's error.
func (f *Fault) GoString() string { return fmt.Sprintf("%q", f.Error()) }

// MarshalText makes the text of it for encoders too, which would otherwise walk through the service's error.
func (f *Fault) MarshalText() ([]byte, error) { return []byte(f.Error()), nil }

// Unwrap returns class and cause.
func (f *Fault) Unwrap() []error {
	if f.Class == nil {
		return []error{f.Err}
	}
	return []error{f.Class, f.Err}
}
