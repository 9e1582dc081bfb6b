package awssm

import (
	"fmt"
	"sync"
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

// secretA is the full name of the secret that the tests of the driver write.
const secretA = "oauthstore/token_a"

// put writes through d and returns the revision.
func (f fixture) put(d *driver, base engine.Rev, value string) engine.Rev {
	f.t.Helper()
	rev, err := d.Put(f.ctx, "token_a", base, document("w-"+value, value), 0)
	require.NoError(f.t, err)
	return rev
}

func (f fixture) putRefused(d *driver, base engine.Rev, value string) {
	f.t.Helper()
	_, err := d.Put(f.ctx, "token_a", base, document("w-"+value, value), 0)
	require.ErrorIs(f.t, err, engine.ErrConflict)
}

// get reads through d and wants the value.
func (f fixture) get(d *driver, after engine.Rev, value string) engine.Rev {
	f.t.Helper()
	rec, rev, err := d.Get(f.ctx, "token_a", after)
	require.NoError(f.t, err)
	requireHolds(f.t, rec, value)
	return rev
}

func TestPut_ofTwoDriversOnOneVersionOneIsRefusedInOneCallEach(t *testing.T) {
	f := start(t)
	one, other := f.driver(), f.driver()
	f.put(one, engine.None, "zero")
	base := f.get(one, engine.None, "zero")
	require.Equal(t, base, f.get(other, engine.None, "zero"))
	f.srv.ResetRequests()
	f.put(one, base, "one")
	f.putRefused(other, base, "other")
	require.Equal(t, map[string]int{"PutSecretValue": 2}, f.srv.Counts())
	require.Len(t, f.secret(secretA).Versions, 2, "a refused write must make no version")
	f.put(other, f.get(other, base, "one"), "other")
}

func TestPut_ofTwoDriversThatCreateOneIsRefused(t *testing.T) {
	f := start(t)
	one, other := f.driver(), f.driver()
	_, absent, err := one.Get(f.ctx, "token_a", engine.None)
	require.NoError(t, err)
	f.put(one, absent, "one")
	f.putRefused(other, absent, "other")
	f.put(other, f.get(other, absent, "one"), "other")
}

func TestPut_neverLandsInASecretThatWasMadeAnew(t *testing.T) {
	f := start(t, awssmtest.WithDeletionDelay(100*time.Millisecond))
	s, d := f.store(), f.driver()
	f.save(s, oauthstore.OAuthToken{ID: "a", AccessToken: "one"})
	base := f.get(d, engine.None, "one")
	require.NoError(t, s.DeleteToken(f.ctx, "a"))
	f.putRefused(d, base, "late, while it is being deleted")
	f.srv.Advance(time.Second)
	f.putRefused(d, base, "late, when it is gone")
	f.save(s, oauthstore.OAuthToken{ID: "a", AccessToken: "two"})
	f.putRefused(d, base, "late, when there is another")
	require.Equal(t, "two", f.find(s, "a").AccessToken)
	require.NoError(t, d.Delete(f.ctx, "token_a", base, engine.Record{Deleted: true}))
	require.Equal(t, "two", f.find(s, "a").AccessToken, "a late delete has hit the new secret")
}

func TestSaveToken_recoversWhereAWSCURRENTWasMovedBack(t *testing.T) {
	for times := 1; times <= 3; times++ {
		t.Run(fmt.Sprint(times, " times"), func(t *testing.T) {
			f := start(t)
			one, other := f.store(), f.store()
			f.save(one, oauthstore.OAuthToken{ID: "a", AccessToken: "first"})
			first, _ := f.current(secretA)
			for i := range times {
				f.save(one, oauthstore.OAuthToken{ID: "a", AccessToken: fmt.Sprint("undone ", i)})
				f.save(other, oauthstore.OAuthToken{ID: "a", Scope: fmt.Sprint("undone ", i)})
				f.rollBack(secretA, first)
			}
			require.Equal(t, "first", f.find(one, "a").AccessToken)
			var group sync.WaitGroup
			for _, save := range []func(){
				func() { f.save(one, oauthstore.OAuthToken{ID: "a", AccessToken: "new"}) },
				func() { f.save(other, oauthstore.OAuthToken{ID: "a", Scope: "new"}) },
			} {
				group.Add(1)
				go func() { defer group.Done(); save() }()
			}
			group.Wait()
			requireToken(t, oauthstore.OAuthToken{ID: "a", AccessToken: "new", Scope: "new"}, f.find(f.store(), "a"))
		})
	}
}

func TestGet_afterAWSCURRENTWasMovedBackGivesAllWritersOneRevisionToWriteOn(t *testing.T) {
	f := start(t)
	one, other := f.driver(), f.driver()
	base := f.put(one, engine.None, "first")
	first, _ := f.current(secretA)
	f.put(one, base, "undone")
	f.rollBack(secretA, first)
	f.putRefused(one, base, "one")
	f.putRefused(other, base, "other")
	next := f.get(one, base, "first")
	require.NotEqual(t, base, next)
	require.Equal(t, next, f.get(other, base, "first"))
	f.put(one, next, "one")
	f.putRefused(other, next, "other")
	f.get(other, next, "one")
}

func TestGet_afterARefusalFindsWhatFollowedThoughReadsLagBehind(t *testing.T) {
	f := start(t, awssmtest.WithStaleReads(time.Hour))
	one, other := f.driver(), f.driver()
	base := f.put(one, engine.None, "one")
	rev := base
	for _, value := range []string{"two", "three", "four"} {
		rev = f.put(one, rev, value)
	}
	require.Equal(t, base, f.get(other, engine.None, "one"), "the read does not lag: this test shows nothing")
	f.putRefused(other, base, "other")
	require.Equal(t, rev, f.get(other, base, "four"))
}

func TestSaveToken_losesNothingAndDoesNotLoopWhereReadsLagBehind(t *testing.T) {
	f := start(t, awssmtest.WithStaleReads(time.Hour))
	one, other := f.store(), f.store()
	f.save(one, oauthstore.OAuthToken{ID: "a", AccessToken: "zero"})
	want := oauthstore.OAuthToken{ID: "a", AccessToken: "zero", Scope: "s", APIDomain: "d", RefreshToken: "r", TokenType: "t"}
	f.srv.ResetRequests()
	f.save(one, oauthstore.OAuthToken{ID: "a", Scope: "s"})
	f.save(other, oauthstore.OAuthToken{ID: "a", APIDomain: "d"})
	f.save(one, oauthstore.OAuthToken{ID: "a", RefreshToken: "r"})
	f.save(other, oauthstore.OAuthToken{ID: "a", TokenType: "t"})
	require.LessOrEqual(t, f.srv.Count("PutSecretValue"), 2*4, "each save may be refused once")
	f.srv.Advance(time.Hour)
	requireToken(t, want, f.find(f.store(), "a"))
}

func TestPut_neverOverwritesAForeignVersionThatReadsDoNotShowYet(t *testing.T) {
	f := start(t, awssmtest.WithStaleReads(time.Hour))
	one, other := f.driver(), f.driver()
	base := f.put(one, engine.None, "one")
	f.put(one, base, "two")
	_, value := f.current(secretA)
	f.edit(secretA, value+" ")
	foreign, _ := f.current(secretA)
	for range 3 {
		f.putRefused(other, base, "other")
		base = f.get(other, base, "one")
	}
	now, _ := f.current(secretA)
	require.Equal(t, foreign, now)
}

// Reads by id show the first of the versions that followed and not the second; all others show neither.
func TestPut_neverUndoesVersionsThatOnlySomeReadsShow(t *testing.T) {
	f := start(t, awssmtest.WithStaleReads(time.Hour), awssmtest.WithStaleVersions(time.Minute))
	one, other := f.driver(), f.driver()
	base := f.put(one, engine.None, "zero")
	f.srv.Advance(2 * time.Hour)
	rev := f.put(one, base, "one")
	f.srv.Advance(2 * time.Minute)
	rev = f.put(one, rev, "two")
	require.Equal(t, base, f.get(other, engine.None, "zero"))
	for range 3 {
		f.putRefused(other, base, "other")
		require.Equal(t, base, f.get(other, base, "zero"), "nothing tells of a roll-back")
	}
	_, value := f.current(secretA)
	require.Contains(t, value, `"two"`)
	f.srv.Advance(time.Hour)
	require.Equal(t, rev, f.get(other, base, "two"))
	f.put(other, rev, "other")
}

// AWSPREVIOUS is on the version from before the one that was read, in answers from before the next.
func TestPut_neverUndoesVersionsWhereAnOlderAnswerHasAPreviousVersionToo(t *testing.T) {
	f := start(t, awssmtest.WithStaleReads(time.Hour), awssmtest.WithStaleVersions(time.Minute))
	one, other := f.driver(), f.driver()
	base := f.put(one, f.put(one, engine.None, "oldest"), "zero")
	zero, _ := f.current(secretA)
	f.srv.Advance(2 * time.Hour)
	f.put(one, base, "one")
	f.srv.Advance(2 * time.Minute)
	out, err := f.DescribeSecret(f.ctx, &sm.DescribeSecretInput{SecretId: aws.String(secretA)})
	require.NoError(t, err)
	require.Equal(t, []string{current}, out.VersionIdsToStages[zero], "the answer is none from before: this test shows nothing")
	require.Len(t, out.VersionIdsToStages, 2)
	f.putRefused(other, base, "other")
	require.Equal(t, base, f.get(other, base, "zero"))
}

func TestGet_afterAWSCURRENTWasMovedBackFromAForeignVersionGivesARevisionToWriteOn(t *testing.T) {
	f := start(t)
	d := f.driver()
	base := f.put(d, engine.None, "first")
	first, value := f.current(secretA)
	f.put(d, base, "undone")
	f.srv.Advance(time.Second)
	f.edit(secretA, value+" ")
	f.rollBack(secretA, first)
	f.putRefused(d, base, "second")
	f.put(d, f.get(d, base, "first"), "second")
}

func TestGet_doesNotBelieveInARollBackThatItMayNotLookInto(t *testing.T) {
	f := start(t)
	d := f.driver()
	base := f.put(d, engine.None, "first")
	first, _ := f.current(secretA)
	f.put(d, base, "undone")
	f.rollBack(secretA, first)
	f.putRefused(d, base, "second")
	f.srv.Inject(testserver.Fault{Op: "DescribeSecret", Kind: testserver.Deny})
	require.Equal(t, base, f.get(d, base, "first"))
	f.putRefused(d, base, "second")
	f.put(d, f.get(d, base, "first"), "second")
}

func TestPut_failsWhereTheServerIgnoresTheTokenOfTheRequest(t *testing.T) {
	ignored := aws.String("00000000-0000-0000-0000-000000000000")
	f := start(t)
	d := f.driverOver(&meddler{
		Client: f.Client,
		put: func(_ *sm.PutSecretValueInput, call func() (*sm.PutSecretValueOutput, error)) (*sm.PutSecretValueOutput, error) {
			out, err := call()
			require.NoError(t, err)
			out.VersionId = ignored
			return out, err
		},
		create: func(_ *sm.CreateSecretInput, call func() (*sm.CreateSecretOutput, error)) (*sm.CreateSecretOutput, error) {
			out, err := call()
			require.NoError(t, err)
			out.VersionId = ignored
			return out, err
		},
	})
	_, create := d.Put(f.ctx, "token_a", engine.None, document("w1", "one"), 0)
	_, put := d.Put(f.ctx, "token_a", f.get(d, engine.None, "one"), document("w2", "two"), 0)
	for op, err := range map[string]error{"CreateSecret": create, "PutSecretValue": put} {
		require.ErrorContains(t, err, "awssm: "+op+" oauthstore/token_a: no compare-and-set: ")
		enginetest.RequireClass(t, err, oauthstore.ErrNoCompareAndSet)
		require.NotErrorIs(t, err, engine.ErrConflict)
	}
}

// lagging answers the first n reads by name as if the secret were not there yet.
func lagging(c Client, n int) *meddler {
	return &meddler{Client: c, get: func(in *sm.GetSecretValueInput, call func() (*sm.GetSecretValueOutput, error)) (*sm.GetSecretValueOutput, error) {
		if in.VersionId == nil && n > 0 {
			n--
			return nil, notFound()
		}
		return call()
	}}
}

func TestPut_neverOverwritesASecretThatReadsDoNotShowYet(t *testing.T) {
	f := start(t)
	one, other := f.driver(), f.driverOver(lagging(f.Client, 2))
	f.put(one, engine.None, "one")
	_, absent, err := other.Get(f.ctx, "token_a", engine.None)
	require.NoError(t, err)
	f.putRefused(other, absent, "other")
	f.put(other, f.get(other, absent, "one"), "other")
}

func TestSaveToken_keepsWhatAnotherHasSavedThoughReadsDoNotShowThatYet(t *testing.T) {
	f := start(t)
	f.save(f.store(), oauthstore.OAuthToken{ID: "a", AccessToken: "one", RefreshToken: "r"})
	f.save(f.storeOver(lagging(f.Client, 2)), oauthstore.OAuthToken{ID: "a", AccessToken: "other"})
	requireToken(t, oauthstore.OAuthToken{ID: "a", AccessToken: "other", RefreshToken: "r"}, f.find(f.store(), "a"))
}

func TestSaveToken_makesOneVersionWhereTheAnswerIsLostAndTheSDKTriesAgain(t *testing.T) {
	for _, kind := range []testserver.Kind{testserver.DropAfter, testserver.FailAfter} {
		t.Run(kind.String(), func(t *testing.T) {
			f := start(t)
			s := f.storeOver(backend{f.srv}.client())
			f.srv.Inject(testserver.Fault{Op: "CreateSecret", Secret: secretA, Kind: kind})
			f.save(s, oauthstore.OAuthToken{ID: "a", AccessToken: "one"})
			require.Equal(t, 1+1, f.srv.Count("CreateSecret"), "the index, and the secret once: the store looks")
			require.Len(t, f.secret(secretA).Versions, 1)

			f.srv.ResetRequests()
			f.srv.Inject(testserver.Fault{Op: "PutSecretValue", Kind: kind})
			f.save(s, oauthstore.OAuthToken{ID: "a", AccessToken: "two"})
			require.Equal(t, map[string]int{"GetSecretValue": 1, "PutSecretValue": 2}, f.srv.Counts())
			require.Len(t, f.secret(secretA).Versions, 2)
			require.Equal(t, "two", f.find(s, "a").AccessToken)
		})
	}
}

func TestSaveToken_knowsItsWriteByItsIDWhereUpToThreeOthersCameAfterIt(t *testing.T) {
	for others := range 4 {
		t.Run(fmt.Sprint(others, " others"), func(t *testing.T) {
			f := start(t)
			other := f.store()
			f.save(other, oauthstore.OAuthToken{ID: "a", AccessToken: "zero"})
			calls := 0
			s := f.storeOver(&meddler{Client: f.Client, put: func(_ *sm.PutSecretValueInput, call func() (*sm.PutSecretValueOutput, error)) (*sm.PutSecretValueOutput, error) {
				calls++
				_, err := call()
				require.NoError(t, err)
				for i := range others {
					f.save(other, oauthstore.OAuthToken{ID: "a", AccessToken: fmt.Sprint("newer ", i)})
				}
				return nil, &types.InternalServiceError{Message: aws.String("lost")}
			}})
			f.save(s, oauthstore.OAuthToken{ID: "a", AccessToken: "mine", Scope: "mine"})
			require.Equal(t, 1, calls, "the write took effect: it must not be made again")
			want := oauthstore.OAuthToken{ID: "a", AccessToken: "mine", Scope: "mine"}
			if others > 0 {
				want.AccessToken = fmt.Sprint("newer ", others-1)
			}
			requireToken(t, want, f.find(other, "a"))
		})
	}
}

func TestASecretWithoutAValueCountsAsAbsentAndCanBeSavedTo(t *testing.T) {
	f := start(t)
	for _, name := range []string{secretA, "oauthstore/index"} {
		_, err := f.CreateSecret(f.ctx, &sm.CreateSecretInput{Name: &name})
		require.NoError(t, err)
	}
	one, other := f.store(), f.store()
	f.requireNone(one, "a")
	require.Empty(t, f.ids(one))
	require.ErrorIs(t, one.DeleteToken(f.ctx, "a"), oauthstore.ErrTokenNotFound)
	f.save(one, oauthstore.OAuthToken{ID: "a", AccessToken: "one"})
	f.save(other, oauthstore.OAuthToken{ID: "a", Scope: "s"})
	requireToken(t, oauthstore.OAuthToken{ID: "a", AccessToken: "one", Scope: "s"}, f.find(one, "a"))
	require.Equal(t, []string{"a"}, f.ids(other))
}

func TestPut_ofTwoDriversOnASecretWithoutAValueOneIsRefused(t *testing.T) {
	f := start(t)
	_, err := f.CreateSecret(f.ctx, &sm.CreateSecretInput{Name: aws.String(secretA)})
	require.NoError(t, err)
	one, other := f.driver(), f.driver()
	_, absent, err := one.Get(f.ctx, "token_a", engine.None)
	require.NoError(t, err)
	f.putRefused(one, absent, "one")
	_, empty, err := one.Get(f.ctx, "token_a", absent)
	require.NoError(t, err)
	f.put(one, empty, "one")
	f.putRefused(other, empty, "other")
	f.get(other, empty, "one")
}
