package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/testserver"
	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

func TestQuickstart_showsTheMainJobAndWhatItCosts(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(context.Background(), nil, &out))
	text := out.String()
	for _, line := range []string{
		`Prefix: oauthstore-quickstart, without tokens so far  \[requests: 1\]`,
		`1\. Save the token response  \[requests: 3\]`,
		`2\. Find it by user name  \[requests: 1\]`,
		`3\. Find it by id  \[requests: 1\]`,
		`4\. Find it by its refresh token  \[requests: 2\]`,
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

func TestQuickstart_takesALifetimeThatMakesSense(t *testing.T) {
	parse := func(expiresIn string) (*oauthstore.OAuthToken, error) {
		return parseResponse([]byte(`{"access_token":"x","expires_in":` + expiresIn + `}`))
	}
	for _, hour := range []string{"3600", "3600.0", "3.6e3", `"3600"`} {
		begin := time.Now()
		token, err := parse(hour)
		require.NoError(t, err, hour)
		require.WithinRange(t, token.Expiry, begin.Add(time.Hour), time.Now().Add(time.Hour), hour)
	}
	for _, unknown := range []string{"0", "null"} {
		token, err := parse(unknown)
		require.NoError(t, err, unknown)
		require.True(t, token.Expiry.IsZero(), unknown)
	}
	for _, nonsense := range []string{"-1", "99999999999", "1e999", `""`, `"soon"`, "true"} {
		_, err := parse(nonsense)
		require.Error(t, err, nonsense)
	}
}

func TestQuickstart_refusesAnUnknownService(t *testing.T) {
	require.ErrorContains(t, run(context.Background(), []string{"-on", "paper"}, &bytes.Buffer{}), "-on paper")
}

// The last step deletes all that is under the prefix.
func TestQuickstart_refusesAPrefixThatHasTokens(t *testing.T) {
	srv := awssmtest.NewServer()
	defer srv.Close()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": srv.URL(), "AWS_REGION": awssmtest.Region,
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
	} {
		t.Setenv(name, value)
	}
	store, err := awssm.New(srv.Client(), awssm.WithPrefix("oauthstore"))
	require.NoError(t, err)
	carols := oauthstore.OAuthToken{UserName: "carol", RefreshToken: "carol's only one"}
	require.NoError(t, store.SaveToken(context.Background(), &carols))
	onAWS := func() error {
		return run(context.Background(), []string{"-on", "aws", "-prefix", "oauthstore"}, &bytes.Buffer{})
	}
	require.ErrorContains(t, onAWS(), `there are tokens under the prefix "oauthstore"`)
	_, err = store.FindTokenByID(context.Background(), carols.ID)
	require.NoError(t, err)
	srv.Inject(testserver.Fault{Kind: testserver.Deny, Times: -1})
	require.ErrorIs(t, onAWS(), oauthstore.ErrAccessDenied)
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
