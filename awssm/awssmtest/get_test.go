package awssmtest_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/awssm/awssmtest"
)

func TestGetSecretValue(t *testing.T) {
	f := start(t)
	arn := f.create("a", "one")
	f.mustPut("a", "v2", "two")
	f.mustPut("a", "v3", "three")
	get := func(version, stage *string) (*secretsmanager.GetSecretValueOutput, error) {
		return f.GetSecretValue(f.ctx, &secretsmanager.GetSecretValueInput{
			SecretId: &arn, VersionId: version, VersionStage: stage,
		})
	}
	t.Run("finds a version by its label", func(t *testing.T) {
		out, err := get(nil, aws.String(previous))
		require.NoError(t, err)
		require.Equal(t, "two", *out.SecretString)
		_, err = get(nil, aws.String("none"))
		requireCode(t, err, "ResourceNotFoundException", "for staging label: none")
	})
	t.Run("finds a version by its id, labelled or not", func(t *testing.T) {
		out, err := get(aws.String(token("v1")), nil)
		require.NoError(t, err)
		require.Equal(t, "one", *out.SecretString)
		require.Empty(t, out.VersionStages)
		_, err = get(aws.String(token("v9")), nil)
		requireCode(t, err, "ResourceNotFoundException",
			"Secrets Manager can't find the specified secret value for VersionId: "+token("v9"))
	})
	t.Run("wants id and label to agree", func(t *testing.T) {
		out, err := get(aws.String(token("v3")), aws.String(current))
		require.NoError(t, err)
		require.Equal(t, "three", *out.SecretString)
		_, err = get(aws.String(token("v1")), aws.String(current))
		requireCode(t, err, "InvalidRequestException",
			"You provided a VersionStage that is not associated to the provided VersionId.")
	})
	t.Run("notes the day of the read", func(t *testing.T) {
		out, err := f.describe("a")
		require.NoError(t, err)
		require.True(t, f.srv.Now().UTC().Truncate(day).Equal(*out.LastAccessedDate))
	})
}

func TestStaleReads(t *testing.T) {
	f := start(t, awssmtest.WithStaleReads(time.Hour))
	f.create("a", "one")
	require.Equal(t, "one", *f.mustGet("a").SecretString, "a new secret is there at once")
	f.srv.Advance(2 * time.Hour)
	f.mustPut("a", "v2", "two")

	out := f.mustGet("a")
	require.Equal(t, "one", *out.SecretString)
	require.Equal(t, []string{current}, out.VersionStages)
	fresh, err := f.GetSecretValue(f.ctx, &secretsmanager.GetSecretValueInput{
		SecretId: aws.String("a"), VersionId: aws.String(token("v2")),
	})
	require.NoError(t, err)
	require.Equal(t, "two", *fresh.SecretString)

	f.srv.Advance(40 * time.Minute)
	f.mustPut("a", "v3", "three")
	require.Equal(t, "one", *f.mustGet("a").SecretString)
	f.srv.Advance(40 * time.Minute)
	require.Equal(t, "two", *f.mustGet("a").SecretString)
	f.srv.Advance(40 * time.Minute)
	require.Equal(t, "three", *f.mustGet("a").SecretString)
}

func TestStaleVersions(t *testing.T) {
	f := start(t, awssmtest.WithStaleReads(time.Hour), awssmtest.WithStaleVersions(time.Minute))
	byID := func(word string) (*secretsmanager.GetSecretValueOutput, error) {
		return f.GetSecretValue(f.ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("a"), VersionId: aws.String(token(word))})
	}
	f.create("a", "one")
	_, err := byID("v1")
	require.NoError(t, err, "a new secret is there at once")
	f.srv.Advance(2 * time.Hour)
	f.mustPut("a", "v2", "two")
	f.srv.Advance(2 * time.Minute)
	f.mustPut("a", "v3", "three")

	_, err = byID("v3")
	requireCode(t, err, "ResourceNotFoundException", "for VersionId: "+token("v3"))
	out, err := byID("v2")
	require.NoError(t, err)
	require.Empty(t, out.VersionStages, "the labels lag behind further")
	out, err = byID("v1")
	require.NoError(t, err)
	require.Equal(t, []string{current}, out.VersionStages)
	require.Equal(t, map[string][]string{"v1": {current}}, f.stages("a"))

	f.srv.Advance(59 * time.Minute)
	out, err = byID("v3")
	require.NoError(t, err)
	require.Empty(t, out.VersionStages)
	require.Equal(t, map[string][]string{"v1": {previous}, "v2": {current}}, f.stages("a"))
	f.srv.Advance(2 * time.Minute)
	require.Equal(t, map[string][]string{"v2": {previous}, "v3": {current}}, f.stages("a"))
}
