package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/oauthstore/oauthstore"
)

var staleFaults = []fault{
	{"lets a stale copy win", "Stale/a stale copy does not undo a refresh", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			return b.saveAs(ctx, t, func(t *token) { *t = *literal(t) }, nothing)
		}
	}},
	{"lets a stale copy from a list win", "Stale/a stale copy does not undo a refresh", func(b *broken) {
		b.get = func(ctx context.Context) ([]*token, error) {
			all, err := b.Store.GetTokens(ctx)
			for i, t := range all {
				all[i] = literal(t)
			}
			return all, err
		}
	}},
	{"lets a copy found by user name win", "Stale/a token found by user name does not undo a refresh", forgetFound(func(partial *token) bool {
		return oauthstore.RuleFor(partial) == oauthstore.RuleUserName
	})},
	{"lets a copy found by access token win", "Stale/a token found by access token does not undo a refresh", forgetFound(func(partial *token) bool {
		return oauthstore.RuleFor(partial) == oauthstore.RuleAccessToken
	})},
	{"lets a copy found by grant token win", "Stale/a token found by grant token does not undo a refresh", forgetFound(func(partial *token) bool {
		return oauthstore.RuleFor(partial) == oauthstore.RuleRefreshToken && partial.GrantToken != ""
	})},
	{"lets a copy found by refresh token win", "Stale/a token found by refresh token does not undo a refresh", forgetFound(func(partial *token) bool {
		return oauthstore.RuleFor(partial) == oauthstore.RuleRefreshToken && partial.GrantToken == ""
	})},
	{"lets a copy win that was found with a field of the caller's own", "Stale/a token found by user name does not undo a refresh", forgetFound(func(partial *token) bool {
		return partial.Scope != ""
	})},
	{"lets a token that it has inserted win", "Stale/a token that an insert has filled in does not undo a refresh", forgetSaved(func(t *token, found bool) bool {
		return !found
	})},
	{"lets a token that it has updated win", "Stale/a token that a save has filled in, by whatever rule, does not undo a refresh", forgetSaved(func(t *token, found bool) bool {
		return found
	})},
	{"lets a token that it has found by a token win", "Stale/a token that a save has filled in, by whatever rule, does not undo a refresh", forgetSaved(func(t *token, found bool) bool {
		return found && oauthstore.RuleFor(t) >= oauthstore.RuleAccessToken
	})},
	{"lets a stale expiry win", "Stale/a stale copy of an expiry does not undo a later one", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			var expiry time.Time
			return b.saveAs(ctx, t, func(t *token) { expiry = t.Expiry }, func(saved *token) {
				_ = b.Store.SaveToken(ctx, &token{ID: saved.ID, Expiry: expiry})
			})
		}
	}},
	{"saves the whole of a found copy, once one field has changed", "Stale/a stale copy with a changed field changes that field only", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			return b.saveAs(ctx, t, func(t *token) {
				if stored, err := b.Store.FindTokenByID(ctx, t.ID); err == nil && diff(t, stored) != "" {
					*t = *literal(t)
				}
			}, nothing)
		}
	}},
	{"lets a superseded refresh token come back", "Stale/an older refresh token in a literal does not come back", forgetSuperseded},
	{"inserts a second record for a superseded refresh token", "Stale/a save by a superseded refresh token updates the record that has had it", insertSuperseded},
	{"lets a superseded refresh token come back in a found copy", "Stale/the one before the newest refresh token does not come back by a found copy with changes", forgetSuperseded},
}

var conflictFaults = []fault{
	{"says nothing of a conflict", "Conflict/an insert under a new id conflicts with the user's record", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			err := b.Store.SaveToken(ctx, t)
			if errors.As(err, new(*oauthstore.ConflictError)) {
				return nil
			}
			return err
		}
	}},
	{"updates the user's record where an insert conflicts", "Conflict/a found token cannot be copied to another id", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			err := b.Store.SaveToken(ctx, t)
			if conflict := new(oauthstore.ConflictError); errors.As(err, &conflict) {
				return b.saveAs(ctx, t, func(t *token) { t.ID = conflict.ID }, nothing)
			}
			return err
		}
	}},
	{"names the id of the caller in a conflict", "Conflict/a rename conflicts with the record of that name", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			err := b.Store.SaveToken(ctx, t)
			if errors.As(err, new(*oauthstore.ConflictError)) {
				return &oauthstore.ConflictError{ID: t.ID}
			}
			return err
		}
	}},
	{"stores the other fields of a save that conflicts", "Conflict/a change of client id conflicts with the record of that client", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			err := b.Store.SaveToken(ctx, t)
			if errors.As(err, new(*oauthstore.ConflictError)) {
				_ = b.Store.SaveToken(ctx, &token{ID: t.ID, Scope: "written though it conflicts"})
			}
			return err
		}
	}},
	{"forgets the argument of a save that conflicts", "Conflict/a record without user name cannot take a name that is held", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			err := b.Store.SaveToken(ctx, t)
			if errors.As(err, new(*oauthstore.ConflictError)) {
				*t = token{}
			}
			return err
		}
	}},
	{"takes a second client of a user for a conflict", "Conflict/other clients and records without user name do not conflict", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			for _, s := range b.stored() {
				if t != nil && t.UserName != "" && t.ID != "" && s.ID != t.ID && s.UserName == t.UserName {
					return &oauthstore.ConflictError{ID: s.ID}
				}
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"takes the record without client id for that of every client", "Conflict/an insert for a client of a user does not conflict with the record without client id", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			for _, s := range b.stored() {
				if t != nil && t.UserName != "" && t.ID != "" && s.ID != t.ID && s.UserName == t.UserName && s.ClientID == "" {
					return &oauthstore.ConflictError{ID: s.ID}
				}
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"conflicts with a record that was deleted", "Conflict/a conflict that is gone conflicts no more", func(b *broken) {
		var gone memo[bool]
		b.delete = func(ctx context.Context, id string) error {
			if t, err := b.Store.FindTokenByID(ctx, id); err == nil {
				gone.set(t.UserName, true)
			}
			return b.Store.DeleteToken(ctx, id)
		}
		b.save = func(ctx context.Context, t *token) error {
			if t != nil && t.ID != "" && gone.get(t.UserName) {
				return &oauthstore.ConflictError{ID: "gone"}
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
}

var idFaults = []fault{
	{"makes random ids", "IDs/a generated id is the one derived from the user name", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if _, err := b.Store.FindToken(ctx, t); errors.Is(err, oauthstore.ErrTokenNotFound) && t.ID == "" {
				return b.saveAs(ctx, t, func(t *token) { t.ID = oauthstore.RandomID() }, nothing)
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"gives a random id to the second client of a user", "IDs/the second client of a user gets the id derived from both", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			_, err := b.Store.FindToken(ctx, t)
			if errors.Is(err, oauthstore.ErrTokenNotFound) && t.ID == "" && t.UserName != "" {
				if _, err := b.Store.FindTokenByID(ctx, oauthstore.DerivedID(t.UserName, "")); err == nil {
					return b.saveAs(ctx, t, func(t *token) { t.ID = oauthstore.RandomID() }, nothing)
				}
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"gives the id of a user to another", "IDs/an id that another user chose is not given away", giveIDAway},
	{"gives the id of a renamed record to another user", "IDs/an id that a renamed record holds is not given to another user", giveIDAway},
	{"gives the second derived id away though it is held", "IDs/where both derived ids are held there is a third one", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			_, err := b.Store.FindToken(ctx, t)
			if errors.Is(err, oauthstore.ErrTokenNotFound) && t.ID == "" && t.UserName != "" {
				if _, err := b.Store.FindTokenByID(ctx, oauthstore.DerivedID(t.UserName, "")); err == nil {
					return b.saveAs(ctx, t, func(t *token) { t.ID = oauthstore.DerivedID(t.UserName, t.ClientID) }, nothing)
				}
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"believes whatever the derived id leads to", "IDs/a derived id that leads to another user is not an answer", func(b *broken) {
		b.find = func(ctx context.Context, partial *token) (*token, error) {
			if partial != nil && oauthstore.RuleFor(partial) == oauthstore.RuleUserName {
				if t, err := b.Store.FindTokenByID(ctx, oauthstore.DerivedID(partial.UserName, "")); err == nil {
					return t, nil
				}
			}
			return b.Store.FindToken(ctx, partial)
		}
	}},
	{"believes an index entry whose record is gone", "IDs/a name that is renamed, deleted and used again leads to its new record", func(b *broken) {
		var index memo[string]
		b.save = func(ctx context.Context, t *token) error {
			err := b.Store.SaveToken(ctx, t)
			if err == nil && index.get(t.UserName) == "" {
				index.set(t.UserName, t.ID)
			}
			return err
		}
		b.find = func(ctx context.Context, partial *token) (*token, error) {
			if partial != nil && oauthstore.RuleFor(partial) == oauthstore.RuleUserName && index.get(partial.UserName) != "" {
				return b.Store.FindToken(ctx, &token{ID: index.get(partial.UserName)})
			}
			return b.Store.FindToken(ctx, partial)
		}
	}},
	{"gives no id a second time", "IDs/a derived id is free again after its record is deleted", func(b *broken) {
		var used memo[bool]
		b.delete = func(ctx context.Context, id string) error {
			used.set(id, true)
			return b.Store.DeleteToken(ctx, id)
		}
		b.save = func(ctx context.Context, t *token) error {
			if t != nil && t.ID == "" && used.get(oauthstore.DerivedID(t.UserName, "")) {
				return b.saveAs(ctx, t, func(t *token) { t.ID = oauthstore.RandomID() }, nothing)
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
}

// giveIDAway makes b take the derived id for free.
func giveIDAway(b *broken) {
	b.save = func(ctx context.Context, t *token) error {
		if _, err := b.Store.FindToken(ctx, t); errors.Is(err, oauthstore.ErrTokenNotFound) && t.ID == "" && t.UserName != "" {
			return b.saveAs(ctx, t, func(t *token) { t.ID = oauthstore.DerivedID(t.UserName, "") }, nothing)
		}
		return b.Store.SaveToken(ctx, t)
	}
}

// forgetFound makes b find tokens that do not remember what was read, by the partial tokens that are told.
func forgetFound(by func(partial *token) bool) func(b *broken) {
	return func(b *broken) {
		b.find = func(ctx context.Context, partial *token) (*token, error) {
			t, err := b.Store.FindToken(ctx, partial)
			if err == nil && by(partial) {
				return literal(t), nil
			}
			return t, err
		}
	}
}

// forgetSaved makes b fill in arguments of SaveToken that do not remember what was read, those that are
// told by what they were and by whether there was a record.
func forgetSaved(which func(t *token, found bool) bool) func(b *broken) {
	return func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			before := literal(t)
			_, missing := b.Store.FindToken(ctx, t)
			err := b.Store.SaveToken(ctx, t)
			if err == nil && which(before, missing == nil) {
				*t = *literal(t)
			}
			return err
		}
	}
}

// forgetSuperseded makes b replace the record, and with it what the record remembers.
func forgetSuperseded(b *broken) {
	b.save = func(ctx context.Context, t *token) error {
		found, err := b.Store.FindToken(ctx, t)
		if err != nil || t.RefreshToken == "" || t.RefreshToken != found.RefreshToken {
			return b.Store.SaveToken(ctx, t)
		}
		_ = b.Store.DeleteToken(ctx, found.ID)
		*t = *literal(found)
		return b.Store.SaveToken(ctx, t)
	}
}

// insertSuperseded makes b insert a record for a refresh token that none has now.
func insertSuperseded(b *broken) {
	b.save = func(ctx context.Context, t *token) error {
		if _, err := b.Store.FindToken(ctx, t); errors.Is(err, oauthstore.ErrTokenNotFound) && oauthstore.RuleFor(t) == oauthstore.RuleRefreshToken {
			return b.saveAs(ctx, t, func(t *token) { t.ID = oauthstore.RandomID() }, nothing)
		}
		return b.Store.SaveToken(ctx, t)
	}
}
