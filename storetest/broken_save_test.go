package storetest

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/oauthstore/oauthstore"
)

var saveFaults = []fault{
	{"does not tell the id of a new record", "Save/an insert keeps every field and fills in the id", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			return b.saveAs(ctx, t, nothing, func(saved *token) { saved.ID = t.ID })
		}
	}},
	{"makes its own ids only", "Save/an insert keeps the id that the caller chose", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			return b.saveAs(ctx, t, func(t *token) {
				if _, err := b.Store.FindTokenByID(ctx, t.ID); err != nil {
					t.ID = ""
				}
			}, nothing)
		}
	}},
	{"inserts records without any token", "Save/an insert needs a grant, refresh or access token", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			err := b.Store.SaveToken(ctx, t)
			if errors.Is(err, oauthstore.ErrInvalidToken) && t != nil && t.Validate() == nil {
				return b.saveAs(ctx, t, func(t *token) { t.AccessToken = "none" }, nothing)
			}
			return err
		}
	}},
	{"clears the fields that are not set", "Save/an update keeps the fields that are not set", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if found, err := b.Store.FindToken(ctx, t); err == nil {
				_ = b.Store.DeleteToken(ctx, found.ID)
				return b.saveAs(ctx, t, func(t *token) {
					t.ID = found.ID
					if t.AccessToken == "" {
						t.AccessToken = found.AccessToken
					}
				}, nothing)
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"never replaces a field", "Save/an update changes every field that is set", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			found, err := b.Store.FindToken(ctx, t)
			if err != nil {
				return b.Store.SaveToken(ctx, t)
			}
			stored, err := b.Store.FindTokenByID(ctx, found.ID)
			if err == nil {
				*t = *stored
			}
			return err
		}
	}},
	{"does not fill in the argument of an update", "Save/an update fills in its argument with what is stored", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if t == nil {
				return b.Store.SaveToken(ctx, t)
			}
			saved := *t
			err := b.Store.SaveToken(ctx, &saved)
			if err == nil {
				t.ID = saved.ID
			}
			return err
		}
	}},
	{"inserts again what it could find by access token", "Save/an update finds its record by every rule", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if t != nil && t.Validate() == nil && oauthstore.RuleFor(t) == oauthstore.RuleAccessToken {
				return b.saveAs(ctx, t, func(t *token) { t.ID = oauthstore.RandomID() }, nothing)
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"keeps the client secret where the client is what it finds a record by", "Save/an update by grant or refresh token stores the client secret that it brings", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if t == nil || oauthstore.RuleFor(t) != oauthstore.RuleRefreshToken {
				return b.Store.SaveToken(ctx, t)
			}
			return b.saveAs(ctx, t, func(t *token) {
				if found, err := b.Store.FindToken(ctx, t); err == nil {
					stored, _ := b.Store.FindTokenByID(ctx, found.ID)
					t.ClientSecret = stored.ClientSecret
				}
			}, nothing)
		}
	}},
	{"saves by user name though there is an id", "Save/an update by id finds its record though the user name differs", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if t != nil && t.ID != "" && t.UserName != "" && ctx.Err() == nil {
				if stored, err := b.Store.FindTokenByID(ctx, t.ID); err == nil && stored.UserName != t.UserName {
					return b.saveAs(ctx, t, func(t *token) { t.ID, t.AccessToken = "", hush+"access" }, nothing)
				}
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"makes a second record for a user whose first has no client", "Save/an update by user name may give the record its client id", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if t != nil && t.ID == "" && t.UserName != "" && t.ClientID != "" {
				if found, err := b.Store.FindToken(ctx, &token{UserName: t.UserName}); err == nil && found.ClientID == "" {
					return b.saveAs(ctx, t, func(t *token) { t.ID, t.AccessToken = oauthstore.RandomID(), hush+"access" }, nothing)
				}
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"never changes the user of a record", "Save/an update by id may give the record its user name", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			return b.saveAs(ctx, t, func(t *token) {
				if stored, err := b.Store.FindTokenByID(ctx, t.ID); err == nil {
					t.UserName = stored.UserName
				}
			}, nothing)
		}
	}},
	{"has one record a user, whatever the client", "Save/another client of a user has a record of its own", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if t != nil && t.UserName != "" && t.ID == "" {
				if found, err := b.Store.FindToken(ctx, &token{UserName: t.UserName}); err == nil {
					return b.saveAs(ctx, t, func(t *token) { t.ID = found.ID }, nothing)
				}
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"makes a record of every save to which no rule applies", "Save/tokens to which no rule applies are inserted, each under the id derived from it", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if t != nil && oauthstore.RuleFor(t) == oauthstore.RuleNone {
				return b.saveAs(ctx, t, func(t *token) { t.ID = oauthstore.RandomID() }, nothing)
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"derives an id from no user name", "Save/tokens to which no rule applies are inserted, each under the id derived from it", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if t != nil && t.UserName == "" && t.ID == "" {
				return b.saveAs(ctx, t, func(t *token) { t.ID = oauthstore.DerivedID("", t.ClientID) }, nothing)
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"counts its saves in a field", "Save/equal saves change nothing", countSaves},
	{"counts its saves of found tokens in a field", "Save/a found token that is saved unchanged changes nothing", countSaves},
	{"trims user names", "Save/what cannot be stored is an invalid token", func(b *broken) {
		b.clean(func(t *token) {
			if t != nil {
				t.UserName = strings.TrimSpace(t.UserName)
			}
		})
	}},
	{"takes any text for Extra", "Save/what cannot be stored is an invalid token", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			return b.saveAs(ctx, t, func(t *token) {
				if utf8.ValidString(t.Extra) {
					t.Extra = ""
				}
			}, nothing)
		}
	}},
	{"replaces what is not valid UTF-8", "Save/what cannot be stored is an invalid token", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			return b.saveAs(ctx, t, onText(func(_ string, v *string) { *v = strings.ToValidUTF8(*v, "\ufffd") }), nothing)
		}
	}},
	{"finds a record by the name that it had", "Save/a rename is found by the new name and not by the old one", func(b *broken) {
		b.remembering(func(t *token) string { return t.UserName })
	}},
	{"lets a record change its name once", "Save/a rename can be taken back", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if t != nil && t.ID != "" && t.ID == oauthstore.DerivedID(t.UserName, "") {
				return b.saveAs(ctx, t, func(t *token) { t.UserName = "" }, nothing)
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"keeps the name of a renamed record taken", "Save/a name is free after its record is renamed", func(b *broken) {
		var names memo[string]
		b.save = func(ctx context.Context, t *token) error {
			if t != nil && t.UserName != "" && t.ID != "" {
				if id := names.get(t.UserName); id != "" && id != t.ID {
					return &oauthstore.ConflictError{ID: id}
				}
			}
			err := b.Store.SaveToken(ctx, t)
			if err == nil && t.ID == "1" {
				names.set(t.UserName, t.ID)
			}
			return err
		}
	}},
}

// countSaves makes b write more than it is given.
func countSaves(b *broken) {
	b.save = func(ctx context.Context, t *token) error {
		return b.saveAs(ctx, t, func(t *token) { t.Scope += "+" }, nothing)
	}
}
