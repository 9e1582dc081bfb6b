package awssm

import (
	"fmt"
	"testing"
	"time"

	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/testserver"
)

// What a store remembers of its own writes hides nothing that others do.

func TestSightings_showWhatAnotherProcessHasWritten(t *testing.T) {
	f := start(t)
	one, other := f.store(), f.store()
	f.save(one, oauthstore.OAuthToken{ID: "a", AccessToken: "first"})
	for writes, calls := range []int{1, 1, 1, 1, 2, 2, 2} { // a record knows of the three writes before it
		for i := range writes {
			f.save(other, oauthstore.OAuthToken{ID: "a", AccessToken: fmt.Sprint("write ", i, " of ", writes)})
		}
		want := f.find(f.store(), "a").AccessToken
		f.srv.ResetRequests()
		require.Equal(t, want, f.find(one, "a").AccessToken)
		require.Equal(t, calls, f.srv.Count("GetSecretValue"), "after %d writes of another", writes)
	}
}

func TestSightings_showWhatAnotherProcessHasDeleted(t *testing.T) {
	f := start(t)
	one, other := f.store(), f.store()
	f.save(one, oauthstore.OAuthToken{ID: "a", AccessToken: "first"})
	require.NoError(t, other.DeleteToken(f.ctx, "a"))
	f.requireNone(one, "a")
	f.srv.Advance(time.Second)
	f.requireNone(one, "a")
	f.save(other, oauthstore.OAuthToken{ID: "a", AccessToken: "second"})
	require.Equal(t, "second", f.find(one, "a").AccessToken)
	require.NoError(t, one.DeleteToken(f.ctx, "a"))
	f.srv.Advance(time.Second)
	f.save(other, oauthstore.OAuthToken{ID: "a", AccessToken: "third"})
	require.Equal(t, "third", f.find(one, "a").AccessToken)
}

func TestSightings_showWhatWasRestoredByHand(t *testing.T) {
	f := start(t)
	s := f.store()
	f.save(s, oauthstore.OAuthToken{ID: "a", AccessToken: "first"})
	f.remove(secretA)
	f.requireNone(s, "a")
	name := secretA
	_, err := f.RestoreSecret(f.ctx, &sm.RestoreSecretInput{SecretId: &name})
	require.NoError(t, err)
	require.Equal(t, "first", f.find(s, "a").AccessToken)
}

// The read by version id may fail. Then the store returns neither an older state nor an absence.
func TestSightings_anErrorIsNoState(t *testing.T) {
	f := start(t)
	one, other := f.store(), f.store()
	f.save(one, oauthstore.OAuthToken{ID: "a", AccessToken: "first"})
	require.NoError(t, other.DeleteToken(f.ctx, "a"))
	f.srv.Advance(time.Second)
	f.srv.Inject(testserver.Fault{Op: "GetSecretValue", Kind: testserver.Throttle, Skip: 1})
	_, err := one.FindTokenByID(f.ctx, "a")
	require.ErrorIs(t, err, oauthstore.ErrThrottled)
	f.requireNone(one, "a")
}
