package integration

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// The program that runs on the embedded server runs unchanged on Vault.
func TestVault_theQuickstartRuns(t *testing.T) {
	client := newClient(t)
	cmd := exec.Command("go", "run", "./examples/quickstart", "-on", "vault", "-prefix", randomPrefix())
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "VAULT_ADDR="+client.Address(), "VAULT_TOKEN="+client.Token(), "VAULT_KV_MOUNT="+mount(t, client))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "Find it by its refresh token  [requests: 2]")
	require.NotContains(t, string(out), "a newer access token", "a secret was printed")
}
