package storetest

import (
	"errors"
	"fmt"

	"github.com/oauthstore/oauthstore"
)

var updateChecks = []check{
	{"an update merges and fills in its argument", updating(updateMerges)},
	{"an update never inserts", updating(updateNeverInserts)},
	{"what cannot be looked for is an invalid token", updating(updateInvalid)},
	{"a rename that conflicts changes nothing", updating(updateConflict)},
	{"a stale copy does not undo a refresh", updating(updateStale)},
	{"a token that an update has filled in, by whatever rule, does not undo a refresh", updating(updateFilledIn)},
	{"an older refresh token in a literal does not come back", updating(updateLiteral)},
	{"an update by a superseded refresh token updates the record that has had it", updating(updateSuperseded)},
	{"a token of a deleted record does not update the one that has its id now", updating(updateReplaced)},
	{"an argument is the caller's again once the update has returned", updating(updateArgument)},
}

// updateMeetings are the checks in which callers meet.
var updateMeetings = []check{
	{"an update that meets a delete does not bring the token back", updating(updateMeetsDelete)},
	{"an update by an access token that is replaced meanwhile comes before that or finds nothing", updating(moving(atAccess, movedUpdate))},
	{"an update by a refresh token that is replaced meanwhile finds the record and leaves the newer one", updating(moving(atRefresh, movedRefresh((*subject).updateTogether)))},
}

// updating skips the check where the store is no oauthstore.TokenUpdater, or wraps one that is none.
func updating(run func(t *subject)) func(t *subject) {
	return func(t *subject) {
		if t.updater == nil {
			t.Skipf("the store is no oauthstore.TokenUpdater")
		}
		if err := t.updater.UpdateToken(t.Context(), &oauthstore.OAuthToken{ID: "nothing"}); errors.Is(err, errors.ErrUnsupported) {
			t.Skipf("the store has no updates: %v", err)
		}
		run(t)
	}
}

func (t *subject) update(token *oauthstore.OAuthToken) {
	t.Helper()
	if err := t.updater.UpdateToken(t.Context(), token); err != nil {
		t.Fatalf("UpdateToken(%s): %v", describe(token), err)
	}
}

func updateMerges(t *subject) {
	want := literal(t.save(full("user")))
	for _, update := range []*oauthstore.OAuthToken{
		{ID: want.ID},
		{UserName: want.UserName},
		{AccessToken: want.AccessToken},
		{RefreshToken: want.RefreshToken, ClientID: want.ClientID, ClientSecret: want.ClientSecret},
	} {
		update.Scope = "by " + describe(update)
		want.Scope = update.Scope
		t.update(update)
		t.wantSame("the argument after UpdateToken "+update.Scope, update, want)
		t.wantStored(want)
	}
}

func updateNeverInserts(t *subject) {
	found := t.save(full("deleted"))
	t.delete(found.ID)
	other := t.save(full("other"))
	for _, token := range []*oauthstore.OAuthToken{
		found,
		full("unknown"),
		under("unknown", "", ""),
		{UserName: "other", ClientID: "other client", AccessToken: hush + "access"},
		{AccessToken: hush + "unknown"},
		withClient(hush+"unknown", "", "client"),
		withClient("", hush+"unknown", "client"),
	} {
		what := "UpdateToken(" + describe(token) + ")"
		t.wantError(what, t.updater.UpdateToken(t.Context(), token), oauthstore.ErrTokenNotFound)
	}
	t.wantStored(other)
}

func updateInvalid(t *subject) {
	t.wantInvalid("UpdateToken(nil)", t.updater.UpdateToken(t.Context(), nil))
	stored := t.save(full("user"))
	for _, token := range []*oauthstore.OAuthToken{
		{},
		{RefreshToken: stored.RefreshToken},
		{AccessToken: stored.AccessToken, ClientID: stored.ClientID},
		{ID: stored.ID, Scope: "\xff"},
	} {
		t.wantInvalid("UpdateToken("+describe(token)+")", t.updater.UpdateToken(t.Context(), token))
	}
	t.wantStored(stored)
}

func updateConflict(t *subject) {
	a, b := t.save(under("a", "user a", "")), t.save(under("b", "user b", ""))
	err := t.updater.UpdateToken(t.Context(), &oauthstore.OAuthToken{ID: "b", UserName: "user a"})
	t.wantConflict("UpdateToken", err, "a")
	t.wantStored(a, b)
}

func updateStale(t *subject) {
	want := literal(t.save(full("user")))
	stale := t.byID(want.ID)
	want.RefreshToken, want.AccessToken = hush+"second refresh", hush+"second access"
	t.update(&oauthstore.OAuthToken{ID: want.ID, RefreshToken: want.RefreshToken, AccessToken: want.AccessToken})
	stale.Scope, want.Scope = "all", "all"
	t.update(stale)
	t.wantSame("a stale token after it is updated", stale, want)
	t.wantStored(want)
}

func updateFilledIn(t *subject) { t.filledIn(t.update) }

func updateLiteral(t *subject) {
	want := literal(t.save(full("user")))
	old := want.RefreshToken
	for i := range 3 {
		want.RefreshToken = fmt.Sprint(hush, "refresh ", i)
		t.update(&oauthstore.OAuthToken{ID: want.ID, RefreshToken: want.RefreshToken})
		late := &oauthstore.OAuthToken{UserName: "user", RefreshToken: old, Scope: fmt.Sprint("late ", i)}
		t.update(late)
		want.Scope = late.Scope
		t.wantSame("a token with a superseded refresh token, after it is updated", late, want)
		t.wantStored(want)
	}
}

func updateSuperseded(t *subject) { t.superseded(t.update) }

func updateReplaced(t *subject) {
	stale := t.save(full("user"))
	found := t.byID(stale.ID)
	t.delete(stale.ID)
	next := full("user")
	next.RefreshToken, next.AccessToken = hush+"next refresh", hush+"next access"
	t.save(next)
	for from, token := range map[string]*oauthstore.OAuthToken{"SaveToken": stale, "FindTokenByID": found} {
		token.AccessToken = hush + "refreshed too late"
		err := t.updater.UpdateToken(t.Context(), token)
		t.wantError("UpdateToken of a token of "+from+" whose record was deleted and made anew", err, oauthstore.ErrTokenNotFound)
	}
	t.wantStored(next)
}

func updateMeetsDelete(t *subject) {
	for round := range 8 {
		token := t.save(full("user"))
		t.together(3, func(i int) error {
			if i == 0 {
				return patiently(func() error { return t.store.DeleteToken(t.Context(), token.ID) })
			}
			for n := range 3 {
				update := &oauthstore.OAuthToken{ID: token.ID, AccessToken: fmt.Sprint(hush, round, i, n)}
				err := t.process(i).updateTogether(update)
				if err != nil && !errors.Is(err, oauthstore.ErrTokenNotFound) {
					return err
				}
			}
			return nil
		})
		t.wantNoID(token.ID)
		t.wantStored()
	}
}
