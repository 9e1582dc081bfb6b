package tokensource

import (
	"context"
	"log/slog"
	"time"
)

// An Event is something that an observer is told of: see [WithObserver]. It never holds a secret.
type Event struct {
	Kind     EventKind
	ID       string        // of the record; empty for an exchange
	Attempt  int           // of what is tried again, from 1
	Duration time.Duration // how long it took, where it is something that takes time
	Err      error         // why it failed, if it did
}

// An EventKind says what an [Event] is about.
type EventKind string

// What there is to tell.
const (
	Asked          EventKind = "asked"            // the provider was asked for a new token; Duration, Err, Attempt
	Refreshed      EventKind = "refreshed"        // a new token is stored; Duration from the beginning of the refresh
	Adopted        EventKind = "adopted"          // another process has refreshed the token; Duration of the wait
	RefreshFailed  EventKind = "refresh_failed"   // Duration, Err
	LeaseWaited    EventKind = "lease_waited"     // another process has the lease; Attempt, Duration of the pause to come
	LeaseTakenOver EventKind = "lease_taken_over" // its holder did not give the lease back
	LeaseLost      EventKind = "lease_lost"       // another process has taken it over, or has a newer token; Err
	SaveRetried    EventKind = "save_retried"     // the store did not take the new token; Attempt, Err
	SaveFailed     EventKind = "save_failed"      // and will not; Err
	ReauthRequired EventKind = "reauth_required"  // Err
)

// LogTo returns an observer that writes events to logger: those with an error as warnings, others for debugging.
func LogTo(logger *slog.Logger) func(context.Context, Event) {
	return func(ctx context.Context, e Event) {
		level, attrs := slog.LevelDebug, []slog.Attr{slog.String("id", e.ID)}
		if e.Attempt > 0 {
			attrs = append(attrs, slog.Int("attempt", e.Attempt))
		}
		if e.Duration > 0 {
			attrs = append(attrs, slog.Duration("duration", e.Duration))
		}
		if e.Err != nil {
			level = slog.LevelWarn
			attrs = append(attrs, slog.String("error", e.Err.Error()))
		}
		logger.LogAttrs(ctx, level, "oauth token "+string(e.Kind), attrs...)
	}
}
