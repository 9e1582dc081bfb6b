package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/oauthstore/oauthstore"
)

var leaseChecks = []check{
	{"one at a time has the lease, and all see the token", leasing(leaseOne)},
	{"no lease is given where the token is not due", leasing(leaseNotDue)},
	{"there is no lease on what is not there", leasing(leaseNotFound)},
	{"a request that cannot be is invalid", leasing(leaseInvalid)},
	{"a save by the holder is stored and gives the lease back", leasing(leaseSave)},
	{"a save by the holder that changes nothing gives the lease back", leasing(leaseSaveNothing)},
	{"a save by the holder may be made again", leasing(leaseSaveAgain)},
	{"a save by the holder updates its own record only", leasing(leaseSaveOther)},
	{"a lease that is given back is free", leasing(leaseRelease)},
	{"a lease that is renewed runs on", leasing(leaseRenew)},
	{"a refusal is shown, and no lease given, until the token changes", leasing(leaseRefused)},
	{"a deletion of all tokens ends their leases and refusals", leasing(leaseDeletedAll)},
	{"a refusal of what the record does not have any more is not kept", leasing(leaseRefusedBefore)},
	{"a lease is taken over by who names its holder, and by nobody else", leasing(leaseTakeOver)},
	{"a lease that was renewed is not taken over by who saw it before", leasing(leaseRenewedSince)},
	{"who has lost the lease cannot renew it, or take the other's away", leasing(leaseLost)},
	{"who never had the lease cannot do anything with it", leasing(leaseNever)},
	{"who has lost the lease cannot save", leasing(leaseLostSave)},
	{"a refresh token that came too late is stored where nobody has another", leasing(leaseLateRotation)},
	{"a refresh token that came too late does not replace a newer one", leasing(leaseTooLateRotation)},
	{"a new consent stays, and ends the lease's worth", leasing(leaseConsent)},
	{"saves by others go on, and the holder's does not undo them", leasing(leaseOthers)},
	{"a deleted token stays deleted", leasing(leaseDeleted)},
	{"a token that took the place of a deleted one stays as it is", leasing(leaseReplaced)},
	{"an ended context ends every method", leasing(leaseEnded)},
}

// leaseMeetings are the checks in which callers meet.
var leaseMeetings = []check{
	{"of many who ask at once one gets the lease", leasing(leaseConcurrent)},
	{"of many who take a lease over at once one gets it", leasing(leaseTakeOverConcurrent)},
	{"a save by the holder comes before a take-over or is lost", meeting(16, takenAtSave(refreshed))},
	{"a refresh token that comes during a take-over replaces none that its saver has not seen", meeting(16, takenAtSave(rotated))},
	{"a lease that is renewed while another takes it over has one holder", meeting(16, takenAtRenewal)},
	{"a lease that is given back while another takes it over is the other's", meeting(16, takenAtRelease)},
	{"a token that is deleted while its lease is used stays deleted", meeting(16, deletedAtUse)},
	{"a token that takes the place of one deleted while its lease is used stays as it is", meeting(8, replacedAtUse)},
	{"a save by another while the lease is used loses nothing, nor does the lease", meeting(16, savedAtUse)},
	{"what many refresh at once is refreshed once", leasing(leaseFleet)},
}

// leasing skips the check where the store is no oauthstore.TokenLeaser, or wraps one that is none.
func leasing(run func(t *subject)) func(t *subject) {
	return func(t *subject) {
		if t.leaser == nil {
			t.Skipf("the store is no oauthstore.TokenLeaser")
		}
		if _, err := t.leaser.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "nothing", For: time.Minute}); errors.Is(err, errors.ErrUnsupported) {
			t.Skipf("the store gives out no leases: %v", err)
		}
		run(t)
	}
}

// lease asks for the lease on the token under id, for a minute.
func (t *subject) lease(id string) *oauthstore.Lease {
	t.Helper()
	return t.leaseBy(oauthstore.LeaseRequest{ID: id, For: time.Minute})
}

func (t *subject) leaseBy(request oauthstore.LeaseRequest) *oauthstore.Lease {
	t.Helper()
	l, err := t.leaser.LeaseToken(t.Context(), request)
	if err != nil {
		t.Fatalf("LeaseToken(%q): %v", request.ID, err)
	}
	if l == nil || l.Token == nil {
		t.Fatalf("LeaseToken(%q): got no lease, or one without token", request.ID)
	}
	return l
}

// held is lease where it must be had.
func (t *subject) held(id string) *oauthstore.Lease {
	t.Helper()
	l := t.lease(id)
	if !l.Held || l.Holder == "" {
		t.Fatalf("LeaseToken(%q): got %v, want the lease", id, l)
	}
	return l
}

// takeOver takes l over from its holder.
func (t *subject) takeOver(l *oauthstore.Lease) *oauthstore.Lease {
	t.Helper()
	next := t.leaseBy(oauthstore.LeaseRequest{ID: l.Token.ID, For: time.Minute, TakeOver: l})
	if !next.Held || next.Holder == l.Holder || !next.TakenOver {
		t.Fatalf("LeaseToken that takes over %v: got %v (taken over: %v), want another lease, taken over", l, next, next.TakenOver)
	}
	return next
}

// inTheEnd calls do again as long as the store, or another holder, is busy.
func inTheEnd(do func() error) error {
	for {
		if err := do(); !errors.Is(err, oauthstore.ErrUnavailable) {
			return err
		}
	}
}

// refreshed is what the provider makes of a leased token.
func refreshed(l *oauthstore.Lease, name string) *oauthstore.OAuthToken {
	token := *l.Token
	token.AccessToken, token.Expiry = hush+"access "+name, time.Date(2041, 1, 1, 0, 0, 0, 0, time.UTC)
	return &token
}

// rotated is refreshed with another refresh token.
func rotated(l *oauthstore.Lease, name string) *oauthstore.OAuthToken {
	token := refreshed(l, name)
	token.RefreshToken = hush + "refresh " + name
	return token
}

func (t *subject) saveLeased(l *oauthstore.Lease, token *oauthstore.OAuthToken) {
	t.Helper()
	if err := t.leaser.SaveLeased(t.Context(), l, token); err != nil {
		t.Fatalf("SaveLeased(%s): %v", describe(token), err)
	}
}

// wantLeased demands that l still is the lease on its token.
func (t *subject) wantLeased(l *oauthstore.Lease) {
	t.Helper()
	if got := t.lease(l.Token.ID); got.Held || got.Holder != l.Holder || !got.Until.Equal(l.Until) {
		t.Errorf("LeaseToken(%q): got %v, want that of %v still", l.Token.ID, got, l)
	}
}

func leaseOne(t *subject) {
	want := t.save(full("user"))
	first := t.held(want.ID)
	t.wantSame("the token of a lease", first.Token, want)
	if left := time.Until(first.Until); first.For != time.Minute || left > time.Minute || left < 0 {
		t.Errorf("LeaseToken: got one for %v, until %v, want one for a minute from now", first.For, first.Until)
	}
	if first.TakenOver {
		t.Errorf("LeaseToken of a token that nobody had leased: got one taken over")
	}
	second := t.lease(want.ID)
	if second.Held || second.Holder != first.Holder || second.For != time.Minute || !second.Until.Equal(first.Until) {
		t.Errorf("LeaseToken of a leased token: got %v, want %v, not held", second, first)
	}
	t.wantSame("the token of a lease that another has", second.Token, want)
	other := t.save(full("another user"))
	t.held(other.ID)
	t.wantExactly(map[string]*oauthstore.OAuthToken{want.ID: want, other.ID: other})
}

func leaseNotDue(t *subject) {
	want := t.save(full("user"))
	for range 2 {
		var asked *oauthstore.OAuthToken
		l := t.leaseBy(oauthstore.LeaseRequest{ID: want.ID, For: time.Minute, Due: func(token *oauthstore.OAuthToken) bool {
			asked = token
			return false
		}})
		if l.Held || l.Holder != "" {
			t.Errorf("LeaseToken of a token that is not due: got %v, want no lease", l)
		}
		t.wantSame("the token that is asked about", asked, want)
		t.wantSame("the token that is not due", l.Token, want)
	}
	l := t.leaseBy(oauthstore.LeaseRequest{ID: want.ID, For: time.Minute, Due: func(token *oauthstore.OAuthToken) bool {
		return token.AccessToken == want.AccessToken
	}})
	if !l.Held {
		t.Errorf("LeaseToken of a token that is due: got %v, want the lease", l)
	}
}

func leaseNotFound(t *subject) {
	deleted := t.save(full("user"))
	t.held(deleted.ID)
	t.delete(deleted.ID)
	for _, id := range []string{"nothing", deleted.ID, ""} {
		l, err := t.leaser.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: id, For: time.Minute})
		t.wantError(fmt.Sprintf("LeaseToken(%q)", id), err, oauthstore.ErrTokenNotFound)
		if l != nil {
			t.Errorf("LeaseToken(%q): got %v beside an error", id, l)
		}
	}
	t.save(full("user"))
	if l := t.held(deleted.ID); l.TakenOver { // the lease went with the record
		t.Errorf("LeaseToken of a token that was made anew: got one taken over")
	}
}

func leaseInvalid(t *subject) {
	token := t.save(full("user"))
	for _, d := range []time.Duration{0, -time.Second} {
		_, err := t.leaser.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: token.ID, For: d})
		t.wantInvalid(fmt.Sprintf("LeaseToken for %v", d), err, "For")
	}
	l := t.held(token.ID)
	t.wantInvalid("SaveLeased(nil)", t.leaser.SaveLeased(t.Context(), l, nil), "token")
	bad := refreshed(l, "\xff")
	t.wantInvalid("SaveLeased of what is not UTF-8", t.leaser.SaveLeased(t.Context(), l, bad), "AccessToken")
	t.wantLeased(l)
	t.wantStored(token)
}

func leaseSave(t *subject) {
	want := literal(t.save(full("user")))
	for i, make := range []func(l *oauthstore.Lease, name string) *oauthstore.OAuthToken{refreshed, rotated, refreshed} {
		l := t.held(want.ID)
		if l.TakenOver {
			t.Errorf("LeaseToken of a lease that was given back: got one taken over")
		}
		token := make(l, fmt.Sprint(i))
		want.AccessToken, want.RefreshToken, want.Expiry = token.AccessToken, token.RefreshToken, token.Expiry
		if i == 2 {
			token = &oauthstore.OAuthToken{AccessToken: token.AccessToken} // without id
		}
		t.saveLeased(l, token)
		t.wantSame("the argument of SaveLeased", token, want)
		t.wantStored(want)
	}
	t.held(want.ID)
}

func leaseSaveNothing(t *subject) {
	want := t.save(full("user"))
	l := t.held(want.ID)
	token := &oauthstore.OAuthToken{ID: want.ID, Scope: want.Scope}
	t.saveLeased(l, token)
	t.wantSame("the argument of a SaveLeased that changes nothing", token, want)
	t.held(want.ID)
}

func leaseSaveAgain(t *subject) {
	l := t.held(t.save(full("user")).ID)
	token := rotated(l, "new")
	again := *token
	t.saveLeased(l, token)
	t.saveLeased(l, &again)
	t.wantStored(token)
	t.wantSame("the argument of a SaveLeased that was made again", &again, token)
}

func leaseSaveOther(t *subject) {
	a, b := t.save(under("a", "user a", "")), t.save(under("b", "user b", ""))
	l := t.held("a")
	t.wantInvalid("SaveLeased of another record's token", t.leaser.SaveLeased(t.Context(), l, &oauthstore.OAuthToken{ID: "b", Scope: "all"}), "ID")
	t.wantLeased(l)
	t.wantStored(a, b)
}

func leaseRelease(t *subject) {
	want := t.save(full("user"))
	l := t.held(want.ID)
	for range 2 { // the second has nothing to do
		if err := t.leaser.ReleaseLease(t.Context(), l); err != nil {
			t.Errorf("ReleaseLease: %v", err)
		}
	}
	next := t.held(want.ID)
	if next.TakenOver || next.Holder == l.Holder {
		t.Errorf("LeaseToken of a lease that was given back: got %v (taken over: %v), want a new one", next, next.TakenOver)
	}
	if err := t.leaser.ReleaseLease(t.Context(), l); err != nil {
		t.Errorf("ReleaseLease of a lease that another has by now: %v", err)
	}
	t.wantLeased(next)
	t.delete(want.ID)
	if err := t.leaser.ReleaseLease(t.Context(), next); err != nil {
		t.Errorf("ReleaseLease of a token that was deleted: %v", err)
	}
}

func leaseRenew(t *subject) {
	token := t.save(full("user"))
	l := t.held(token.ID)
	was := *l
	time.Sleep(2 * time.Millisecond)
	if err := t.leaser.RenewLease(t.Context(), l); err != nil {
		t.Fatalf("RenewLease: %v", err)
	}
	if !l.Until.After(was.Until) || l.Holder != was.Holder {
		t.Errorf("RenewLease: got %v, want %v, until later", l, &was)
	}
	seen := t.lease(token.ID)
	if seen.Held || seen.Holder != l.Holder || !seen.Until.Equal(l.Until) {
		t.Errorf("LeaseToken of a lease that was renewed: got %v, want %v, not held", seen, l)
	}
	t.saveLeased(l, rotated(l, "new"))
	t.wantError("RenewLease of a lease that was given back", t.leaser.RenewLease(t.Context(), l), oauthstore.ErrLeaseLost)
	t.held(token.ID)
}

// refuse gives l back with what the provider has said.
func (t *subject) refuse(l *oauthstore.Lease) {
	t.Helper()
	l.Refused = "invalid_grant"
	if err := t.leaser.ReleaseLease(t.Context(), l); err != nil {
		t.Fatalf("ReleaseLease: %v", err)
	}
}

func leaseRefused(t *subject) {
	want := t.save(full("user"))
	for _, change := range []*oauthstore.OAuthToken{{ID: want.ID, AccessToken: hush + "another"}, {ID: want.ID, RefreshToken: hush + "another"}} {
		t.refuse(t.held(want.ID))
		for range 2 {
			l := t.lease(want.ID)
			if l.Held || l.Holder != "" || l.Refused != "invalid_grant" || time.Until(l.Until) < 50*time.Minute {
				t.Errorf("LeaseToken after a refusal: got %v (refused: %q), want no lease, and that the provider says invalid_grant, for an hour", l, l.Refused)
			}
			t.save(&oauthstore.OAuthToken{ID: want.ID, AccessToken: t.byID(want.ID).AccessToken}) // the same
		}
		want = t.save(change)
		if l := t.held(want.ID); l.Refused != "" || l.TakenOver {
			t.Errorf("LeaseToken after a change: got %v (refused: %q, taken over: %v), want the lease", l, l.Refused, l.TakenOver)
		} else if err := t.leaser.ReleaseLease(t.Context(), l); err != nil {
			t.Errorf("ReleaseLease: %v", err)
		}
	}
	t.wantStored(want)
	t.refuse(t.held(want.ID))
	t.delete(want.ID)
	t.save(full("user"))
	t.held(want.ID)
}

func leaseDeletedAll(t *subject) {
	for range 2 {
		refused, leased := t.save(full("refused")), t.save(full("leased"))
		t.refuse(t.held(refused.ID))
		if l := t.held(leased.ID); l.TakenOver {
			t.Errorf("LeaseToken of a new token: got a lease taken over")
		}
		t.deleteAll()
	}
}

func leaseRefusedBefore(t *subject) {
	want := t.save(full("user"))
	l := t.held(want.ID)
	t.save(&oauthstore.OAuthToken{ID: want.ID, RefreshToken: hush + "refresh of a new consent"})
	t.refuse(l)
	if l := t.held(want.ID); l.Refused != "" {
		t.Errorf("LeaseToken: got the refusal of a refresh token that was replaced")
	}
	lost := t.lease(want.ID)
	lost.Held = true
	next := t.takeOver(lost)
	t.refuse(lost)
	t.wantLeased(next)
}

func leaseTakeOver(t *subject) {
	token := t.save(full("user"))
	first := t.held(token.ID)
	for _, holder := range []string{"nobody", first.Holder + "x"} {
		l := t.leaseBy(oauthstore.LeaseRequest{ID: token.ID, For: time.Minute, TakeOver: &oauthstore.Lease{Holder: holder, Until: first.Until}})
		if l.Held || l.Holder != first.Holder {
			t.Errorf("LeaseToken that takes over what nobody has: got %v, want that of %v still", l, first)
		}
	}
	second := t.takeOver(first)
	t.wantLeased(second)
	if l := t.leaseBy(oauthstore.LeaseRequest{ID: token.ID, For: time.Minute, TakeOver: first}); l.Held {
		t.Errorf("LeaseToken that takes over what was taken over: got %v, want that of %v still", l, second)
	}
	t.wantSame("the token of a lease that was taken over", second.Token, token)
}

func leaseRenewedSince(t *subject) {
	token := t.save(full("user"))
	first := t.held(token.ID)
	seen := t.lease(token.ID)
	time.Sleep(2 * time.Millisecond)
	if err := t.leaser.RenewLease(t.Context(), first); err != nil {
		t.Fatalf("RenewLease: %v", err)
	}
	if l := t.leaseBy(oauthstore.LeaseRequest{ID: token.ID, For: time.Minute, TakeOver: seen}); l.Held {
		t.Errorf("LeaseToken that takes over what was renewed since: got %v, want that of %v still", l, first)
	}
	t.wantLeased(first)
	t.takeOver(t.lease(token.ID))
}

func leaseLost(t *subject) {
	token := t.save(full("user"))
	first := t.held(token.ID)
	second := t.takeOver(first)
	t.wantError("RenewLease of a lease that was taken over", t.leaser.RenewLease(t.Context(), first), oauthstore.ErrLeaseLost)
	if err := t.leaser.ReleaseLease(t.Context(), first); err != nil {
		t.Errorf("ReleaseLease of a lease that was taken over: %v", err)
	}
	t.wantLeased(second)
}

func leaseNever(t *subject) {
	want := t.save(full("user"))
	none := t.leaseBy(oauthstore.LeaseRequest{ID: want.ID, For: time.Minute, Due: func(*oauthstore.OAuthToken) bool { return false }})
	first := t.held(want.ID)
	for what, l := range map[string]*oauthstore.Lease{"of a token that was not due": none, "that another has": t.lease(want.ID)} {
		t.wantError("RenewLease of one "+what, t.leaser.RenewLease(t.Context(), l), oauthstore.ErrLeaseLost)
		t.wantError("SaveLeased under one "+what, t.leaser.SaveLeased(t.Context(), l, rotated(l, "new")), oauthstore.ErrLeaseLost)
		if err := t.leaser.ReleaseLease(t.Context(), l); err != nil {
			t.Errorf("ReleaseLease of one %s: %v", what, err)
		}
	}
	t.wantLeased(first)
	t.wantStored(want)
}

func leaseLostSave(t *subject) {
	want := literal(t.save(full("user")))
	first := t.held(want.ID)
	second := t.takeOver(first)
	t.wantError("SaveLeased by who has lost the lease", t.leaser.SaveLeased(t.Context(), first, refreshed(first, "late")), oauthstore.ErrLeaseLost)
	t.wantStored(want)
	t.wantLeased(second)
	token := rotated(second, "new")
	t.saveLeased(second, token)
	for _, make := range []func(l *oauthstore.Lease, name string) *oauthstore.OAuthToken{refreshed, rotated} {
		t.wantError("SaveLeased by who has lost the lease, after the other's", t.leaser.SaveLeased(t.Context(), first, make(first, "later")), oauthstore.ErrLeaseLost)
		t.wantStored(token)
	}
}

func leaseLateRotation(t *subject) {
	first := t.held(t.save(full("user")).ID)
	second := t.takeOver(first)
	late := rotated(first, "late")
	t.saveLeased(first, late) // the provider takes no other any more
	t.wantStored(late)
	t.wantLeased(second)
	t.wantError("SaveLeased by who has asked with a refresh token that was replaced", t.leaser.SaveLeased(t.Context(), second, rotated(second, "void")), oauthstore.ErrLeaseLost)
	t.wantStored(late)
}

func leaseTooLateRotation(t *subject) {
	first := t.held(t.save(full("user")).ID)
	second := t.takeOver(first)
	token := refreshed(second, "new") // the refresh token has stayed
	t.saveLeased(second, token)
	t.wantError("SaveLeased by who has lost the lease, after a refresh", t.leaser.SaveLeased(t.Context(), first, rotated(first, "late")), oauthstore.ErrLeaseLost)
	t.wantStored(token)
}

func leaseConsent(t *subject) {
	want := literal(t.save(full("user")))
	l := t.held(want.ID)
	want.RefreshToken, want.AccessToken = hush+"refresh of the new consent", hush+"access of the new consent"
	t.save(&oauthstore.OAuthToken{UserName: "user", ClientID: want.ClientID, RefreshToken: want.RefreshToken, AccessToken: want.AccessToken})
	for _, make := range []func(l *oauthstore.Lease, name string) *oauthstore.OAuthToken{refreshed, rotated} {
		t.wantError("SaveLeased after a new consent", t.leaser.SaveLeased(t.Context(), l, make(l, "late")), oauthstore.ErrLeaseLost)
		t.wantStored(want)
	}
}

func leaseOthers(t *subject) {
	want := literal(t.save(full("user")))
	l := t.held(want.ID)
	t.save(&oauthstore.OAuthToken{ID: want.ID, Scope: "another"})
	t.wantLeased(l)
	token := rotated(l, "new")
	t.saveLeased(l, token)
	want.Scope, want.AccessToken, want.RefreshToken, want.Expiry = "another", token.AccessToken, token.RefreshToken, token.Expiry
	t.wantStored(want)
	t.wantSame("the argument of SaveLeased", token, want)
}

func leaseDeleted(t *subject) {
	l := t.held(t.save(full("user")).ID)
	t.delete(l.Token.ID)
	t.wantError("SaveLeased of a deleted token", t.leaser.SaveLeased(t.Context(), l, rotated(l, "new")), oauthstore.ErrTokenNotFound)
	t.wantError("RenewLease of a deleted token", t.leaser.RenewLease(t.Context(), l), oauthstore.ErrLeaseLost)
	t.wantStored()
}

func leaseReplaced(t *subject) {
	l := t.held(t.save(full("user")).ID)
	t.delete(l.Token.ID)
	want := t.save(full("user")) // with the same refresh token, even
	t.wantError("SaveLeased of a token that was deleted and made anew", t.leaser.SaveLeased(t.Context(), l, rotated(l, "new")), oauthstore.ErrTokenNotFound)
	t.wantError("RenewLease of a token that was deleted and made anew", t.leaser.RenewLease(t.Context(), l), oauthstore.ErrLeaseLost)
	t.wantStored(want)
}

func leaseEnded(t *subject) {
	want := t.save(full("user"))
	l := t.held(want.ID)
	other := t.save(full("zoe"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for method, err := range map[string]error{
		"LeaseToken":   second(t.leaser.LeaseToken(ctx, oauthstore.LeaseRequest{ID: other.ID, For: time.Minute})),
		"RenewLease":   t.leaser.RenewLease(ctx, l),
		"SaveLeased":   t.leaser.SaveLeased(ctx, l, rotated(l, "new")),
		"ReleaseLease": t.leaser.ReleaseLease(ctx, l),
	} {
		t.wantError(method, err, context.Canceled)
	}
	t.wantLeased(l)
	t.held(other.ID)
	t.wantExactly(map[string]*oauthstore.OAuthToken{want.ID: want, other.ID: other})
}

func leaseConcurrent(t *subject) {
	token := t.save(full("user"))
	for range 4 {
		l := t.leaseTogether(oauthstore.LeaseRequest{ID: token.ID, For: time.Minute})
		if err := t.leaser.ReleaseLease(t.Context(), l); err != nil {
			t.Fatalf("ReleaseLease: %v", err)
		}
	}
}

func leaseTakeOverConcurrent(t *subject) {
	l := t.held(t.save(full("user")).ID)
	for range 4 {
		l = t.leaseTogether(oauthstore.LeaseRequest{ID: l.Token.ID, For: time.Minute, TakeOver: l})
	}
}

// leaseTogether lets many ask at once, of whom one must get the lease, and returns it.
func (t *subject) leaseTogether(request oauthstore.LeaseRequest) *oauthstore.Lease {
	t.Helper()
	var held atomic.Pointer[oauthstore.Lease]
	t.together(8, func(i int) error {
		return patiently(func() error {
			l, err := t.process(i).leaser.LeaseToken(t.Context(), request)
			if err == nil && l.Held && !held.CompareAndSwap(nil, l) {
				return fmt.Errorf("the lease is held twice: %v and %v", l, held.Load())
			}
			return err
		})
	})
	l := held.Load()
	if l == nil {
		t.Fatalf("LeaseToken, by many at once: nobody has got it")
	}
	t.wantLeased(l)
	return l
}

// A provider's refresh token is used once only, however many want a new access token.
func leaseFleet(t *subject) {
	token := t.save(full("user"))
	var refreshes atomic.Int32
	for round := range 3 {
		old := t.byID(token.ID).AccessToken
		t.together(6, func(i int) error {
			return inTheEnd(func() error {
				l, err := t.process(i).leaser.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: token.ID, For: time.Minute,
					Due: func(now *oauthstore.OAuthToken) bool { return now.AccessToken == old }})
				switch {
				case err != nil:
					return err
				case l.Held:
					refreshes.Add(1)
					return t.process(i).leaser.SaveLeased(t.Context(), l, rotated(l, fmt.Sprint(round)))
				case l.Holder != "": // somebody is at it
					time.Sleep(time.Millisecond)
					return oauthstore.ErrUnavailable
				default:
					return nil
				}
			})
		})
		if got := t.byID(token.ID).RefreshToken; got != fmt.Sprint(hush, "refresh ", round) {
			t.Errorf("after round %d: got the refresh token %q", round, got)
		}
	}
	if n := refreshes.Load(); n != 3 {
		t.Errorf("got %d refreshes in 3 rounds, want one in each", n)
	}
}
