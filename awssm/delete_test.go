package awssm

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/testserver"
)

const (
	alice = "oauthstore/token_alice"
	day   = 24 * time.Hour
)

func TestDeleteToken_removesTheSecretWithAllItsVersionsAtOnce(t *testing.T) {
	f := start(t, awssmtest.WithDeletionDelay(0))
	s := f.store()
	f.save(s, oauthstore.OAuthToken{ID: "alice", AccessToken: "a"})
	f.save(s, oauthstore.OAuthToken{ID: "alice", AccessToken: "b"})
	require.NoError(t, s.DeleteToken(f.ctx, "alice"))
	require.Nil(t, f.secret(alice), "the secret must not even wait in a recovery window")
	f.requireNone(s, "alice")
	require.Empty(t, f.ids(s))
}

func TestDeleteToken_ofAnAbsentTokenIsErrTokenNotFound(t *testing.T) {
	t.Run("never saved", func(t *testing.T) {
		f := start(t)
		require.ErrorIs(t, f.store().DeleteToken(f.ctx, "alice"), oauthstore.ErrTokenNotFound)
		require.Zero(t, f.srv.Count("DeleteSecret"), "DeleteSecret with force succeeds on what is not there: it must not be asked")
	})
	t.Run("deleted just before", func(t *testing.T) {
		for _, window := range []int{0, 7} {
			f := start(t, awssmtest.WithDeletionDelay(time.Hour))
			s := f.store(WithRecoveryWindow(window))
			f.save(s, oauthstore.OAuthToken{ID: "alice", AccessToken: "a"})
			require.NoError(t, s.DeleteToken(f.ctx, "alice"))
			require.ErrorIs(t, s.DeleteToken(f.ctx, "alice"), oauthstore.ErrTokenNotFound, "window %d", window)
		}
	})
	t.Run("deleted by the console", func(t *testing.T) {
		f := start(t)
		s := f.store()
		f.save(s, oauthstore.OAuthToken{ID: "alice", AccessToken: "a"})
		f.remove(alice)
		require.ErrorIs(t, s.DeleteToken(f.ctx, "alice"), oauthstore.ErrTokenNotFound)
		require.Empty(t, f.ids(s))
	})
}

func TestDeleteToken_ofAReplicatedSecretThatAnotherDeletesMeanwhileSucceeds(t *testing.T) {
	for _, window := range []int{0, 7} {
		for _, delay := range []time.Duration{0, time.Hour} {
			for _, op := range []string{"DescribeSecret", "RemoveRegionsFromReplication", "DeleteSecret"} {
				t.Run(fmt.Sprintf("before %s, window %d, gone after %v", op, window, delay), func(t *testing.T) {
					f := start(t, awssmtest.WithDeletionDelay(delay))
					f.save(f.store(WithReplicaRegions("eu-west-1")), old)
					client := &meddler{Client: f.Client}
					skip := op == "DeleteSecret" // the first is refused
					client.before = func(call string) {
						switch {
						case call != op:
						case skip:
							skip = false
						default:
							client.before = nil
							f.removeReplicated(alice, window == 0)
						}
					}
					require.NoError(t, f.storeOver(client, WithRecoveryWindow(window)).DeleteToken(f.ctx, "alice"))
					require.Nil(t, client.before, "nobody was in between: this test shows nothing")
					f.requireNone(f.store(), "alice")
				})
			}
		}
	}
}

// removeReplicated deletes a secret with a copy in eu-west-1 by the console.
func (f fixture) removeReplicated(name string, force bool) {
	f.t.Helper()
	_, err := f.RemoveRegionsFromReplication(f.ctx, &sm.RemoveRegionsFromReplicationInput{
		SecretId: &name, RemoveReplicaRegions: []string{"eu-west-1"},
	})
	require.NoError(f.t, err)
	_, err = f.DeleteSecret(f.ctx, &sm.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: &force})
	require.NoError(f.t, err)
}

func TestSaveToken_waitsForTheServiceToFinishADeletionOfTheSameName(t *testing.T) {
	f := start(t, awssmtest.WithDeletionDelay(300*time.Millisecond))
	s := f.store()
	f.save(s, oauthstore.OAuthToken{ID: "alice", AccessToken: "a", RefreshToken: "old"})
	require.NoError(t, s.DeleteToken(f.ctx, "alice"))
	f.srv.ResetRequests()
	f.save(s, oauthstore.OAuthToken{ID: "alice", AccessToken: "b"})
	require.Greater(t, f.srv.Count("CreateSecret"), 1, "the name was not blocked: this test shows nothing")
	require.Empty(t, f.find(s, "alice").RefreshToken)
	require.Len(t, f.secret(alice).Versions, 1)
	require.Equal(t, []string{"alice"}, f.ids(s))
}

func TestWithRecoveryWindow_keepsTheSecretForThatLongAndNoLonger(t *testing.T) {
	f := start(t)
	s := f.store(WithRecoveryWindow(7))
	f.save(s, oauthstore.OAuthToken{ID: "alice", UserName: "alice", AccessToken: "a"})
	require.NoError(t, s.DeleteToken(f.ctx, "alice"))
	require.WithinDuration(t, f.srv.Now().Add(7*day), f.secret(alice).DeletionDate, time.Minute)
	f.requireNone(s, "alice")
	_, err := s.FindToken(f.ctx, &oauthstore.OAuthToken{UserName: "alice"})
	require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
	require.Empty(t, f.ids(s))
	f.srv.Advance(7*day + time.Minute)
	require.Nil(t, f.secret(alice))
	f.save(s, oauthstore.OAuthToken{ID: "alice", AccessToken: "b"})
	require.Equal(t, []string{"alice"}, f.ids(s))
}

// old is a token of which nothing may come back, again a new one that leaves most fields empty.
var (
	old   = oauthstore.OAuthToken{ID: "alice", UserName: "alice", ClientID: "c", RefreshToken: "old", Scope: "old", APIDomain: "old", AccessToken: "old"}
	again = oauthstore.OAuthToken{ID: "alice", AccessToken: "new"}
)

func TestSaveToken_duringARecoveryWindowLeavesNothingOfTheDeletedToken(t *testing.T) {
	run := func(name string, remove func(f fixture, s *Store), prepare func(f fixture), opts ...Option) {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			s := f.store(opts...)
			f.save(s, old)
			f.save(s, oauthstore.OAuthToken{ID: "alice", Scope: "old 2"})
			remove(f, s)
			if prepare != nil {
				prepare(f)
			}
			f.save(s, again)
			requireToken(t, again, f.find(f.store(), "alice"))
			require.Equal(t, []string{"alice"}, f.ids(f.store()))
			require.True(t, f.secret(alice).DeletionDate.IsZero())
		})
	}
	ours := func(f fixture, s *Store) { require.NoError(t, s.DeleteToken(f.ctx, "alice")) }
	console := func(f fixture, _ *Store) { f.remove(alice) }
	run("that the store gave it", ours, nil, WithRecoveryWindow(7))
	run("that the console gave it", console, nil)
	for _, op := range []string{"DescribeSecret", "RestoreSecret", "PutSecretValue"} {
		for _, kind := range []testserver.Kind{testserver.FailBefore, testserver.FailAfter, testserver.DropAfter, testserver.Throttle} {
			fault := func(f fixture) { f.srv.Inject(testserver.Fault{Op: op, Secret: alice, Kind: kind}) }
			run(fmt.Sprintf("that the store gave it, though %s meets %v", op, kind), ours, fault, WithRecoveryWindow(7))
			run(fmt.Sprintf("that the console gave it, though %s meets %v", op, kind), console, fault)
		}
	}
	run("that the console gave it, though no answer of PutSecretValue arrives", console, func(f fixture) {
		f.srv.Inject(testserver.Fault{Op: "PutSecretValue", Secret: alice, Kind: testserver.DropAfter, Times: -1})
	})
}

func TestWithRecoveryWindow_aSecretRestoredByTheConsoleHoldsATombstoneAndTheTokenBehindIt(t *testing.T) {
	f := start(t)
	s := f.store(WithRecoveryWindow(7))
	f.save(s, old)
	require.NoError(t, s.DeleteToken(f.ctx, "alice"))
	_, err := f.RestoreSecret(f.ctx, &sm.RestoreSecretInput{SecretId: aws.String(alice)})
	require.NoError(t, err)
	f.requireNone(s, "alice")
	_, value := f.current(alice)
	require.NotContains(t, value, "old")
	previous, err := f.GetSecretValue(f.ctx, &sm.GetSecretValueInput{SecretId: aws.String(alice), VersionStage: aws.String("AWSPREVIOUS")})
	require.NoError(t, err)
	require.Contains(t, *previous.SecretString, `"refresh_token":"old"`)
	f.save(s, again)
	requireToken(t, again, f.find(s, "alice"))
}

func TestWithRecoveryWindow_worksWhereTheVersionQuotaIsUsedUp(t *testing.T) {
	f := start(t, awssmtest.WithVersionQuota(5))
	s := f.store(WithRecoveryWindow(7))
	f.save(s, old)
	for _, scope := range []string{"1", "2", "3", "4"} {
		f.save(s, oauthstore.OAuthToken{ID: "alice", Scope: scope})
	}
	require.NoError(t, s.DeleteToken(f.ctx, "alice"), "a credential must be revocable all the time")
	f.requireNone(s, "alice")
	token := again
	require.ErrorIs(t, s.SaveToken(f.ctx, &token), oauthstore.ErrThrottled)
	f.requireNone(s, "alice")
	require.False(t, f.secret(alice).DeletionDate.IsZero(), "the save that failed has brought the deleted token back")
	f.srv.Advance(day + time.Minute)
	f.save(s, again)
	requireToken(t, again, f.find(s, "alice"))
}

func TestDelete_withARecoveryWindowIsRefusedWhereTheRecordHasChanged(t *testing.T) {
	f := start(t)
	d := f.driver(WithRecoveryWindow(7))
	first, err := d.Put(f.ctx, "token_a", engine.None, document("w1", "one"), 0)
	require.NoError(t, err)
	_, err = d.Put(f.ctx, "token_a", first, document("w2", "two"), 0)
	require.NoError(t, err)
	err = d.Delete(f.ctx, "token_a", first, engine.Record{Deleted: true, Base: first})
	require.ErrorIs(t, err, engine.ErrConflict)
	require.True(t, f.secret("oauthstore/token_a").DeletionDate.IsZero())
}

func TestFindTokenByID_readsAgainWhereTheSecretWasMadeAnewMeanwhile(t *testing.T) {
	f := start(t)
	f.save(f.store(), oauthstore.OAuthToken{ID: "alice", AccessToken: "a"})
	calls := 0
	s := f.storeOver(&meddler{Client: f.Client, get: func(_ *sm.GetSecretValueInput, call func() (*sm.GetSecretValueOutput, error)) (*sm.GetSecretValueOutput, error) {
		if calls++; calls == 1 {
			return nil, &types.InvalidRequestException{Message: aws.String("You can't perform this operation on the secret because it was deleted.")}
		}
		return call()
	}})
	require.Equal(t, "a", f.find(s, "alice").AccessToken)
	require.Equal(t, 2, calls)
}

func TestFindTokenByID_ofASecretThatIsDeletedAgainAndAgainIsErrTokenNotFound(t *testing.T) {
	f := start(t)
	f.save(f.store(), oauthstore.OAuthToken{ID: "alice", AccessToken: "a"})
	// DescribeSecret always comes at a moment at which the secret is there again.
	s := f.storeOver(&meddler{Client: f.Client, get: func(*sm.GetSecretValueInput, func() (*sm.GetSecretValueOutput, error)) (*sm.GetSecretValueOutput, error) {
		return nil, &types.InvalidRequestException{Message: aws.String("You can't perform this operation on the secret because it was deleted.")}
	}})
	f.requireNone(s, "alice")
}

func TestFindTokenByID_ofASecretThatWaitsForDeletionNeedsNoPermissionToDescribeIt(t *testing.T) {
	f := start(t)
	s := f.store()
	f.save(s, oauthstore.OAuthToken{ID: "alice", AccessToken: "a"})
	f.remove(alice)
	f.srv.Inject(testserver.Fault{Op: "DescribeSecret", Kind: testserver.Deny, Times: -1})
	f.requireNone(s, "alice")
	require.Empty(t, f.ids(s))
}
