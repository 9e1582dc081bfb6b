package awssmtest_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	f := start(t)
	const invalid = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
	for _, name := range []string{"a b", "ü", "a:b", "a*", `a\b`, "a#"} {
		_, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{Name: &name})
		requireCode(t, err, "ValidationException", invalid)
		_, err = f.get(name)
		requireCode(t, err, "ValidationException", invalid)
	}
	for _, name := range []string{"", strings.Repeat("x", 513)} {
		_, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{Name: &name})
		requireCode(t, err, "ValidationException", "at 'name' failed to satisfy constraint: Member must have length")
	}
	for _, name := range []string{"Valid/_+=.@-Name!", strings.Repeat("x", 512)} {
		f.create(name, "x")
		f.mustGet(name)
	}
}

func TestValues(t *testing.T) {
	f := start(t)
	f.create("a", "x")
	put := func(in secretsmanager.PutSecretValueInput) error {
		in.SecretId = aws.String("a")
		_, err := f.PutSecretValue(f.ctx, &in)
		return err
	}
	t.Run("have 1 to 65536 bytes", func(t *testing.T) {
		tooLong := strings.Repeat("ü", 32769)
		for _, in := range []secretsmanager.PutSecretValueInput{
			{SecretString: aws.String("")},
			{SecretString: &tooLong},
			{SecretBinary: []byte{}},
			{SecretBinary: make([]byte, 65537)},
		} {
			err := put(in)
			requireCode(t, err, "ValidationException", "1 validation error detected: Value at 'secret")
			require.NotContains(t, err.Error(), "ü")
		}
		require.NoError(t, put(secretsmanager.PutSecretValueInput{SecretString: aws.String(strings.Repeat("\x01", 65536))}))
		require.NoError(t, put(secretsmanager.PutSecretValueInput{SecretBinary: make([]byte, 65536)}))
	})
	t.Run("are text or bytes, not both and not none", func(t *testing.T) {
		requireCode(t, put(secretsmanager.PutSecretValueInput{SecretString: aws.String("x"), SecretBinary: []byte("x")}),
			"InvalidParameterException", "both")
		requireCode(t, put(secretsmanager.PutSecretValueInput{}),
			"InvalidRequestException", "You must provide either SecretString or SecretBinary.")
	})
}

func TestTokens(t *testing.T) {
	f := start(t)
	f.create("a", "x")
	for length, ok := range map[int]bool{31: false, 32: true, 64: true, 65: false} {
		_, err := f.PutSecretValue(f.ctx, &secretsmanager.PutSecretValueInput{
			SecretId: aws.String("a"), SecretString: aws.String("x"),
			ClientRequestToken: aws.String(strings.Repeat("t", length)),
		})
		if ok {
			require.NoError(t, err)
			continue
		}
		requireCode(t, err, "ValidationException", "'clientRequestToken' failed to satisfy constraint")
	}
	for _, op := range []string{"CreateSecret", "PutSecretValue", "UpdateSecret"} {
		body := `{"SecretId":"a","SecretString":"x"}`
		if op == "CreateSecret" {
			body = `{"Name":"b","SecretString":"x"}`
		}
		status, out := f.post(op, body, nil)
		require.Equal(t, 400, status)
		require.Equal(t, "InvalidRequestException", out["__type"])
		require.Equal(t, "You must provide a ClientRequestToken value. We recommend a UUID-type value.", out["Message"])
	}
}

func TestOtherLimits(t *testing.T) {
	f := start(t)
	f.create("a", "x")
	long := strings.Repeat("x", 2049)
	label := strings.Repeat("x", 257)
	_, err := f.put("a", "v2", "x", label)
	requireCode(t, err, "ValidationException", "versionStages")
	_, err = f.put("a", "v2", "x", strings.Split(strings.Repeat("x,", 20)+"x", ",")...)
	requireCode(t, err, "ValidationException", "versionStages")
	_, err = f.PutSecretValue(f.ctx, &secretsmanager.PutSecretValueInput{
		SecretId: aws.String("a"), SecretString: aws.String("x"), VersionStages: []string{},
	})
	requireCode(t, err, "ValidationException", "versionStages")
	_, err = f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{
		Name: aws.String("b"), Description: &long, KmsKeyId: &long,
	})
	requireCode(t, err, "ValidationException", "2 validation errors detected")
	_, err = f.UpdateSecret(f.ctx, &secretsmanager.UpdateSecretInput{SecretId: aws.String("a"), Description: &long})
	requireCode(t, err, "ValidationException", "description")
	_, err = f.GetSecretValue(f.ctx, &secretsmanager.GetSecretValueInput{
		SecretId: aws.String("a"), VersionId: aws.String("short"), VersionStage: &label,
	})
	requireCode(t, err, "ValidationException", "2 validation errors detected")
	_, err = f.get(long)
	requireCode(t, err, "ValidationException", "secretId")
}

func TestTags(t *testing.T) {
	tags := func(pairs ...string) (list []types.Tag) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
		}
		return list
	}
	add := func(f fixture, list []types.Tag) error {
		_, err := f.TagResource(f.ctx, &secretsmanager.TagResourceInput{SecretId: aws.String("a"), Tags: list})
		return err
	}
	t.Run("are added, overwritten and removed", func(t *testing.T) {
		f := start(t)
		f.create("a", "x")
		require.NoError(t, add(f, tags("k", "1", "l", "")))
		require.NoError(t, add(f, tags("k", "2")))
		require.Equal(t, map[string]string{"k": "2", "l": ""}, f.srv.Secrets()[0].Tags)
		out, err := f.describe("a")
		require.NoError(t, err)
		require.Equal(t, tags("k", "2", "l", ""), out.Tags)
		_, err = f.UntagResource(f.ctx, &secretsmanager.UntagResourceInput{
			SecretId: aws.String("a"), TagKeys: []string{"k", "absent"},
		})
		require.NoError(t, err)
		require.Equal(t, map[string]string{"l": ""}, f.srv.Secrets()[0].Tags)
	})
	t.Run("are at most 50, of limited length and not the service's own", func(t *testing.T) {
		f := start(t)
		f.create("a", "x")
		var many []string
		for i := range 51 {
			many = append(many, strings.Repeat("k", i+1), "v")
		}
		requireCode(t, add(f, tags(many...)), "InvalidParameterException", "50")
		require.NoError(t, add(f, tags(many[:100]...)))
		requireCode(t, add(f, tags("aws:x", "")), "InvalidParameterException", "aws:")
		_, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{Name: aws.String("b"), Tags: tags("AWS:x", "")})
		requireCode(t, err, "InvalidParameterException", "aws:")
		requireCode(t, add(f, tags("", "")), "ValidationException", "tags.key")
		requireCode(t, add(f, tags(strings.Repeat("k", 129), "")), "ValidationException", "tags.key")
		requireCode(t, add(f, tags("k", strings.Repeat("v", 257))), "ValidationException", "tags.value")
	})
}

func TestReplicas(t *testing.T) {
	f := start(t)
	out, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{
		Name: aws.String("a"), AddReplicaRegions: []types.ReplicaRegionType{{Region: aws.String("eu-west-1")}},
	})
	require.NoError(t, err)
	require.Equal(t, types.StatusTypeInProgress, out.ReplicationStatus[0].Status)
	_, err = f.ReplicateSecretToRegions(f.ctx, &secretsmanager.ReplicateSecretToRegionsInput{
		SecretId: aws.String("a"), AddReplicaRegions: []types.ReplicaRegionType{{Region: aws.String("eu-west-2")}},
	})
	require.NoError(t, err)
	described, err := f.describe("a")
	require.NoError(t, err)
	require.Len(t, described.ReplicationStatus, 2)
	require.Equal(t, types.StatusTypeInSync, described.ReplicationStatus[0].Status)
	require.Equal(t, "us-east-1", *described.PrimaryRegion)

	refusal := "You can't delete secret " + *out.ARN + " that still has replica regions [eu-west-1, eu-west-2]."
	requireCode(t, f.delete("a", 7), "InvalidParameterException", refusal)
	requireCode(t, f.forceDelete("a"), "InvalidParameterException", refusal)
	left, err := f.RemoveRegionsFromReplication(f.ctx, &secretsmanager.RemoveRegionsFromReplicationInput{
		SecretId: aws.String("a"), RemoveReplicaRegions: []string{"eu-west-1", "eu-west-2"},
	})
	require.NoError(t, err)
	require.Empty(t, left.ReplicationStatus)
	require.NoError(t, f.delete("a", 7))

	again := &secretsmanager.ReplicateSecretToRegionsInput{
		SecretId: aws.String("a"), AddReplicaRegions: []types.ReplicaRegionType{{Region: aws.String("eu-west-1")}},
	}
	_, err = f.ReplicateSecretToRegions(f.ctx, again)
	requireCode(t, err, "InvalidRequestException", marked)
}

func TestReplicas_refusals(t *testing.T) {
	f := start(t)
	f.create("a", "x")
	for region, code := range map[string]string{"us-east-1": "InvalidParameterException", "Europe": "ValidationException"} {
		regions := []types.ReplicaRegionType{{Region: &region, KmsKeyId: aws.String("alias/mine")}}
		_, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{
			Name: aws.String("b"), AddReplicaRegions: regions,
		})
		requireCode(t, err, code, "")
		_, err = f.ReplicateSecretToRegions(f.ctx, &secretsmanager.ReplicateSecretToRegionsInput{
			SecretId: aws.String("a"), AddReplicaRegions: regions,
		})
		requireCode(t, err, code, "")
	}
	_, err := f.RemoveRegionsFromReplication(f.ctx, &secretsmanager.RemoveRegionsFromReplicationInput{
		SecretId: aws.String("absent"), RemoveReplicaRegions: []string{"eu-west-1"},
	})
	requireCode(t, err, "ResourceNotFoundException", "")
	_, err = f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{
		Name: aws.String("b"), AddReplicaRegions: []types.ReplicaRegionType{},
	})
	requireCode(t, err, "ValidationException", "addReplicaRegions")
	require.Len(t, f.srv.Secrets(), 1)
}
