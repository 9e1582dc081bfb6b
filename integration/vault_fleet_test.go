package integration

import (
	"testing"

	"github.com/oauthstore/oauthstore/internal/fleet"
	"github.com/oauthstore/oauthstore/vault"
)

// Fifty instances refresh one token on Vault itself, and some of them are killed.
func TestVault_fleet(t *testing.T) {
	client := newClient(t)
	path := mount(t, client)
	fleet.InRealTime(t, func(testing.TB) fleet.Store {
		return newVaultStore(t, client, vault.WithMount(path))
	})
}
