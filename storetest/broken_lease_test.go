package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/oauthstore/oauthstore"
)

type (
	lease        = oauthstore.Lease
	leaseRequest = oauthstore.LeaseRequest
)

func (b *broken) LeaseToken(ctx context.Context, r leaseRequest) (*lease, error) {
	if b.lease != nil {
		return b.lease(ctx, r)
	}
	return b.Store.LeaseToken(ctx, r)
}

func (b *broken) RenewLease(ctx context.Context, l *lease) error {
	if b.renew != nil {
		return b.renew(ctx, l)
	}
	return b.Store.RenewLease(ctx, l)
}

func (b *broken) SaveLeased(ctx context.Context, l *lease, t *token) error {
	if b.saveLeased != nil {
		return b.saveLeased(ctx, l, t)
	}
	return b.Store.SaveLeased(ctx, l, t)
}

func (b *broken) ReleaseLease(ctx context.Context, l *lease) error {
	if b.release != nil {
		return b.release(ctx, l)
	}
	return b.Store.ReleaseLease(ctx, l)
}

// ask makes b ask with what change makes of a request.
func (b *broken) ask(change func(r *leaseRequest)) {
	b.lease = func(ctx context.Context, r leaseRequest) (*lease, error) {
		change(&r)
		return b.Store.LeaseToken(ctx, r)
	}
}

// answer makes b answer with what change makes of a lease.
func (b *broken) answer(change func(l *lease)) {
	b.lease = func(ctx context.Context, r leaseRequest) (*lease, error) {
		l, err := b.Store.LeaseToken(ctx, r)
		if err == nil {
			change(l)
		}
		return l, err
	}
}

// leasedAs makes b save under what change makes of a lease.
func (b *broken) leasedAs(change func(l *lease, t *token)) {
	b.saveLeased = func(ctx context.Context, l *lease, t *token) error {
		if err := l.Validate(t); err != nil {
			return err
		}
		changed := *l
		change(&changed, t)
		err := b.Store.SaveLeased(ctx, &changed, t)
		_ = b.Store.ReleaseLease(ctx, l)
		return err
	}
}

// unfenced saves without a look at the lease.
func unfenced(b *broken) func(ctx context.Context, l *lease, t *token) error {
	return func(ctx context.Context, l *lease, t *token) error {
		if err := l.Validate(t); err != nil {
			return err
		}
		t.ID = l.Token.ID
		defer func() { _ = b.Store.ReleaseLease(ctx, l) }()
		return b.Store.UpdateToken(ctx, t)
	}
}

// releaseAnyones gives the lease back, whoever has it.
func (b *broken) releaseAnyones(ctx context.Context, l *lease) error {
	now, err := b.Store.LeaseToken(ctx, leaseRequest{ID: l.Token.ID, For: time.Minute})
	if err != nil {
		return nil
	}
	now.Held = true
	return b.Store.ReleaseLease(ctx, now)
}

// has reports whether l is the lease on its record now.
func (b *broken) has(ctx context.Context, l *lease) bool {
	now, err := b.Store.LeaseToken(ctx, leaseRequest{ID: l.Token.ID, For: time.Minute})
	if err == nil && now.Held {
		_ = b.Store.ReleaseLease(ctx, now)
		return false
	}
	return err == nil && l.Held && now.Holder == l.Holder && now.Until.Equal(l.Until)
}

// read returns the token that was leased as it is now, or an error where its record was deleted, even if another has
// its id by now.
func (b *broken) read(ctx context.Context, l *lease) (*token, error) {
	now := *l.Token
	err := b.Store.UpdateToken(ctx, &now) // which has nothing to change
	return &now, err
}

// checkThen looks whether the holder may save, and lets save do it a moment later.
func (b *broken) checkThen(save func(ctx context.Context, l *lease, t *token) error) {
	b.saveLeased = func(ctx context.Context, l *lease, t *token) error {
		if l.Validate(t) == nil {
			now, err := b.read(ctx, l)
			if err == nil && b.has(ctx, l) && now.RefreshToken == l.Token.RefreshToken {
				pause()
				return save(ctx, l, t)
			}
		}
		return b.Store.SaveLeased(ctx, l, t)
	}
}

// resurrecting saves under a lease, and also what is deleted by then.
func resurrecting(b *broken) func(ctx context.Context, l *lease, t *token) error {
	save := unfenced(b)
	return func(ctx context.Context, l *lease, t *token) error {
		err := save(ctx, l, t)
		if errors.Is(err, oauthstore.ErrTokenNotFound) {
			return b.Store.SaveToken(ctx, t)
		}
		return err
	}
}

// writeBack writes the record, as it was before do, once more after it.
func (b *broken) writeBack(ctx context.Context, id string, do func() error) error {
	before, _ := b.Store.FindTokenByID(ctx, id)
	err := do()
	if err == nil && before != nil {
		pause()
		return b.Store.SaveToken(ctx, literal(before))
	}
	return err
}

// takeLate looks whether the lease still is the one to take over, and takes what is there a moment later.
func takeLate(b *broken) {
	b.lease = func(ctx context.Context, r leaseRequest) (*lease, error) {
		seen := r.TakeOver
		r.TakeOver = nil
		l, err := b.Store.LeaseToken(ctx, r)
		if err != nil || l.Held || seen == nil || l.Holder != seen.Holder || !l.Until.Equal(seen.Until) {
			return l, err
		}
		pause()
		if l, err = b.Store.LeaseToken(ctx, r); err != nil || l.Held {
			return l, err
		}
		r.TakeOver = l
		return b.Store.LeaseToken(ctx, r)
	}
}

var leaseFaults = []fault{
	{"keeps refusals beyond DeleteTokens", "Lease/a deletion of all tokens ends their leases and refusals", func(b *broken) {
		var refused memo[*lease]
		b.release = func(ctx context.Context, l *lease) error {
			if l.Refused != "" {
				refused.set(l.Token.ID, l)
			}
			return b.Store.ReleaseLease(ctx, l)
		}
		b.lease = func(ctx context.Context, r leaseRequest) (*lease, error) {
			if l := refused.get(r.ID); l != nil {
				return &lease{Token: l.Token, Refused: l.Refused, Until: time.Now().Add(time.Hour)}, nil
			}
			return b.Store.LeaseToken(ctx, r)
		}
	}},
	{"keeps leases beyond DeleteTokens", "Lease/a deletion of all tokens ends their leases and refusals", func(b *broken) {
		b.answer(func(l *lease) { l.TakenOver = l.TakenOver || l.Token.UserName == "leased" })
	}},
	{"gives everyone the lease", "Lease/one at a time has the lease, and all see the token", func(b *broken) {
		b.answer(func(l *lease) { l.Held = true })
	}},
	{"gives a lease where none is due", "Lease/no lease is given where the token is not due", func(b *broken) {
		b.ask(func(r *leaseRequest) { r.Due = nil })
	}},
	{"leases what is not there", "Lease/there is no lease on what is not there", func(b *broken) {
		b.lease = func(ctx context.Context, r leaseRequest) (*lease, error) {
			l, err := b.Store.LeaseToken(ctx, r)
			if errors.Is(err, oauthstore.ErrTokenNotFound) {
				return &lease{Token: &token{ID: r.ID}}, nil
			}
			return l, err
		}
	}},
	{"takes any request", "Lease/a request that cannot be is invalid", func(b *broken) {
		b.ask(func(r *leaseRequest) { r.For = max(r.For, 1) })
	}},
	{"keeps the lease after the holder's save", "Lease/a save by the holder is stored and gives the lease back", func(b *broken) {
		b.saveLeased = func(ctx context.Context, l *lease, t *token) error {
			err := b.Store.SaveLeased(ctx, l, t)
			if err == nil {
				_, err = b.Store.LeaseToken(ctx, leaseRequest{ID: t.ID, For: time.Minute})
			}
			return err
		}
	}},
	{"keeps the lease where there is nothing to write", "Lease/a save by the holder that changes nothing gives the lease back", func(b *broken) {
		b.saveLeased = func(ctx context.Context, l *lease, t *token) error {
			stored, err := b.Store.FindTokenByID(ctx, l.Token.ID)
			if err == nil && t != nil && t.Scope == stored.Scope && t.AccessToken == "" {
				*t = *stored
				return nil
			}
			return b.Store.SaveLeased(ctx, l, t)
		}
	}},
	{"takes the holder's second try for another's save", "Lease/a save by the holder may be made again", func(b *broken) {
		b.saveLeased = func(ctx context.Context, l *lease, t *token) error {
			if stored, err := b.Store.FindTokenByID(ctx, l.Token.ID); err == nil && stored.RefreshToken != l.Token.RefreshToken {
				return oauthstore.ErrLeaseLost
			}
			return b.Store.SaveLeased(ctx, l, t)
		}
	}},
	{"saves another record's token under a lease", "Lease/a save by the holder updates its own record only", func(b *broken) {
		b.saveLeased = func(ctx context.Context, l *lease, t *token) error { return b.Store.UpdateToken(ctx, t) }
	}},
	{"does not give a lease back", "Lease/a lease that is given back is free", func(b *broken) {
		b.release = func(context.Context, *lease) error { return nil }
	}},
	{"does not let a renewed lease run on", "Lease/a lease that is renewed runs on", func(b *broken) {
		b.renew = func(ctx context.Context, l *lease) error {
			until := l.Until
			err := b.Store.RenewLease(ctx, l)
			l.Until = until
			return err
		}
	}},
	{"forgets a refusal", "Lease/a refusal is shown, and no lease given, until the token changes", func(b *broken) {
		b.release = func(ctx context.Context, l *lease) error {
			own := *l
			own.Refused = ""
			return b.Store.ReleaseLease(ctx, &own)
		}
	}},
	{"keeps a refusal of another refresh token", "Lease/a refusal of what the record does not have any more is not kept", func(b *broken) {
		b.release = func(ctx context.Context, l *lease) error {
			own := *l
			if now, err := b.Store.FindTokenByID(ctx, l.Token.ID); err == nil {
				own.Token = now
			}
			return b.Store.ReleaseLease(ctx, &own)
		}
	}},
	{"lets everyone take a lease over", "Lease/a lease is taken over by who names its holder, and by nobody else", func(b *broken) {
		b.lease = func(ctx context.Context, r leaseRequest) (*lease, error) {
			l, err := b.Store.LeaseToken(ctx, r)
			if err == nil && !l.Held && r.TakeOver != nil {
				r.TakeOver = l
				return b.Store.LeaseToken(ctx, r)
			}
			return l, err
		}
	}},
	{"lets a renewed lease be taken over", "Lease/a lease that was renewed is not taken over by who saw it before", func(b *broken) {
		b.lease = func(ctx context.Context, r leaseRequest) (*lease, error) {
			l, err := b.Store.LeaseToken(ctx, r)
			if err == nil && !l.Held && r.TakeOver != nil && r.TakeOver.Holder == l.Holder {
				r.TakeOver = l
				return b.Store.LeaseToken(ctx, r)
			}
			return l, err
		}
	}},
	{"gives back the lease of another", "Lease/who has lost the lease cannot renew it, or take the other's away", func(b *broken) {
		b.release = b.releaseAnyones
	}},
	{"lets those save who never had the lease", "Lease/who never had the lease cannot do anything with it", func(b *broken) {
		b.saveLeased = func(ctx context.Context, l *lease, t *token) error {
			had := *l
			had.Held = true
			return b.Store.SaveLeased(ctx, &had, t)
		}
	}},
	{"does not look who has the lease", "Lease/who has lost the lease cannot save", func(b *broken) { b.saveLeased = unfenced(b) }},
	{"does not store a refresh token that came too late", "Lease/a refresh token that came too late is stored where nobody has another", func(b *broken) {
		b.saveLeased = func(ctx context.Context, l *lease, t *token) error {
			if l.Validate(t) == nil && b.Store.RenewLease(ctx, l) != nil {
				return oauthstore.ErrLeaseLost
			}
			return b.Store.SaveLeased(ctx, l, t)
		}
	}},
	{"stores every new refresh token", "Lease/a refresh token that came too late does not replace a newer one", func(b *broken) {
		b.saveLeased = func(ctx context.Context, l *lease, t *token) error {
			err := b.Store.SaveLeased(ctx, l, t)
			if errors.Is(err, oauthstore.ErrLeaseLost) && t.RefreshToken != l.Token.RefreshToken {
				return b.Store.UpdateToken(ctx, t)
			}
			return err
		}
	}},
	{"does not see that the refresh token was replaced", "Lease/a new consent stays, and ends the lease's worth", func(b *broken) {
		b.saveLeased = unfenced(b)
	}},
	{"saves all that the holder has read", "Lease/saves by others go on, and the holder's does not undo them", func(b *broken) {
		b.leasedAs(func(_ *lease, t *token) { *t = *literal(t) })
	}},
	{"brings a deleted token back", "Lease/a deleted token stays deleted", func(b *broken) {
		b.saveLeased = func(ctx context.Context, l *lease, t *token) error { return b.Store.SaveToken(ctx, t) }
	}},
	{"takes the record that has the id for the leased one", "Lease/a token that took the place of a deleted one stays as it is", func(b *broken) {
		b.saveLeased = func(ctx context.Context, l *lease, t *token) error {
			return b.Store.UpdateToken(ctx, literal(t))
		}
	}},
	{"gives leases without a look at the context", "Lease/an ended context ends every method", func(b *broken) {
		b.lease = func(ctx context.Context, r leaseRequest) (*lease, error) {
			return b.Store.LeaseToken(context.WithoutCancel(ctx), r)
		}
	}},
	{"gives a lease in two steps", "Lease/of many who ask at once one gets the lease", func(b *broken) { b.lease = lookThenTake(b) }},
	{"takes over in two steps", "Lease/of many who take a lease over at once one gets it", takeLate},
	{"looks who has the lease, and then saves", "Lease/a save by the holder comes before a take-over or is lost", func(b *broken) {
		b.checkThen(unfenced(b))
	}},
	{"saves a refresh token in two steps", "Lease/a refresh token that comes during a take-over replaces none that its saver has not seen", func(b *broken) {
		b.checkThen(unfenced(b))
	}},
	{"looks who has the lease, and then renews it", "Lease/a lease that is renewed while another takes it over has one holder", func(b *broken) {
		b.renew = func(ctx context.Context, l *lease) error {
			if !b.has(ctx, l) {
				return b.Store.RenewLease(ctx, l)
			}
			pause()
			err := b.Store.RenewLease(ctx, l)
			if errors.Is(err, oauthstore.ErrLeaseLost) {
				l.Until = time.Now().Add(l.For)
				return nil
			}
			return err
		}
	}},
	{"takes over, in two steps, what is renewed", "Lease/a lease that is renewed while another takes it over has one holder", takeLate},
	{"looks who has the lease, and then gives it back", "Lease/a lease that is given back while another takes it over is the other's", func(b *broken) {
		b.release = func(ctx context.Context, l *lease) error {
			if !b.has(ctx, l) {
				return b.Store.ReleaseLease(ctx, l)
			}
			pause()
			return b.releaseAnyones(ctx, l)
		}
	}},
	{"looks for the record, and then saves it", "Lease/a token that is deleted while its lease is used stays deleted", func(b *broken) {
		b.checkThen(resurrecting(b))
	}},
	{"looks whether the record is the leased one, and then saves it", "Lease/a token that takes the place of one deleted while its lease is used stays as it is", func(b *broken) {
		b.checkThen(resurrecting(b))
	}},
	{"writes all of the record to renew a lease", "Lease/a token that is deleted while its lease is used stays deleted", func(b *broken) {
		b.renew = func(ctx context.Context, l *lease) error {
			return b.writeBack(ctx, l.Token.ID, func() error { return b.Store.RenewLease(ctx, l) })
		}
	}},
	{"writes all of the record to give a lease back", "Lease/a token that is deleted while its lease is used stays deleted", func(b *broken) {
		b.release = func(ctx context.Context, l *lease) error {
			return b.writeBack(ctx, l.Token.ID, func() error { return b.Store.ReleaseLease(ctx, l) })
		}
	}},
	{"writes all of the record to give out a lease", "Lease/a save by another while the lease is used loses nothing, nor does the lease", func(b *broken) {
		b.lease = func(ctx context.Context, r leaseRequest) (l *lease, err error) {
			err = b.writeBack(ctx, r.ID, func() (err error) {
				l, err = b.Store.LeaseToken(ctx, r)
				return err
			})
			return l, err
		}
	}},
	{"merges under a lease, and then writes", "Lease/a save by another while the lease is used loses nothing, nor does the lease", func(b *broken) {
		b.saveLeased = func(ctx context.Context, l *lease, t *token) error {
			now, err := b.read(ctx, l)
			if err != nil || l.Validate(t) != nil {
				return b.Store.SaveLeased(ctx, l, t)
			}
			merged, _ := (&oauthstore.Record{Token: *now}).Merge(t)
			pause()
			whole := literal(&merged.Token)
			if err = b.Store.SaveLeased(ctx, l, whole); err == nil {
				*t = *whole
			}
			return err
		}
	}},
	{"lets two refresh at once", "Lease/what many refresh at once is refreshed once", func(b *broken) { b.lease = lookThenTake(b) }},
}

// lookThenTake looks who has the lease, and takes it a moment later.
func lookThenTake(b *broken) func(ctx context.Context, r leaseRequest) (*lease, error) {
	return func(ctx context.Context, r leaseRequest) (*lease, error) {
		stored, err := b.Store.FindTokenByID(ctx, r.ID)
		if err != nil || r.Due != nil && !r.Due(stored) {
			return b.Store.LeaseToken(ctx, r)
		}
		time.Sleep(time.Millisecond)
		r.Due = nil
		l, err := b.Store.LeaseToken(ctx, r)
		if err == nil && !l.Held {
			r.TakeOver = l
			return b.Store.LeaseToken(ctx, r)
		}
		return l, err
	}
}
