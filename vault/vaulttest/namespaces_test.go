package vaulttest_test

import (
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

// in is the fixture in a namespace, with a KV v2 engine mounted there.
func (f fixture) in(namespace string) fixture {
	f.t.Helper()
	f.Client = f.WithNamespace(namespace)
	f.SetMaxRetries(0)
	f.kv = f.KVv2("secret")
	require.NoError(f.t, f.Sys().Mount("secret", &api.MountInput{Type: "kv-v2"}))
	return f
}

func TestWithNamespaces_keepsTreesApart(t *testing.T) {
	f := start(t, vaulttest.WithNamespaces("team", "team/a"))
	team, a := f.in("team"), f.in("team/a")
	f.put("app", "root")
	team.put("app", "team")
	a.put("app", "a")

	var where []string
	for _, s := range f.srv.Secrets() {
		where = append(where, s.Mount+s.Path+"="+s.Versions[0].Data["v"].(string))
	}
	require.Equal(t, []string{"secret/app=root", "team/secret/app=team", "team/a/secret/app=a"}, where)
}

func TestWithNamespaces_takesThePathAsWell(t *testing.T) {
	f := start(t, vaulttest.WithNamespaces("team", "team/a"))
	f.in("team/a").put("app", "a")
	for namespace, path := range map[string]string{"": "team/a/secret/data/app", "team": "a/secret/data/app", "team/a": "secret/data/app"} {
		secret, err := f.WithNamespace(namespace).Logical().Read(path)
		require.NoError(t, err)
		require.NotNil(t, secret, "%s in %q", path, namespace)
	}
}

// Where the mount is in another namespace than the request, its path is the full one (Vault 1.21.4, logical_system.go,
// pathInternalUIMountRead).
func TestWithNamespaces_tellAboutAMountByItsPath(t *testing.T) {
	f := start(t, vaulttest.WithNamespaces("team", "team/a"))
	f.in("team/a")
	for _, c := range []struct{ namespace, mount, want string }{
		{"", "team/a/secret", "team/a/secret/"}, {"team", "a/secret", "team/a/secret/"}, {"team/a", "secret", "secret/"},
	} {
		secret, err := f.WithNamespace(c.namespace).Logical().Read("sys/internal/ui/mounts/" + c.mount)
		require.NoError(t, err)
		require.Equal(t, c.want, secret.Data["path"], "%s in %q", c.mount, c.namespace)
	}
}

func TestWithNamespaces_knowsNoOthers(t *testing.T) {
	f := start(t, vaulttest.WithNamespaces("team"))
	_, err := f.WithNamespace("nowhere").KVv2("secret").Put(f.ctx, "app", map[string]any{"v": "1"})
	requireRefused(t, err, 404, `no handler for route "secret/data/app". route entry not found.`)
}

func TestWithNamespaces_tokensAndPoliciesBelongToOne(t *testing.T) {
	f := start(t, vaulttest.WithNamespaces("team"))
	team := f.in("team")
	f.put("app", "root")
	team.put("app", "team")
	client := team.WithNamespace("team") // the token of the root namespace
	client.SetToken(team.token(readAll, time.Hour))
	client.SetMaxRetries(0)
	_, err := client.KVv2("secret").Get(f.ctx, "app")
	require.NoError(t, err)
	_, err = client.WithNamespace("").KVv2("secret").Get(f.ctx, "app")
	requireRefused(t, err, 403, denied)

	policies, err := f.Sys().ListPolicies()
	require.NoError(t, err)
	require.NotContains(t, policies, "test")
}

func TestWithoutNamespaces_theHeaderIsIgnored(t *testing.T) {
	f := start(t)
	_, err := f.WithNamespace("team").KVv2("secret").Put(f.ctx, "app", map[string]any{"v": "1"})
	require.NoError(t, err)
	require.Equal(t, "secret/", f.srv.Secrets()[0].Mount)
}
