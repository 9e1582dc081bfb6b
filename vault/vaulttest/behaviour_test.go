package vaulttest_test

import (
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/oauthstore/oauthstore/vault/vaulttest"
	"github.com/oauthstore/oauthstore/vault/vaulttest/behaviour"
)

func TestServer_behavesAsVault(t *testing.T) {
	srv := vaulttest.NewServer()
	defer srv.Close()
	behaviour.Run(t, func(*testing.T) *api.Client { return srv.Client() })
}
