package awssmtest_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"
)

func (f fixture) batch(in secretsmanager.BatchGetSecretValueInput) (*secretsmanager.BatchGetSecretValueOutput, error) {
	return f.BatchGetSecretValue(f.ctx, &in)
}

func TestBatchGetSecretValue(t *testing.T) {
	f := start(t)
	arn := f.create("a", "one")
	f.create("b", "two")
	f.create("deleted", "x")
	require.NoError(t, f.delete("deleted", 7))
	t.Run("reads values, with an entry in Errors for each that fails", func(t *testing.T) {
		out, err := f.batch(secretsmanager.BatchGetSecretValueInput{SecretIdList: []string{arn, "b", "absent", "deleted"}})
		require.NoError(t, err)
		values := make(map[string]string)
		for _, v := range out.SecretValues {
			require.Equal(t, []string{current}, v.VersionStages)
			require.Equal(t, token("v1"), *v.VersionId)
			values[*v.Name] = *v.SecretString
		}
		require.Equal(t, map[string]string{"a": "one", "b": "two"}, values)
		failed := make(map[string]string)
		for _, e := range out.Errors {
			failed[*e.SecretId] = *e.ErrorCode + ": " + *e.Message
		}
		require.Equal(t, map[string]string{
			"absent":  "ResourceNotFoundException: Secrets Manager can't find the specified secret.",
			"deleted": "InvalidRequestException: " + marked,
		}, failed)
	})
	t.Run("keeps no order", func(t *testing.T) {
		first := make(map[string]bool)
		for range 100 {
			out, err := f.batch(secretsmanager.BatchGetSecretValueInput{SecretIdList: []string{"a", "b"}})
			require.NoError(t, err)
			first[*out.SecretValues[0].Name] = true
		}
		require.Len(t, first, 2)
	})
	t.Run("wants either ids or filters, and pages only with filters", func(t *testing.T) {
		for _, in := range []secretsmanager.BatchGetSecretValueInput{
			{},
			{SecretIdList: []string{"a"}, Filters: filters("name", "a")},
			{SecretIdList: []string{"a"}, MaxResults: aws.Int32(1)},
		} {
			_, err := f.batch(in)
			requireCode(t, err, "InvalidParameterException", "")
		}
	})
	t.Run("takes 1 to 20 ids and 1 to 20 results", func(t *testing.T) {
		for _, in := range []secretsmanager.BatchGetSecretValueInput{
			{SecretIdList: []string{}},
			{SecretIdList: make([]string, 21)},
			{Filters: filters("name", "a"), MaxResults: aws.Int32(21)},
			{Filters: filters("name", "a"), MaxResults: aws.Int32(0)},
		} {
			_, err := f.batch(in)
			requireCode(t, err, "ValidationException", "")
		}
	})
}

func TestBatchGetSecretValue_filters(t *testing.T) {
	f := start(t)
	f.create("a", "one")
	f.create("b", "two")
	t.Run("pages through what the filters choose, with empty pages on the way", func(t *testing.T) {
		for i := range 3 {
			f.create(fmt.Sprintf("p/%d", i), "p")
		}
		names, pages := make(map[string]bool), 0
		p := secretsmanager.NewBatchGetSecretValuePaginator(f, &secretsmanager.BatchGetSecretValueInput{
			Filters: filters("name", "p/"), MaxResults: aws.Int32(1),
		})
		for ; p.HasMorePages(); pages++ {
			out, err := p.NextPage(f.ctx)
			require.NoError(t, err)
			for _, v := range out.SecretValues {
				names[*v.Name] = true
			}
		}
		require.Equal(t, map[string]bool{"p/0": true, "p/1": true, "p/2": true}, names)
		require.Equal(t, 5, pages)
	})
	t.Run("refuses a token of another list", func(t *testing.T) {
		out, err := f.ListSecrets(f.ctx, &secretsmanager.ListSecretsInput{MaxResults: aws.Int32(1)})
		require.NoError(t, err)
		_, err = f.batch(secretsmanager.BatchGetSecretValueInput{
			Filters: filters("name", "a"), NextToken: out.NextToken,
		})
		requireCode(t, err, "InvalidNextTokenException", "")
	})
}
