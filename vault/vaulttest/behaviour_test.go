package vaulttest_test

import (
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/oauthstore/oauthstore/internal/vaultbehaviour"
	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

func TestServer_behavesAsVault(t *testing.T) {
	srv := vaulttest.NewServer()
	defer srv.Close()
	vaultbehaviour.Run(t, func(*testing.T) *api.Client { return srv.Client() })
}
