package integration

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/integration/realvault"
	"github.com/oauthstore/oauthstore/vault"
)

// What a Vault team does to its servers, on a server that nobody else uses: each with the error that tells the
// application what to do about it.

// impatient is a client of the server that does not try again.
func impatient(t *testing.T, srv *realvault.Server) *api.Client {
	client := srv.Client(t)
	client.SetMaxRetries(0)
	return client
}

// newToken returns a client with a token of its own.
func newToken(t *testing.T, client *api.Client, request *api.TokenCreateRequest) *api.Client {
	t.Helper()
	secret, err := client.Auth().Token().Create(request)
	require.NoError(t, err)
	c, err := client.Clone()
	require.NoError(t, err)
	c.SetToken(secret.Auth.ClientToken)
	return c
}

func requireEach(t *testing.T, s *vault.Store, want error) {
	t.Helper()
	_, err := s.FindTokenByID(ctx, "alice")
	require.ErrorIs(t, err, want)
	require.ErrorIs(t, s.SaveToken(ctx, alice()), want)
	require.ErrorIs(t, s.DeleteToken(ctx, "alice"), want)
	_, err = s.GetTokens(ctx)
	require.ErrorIs(t, err, want)
}

func TestVault_sealedIsUnavailable(t *testing.T) {
	srv := realvault.Start(t)
	s := newVaultStore(t, impatient(t, srv))
	require.NoError(t, s.SaveToken(ctx, alice()))
	srv.Seal(t)
	requireEach(t, s, oauthstore.ErrUnavailable)
	srv.Unseal(t)
	require.Eventually(t, func() bool { _, err := s.FindTokenByID(ctx, "alice"); return err == nil }, 30*time.Second, 100*time.Millisecond)
}

func TestVault_aStandbySendsTheClientToTheActiveNode(t *testing.T) {
	srv := realvault.Start(t)
	standby := srv.Standby(t)
	s := newVaultStore(t, impatient(t, standby))
	require.NoError(t, s.SaveToken(ctx, alice()))
	found, err := newVaultStore(t, impatient(t, srv)).FindToken(ctx, &oauthstore.OAuthToken{UserName: "alice"})
	require.NoError(t, err)
	require.Equal(t, "refresh-1", found.RefreshToken)
	require.NoError(t, s.DeleteToken(ctx, "alice"))
}

func TestVault_aStandbyTakesOverWithAllThatWasStored(t *testing.T) {
	srv := realvault.Start(t)
	standby := srv.Standby(t)
	require.NoError(t, newVaultStore(t, impatient(t, srv)).SaveToken(ctx, alice()))
	srv.Seal(t)
	s := newVaultStore(t, impatient(t, standby))
	require.Eventually(t, func() bool { _, err := s.FindTokenByID(ctx, "alice"); return err == nil }, 30*time.Second, 100*time.Millisecond)
}

func TestVault_aRateLimitIsThrottled(t *testing.T) {
	srv := realvault.Start(t)
	client := impatient(t, srv)
	s := newVaultStore(t, client)
	require.NoError(t, s.SaveToken(ctx, alice()))
	_, err := client.Logical().Write("sys/quotas/rate-limit/few", map[string]any{"path": "secret", "rate": 1, "interval": "1h"})
	require.NoError(t, err)
	_, _ = s.FindTokenByID(ctx, "alice") // the one that the limit lets pass
	requireEach(t, s, oauthstore.ErrThrottled)
	_, err = client.Logical().Delete("sys/quotas/rate-limit/few")
	require.NoError(t, err)
	_, err = s.FindTokenByID(ctx, "alice")
	require.NoError(t, err)
}

func TestVault_aTokenThatIsRevokedOrExpiredIsDenied(t *testing.T) {
	srv := realvault.Start(t)
	root := impatient(t, srv)
	t.Run("revoked", func(t *testing.T) {
		client := newToken(t, root, &api.TokenCreateRequest{Policies: []string{"root"}})
		s := newVaultStore(t, client)
		require.NoError(t, s.SaveToken(ctx, alice()))
		require.NoError(t, root.Auth().Token().RevokeOrphan(client.Token()))
		requireEach(t, s, oauthstore.ErrAccessDenied)
	})
	t.Run("expired", func(t *testing.T) {
		client := newToken(t, root, &api.TokenCreateRequest{Policies: []string{"root"}, TTL: "1s"})
		s := newVaultStore(t, client)
		require.NoError(t, s.SaveToken(ctx, alice()))
		require.Eventually(t, func() bool { _, err := s.FindTokenByID(ctx, "alice"); return err != nil }, 30*time.Second, 100*time.Millisecond)
		requireEach(t, s, oauthstore.ErrAccessDenied)
	})
}

// The watcher renews the token of the client that the store has: nothing of the store is needed for it.
func TestVault_aRenewedTokenGoesOn(t *testing.T) {
	srv := realvault.Start(t)
	root := impatient(t, srv)
	secret, err := root.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"root"}, Period: "3s"})
	require.NoError(t, err)
	client := impatient(t, srv)
	client.SetToken(secret.Auth.ClientToken)
	watcher, err := client.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: secret})
	require.NoError(t, err)
	go watcher.Start()
	defer watcher.Stop()
	s := newVaultStore(t, client)
	require.NoError(t, s.SaveToken(ctx, alice()))
	for deadline := time.Now().Add(7 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		_, err := s.FindTokenByID(ctx, "alice")
		require.NoError(t, err)
	}
}

func TestVault_aMountThatIsNotThereIsSaidSo(t *testing.T) {
	srv := realvault.Start(t)
	s := newVaultStore(t, impatient(t, srv), vault.WithMount("nowhere"))
	for name, err := range each(s) {
		require.ErrorContains(t, err, "nowhere", name)
		require.NotErrorIs(t, err, oauthstore.ErrTokenNotFound, name)
		require.NotErrorIs(t, err, oauthstore.ErrUnavailable, name)
	}
}

// each returns what the methods answer.
func each(s *vault.Store) map[string]error {
	errs := make(map[string]error)
	_, errs["FindTokenByID"] = s.FindTokenByID(ctx, "alice")
	_, errs["FindToken"] = s.FindToken(ctx, &oauthstore.OAuthToken{UserName: "alice"})
	_, errs["GetTokens"] = s.GetTokens(ctx)
	errs["SaveToken"] = s.SaveToken(ctx, alice())
	errs["DeleteToken"] = s.DeleteToken(ctx, "alice")
	errs["DeleteTokens"] = s.DeleteTokens(ctx)
	return errs
}

func TestVault_aMountOfVersion1IsRefusedAndNotWrittenTo(t *testing.T) {
	srv := realvault.Start(t)
	client := impatient(t, srv)
	require.NoError(t, client.Sys().Mount("old", &api.MountInput{Type: "kv", Options: map[string]string{"version": "1"}}))
	s := newVaultStore(t, client, vault.WithMount("old"))
	for name, err := range each(s) {
		require.ErrorContains(t, err, "version 1", name)
	}
	list, err := client.Logical().List("old")
	require.NoError(t, err)
	require.Nil(t, list, "something was written")
}

// Namespaces are the client's: each request asks for its one. Vault Community has none, and does not look at it.
func TestVault_theClientsNamespaceIsAskedFor(t *testing.T) {
	srv := realvault.Start(t)
	asked := &headers{next: http.DefaultTransport}
	client, err := api.NewClient(&api.Config{Address: srv.Address, HttpClient: &http.Client{Transport: asked}})
	require.NoError(t, err)
	client.SetToken(srv.Root)
	client.SetNamespace("team")
	s := newVaultStore(t, client)
	require.NoError(t, s.SaveToken(ctx, alice()))
	require.NoError(t, s.DeleteToken(ctx, "alice"))
	require.NotEmpty(t, asked.seen)
	for _, h := range asked.seen {
		require.Equal(t, "team", h.Get("X-Vault-Namespace"))
	}
}

// headers keeps the headers of the requests that pass.
type headers struct {
	next http.RoundTripper
	mu   sync.Mutex
	seen []http.Header
}

// RoundTrip implements http.RoundTripper.
func (h *headers) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	h.seen = append(h.seen, r.Header.Clone())
	h.mu.Unlock()
	return h.next.RoundTrip(r)
}

// Read-your-writes is the client's too: X-Vault-Index of an answer goes with the next request.
func TestVault_aClientThatReadsItsWritesWorks(t *testing.T) {
	srv := realvault.Start(t)
	client := impatient(t, srv)
	client.SetReadYourWrites(true)
	s := newVaultStore(t, client)
	require.NoError(t, s.SaveToken(ctx, alice()))
	token := alice()
	token.AccessToken = "access-2"
	require.NoError(t, s.SaveToken(ctx, token))
	require.NoError(t, s.DeleteToken(ctx, "alice"))
}
