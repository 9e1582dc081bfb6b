package awssmtest_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/awssm/awssmtest"
)

func TestDeleteSecret_withRecoveryWindow(t *testing.T) {
	t.Run("refuses everything but a description meanwhile", func(t *testing.T) {
		f := start(t)
		f.create("a", "one")
		require.NoError(t, f.delete("a", 0))
		refused := map[string]func() error{
			"get":    func() error { _, err := f.get("a"); return err },
			"put":    func() error { _, err := f.put("a", "v2", "two"); return err },
			"stage":  func() error { return f.move("label", "v1", "") },
			"delete": func() error { return f.delete("a", 0) },
			"update": func() error {
				_, err := f.UpdateSecret(f.ctx, &secretsmanager.UpdateSecretInput{SecretId: aws.String("a")})
				return err
			},
			"tag": func() error {
				_, err := f.TagResource(f.ctx, &secretsmanager.TagResourceInput{SecretId: aws.String("a"), Tags: []types.Tag{}})
				return err
			},
			"untag": func() error {
				_, err := f.UntagResource(f.ctx, &secretsmanager.UntagResourceInput{
					SecretId: aws.String("a"), TagKeys: []string{"k"},
				})
				return err
			},
		}
		for name, call := range refused {
			err := call()
			var invalid *types.InvalidRequestException
			require.ErrorAs(t, err, &invalid, name)
			require.Equal(t, marked, invalid.ErrorMessage(), name)
		}
		for range 2 {
			_, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{
				Name: aws.String("a"), SecretString: aws.String("one"), ClientRequestToken: aws.String(token("v1")),
			})
			requireCode(t, err, "InvalidRequestException", scheduled)
		}
		out, err := f.describe("a")
		require.NoError(t, err)
		require.WithinDuration(t, f.srv.Now().Add(30*day), *out.DeletedDate, time.Minute)
	})
}

func TestDeleteSecret_windowEnds(t *testing.T) {
	t.Run("can be undone by RestoreSecret", func(t *testing.T) {
		f := start(t)
		arn := f.create("a", "one")
		require.NoError(t, f.delete("a", 7))
		f.srv.Advance(6 * day)
		_, err := f.RestoreSecret(f.ctx, &secretsmanager.RestoreSecretInput{SecretId: &arn})
		require.NoError(t, err)
		require.Equal(t, "one", *f.mustGet("a").SecretString)
		f.srv.Advance(30 * day)
		require.Equal(t, arn, *f.mustGet("a").ARN)
		_, err = f.RestoreSecret(f.ctx, &secretsmanager.RestoreSecretInput{SecretId: aws.String("absent")})
		requireCode(t, err, "ResourceNotFoundException", "")
	})
	t.Run("ends with the window, and frees the name for a secret of another ARN", func(t *testing.T) {
		f := start(t)
		old := f.create("a", "one")
		require.NoError(t, f.delete("a", 7))
		require.False(t, f.srv.Secrets()[0].DeletionDate.IsZero())
		f.srv.Advance(7 * day)
		_, err := f.describe("a")
		requireCode(t, err, "ResourceNotFoundException", "")
		require.Empty(t, f.srv.Secrets())
		require.NotEqual(t, old, f.create("a", "two"))
		_, err = f.put(old, "v2", "late")
		requireCode(t, err, "ResourceNotFoundException", "")
	})
	t.Run("takes 7 to 30 days, and not together with force", func(t *testing.T) {
		f := start(t)
		f.create("a", "one")
		for _, days := range []int64{6, 31} {
			err := f.delete("a", days)
			var invalid *types.InvalidParameterException
			require.ErrorAs(t, err, &invalid)
		}
		_, err := f.DeleteSecret(f.ctx, &secretsmanager.DeleteSecretInput{
			SecretId: aws.String("a"), RecoveryWindowInDays: aws.Int64(7), ForceDeleteWithoutRecovery: aws.Bool(true),
		})
		requireCode(t, err, "InvalidParameterException", "in conjunction with")
		requireCode(t, f.delete("absent", 7), "ResourceNotFoundException", "")
		requireCode(t, f.delete("not a name", 7), "ValidationException", "Invalid name.")
	})
}

func TestDeleteSecret_forced(t *testing.T) {
	t.Run("blocks the name for a while", func(t *testing.T) {
		f := start(t, awssmtest.WithDeletionDelay(time.Hour))
		f.create("a", "one")
		require.NoError(t, f.forceDelete("a"))
		require.NoError(t, f.forceDelete("a"), "again")
		require.Empty(t, f.srv.Secrets())
		for _, text := range []string{scheduled, gone, scheduled} {
			_, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{Name: aws.String("a")})
			requireCode(t, err, "InvalidRequestException", text)
		}
		_, err := f.get("a")
		requireCode(t, err, "InvalidRequestException", gone)
		_, err = f.RestoreSecret(f.ctx, &secretsmanager.RestoreSecretInput{SecretId: aws.String("a")})
		requireCode(t, err, "InvalidRequestException", gone)
		out, err := f.describe("a")
		require.NoError(t, err)
		require.NotNil(t, out.DeletedDate)

		f.srv.Advance(time.Hour)
		_, err = f.get("a")
		requireCode(t, err, "ResourceNotFoundException", "")
		f.create("a", "two")
	})
	t.Run("takes a moment by default", func(t *testing.T) {
		f := start(t)
		f.create("a", "one")
		require.NoError(t, f.forceDelete("a"))
		_, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{Name: aws.String("a")})
		requireCode(t, err, "InvalidRequestException", scheduled)
		require.Eventually(t, func() bool {
			_, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{Name: aws.String("a")})
			return err == nil
		}, 5*time.Second, 20*time.Millisecond)
	})
	t.Run("can be immediate", func(t *testing.T) {
		f := start(t, awssmtest.WithDeletionDelay(0))
		f.create("a", "one")
		require.NoError(t, f.forceDelete("a"))
		f.create("a", "two")
	})
	t.Run("succeeds for what is absent or scheduled for deletion", func(t *testing.T) {
		f := start(t, awssmtest.WithDeletionDelay(0))
		require.NoError(t, f.forceDelete("absent"))
		f.create("a", "one")
		require.NoError(t, f.delete("a", 30))
		require.NoError(t, f.forceDelete("a"))
		f.create("a", "two")
	})
}

func TestPartialARN(t *testing.T) {
	f := start(t)
	partial := func(arn string) string { return arn[:len(arn)-7] }
	plain, trap := f.create("plain", "one"), f.create("trap-abc123", "two")
	f.create("trap", "three")
	for _, id := range []string{"plain", plain, partial(plain), "trap-abc123", trap} {
		_, err := f.get(id)
		require.NoError(t, err, id)
	}
	foreign := "arn:aws:secretsmanager:eu-west-1:123456789012:secret:plain-abcdef"
	for _, id := range []string{partial(trap), plain[:len(plain)-1] + "!", foreign, "Plain"} {
		_, err := f.get(id)
		requireCode(t, err, "ResourceNotFoundException", "can't find the specified secret.")
	}
}
