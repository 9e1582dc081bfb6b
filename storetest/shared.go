package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
)

// processes is how many stores share a service in RunShared.
const processes = 3

// RunShared checks what the contract says of a store that several processes use: each of several stores over one
// service stands for a process. A store that passes Run and RunShared may be used by any number of processes at once. A
// store that passes Run alone is for one process, and should say so in its documentation.
//
// newService makes a service, or a part of one, that has no tokens. Each open returns another store over it. The stores
// must have nothing in common but the service: no connection, no lock and no memory. Each subtest asks for a service of
// its own and opens three stores, which it uses from several goroutines at once. Subtests run one after another.
//
//	func TestStore_shared(t *testing.T) {
//		storetest.RunShared(t, func(t *testing.T) func() oauthstore.TokenStore {
//			dir := t.TempDir()
//			return func() oauthstore.TokenStore { return mystore.New(dir) }
//		})
//	}
//
// What is checked: no update is lost; there is one record for a user name and client id, whichever processes save it;
// a process sees at once what it has written itself, and what the others have; a deleted token does not come back, nor
// do updates of it change the token that has its id since; leases are held by one process, and only their holder saves
// under them; so a provider that replaces refresh tokens sees none of them twice. The last two are checked of stores
// that have [oauthstore.TokenUpdater] and [oauthstore.TokenLeaser].
//
// A service whose reads lag behind the writes of other clients has to be replaced by a test server whose reads do not:
// how long they lag is not for this suite to say.
func RunShared(t *testing.T, newService func(t *testing.T) (open func() oauthstore.TokenStore)) {
	for _, part := range sharedSuite {
		t.Run(part.name, func(t *testing.T) {
			for _, c := range part.checks {
				t.Run(c.name, func(t *testing.T) {
					c.run(newShared(t, newService(t)))
				})
			}
		})
	}
}

// newShared returns the first of several subjects over one service.
func newShared(t testingT, open func() oauthstore.TokenStore) *subject {
	all := make([]*subject, processes)
	for i := range all {
		all[i] = newSubject(t, open())
	}
	for _, s := range all {
		s.processes = all
	}
	return all[0]
}

// sharedSuite is all that is checked of several processes: the checks of Run in which callers meet, each caller in
// another process, and some more.
var sharedSuite = []part{
	{"Processes", sharedChecks},
	{"Concurrent", concurrentChecks},
	{"Update", updateMeetings},
	{"Lease", leaseMeetings},
}

var sharedChecks = []check{
	{"each sees at once what another has stored, changed and deleted", sharedReads},
	{"each sees its own writes while the others write the same token", sharedOwnWrites},
	{"a user name that one has given away is a conflict for the others, until it is free", sharedConflict},
	{"an update of a token that another has deleted and saved again changes nothing", updating(sharedIncarnation)},
	{"updates that meet a delete and a new login by another leave the new token as it is", updating(sharedNewLogin)},
	{"one has the lease, the others see whose it is, and what comes of it", leasing(sharedLease)},
	{"a provider that replaces refresh tokens sees none of them twice", leasing(sharedRotation)},
}

// wantEverywhere demands that each process finds token, and nothing else.
func (t *subject) wantEverywhere(token *oauthstore.OAuthToken) {
	t.Helper()
	for i, p := range t.processes {
		t.wantSame(fmt.Sprintf("process %d: FindTokenByID", i), p.byID(token.ID), token)
		t.wantSame(fmt.Sprintf("process %d: FindToken", i), p.find(&oauthstore.OAuthToken{UserName: token.UserName}), token)
		p.wantStored(token)
	}
}

func sharedReads(t *subject) {
	one, two := t.process(0), t.process(1)
	for _, p := range t.processes {
		p.wantNotFound(&oauthstore.OAuthToken{UserName: "user"})
		p.wantStored()
	}
	for range 2 {
		want := literal(one.save(full("user")))
		t.wantEverywhere(want)
		want.AccessToken, want.Scope = hush+"second", "by another process"
		two.save(&oauthstore.OAuthToken{UserName: "user", AccessToken: want.AccessToken, Scope: want.Scope})
		t.wantEverywhere(want)
		want.UserName = "renamed"
		two.save(&oauthstore.OAuthToken{ID: want.ID, UserName: "renamed"})
		t.wantEverywhere(want)
		one.delete(want.ID)
		for _, p := range t.processes {
			p.wantNotFound(&oauthstore.OAuthToken{UserName: "renamed"})
			p.wantNoID(want.ID)
			p.wantStored()
		}
	}
}

// sharedOwnWrites lets each process set a field of its own, so that what it reads there is what it has written last.
func sharedOwnWrites(t *subject) {
	const rounds = 6
	fields := []string{"AccessToken", "Scope", "APIDomain"}
	want := literal(t.save(full("user")))
	t.together(len(fields), func(i int) error {
		p, field := t.process(i), fields[i]
		for n := range rounds {
			value := fmt.Sprint(hush, field, " ", n)
			token := &oauthstore.OAuthToken{ID: want.ID}
			*textFields(token)[field] = value
			if err := p.saveTogether(token); err != nil {
				return err
			}
			for what, read := range map[string]func() (*oauthstore.OAuthToken, error){
				"FindTokenByID": func() (*oauthstore.OAuthToken, error) { return p.store.FindTokenByID(t.Context(), want.ID) },
				"FindToken": func() (*oauthstore.OAuthToken, error) {
					return p.store.FindToken(t.Context(), &oauthstore.OAuthToken{UserName: "user"})
				},
				"GetTokens": func() (*oauthstore.OAuthToken, error) {
					all, err := p.store.GetTokens(t.Context())
					if err != nil || len(all) != 1 {
						return nil, fmt.Errorf("got %d tokens and error %v, want one", len(all), err)
					}
					return all[0], nil
				},
			} {
				got, err := read()
				if err != nil {
					return fmt.Errorf("%s: %w", what, err)
				}
				if has := *textFields(got)[field]; has != value {
					return fmt.Errorf("%s by the process that has just saved %s %q: got %q", what, field, value, has)
				}
			}
		}
		return nil
	})
	for _, field := range fields {
		*textFields(want)[field] = fmt.Sprint(hush, field, " ", rounds-1)
	}
	t.wantEverywhere(want)
}

func sharedConflict(t *subject) {
	one, two, three := t.process(0), t.process(1), t.process(2)
	two.save(under("other", "another user", ""))
	for range 2 {
		first := one.save(under("first", "user", "client"))
		err := two.store.SaveToken(t.Context(), under("second", "user", "client"))
		t.wantConflict("SaveToken of a user that another process has saved under another id", err, "first")
		err = three.store.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "other", UserName: "user", ClientID: "client"})
		t.wantConflict("SaveToken that renames to a user of another process", err, "first")
		again := &oauthstore.OAuthToken{UserName: "user", ClientID: "client", AccessToken: hush + "again"}
		t.wantID(two.save(again), "first")
		first.AccessToken = hush + "again"
		t.wantSame("the record of the user", three.byID("first"), first)
		three.delete("first")
		one.save(under("second", "user", "client"))
		two.delete("second")
	}
	if n := len(t.all()); n != 1 {
		t.Errorf("GetTokens: got %d tokens, want 1", n)
	}
}

func sharedIncarnation(t *subject) {
	one, two := t.process(0), t.process(1)
	stale := map[string]*oauthstore.OAuthToken{"SaveToken": one.save(full("user"))}
	id := stale["SaveToken"].ID
	stale["FindTokenByID"] = one.byID(id)
	stale["FindToken"] = one.find(&oauthstore.OAuthToken{UserName: "user"})
	two.delete(id)
	for from, token := range stale {
		token.AccessToken = hush + "refreshed too late"
		err := one.updater.UpdateToken(t.Context(), token)
		t.wantError("UpdateToken of a token of "+from+" that another process has deleted", err, oauthstore.ErrTokenNotFound)
	}
	want := literal(two.save(full("user"))) // with the same refresh token, even
	for from, token := range stale {
		err := one.updater.UpdateToken(t.Context(), token)
		t.wantError("UpdateToken of a token of "+from+" that another process has deleted and saved again", err, oauthstore.ErrTokenNotFound)
	}
	t.wantEverywhere(want)
}

func sharedNewLogin(t *subject) {
	for round := range 4 {
		before := t.save(full("user"))
		next := full("user")
		next.RefreshToken, next.Scope = hush+"refresh of the new login", fmt.Sprint("of login ", round)
		t.together(processes, func(i int) error {
			p := t.process(i)
			if i == 0 {
				if err := p.deleteTogether(before.ID); err != nil {
					return err
				}
				return p.saveTogether(next)
			}
			for n := range 3 {
				late := *before // as it was found before the delete
				late.AccessToken = fmt.Sprint(hush, "late ", round, i, n)
				if err := p.updateTogether(&late); err != nil && !errors.Is(err, oauthstore.ErrTokenNotFound) {
					return err
				}
			}
			return nil
		})
		t.wantEverywhere(next)
		t.deleteAll()
	}
}

func sharedLease(t *subject) {
	one, two, three := t.process(0), t.process(1), t.process(2)
	want := literal(one.save(full("user")))
	first := one.held(want.ID)
	two.wantLeased(first)
	three.wantLeased(first)
	second := three.takeOver(two.lease(want.ID))
	one.wantLeased(second)
	t.wantError("RenewLease of a lease that another process has taken over", one.leaser.RenewLease(t.Context(), first), oauthstore.ErrLeaseLost)
	t.wantError("SaveLeased under a lease that another process has taken over",
		one.leaser.SaveLeased(t.Context(), first, refreshed(first, "late")), oauthstore.ErrLeaseLost)
	t.wantEverywhere(want)
	token := rotated(second, "new")
	three.saveLeased(second, token)
	t.wantEverywhere(token)

	two.refuse(two.held(want.ID))
	for _, p := range t.processes {
		if l := p.lease(want.ID); l.Held || l.Refused != "invalid_grant" {
			t.Errorf("LeaseToken after another process was refused: got %v (refused: %q), want no lease, and invalid_grant", l, l.Refused)
		}
	}
	three.save(&oauthstore.OAuthToken{ID: want.ID, RefreshToken: hush + "refresh of a new consent"})
	left := one.held(want.ID)
	two.delete(want.ID)
	saved := literal(two.save(full("user")))
	t.wantError("SaveLeased of a token that another process has deleted and saved again",
		one.leaser.SaveLeased(t.Context(), left, rotated(left, "late")), oauthstore.ErrTokenNotFound)
	t.wantEverywhere(saved)
}

// A rotating provider replaces the refresh token with each answer, and ends the session of a client that sends one for
// the second time (RFC 9700, 4.14.2).
type rotatingProvider struct {
	mu    sync.Mutex
	valid string // the refresh token that it takes
	n     int    // answers
}

func (p *rotatingProvider) refresh(token string) (refresh, access string, err error) {
	time.Sleep(time.Millisecond) // the way to the provider, on which two may meet
	p.mu.Lock()
	defer p.mu.Unlock()
	if token != p.valid {
		return "", "", fmt.Errorf("the provider was sent the refresh token %q, and takes %q only: the session has ended", token, p.valid)
	}
	p.n++
	p.valid = fmt.Sprint(hush, "refresh ", p.n)
	return p.valid, fmt.Sprint(hush, "access ", p.n), nil
}

func sharedRotation(t *subject) {
	const callers, rounds = 2 * processes, 5
	want := literal(t.save(full("user")))
	provider := &rotatingProvider{valid: want.RefreshToken}
	t.together(callers, func(i int) error {
		p := t.process(i)
		for range rounds {
			old, err := p.store.FindTokenByID(t.Context(), want.ID)
			if err != nil {
				return err
			}
			err = inTheEnd(func() error { return p.refreshWith(provider, old) })
			if err != nil {
				return err
			}
		}
		return nil
	})
	want.RefreshToken, want.AccessToken = provider.valid, fmt.Sprint(hush, "access ", provider.n)
	t.wantEverywhere(want)
	if provider.n < rounds {
		t.Errorf("the provider was asked %d times, want at least %d", provider.n, rounds)
	}
}

// refreshWith makes sure that the token old is not stored any more: by the provider, or by another process.
func (t *subject) refreshWith(provider *rotatingProvider, old *oauthstore.OAuthToken) error {
	l, err := t.leaser.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: old.ID, For: time.Minute,
		Due: func(now *oauthstore.OAuthToken) bool { return now.AccessToken == old.AccessToken }})
	switch {
	case err != nil:
		return err
	case l.Holder == "":
		return nil // another has refreshed it
	case !l.Held:
		time.Sleep(time.Millisecond)
		return oauthstore.ErrUnavailable
	}
	token := *l.Token
	if token.RefreshToken, token.AccessToken, err = provider.refresh(token.RefreshToken); err != nil {
		return err
	}
	return inTheEnd(func() error { return t.leaser.SaveLeased(t.Context(), l, &token) })
}
