package storetest

import (
	"context"
	"time"

	"github.com/oauthstore/oauthstore"
)

var contextChecks = []check{
	{"a cancelled context ends every method before it does anything", contextCancelled},
	{"an expired context ends every method before it does anything", contextExpired},
}

func contextCancelled(t *subject) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	t.wantEnded(ctx, context.Canceled)
}

func contextExpired(t *subject) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	t.wantEnded(ctx, context.DeadlineExceeded)
}

// wantEnded demands that every method returns the error of ctx, which has ended, and does nothing.
func (t *subject) wantEnded(ctx context.Context, want error) {
	t.Helper()
	a, b := t.save(under("a", "user a", "")), t.save(under("b", "user b", ""))
	update := &oauthstore.OAuthToken{ID: "a", Scope: "all"}
	insert := under("c", "user c", "")
	for method, err := range map[string]error{
		"FindToken":                   second(t.store.FindToken(ctx, &oauthstore.OAuthToken{UserName: "user a"})),
		"FindToken by access token":   second(t.store.FindToken(ctx, &oauthstore.OAuthToken{AccessToken: a.AccessToken})),
		"FindTokenByID":               second(t.store.FindTokenByID(ctx, "a")),
		"SaveToken with a new token":  t.store.SaveToken(ctx, insert),
		"SaveToken with a stored one": t.store.SaveToken(ctx, update),
		"DeleteToken":                 t.store.DeleteToken(ctx, "b"),
		"GetTokens":                   second(t.store.GetTokens(ctx)),
		"DeleteTokens":                t.store.DeleteTokens(ctx),
	} {
		t.wantError(method, err, want)
	}
	if t.updater != nil {
		t.wantError("UpdateToken", t.updater.UpdateToken(ctx, update), want)
	}
	t.wantStored(a, b)
}

func second[T any](_ T, err error) error { return err }
