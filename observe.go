package oauthstore

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// An Event tells of something between a store and its service: see WithObserver of packages awssm, vault and gcpsm. It
// holds no secret; but names of secrets hold ids of records.
//
// If an observer panics, the call that the event is about panics, whichever goroutine the observer was in.
type Event struct {
	Kind    EventKind
	Backend string // the package of the store: awssm, vault, gcpsm

	// Operation is what was asked of the service, in its own words: the name of the API operation on AWS and Google,
	// the HTTP method and the branch of the API on Vault ("GET data"). Of an EventRequest only.
	Operation string

	Secret   string        // the full name; empty where it is about several, or about a call as a whole
	Attempt  int           // of an EventRetry: which, from 1
	Duration time.Duration // of an EventRequest: until the answer; of an EventRetry: of the pause before it, at most
	Code     string        // of a failed EventRequest: the service's word for the error; Vault's HTTP status

	// Err is what went wrong: the answer that nothing is there is an error too, though what asked may have expected
	// it.
	Err error
}

// An EventKind says what an [Event] is about.
type EventKind string

const (
	// EventRequest is a call of the service's client that has ended, as often as the service was asked: what the
	// client tries again by itself is one call.
	EventRequest EventKind = "request"

	// EventConflict is a write that was not made since what it was to replace had been replaced already, by another
	// writer, or by an earlier try whose answer was lost.
	EventConflict EventKind = "conflict"

	// EventRetry is that the store does something again: because of a conflict, or of an error that may pass.
	EventRetry EventKind = "retry"
)

// LogTo returns an observer that writes events to logger: what is done again because the service has throttled or did
// not answer as warnings, all others for debugging.
func LogTo(logger *slog.Logger) func(context.Context, Event) {
	return func(ctx context.Context, e Event) {
		level := slog.LevelDebug
		if e.Kind == EventRetry && (errors.Is(e.Err, ErrThrottled) || errors.Is(e.Err, ErrUnavailable)) {
			level = slog.LevelWarn
		}
		if !logger.Enabled(ctx, level) {
			return
		}
		attrs := []slog.Attr{slog.String("backend", e.Backend)}
		text := func(key, value string) {
			if value != "" {
				attrs = append(attrs, slog.String(key, value))
			}
		}
		text("operation", e.Operation)
		text("secret", e.Secret)
		if e.Attempt > 0 {
			attrs = append(attrs, slog.Int("attempt", e.Attempt))
		}
		attrs = append(attrs, slog.Duration("duration", e.Duration))
		text("code", e.Code)
		if e.Err != nil {
			text("error", e.Err.Error())
		}
		logger.LogAttrs(ctx, level, "oauth token store: "+string(e.Kind), attrs...)
	}
}
