package awssm

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/testserver"
)

// byID lets fail read versions by id in place of the client.
func byID(c Client, fail func() error) *meddler {
	return &meddler{Client: c, get: func(in *sm.GetSecretValueInput, call func() (*sm.GetSecretValueOutput, error)) (*sm.GetSecretValueOutput, error) {
		if in.VersionId != nil {
			return nil, fail()
		}
		return call()
	}}
}

// After a refused write a store looks for the version that came before it. If it cannot read that, it must not
// conclude that the secret is gone, or was never written.
func TestGet_afterARefusalThatCannotReadTheNextVersionIsAnErrorAndNoAbsence(t *testing.T) {
	for kind, class := range map[testserver.Kind]error{
		testserver.Throttle: oauthstore.ErrThrottled, testserver.FailBefore: oauthstore.ErrUnavailable, testserver.Deny: oauthstore.ErrAccessDenied,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			f := start(t)
			base := f.put(f.driver(), engine.None, "one")
			f.put(f.driver(), base, "two")
			d := f.driverOver(&meddler{Client: f.Client, get: func(in *sm.GetSecretValueInput, call func() (*sm.GetSecretValueOutput, error)) (*sm.GetSecretValueOutput, error) {
				if in.VersionId != nil {
					f.srv.Inject(testserver.Fault{Op: "GetSecretValue", Kind: kind, Times: -1})
					return call()
				}
				return f.GetSecretValue(f.ctx, &sm.GetSecretValueInput{SecretId: in.SecretId, VersionId: aws.String(revision(base).version)})
			}})
			_, rev, err := d.Get(f.ctx, "token_a", base)
			enginetest.RequireClass(t, err, class)
			require.Equal(t, engine.None, rev)
		})
	}
}

// An InvalidRequestException has several reasons.
func TestGet_afterARefusalTakesASecretForGoneOnlyIfTheServiceSaysSo(t *testing.T) {
	f := start(t)
	base := f.put(f.driver(), engine.None, "one")
	for text, gone := range map[string]bool{
		"You can't perform this operation on the secret because it was marked for deletion.": true,
		"You can't perform this operation on the secret because it was deleted.":             true,
		"You provided a VersionStage that is not associated to the provided VersionId.":      false,
	} {
		_, rev, err := f.driverOver(byID(f.Client, func() error { return invalid(text) })).Get(f.ctx, "token_a", base)
		if gone {
			require.NoError(t, err, text)
			require.Equal(t, notThere, rev, text)
			continue
		}
		require.Error(t, err, text)
		require.Equal(t, engine.None, rev, text)
	}
}
