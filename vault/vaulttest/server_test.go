package vaulttest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

// request sends a request without a body and without heed of the answer.
func (f fixture) request(method, path string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.ctx, method, f.srv.URL()+"/v1/"+path, nil)
	require.NoError(f.t, err)
	req.Header.Set("X-Vault-Token", f.srv.RootToken())
	resp, err := http.DefaultClient.Do(req)
	require.NoError(f.t, err)
	require.NoError(f.t, resp.Body.Close())
}

func TestClient_takesNothingFromTheEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_AGENT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": "stray",
		"VAULT_NAMESPACE": "stray", "VAULT_HEADERS": `{"X-Vault-Namespace":"stray"}`, "VAULT_WRAP_TTL": "1m",
		"VAULT_MAX_RETRIES": "0", "VAULT_CLIENT_TIMEOUT": "1ns", "VAULT_RATE_LIMIT": "0.001",
		"VAULT_PROXY_ADDR": "http://127.0.0.1:1", "VAULT_SKIP_VERIFY": "true",
	} {
		t.Setenv(name, value)
	}
	f := start(t, vaulttest.WithNamespaces("stray"))
	f.put("app", "1")
	f.put("app", "2")
	require.Empty(t, f.Client.Namespace())
	require.Equal(t, "secret/", f.srv.Secrets()[0].Mount)
}

func TestSetSealed(t *testing.T) {
	f := start(t)
	f.put("app", "1")
	f.srv.SetSealed(true)
	_, err := f.kv.Get(f.ctx, "app")
	requireRefused(t, err, 503, "Vault is sealed")
	health, err := f.Sys().Health()
	require.NoError(t, err)
	require.True(t, health.Sealed)
	status, err := f.Sys().SealStatus()
	require.NoError(t, err)
	require.True(t, status.Sealed)

	f.srv.SetSealed(false)
	_, err = f.kv.Get(f.ctx, "app")
	require.NoError(t, err)
}

func TestSetUpgrading(t *testing.T) {
	f := start(t)
	f.srv.SetUpgrading("secret", true)
	_, err := f.kv.Put(f.ctx, "app", map[string]any{"v": "1"})
	requireRefused(t, err, 400, "Upgrading from non-versioned to versioned data. This backend will be "+
		"unavailable for a brief period and will resume service shortly.")
	f.srv.SetUpgrading("secret/", false)
	f.put("app", "1")

	require.NoError(t, f.Sys().Mount("legacy", &api.MountInput{Type: "kv-v1"}))
	require.Panics(t, func() { f.srv.SetUpgrading("legacy", true) })
	require.Panics(t, func() { f.srv.SetUpgrading("nowhere", true) })
}

func TestWithMaxEntrySize(t *testing.T) {
	large := map[string]any{"a": strings.Repeat("x", 600<<10), "b": strings.Repeat("x", 600<<10)}
	t.Run("one entry has less than a mebibyte", func(t *testing.T) {
		f := start(t)
		_, err := f.kv.Put(f.ctx, "app", large)
		var answer *api.ResponseError
		require.ErrorAs(t, err, &answer)
		require.Equal(t, 500, answer.StatusCode)
		require.Contains(t, answer.Errors[0], "put failed due to value being too large")
		require.Empty(t, f.srv.Secrets())
	})
	t.Run("it can be set", func(t *testing.T) {
		f := start(t, vaulttest.WithMaxEntrySize(1<<10))
		f.put("app", strings.Repeat("x", 900))
		_, err := f.kv.Put(f.ctx, "app", map[string]any{"v": strings.Repeat("x", 1<<10)})
		require.Error(t, err)
	})
	t.Run("zero is no limit", func(t *testing.T) {
		f := start(t, vaulttest.WithMaxEntrySize(0))
		_, err := f.kv.Put(f.ctx, "app", large)
		require.NoError(t, err)
	})
}

func TestClose_canBeRepeated(t *testing.T) {
	srv := vaulttest.NewServer()
	srv.Close()
	srv.Close()
	_, err := http.Get(srv.URL() + "/v1/sys/health")
	require.Error(t, err)
}
