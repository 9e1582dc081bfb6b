package awssmtest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/testserver"
)

func TestFaults(t *testing.T) {
	cases := []struct {
		kind testserver.Kind
		code string // empty: no answer
		done bool
	}{
		{testserver.FailBefore, "InternalServiceError", false},
		{testserver.FailAfter, "InternalServiceError", true},
		{testserver.DropAfter, "", true},
		{testserver.Throttle, "ThrottlingException", false},
		{testserver.Deny, "AccessDeniedException", false},
		{testserver.Hang, "", false},
		{testserver.HangAfter, "", true},
	}
	for _, c := range cases {
		t.Run(c.kind.String(), func(t *testing.T) {
			f := start(t)
			f.create("a", "one")
			f.srv.Inject(testserver.Fault{Kind: c.kind, Op: "PutSecretValue", Secret: "a"})
			ctx, cancel := context.WithTimeout(f.ctx, 300*time.Millisecond)
			defer cancel()
			_, err := f.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
				SecretId: aws.String("a"), SecretString: aws.String("two"),
			})
			require.Error(t, err)
			var e smithy.APIError
			if c.code == "" {
				require.False(t, errors.As(err, &e))
			} else {
				requireCode(t, err, c.code, "")
			}
			value := *f.mustGet("a").SecretString
			require.Equal(t, c.done, value == "two")
			require.Equal(t, c.kind, f.srv.Requests()[1].Fault)
		})
	}
	t.Run("an internal error is a server fault of the SDK's own type", func(t *testing.T) {
		f := start(t)
		f.srv.Inject(testserver.Fault{Kind: testserver.FailBefore})
		_, err := f.get("a")
		var internal *types.InternalServiceError
		require.ErrorAs(t, err, &internal)
		require.Equal(t, smithy.FaultServer, internal.ErrorFault())
	})
	t.Run("a client that retries gets over a fault, with one token", func(t *testing.T) {
		f := start(t)
		f.create("a", "one")
		f.srv.Inject(testserver.Fault{Kind: testserver.FailAfter, Op: "PutSecretValue"})
		_, err := f.srv.Client().PutSecretValue(f.ctx, &secretsmanager.PutSecretValueInput{
			SecretId: aws.String("a"), SecretString: aws.String("two"),
		})
		require.NoError(t, err)
		require.Equal(t, 2, f.srv.Count("PutSecretValue"))
		require.Len(t, f.srv.Secrets()[0].Versions, 2)
	})
}

func TestRequests(t *testing.T) {
	f := start(t)
	arn := f.create("a/b", "sensitive")
	f.mustGet(arn)
	_, err := f.BatchGetSecretValue(f.ctx, &secretsmanager.BatchGetSecretValueInput{SecretIdList: []string{arn, "c"}})
	require.NoError(t, err)
	log := f.srv.Requests()
	require.Len(t, log, 3)
	require.Equal(t, "CreateSecret a/b []", fmt.Sprint(log[0].Op, " ", log[0].Secret, " ", log[0].Secrets))
	require.Equal(t, "GetSecretValue a/b []", fmt.Sprint(log[1].Op, " ", log[1].Secret, " ", log[1].Secrets))
	require.Equal(t, "BatchGetSecretValue  [a/b c]", fmt.Sprint(log[2].Op, " ", log[2].Secret, " ", log[2].Secrets))
	require.NotContains(t, fmt.Sprintf("%+v", log), "sensitive")
}

func TestActions(t *testing.T) {
	f := start(t)
	_, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{
		Name: aws.String("a"), Tags: []types.Tag{{Key: aws.String("k")}},
		AddReplicaRegions: []types.ReplicaRegionType{{Region: aws.String("eu-west-1")}},
	})
	require.NoError(t, err)
	require.Equal(t, []string{
		"secretsmanager:CreateSecret", "secretsmanager:ReplicateSecretToRegions", "secretsmanager:TagResource",
	}, f.srv.Actions())

	f = start(t)
	_, err = f.BatchGetSecretValue(f.ctx, &secretsmanager.BatchGetSecretValueInput{SecretIdList: []string{"a"}})
	require.NoError(t, err)
	require.Equal(t, []string{"secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue"}, f.srv.Actions())
	_, err = f.BatchGetSecretValue(f.ctx, &secretsmanager.BatchGetSecretValueInput{Filters: filters("name", "a")})
	require.NoError(t, err)
	require.Contains(t, f.srv.Actions(), "secretsmanager:ListSecrets")
}

func TestProtocol(t *testing.T) {
	f := start(t)
	f.create("a", "x")
	get, body := "GetSecretValue", `{"SecretId":"a"}`
	cases := []struct {
		name, op, body string
		header         map[string]string
		code           string
	}{
		{"no signature", get, body, map[string]string{"Authorization": ""}, "MissingAuthenticationTokenException"},
		{"another scheme", get, body, map[string]string{"Authorization": "Basic x"}, "IncompleteSignatureException"},
		{"another Region", get, body, map[string]string{
			"Authorization": "AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/secretsmanager/aws4_request," +
				" SignedHeaders=host, Signature=0",
		}, "InvalidSignatureException"},
		{"another content type", get, body, map[string]string{"Content-Type": "text/plain"}, "UnknownOperationException"},
		{"an operation that is not emulated", "RotateSecret", body, nil, "UnknownOperationException"},
		{"another service", get, body, map[string]string{"X-Amz-Target": "x.GetSecretValue"}, "UnknownOperationException"},
		{"no JSON", get, "{", nil, "SerializationException"},
		{"a number for a string", get, `{"SecretId":1}`, nil, "SerializationException"},
		{"bad base64", "PutSecretValue", `{"SecretId":"a","SecretBinary":"!"}`, nil, "SerializationException"},
		{"an unknown parameter", get, `{"SecretId":"a","Colour":"red"}`, nil, "InvalidParameterException"},
		{"a missing parameter", get, `{}`, nil, "ValidationException"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			status, out := f.post(c.op, c.body, c.header)
			require.Equal(t, 400, status)
			require.Equal(t, c.code, out["__type"])
		})
	}
	require.Equal(t, 1+len(cases), f.srv.Count(), "each request is logged once")
}

func TestProtocol_takesParametersThatTheSDKHasAndNothingHereDependsOn(t *testing.T) {
	f := start(t)
	f.create("a", "one")
	_, err := f.PutSecretValue(f.ctx, &secretsmanager.PutSecretValueInput{
		SecretId: aws.String("a"), SecretString: aws.String("two"), RotationToken: aws.String(strings.Repeat("r", 36)),
	})
	require.NoError(t, err)
	require.Equal(t, "two", *f.mustGet("a").SecretString)
	_, err = f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{
		Name: aws.String("b"), Type: aws.String("partner"), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
	})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"k": "v"}, f.srv.Secrets()[1].Tags)
	for _, body := range []string{
		`{"Name":"c","Type":"partner","Colour":"red"}`,
		`{"Name":"c","Tags":[{"Key":"k","Type":"nested"}]}`,
	} {
		_, out := f.post("CreateSecret", body, nil)
		require.Equal(t, "InvalidParameterException", out["__type"], body)
	}
}

func TestClose_releasesWhatHangs(t *testing.T) {
	srv := awssmtest.NewServer()
	srv.Inject(testserver.Fault{Kind: testserver.Hang, Times: -1})
	client := srv.Client(func(o *secretsmanager.Options) { o.RetryMaxAttempts = 1 })
	var group sync.WaitGroup
	for range 4 {
		group.Add(1)
		go func() {
			defer group.Done()
			_, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("a")})
			if err == nil {
				t.Error("a request that hangs was answered")
			}
		}()
	}
	for srv.Count() < 4 {
		time.Sleep(time.Millisecond)
	}
	srv.Close()
	srv.Close()
	group.Wait()
}

func TestServer_isSafeForConcurrentUse(t *testing.T) {
	f := start(t, awssmtest.WithDeletionDelay(0), awssmtest.WithVersionQuota(0))
	var group sync.WaitGroup
	for i := range 4 {
		group.Add(1)
		go func() {
			defer group.Done()
			own := fmt.Sprint(i)
			for j := range 10 {
				_, _ = f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{Name: &own, SecretString: &own})
				_, _ = f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{Name: aws.String("shared"), SecretString: &own})
				_, _ = f.put("shared", fmt.Sprint("v", i, j), own)
				_, _ = f.ListSecrets(f.ctx, &secretsmanager.ListSecretsInput{})
				_, _ = f.batch(secretsmanager.BatchGetSecretValueInput{SecretIdList: []string{own, "shared"}})
				_ = f.forceDelete(own)
				f.srv.Secrets()
				f.srv.Advance(time.Minute)
			}
		}()
	}
	group.Wait()
	secrets := f.srv.Secrets()
	require.Len(t, secrets, 1)
	require.Len(t, secrets[0].Versions, 41)
	require.Equal(t, []string{current}, secrets[0].Versions[40].Stages)
}

func TestSecrets_returnsCopies(t *testing.T) {
	f := start(t)
	f.create("b", "two")
	f.create("a", "one")
	f.mustPut("a", "v2", "one more")
	secrets := f.srv.Secrets()
	require.Len(t, secrets, 2)
	require.Equal(t, "a", secrets[0].Name)
	require.Len(t, secrets[0].Versions, 2)
	require.Equal(t, []string{previous}, secrets[0].Versions[0].Stages)
	require.Equal(t, token("v2"), secrets[0].Versions[1].ID)
	require.Equal(t, "one more", string(secrets[0].Versions[1].Payload))
	secrets[0].Versions[1].Payload[0] = 'X'
	require.Equal(t, "one more", *f.mustGet("a").SecretString)
}
