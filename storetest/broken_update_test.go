package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oauthstore/oauthstore"
)

var updateFaults = []fault{
	{"inserts on UpdateToken", "Update/an update never inserts", func(b *broken) { b.update = b.Store.SaveToken }},
	{"does not fill in the argument of UpdateToken", "Update/an update merges and fills in its argument", func(b *broken) {
		b.update = func(ctx context.Context, t *token) error {
			if t == nil {
				return b.Store.UpdateToken(ctx, t)
			}
			updated := *t
			return b.Store.UpdateToken(ctx, &updated)
		}
	}},
	{"finds nothing where UpdateToken has nothing to look for", "Update/what cannot be looked for is an invalid token", func(b *broken) {
		b.update = func(ctx context.Context, t *token) error {
			if err := b.Store.UpdateToken(ctx, t); !errors.Is(err, oauthstore.ErrInvalidToken) {
				return err
			}
			return oauthstore.ErrTokenNotFound
		}
	}},
	{"does not see the conflict of an UpdateToken", "Update/a rename that conflicts changes nothing", func(b *broken) {
		b.update = func(ctx context.Context, t *token) error {
			err := b.Store.UpdateToken(ctx, t)
			if errors.As(err, new(*oauthstore.ConflictError)) {
				return nil
			}
			return err
		}
	}},
	{"lets a stale copy win on UpdateToken", "Update/a stale copy does not undo a refresh", func(b *broken) {
		b.update = func(ctx context.Context, t *token) error {
			if t != nil {
				*t = *literal(t)
			}
			return b.Store.UpdateToken(ctx, t)
		}
	}},
	{"lets a token that it has filled in on UpdateToken win", "Update/a token that an update has filled in, by whatever rule, does not undo a refresh", func(b *broken) {
		b.update = func(ctx context.Context, t *token) error {
			err := b.Store.UpdateToken(ctx, t)
			if err == nil {
				*t = *literal(t)
			}
			return err
		}
	}},
	{"lets a superseded refresh token come back on UpdateToken", "Update/an older refresh token in a literal does not come back", func(b *broken) {
		b.update = func(ctx context.Context, t *token) error {
			found, err := b.Store.FindToken(ctx, t)
			if err != nil {
				return b.Store.UpdateToken(ctx, t)
			}
			_ = b.Store.DeleteToken(ctx, found.ID) // and with the record what it remembers
			*t = *literal(found)
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"takes a record for another that had its id", "Update/a token of a deleted record does not update the one that has its id now", func(b *broken) {
		b.update = func(ctx context.Context, t *token) error {
			if t == nil {
				return b.Store.UpdateToken(ctx, t)
			}
			own := literal(t)
			err := b.Store.UpdateToken(ctx, own)
			if err == nil {
				*t = *own
			}
			return err
		}
	}},
	{"updates in two steps by access token", "Update/an update by an access token that is replaced meanwhile comes before that or finds nothing", twoSteps(oauthstore.RuleAccessToken)},
	{"finds nothing where a refresh token is replaced meanwhile", "Update/an update by a refresh token that is replaced meanwhile finds the record and leaves the newer one", updateFound},
	{"finds nothing by a superseded refresh token", "Update/an update by a superseded refresh token updates the record that has had it", updateFound},
	{"keeps the argument of UpdateToken for later", "Update/an argument is the caller's again once the update has returned", writeBehind},
	{"looks first and then inserts on UpdateToken", "Update/an update that meets a delete does not bring the token back", func(b *broken) {
		b.update = func(ctx context.Context, t *token) error {
			if _, err := b.Store.FindToken(ctx, t); err != nil {
				return err
			}
			pause()
			return b.Store.SaveToken(ctx, t)
		}
	}},
}

var contextFaults = []fault{
	{"ignores the context of a read", "Context/a cancelled context ends every method before it does anything", func(b *broken) {
		b.findByID = func(_ context.Context, id string) (*token, error) {
			return b.Store.FindTokenByID(context.Background(), id)
		}
	}},
	{"looks at the context after the write", "Context/an expired context ends every method before it does anything", func(b *broken) {
		b.delete = func(ctx context.Context, id string) error {
			if err := b.Store.DeleteToken(context.Background(), id); err != nil {
				return err
			}
			return ctx.Err()
		}
	}},
	{"goes on in the background once the context has ended", "Context/what ended with its context does not happen later", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if err := ctx.Err(); err != nil && t != nil {
				own := *t
				time.AfterFunc(time.Millisecond, func() { _ = b.Store.SaveToken(context.Background(), &own) })
				return err
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"deletes in the background once the context has ended", "Context/what ended with its context does not happen later", func(b *broken) {
		b.deleteAll = func(ctx context.Context) error {
			if err := ctx.Err(); err != nil {
				time.AfterFunc(time.Millisecond, func() { _ = b.Store.DeleteTokens(context.Background()) })
				return err
			}
			return b.Store.DeleteTokens(ctx)
		}
	}},
	{"does not wait for what it has begun when the context ends", "Context/a save whose context ends meanwhile leaves store and argument alone afterwards", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if _, ok := ctx.Deadline(); !ok || t == nil {
				return b.Store.SaveToken(ctx, t)
			}
			own, done := *t, make(chan error, 1)
			time.AfterFunc(time.Millisecond, func() { done <- b.Store.SaveToken(context.Background(), &own) })
			select {
			case err := <-done:
				if err == nil {
					*t = own
				}
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}},
	{"hides the error of the context", "Context/an expired context ends every method before it does anything", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("service: %v", err)
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"quotes a secret in an error", "Find/by refresh token: the one stored now, not an earlier one", func(b *broken) {
		b.find = func(ctx context.Context, partial *token) (*token, error) {
			t, err := b.Store.FindToken(ctx, partial)
			if err != nil && partial != nil {
				return nil, fmt.Errorf("find %q: %w", partial.RefreshToken, err)
			}
			return t, err
		}
	}},
	{"wraps an error that quotes a secret", "Save/what cannot be stored is an invalid token", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			err := b.Store.SaveToken(ctx, t)
			if err != nil && t != nil {
				return &oauthstore.CorruptRecordError{Reason: "is invalid", Err: errors.Join(err, fmt.Errorf("cannot encode %q", t.AccessToken))}
			}
			return err
		}
	}},
	{"changes the argument of a save that fails", "Save/an insert needs a grant, refresh or access token", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			err := b.Store.SaveToken(ctx, t)
			if err != nil && t != nil && t.ID == "" {
				t.ID = oauthstore.RandomID()
			}
			return err
		}
	}},
}

// updateFound makes b update only what a find returns.
func updateFound(b *broken) {
	b.update = func(ctx context.Context, t *token) error {
		if _, err := b.Store.FindToken(ctx, t); err != nil {
			return err
		}
		return b.Store.UpdateToken(ctx, t)
	}
}
