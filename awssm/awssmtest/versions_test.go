package awssmtest_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/stretchr/testify/require"
)

func TestCreateSecret(t *testing.T) {
	t.Run("makes a version with the token as its id and the label AWSCURRENT", func(t *testing.T) {
		f := start(t)
		arn := f.create("a/b", "one")
		require.Regexp(t, `^arn:aws:secretsmanager:us-east-1:123456789012:secret:a/b-[A-Za-z0-9]{6}$`, arn)
		out := f.mustGet("a/b")
		require.Equal(t, "one", *out.SecretString)
		require.Nil(t, out.SecretBinary)
		require.Equal(t, token("v1"), *out.VersionId)
		require.Equal(t, []string{current}, out.VersionStages)
		require.Equal(t, arn, *out.ARN)
		require.WithinDuration(t, f.srv.Now(), *out.CreatedDate, time.Minute)
	})
	t.Run("keeps bytes as bytes", func(t *testing.T) {
		f := start(t)
		_, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{
			Name: aws.String("bin"), SecretBinary: []byte{0, 255},
		})
		require.NoError(t, err)
		out := f.mustGet("bin")
		require.Equal(t, []byte{0, 255}, out.SecretBinary)
		require.Nil(t, out.SecretString)
	})
	t.Run("makes a secret without a version where no value is given", func(t *testing.T) {
		f := start(t)
		out, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{Name: aws.String("empty")})
		require.NoError(t, err)
		require.Nil(t, out.VersionId)
		_, err = f.get("empty")
		requireCode(t, err, "ResourceNotFoundException",
			"Secrets Manager can't find the specified secret value for staging label: AWSCURRENT")
		require.Empty(t, f.stages("empty"))
	})
}

func TestCreateSecret_nameTaken(t *testing.T) {
	t.Run("refuses a name that is taken", func(t *testing.T) {
		f := start(t)
		f.create("a", "one")
		_, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{
			Name: aws.String("a"), SecretString: aws.String("one"),
		})
		var exists *types.ResourceExistsException
		require.ErrorAs(t, err, &exists)
		require.Equal(t, "The operation failed because the secret a already exists.", exists.ErrorMessage())
	})
	t.Run("repeats its answer for the same token and content only", func(t *testing.T) {
		f := start(t)
		arn := f.create("a", "one")
		require.Equal(t, arn, f.create("a", "one"))
		_, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{
			Name: aws.String("a"), SecretString: aws.String("two"), ClientRequestToken: aws.String(token("v1")),
		})
		requireCode(t, err, "ResourceExistsException", "already exists")
		require.Len(t, f.srv.Secrets()[0].Versions, 1)
	})
	t.Run("lets one of many win", func(t *testing.T) {
		f := start(t)
		var group sync.WaitGroup
		var won atomic.Int32
		for range 8 {
			group.Add(1)
			go func() {
				defer group.Done()
				_, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{
					Name: aws.String("race"), SecretString: aws.String("x"),
				})
				if err == nil {
					won.Add(1)
				}
			}()
		}
		group.Wait()
		require.EqualValues(t, 1, won.Load())
	})
}

func TestPutSecretValue(t *testing.T) {
	t.Run("moves AWSCURRENT to the new version and AWSPREVIOUS to the one before", func(t *testing.T) {
		f := start(t)
		f.create("a", "one")
		f.mustPut("a", "v2", "two")
		require.Equal(t, map[string][]string{"v1": {previous}, "v2": {current}}, f.stages("a"))
		f.mustPut("a", "v3", "three")
		require.Equal(t, map[string][]string{"v2": {previous}, "v3": {current}}, f.stages("a"))
		require.Equal(t, "three", *f.mustGet("a").SecretString)
	})
	t.Run("does nothing for a token that is a version of the same content", func(t *testing.T) {
		f := start(t)
		f.create("a", "one")
		f.mustPut("a", "v2", "two")
		f.mustPut("a", "v3", "three")
		before := f.srv.Secrets()
		out, err := f.put("a", "v2", "two")
		require.NoError(t, err)
		require.Equal(t, token("v2"), *out.VersionId)
		require.Equal(t, []string{previous}, out.VersionStages)
		require.Equal(t, before, f.srv.Secrets())
	})
	t.Run("refuses a token that is a version of other content", func(t *testing.T) {
		f := start(t)
		arn := f.create("a", "one")
		_, err := f.put("a", "v1", "other")
		var exists *types.ResourceExistsException
		require.ErrorAs(t, err, &exists)
		require.Equal(t, "You can't use ClientRequestToken "+token("v1")+
			" because that value is already in use for a version of secret "+arn+".", exists.ErrorMessage())
		_, err = f.PutSecretValue(f.ctx, &secretsmanager.PutSecretValueInput{
			SecretId: aws.String("a"), SecretBinary: []byte("one"), ClientRequestToken: aws.String(token("v1")),
		})
		requireCode(t, err, "ResourceExistsException", "already in use")
		require.Len(t, f.srv.Secrets()[0].Versions, 1)
	})
	t.Run("refuses an absent secret", func(t *testing.T) {
		f := start(t)
		_, err := f.put("a", "v1", "one")
		var absent *types.ResourceNotFoundException
		require.ErrorAs(t, err, &absent)
		require.Equal(t, "Secrets Manager can't find the specified secret.", absent.ErrorMessage())
	})
}

func TestPutSecretValue_letsOneOfManyWithTheSameTokenWin(t *testing.T) {
	f := start(t)
	f.create("a", "one")
	var group sync.WaitGroup
	var won atomic.Int32
	for i := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			if _, err := f.put("a", "v2", fmt.Sprint(i)); err == nil {
				won.Add(1)
			}
		}()
	}
	group.Wait()
	require.EqualValues(t, 1, won.Load())
}

func TestPutSecretValue_labels(t *testing.T) {
	t.Run("attaches only the labels that it is given", func(t *testing.T) {
		f := start(t)
		f.create("a", "one")
		f.mustPut("a", "v2", "two", "next", "also")
		require.Equal(t, map[string][]string{"v1": {current}, "v2": {"also", "next"}}, f.stages("a"))
		f.mustPut("a", "v3", "three", "next", "also")
		require.Equal(t, map[string][]string{"v1": {current}, "v3": {"also", "next"}}, f.stages("a"))
	})
	t.Run("makes the first version AWSCURRENT whatever its labels", func(t *testing.T) {
		f := start(t)
		_, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{Name: aws.String("a")})
		require.NoError(t, err)
		f.mustPut("a", "v1", "one", "first")
		require.Equal(t, map[string][]string{"v1": {current, "first"}}, f.stages("a"))
	})
}

func TestUpdateSecret(t *testing.T) {
	update := func(f fixture, in secretsmanager.UpdateSecretInput) (*secretsmanager.UpdateSecretOutput, error) {
		in.SecretId = aws.String("a")
		return f.UpdateSecret(f.ctx, &in)
	}
	t.Run("changes description and key without a new version", func(t *testing.T) {
		f := start(t)
		f.create("a", "one")
		out, err := update(f, secretsmanager.UpdateSecretInput{
			Description: aws.String("hello"), KmsKeyId: aws.String("alias/mine"),
		})
		require.NoError(t, err)
		require.Nil(t, out.VersionId)
		got, err := f.describe("a")
		require.NoError(t, err)
		require.Equal(t, "hello", *got.Description)
		require.Equal(t, "alias/mine", *got.KmsKeyId)
		for _, managed := range []string{"", "alias/aws/secretsmanager"} {
			_, err = update(f, secretsmanager.UpdateSecretInput{KmsKeyId: &managed})
			require.NoError(t, err)
			got, err = f.describe("a")
			require.NoError(t, err)
			require.Nil(t, got.KmsKeyId)
		}
	})
	t.Run("makes a new current version of a value", func(t *testing.T) {
		f := start(t)
		f.create("a", "one")
		out, err := update(f, secretsmanager.UpdateSecretInput{
			SecretString: aws.String("two"), ClientRequestToken: aws.String(token("v2")),
		})
		require.NoError(t, err)
		require.Equal(t, token("v2"), *out.VersionId)
		require.Equal(t, map[string][]string{"v1": {previous}, "v2": {current}}, f.stages("a"))
	})
	t.Run("refuses a token that is a version, even of the same content", func(t *testing.T) {
		f := start(t)
		f.create("a", "one")
		_, err := update(f, secretsmanager.UpdateSecretInput{
			SecretString: aws.String("one"), ClientRequestToken: aws.String(token("v1")),
		})
		requireCode(t, err, "ResourceExistsException", "already in use")
	})
}

func TestListSecretVersionIds(t *testing.T) {
	f := start(t)
	f.create("a", "one")
	for i := range 4 {
		f.mustPut("a", fmt.Sprintf("n%d", i), "x")
	}
	list := func(deprecated bool, size int32) (ids []string) {
		p := secretsmanager.NewListSecretVersionIdsPaginator(f, &secretsmanager.ListSecretVersionIdsInput{
			SecretId: aws.String("a"), IncludeDeprecated: &deprecated, MaxResults: &size,
		})
		for p.HasMorePages() {
			out, err := p.NextPage(f.ctx)
			require.NoError(t, err)
			require.LessOrEqual(t, len(out.Versions), int(size))
			for _, v := range out.Versions {
				require.Equal(t, []string{"DefaultEncryptionKey"}, v.KmsKeyIds)
				ids = append(ids, strings.TrimLeft(*v.VersionId, "-"))
			}
		}
		return ids
	}
	require.Equal(t, []string{"n2", "n3"}, list(false, 1), "versions without a label are left out")
	require.Equal(t, []string{"v1", "n0", "n1", "n2", "n3"}, list(true, 2))
	require.NoError(t, f.delete("a", 7))
	require.Equal(t, []string{"n2", "n3"}, list(false, 100), "also while it waits for deletion")
	_, err := f.ListSecretVersionIds(f.ctx, &secretsmanager.ListSecretVersionIdsInput{SecretId: aws.String("absent")})
	requireCode(t, err, "ResourceNotFoundException", "")
}
