package oauthstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// A TokenLeaser is a [TokenStore] that gives out leases on its records: of all who would refresh a token, in any
// number of processes, one at a time asks the provider, and the others wait for what comes of it. Providers that
// rotate refresh tokens take a second refresh with the same one for a theft (RFC 9700, 4.14.2).
//
// A lease is in the record, taken and given back by compare-and-set. It ends by itself, so that nobody waits for a
// process that has died, and a holder that was too slow finds out when it saves: see [Lease.Check]. Every other
// method works as if there were no leases.
//
// A store that wraps one which is no TokenLeaser answers with [errors.ErrUnsupported].
type TokenLeaser interface {
	// LeaseToken reads the record under request.ID and takes the lease on it, unless the token is not due or
	// somebody else has the lease. Where there is no record it is ErrTokenNotFound.
	LeaseToken(ctx context.Context, request LeaseRequest) (*Lease, error)

	// RenewLease lets the lease run for as long again, from now on, and notes so in lease. It is ErrLeaseLost where
	// somebody else has it, or nobody.
	RenewLease(ctx context.Context, lease *Lease) error

	// SaveLeased updates the record with token, as [TokenUpdater] does, and gives the lease back, in one write. It is
	// ErrLeaseLost, and nothing is stored, where [Lease.Check] says so.
	SaveLeased(ctx context.Context, lease *Lease, token *OAuthToken) error

	// ReleaseLease gives the lease back. Where somebody else has it, or nobody, it does nothing. What the holder says of
	// the refresh token, in lease.Refused, LeaseToken shows from then on: see [Lease.Released].
	ReleaseLease(ctx context.Context, lease *Lease) error
}

// A LeaseRequest says on which record a lease is wanted, and when.
type LeaseRequest struct {
	ID  string        // of the record
	For time.Duration // how long the lease is to run; more than 0

	// Due is given the token as it is now, and reports whether a lease is needed at all. It may be called more than
	// once. Where it is nil, a lease is needed.
	Due func(token *OAuthToken) bool

	// TakeOver, where it is not nil, is a lease that somebody else has, as an earlier LeaseToken returned it, and that
	// the caller has since seen unchanged for as long as it was to run. It is taken from them, unless they have renewed
	// it meanwhile. Any other lease is free only once [MaxClockSkew] has passed since its end, by this process's clock.
	TakeOver *Lease
}

// MaxClockSkew is by how much the clocks of two processes may differ.
const MaxClockSkew = 5 * time.Minute

// A Lease is what LeaseToken has found: the token as it is, and who has the lease.
type Lease struct {
	Token *OAuthToken

	// Held reports whether the caller has the lease, by this call.
	Held bool

	// Holder names the lease, held by the caller or another; a random string, another one for each lease. Empty
	// where nobody has one.
	Holder string

	// For is how long the lease was to run when it was taken or last renewed, and Until when it ends, by the clock of
	// its holder.
	For   time.Duration
	Until time.Time

	// Refused is the provider's error code (RFC 6749, 5.2) where it does not take the record's refresh token any more:
	// the user has to log in again. A holder sets it before ReleaseLease, and LeaseToken returns it, and no lease, until
	// the token changes; or until Until, an hour later, when somebody may ask the provider again.
	Refused string

	// TakenOver reports whether the lease before was never given back: its holder has died, or lost its way to the
	// store, and may have asked the provider.
	TakenOver bool
}

// ErrLeaseLost says that somebody else has taken a lease over, or has replaced the refresh token that the holder has
// asked the provider with. Read the record again.
var ErrLeaseLost = errors.New("oauthstore: lease lost")

// Validate returns an [*InvalidTokenError] for a request on which no store can give out a lease.
func (r LeaseRequest) Validate() error {
	if err := CheckID(r.ID); err != nil {
		return err
	}
	if r.For <= 0 {
		return &InvalidTokenError{Field: "For", Reason: "is not more than 0"}
	}
	return nil
}

// Take decides on a request. Before the call l says what the record holds: its token, and the lease on it, if there is
// one. After the call l is what LeaseToken is to return. Where Take reports true that is a new lease, which the store
// first writes into the record. It is for those who implement [TokenLeaser].
func (l *Lease) Take(request LeaseRequest) bool {
	l.Held, l.TakenOver = false, l.Holder != ""
	switch now := time.Now(); {
	case request.Due != nil && !request.Due(l.Token):
		*l = Lease{Token: l.Token}
	case l.Refused != "" && now.Before(l.Until) && l.Until.Before(now.Add(refusalLasts+MaxClockSkew)):
	case l.Holder == "", l.is(request.TakeOver), now.After(l.Until.Add(MaxClockSkew)):
		l.Holder, l.For, l.Until, l.Held, l.Refused = RandomID(), request.For, stored(now.Add(request.For)), true, ""
		return true
	default:
		l.TakenOver = false
	}
	return false
}

// is reports whether seen is the same lease, not renewed since.
func (l *Lease) is(seen *Lease) bool {
	return seen != nil && l.Holder == seen.Holder && l.Until.Equal(seen.Until)
}

// refusalLasts is how long a provider's refusal is believed.
const refusalLasts = time.Hour

// Released returns what is to be stored on r, the record as it is now, in the place of the lease l when its holder gives
// it back: nothing, or what the provider has said of the tokens that the record still has. It is for those who implement
// [TokenLeaser], and let it be gone with the next change of the token.
func (l *Lease) Released(r *Record) Lease {
	if l.Refused == "" || r.Token.RefreshToken != l.Token.RefreshToken || r.Token.AccessToken != l.Token.AccessToken {
		return Lease{}
	}
	return Lease{Refused: l.Refused, Until: stored(time.Now().Add(refusalLasts))}
}

// Validate returns an [*InvalidTokenError] for a token that cannot be saved under the lease: one that no store can
// keep, or another record's. It is for those who implement [TokenLeaser].
func (l *Lease) Validate(token *OAuthToken) error {
	if err := token.Validate(); err != nil {
		return err
	}
	if token.ID != "" && token.ID != l.Token.ID {
		return &InvalidTokenError{Field: "ID", Reason: "is not that of the leased token"}
	}
	return nil
}

// Check reports whether the holder of the lease l may save token over r, the record as it is now (nil where there is
// none), on which holder has the lease. It is for those who implement [TokenLeaser].
//
// It may while it has the lease and the refresh token is the one that it had when it took the lease. One that has
// lost the lease may not, with one exception: where nobody has refreshed the token since, and token has another
// refresh token. The provider has replaced the stored one then, and what the caller has is all that is good.
//
// One that never had it may not. The error is [ErrTokenNotFound] where the record was deleted, even if another has its
// id by now, else [ErrLeaseLost].
func (l *Lease) Check(r *Record, holder string, token *OAuthToken) error {
	switch {
	case !l.Held:
		return ErrLeaseLost
	case r == nil || r.Replaced(l.Token):
		return ErrTokenNotFound
	}
	if _, changes := r.Merge(token); !changes {
		return nil
	}
	rotated := token.RefreshToken != "" && token.RefreshToken != l.Token.RefreshToken
	switch {
	case r.Token.RefreshToken != l.Token.RefreshToken:
		return ErrLeaseLost
	case holder != l.Holder && (!rotated || r.Token.AccessToken != l.Token.AccessToken):
		return ErrLeaseLost
	}
	return nil
}

// String shows the lease with the secrets of its token redacted.
func (l Lease) String() string {
	return fmt.Sprintf("Lease{Holder: %s, Held: %v, Until: %s, %v}", l.Holder, l.Held, l.Until.UTC().Format(time.RFC3339Nano), l.Token)
}

// Format writes String for every verb.
func (l Lease) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, l.String()) }

// LogValue makes slog show the lease with the secrets of its token redacted.
func (l Lease) LogValue() slog.Value { return slog.StringValue(l.String()) }
