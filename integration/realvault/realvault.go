// Package realvault runs a Vault server, HashiCorp's own code, in the process of a test: on loopback, in
// memory, unsealed.
package realvault

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/hashicorp/go-hclog"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/helper/testhelpers/corehelpers"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// A Server is a Vault node. The first of a cluster has a KV engine of version 2 at secret/, as a server in
// development mode has.
type Server struct {
	Address string
	Root    string // a token that may do everything

	core    *vault.Core
	share   []byte
	storage physical.Backend
}

// Start starts a server, which stops at the end of the test.
func Start(t testing.TB) *Server {
	t.Helper()
	storage, err := inmem.NewInmemHA(nil, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{storage: storage}
	s.run(t)
	config := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}
	result, err := s.core.Initialize(context.Background(), &vault.InitParams{BarrierConfig: config, RecoveryConfig: config})
	if err != nil {
		t.Fatal(err)
	}
	s.Root, s.share = result.RootToken, result.SecretShares[0]
	s.Unseal(t)
	vault.TestWaitActive(t, s.core)
	if err := s.Client(t).Sys().Mount("secret", &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}); err != nil {
		t.Fatal(err)
	}
	return s
}

// Standby starts another node of the server's cluster. It does not forward requests but redirects them, as
// a node does whose cluster port cannot be reached.
func (s *Server) Standby(t testing.TB) *Server {
	t.Helper()
	standby := &Server{Root: s.Root, share: s.share, storage: s.storage}
	standby.run(t)
	standby.Unseal(t)
	return standby
}

// run starts the node, sealed.
func (s *Server) run(t testing.TB) {
	t.Helper()
	listener := httptest.NewUnstartedServer(nil)
	s.Address = "http://" + listener.Listener.Addr().String()
	var err error
	s.core, err = vault.NewCore(&vault.CoreConfig{
		Physical:        s.storage,
		HAPhysical:      s.storage.(physical.HABackend),
		RedirectAddr:    s.Address,
		Logger:          hclog.NewNullLogger(),
		LogicalBackends: map[string]logical.Factory{"kv": kv.Factory},
		BuiltinRegistry: corehelpers.NewMockBuiltinRegistry(),
		DisableMlock:    true,
	})
	if err != nil {
		t.Fatal(err)
	}
	listener.Config.Handler = vaulthttp.Handler.Handler(&vault.HandlerProperties{
		Core:           s.core,
		ListenerConfig: &configutil.Listener{Address: listener.Listener.Addr().String(), TLSDisable: true},
	})
	listener.Start()
	t.Cleanup(func() {
		listener.Close()
		if err := s.core.Shutdown(); err != nil {
			t.Errorf("stop Vault: %v", err)
		}
	})
}

// Seal seals the node.
func (s *Server) Seal(t testing.TB) {
	t.Helper()
	if err := s.core.Seal(s.Root); err != nil {
		t.Fatal(err)
	}
}

// Unseal unseals the node, which then becomes the active one if there is no other.
func (s *Server) Unseal(t testing.TB) {
	t.Helper()
	if unsealed, err := s.core.Unseal(vault.TestKeyCopy(s.share)); err != nil || !unsealed {
		t.Fatalf("unseal Vault: %v %v", unsealed, err)
	}
}

// Client returns a client of the node that may do everything.
func (s *Server) Client(t testing.TB) *api.Client {
	t.Helper()
	client, err := api.NewClient(&api.Config{Address: s.Address})
	if err != nil {
		t.Fatal(err)
	}
	client.SetToken(s.Root)
	return client
}
