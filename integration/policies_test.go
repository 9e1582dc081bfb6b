package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/vault"
)

// The kinds of users that the files in policies/ are for.
const (
	reader = "reader" // finds and lists
	writer = "writer" // also saves
	admin  = "admin"  // also deletes and repairs
)

func readPolicy(t *testing.T, service, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "policies", service, file))
	require.NoError(t, err)
	return string(text)
}

// A step is something that a user does. Those of one list build on one another.
type step struct {
	name string
	do   func(s oauthstore.TokenStore) error
}

var finds = []step{
	{"find by id", func(s oauthstore.TokenStore) error {
		_, err := s.FindTokenByID(ctx, "alice")
		return err
	}},
	{"find by user name, the id derived", func(s oauthstore.TokenStore) error {
		_, err := s.FindToken(ctx, &oauthstore.OAuthToken{UserName: "bob"})
		return err
	}},
	{"find by user name, the id given", func(s oauthstore.TokenStore) error {
		_, err := s.FindToken(ctx, &oauthstore.OAuthToken{UserName: "alice"})
		return err
	}},
	{"find by a refreshed access token, in all records", func(s oauthstore.TokenStore) error {
		_, err := s.FindToken(ctx, &oauthstore.OAuthToken{AccessToken: "refreshed access of bob"})
		return err
	}},
	{"list", func(s oauthstore.TokenStore) error {
		tokens, err := s.GetTokens(ctx)
		if err == nil && len(tokens) < 2 {
			err = oauthstore.ErrTokenNotFound
		}
		return err
	}},
}

var saves = []step{
	{"refresh", func(s oauthstore.TokenStore) error {
		return s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "another"})
	}},
	{"update", func(s oauthstore.TokenStore) error {
		return s.(oauthstore.TokenUpdater).UpdateToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "yet another"})
	}},
	{"rename", func(s oauthstore.TokenStore) error {
		return s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", UserName: "alice the second"})
	}},
	{"insert", func(s oauthstore.TokenStore) error {
		return s.SaveToken(ctx, &oauthstore.OAuthToken{UserName: "carol", RefreshToken: "refresh of carol"})
	}},
	{"insert where another insert has died", func(s oauthstore.TokenStore) error {
		return s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "erin", RefreshToken: "refresh of erin"})
	}},
	{"insert where a token was deleted", func(s oauthstore.TokenStore) error {
		return s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "dave", RefreshToken: "refresh of dave"})
	}},
}

var deletes = []step{
	{"delete", func(s oauthstore.TokenStore) error { return s.DeleteToken(ctx, "alice") }},
	{"delete all", func(s oauthstore.TokenStore) error { return s.DeleteTokens(ctx) }},
}

var repairs = []step{
	{"repair", func(s oauthstore.TokenStore) error {
		_, err := s.(oauthstore.Repairer).Repair(ctx, oauthstore.RepairOptions{})
		return err
	}},
}

// duties are what each of them is there for.
var duties = map[string][][]step{reader: {finds}, writer: {finds, saves}, admin: {finds, saves, repairs, deletes}}

// seed fills a store by somebody who may do everything.
func seed(t *testing.T, s oauthstore.TokenStore) {
	t.Helper()
	require.NoError(t, s.SaveToken(ctx, alice()))
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{UserName: "bob", AccessToken: "access of bob"}))
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{UserName: "bob", AccessToken: "refreshed access of bob"}))
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "dave", AccessToken: "access of dave"}))
	require.NoError(t, s.DeleteToken(ctx, "dave"))
}

// requirePermitted demands that the steps work.
func requirePermitted(t *testing.T, s oauthstore.TokenStore, steps ...[]step) {
	t.Helper()
	for _, step := range slices.Concat(steps...) {
		require.NoError(t, step.do(s), step.name)
	}
}

// requireDenied demands that each of the steps is refused, and that nothing has come of it.
func requireDenied(t *testing.T, s, owner oauthstore.TokenStore, steps ...[]step) {
	t.Helper()
	before, err := owner.GetTokens(ctx)
	require.NoError(t, err)
	for _, step := range slices.Concat(steps...) {
		require.ErrorIs(t, step.do(s), oauthstore.ErrAccessDenied, step.name)
		after, err := owner.GetTokens(ctx)
		require.NoError(t, err)
		require.Equal(t, documents(before), documents(after), "%s was refused, and something has changed", step.name)
	}
}

// documents are the tokens' exported fields.
func documents(tokens []*oauthstore.OAuthToken) (all []oauthstore.OAuthToken) {
	for _, token := range tokens {
		all = append(all, *token.Detached())
	}
	return all
}

// allow is what each of them may do.
func allow(t *testing.T, user string, s, owner oauthstore.TokenStore) {
	t.Helper()
	switch user {
	case reader:
		requirePermitted(t, s, finds)
		requireDenied(t, s, owner, saves, repairs, deletes)
	case writer:
		requirePermitted(t, s, finds)
		requireDenied(t, s, owner, repairs, deletes)
		requirePermitted(t, s, saves)
	case admin:
		requirePermitted(t, s, finds, saves, repairs, deletes)
	}
}

func TestVaultPolicies_allowWhatTheyAreForAndNothingElse(t *testing.T) {
	root := newClient(t)
	for _, user := range []string{reader, writer, admin} {
		t.Run(user, func(t *testing.T) {
			path := mount(t, root)
			owner := newVaultStore(t, root, vault.WithMount(path))
			seed(t, owner)
			interrupt(t, root, path)
			s := newVaultStore(t, withPolicy(t, root, path, readPolicy(t, "vault", user+".hcl")),
				vault.WithMount(path), vault.WithMaxVersions(1))
			allow(t, user, s, owner)
		})
	}
}

// interrupt leaves what an insert of erin leaves that died before it wrote the secret.
func interrupt(t *testing.T, root *api.Client, path string) {
	t.Helper()
	require.NoError(t, root.KVv2(path).PutMetadata(ctx, "oauthstore/token_erin", api.KVMetadataPutInput{}))
}

// withPolicy returns a client that may do what the policy says, of a store at the mount path.
func withPolicy(t *testing.T, root *api.Client, path, policy string) *api.Client {
	t.Helper()
	name := randomPrefix()
	require.NoError(t, root.Sys().PutPolicy(name, strings.ReplaceAll(policy, `"secret/`, `"`+path+`/`)))
	t.Cleanup(func() { require.NoError(t, root.Sys().DeletePolicy(name)) })
	client := newToken(t, root, &api.TokenCreateRequest{Policies: []string{name}, TTL: "10m"})
	client.SetMaxRetries(0)
	return client
}

var (
	capabilities = regexp.MustCompile(`capabilities = \[(.*)\]`)
	capability   = regexp.MustCompile(`"[a-z]+"`)
)

// Without any one of its capabilities a policy does not do.
func TestVaultPolicies_haveNothingToSpare(t *testing.T) {
	root := newClient(t)
	for user, steps := range duties {
		policy := readPolicy(t, "vault", user+".hcl")
		for _, list := range capabilities.FindAllStringSubmatchIndex(policy, -1) {
			for _, one := range capability.FindAllStringIndex(policy[list[2]:list[3]], -1) {
				from, to := list[2]+one[0], list[2]+one[1]
				less := policy[:from] + strings.TrimPrefix(policy[to:], ",")
				t.Run(user+" without "+policy[from:to], func(t *testing.T) {
					path := mount(t, root)
					seed(t, newVaultStore(t, root, vault.WithMount(path)))
					interrupt(t, root, path)
					s := newVaultStore(t, withPolicy(t, root, path, less), vault.WithMount(path), vault.WithMaxVersions(1))
					for _, step := range slices.Concat(steps...) {
						if step.do(s) != nil {
							return
						}
					}
					t.Errorf("all works without it:\n%s", less)
				})
			}
		}
	}
}
