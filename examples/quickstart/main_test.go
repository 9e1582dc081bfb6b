package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

func TestQuickstart_showsTheMainJobAndWhatItCosts(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(context.Background(), nil, &out))
	text := out.String()
	for _, line := range []string{
		`1\. Save the token response  \[requests: 4\]`,
		`2\. Find it by user name  \[requests: 1\]`,
		`3\. Find it by id  \[requests: 1\]`,
		`4\. Find it by its refresh token  \[requests: 1\]`,
		`5\. Save a refreshed access token  \[requests: 2\]`,
		`RefreshToken: \[redacted\]`,
		`7\. List all tokens  \[requests: 2\]\n    2 tokens`,
		`oauthstore-quickstart/token_second`,
		`as it should be: oauthstore: token not found`,
	} {
		require.Regexp(t, regexp.MustCompile(line), text)
	}
	require.NotContains(t, text, "2YotnFZFEjr1zCsicMWpAA", "the sample's access token")
	require.NotContains(t, text, "tGzv3JOkF0XG5Qx2TlKWIA", "the sample's refresh token")
}

func TestQuickstart_takesAResponseFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "response.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"access_token":"x","expires_in":"60","api_domain":"https://eu.example.com"}`), 0o600))
	var out bytes.Buffer
	require.NoError(t, run(context.Background(), []string{"-response", file}, &out))
	require.Contains(t, out.String(), "it has none")
	require.Contains(t, out.String(), "https://eu.example.com")
}

func TestQuickstart_doesNotQuoteAResponseThatItCannotRead(t *testing.T) {
	for _, body := range []string{`{"access_token": SECRET`, `{"error":"SECRET"}`, `["SECRET"]`, `{"access_token":{"SECRET":1}}`} {
		_, err := parseResponse([]byte(body))
		require.Error(t, err)
		require.NotContains(t, err.Error(), "SECRET")
	}
}

func TestQuickstart_refusesAnUnknownService(t *testing.T) {
	require.ErrorContains(t, run(context.Background(), []string{"-on", "paper"}, &bytes.Buffer{}), "-on paper")
}

// The real services are named by environment variables; test servers can stand in for all three.
func TestQuickstart_runsOnEachService(t *testing.T) {
	awsServer := awssmtest.NewServer()
	defer awsServer.Close()
	vaultServer := vaulttest.NewServer()
	defer vaultServer.Close()
	googleServer := gcpsmtest.NewServer()
	defer googleServer.Close()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": awsServer.URL(), "AWS_REGION": awssmtest.Region,
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"VAULT_ADDR": vaultServer.URL(), "VAULT_TOKEN": vaultServer.RootToken(),
		"SECRET_MANAGER_EMULATOR_HOST": googleServer.Addr(), "GOOGLE_CLOUD_PROJECT": "my-project",
	} {
		t.Setenv(name, value)
	}
	for service, secret := range map[string]string{
		"aws":    "\n    oauthstore-quickstart/token_second",
		"vault":  "\n    secret/oauthstore-quickstart/token_second",
		"google": "/secrets/oauthstore-quickstart__token_second",
	} {
		var out bytes.Buffer
		require.NoError(t, run(context.Background(), []string{"-on", service}, &out), service)
		require.Contains(t, out.String(), secret)
		require.Contains(t, out.String(), "2. Find it by user name  [requests: 1]", service)
		require.Contains(t, out.String(), "5. Save a refreshed access token  [requests: "+map[string]string{"aws": "2", "vault": "2", "google": "3"}[service])
	}
	require.NotZero(t, awsServer.Count())
}
