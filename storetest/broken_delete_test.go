package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/oauthstore/oauthstore"
)

var getFaults = []fault{
	{"returns a nil slice where there is nothing", "Get/an empty store has an empty slice", func(b *broken) {
		b.get = func(ctx context.Context) ([]*token, error) {
			all, err := b.Store.GetTokens(ctx)
			if len(all) == 0 {
				return nil, err
			}
			return all, err
		}
	}},
	{"lists in no order", "Get/every token, whole, ordered by id", func(b *broken) {
		b.get = func(ctx context.Context) ([]*token, error) {
			all, err := b.Store.GetTokens(ctx)
			slices.Reverse(all)
			return all, err
		}
	}},
	{"orders without regard to case", "Get/every token, whole, ordered by id", func(b *broken) {
		b.get = func(ctx context.Context) ([]*token, error) {
			all, err := b.Store.GetTokens(ctx)
			slices.SortStableFunc(all, func(x, y *token) int { return strings.Compare(strings.ToLower(x.ID), strings.ToLower(y.ID)) })
			return all, err
		}
	}},
	{"lists what was inserted, not what was saved since", "Get/what was last saved", func(b *broken) {
		var first memo[*token]
		b.get = func(ctx context.Context) ([]*token, error) {
			all, err := b.Store.GetTokens(ctx)
			for _, t := range all {
				if old := first.get(t.ID); old != nil {
					t.AccessToken = old.AccessToken
				}
			}
			return all, err
		}
		b.save = func(ctx context.Context, t *token) error {
			err := b.Store.SaveToken(ctx, t)
			if err == nil && first.get(t.ID) == nil {
				first.set(t.ID, literal(t))
			}
			return err
		}
	}},
	{"lists the first page only", "Get/a hundred tokens", func(b *broken) {
		b.get = func(ctx context.Context) ([]*token, error) {
			all, err := b.Store.GetTokens(ctx)
			return all[:min(len(all), 50)], err
		}
	}},
	{"swallows the error of a list", "Context/a cancelled context ends every method before it does anything", func(b *broken) {
		b.get = func(ctx context.Context) ([]*token, error) {
			all, err := b.Store.GetTokens(ctx)
			if err != nil {
				return []*token{}, nil
			}
			return all, nil
		}
	}},
}

var deleteFaults = []fault{
	{"finds a deleted token by its user name", "Delete/a deleted token is gone for every finder", func(b *broken) {
		var cache memo[*token]
		b.find = func(ctx context.Context, partial *token) (*token, error) {
			t, err := b.Store.FindToken(ctx, partial)
			if errors.Is(err, oauthstore.ErrTokenNotFound) && partial.ID == "" && cache.get(partial.UserName) != nil {
				return cache.get(partial.UserName), nil
			}
			return t, err
		}
		b.save = func(ctx context.Context, t *token) error {
			err := b.Store.SaveToken(ctx, t)
			if err == nil && t.ID == oauthstore.DerivedID("user", "") {
				cache.set(t.UserName, literal(t))
			}
			return err
		}
	}},
	{"deletes by prefix", "Delete/the other tokens stay", func(b *broken) {
		b.delete = func(ctx context.Context, id string) error {
			err := b.Store.DeleteToken(ctx, id)
			for _, t := range b.stored() {
				if err == nil && (strings.HasPrefix(t.ID, id) || id == "b") {
					_ = b.Store.DeleteToken(ctx, t.ID)
				}
			}
			return err
		}
	}},
	{"deletes what is not there without a word", "Delete/what is not there is not found", func(b *broken) {
		b.delete = func(ctx context.Context, id string) error {
			err := b.Store.DeleteToken(ctx, id)
			if errors.Is(err, oauthstore.ErrTokenNotFound) {
				return nil
			}
			return err
		}
	}},
	{"deletes everything for a blank id", "Delete/an id that no token can have is invalid and not found", func(b *broken) {
		b.delete = func(ctx context.Context, id string) error {
			if id == "" {
				return b.Store.DeleteTokens(ctx)
			}
			return b.Store.DeleteToken(ctx, id)
		}
	}},
	{"revives what it had marked as deleted", "Delete/a save after a delete starts afresh, many times", func(b *broken) {
		var marked memo[*token]
		b.delete = func(ctx context.Context, id string) error {
			if t, err := b.Store.FindTokenByID(ctx, id); err == nil {
				marked.set(t.UserName, literal(t))
			}
			return b.Store.DeleteToken(ctx, id)
		}
		b.save = func(ctx context.Context, t *token) error {
			return b.saveAs(ctx, t, func(t *token) {
				if old := marked.get(t.UserName); old != nil && t.RefreshToken == "" {
					t.RefreshToken = old.RefreshToken
				}
			}, nothing)
		}
	}},
	{"inserts only what has changed since it was found", "Delete/a found token that is saved after its delete is inserted whole", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if t != nil && t.ID == oauthstore.DerivedID("user", "") && t.Scope == "all" {
				return b.saveAs(ctx, t, func(t *token) { t.ClientSecret, t.APIDomain = "", "" }, nothing)
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"remembers superseded refresh tokens beyond a delete", "Delete/a refresh token that a deleted record had superseded may be saved again", func(b *broken) {
		var had memo[bool]
		b.save = func(ctx context.Context, t *token) error {
			return b.saveAs(ctx, t, func(t *token) {
				if had.get(t.RefreshToken) {
					t.RefreshToken = ""
				}
			}, func(t *token) { had.set(t.RefreshToken, true) })
		}
	}},
	{"does not delete all under ids of the caller's choice", "Delete/DeleteTokens removes every token", func(b *broken) {
		b.deleteAll = func(ctx context.Context) error {
			for _, t := range b.stored() {
				if t.ID == oauthstore.DerivedID(t.UserName, "") {
					_ = b.Store.DeleteToken(ctx, t.ID)
				}
			}
			return ctx.Err()
		}
	}},
	{"has an error for DeleteTokens of nothing", "Delete/DeleteTokens of an empty store is no error", func(b *broken) {
		b.deleteAll = func(ctx context.Context) error {
			if len(b.stored()) == 0 {
				return oauthstore.ErrTokenNotFound
			}
			return b.Store.DeleteTokens(ctx)
		}
	}},
	{"blocks all names after DeleteTokens", "Delete/a save after DeleteTokens starts afresh", func(b *broken) {
		var blocked atomic.Bool
		b.deleteAll = func(ctx context.Context) error {
			blocked.Store(true)
			return b.Store.DeleteTokens(ctx)
		}
		b.save = func(ctx context.Context, t *token) error {
			if blocked.Load() {
				return errors.New("service: the name is scheduled for deletion")
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
}
