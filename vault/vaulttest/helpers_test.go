package vaulttest_test

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

// A fixture is a server and a client of it that does not retry, with the root token.
type fixture struct {
	*api.Client
	srv *vaulttest.Server
	kv  *api.KVv2
	ctx context.Context
	t   *testing.T
}

func start(t *testing.T, opts ...vaulttest.Option) fixture {
	t.Helper()
	srv := vaulttest.NewServer(opts...)
	t.Cleanup(srv.Close)
	client := srv.Client()
	client.SetMaxRetries(0)
	return fixture{Client: client, srv: srv, kv: client.KVv2("secret"), ctx: t.Context(), t: t}
}

func (f fixture) put(path, value string) {
	f.t.Helper()
	_, err := f.kv.Put(f.ctx, path, map[string]any{"v": value})
	require.NoError(f.t, err)
}

// as is the fixture with another token.
func (f fixture) as(token string) fixture {
	f.t.Helper()
	client, err := f.Clone()
	require.NoError(f.t, err)
	client.SetMaxRetries(0)
	client.SetToken(token)
	f.Client, f.kv = client, client.KVv2("secret")
	return f
}

// token returns a new token with the given policy only.
func (f fixture) token(policy string, ttl time.Duration) string {
	f.t.Helper()
	require.NoError(f.t, f.Sys().PutPolicy("test", policy))
	secret, err := f.Auth().Token().Create(&api.TokenCreateRequest{
		Policies: []string{"test"}, NoDefaultPolicy: true, TTL: ttl.String(),
	})
	require.NoError(f.t, err)
	return secret.Auth.ClientToken
}

// requireRefused checks the status and the text of Vault's answer.
func requireRefused(t *testing.T, err error, status int, text string) {
	t.Helper()
	var answer *api.ResponseError
	require.ErrorAs(t, err, &answer)
	require.Equal(t, status, answer.StatusCode)
	require.Equal(t, []string{text}, answer.Errors)
}

const (
	denied  = "1 error occurred:\n\t* permission denied\n\n"
	invalid = "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"
)
