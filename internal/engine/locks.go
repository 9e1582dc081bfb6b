package engine

import (
	"context"
	"sync"
)

// locks has a lock for each name, so that writers in one process take turns at a secret instead of
// refusing one another by compare-and-set, where every failed attempt is a call to the service.
type locks struct {
	mu   sync.Mutex
	held map[string]*turn
}

// turn is one name's lock: the holder has the one token in it.
type turn struct {
	free  chan struct{}
	users int // holder and waiters
}

// lock waits for name's turn, or for the end of ctx. waited reports whether somebody else held the
// lock: what was read before may be old.
func (l *locks) lock(ctx context.Context, name string) (unlock func(), waited bool, err error) {
	t := l.join(name)
	unlock = func() {
		<-t.free
		l.leave(name, t)
	}
	select {
	case t.free <- struct{}{}:
		return unlock, false, nil
	default:
	}
	select {
	case t.free <- struct{}{}:
		return unlock, true, nil
	case <-ctx.Done():
		l.leave(name, t)
		return nil, true, ctx.Err()
	}
}

func (l *locks) join(name string) *turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = make(map[string]*turn)
	}
	t, ok := l.held[name]
	if !ok {
		t = &turn{free: make(chan struct{}, 1)}
		l.held[name] = t
	}
	t.users++
	return t
}

func (l *locks) leave(name string, t *turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(l.held, name)
	}
}
