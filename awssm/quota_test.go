package awssm

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
)

// requireOverQuota wants the error of a quota, within reach of errors.As.
func requireOverQuota(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, oauthstore.ErrThrottled)
	var quota *types.LimitExceededException
	require.ErrorAs(t, err, &quota)
}

func TestVersionQuota_isErrThrottledAfterOneCallAndEndsAfterADay(t *testing.T) {
	f := start(t)
	s := f.store()
	f.save(s, oauthstore.OAuthToken{ID: "a", RefreshToken: "0"})
	for i := 1; i < 100; i++ {
		f.save(s, oauthstore.OAuthToken{ID: "a", RefreshToken: fmt.Sprint(i)})
	}
	over := &oauthstore.OAuthToken{ID: "a", RefreshToken: "over"}
	s = f.storeOver(f.srv.Client()) // with the SDK's own retries
	f.srv.ResetRequests()
	requireOverQuota(t, s.SaveToken(f.ctx, over))
	require.Equal(t, map[string]int{"GetSecretValue": 1, "PutSecretValue": 1}, f.srv.Counts(), "trying again is no use for hours")
	require.Equal(t, "99", f.find(s, "a").RefreshToken)

	f.srv.Advance(24*time.Hour + time.Minute)
	require.NoError(t, s.SaveToken(f.ctx, over))
	require.Equal(t, "over", f.find(s, "a").RefreshToken)
}

func TestVersionQuota_theLastWritesOfATokenAreKeptForMoreThanItsAccessToken(t *testing.T) {
	f := start(t)
	s := f.store()
	f.save(s, oauthstore.OAuthToken{ID: "a", RefreshToken: "0"})
	var quota *oauthstore.WriteQuotaError
	for i := range 90 {
		err := s.SaveToken(f.ctx, &oauthstore.OAuthToken{ID: "a", AccessToken: fmt.Sprint(i)})
		require.Equal(t, i < 74, err == nil, "save %d: %v", i, err)
		if err != nil {
			require.ErrorAs(t, err, &quota)
		}
	}
	f.save(s, oauthstore.OAuthToken{ID: "a", RefreshToken: "1", AccessToken: "with it"})
	require.Equal(t, "with it", f.find(s, "a").AccessToken)

	all := f.store(WithVersionQuota(0))
	f.save(all, oauthstore.OAuthToken{ID: "a", AccessToken: "all the same"})

	spaced := f.store(WithAccessTokenSpacing(time.Minute))
	token := f.save(spaced, oauthstore.OAuthToken{ID: "a", AccessToken: "not stored"})
	require.Equal(t, "not stored", token.AccessToken)
	require.Equal(t, "all the same", f.find(s, "a").AccessToken)
}

func TestVersionQuota_ofTheIndexKeepsNewTokensOutAndLeavesTheOthersAlone(t *testing.T) {
	f := start(t, awssmtest.WithVersionQuota(3))
	s := f.store()
	for _, id := range []string{"a", "b", "c"} {
		f.save(s, oauthstore.OAuthToken{ID: id, AccessToken: "1"})
	}
	f.srv.ResetRequests()
	requireOverQuota(t, s.SaveToken(f.ctx, &oauthstore.OAuthToken{ID: "d", AccessToken: "1"}))
	require.Equal(t, map[string]int{"GetSecretValue": 1, "PutSecretValue": 1}, f.srv.Counts())
	f.requireNone(s, "d")
	f.save(s, oauthstore.OAuthToken{ID: "a", AccessToken: "2"})
	require.Equal(t, []string{"a", "b", "c"}, f.ids(s))
}

func TestVersionQuota_ofTheIndexDoesNotKeepACredentialFromBeingDeleted(t *testing.T) {
	f := start(t, awssmtest.WithVersionQuota(2))
	s := f.store()
	f.save(s, oauthstore.OAuthToken{ID: "a", AccessToken: "1"})
	f.save(s, oauthstore.OAuthToken{ID: "b", AccessToken: "1"})
	requireOverQuota(t, s.DeleteToken(f.ctx, "a"))
	require.Nil(t, f.secret("oauthstore/token_a"), "the entry has to wait, the credential has to go")
	require.Equal(t, []string{"b"}, f.ids(s))
}

func TestSaveToken_aThousandTimesTheSameMakesOneVersion(t *testing.T) {
	f := start(t)
	s := f.store()
	for range 1000 {
		f.save(s, oauthstore.OAuthToken{ID: "a", UserName: "alice", AccessToken: "1", Expiry: time.UnixMilli(1893456000123)})
	}
	for _, name := range f.names() {
		require.Len(t, f.secret(name).Versions, 1, name)
	}
}

func TestSaveToken_ofATokenThatDoesNotFitIsErrRecordTooLarge(t *testing.T) {
	f := start(t)
	s := f.store()
	fits := oauthstore.OAuthToken{ID: "a", AccessToken: string(make([]byte, 10000))} // six bytes each, as JSON
	f.save(s, fits)
	f.srv.ResetRequests()
	err := s.SaveToken(f.ctx, &oauthstore.OAuthToken{ID: "a", AccessToken: string(make([]byte, 11000))})
	require.ErrorIs(t, err, oauthstore.ErrRecordTooLarge)
	require.Zero(t, f.srv.Count("PutSecretValue"))
	requireToken(t, fits, f.find(s, "a"))
}
