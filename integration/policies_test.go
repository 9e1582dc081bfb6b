package integration

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/integration/internal/fixture"
	"github.com/oauthstore/oauthstore/vault"
)

// allow is what each of them may do.
func allow(t *testing.T, user string, s, owner oauthstore.TokenStore) {
	t.Helper()
	switch user {
	case fixture.Reader:
		fixture.RequirePermitted(t, s, fixture.Finds)
		fixture.RequireDenied(t, s, owner, fixture.Saves, fixture.Repairs, fixture.Deletes)
	case fixture.Writer:
		fixture.RequirePermitted(t, s, fixture.Finds)
		fixture.RequireDenied(t, s, owner, fixture.Repairs, fixture.Deletes)
		fixture.RequirePermitted(t, s, fixture.Saves)
	case fixture.Admin:
		fixture.RequirePermitted(t, s, fixture.Finds, fixture.Saves, fixture.Repairs, fixture.Deletes)
	}
}

func TestVaultPolicies_allowWhatTheyAreForAndNothingElse(t *testing.T) {
	root := newClient(t)
	for _, user := range []string{fixture.Reader, fixture.Writer, fixture.Admin} {
		t.Run(user, func(t *testing.T) {
			path := mount(t, root)
			owner := newVaultStore(t, root, vault.WithMount(path))
			fixture.Seed(t, owner)
			interrupt(t, root, path)
			s := newVaultStore(t, withPolicy(t, root, path, fixture.ReadPolicy(t, "..", "vault", user+".hcl")),
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
	for user, steps := range fixture.Duties {
		policy := fixture.ReadPolicy(t, "..", "vault", user+".hcl")
		for _, list := range capabilities.FindAllStringSubmatchIndex(policy, -1) {
			if strings.HasSuffix(policy[:list[0]], "\"secret/config\" {\n  ") {
				continue // without it, the answer to a write shows the setting
			}
			for _, one := range capability.FindAllStringIndex(policy[list[2]:list[3]], -1) {
				from, to := list[2]+one[0], list[2]+one[1]
				less := policy[:from] + strings.TrimPrefix(policy[to:], ",")
				t.Run(user+" without "+policy[from:to], func(t *testing.T) {
					path := mount(t, root)
					fixture.Seed(t, newVaultStore(t, root, vault.WithMount(path)))
					interrupt(t, root, path)
					s := newVaultStore(t, withPolicy(t, root, path, less), vault.WithMount(path), vault.WithMaxVersions(1))
					for _, step := range slices.Concat(steps...) {
						if step.Do(s) != nil {
							return
						}
					}
					t.Errorf("all works without it:\n%s", less)
				})
			}
		}
	}
}
