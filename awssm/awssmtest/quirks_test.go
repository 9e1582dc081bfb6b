package awssmtest_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/awssm/awssmtest"
)

func TestEmulatorQuirks(t *testing.T) {
	quirky := func(name string, quirk awssmtest.Quirk, test func(t *testing.T, f fixture)) {
		t.Run(name, func(t *testing.T) { test(t, start(t, awssmtest.WithEmulatorQuirks(quirk))) })
	}
	quirky("a version has an id of the server's own", awssmtest.OwnVersionIDs, func(t *testing.T, f fixture) {
		f.create("a", "one")
		one := f.mustGet("a")
		require.NotEqual(t, token("v1"), *one.VersionId)
		for _, value := range []string{"two", "three"} {
			out, err := f.put("a", "v2", value)
			require.NoError(t, err)
			require.NotEqual(t, token("v2"), *out.VersionId)
			require.Equal(t, *out.VersionId, *f.mustGet("a").VersionId)
			require.Equal(t, value, *f.mustGet("a").SecretString)
		}
		require.Len(t, f.srv.Secrets()[0].Versions, 3)
	})
	quirky("a version takes other content", awssmtest.OverwrittenVersions, func(t *testing.T, f fixture) {
		f.create("a", "one")
		f.mustPut("a", "v2", "two")
		f.mustPut("a", "v2", "other")
		require.Equal(t, "other", *f.mustGet("a").SecretString)
		f.mustPut("a", "v1", "again")
		require.Equal(t, "again", *f.mustGet("a").SecretString)
		require.Equal(t, token("v1"), *f.mustGet("a").VersionId)
		require.Len(t, f.srv.Secrets()[0].Versions, 2)
	})
	quirky("other content is ignored", awssmtest.IgnoredContent, func(t *testing.T, f fixture) {
		f.create("a", "one")
		f.mustPut("a", "v2", "two")
		f.mustPut("a", "v2", "other")
		f.mustPut("a", "v1", "other")
		require.Equal(t, "two", *f.mustGet("a").SecretString)
	})
	quirky("a name can be taken twice", awssmtest.TakenNames, func(t *testing.T, f fixture) {
		arn := f.create("a", "one")
		out, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{
			Name: aws.String("a"), SecretString: aws.String("two"), ClientRequestToken: aws.String(token("v2")),
		})
		require.NoError(t, err)
		require.Equal(t, arn, *out.ARN)
		require.Equal(t, "two", *f.mustGet("a").SecretString)
		require.Len(t, f.srv.Secrets()[0].Versions, 2)
	})
}

// Who learns of a server from the client's answers sees AWS's host, or with the server's own address that one.
func TestClient_isForAWSUnlessItIsToldTheServersAddress(t *testing.T) {
	for _, opts := range [][]awssmtest.Option{nil, {awssmtest.WithoutSocket()}} {
		srv := awssmtest.NewServer(opts...)
		defer srv.Close()
		for _, endpoint := range []*string{nil, aws.String(srv.URL())} {
			client := srv.Client(func(o *secretsmanager.Options) { o.BaseEndpoint = endpoint })
			out, err := client.ListSecrets(t.Context(), &secretsmanager.ListSecretsInput{})
			require.NoError(t, err)
			require.Empty(t, out.SecretList)
			want := "https://secretsmanager.us-east-1.amazonaws.com"
			if endpoint != nil {
				want = *endpoint
			}
			asked := awsmiddleware.GetRawResponse(out.ResultMetadata).(*smithyhttp.Response).Request.URL
			require.Equal(t, want, asked.Scheme+"://"+asked.Host)
		}
	}
}
