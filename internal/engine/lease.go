package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore"
)

// A lease is what the header of a record says of the one who has the lease on it, or of what the last one has found out.
type lease struct {
	holder  string // empty: nobody
	lasts   time.Duration
	until   time.Time
	refused string // what the provider says of the refresh token, where nobody has the lease
}

// String is the lease as it is stored: the holder, and two times in milliseconds. Where nobody has it, it is empty, or
// says until when the refresh token counts as refused, and the provider's error code.
func (l lease) String() string {
	switch {
	case l.holder != "":
		return fmt.Sprint(l.holder, " ", l.lasts.Milliseconds(), " ", l.until.UnixMilli())
	case l.refused != "":
		return fmt.Sprint(refusedMark, " ", l.until.UnixMilli(), " ", l.refused)
	default:
		return ""
	}
}

// refusedMark stands where the holder would.
const refusedMark = "refused:"

// parseLease reads what String wrote. What it cannot read is nobody's lease.
func parseLease(s string) lease {
	f := strings.Fields(s)
	if len(f) < 3 { // a later version may say more
		return lease{}
	}
	if f[0] == refusedMark {
		until, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			return lease{}
		}
		return lease{until: time.UnixMilli(until).UTC(), refused: strings.Join(f[2:], " ")}
	}
	lasts, err := strconv.ParseInt(f[1], 10, 64)
	until, err2 := strconv.ParseInt(f[2], 10, 64)
	if cmp.Or(err, err2) != nil {
		return lease{}
	}
	return lease{holder: f[0], lasts: time.Duration(lasts) * time.Millisecond, until: time.UnixMilli(until).UTC()}
}

// shown is the lease as one who does not have it sees it.
func (l lease) shown(token *oauthstore.OAuthToken) *oauthstore.Lease {
	return &oauthstore.Lease{Token: token, Holder: l.holder, For: l.lasts, Until: l.until, Refused: l.refused}
}

// LeaseToken implements oauthstore.TokenLeaser.
//
// Where the service counts writes, those that are left at the end of a day are kept for refresh tokens that were
// replaced: a record whose refresh token never was gets no lease then, but an oauthstore.WriteQuotaError. The very last
// are kept for saves, and there are no leases at all: an oauthstore.ErrThrottled.
func (s *Store) LeaseToken(ctx context.Context, request oauthstore.LeaseRequest) (given *oauthstore.Lease, err error) {
	ctx, end := s.bound(ctx)
	defer end(&err)
	if err := cmp.Or(ctx.Err(), request.Validate()); err != nil {
		return nil, err
	}
	f, unlock, err := s.lockRecord(ctx, request.ID)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var l *oauthstore.Lease
	var tries []*oauthstore.Lease // of which it need not be the last that takes effect
	after, try, err := s.commit(ctx, f.name, f.state, 0, func(cur state, _ error) (*Record, error) {
		f, err := s.decode(ctx, f.id, f.name, cur)
		switch {
		case err != nil:
			return nil, err
		case f.record == nil:
			return nil, oauthstore.ErrTokenNotFound
		}
		l = cur.rec.Lease.shown(f.record.Found(nil))
		if !l.Take(request) {
			return nil, nil
		}
		switch q, writes := s.quota(), s.writes(cur.rec); {
		case q.last(writes) && len(f.record.Superseded) > 0:
			return nil, s.lastError(f.id)
		case q.reserved(writes) && len(f.record.Superseded) == 0:
			return nil, s.quotaError(f)
		}
		tries = append(tries, l)
		next := cur.rec
		next.Lease = lease{holder: l.Holder, lasts: l.For, until: l.Until}
		return &next, nil
	})
	switch {
	case err != nil:
		return nil, err
	case try < 0:
		return l, nil
	}
	l = tries[try]
	if l.Held = after.rec.Lease.holder == l.Holder; !l.Held { // somebody else has taken it over already
		return after.rec.Lease.shown(l.Token), nil
	}
	if f, err = s.decode(ctx, f.id, f.name, after); err != nil {
		return nil, err
	}
	s.leases.keep(l, f)
	return l, nil
}

// lockRecord reads the record under id, and locks it against other calls of this process.
func (s *Store) lockRecord(ctx context.Context, id string) (f *found, unlock func(), err error) {
	name, err := s.tokenName(id)
	if err != nil {
		return nil, nil, err
	}
	locked, _, err := s.locks.lock(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if f == nil { // the read has failed, or the codec has panicked
			locked()
		}
	}()
	if f, err = s.look(ctx, id); err != nil {
		return nil, nil, err
	}
	return f, locked, nil
}

// RenewLease implements oauthstore.TokenLeaser.
func (s *Store) RenewLease(ctx context.Context, l *oauthstore.Lease) error {
	until := time.UnixMilli(time.Now().Add(l.For).UnixMilli()).UTC()
	f, err := s.changeLease(ctx, l, func(cur state, had lease) (lease, error) {
		switch {
		case !l.Held || had.holder != l.Holder:
			return had, oauthstore.ErrLeaseLost
		case s.quota().last(s.writes(cur.rec)):
			return had, s.lastError(l.Token.ID)
		}
		had.until = until
		return had, nil
	})
	if err != nil {
		return err
	}
	l.Until = until
	s.leases.keep(l, f)
	return nil
}

// ReleaseLease implements oauthstore.TokenLeaser.
func (s *Store) ReleaseLease(ctx context.Context, l *oauthstore.Lease) error {
	_, err := s.changeLease(ctx, l, func(cur state, had lease) (lease, error) {
		switch {
		case !l.Held || had.holder != l.Holder:
			return had, nil
		case l.Refused == "":
			return lease{}, nil
		}
		name, err := s.tokenName(l.Token.ID)
		if err != nil {
			return had, err
		}
		f, err := s.decode(ctx, l.Token.ID, name, cur)
		if err != nil {
			return had, err
		}
		left := l.Released(f.record)
		return lease{until: left.Until, refused: left.Refused}, nil
	})
	return err
}

// changeLease makes the lease on the record what change says, of one that is nobody's where there is no record.
func (s *Store) changeLease(ctx context.Context, l *oauthstore.Lease, change func(cur state, had lease) (lease, error)) (changed *found, err error) {
	ctx, end := s.bound(ctx)
	defer end(&err)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, unlock, err := s.lockRecord(ctx, l.Token.ID)
	if err != nil {
		return nil, err
	}
	defer unlock()
	s.leases.take(l) // it becomes an old one
	after, _, err := s.commit(ctx, f.name, f.state, 0, func(cur state, _ error) (*Record, error) {
		if !cur.rec.Live() {
			_, err := change(cur, lease{})
			return nil, err
		}
		next := cur.rec
		if next.Lease, err = change(cur, cur.rec.Lease); err != nil || next.Lease == cur.rec.Lease {
			return nil, err
		}
		return &next, nil
	})
	if err != nil {
		return nil, err
	}
	return s.decode(ctx, f.id, f.name, after)
}

// SaveLeased implements oauthstore.TokenLeaser.
func (s *Store) SaveLeased(ctx context.Context, l *oauthstore.Lease, token *oauthstore.OAuthToken) (err error) {
	ctx, end := s.bound(ctx)
	defer end(&err)
	if err := cmp.Or(ctx.Err(), l.Validate(token)); err != nil {
		return err
	}
	saved := *token
	saved.ID = l.Token.ID
	if err := s.CheckToken(&saved); err != nil {
		return err
	}
	if err := s.save(ctx, &saved, saveMode{lease: l}); err != nil {
		return err
	}
	*token = saved
	return nil
}

// knowLeased lets the lookup know the leased record as the holder has left it, if that was lately.
func (l *lookup) knowLeased(by *oauthstore.Lease) {
	if f := l.store.leases.take(by); f != nil {
		l.loaded[f.id] = f
	}
}

// leases remembers the records that this process has leased, so that the save needs no read.
type leases struct {
	mu   sync.Mutex
	held map[string]leased // by holder
}

type leased struct {
	record *found
	at     time.Time
}

// keep remembers f, the record as the holder of l has left it. It forgets those of which that was long ago.
func (ls *leases) keep(l *oauthstore.Lease, f *found) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.held == nil {
		ls.held = make(map[string]leased)
	}
	maps.DeleteFunc(ls.held, func(_ string, other leased) bool { return other.old() })
	ls.held[l.Holder] = leased{f, time.Now()}
}

// maxLeasedAge is how old a record may be for a write to be made from it.
const maxLeasedAge = time.Minute

func (l leased) old() bool { return elapsed(l.at) > maxLeasedAge }

// take returns the record and forgets it; nil where it is not remembered.
func (ls *leases) take(l *oauthstore.Lease) *found {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	held := ls.held[l.Holder]
	delete(ls.held, l.Holder)
	if held.old() {
		return nil
	}
	return held.record
}
