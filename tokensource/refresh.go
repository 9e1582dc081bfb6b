package tokensource

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
)

// A refresh makes sure that a record has a good access token.
type refresh struct {
	*Tokens
	stale
	id    string
	begun time.Time

	waited bool    // for another process
	hasty  int     // tries to save at the end of the process
	answer *answer // that is still to be saved when run returns
}

// stale is a token that is to be replaced.
type stale struct {
	token   *oauthstore.OAuthToken
	refused bool // whatever its expiry
	good    bool // for a while yet, so that nobody is in a hurry
}

// is reports whether token still is the stale one. A provider may give the same access token once more, with another
// expiry.
func (s stale) is(token *oauthstore.OAuthToken) bool {
	return token.AccessToken == s.token.AccessToken && (s.refused || token.Expiry.Equal(s.token.Expiry))
}

// sameOwner reports whether the record that now has token still is the same user's and client's. One that has no client
// is found under that which was asked for.
func (s stale) sameOwner(token *oauthstore.OAuthToken) bool {
	return token.UserName == s.token.UserName && (token.ClientID == "" || token.ClientID == s.token.ClientID)
}

// An answer of the provider that the store has not taken.
type answer struct {
	token *oauthstore.OAuthToken
	err   *NotSavedError
	save  func(context.Context) (*oauthstore.OAuthToken, error)
	end   func() // of what goes on as long as it is not saved
}

// patience is how long a refresh waits for others, and for the store.
func (t *Tokens) patience() time.Duration { return 2*t.lease + time.Minute }

// askingTime is how long the provider is asked in one refresh.
func (t *Tokens) askingTime() time.Duration { return time.Duration(t.tries) * 30 * time.Second }

// errBusy says that another process is at it, and that there is no hurry.
var errBusy = errors.New("tokensource: another process refreshes the token")

// errAnother says that the record is another user's or client's by now: it is to be found again.
var errAnother = fmt.Errorf("%w: tokensource: the record keeps changing hands", oauthstore.ErrUnavailable)

// errAgain says that the record has changed, and is to be looked at again.
var errAgain = errors.New("the record has changed")

// errNoLease says that the store gives out no leases, or has no writes left for them, on a record whose refresh token
// was never replaced.
var errNoLease = errors.New("no lease")

// run returns the record's token once it is good.
func (r *refresh) run(ctx context.Context) (*oauthstore.OAuthToken, error) {
	for range maxTurns {
		token, err := r.try(ctx)
		if !errors.Is(err, errAgain) {
			return token, err
		}
	}
	return nil, fmt.Errorf("%w: tokensource: record %q keeps changing, or its lease ends before the store has answered",
		oauthstore.ErrUnavailable, r.id)
}

// maxTurns is how often a refresh starts over where somebody else has changed the record, or has taken the lease.
const maxTurns = 8

// try looks at the record and refreshes it, if it is due.
func (r *refresh) try(ctx context.Context) (*oauthstore.OAuthToken, error) {
	leaser, ok := r.store.(oauthstore.TokenLeaser)
	if !ok || r.lease == 0 {
		return r.alone(ctx)
	}
	token, err := r.leased(ctx, leaser)
	if errors.Is(err, errNoLease) {
		return r.alone(ctx)
	}
	return token, err
}

// over reports whether the token is of no use any more: it is the stale one, or has ended.
func (r *refresh) over(token *oauthstore.OAuthToken) bool { return r.is(token) || !r.valid(token) }

// due reports whether the token is to be refreshed, as far as it can be.
func (r *refresh) due(token *oauthstore.OAuthToken) bool {
	return r.sameOwner(token) && r.over(token) && r.refusalOf(token) == nil
}

// settled returns a token that is not due.
func (r *refresh) settled(token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	if !r.sameOwner(token) {
		return nil, errAnother
	}
	if err := r.refusalOf(token); err != nil && r.over(token) {
		return nil, err
	}
	return token, nil
}

// leaseTries is how often a lease is asked for again where the store fails.
const leaseTries = 3

// leased refreshes the token under a lease, or waits for the one who has it.
func (r *refresh) leased(ctx context.Context, leaser oauthstore.TokenLeaser) (*oauthstore.OAuthToken, error) {
	bounded, cancel := context.WithTimeout(ctx, r.patience())
	defer cancel()
	w := r.watch(r.id)
	for waits, failures := 1, 0; ; {
		l, err := leaser.LeaseToken(bounded, oauthstore.LeaseRequest{ID: r.id, For: r.lease, Due: r.due, TakeOver: w.ended()})
		switch {
		case err != nil && (errors.Is(err, errors.ErrUnsupported) || isWriteQuota(err)):
			return nil, errNoLease
		case err != nil && mayPass(err) && failures < leaseTries:
			failures++
			if err := sleep(bounded, pause(failures, 200*time.Millisecond, 2*time.Second)); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		case l.Held:
			r.unwatch(r.id)
			return r.hold(ctx, leaser, l)
		case l.Refused != "": // another process has asked
			refusal := &ReauthRequiredError{ID: l.Token.ID, UserName: l.Token.UserName, Code: l.Refused}
			r.bury(l.Token, refusal)
			return nil, refusal
		case l.Holder == "":
			r.unwatch(r.id)
			return r.settled(l.Token)
		case r.foreground && r.good:
			w.see(l, false)
			return nil, errBusy // the caller has a token, and may be frozen
		default:
			d := w.see(l, !r.good || !r.valid(r.token))
			r.waited = true
			r.observe(ctx, Event{Kind: LeaseWaited, ID: r.id, Attempt: waits, Duration: d})
			waits++
			switch err := sleep(bounded, d); {
			case err != nil && ctx.Err() == nil:
				return nil, fmt.Errorf("%w: tokensource: another process has the lease on record %q", oauthstore.ErrUnavailable, r.id)
			case err != nil:
				return nil, err
			}
		}
	}
}

// hold refreshes the token with the lease l.
func (r *refresh) hold(ctx context.Context, leaser oauthstore.TokenLeaser, l *oauthstore.Lease) (*oauthstore.OAuthToken, error) {
	if l.TakenOver {
		r.observe(ctx, Event{Kind: LeaseTakenOver, ID: r.id})
	}
	h := r.keepLease(ctx, leaser, l)
	got, err := r.ask(ctx, l.Token, h.sure)
	switch {
	case err != nil && ctx.Err() != nil:
		h.end() // and who takes the lease over knows that an answer may be lost
		return nil, err
	case errors.Is(err, oauthstore.ErrLeaseLost):
		h.release(ctx, "")
		r.observe(ctx, Event{Kind: LeaseLost, ID: r.id, Err: err})
		return nil, errAgain
	case err != nil:
		h.release(ctx, refusalIn(err))
		return nil, r.failure(l.Token, l.TakenOver, err, func() (*oauthstore.OAuthToken, error) {
			// A lease is asked for of the store itself, whatever is remembered before it.
			now, err := leaser.LeaseToken(ctx, oauthstore.LeaseRequest{ID: r.id, For: r.lease, Due: never})
			if err != nil {
				return nil, err
			}
			return now.Token, nil
		})
	}
	next := got.over(l.Token)
	return r.save(ctx, next, func(ctx context.Context) (*oauthstore.OAuthToken, error) {
		own := *next
		return &own, leaser.SaveLeased(ctx, l, &own)
	}, h.end)
}

// alone refreshes the token without a lease.
func (r *refresh) alone(ctx context.Context) (*oauthstore.OAuthToken, error) {
	read := func() (*oauthstore.OAuthToken, error) {
		bounded, cancel := context.WithTimeout(ctx, r.patience())
		defer cancel()
		return r.read(bounded)
	}
	token, err := read()
	if err != nil {
		return nil, err
	}
	if !r.due(token) {
		return r.settled(token)
	}
	got, err := r.ask(ctx, token, always)
	if err != nil {
		return nil, r.failure(token, false, err, read)
	}
	next := got.over(token)
	return r.save(ctx, next, func(ctx context.Context) (*oauthstore.OAuthToken, error) {
		bounded, cancel := context.WithTimeout(ctx, r.patience())
		defer cancel()
		own := *next
		return &own, r.update(bounded, &own, token)
	}, func() {})
}

// read reads the record, past a cache.
func (r *refresh) read(ctx context.Context) (*oauthstore.OAuthToken, error) {
	return found(r.store.FindTokenByID(oauthstore.Uncached(ctx), r.id))
}

// update saves the token, but where its record was deleted, or the user has logged in since the provider was asked with
// what asked has, as far as the store can tell.
func (r *refresh) update(ctx context.Context, token, asked *oauthstore.OAuthToken) error {
	switch now, err := r.read(ctx); {
	case err != nil:
		return err
	case now.RefreshToken != asked.RefreshToken && now.RefreshToken != token.RefreshToken:
		return oauthstore.ErrLeaseLost
	}
	if u, ok := r.store.(oauthstore.TokenUpdater); ok {
		if err := u.UpdateToken(ctx, token); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return r.store.SaveToken(ctx, token)
}

// ask asks the provider with what the token has, some times where it does not answer. Before each time sure is asked
// whether that is still our turn.
func (r *refresh) ask(ctx context.Context, token *oauthstore.OAuthToken, sure func() error) (*granted, error) {
	ctx, cancel := context.WithTimeout(ctx, r.askingTime())
	defer cancel()
	for attempt := 1; ; attempt++ {
		if err := sure(); err != nil {
			return nil, err
		}
		begin := time.Now()
		got, err := r.askWith(ctx, token, sure)
		r.observe(ctx, Event{Kind: Asked, ID: r.id, Attempt: attempt, Duration: time.Since(begin), Err: err})
		var p *ProviderError
		if !errors.As(err, &p) {
			return got, err
		}
		if p.Status == 0 {
			r.noAnswer(token)
		}
		if !p.passing() || attempt == r.tries || ctx.Err() != nil {
			return nil, err
		}
		d := max(pause(attempt, 400*time.Millisecond, 10*time.Second), p.RetryAfter)
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
			return nil, err
		}
		if sleep(ctx, d) != nil {
			return nil, err
		}
	}
}

// askWith asks once: with the refresh token, or the authorization code of a record that has only that.
//
// Step lease.ask.2.
func (r *refresh) askWith(ctx context.Context, token *oauthstore.OAuthToken, sure func() error) (*granted, error) {
	if token.RefreshToken != "" {
		return r.provider.refresh(ctx, token.RefreshToken, sure)
	}
	var opts []oauth2.AuthCodeOption
	if token.RedirectURL != "" {
		opts = append(opts, oauth2.SetAuthURLParam("redirect_uri", token.RedirectURL))
	}
	return r.provider.exchange(ctx, token.GrantToken, sure, opts...)
}

func never(*oauthstore.OAuthToken) bool { return false }

// always is how sure one is of one's turn where there is no lease.
func always() error { return nil }

// failure is the error after the provider has failed. That it does not take the refresh token any more is believed only
// where the record still has that one; else it is errAgain.
func (r *refresh) failure(asked *oauthstore.OAuthToken, lost bool, err error, read func() (*oauthstore.OAuthToken, error)) error {
	err = asReauth(err, asked, lost || r.hadNoAnswer(asked))
	var reauth *ReauthRequiredError
	if !errors.As(err, &reauth) {
		return err
	}
	switch now, failed := read(); {
	case failed != nil:
		return failed
	case now.RefreshToken != asked.RefreshToken, now.GrantToken != asked.GrantToken:
		return errAgain
	}
	r.bury(asked, reauth)
	return err
}

// refusalIn is the provider's error code, where it says that it does not take the refresh token any more.
func refusalIn(err error) string {
	var p *ProviderError
	if !errors.As(err, &p) || !p.deadGrant() {
		return ""
	}
	return p.Code
}

// asReauth makes a ReauthRequiredError of a provider's answer that is one.
func asReauth(err error, asked *oauthstore.OAuthToken, lost bool) error {
	code := refusalIn(err)
	if code == "" {
		return err
	}
	return &ReauthRequiredError{ID: asked.ID, UserName: asked.UserName, Code: code, AnswerLost: lost}
}

// report tells the observer how the refresh has ended.
func (r *refresh) report(ctx context.Context, err error) {
	e := Event{ID: r.id, Duration: time.Since(r.begun), Err: err}
	var reauth *ReauthRequiredError
	switch {
	case errors.Is(err, errBusy):
		return
	case errors.As(err, &reauth):
		e.Kind = ReauthRequired
	case err != nil:
		e.Kind = RefreshFailed
	case r.waited:
		e.Kind = Adopted
	default:
		return // save has told
	}
	r.observe(ctx, e)
}
