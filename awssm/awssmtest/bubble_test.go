//go:build go1.25

package awssmtest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/testserver"
)

func TestWithoutSocket(t *testing.T) {
	bubble := func(t *testing.T, test func(f fixture)) {
		synctest.Test(t, func(t *testing.T) { test(start(t, awssmtest.WithoutSocket())) })
	}
	bubble(t, func(f fixture) {
		f.create("a", "one")
		f.srv.SetLatency(time.Hour)
		begin := time.Now()
		require.Equal(t, "one", *f.mustGet("a").SecretString)
		require.Equal(t, time.Hour, time.Since(begin))
		require.Equal(t, begin, f.srv.Requests()[1].Time)
		_, err := f.get("b")
		requireCode(t, err, "ResourceNotFoundException", "")
	})
	for _, kind := range []testserver.Kind{testserver.DropAfter, testserver.HangAfter} {
		bubble(t, func(f fixture) {
			f.create("a", "one")
			f.srv.Inject(testserver.Fault{Kind: kind, Op: "PutSecretValue"})
			ctx, cancel := context.WithTimeout(f.ctx, time.Minute)
			defer cancel()
			_, err := f.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
				SecretId: aws.String("a"), SecretString: aws.String("two"),
			})
			var answer smithy.APIError
			require.Error(t, err)
			require.False(t, errors.As(err, &answer))
			require.Equal(t, "two", *f.mustGet("a").SecretString)
		})
	}
}
