package awssmtest

import (
	"context"
	"io"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/testserver"
)

// stderr returns what is written to standard error while run runs.
func stderr(t *testing.T, run func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	old := os.Stderr
	os.Stderr = w
	defer func() { os.Stderr = old }()
	run()
	require.NoError(t, w.Close())
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(text)
}

// list calls an operation that fails, without the SDK's retries.
func list(t *testing.T, prepare func(*Server)) func() {
	return func() {
		srv := NewServer()
		defer srv.Close()
		prepare(srv)
		client := srv.Client(func(o *secretsmanager.Options) { o.RetryMaxAttempts = 1 })
		_, err := client.ListSecrets(context.Background(), &secretsmanager.ListSecretsInput{})
		require.Error(t, err)
	}
}

func TestServer_tellsOfAPanicOfItsOwnAndNotOfABrokenConnection(t *testing.T) {
	own := stderr(t, list(t, func(s *Server) {
		s.operations["ListSecrets"] = func(call) (any, error) { panic("a bug of the server") }
	}))
	require.Contains(t, own, "a bug of the server")
	require.Contains(t, own, "awssmtest: ")
	require.Empty(t, stderr(t, list(t, func(s *Server) { s.Inject(testserver.Fault{Kind: testserver.DropAfter}) })))
}
