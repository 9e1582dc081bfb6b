package engine

import (
	"context"
	"errors"
	"time"

	"github.com/oauthstore/oauthstore"
)

// An Observer is who is told of what a store does.
type Observer struct {
	Backend string
	Tell    func(context.Context, oauthstore.Event) // nil for nobody
}

// Request tells of a request to the service that began at begin. err is as the driver files it: its text is exported.
func (o Observer) Request(ctx context.Context, op, secret string, begin time.Time, err error) {
	if o.Tell == nil {
		return
	}
	e := oauthstore.Event{Kind: oauthstore.EventRequest, Operation: op, Secret: secret, Duration: time.Since(begin), Err: err}
	var f *Fault
	if errors.As(err, &f) {
		e.Code = f.Code
	}
	o.tell(ctx, e)
}

func (o Observer) tell(ctx context.Context, e oauthstore.Event) {
	if o.Tell != nil {
		e.Backend = o.Backend
		o.Tell(ctx, e)
	}
}

// Observe lets o know of conflicts and retries. Before the first call.
func (s *Store) Observe(o Observer) { s.observer = o }

// told tells of a write to the secret name that has met another.
func (s *Store) told(ctx context.Context, name string, err error) error {
	if errors.Is(err, ErrConflict) {
		s.observer.tell(ctx, oauthstore.Event{Kind: oauthstore.EventConflict, Secret: s.driver.FullName(name), Err: err})
	}
	return err
}

// retry tells that something is done again, after a pause.
func (s *Store) retry(ctx context.Context, name string, attempt int, pause time.Duration, err error) {
	if name != "" {
		name = s.driver.FullName(name)
	}
	s.observer.tell(ctx, oauthstore.Event{Kind: oauthstore.EventRetry, Secret: name, Attempt: attempt, Duration: pause, Err: err})
}
