package storetest

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
)

var valueFaults = []fault{
	{"drops a value that is too large", "Values/a field of 10 KB comes back whole", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			return b.saveAs(ctx, t, onText(func(_ string, v *string) {
				if len(*v) > 8192 {
					*v = ""
				}
			}), nothing)
		}
	}},
	{"forgets a field", "Save/an insert keeps every field and fills in the id", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			return b.saveAs(ctx, t, func(t *token) { t.RedirectURL = "" }, nothing)
		}
	}},
	{"ends text at NUL, as C does", "Values/text comes back byte for byte", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			return b.saveAs(ctx, t, onText(func(_ string, v *string) { *v, _, _ = strings.Cut(*v, "\x00") }), nothing)
		}
	}},
	{"compares tokens as a database with a collation does", "Values/access tokens that differ in case or space are kept apart", func(b *broken) {
		b.alsoFind(func(partial *token) *token {
			for _, t := range b.stored() {
				if partial.AccessToken != "" && strings.EqualFold(t.AccessToken, partial.AccessToken) {
					return &token{ID: t.ID}
				}
			}
			return nil
		})
	}},
	{"trims access tokens", "Values/access tokens that differ in case or space are kept apart", func(b *broken) {
		b.clean(func(t *token) { t.AccessToken = strings.TrimSpace(t.AccessToken) })
	}},
	{"keeps an expiry in seconds", "Values/an expiry is kept to the millisecond, as UTC", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			return b.saveAs(ctx, t, func(t *token) { t.Expiry = t.Expiry.Truncate(time.Second) }, nothing)
		}
	}},
	{"returns an expiry in the zone where the server stands", "Values/an expiry is kept to the millisecond, as UTC", func(b *broken) {
		b.findByID = func(ctx context.Context, id string) (*token, error) {
			t, err := b.Store.FindTokenByID(ctx, id)
			if err == nil {
				t.Expiry = t.Expiry.In(time.FixedZone("local", 3600))
			}
			return t, err
		}
	}},
	{"returns the year 1970 for no expiry", "Values/no expiry stays no expiry, and does not replace one", func(b *broken) {
		b.findByID = func(ctx context.Context, id string) (*token, error) {
			t, err := b.Store.FindTokenByID(ctx, id)
			if err == nil && t.Expiry.IsZero() {
				t.Expiry = time.Unix(0, 0).UTC()
			}
			return t, err
		}
	}},
	{"stores any expiry", "Values/an expiry outside of the years 1 to 9999 is an invalid token", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			return b.saveAs(ctx, t, func(t *token) {
				if t.Expiry.Year() > 9999 || t.Expiry.Year() < 1 {
					t.Expiry = time.Time{}
				}
			}, nothing)
		}
	}},
	{"returns its own pointer", "Values/what is returned belongs to the caller", func(b *broken) {
		var own memo[*token]
		b.findByID = func(ctx context.Context, id string) (*token, error) {
			t, err := b.Store.FindTokenByID(ctx, id)
			if err != nil {
				return nil, err
			}
			if own.get(id) == nil {
				own.set(id, t)
			}
			return own.get(id), nil
		}
	}},
	{"keeps its argument", "Values/what is passed in is not kept", func(b *broken) {
		var kept memo[*token]
		b.save = func(ctx context.Context, t *token) error {
			err := b.Store.SaveToken(ctx, t)
			if err == nil {
				kept.set(t.ID, t)
			}
			return err
		}
		b.findByID = func(ctx context.Context, id string) (*token, error) {
			if t := kept.get(id); t != nil {
				return t, nil
			}
			return b.Store.FindTokenByID(ctx, id)
		}
	}},
}

var nameFaults = []fault{
	{"sanitises ids", "Names/ids are kept apart whatever characters they hold", func(b *broken) {
		b.key(func(id string) string {
			return strings.Map(func(r rune) rune {
				if r < unicode.MaxASCII && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
					return '_'
				}
				return r
			}, id)
		})
	}},
	{"folds the case of ids", "Names/ids are kept apart whatever characters they hold", func(b *broken) { b.key(strings.ToLower) }},
	{"takes a ligature for its letters", "Names/ids are kept apart whatever they look like", func(b *broken) {
		b.key(strings.NewReplacer("\ufb01", "fi").Replace)
	}},
	{"trims ids", "Names/ids are kept apart whatever characters they hold", func(b *broken) {
		b.key(func(id string) string {
			if trimmed := strings.TrimSpace(id); trimmed != "" {
				return trimmed
			}
			return id
		})
	}},
	{"cuts ids that are too long", "Names/an id that is too long is refused, or works", func(b *broken) {
		b.key(func(id string) string { return id[:min(len(id), 255)] })
	}},
	{"has no error of its own for an id that is too long", "Names/an id that is too long is refused, or works", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if t != nil && len(t.ID) > 255 {
				return errors.New("service: name too long")
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"trims user names", "Names/user names are kept apart whatever characters they hold", func(b *broken) {
		b.clean(func(t *token) { t.UserName = strings.TrimSpace(t.UserName) })
	}},
	{"cuts user names that are too long", "Names/a user name of 300 characters works", func(b *broken) {
		b.clean(func(t *token) {
			if len(t.UserName) > 255 {
				t.UserName = t.UserName[:252]
			}
		})
	}},
	{"sanitises client ids", "Names/client ids are kept apart whatever characters they hold", func(b *broken) {
		b.clean(func(t *token) { t.ClientID = strings.ReplaceAll(t.ClientID, "/", "_") })
	}},
	{"makes one key of user name and client id", "Names/ids that are keys of two fields run together are kept apart", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if t != nil && t.ID == "" && t.UserName != "" && t.ClientID != "" {
				return b.saveAs(ctx, t, func(t *token) { t.ID = t.UserName + t.ClientID }, nothing)
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
}
