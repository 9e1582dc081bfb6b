// Package overdue makes the error of a request that took longer than its caller had set a time for.
package overdue

import (
	"context"
	"errors"

	"github.com/oauthstore/oauthstore"
)

// New returns an error that wraps oauthstore.ErrUnavailable and err. what says what took too long. The error hides
// that a context has ended, as the caller's has not.
func New(what string, err error) error { return &overdue{what, err} }

type overdue struct {
	what string
	err  error
}

// Error implements error. It names the class once.
func (o *overdue) Error() string {
	text := o.what + ": " + o.err.Error()
	if errors.Is(o.err, oauthstore.ErrUnavailable) {
		return text
	}
	return oauthstore.ErrUnavailable.Error() + ": " + text
}

// Is implements what errors.Is asks for.
func (o *overdue) Is(target error) bool {
	return target == oauthstore.ErrUnavailable || !isContext(target) && errors.Is(o.err, target)
}

// As implements what errors.As asks for.
func (o *overdue) As(target any) bool { return errors.As(o.err, target) }

func isContext(err error) bool { return err == context.DeadlineExceeded || err == context.Canceled }
