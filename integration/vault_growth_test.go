package integration

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/vault"
)

// Seven hundred users, from four processes at once: the index is divided. All but a few leave, and it is joined again.
func TestVault_theIndexGrowsAndShrinks(t *testing.T) {
	client := newClient(t)
	path := mount(t, client)
	open := func() *vault.Store { return newVaultStore(t, client, vault.WithMount(path)) }
	const users, writers, processes = 700, 32, 4
	ids := make([]string, users)
	stores := make([]*vault.Store, processes)
	for i := range stores {
		stores[i] = open()
	}
	atOnce(t, users, writers, func(i int) error {
		token := &oauthstore.OAuthToken{UserName: fmt.Sprint("user", i), RefreshToken: "r"}
		err := stores[i%processes].SaveToken(ctx, token)
		ids[i] = token.ID
		return err
	})
	pages := vaultPages(t, client, path)
	require.NotEmpty(t, pages)
	t.Logf("%d pages", len(pages))
	a := auditVault(t, client, path)
	require.Len(t, a.Stored, users)
	require.Equal(t, a.Stored, a.Listed)

	tokens, err := open().GetTokens(ctx)
	require.NoError(t, err)
	require.Len(t, tokens, users)
	n := 0
	for _, err := range open().Tokens(ctx) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, users, n)
	report, err := open().Repair(ctx, oauthstore.RepairOptions{})
	require.NoError(t, err)
	require.True(t, report.Clean(), "%v", report)

	atOnce(t, users-10, writers, func(i int) error { return stores[i%processes].DeleteToken(ctx, ids[i]) })
	_, err = open().Repair(ctx, oauthstore.RepairOptions{})
	require.NoError(t, err)
	require.Empty(t, vaultPages(t, client, path))
	a = auditVault(t, client, path)
	require.Len(t, a.Stored, 10)
	require.Equal(t, a.Stored, a.Listed)
	require.NoError(t, open().DeleteTokens(ctx))
}

// Somebody deletes a page, the index itself, and a token, by hand.
func TestVault_repair(t *testing.T) {
	client := newClient(t)
	path := mount(t, client)
	open := func() *vault.Store { return newVaultStore(t, client, vault.WithMount(path)) }
	const tokens = 700
	s := open()
	atOnce(t, tokens, 32, func(i int) error {
		return s.SaveToken(ctx, &oauthstore.OAuthToken{ID: fmt.Sprint("token", i), UserName: fmt.Sprint("user", i), RefreshToken: "r"})
	})
	byHand := func(name string) {
		require.NoError(t, client.KVv2(path).DeleteMetadata(ctx, "oauthstore/"+name))
	}
	byHand(vaultPages(t, client, path)[0])
	byHand("token_token7")
	_, err := open().FindTokenByID(ctx, "token1")
	require.NoError(t, err, "which needs no index")

	report, err := open().Repair(ctx, oauthstore.RepairOptions{})
	require.NoError(t, err)
	require.Len(t, report.Pages, 1)
	require.NotEmpty(t, report.Unlisted)
	require.Equal(t, tokens-1, report.Tokens)
	requireAllListed(t, client, path, tokens-1)

	byHand("index")
	report, err = open().Repair(ctx, oauthstore.RepairOptions{})
	require.NoError(t, err)
	require.Len(t, report.Unlisted, tokens-1)
	requireAllListed(t, client, path, tokens-1)
}

// requireAllListed demands that n tokens are stored, and listed whatever else is.
func requireAllListed(t *testing.T, client *api.Client, path string, n int) {
	t.Helper()
	a := auditVault(t, client, path)
	require.Len(t, a.Stored, n)
	for _, id := range a.Stored {
		require.True(t, slices.Contains(a.Listed, id), "%s is not listed", id)
	}
}

// atOnce calls do with the numbers below n, from so many goroutines.
func atOnce(t *testing.T, n, goroutines int, do func(i int) error) {
	t.Helper()
	jobs := make(chan int)
	var wg sync.WaitGroup
	for range goroutines {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range jobs {
				if err := do(i); err != nil {
					t.Errorf("%d: %v", i, err)
				}
			}
		}()
	}
	for i := range n {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
}

// vaultPages returns the names of the pages of the index that exist.
func vaultPages(t *testing.T, client *api.Client, path string) (pages []string) {
	t.Helper()
	list, err := client.Logical().List(path + "/metadata/oauthstore")
	require.NoError(t, err)
	for _, name := range list.Data["keys"].([]any) {
		secret, err := client.KVv2(path).Get(ctx, "oauthstore/"+name.(string))
		require.NoError(t, err)
		if secret.Data != nil && strings.HasPrefix(name.(string), "page_") && secret.Data["deleted"] == nil {
			pages = append(pages, name.(string))
		}
	}
	return pages
}
