package awssm

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/testserver"
)

// deletedByTheConsole returns a fixture with the token alice of old in its recovery window.
func deletedByTheConsole(t *testing.T, opts ...awssmtest.Option) fixture {
	t.Helper()
	f := start(t, opts...)
	f.save(f.store(), old)
	f.remove(alice)
	f.srv.ResetRequests()
	return f
}

func TestSaveToken_duringARecoveryWindowCostsNoCreateSecret(t *testing.T) {
	f := deletedByTheConsole(t)
	f.save(f.store(), again)
	require.Equal(t, map[string]int{
		"GetSecretValue": 2, "DescribeSecret": 1, "RestoreSecret": 1, "PutSecretValue": 2,
	}, f.srv.Counts(), "the token's secret, and a read and a write of the index")
}

func TestPut_thatFailsForGoodDuringARecoveryWindowLeavesTheDeletedTokenDeleted(t *testing.T) {
	for _, op := range []string{"RestoreSecret", "PutSecretValue"} {
		for kind, class := range map[testserver.Kind]error{
			testserver.FailBefore: oauthstore.ErrUnavailable, testserver.FailAfter: oauthstore.ErrUnavailable,
			testserver.Throttle: oauthstore.ErrThrottled, testserver.Deny: oauthstore.ErrAccessDenied,
		} {
			if op == "PutSecretValue" && kind == testserver.FailAfter {
				continue // the value is written: see the next test
			}
			t.Run(fmt.Sprint(op, " meets ", kind), func(t *testing.T) {
				f := deletedByTheConsole(t)
				d := f.driver()
				_, rev, err := d.Get(f.ctx, "token_alice", engine.None)
				require.NoError(t, err)
				f.srv.Inject(testserver.Fault{Op: op, Secret: alice, Kind: kind, Times: -1})
				_, err = d.Put(f.ctx, "token_alice", rev, document("w", "new"), 0)
				require.ErrorIs(t, err, class)
				f.srv.ClearFaults()
				require.False(t, f.secret(alice).DeletionDate.IsZero(), "the write that failed has brought the deleted token back")
				f.requireNone(f.store(), "alice")
				f.save(f.store(), again)
				requireToken(t, again, f.find(f.store(), "alice"))
			})
		}
	}
}

func TestPut_duringARecoveryWindowWhoseAnswersAreAllLostStaysWritten(t *testing.T) {
	f := deletedByTheConsole(t)
	d := f.driver()
	_, rev, err := d.Get(f.ctx, "token_alice", engine.None)
	require.NoError(t, err)
	f.srv.Inject(testserver.Fault{Op: "PutSecretValue", Secret: alice, Kind: testserver.FailAfter, Times: -1})
	_, err = d.Put(f.ctx, "token_alice", rev, document("w", "new"), 0)
	require.ErrorIs(t, err, oauthstore.ErrUnavailable)
	require.Len(t, f.secret(alice).Versions, 2)
	rec, _, err := d.Get(f.ctx, "token_alice", engine.None)
	require.NoError(t, err)
	require.Equal(t, "w", rec.WriteID)
}

func TestPut_duringARecoveryWindowEndsWithItsContextAndTakesTheRestoreBack(t *testing.T) {
	for _, op := range []string{"RestoreSecret", "PutSecretValue"} {
		for _, kind := range []testserver.Kind{testserver.Hang, testserver.HangAfter, testserver.FailBefore} {
			if op == "PutSecretValue" && kind == testserver.HangAfter {
				continue // the value is written
			}
			t.Run(fmt.Sprint(op, " meets ", kind), func(t *testing.T) {
				f := deletedByTheConsole(t)
				d := f.driver()
				_, rev, err := d.Get(f.ctx, "token_alice", engine.None)
				require.NoError(t, err)
				f.srv.Inject(testserver.Fault{Op: op, Secret: alice, Kind: kind, Times: -1})
				ctx, cancel := context.WithCancel(f.ctx)
				go func() { // ends the context once the server has the request, and has done what it will do
					for f.srv.Count(op) == 0 || kind.TakesEffect() && !f.secret(alice).DeletionDate.IsZero() {
						time.Sleep(time.Millisecond)
					}
					cancel()
				}()
				client := &meddler{Client: f.Client}
				client.restore = func(_ *sm.RestoreSecretInput, call func() (*sm.RestoreSecretOutput, error)) (*sm.RestoreSecretOutput, error) {
					defer endAfter(op, "RestoreSecret", cancel)
					return call()
				}
				client.put = func(_ *sm.PutSecretValueInput, call func() (*sm.PutSecretValueOutput, error)) (*sm.PutSecretValueOutput, error) {
					defer endAfter(op, "PutSecretValue", cancel)
					return call()
				}
				_, err = f.driverOver(client).Put(ctx, "token_alice", rev, document("w", "new"), 0)
				require.Error(t, err)
				require.Equal(t, 1, f.srv.Count(op))
				require.False(t, f.secret(alice).DeletionDate.IsZero())
			})
		}
	}
}

// endAfter ends a context after the call that it is to end with, if that has answered at all.
func endAfter(op, called string, end func()) {
	if op == called {
		end()
	}
}

func TestSaveToken_thatFailsDuringARecoveryWindowLeavesATombstoneWhereItIs(t *testing.T) {
	f := start(t)
	s := f.store(WithRecoveryWindow(7))
	f.save(s, old)
	require.NoError(t, s.DeleteToken(f.ctx, "alice"))
	f.srv.ResetRequests()
	f.srv.Inject(testserver.Fault{Op: "PutSecretValue", Secret: alice, Kind: testserver.Deny, Times: -1})
	token := again
	require.ErrorIs(t, s.SaveToken(f.ctx, &token), oauthstore.ErrAccessDenied)
	require.Zero(t, f.srv.Count("DeleteSecret"), "nobody is harmed by a tombstone")
	f.srv.ClearFaults()
	f.requireNone(s, "alice")
	f.save(s, again)
	requireToken(t, again, f.find(s, "alice"))
}

func TestSaveToken_thatFailsDuringARecoveryWindowLeavesWhatAnotherHasSavedMeanwhile(t *testing.T) {
	run := func(name string, remove func(fixture, *Store), opts ...awssmtest.Option) {
		t.Run(name, func(t *testing.T) {
			f := start(t, opts...)
			other := f.store(WithRecoveryWindow(7))
			f.save(other, old)
			remove(f, other)
			saved := false
			s := f.storeOver(&meddler{Client: f.Client, put: func(in *sm.PutSecretValueInput, call func() (*sm.PutSecretValueOutput, error)) (*sm.PutSecretValueOutput, error) {
				if !strings.Contains(*in.SecretId, alice) {
					return call()
				}
				if !saved {
					saved = true
					f.save(other, oauthstore.OAuthToken{ID: "alice", AccessToken: "theirs"})
				}
				return nil, &types.LimitExceededException{Message: aws.String("quota")}
			}}, WithRecoveryWindow(7))
			token := again
			require.ErrorIs(t, s.SaveToken(f.ctx, &token), oauthstore.ErrThrottled)
			f.srv.Advance(time.Hour)
			require.Equal(t, "theirs", f.find(other, "alice").AccessToken)
		})
	}
	console := func(f fixture, _ *Store) { f.remove(alice) }
	run("deleted by a store", func(f fixture, s *Store) { require.NoError(t, s.DeleteToken(f.ctx, "alice")) })
	run("deleted by the console", console)
	run("deleted by the console, where reads lag behind", console, awssmtest.WithStaleReads(time.Hour))
}

func TestPut_duringARecoveryWindowTriesAgainWhereTheServiceDoesNotKnowOfTheRestoreYet(t *testing.T) {
	f := deletedByTheConsole(t)
	puts := 0
	s := f.storeOver(&meddler{Client: f.Client, put: func(in *sm.PutSecretValueInput, call func() (*sm.PutSecretValueOutput, error)) (*sm.PutSecretValueOutput, error) {
		if strings.Contains(*in.SecretId, alice) {
			if puts++; puts == 1 {
				return nil, invalid("You can't perform this operation on the secret because it was marked for deletion.")
			}
		}
		return call()
	}})
	f.save(s, again)
	require.Equal(t, 2, puts)
	requireToken(t, again, f.find(s, "alice"))
}

func TestPut_triesTheWriteWhereARestoreWhoseAnswerWasLostIsThenRefused(t *testing.T) {
	f := deletedByTheConsole(t)
	d := f.driver()
	_, rev, err := d.Get(f.ctx, "token_alice", engine.None)
	require.NoError(t, err)
	restores := 0
	refusing := f.driverOver(&meddler{Client: f.Client, restore: func(_ *sm.RestoreSecretInput, call func() (*sm.RestoreSecretOutput, error)) (*sm.RestoreSecretOutput, error) {
		if restores++; restores == 1 {
			_, err := call()
			require.NoError(t, err)
			return nil, &types.InternalServiceError{}
		}
		return nil, invalid("The secret is not scheduled for deletion.")
	}})
	_, err = refusing.Put(f.ctx, "token_alice", rev, document("w", "new"), 0)
	require.NoError(t, err)
	_, value := f.current(alice)
	require.Contains(t, value, `"new"`)
}

func TestPut_ofTwoDriversDuringARecoveryWindowOneIsRefused(t *testing.T) {
	f := start(t)
	one, other := f.driver(), f.driver()
	f.put(one, engine.None, "deleted")
	f.remove(secretA)
	var revs []engine.Rev
	for _, d := range []*driver{one, other} {
		rec, rev, err := d.Get(f.ctx, "token_a", engine.None)
		require.NoError(t, err)
		require.False(t, rec.Live())
		revs = append(revs, rev)
	}
	require.Equal(t, revs[0], revs[1])
	f.put(one, revs[0], "one")
	f.putRefused(other, revs[1], "other")
	f.put(other, f.get(other, revs[1], "one"), "other")
}

func TestPut_onASecretWhoseRecoveryWindowHasEndedMeanwhileIsBlockedUntilTheNextRead(t *testing.T) {
	f := start(t)
	d := f.driver()
	f.put(d, engine.None, "deleted")
	f.remove(secretA)
	_, rev, err := d.Get(f.ctx, "token_a", engine.None)
	require.NoError(t, err)
	f.srv.Advance(31 * day)
	_, err = d.Put(f.ctx, "token_a", rev, document("w", "new"), 0)
	require.ErrorIs(t, err, engine.ErrBlocked)
	for _, after := range []engine.Rev{engine.None, rev} {
		_, next, err := d.Get(f.ctx, "token_a", after)
		require.NoError(t, err)
		require.Equal(t, notThere, next)
	}
	f.put(d, notThere, "new")
}

func TestDelete_ofASecretThatWaitsForDeletionAsksTheServiceNothing(t *testing.T) {
	f := start(t)
	d := f.driver(WithRecoveryWindow(7))
	f.put(d, engine.None, "deleted")
	f.remove(secretA)
	_, rev, err := d.Get(f.ctx, "token_a", engine.None)
	require.NoError(t, err)
	f.srv.ResetRequests()
	require.NoError(t, d.Delete(f.ctx, "token_a", rev, engine.Record{Deleted: true, Base: rev}))
	require.Zero(t, f.srv.Count())
}

func TestSaveToken_duringARecoveryWindowWorksWhereTheServerCallsTheNameTaken(t *testing.T) {
	f := deletedByTheConsole(t)
	s := f.storeOver(&meddler{Client: f.Client, create: func(*sm.CreateSecretInput, func() (*sm.CreateSecretOutput, error)) (*sm.CreateSecretOutput, error) {
		return nil, &types.ResourceExistsException{Message: aws.String("it exists")} // some emulators
	}})
	f.save(s, again)
	requireToken(t, again, f.find(s, "alice"))
}

func TestSaveToken_duringARecoveryWindowMakesTheCopiesInOtherRegionsAnew(t *testing.T) {
	f := start(t)
	s := f.store(WithReplicaRegions("eu-west-1", "eu-north-1"), WithRecoveryWindow(7))
	f.save(s, old)
	require.NoError(t, s.DeleteToken(f.ctx, "alice"))
	require.Empty(t, f.secret(alice).Replicas)
	f.save(s, again)
	require.Equal(t, []string{"eu-west-1", "eu-north-1"}, f.secret(alice).Replicas)

	require.NoError(t, s.DeleteToken(f.ctx, "alice"))
	f.srv.Inject(testserver.Fault{Op: "ReplicateSecretToRegions", Kind: testserver.Deny})
	token := again
	err := s.SaveToken(f.ctx, &token)
	require.ErrorContains(t, err, "awssm: ReplicateSecretToRegions "+alice)
	require.NotErrorIs(t, err, oauthstore.ErrAccessDenied, "the token is saved: no class may say that it is not")
	requireToken(t, again, f.find(s, "alice"))
	require.Equal(t, []string{"alice"}, f.ids(f.store()))
}

func TestSaveToken_rightAfterADeleteNeedsNoPermissionToDescribeOrRestore(t *testing.T) {
	f := start(t)
	s := f.store()
	f.save(s, old)
	require.NoError(t, s.DeleteToken(f.ctx, "alice"))
	for _, op := range []string{"DescribeSecret", "RestoreSecret"} {
		f.srv.Inject(testserver.Fault{Op: op, Kind: testserver.Deny, Times: -1})
	}
	f.srv.ResetRequests()
	f.save(s, again)
	require.Greater(t, f.srv.Count("CreateSecret"), 1, "the name was not blocked: this test shows nothing")
	require.Zero(t, f.srv.Count("RestoreSecret"))
	requireToken(t, again, f.find(s, "alice"))
}

func TestSaveToken_duringARecoveryWindowIsDeniedAtOnceWithoutThePermissions(t *testing.T) {
	run := func(op string, opts ...Option) {
		t.Run(op, func(t *testing.T) {
			f := deletedByTheConsole(t)
			f.srv.Inject(testserver.Fault{Op: op, Kind: testserver.Deny, Times: -1})
			token := again
			err := f.store(opts...).SaveToken(f.ctx, &token)
			require.ErrorIs(t, err, oauthstore.ErrAccessDenied)
			require.ErrorContains(t, err, op)
			require.False(t, f.secret(alice).DeletionDate.IsZero())
		})
	}
	run("RestoreSecret")
	run("RestoreSecret", WithRecoveryWindow(7))
	run("DescribeSecret", WithRecoveryWindow(7)) // without it the secret may be one that is just being deleted
}

// refusing is a client whose CreateSecret for the token a is refused, and counts how often it was asked.
func (f fixture) refusing(n *int, text string) *meddler {
	return &meddler{Client: f.Client, create: func(in *sm.CreateSecretInput, call func() (*sm.CreateSecretOutput, error)) (*sm.CreateSecretOutput, error) {
		if *in.Name != secretA {
			return call()
		}
		*n++
		return nil, invalid(text)
	}}
}

func TestPut_isBlockedWhereTheNameMayBeJustBeingDeletedAndThereIsNoPermissionToLook(t *testing.T) {
	const (
		marked    = "You tried to perform the operation on a secret that's currently marked deleted." // moto
		scheduled = "You can't create this secret because a secret with this name is already scheduled for deletion."
	)
	run := func(text, op string, opts ...Option) error {
		f := start(t)
		f.put(f.driver(), engine.None, "deleted")
		f.remove(secretA)
		f.srv.Inject(testserver.Fault{Op: op, Kind: testserver.Deny, Times: -1})
		n := 0
		d := f.driverOver(f.refusing(&n, text), opts...)
		_, err := d.Put(f.ctx, "token_a", notThere, document("w", "new"), 0)
		require.ErrorContains(t, err, op+" oauthstore/token_a: access denied (AccessDeniedException)", "it may be that, all the same")
		return err
	}
	for _, op := range []string{"DescribeSecret", "RestoreSecret"} {
		for _, err := range []error{run(marked, op), run(marked, op, WithRecoveryWindow(7)), run(scheduled, op)} {
			require.ErrorIs(t, err, engine.ErrBlocked)
			enginetest.RequireClass(t, err)
		}
		enginetest.RequireClass(t, run(scheduled, op, WithRecoveryWindow(7)), oauthstore.ErrAccessDenied)
	}
}

func TestSaveToken_failsAtOnceWhereCreateSecretIsRefusedForAnotherReasonThanADeletion(t *testing.T) {
	f := start(t)
	n := 0
	begin := time.Now()
	err := f.storeOver(f.refusing(&n, "The KMS key is disabled.")).SaveToken(f.ctx, &oauthstore.OAuthToken{ID: "a", AccessToken: "x"})
	require.ErrorContains(t, err, "awssm: CreateSecret oauthstore/token_a (InvalidRequestException)")
	require.Equal(t, 1, n)
	require.Less(t, time.Since(begin), 5*time.Second)
	enginetest.RequireClass(t, err)
}
