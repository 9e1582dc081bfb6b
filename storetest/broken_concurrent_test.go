package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/oauthstore/oauthstore"
)

var concurrentFaults = []fault{
	{"loses one of two updates", "Concurrent/savers of one user who set different fields lose no update", readThenWrite},
	{"loses one of two updates by access token", "Concurrent/savers by access token who set different fields lose no update", readThenWrite},
	{"loses one of two updates by refresh token", "Concurrent/savers by refresh token who set different fields lose no update", readThenWrite},
	{"saves in two steps by access token", "Concurrent/a save by an access token that is replaced meanwhile comes before that or is an insert", twoSteps(oauthstore.RuleAccessToken)},
	{"saves in two steps by grant token", "Concurrent/a save by a grant token that is replaced meanwhile comes before that or is an insert", twoSteps(oauthstore.RuleRefreshToken)},
	{"inserts where a refresh token is replaced meanwhile", "Concurrent/a save by a refresh token that is replaced meanwhile finds the record and leaves the newer one", insertSuperseded},
	{"keeps the argument for later", "Concurrent/an argument is the caller's again once the save has returned", writeBehind},
	{"fills in the argument late", "Concurrent/an argument is the caller's again once the save has returned", func(b *broken) {
		var last memo[*token]
		b.save = func(ctx context.Context, t *token) error {
			err := b.Store.SaveToken(ctx, t)
			if err == nil && t.UserName != "" {
				if late := last.get(t.UserName); late != nil && late != t {
					*late = *t
				}
				last.set(t.UserName, t)
			}
			return err
		}
	}},
	{"loses one of two updates from found copies", "Concurrent/savers of found copies who set different fields lose no update", readThenWrite},
	{"drops inserts of different users that come at once", "Concurrent/savers of different users are all heard", func(b *broken) {
		var busy sync.Mutex
		b.save = func(ctx context.Context, t *token) error {
			if !busy.TryLock() {
				return nil
			}
			defer busy.Unlock()
			pause()
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"looks first and then inserts", "Concurrent/the same new user saved by many at once has one record", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if _, err := b.Store.FindToken(ctx, t); errors.Is(err, oauthstore.ErrTokenNotFound) && t.ID == "" {
				pause()
				return b.saveAs(ctx, t, func(t *token) { t.ID = oauthstore.RandomID() }, nothing)
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"lets every one of many savers believe in its id", "Concurrent/the same new user saved under many ids at once has one record", noConflict},
	{"lets every one of many renamers believe in its name", "Concurrent/many records renamed to one name at once: one gets it", noConflict},
	{"fails where a delete meets another", "Concurrent/the same token deleted by many at once is gone", func(b *broken) {
		b.delete = func(ctx context.Context, id string) error {
			if _, err := b.Store.FindTokenByID(ctx, id); err != nil {
				return err
			}
			pause()
			if err := b.Store.DeleteToken(ctx, id); err != nil {
				return errors.New("service: 409")
			}
			return nil
		}
	}},
	{"does not delete the first of all users", "Concurrent/DeleteTokens beside savers removes what was there", func(b *broken) {
		b.deleteAll = func(ctx context.Context) error {
			all := b.stored()
			slices.SortFunc(all, func(x, y *token) int { return strings.Compare(x.UserName, y.UserName) })
			for _, t := range all[min(1, len(all)):] {
				_ = b.Store.DeleteToken(ctx, t.ID)
			}
			return ctx.Err()
		}
	}},
	{"fails a list when a token vanishes meanwhile", "Concurrent/savers, deleters and listers at once leave a store that agrees with itself", func(b *broken) {
		b.get = func(ctx context.Context) ([]*token, error) {
			all, err := b.Store.GetTokens(ctx)
			if err != nil {
				return nil, err
			}
			for i, t := range all {
				pause()
				if all[i], err = b.Store.FindTokenByID(ctx, t.ID); err != nil {
					return nil, err
				}
			}
			return all, nil
		}
		b.delete = func(ctx context.Context, id string) error {
			err := b.Store.DeleteToken(ctx, id)
			pause()
			return err
		}
	}},
	{"writes a token in two steps", "Concurrent/no reader sees a token half written", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			found, err := b.Store.FindToken(ctx, t)
			if err == nil && t.AccessToken != "" {
				_ = b.Store.SaveToken(ctx, &token{ID: found.ID, AccessToken: t.AccessToken})
				pause()
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
}

// readThenWrite makes b merge on its own, without a lock or a compare-and-set.
func readThenWrite(b *broken) {
	b.save = func(ctx context.Context, t *token) error {
		found, err := b.Store.FindToken(ctx, t)
		if err != nil {
			return b.Store.SaveToken(ctx, t)
		}
		pause()
		whole := literal(found)
		if err := b.Store.SaveToken(ctx, whole); err != nil {
			return err
		}
		*t = *whole
		return nil
	}
}

// twoSteps makes b find the record that a token points at by the rule, and save by its id.
func twoSteps(rule oauthstore.Rule) func(b *broken) {
	return func(b *broken) {
		resolve := func(ctx context.Context, t *token) {
			if t == nil || oauthstore.RuleFor(t) != rule {
				return
			}
			if found, err := b.Store.FindToken(ctx, t); err == nil {
				pause()
				t.ID = found.ID
			}
		}
		b.save = func(ctx context.Context, t *token) error {
			return b.saveAs(ctx, t, func(t *token) { resolve(ctx, t) }, nothing)
		}
		b.update = func(ctx context.Context, t *token) error {
			resolve(ctx, t)
			return b.Store.UpdateToken(ctx, t)
		}
	}
}

// writeBehind makes b save once more what an argument holds when the next save of the same user comes.
// Each user of the check has one goroutine: nothing here races.
func writeBehind(b *broken) {
	var kept memo[*token]
	behind := func(save func(context.Context, *token) error) func(context.Context, *token) error {
		return func(ctx context.Context, t *token) error {
			if t == nil || t.UserName == "" {
				return save(ctx, t)
			}
			if late := kept.get(t.UserName); late != nil && late != t {
				again := *late
				_ = b.Store.SaveToken(ctx, &again)
			}
			kept.set(t.UserName, t)
			return save(ctx, t)
		}
	}
	b.save, b.update = behind(b.Store.SaveToken), behind(b.Store.UpdateToken)
}

// noConflict makes b tell the loser of a conflict that it has won.
func noConflict(b *broken) {
	b.save = func(ctx context.Context, t *token) error {
		err := b.Store.SaveToken(ctx, t)
		if errors.As(err, new(*oauthstore.ConflictError)) {
			return nil
		}
		return err
	}
}
