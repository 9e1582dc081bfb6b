package awssmtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/awssm/awssmtest"
)

const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"

	marked    = "You can't perform this operation on the secret because it was marked for deletion."
	gone      = "You can't perform this operation on the secret because it was deleted."
	scheduled = "You can't create this secret because a secret with this name is already scheduled for deletion."

	day = 24 * time.Hour
)

// A fixture is a server and a client of it that does not retry.
type fixture struct {
	*secretsmanager.Client
	srv *awssmtest.Server
	ctx context.Context
	t   *testing.T
}

func start(t *testing.T, opts ...awssmtest.Option) fixture {
	t.Helper()
	srv := awssmtest.NewServer(opts...)
	t.Cleanup(srv.Close)
	client := srv.Client(func(o *secretsmanager.Options) { o.RetryMaxAttempts = 1 })
	return fixture{Client: client, srv: srv, ctx: t.Context(), t: t}
}

// token makes a request token out of a short word.
func token(word string) string { return strings.Repeat("-", 36-len(word)) + word }

// create makes a secret whose first version has the id token("v1") and returns its ARN.
func (f fixture) create(name, value string) string {
	f.t.Helper()
	out, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{
		Name: &name, SecretString: &value, ClientRequestToken: aws.String(token("v1")),
	})
	require.NoError(f.t, err)
	return *out.ARN
}

func (f fixture) put(id, word, value string, stages ...string) (*secretsmanager.PutSecretValueOutput, error) {
	return f.PutSecretValue(f.ctx, &secretsmanager.PutSecretValueInput{
		SecretId: &id, SecretString: &value, ClientRequestToken: aws.String(token(word)), VersionStages: stages,
	})
}

func (f fixture) mustPut(id, word, value string, stages ...string) {
	f.t.Helper()
	_, err := f.put(id, word, value, stages...)
	require.NoError(f.t, err)
}

func (f fixture) get(id string) (*secretsmanager.GetSecretValueOutput, error) {
	return f.GetSecretValue(f.ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
}

func (f fixture) mustGet(id string) *secretsmanager.GetSecretValueOutput {
	f.t.Helper()
	out, err := f.get(id)
	require.NoError(f.t, err)
	return out
}

func (f fixture) describe(id string) (*secretsmanager.DescribeSecretOutput, error) {
	return f.DescribeSecret(f.ctx, &secretsmanager.DescribeSecretInput{SecretId: &id})
}

// stages returns the labels of each version that has any, by the last two characters of its id.
func (f fixture) stages(id string) map[string][]string {
	f.t.Helper()
	out, err := f.describe(id)
	require.NoError(f.t, err)
	stages := make(map[string][]string)
	for version, labels := range out.VersionIdsToStages {
		stages[version[len(version)-2:]] = labels
	}
	return stages
}

func (f fixture) delete(id string, days int64) error {
	in := &secretsmanager.DeleteSecretInput{SecretId: &id, RecoveryWindowInDays: &days}
	if days == 0 {
		in.RecoveryWindowInDays = nil
	}
	_, err := f.DeleteSecret(f.ctx, in)
	return err
}

func (f fixture) forceDelete(id string) error {
	_, err := f.DeleteSecret(f.ctx, &secretsmanager.DeleteSecretInput{
		SecretId: &id, ForceDeleteWithoutRecovery: aws.Bool(true),
	})
	return err
}

// post sends a request without the SDK. It returns the status and the decoded body.
func (f fixture) post(op, body string, header map[string]string) (int, map[string]any) {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.ctx, http.MethodPost, f.srv.URL(), bytes.NewBufferString(body))
	require.NoError(f.t, err)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "secretsmanager."+op)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/secretsmanager/aws4_request,"+
		" SignedHeaders=host, Signature=0")
	for key, value := range header {
		r.Header.Set(key, value)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(f.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(f.t, err)
	var out map[string]any
	require.NoError(f.t, json.Unmarshal(data, &out))
	return resp.StatusCode, out
}

// requireCode wants an error of the given code and, where given, text.
func requireCode(t *testing.T, err error, code, text string) {
	t.Helper()
	var e smithy.APIError
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.ErrorCode(), e.ErrorMessage())
	require.Contains(t, e.ErrorMessage(), text)
}
