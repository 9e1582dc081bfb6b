package integration

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/integration/internal/fixture"
	"github.com/oauthstore/oauthstore/integration/realvault"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/internal/vaultbehaviour"
	"github.com/oauthstore/oauthstore/storetest"
	"github.com/oauthstore/oauthstore/vault"
)

// newClient returns a client of a Vault that may do everything: of the one that the environment names, or of
// one that runs in this process until the end of the test.
func newClient(t *testing.T) *api.Client {
	t.Helper()
	return newClients(t)()
}

// newClients is newClient for several clients of one Vault, each with connections of its own.
func newClients(t *testing.T) func() *api.Client {
	t.Helper()
	if os.Getenv("VAULT_ADDR") == "" || os.Getenv("VAULT_TOKEN") == "" {
		server := realvault.Start(t)
		return func() *api.Client { return server.Client(t) }
	}
	return func() *api.Client {
		config := api.DefaultConfig()
		require.NoError(t, config.Error)
		client, err := api.NewClient(config)
		require.NoError(t, err)
		return client
	}
}

// mount makes a KV engine of version 2 at a random path, until the end of the test.
func mount(t *testing.T, client *api.Client) string {
	t.Helper()
	path := randomPrefix()
	require.NoError(t, client.Sys().Mount(path, &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}))
	t.Cleanup(func() { require.NoError(t, client.Sys().Unmount(path)) })
	return path
}

func newVaultStore(t *testing.T, client *api.Client, opts ...vault.Option) *vault.Store {
	t.Helper()
	s, err := vault.New(client, opts...)
	require.NoError(t, err)
	return s
}

// What the test server of this project says of Vault is true of Vault.
func TestVault_behavesAsTheTestServerSays(t *testing.T) {
	client := newClient(t)
	health, err := client.Sys().Health()
	require.NoError(t, err)
	if !strings.HasPrefix(health.Version, "1.21.") || health.Enterprise {
		t.Skipf("the statements are about Vault 1.21 Community, and this is %s", health.Version)
	}
	vaultbehaviour.Run(t, func(t *testing.T) *api.Client {
		c, err := client.Clone()
		require.NoError(t, err)
		c.SetToken(client.Token())
		return c
	})
}

func TestVault_keepsTheContract(t *testing.T) {
	client := newClient(t)
	path := mount(t, client)
	storetest.Run(t, func(t *testing.T) oauthstore.TokenStore {
		return newVaultStore(t, client, vault.WithMount(path), vault.WithPrefix(randomPrefix()))
	})
}

func TestVault_keepsTheContractOfSeveralProcesses(t *testing.T) {
	client := newClients(t)
	path := mount(t, client())
	storetest.RunShared(t, func(*testing.T) func() oauthstore.TokenStore {
		prefix := randomPrefix()
		return func() oauthstore.TokenStore {
			return newVaultStore(t, client(), vault.WithMount(path), vault.WithPrefix(prefix))
		}
	})
}

func TestVault_manyWriters(t *testing.T) {
	client := newClient(t)
	path := mount(t, client)
	enginetest.RunWriters(t,
		func(t *testing.T) enginetest.Store { return newVaultStore(t, client, vault.WithMount(path)) },
		func(t *testing.T) enginetest.Audit { return auditVault(t, client, path) }, 0)
}

// auditVault looks at a mount as "vault kv" would.
func auditVault(t *testing.T, client *api.Client, path string) enginetest.Audit {
	t.Helper()
	list, err := client.Logical().List(path + "/metadata/oauthstore")
	require.NoError(t, err)
	documents := make(map[string][]byte)
	for _, name := range list.Data["keys"].([]any) {
		secret, err := client.KVv2(path).Get(context.Background(), "oauthstore/"+name.(string))
		require.NoError(t, err)
		if secret.Data != nil { // not deleted
			documents[name.(string)], err = json.Marshal(secret.Data)
			require.NoError(t, err)
		}
	}
	return fixture.AuditDocuments(t, documents)
}
