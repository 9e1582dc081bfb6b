package storetest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
)

// sharedFaults are the faults of stores of which several share a service. breakIt is called for each store, so what it
// makes is one process's own: a lock, or a store's memory. In one process each of them is a good store.
var sharedFaults = []fault{
	{"loses updates but for its own lock", "Concurrent/savers of one user who set different fields lose no update", loseUpdates},
	{"loses updates of found copies but for its own lock", "Concurrent/savers of found copies who set different fields lose no update", loseUpdates},
	{"looks for conflicts under its own lock", "Concurrent/the same new user saved under many ids at once has one record", conflictsUnderLock},
	{"looks for the conflicts of a rename under its own lock", "Concurrent/many records renamed to one name at once: one gets it", conflictsUnderLock},
	{"knows the users that it has saved itself", "Processes/a user name that one has given away is a conflict for the others, until it is free", ownUsers},
	{"never looks again at what it has read", "Processes/each sees at once what another has stored, changed and deleted", readOnce},
	{"answers with what it read before another came in between", "Processes/each sees its own writes while the others write the same token", readBefore},
	{"knows the deletions that it has made itself", "Processes/an update of a token that another has deleted and saved again changes nothing", ownDeletions},
	{"knows the deletions that it has made itself, and updates", "Processes/updates that meet a delete and a new login by another leave the new token as it is", ownDeletions},
	{"knows the leases that it has given itself", "Processes/one has the lease, the others see whose it is, and what comes of it", ownLeases},
	{"knows the leases that it has given itself, and saves", "Processes/a provider that replaces refresh tokens sees none of them twice", ownLeases},
	{"gives a lease to one in each process", "Lease/of many who ask at once one gets the lease", ownLeases},
	{"looks at the lease, and saves, under its own lock", "Lease/a save by the holder comes before a take-over or is lost", fenceUnderLock},
	{"looks for the record, and updates it, under its own lock", "Update/an update that meets a delete does not bring the token back", updateUnderLock},
}

func TestSharedSuite_failsEveryBrokenStore(t *testing.T) {
	checks := checksByName(sharedSuite)
	for _, f := range sharedFaults {
		t.Run(f.says, func(t *testing.T) {
			run, ok := checks[f.caughtBy]
			if !ok {
				t.Fatalf("there is no check %q", f.caughtBy)
			}
			for range 20 { // a fault of timing need not show the first time
				service := memory.New()
				r := runCheck(t, run, func(r *result) *subject {
					return newShared(r, func() oauthstore.TokenStore {
						b := &broken{Store: service}
						f.breakIt(b)
						return b
					})
				})
				if len(r.failures) > 0 {
					t.Log(r.failures[0])
					return
				}
			}
			t.Errorf("%q passes stores of which each %s, want a failure", f.caughtBy, f.says)
		})
	}
}

// So Run alone does not say that a store may be used by several processes.
func TestSharedSuite_failsStoresThatPassRun(t *testing.T) {
	tried := make(map[uintptr]bool) // some faults have two names
	for _, f := range sharedFaults {
		how := reflect.ValueOf(f.breakIt).Pointer()
		if tried[how] {
			continue
		}
		tried[how] = true
		t.Run(f.says, func(t *testing.T) {
			Run(t, func(*testing.T) oauthstore.TokenStore {
				b := &broken{Store: memory.New()}
				f.breakIt(b)
				return b
			})
		})
	}
}

func TestSharedSuite_hasABrokenStoreForEveryCheckOfItsOwn(t *testing.T) {
	caught := make(map[string]bool)
	for _, f := range sharedFaults {
		caught[f.caughtBy] = true
	}
	for _, c := range sharedChecks {
		if !caught["Processes/"+c.name] {
			t.Errorf("no broken stores are there for %q to fail", c.name)
		}
	}
}

func TestRunShared_passesTheStoreInMemory(t *testing.T) {
	RunShared(t, func(*testing.T) func() oauthstore.TokenStore {
		s := memory.New()
		return func() oauthstore.TokenStore { return s }
	})
}

// A guard is one process's lock, and its store as it is behind the lock.
type guard struct {
	sync.Mutex
	*memory.Store
}

// guarded makes every method of b that writes take the lock of b's own.
func (b *broken) guarded() *guard {
	g := &guard{Store: b.Store}
	locked := func(do func() error) error {
		g.Lock()
		defer g.Unlock()
		return do()
	}
	b.save = func(ctx context.Context, t *token) error {
		return locked(func() error { return g.SaveToken(ctx, t) })
	}
	b.update = func(ctx context.Context, t *token) error {
		return locked(func() error { return g.UpdateToken(ctx, t) })
	}
	b.delete = func(ctx context.Context, id string) error {
		return locked(func() error { return g.DeleteToken(ctx, id) })
	}
	b.deleteAll = func(ctx context.Context) error {
		return locked(func() error { return g.DeleteTokens(ctx) })
	}
	b.lease = func(ctx context.Context, r leaseRequest) (l *lease, err error) {
		err = locked(func() error {
			l, err = g.LeaseToken(ctx, r)
			return err
		})
		return l, err
	}
	b.renew = func(ctx context.Context, l *lease) error {
		return locked(func() error { return g.RenewLease(ctx, l) })
	}
	b.saveLeased = func(ctx context.Context, l *lease, t *token) error {
		return locked(func() error { return g.SaveLeased(ctx, l, t) })
	}
	b.release = func(ctx context.Context, l *lease) error {
		return locked(func() error { return g.ReleaseLease(ctx, l) })
	}
	return g
}

// loseUpdates makes b write, with the fields that a save sets, the others as they were when it looked.
func loseUpdates(b *broken) {
	g := b.guarded()
	b.save = func(ctx context.Context, t *token) error {
		g.Lock()
		defer g.Unlock()
		if t == nil {
			return g.SaveToken(ctx, t)
		}
		set := literal(t)
		before, missing := g.FindToken(ctx, t)
		if missing == nil {
			before, missing = g.FindTokenByID(ctx, before.ID)
		}
		pause()
		if err := g.SaveToken(ctx, t); err != nil || missing != nil {
			return err
		}
		old, now, ours := textFields(before), textFields(t), textFields(set)
		undo := &token{ID: t.ID}
		for name, value := range textFields(undo) {
			if *old[name] != *now[name] && *ours[name] != *now[name] {
				*value = *old[name]
			}
		}
		return g.SaveToken(ctx, undo)
	}
}

// conflictsUnderLock makes b believe that no other process takes a user name between its look and its write.
func conflictsUnderLock(b *broken) {
	g := b.guarded()
	b.save = func(ctx context.Context, t *token) error {
		g.Lock()
		defer g.Unlock()
		if t == nil || t.ID == "" || t.UserName == "" {
			return g.SaveToken(ctx, t)
		}
		before := literal(t)
		if stored, err := g.FindTokenByID(ctx, t.ID); err == nil {
			before = literal(stored)
			before.UserName = t.UserName
			if t.ClientID != "" {
				before.ClientID = t.ClientID
			}
		}
		free := oauthstore.CheckConflict(before, b.stored()) == nil
		pause()
		err := g.SaveToken(ctx, t)
		if free && errors.As(err, new(*oauthstore.ConflictError)) {
			return nil
		}
		return err
	}
}

// ownUsers makes b say nothing of conflicts with records that it has not saved.
func ownUsers(b *broken) {
	var saved memo[bool]
	b.save = func(ctx context.Context, t *token) error {
		err := b.Store.SaveToken(ctx, t)
		conflict := new(oauthstore.ConflictError)
		if errors.As(err, &conflict) && !saved.get(conflict.ID) {
			return nil
		}
		if err == nil {
			saved.set(t.ID, true)
		}
		return err
	}
}

// readOnce makes b answer a find by user name with what it has read last, as long as it does not write itself.
func readOnce(b *broken) {
	var mu sync.Mutex
	read := make(map[token]*token)
	forget := func() {
		mu.Lock()
		defer mu.Unlock()
		clear(read)
	}
	g := b.guarded()
	save, update, remove, removeAll, saveLeased := b.save, b.update, b.delete, b.deleteAll, b.saveLeased
	b.save = func(ctx context.Context, t *token) error { defer forget(); return save(ctx, t) }
	b.update = func(ctx context.Context, t *token) error { defer forget(); return update(ctx, t) }
	b.delete = func(ctx context.Context, id string) error { defer forget(); return remove(ctx, id) }
	b.deleteAll = func(ctx context.Context) error { defer forget(); return removeAll(ctx) }
	b.saveLeased = func(ctx context.Context, l *lease, t *token) error { defer forget(); return saveLeased(ctx, l, t) }
	b.find = func(ctx context.Context, partial *token) (*token, error) {
		if err := ctx.Err(); err != nil || partial == nil || *partial != (token{UserName: partial.UserName}) {
			return g.FindToken(ctx, partial)
		}
		g.Lock()
		defer g.Unlock()
		mu.Lock()
		defer mu.Unlock()
		if t := read[*partial]; t != nil {
			own := *t
			return &own, nil
		}
		t, err := g.FindToken(ctx, partial)
		if err == nil {
			own := *t
			read[*partial] = &own
		}
		return t, err
	}
}

// readBefore makes b answer the next find by id with what was stored before its own write, if that was not what it has
// written last itself: as a store does that keeps what it has read for its compare-and-set.
func readBefore(b *broken) {
	g := b.guarded()
	var written, stale memo[*token]
	b.save = func(ctx context.Context, t *token) error {
		g.Lock()
		defer g.Unlock()
		if t == nil || t.ID == "" {
			return g.SaveToken(ctx, t)
		}
		before, missing := g.FindTokenByID(ctx, t.ID)
		err := g.SaveToken(ctx, t)
		if err == nil {
			if last := written.get(t.ID); last != nil && missing == nil && diff(last, before) != "" {
				stale.set(t.ID, before)
			}
			written.set(t.ID, literal(t))
		}
		return err
	}
	forget := func(id string) {
		written.set(id, nil)
		stale.set(id, nil)
	}
	update, remove, removeAll, saveLeased := b.update, b.delete, b.deleteAll, b.saveLeased
	b.update = func(ctx context.Context, t *token) error {
		err := update(ctx, t)
		if t != nil {
			forget(t.ID)
		}
		return err
	}
	b.delete = func(ctx context.Context, id string) error { defer forget(id); return remove(ctx, id) }
	b.deleteAll = func(ctx context.Context) error {
		for _, t := range b.stored() {
			defer forget(t.ID)
		}
		return removeAll(ctx)
	}
	b.saveLeased = func(ctx context.Context, l *lease, t *token) error {
		defer forget(l.Token.ID)
		return saveLeased(ctx, l, t)
	}
	b.findByID = func(ctx context.Context, id string) (*token, error) {
		g.Lock()
		defer g.Unlock()
		if t := stale.get(id); t != nil {
			stale.set(id, nil)
			return t, nil
		}
		return g.FindTokenByID(ctx, id)
	}
}

// ownDeletions makes b believe that a record is the one it has read, unless b has deleted that itself.
func ownDeletions(b *broken) {
	g := b.guarded()
	var deleted memo[bool]
	remove, removeAll := b.delete, b.deleteAll
	b.delete = func(ctx context.Context, id string) error {
		deleted.set(id, true)
		return remove(ctx, id)
	}
	b.deleteAll = func(ctx context.Context) error {
		for _, t := range b.stored() {
			deleted.set(t.ID, true)
		}
		return removeAll(ctx)
	}
	b.update = func(ctx context.Context, t *token) error {
		g.Lock()
		defer g.Unlock()
		err := g.UpdateToken(ctx, t)
		if errors.Is(err, oauthstore.ErrTokenNotFound) && t.ID != "" && !deleted.get(t.ID) {
			again := literal(t)
			if err = g.UpdateToken(ctx, again); err == nil {
				*t = *again
			}
		}
		return err
	}
}

// ownLeases makes b take a lease that it has not given for none.
func ownLeases(b *broken) {
	g := b.guarded()
	var given memo[bool]
	b.lease = func(ctx context.Context, r leaseRequest) (*lease, error) {
		g.Lock()
		defer g.Unlock()
		l, err := g.LeaseToken(ctx, r)
		if err == nil && !l.Held && l.Holder != "" && !given.get(l.Holder) {
			r.TakeOver = l
			if l, err = g.LeaseToken(ctx, r); err == nil {
				l.TakenOver = false
			}
		}
		if err == nil && l.Held {
			given.set(l.Holder, true)
		}
		return l, err
	}
}

// fenceUnderLock makes b look at the lease first and then save.
func fenceUnderLock(b *broken) {
	g := b.guarded()
	b.saveLeased = func(ctx context.Context, l *lease, t *token) error {
		g.Lock()
		defer g.Unlock()
		now, err := g.LeaseToken(ctx, leaseRequest{ID: l.Token.ID, For: time.Minute, Due: func(*token) bool { return false }})
		if err != nil || l.Validate(t) != nil || !b.has(ctx, l) || now.Token.RefreshToken != l.Token.RefreshToken {
			return g.SaveLeased(ctx, l, t)
		}
		pause()
		t.ID = l.Token.ID
		err = g.UpdateToken(ctx, t)
		_ = g.ReleaseLease(ctx, l)
		return err
	}
}

// updateUnderLock makes b look for the record first and then save it, whether it is still there or not.
func updateUnderLock(b *broken) {
	g := b.guarded()
	b.update = func(ctx context.Context, t *token) error {
		g.Lock()
		defer g.Unlock()
		if t == nil || t.ID == "" || t.AccessToken == "" {
			return g.UpdateToken(ctx, t)
		}
		again := *t
		if err := g.UpdateToken(ctx, &again); err != nil {
			return err
		}
		pause()
		return g.SaveToken(ctx, t)
	}
}
