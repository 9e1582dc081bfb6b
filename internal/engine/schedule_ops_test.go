//go:build go1.25

package engine

import (
	"context"
	"fmt"

	"github.com/oauthstore/oauthstore"
)

// What the tasks of a schedule do: few users, clients and ids, so that they meet.
var (
	someUsers   = []string{"alice", "alice", "bob"}
	someClients = []string{"", "", "c", "d"}
	someIDs     = []string{"x", "y", oauthstore.DerivedID("alice", "")}
)

func pick[T any](s *schedule, from []T) T { return from[s.rng.IntN(len(from))] }

// operation returns one that the seed decides on. Its name makes its values unlike all others.
func (s *schedule) operation(name string) *operation {
	switch {
	case s.pages:
		return s.pageOperation(name)
	case s.hot:
		return s.hotOperation(name)
	}
	user, client, id := pick(s, someUsers), pick(s, someClients), pick(s, someIDs)
	full := oauthstore.OAuthToken{UserName: user, ClientID: client, RefreshToken: "r" + name, Scope: "s" + name}
	switch n := s.rng.IntN(23); {
	case n < 5:
		return saveOf("save", full, true)
	case n < 8:
		full.ID = id
		return saveOf("save with id", full, true)
	case n < 10:
		return saveOf("rename", oauthstore.OAuthToken{ID: id, UserName: user, Scope: "s" + name}, true)
	case n < 12:
		return saveOf("update", oauthstore.OAuthToken{UserName: user, ClientID: client, AccessToken: "a" + name}, false)
	case n < 13:
		return saveOf("update by id", oauthstore.OAuthToken{ID: id, AccessToken: "a" + name}, false)
	case n < 15:
		return deleteOf(id)
	case n < 16:
		return &operation{what: "DeleteTokens", deletes: "*",
			do: func(ctx context.Context, o *operation) error { return o.process.store.DeleteTokens(ctx) }}
	case n < 17:
		return &operation{what: "GetTokens", do: func(ctx context.Context, o *operation) (err error) {
			o.result, err = o.process.store.GetTokens(ctx)
			return err
		}}
	case n < 18 && s.rng.IntN(2) == 0:
		return &operation{what: "Repair", repair: true, do: func(ctx context.Context, o *operation) error {
			_, err := o.process.store.Repair(ctx, oauthstore.RepairOptions{})
			return err
		}}
	default:
		return findOf(oauthstore.OAuthToken{UserName: user, ClientID: client})
	}
}

// hotOperation is one on the token of a user who comes and goes.
func (s *schedule) hotOperation(name string) *operation {
	id := oauthstore.DerivedID("alice", "")
	full := oauthstore.OAuthToken{UserName: "alice", RefreshToken: "r" + name, Scope: "s" + name}
	switch n := s.rng.IntN(20); {
	case n < 8:
		if n%2 == 0 {
			full.ID = id
		}
		return saveOf("save", full, true)
	case n < 10:
		return saveOf("update", oauthstore.OAuthToken{ID: id, Scope: "s" + name}, false)
	case n < 17:
		return deleteOf(id)
	case n < 18:
		return &operation{what: "Repair", repair: true, do: func(ctx context.Context, o *operation) error {
			_, err := o.process.store.Repair(ctx, oauthstore.RepairOptions{})
			return err
		}}
	default:
		return findOf(oauthstore.OAuthToken{UserName: "alice"})
	}
}

// pageOperation is one of a store whose users come and go: the index is at work.
func (s *schedule) pageOperation(name string) *operation {
	user := fmt.Sprint("filler", s.rng.IntN(25))
	full := oauthstore.OAuthToken{UserName: user, RefreshToken: "r" + name}
	n := s.rng.IntN(24)
	switch often := s.rng.IntN(2) == 0; {
	case often && s.seed%3 == 0: // users move from page to page
		n = pick(s, []int{7, 11, 11, 14, 14, 14, 18})
	case often && s.seed%3 == 1: // the tree grows
		full.UserName, n = "filler"+name, pick(s, []int{0, 0, 0, 18})
	}
	switch {
	case n < 5:
		return saveOf("save", full, true)
	case n < 8:
		if n == 7 && s.rng.IntN(2) == 0 {
			return deleteOf(oauthstore.DerivedID("alice", pick(s, []string{"", "", fmt.Sprint("client", s.rng.IntN(10))})))
		}
		return deleteOf(oauthstore.DerivedID(user, ""))
	case n < 10:
		full.UserName, full.ClientID = "alice", fmt.Sprint("client", s.rng.IntN(10)) // who fills several pages
		return saveOf("save", full, true)
	case n < 11:
		return saveOf("save", oauthstore.OAuthToken{UserName: "alice", RefreshToken: "r" + name}, true)
	case n < 14:
		return findOf(oauthstore.OAuthToken{UserName: pick(s, []string{"alice", "alice", "x", "y", "z"})})
	case n < 15:
		return saveOf("rename", oauthstore.OAuthToken{ID: oauthstore.DerivedID(user, ""), UserName: pick(s, []string{"x", "y", "z"})}, true)
	case n < 18:
		return &operation{what: "GetTokens", do: func(ctx context.Context, o *operation) (err error) {
			o.result, err = o.process.store.GetTokens(ctx)
			return err
		}}
	case n < 21:
		return &operation{what: "compact", repair: true, do: func(ctx context.Context, o *operation) error {
			o.process.store.compact(ctx)
			return ctx.Err()
		}}
	case n < 22:
		return saveOf("save with id", oauthstore.OAuthToken{ID: pick(s, []string{"x", "y"}), UserName: "alice", RefreshToken: "r" + name}, true)
	case n < 23:
		return &operation{what: "Repair", repair: true, do: func(ctx context.Context, o *operation) error {
			_, err := o.process.store.Repair(ctx, oauthstore.RepairOptions{})
			return err
		}}
	default:
		return &operation{what: "DeleteTokens", deletes: "*",
			do: func(ctx context.Context, o *operation) error { return o.process.store.DeleteTokens(ctx) }}
	}
}

func describe(t oauthstore.OAuthToken) string {
	return fmt.Sprintf("id %.8s, user %s, client %q, %s%s%s", t.ID, t.UserName, t.ClientID, t.RefreshToken, t.AccessToken, t.Scope)
}

func saveOf(what string, token oauthstore.OAuthToken, insert bool) *operation {
	return &operation{
		what: what + " " + describe(token), token: token, save: insert, update: true,
		do: func(ctx context.Context, o *operation) error {
			t := token
			method := o.process.store.UpdateToken
			if insert {
				method = o.process.store.SaveToken
			}
			if err := method(ctx, &t); err != nil {
				return err
			}
			o.result = []*oauthstore.OAuthToken{&t}
			return nil
		},
	}
}

func deleteOf(id string) *operation {
	return &operation{
		what: fmt.Sprintf("delete %.8s", id), deletes: id,
		do: func(ctx context.Context, o *operation) error { return o.process.store.DeleteToken(ctx, id) },
	}
}

func findOf(partial oauthstore.OAuthToken) *operation {
	return &operation{
		what: "find " + describe(partial), token: partial, find: true,
		do: func(ctx context.Context, o *operation) error {
			found, err := o.process.store.FindToken(ctx, &partial)
			if err == nil {
				o.result = []*oauthstore.OAuthToken{found}
			}
			return err
		},
	}
}
