package awssmtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/awssm/awssmtest"
)

func TestVersionQuota(t *testing.T) {
	fill := func(f fixture) {
		f.create("a", "one")
		for i := range 99 {
			f.mustPut("a", fmt.Sprintf("n%d", i), "x")
		}
	}
	t.Run("refuses the 101st version of a day, and creates none", func(t *testing.T) {
		f := start(t)
		fill(f)
		_, err := f.put("a", "over", "x")
		var limit *types.LimitExceededException
		require.ErrorAs(t, err, &limit)
		_, err = f.UpdateSecret(f.ctx, &secretsmanager.UpdateSecretInput{
			SecretId: aws.String("a"), SecretString: aws.String("x"),
		})
		requireCode(t, err, "LimitExceededException", "quotas")
		require.Len(t, f.srv.Secrets()[0].Versions, 100)
		_, err = f.put("a", "n5", "x")
		require.NoError(t, err, "a repeated write makes no version")
	})
	t.Run("removes the oldest versions without a label once they are a day old", func(t *testing.T) {
		f := start(t)
		fill(f)
		f.srv.Advance(day + time.Minute)
		f.mustPut("a", "over", "x")
		versions := f.srv.Secrets()[0].Versions
		require.Len(t, versions, 100)
		require.Equal(t, token("n0"), versions[0].ID)
		_, err := f.GetSecretValue(f.ctx, &secretsmanager.GetSecretValueInput{
			SecretId: aws.String("a"), VersionId: aws.String(token("v1")),
		})
		requireCode(t, err, "ResourceNotFoundException", "for VersionId: "+token("v1"))
	})
	t.Run("spares old versions with a label", func(t *testing.T) {
		f := start(t)
		f.create("a", "one")
		f.mustPut("a", "keep", "x", "label")
		for i := range 98 {
			f.mustPut("a", fmt.Sprintf("n%d", i), "x")
		}
		f.srv.Advance(day + time.Minute)
		f.mustPut("a", "w1", "x")
		f.mustPut("a", "w2", "x")
		require.Equal(t, token("keep"), f.srv.Secrets()[0].Versions[0].ID)
	})
	t.Run("can be changed and taken away", func(t *testing.T) {
		f := start(t, awssmtest.WithVersionQuota(2))
		f.create("a", "one")
		f.mustPut("a", "v2", "x")
		_, err := f.put("a", "v3", "x")
		requireCode(t, err, "LimitExceededException", "")
		f = start(t, awssmtest.WithVersionQuota(0))
		fill(f)
		f.mustPut("a", "over", "x")
	})
}
