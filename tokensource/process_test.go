package tokensource_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/tokensource"
	"github.com/oauthstore/oauthstore/tokensource/authtest"
	"github.com/oauthstore/oauthstore/vault"
	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

var (
	processes    = flag.Int("processes", 8, "how many processes TestProcesses has")
	processesRun = flag.Duration("processes-run", 4*time.Second, "how long they run")
)

// What a process of TestProcesses is told by its environment.
const (
	providerVar = "TOKENSOURCE_TEST_PROVIDER"
	vaultVar    = "TOKENSOURCE_TEST_VAULT"
	tokenVar    = "TOKENSOURCE_TEST_VAULT_TOKEN"
)

func TestMain(m *testing.M) {
	if os.Getenv(providerVar) != "" {
		if err := beProcess(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// beProcess uses alice's token, and fails where there is none or the API does not take it.
func beProcess() error {
	config := api.DefaultConfig()
	config.Address = os.Getenv(vaultVar)
	client, err := api.NewClient(config)
	if err != nil {
		return err
	}
	client.SetToken(os.Getenv(tokenVar))
	store, err := vault.New(client)
	if err != nil {
		return err
	}
	provider := os.Getenv(providerVar)
	tokens, err := tokensource.New(store, &oauth2.Config{
		ClientID: authtest.ClientID, ClientSecret: authtest.ClientSecret,
		Endpoint: oauth2.Endpoint{TokenURL: provider + "/token", AuthStyle: oauth2.AuthStyleInHeader},
	}, tokensource.WithLease(time.Second), tokensource.WithEarlyRefresh(0, 0), tokensource.WithLeeway(500*time.Millisecond))
	if err != nil {
		return err
	}
	authorized := tokens.User("alice").Client(nil)
	for {
		resp, err := authorized.Get(provider + "/resource")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("the API answers %d", resp.StatusCode)
		}
		time.Sleep(rand.N(100 * time.Millisecond))
	}
}

// Processes that are killed at any moment, over a provider that lets the answer of a dead one be asked for again, as
// some do.
func TestProcesses(t *testing.T) {
	provider := authtest.NewServer(authtest.WithAccessTokenLifetime(2*time.Second), authtest.WithReuseGrace(time.Minute))
	defer provider.Close()
	provider.SetLatency(authtest.Latency{Before: 50 * time.Millisecond, After: 50 * time.Millisecond})
	secrets := vaulttest.NewServer()
	defer secrets.Close()
	store, err := vault.New(secrets.Client())
	if err != nil {
		t.Fatal(err)
	}
	got := provider.Issue("alice")
	if err := store.SaveToken(t.Context(), &oauthstore.OAuthToken{
		UserName: "alice", AccessToken: got.AccessToken, RefreshToken: got.RefreshToken, Expiry: got.Expiry,
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), *processesRun)
	defer cancel()
	killed := 0
	crew := make(chan *exec.Cmd, *processes)
	begin := func() {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), providerVar+"="+provider.URL(), vaultVar+"="+secrets.URL(), tokenVar+"="+secrets.RootToken())
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		crew <- cmd
	}
	end := func() { // the one that has been there longest
		cmd := <-crew
		_ = cmd.Process.Kill()
		err := cmd.Wait()
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Exited() {
			t.Errorf("a process has ended by itself: %v", err)
		}
	}
	for range *processes {
		begin()
	}
	for ctx.Err() == nil {
		select {
		case <-time.After(rand.N(600 * time.Millisecond)):
			end()
			killed++
			begin()
		case <-ctx.Done():
		}
	}
	for range *processes {
		end()
	}
	stats := provider.Stats()
	family := stats.Families[0]
	t.Logf("%d processes, %v, %d killed: %d refreshes, %d of them of a superseded refresh token; %d reuse detections",
		*processes, *processesRun, killed, family.Refreshes, family.Graced, len(stats.Reuses))
	if len(stats.Reuses) > 0 || family.Revoked {
		t.Errorf("the provider has detected %d reuses", len(stats.Reuses))
	}
	if family.Graced > killed {
		t.Errorf("%d refresh tokens were sent twice, and %d processes killed", family.Graced, killed)
	}
}
