//go:build go1.25

package awssm

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/testserver"
)

func TestSaveToken_duringARecoveryWindowSaysInTheEndThatDescribeSecretIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := deletedByTheConsole(t, awssmtest.WithoutSocket())
		f.srv.Inject(testserver.Fault{Op: "DescribeSecret", Kind: testserver.Deny, Times: -1})
		token, begin := again, time.Now()
		err := f.store().SaveToken(f.ctx, &token)
		enginetest.RequireClass(t, err, oauthstore.ErrUnavailable)
		require.ErrorContains(t, err, "not authorized to perform: secretsmanager:DescribeSecret")
		require.Less(t, time.Since(begin), 3*time.Minute)
		require.False(t, f.secret(alice).DeletionDate.IsZero())
		require.Empty(t, f.ids(f.store()))
	})
}

func TestSaveToken_rightAfterADeleteGoesThroughWhateverTheServiceCallsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, awssmtest.WithoutSocket(), awssmtest.WithDeletionDelay(30*time.Second))
		s := f.store()
		f.save(s, old)
		require.NoError(t, s.DeleteToken(f.ctx, "alice"))
		f.srv.Inject(testserver.Fault{Op: "DescribeSecret", Kind: testserver.Deny, Times: -1})
		f.save(s, again)
		require.Greater(t, f.srv.Count("CreateSecret"), 10, "the name was not blocked: this test shows nothing")
		requireToken(t, again, f.find(s, "alice"))
	})
}
