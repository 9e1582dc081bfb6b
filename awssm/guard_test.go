package awssm

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/testserver"
)

// emulator is the client of a server that is not at one of AWS's hosts.
func (f fixture) emulator() *sm.Client {
	return f.srv.Client(func(o *sm.Options) {
		o.BaseEndpoint = aws.String(f.srv.URL())
		o.Retryer = aws.NopRetryer{}
	})
}

var careless = map[string]awssmtest.Quirk{
	"versions have ids of the server's own":   awssmtest.OwnVersionIDs,
	"a version's content is overwritten":      awssmtest.OverwrittenVersions,
	"other content of a version is a success": awssmtest.IgnoredContent,
	"a name can be taken twice":               awssmtest.TakenNames,
}

func eachCareless(t *testing.T, test func(t *testing.T, f fixture)) {
	for name, quirk := range careless {
		t.Run(name, func(t *testing.T) { test(t, start(t, awssmtest.WithEmulatorQuirks(quirk))) })
	}
}

// However often it is tried, by however many processes: a save that succeeded could be lost.
func TestSaveToken_neverSucceedsOnAServerThatDoesNotGuardWrites(t *testing.T) {
	eachCareless(t, func(t *testing.T, f fixture) {
		for range 3 {
			s := f.storeOver(f.emulator())
			for try := range 4 {
				for _, token := range []oauthstore.OAuthToken{{ID: "a", AccessToken: "one"}, {UserName: "user", AccessToken: "one"}} {
					err := s.SaveToken(f.ctx, &token)
					enginetest.RequireClass(t, err, oauthstore.ErrNoCompareAndSet)
					require.ErrorContains(t, err, "WithoutWriteCheck", "try %d", try)
					enginetest.RequireText(t, err, secrets...)
				}
			}
			require.Empty(t, f.ids(s), "the index must not list what was refused")
		}
		require.Nil(t, f.secret(secretA))
	})
}

func TestSaveToken_byManyAtOnceLosesNothingThatItHasCalledSaved(t *testing.T) {
	eachCareless(t, func(t *testing.T, f fixture) {
		saved := make([]bool, 40)
		var group sync.WaitGroup
		for i := range saved {
			s := f.storeOver(f.emulator())
			group.Add(1)
			go func() {
				defer group.Done()
				for range 3 {
					err := s.SaveToken(f.ctx, &oauthstore.OAuthToken{ID: fmt.Sprint("id", i), AccessToken: "a"})
					saved[i] = saved[i] || err == nil
				}
			}()
		}
		group.Wait()
		listed := f.ids(f.storeOver(f.emulator()))
		for i, was := range saved {
			if was {
				require.Contains(t, listed, fmt.Sprint("id", i))
			}
		}
		require.NotContains(t, saved, true)
	})
}

// A record that is there already, since another library or a person has made it.
func TestSaveToken_thatUpdatesOnAServerThatDoesNotGuardWritesFailsAndLeavesTheRecordReadable(t *testing.T) {
	eachCareless(t, func(t *testing.T, f fixture) {
		f.save(f.storeOver(f.emulator(), WithoutWriteCheck()), oauthstore.OAuthToken{ID: "a", AccessToken: "one"})
		s := f.storeOver(f.emulator())
		err := s.SaveToken(f.ctx, &oauthstore.OAuthToken{ID: "a", AccessToken: "two"})
		enginetest.RequireClass(t, err, oauthstore.ErrNoCompareAndSet)
		require.NotErrorIs(t, err, engine.ErrNotWritten)
		require.Equal(t, "two", f.find(s, "a").AccessToken, "the check must not change what the record says")
		f.srv.ResetRequests()
		for range 3 {
			err := s.SaveToken(f.ctx, &oauthstore.OAuthToken{ID: "a", AccessToken: "three"})
			enginetest.RequireClass(t, err, oauthstore.ErrNoCompareAndSet)
			require.ErrorIs(t, err, engine.ErrNotWritten)
			enginetest.RequireClass(t, s.DeleteToken(f.ctx, "a"), oauthstore.ErrNoCompareAndSet)
		}
		require.Zero(t, f.srv.Count("PutSecretValue", "CreateSecret", "DeleteSecret"), "nothing more is written")
		require.Equal(t, "two", f.find(s, "a").AccessToken)
	})
}

func TestWithoutWriteCheck_letsOneWriterWork(t *testing.T) {
	eachCareless(t, func(t *testing.T, f fixture) {
		s := f.storeOver(f.emulator(), WithoutWriteCheck())
		for _, access := range []string{"one", "two", "three"} {
			f.save(s, oauthstore.OAuthToken{ID: "a", UserName: "user", AccessToken: access})
			f.save(s, oauthstore.OAuthToken{ID: access, AccessToken: access})
		}
		require.Equal(t, "three", f.find(s, "a").AccessToken)
		require.Equal(t, []string{"a", "one", "three", "two"}, f.ids(s))
		require.NoError(t, s.DeleteToken(f.ctx, "one"))
		require.Equal(t, []string{"a", "three", "two"}, f.ids(s))
	})
}

func TestGuard_isLookedAtOnceInAProcessAndLeavesNothing(t *testing.T) {
	for name, opts := range map[string][]Option{
		"plain":            nil,
		"with an observer": {WithObserver(func(context.Context, oauthstore.Event) {})},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			s := f.storeOver(f.emulator(), opts...)
			f.save(s, oauthstore.OAuthToken{ID: "a", AccessToken: "one"})
			require.Equal(t, map[string]int{"GetSecretValue": 2, "CreateSecret": 2 + 1, "PutSecretValue": 1}, f.srv.Counts())
			f.srv.ResetRequests()
			f.save(s, oauthstore.OAuthToken{ID: "a", AccessToken: "two"})
			require.Equal(t, map[string]int{"GetSecretValue": 1, "PutSecretValue": 1}, f.srv.Counts(), "a refresh costs what it costs on AWS")
			f.srv.ResetRequests()
			f.save(s, oauthstore.OAuthToken{ID: "b", AccessToken: "one"})
			require.Equal(t, map[string]int{"GetSecretValue": 1, "PutSecretValue": 1, "CreateSecret": 1}, f.srv.Counts())
			for _, secret := range f.srv.Secrets() {
				for _, v := range secret.Versions {
					require.NotEqual(t, byte(' '), v.Payload[len(v.Payload)-1], secret.Name)
				}
			}
		})
	}
}

func TestGuard_isNotLookedAtOnAWS(t *testing.T) {
	f := start(t)
	f.save(f.store(), oauthstore.OAuthToken{ID: "a", AccessToken: "one"})
	require.Equal(t, map[string]int{"GetSecretValue": 2, "CreateSecret": 2}, f.srv.Counts())
}

// What could not be found out is not an answer: the next write asks again.
func TestGuard_thatCouldNotBeLookedAtIsLookedAtAgain(t *testing.T) {
	for kind, succeeds := range map[testserver.Kind]bool{
		testserver.Throttle: true, testserver.FailBefore: true, testserver.DropAfter: true, testserver.Deny: false,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			f := start(t)
			f.save(f.store(), oauthstore.OAuthToken{ID: "a", AccessToken: "one"})
			d := f.driverOver(f.emulator())
			base := f.get(d, engine.None, "one")
			calls := 0
			d.client = &meddler{Client: d.client, put: func(_ *sm.PutSecretValueInput, call func() (*sm.PutSecretValueOutput, error)) (*sm.PutSecretValueOutput, error) {
				if calls++; calls == 2 {
					f.srv.Inject(testserver.Fault{Op: "PutSecretValue", Kind: kind})
				}
				return call()
			}}
			_, err := d.Put(f.ctx, "token_a", base, document("w", "two"), 0)
			require.Error(t, err)
			require.ErrorContains(t, err, "it could not be made sure that the server guards writes")
			require.NotErrorIs(t, err, oauthstore.ErrAccessDenied, "it would say that nothing is written")
			require.Equal(t, succeeds, passes(err))
			f.put(d, f.get(d, engine.None, "two"), "three")
			require.Equal(t, 4, calls)
			f.put(d, f.get(d, engine.None, "three"), "four")
			require.Equal(t, 5, calls)
		})
	}
}

// A process that only refreshes tokens may have no permission to create secrets.
func TestGuard_doesNotTakeThePermissionToCreateSecrets(t *testing.T) {
	f := start(t)
	f.save(f.store(), oauthstore.OAuthToken{ID: "a", AccessToken: "one"})
	f.srv.Inject(testserver.Fault{Op: "CreateSecret", Kind: testserver.Deny, Times: -1})
	s := f.storeOver(f.emulator())
	for _, access := range []string{"two", "three"} {
		f.save(s, oauthstore.OAuthToken{ID: "a", AccessToken: access})
	}
	require.Equal(t, 1, f.srv.Count("CreateSecret")-2, "it is asked once")
}

func TestFromAWS_goesByTheHostOfTheRequest(t *testing.T) {
	answer := func(address string) middleware.Metadata {
		r, err := http.NewRequest(http.MethodPost, address, nil)
		require.NoError(t, err)
		_, metadata, err := awsmiddleware.AddRawResponse{}.HandleDeserialize(t.Context(), middleware.DeserializeInput{}, middleware.DeserializeHandlerFunc(
			func(context.Context, middleware.DeserializeInput) (out middleware.DeserializeOutput, m middleware.Metadata, err error) {
				out.RawResponse = &smithyhttp.Response{Response: &http.Response{Request: r}}
				return out, m, nil
			}))
		require.NoError(t, err)
		return metadata
	}
	for _, address := range []string{
		"https://secretsmanager.us-east-1.amazonaws.com/", "https://secretsmanager-fips.us-gov-west-1.amazonaws.com",
		"https://secretsmanager.cn-north-1.amazonaws.com.cn", "https://secretsmanager.eu-west-1.api.aws",
		"https://vpce-0a1b-2c3d.secretsmanager.eu-west-1.vpce.amazonaws.com", "https://secretsmanager.eusc-de-east-1.amazonaws.eu",
	} {
		require.True(t, fromAWS(answer(address)), address)
	}
	for _, address := range []string{
		"http://localhost:4566", "http://127.0.0.1:5000", "http://localhost.localstack.cloud:4566", "https://notamazonaws.com",
		"https://amazonaws.com.example.com", "https://secrets.example.com/amazonaws.com",
	} {
		require.False(t, fromAWS(answer(address)), address)
	}
	require.False(t, fromAWS(middleware.Metadata{}), "a client that is not the SDK's")
}
