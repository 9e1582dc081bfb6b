// Package panics carries a panic of a caller's code (a store, an AEAD, an observer) from a goroutine of the library to a
// goroutine that waits for it. Without it the panic would end the process, and no caller could recover from it.
package panics

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
)

// An Error says that a call in another goroutine has panicked, or has ended that goroutine (runtime.Goexit).
//
// Its text does not show the panic's value, unless that is a runtime error: an Error may end up in a log, and the value
// may quote a secret.
type Error struct {
	Value any    // of the panic; nil after runtime.Goexit
	Stack []byte // of the goroutine that has panicked
}

// Run calls f, and then end: with nil if f has returned, else with its panic.
func Run(f func(), end func(*Error)) {
	returned := false
	defer func() {
		if returned {
			end(nil)
			return
		}
		end(caught(recover()))
	}()
	f()
	returned = true
}

// Try calls f and returns its error, or its panic as an [*Error].
func Try(f func() error) (err error) {
	Run(func() { err = f() }, func(p *Error) {
		if p != nil {
			err = p
		}
	})
	return err
}

// caught returns the Error of what recover has returned.
func caught(value any) *Error {
	if again, ok := value.(*repeated); ok {
		return again.first // with the stack of the goroutine that panicked first
	}
	return &Error{Value: value, Stack: debug.Stack()}
}

// Error implements error.
func (e *Error) Error() string {
	var fault runtime.Error
	switch err, _ := e.Value.(error); {
	case e.Value == nil:
		return "a call has ended its goroutine"
	case errors.As(err, &fault):
		return "a call has panicked: " + fault.Error()
	default:
		return fmt.Sprintf("a call has panicked with a value of type %T", e.Value)
	}
}

// GoString is Error in quotes, so that %#v does not show the value.
func (e *Error) GoString() string { return fmt.Sprintf("%q", e.Error()) }

// Unwrap returns the panic's value if that is an error.
func (e *Error) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Repeat panics if e is a panic. The new panic shows the value and the stack of the first one.
func (e *Error) Repeat() {
	if e != nil && e.Value != nil {
		panic(&repeated{e})
	}
}

// repeated is the value of a panic that was repeated.
type repeated struct{ first *Error }

// Error shows as much of the value as Go does if no function recovers from a panic.
func (r *repeated) Error() string {
	shown := r.first.Error()
	switch value := r.first.Value.(type) {
	case error, fmt.Stringer:
		shown = fmt.Sprint(value)
	default:
		if k := reflect.TypeOf(value).Kind(); k == reflect.String || k >= reflect.Bool && k <= reflect.Complex128 {
			shown = fmt.Sprint(value)
		}
	}
	return fmt.Sprintf("%s\n\nfirst in another goroutine:\n%s", shown, r.first.Stack)
}

// Unwrap returns the Error of the first panic.
func (r *repeated) Unwrap() error { return r.first }
