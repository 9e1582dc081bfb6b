package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore"
)

var contextChecks = []check{
	{"a cancelled context ends every method before it does anything", contextCancelled},
	{"an expired context ends every method before it does anything", contextExpired},
	{"what ended with its context does not happen later", contextLater},
	{"a save whose context ends meanwhile leaves store and argument alone afterwards", contextMeanwhile},
}

// settle is how long a check waits for what must not happen.
const settle = 20 * time.Millisecond

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

func contextLater(t *subject) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	t.wantEnded(ctx, context.Canceled)
	stored := t.all()
	time.Sleep(settle)
	t.wantStored(stored...)
}

// A call that ends with its context may have taken effect or not, but then it is over: what is saved next
// stays, though the call was still on its way to the service. And its argument is the caller's again, though
// others may still be busy with what they took over from it.
func contextMeanwhile(t *subject) {
	const savers, rounds = 4, 9
	held := t.save(under("0", "held", ""))
	want := map[string]*oauthstore.OAuthToken{held.ID: held}
	var arguments, afterwards []*oauthstore.OAuthToken
	for k := range savers * rounds {
		next := under(fmt.Sprint("id ", k), fmt.Sprint("user ", k), "")
		if k%2 == 0 {
			next.ID = ""
		}
		late := literal(next)
		late.AccessToken = hush + "too late"
		arguments, afterwards = append(arguments, late), append(afterwards, next)
	}
	t.together(savers+1, func(i int) error {
		for n := range rounds {
			if i == savers {
				if err := t.saveTogether(under("second", "held", "")); !errors.As(err, new(*oauthstore.ConflictError)) {
					return fmt.Errorf("SaveToken of a user who has a record: got error %v, want a *ConflictError", err)
				}
				continue
			}
			k := i*rounds + n
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Microsecond<<n)
			_ = t.store.SaveToken(ctx, arguments[k])
			cancel()
			scribble(arguments[k])
			if err := t.saveTogether(afterwards[k]); err != nil {
				return err
			}
		}
		return nil
	})
	for _, saved := range afterwards {
		want[saved.ID] = literal(saved)
	}
	time.Sleep(settle)
	t.wantExactly(want)
	t.wantScribbled(arguments...)
}

func second[T any](_ T, err error) error { return err }
