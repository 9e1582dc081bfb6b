package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/oauthstore/oauthstore"
)

var findFaults = []fault{
	{"returns nil for what it does not find", "Find/an empty store finds nothing", func(b *broken) {
		b.find = func(ctx context.Context, partial *token) (*token, error) {
			t, err := b.Store.FindToken(ctx, partial)
			if errors.Is(err, oauthstore.ErrTokenNotFound) {
				return nil, nil
			}
			return t, err
		}
	}},
	{"has another error for what it does not find", "Find/an empty store finds nothing", func(b *broken) {
		b.findByID = func(ctx context.Context, id string) (*token, error) {
			t, err := b.Store.FindTokenByID(ctx, id)
			if errors.Is(err, oauthstore.ErrTokenNotFound) {
				return nil, errors.New("service: 404")
			}
			return t, err
		}
	}},
	{"asks the service for a blank id", "Find/what cannot be looked for is an invalid token", func(b *broken) {
		b.findByID = func(ctx context.Context, id string) (*token, error) {
			if id == "" {
				return nil, errors.New("service: bad request")
			}
			return b.Store.FindTokenByID(ctx, id)
		}
	}},
	{"does not say what is missing", "Find/an error names the fields that are missing", func(b *broken) {
		b.find = func(ctx context.Context, partial *token) (*token, error) {
			t, err := b.Store.FindToken(ctx, partial)
			if errors.Is(err, oauthstore.ErrInvalidToken) {
				return nil, &oauthstore.InvalidTokenError{Field: "token", Reason: "is incomplete"}
			}
			return t, err
		}
	}},
	{"takes the user name before the id", "Find/by id, and by that alone", func(b *broken) {
		b.find = func(ctx context.Context, partial *token) (*token, error) {
			if partial != nil && partial.UserName != "" {
				if t, err := b.Store.FindToken(ctx, &token{UserName: partial.UserName}); err == nil {
					return t, nil
				}
			}
			return b.Store.FindToken(ctx, partial)
		}
	}},
	{"forgets that a name may belong to an id of the caller's choice", "Find/by user name", func(b *broken) {
		b.find = func(ctx context.Context, partial *token) (*token, error) {
			if partial != nil && oauthstore.RuleFor(partial) == oauthstore.RuleUserName {
				return b.Store.FindTokenByID(ctx, oauthstore.DerivedID(partial.UserName, ""))
			}
			return b.Store.FindToken(ctx, partial)
		}
	}},
	{"goes on to the next rule where one finds nothing", "Find/by user name, and by that alone", func(b *broken) {
		b.alsoFind(func(partial *token) *token {
			if partial.AccessToken == "" {
				return nil
			}
			return &token{AccessToken: partial.AccessToken}
		})
	}},
	{"does not look at the client id", "Find/by user name: never the record of another client", func(b *broken) {
		b.alsoFind(func(partial *token) *token {
			if partial.ID != "" || partial.UserName == "" {
				return nil
			}
			return &token{UserName: partial.UserName}
		})
	}},
	{"takes the record without client id before that of the client", "Find/by user name: the very same client id comes first", func(b *broken) {
		b.pick(func(_ *token, mine []*token) *token {
			return mine[max(0, slices.IndexFunc(mine, func(t *token) bool { return t.ClientID == "" }))]
		})
	}},
	{"takes the smallest id before the record without client id", "Find/by user name: then the record without client id", func(b *broken) {
		b.pick(func(partial *token, mine []*token) *token {
			return mine[max(0, slices.IndexFunc(mine, func(t *token) bool {
				return partial.ClientID != "" && t.ClientID == partial.ClientID
			}))]
		})
	}},
	{"takes the derived id before all others", "Find/by user name without client id: first the record without one", func(b *broken) {
		b.pick(func(partial *token, mine []*token) *token {
			id := oauthstore.DerivedID(partial.UserName, "")
			return mine[max(0, slices.IndexFunc(mine, func(t *token) bool { return t.ID == id }))]
		})
	}},
	{"does not prefer the derived id", "Find/by user name without client id: then the derived id", func(b *broken) {
		b.pick(func(_ *token, mine []*token) *token { return mine[0] })
	}},
	{"takes the record that was found last", "Find/by user name without client id: then the smallest id", func(b *broken) {
		b.pick(func(_ *token, mine []*token) *token { return mine[len(mine)-1] })
	}},
	{"cannot find by access token", "Find/by access token alone", func(b *broken) {
		b.find = func(ctx context.Context, partial *token) (*token, error) {
			if partial != nil && oauthstore.RuleFor(partial) == oauthstore.RuleAccessToken {
				return nil, oauthstore.ErrTokenNotFound
			}
			return b.Store.FindToken(ctx, partial)
		}
	}},
	{"finds by access token whatever else is set", "Find/by access token only where client id and secret are not set", func(b *broken) {
		b.alsoFind(func(partial *token) *token {
			if partial.ID != "" || partial.UserName != "" || partial.AccessToken == "" {
				return nil
			}
			return &token{AccessToken: partial.AccessToken}
		})
	}},
	{"finds by an access token that was replaced", "Find/by access token: the one stored now, not an earlier one", func(b *broken) {
		b.remembering(func(t *token) string { return t.AccessToken })
	}},
	{"finds by access token the record that had it first", "Find/by access token: of several the smallest id", func(b *broken) {
		first := b.firstHolders(func(t *token) string { return t.AccessToken })
		b.find = func(ctx context.Context, partial *token) (*token, error) {
			if partial != nil && oauthstore.RuleFor(partial) == oauthstore.RuleAccessToken {
				if t := first(partial); t != nil {
					return t, nil
				}
			}
			return b.Store.FindToken(ctx, partial)
		}
	}},
	{"saves by grant or refresh token into the record that had it first", "Find/by grant or refresh token: of several the smallest id", func(b *broken) {
		first := b.firstHolders(func(t *token) string { return t.GrantToken + t.RefreshToken })
		save := b.save
		b.save = func(ctx context.Context, t *token) error {
			if oauthstore.RuleFor(t) == oauthstore.RuleRefreshToken {
				if had := first(t); had != nil {
					return b.saveAs(ctx, t, func(t *token) { t.ID = had.ID }, nothing)
				}
			}
			return save(ctx, t)
		}
	}},
	{"finds by a refresh token that was replaced", "Find/by refresh token: the one stored now, not an earlier one", func(b *broken) {
		b.remembering(func(t *token) string { return t.RefreshToken })
	}},
	{"finds by refresh token only where the client secret is equal", "Find/by grant token or refresh token with the client", func(b *broken) {
		b.find = func(ctx context.Context, partial *token) (*token, error) {
			t, err := b.Store.FindToken(ctx, partial)
			if err != nil || oauthstore.RuleFor(partial) != oauthstore.RuleRefreshToken {
				return t, err
			}
			if stored, err := b.Store.FindTokenByID(ctx, t.ID); err != nil || stored.ClientSecret != partial.ClientSecret {
				return nil, oauthstore.ErrTokenNotFound
			}
			return t, nil
		}
	}},
	{"takes the refresh token before the grant token", "Find/by grant token before refresh token", func(b *broken) {
		b.find = func(ctx context.Context, partial *token) (*token, error) {
			if partial != nil && partial.RefreshToken != "" && oauthstore.RuleFor(partial) == oauthstore.RuleRefreshToken {
				byRefresh := *partial
				byRefresh.GrantToken = ""
				if t, err := b.Store.FindToken(ctx, &byRefresh); err == nil {
					return t, nil
				}
			}
			return b.Store.FindToken(ctx, partial)
		}
	}},
	{"finds by refresh token whoever the client is", "Find/by grant or refresh token: the stored client id must be equal", func(b *broken) {
		b.alsoFind(func(partial *token) *token {
			for _, t := range b.stored() {
				if partial.RefreshToken != "" && t.RefreshToken == partial.RefreshToken && partial.UserName == "" {
					return &token{ID: t.ID}
				}
			}
			return nil
		})
	}},
	{"takes an unset grant token for that of a record without one", "Find/by refresh token: an unset grant token leads to no record", func(b *broken) {
		b.find = func(ctx context.Context, partial *token) (*token, error) {
			if partial != nil && oauthstore.RuleFor(partial) == oauthstore.RuleRefreshToken {
				for _, t := range b.stored() {
					if t.GrantToken == partial.GrantToken && t.ClientID == partial.ClientID {
						return t, nil
					}
				}
			}
			return b.Store.FindToken(ctx, partial)
		}
	}},
	{"takes an unset refresh token for that of a record without one", "Find/by grant token: an unset refresh token leads to no record", func(b *broken) {
		b.alsoFind(func(partial *token) *token {
			for _, t := range b.stored() {
				if oauthstore.RuleFor(partial) == oauthstore.RuleRefreshToken && t.RefreshToken == partial.RefreshToken && t.ClientID == partial.ClientID {
					return &token{ID: t.ID}
				}
			}
			return nil
		})
	}},
	{"saves by an unset grant token", "Find/by refresh token: an unset grant token leads to no record", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			for _, s := range b.stored() {
				if oauthstore.RuleFor(t) == oauthstore.RuleRefreshToken && s.GrantToken == t.GrantToken && s.ClientID == t.ClientID {
					return b.saveAs(ctx, t, func(t *token) { t.ID = s.ID }, nothing)
				}
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
	{"returns what is stored where the partial token says otherwise", "Find/keeps what the partial token sets, takes the rest from storage", func(b *broken) {
		b.find = func(ctx context.Context, partial *token) (*token, error) {
			t, err := b.Store.FindToken(ctx, partial)
			if err != nil {
				return nil, err
			}
			return b.Store.FindTokenByID(ctx, t.ID)
		}
	}},
	{"fills in the argument of FindToken", "Find/leaves its argument as it was", func(b *broken) {
		b.find = func(ctx context.Context, partial *token) (*token, error) {
			t, err := b.Store.FindToken(ctx, partial)
			if err == nil {
				*partial = *t
			}
			return t, err
		}
	}},
	{"takes what the partial token set for what is stored", "Find/what was found with changes is saved with them", func(b *broken) {
		b.save = func(ctx context.Context, t *token) error {
			if t != nil && t.ID != "" && strings.Contains(t.APIDomain, "eu.") {
				stored, err := b.Store.FindTokenByID(ctx, t.ID)
				if err == nil {
					*t = *stored
				}
				return err
			}
			return b.Store.SaveToken(ctx, t)
		}
	}},
}

// firstHolders makes b remember which record had a value first, as an index does that is written by inserts only. It
// returns the token of that record, if a find by rule may return it.
func (b *broken) firstHolders(value func(*token) string) func(partial *token) *token {
	var first memo[string] // id by value
	b.save = func(ctx context.Context, t *token) error {
		err := b.Store.SaveToken(ctx, t)
		if err == nil && first.get(value(t)) == "" {
			first.set(value(t), t.ID)
		}
		return err
	}
	return func(partial *token) *token {
		t, err := b.Store.FindTokenByID(context.Background(), first.get(value(partial)))
		if err != nil || oauthstore.Match(partial, []*token{t}) == nil {
			return nil
		}
		return t
	}
}
