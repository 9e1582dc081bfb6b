package gcpsm

import (
	"context"
	"flag"
	"testing"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/storetest"
)

// emulators are kinds of those that others have written.
var emulators = map[string][]gcpsmtest.Quirk{
	"as close as they come": nil,
	"as far": {
		gcpsmtest.DestroyTwice, gcpsmtest.AscendingLists, gcpsmtest.WholeLists, gcpsmtest.NoChecksums, gcpsmtest.Unvalidated,
	},
	"floci": {
		gcpsmtest.DestroyedNotFound, gcpsmtest.DisabledInvalid, gcpsmtest.DestroyTwice, gcpsmtest.AscendingLists, gcpsmtest.Unvalidated,
	},
}

var allEmulators = flag.Bool("all-emulators", false, "let TestEmulators_areEnough look at all, not only at the farthest")

func TestEmulators_areEnough(t *testing.T) {
	for name, quirks := range emulators {
		if !*allEmulators && name != farthest {
			continue
		}
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) oauthstore.TokenStore {
				return newBackend(t, gcpsmtest.WithEmulatorQuirks(quirks...)).NewStore(t)
			})
		})
	}
}

// farthest is the one that a process which remembers nothing has most to guess with.
const farthest = "floci"

func TestEmulators_areEnoughForProcessesThatMakeOneCall(t *testing.T) {
	storetest.Run(t, func(t *testing.T) oauthstore.TokenStore {
		return forgetful{newBackend(t, gcpsmtest.WithEmulatorQuirks(emulators[farthest]...)).client(t)}
	})
}

func TestEmulators_areEnoughForManyWriters(t *testing.T) {
	enginetest.RunConcurrent(t, newBackend(t, gcpsmtest.WithEmulatorQuirks(emulators[farthest]...)))
}

// Where destroyed versions are not found, and where latest is what is left of the others, the rule is the same.
func TestAnyOrderOfCalls_leavesOneHistoryOnEmulators(t *testing.T) {
	for name, quirks := range emulators {
		t.Run(name, func(t *testing.T) {
			interleave(t, 4, faults{}, 0, gcpsmtest.WithEmulatorQuirks(quirks...))
		})
	}
}

// forgetful is a store that knows nothing of the calls before.
type forgetful struct{ Client }

var _ oauthstore.TokenUpdater = forgetful{}

func (f forgetful) store() *Store {
	s, err := New(f.Client, "my-project")
	if err != nil {
		panic(err)
	}
	return s
}

func (f forgetful) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	return f.store().FindToken(ctx, token)
}

func (f forgetful) FindTokenByID(ctx context.Context, id string) (*oauthstore.OAuthToken, error) {
	return f.store().FindTokenByID(ctx, id)
}

func (f forgetful) SaveToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return f.store().SaveToken(ctx, token)
}

func (f forgetful) UpdateToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return f.store().UpdateToken(ctx, token)
}

func (f forgetful) DeleteToken(ctx context.Context, id string) error {
	return f.store().DeleteToken(ctx, id)
}

func (f forgetful) GetTokens(ctx context.Context) ([]*oauthstore.OAuthToken, error) {
	return f.store().GetTokens(ctx)
}

func (f forgetful) DeleteTokens(ctx context.Context) error {
	return f.store().DeleteTokens(ctx)
}
