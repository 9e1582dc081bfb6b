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
	id    string
	stale string // the access token that is not good
	begun time.Time

	waited bool    // for another process
	unsure bool    // a request of ours to the provider had no answer
	answer *answer // that is still to be saved when run returns
}

// An answer of the provider that the store has not taken.
type answer struct {
	token *oauthstore.OAuthToken
	err   *NotSavedError
	save  func(context.Context) error
	end   func() // of what goes on as long as it is not saved
}

// given is what callers get of it.
func (a *answer) given(t *Tokens) (*oauthstore.OAuthToken, error) {
	if !t.valid(a.token) {
		return nil, a.err
	}
	return a.token, a.err
}

// patience is how long a refresh may take.
func (t *Tokens) patience() time.Duration {
	return 2*t.lease + time.Duration(t.tries)*30*time.Second
}

// errBusy says that another process is at it, and that there is no hurry.
var errBusy = errors.New("tokensource: another process refreshes the token")

// errAgain says that the record has changed, and is to be looked at again.
var errAgain = errors.New("the record has changed")

// run returns the record's token once it is good.
func (r *refresh) run(ctx context.Context) (*oauthstore.OAuthToken, error) {
	for range maxTurns {
		token, err := r.try(ctx)
		if !errors.Is(err, errAgain) {
			return token, err
		}
	}
	return nil, fmt.Errorf("%w: tokensource: record %q keeps changing", oauthstore.ErrUnavailable, r.id)
}

// maxTurns is how often a refresh starts over where somebody else has changed the record, or has taken the lease.
const maxTurns = 8

// try looks at the record and refreshes it, if it is due.
func (r *refresh) try(ctx context.Context) (*oauthstore.OAuthToken, error) {
	bounded, cancel := context.WithTimeout(ctx, r.patience())
	defer cancel()
	leaser, ok := r.store.(oauthstore.TokenLeaser)
	if !ok || r.lease == 0 {
		return r.alone(bounded, ctx)
	}
	token, err := r.leased(bounded, ctx, leaser)
	var quota *oauthstore.WriteQuotaError
	if errors.Is(err, errors.ErrUnsupported) || errors.As(err, &quota) && r.answer == nil {
		// No leases; or no writes left for them, on a record whose refresh token was never replaced.
		return r.alone(bounded, ctx)
	}
	return token, err
}

// due reports whether the token is to be refreshed: it is the stale one, or has ended.
func (r *refresh) due(token *oauthstore.OAuthToken) bool {
	return (token.AccessToken == r.stale || !r.valid(token)) && r.refusalOf(token) == nil
}

// settled returns a token that is not due.
func (r *refresh) settled(token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	if err := r.refusalOf(token); err != nil && (token.AccessToken == r.stale || !r.valid(token)) {
		return nil, err
	}
	return token, nil
}

// leaseTries is how often a lease is asked for again where the store fails.
const leaseTries = 3

// leased refreshes the token under a lease, or waits for the one who has it. What is to be saved is saved beyond
// the end of ctx, to that of after.
func (r *refresh) leased(ctx, after context.Context, leaser oauthstore.TokenLeaser) (*oauthstore.OAuthToken, error) {
	var w watch
	for waits, failures := 1, 0; ; {
		l, err := leaser.LeaseToken(ctx, oauthstore.LeaseRequest{ID: r.id, For: r.lease, Due: r.due, TakeOver: w.ended()})
		switch {
		case err != nil && mayPass(err) && failures < leaseTries:
			failures++
			if err := sleep(ctx, pause(failures, 200*time.Millisecond, 2*time.Second)); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		case l.Held:
			return r.hold(ctx, after, leaser, l)
		case l.Holder == "":
			return r.settled(l.Token)
		case r.valid(l.Token) && l.Token.AccessToken == r.stale:
			return nil, errBusy
		default:
			d := min(pause(waits, 100*time.Millisecond, time.Second), w.see(l))
			r.waited = true
			r.tell(ctx, Event{Kind: LeaseWaited, ID: r.id, Attempt: waits, Duration: d})
			waits++
			if err := sleep(ctx, d); err != nil {
				return nil, err
			}
		}
	}
}

// hold refreshes the token with the lease l.
func (r *refresh) hold(ctx, after context.Context, leaser oauthstore.TokenLeaser, l *oauthstore.Lease) (*oauthstore.OAuthToken, error) {
	if l.TakenOver {
		r.tell(ctx, Event{Kind: LeaseTakenOver, ID: r.id})
	}
	h := r.keepLease(after, leaser, l)
	got, err := r.ask(ctx, l.Token, h.sure)
	if err != nil {
		h.release(after)
		if errors.Is(err, oauthstore.ErrLeaseLost) {
			r.tell(ctx, Event{Kind: LeaseLost, ID: r.id, Err: err})
			return nil, errAgain
		}
		return nil, r.refused(l.Token, l.TakenOver, err, func() (*oauthstore.OAuthToken, error) {
			// A lease is asked for of the store itself, whatever is remembered before it.
			now, err := leaser.LeaseToken(ctx, oauthstore.LeaseRequest{ID: r.id, For: r.lease, Due: never})
			if err != nil {
				return nil, err
			}
			return now.Token, nil
		})
	}
	next := got.over(l.Token)
	return r.save(after, next, func(ctx context.Context) error { return leaser.SaveLeased(ctx, l, next) }, h.end)
}

// alone refreshes the token without a lease.
func (r *refresh) alone(ctx, after context.Context) (*oauthstore.OAuthToken, error) {
	token, err := r.store.FindTokenByID(ctx, r.id)
	if err != nil {
		return nil, err
	}
	if !r.due(token) {
		return r.settled(token)
	}
	got, err := r.ask(ctx, token, nil)
	if err != nil {
		return nil, r.refused(token, false, err, func() (*oauthstore.OAuthToken, error) {
			return r.store.FindTokenByID(ctx, r.id)
		})
	}
	next := got.over(token)
	return r.save(after, next, func(ctx context.Context) error { return r.update(ctx, next) }, func() {})
}

// update saves the token, but where its record was deleted, as far as the store can tell.
func (r *refresh) update(ctx context.Context, token *oauthstore.OAuthToken) error {
	if u, ok := r.store.(oauthstore.TokenUpdater); ok {
		if err := u.UpdateToken(ctx, token); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	if _, err := r.store.FindTokenByID(ctx, r.id); err != nil {
		return err
	}
	return r.store.SaveToken(ctx, token)
}

// ask asks the provider with what the token has, some times where it does not answer. Before each time sure is asked,
// if there is one, whether that is still our turn.
func (r *refresh) ask(ctx context.Context, token *oauthstore.OAuthToken, sure func(context.Context) error) (*granted, error) {
	for attempt := 1; ; attempt++ {
		if sure != nil {
			if err := sure(ctx); err != nil {
				return nil, err
			}
		}
		if grantOf(token) == "" {
			return nil, &ReauthRequiredError{ID: token.ID, UserName: token.UserName}
		}
		begin := time.Now()
		got, err := r.askWith(ctx, token)
		r.tell(ctx, Event{Kind: Asked, ID: r.id, Attempt: attempt, Duration: time.Since(begin), Err: err})
		var p *ProviderError
		if !errors.As(err, &p) || !p.passing() || attempt == r.tries {
			return got, err
		}
		r.unsure = r.unsure || p.Status == 0
		d := max(pause(attempt, 400*time.Millisecond, 10*time.Second), p.RetryAfter)
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
			return nil, err
		}
		if err := sleep(ctx, d); err != nil {
			return nil, err
		}
	}
}

// askWith asks once: with the refresh token, or the authorization code of a record that has only that.
func (r *refresh) askWith(ctx context.Context, token *oauthstore.OAuthToken) (*granted, error) {
	if token.RefreshToken != "" {
		return r.provider.refresh(ctx, token.RefreshToken)
	}
	var opts []oauth2.AuthCodeOption
	if token.RedirectURL != "" {
		opts = append(opts, oauth2.SetAuthURLParam("redirect_uri", token.RedirectURL))
	}
	return r.provider.exchange(ctx, token.GrantToken, opts...)
}

func never(*oauthstore.OAuthToken) bool { return false }

// refused is the error after the provider has failed. That it does not take the refresh token any more is believed only
// where the record still has that one; else it is errAgain.
func (r *refresh) refused(asked *oauthstore.OAuthToken, lost bool, err error, read func() (*oauthstore.OAuthToken, error)) error {
	err = asReauth(err, asked, lost || r.unsure)
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

// asReauth makes a ReauthRequiredError of a provider's answer that is one.
func asReauth(err error, asked *oauthstore.OAuthToken, lost bool) error {
	var p *ProviderError
	if !errors.As(err, &p) || !p.deadGrant() {
		return err
	}
	return &ReauthRequiredError{ID: asked.ID, UserName: asked.UserName, Code: p.Code, AnswerLost: lost}
}

// report tells the observer how the refresh has ended.
func (r *refresh) report(ctx context.Context, token *oauthstore.OAuthToken, err error) {
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
	r.tell(ctx, e)
}

// A refusal is what the provider has said of a refresh token that it does not take any more.
type refusal struct {
	grant string
	err   *ReauthRequiredError
}

// maxDead is how many refusals are remembered.
const maxDead = 1000

// bury takes note that the provider does not take the token's refresh token any more: it is not asked again.
func (t *Tokens) bury(token *oauthstore.OAuthToken, err *ReauthRequiredError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.dead) >= maxDead {
		clear(t.dead)
	}
	t.dead[token.ID] = refusal{grantOf(token), err}
}

// refusalOf returns what the provider has said of the token's refresh token, nil if it may still be good.
func (t *Tokens) refusalOf(token *oauthstore.OAuthToken) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if dead, ok := t.dead[token.ID]; ok && dead.grant == grantOf(token) {
		return dead.err
	}
	return nil
}

// revive forgets what was refused: the user has logged in.
func (t *Tokens) revive(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.dead, id)
}

// grantOf is what the provider is asked with, empty where there is nothing.
func grantOf(token *oauthstore.OAuthToken) string {
	if token.RefreshToken != "" {
		return token.RefreshToken
	}
	return token.GrantToken
}
