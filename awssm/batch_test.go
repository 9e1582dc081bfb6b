package awssm

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/testserver"
)

// fill saves n tokens and returns their ids, sorted.
func (f fixture) fill(n int) []string {
	f.t.Helper()
	s := f.store()
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("id%03d", i))
		f.save(s, oauthstore.OAuthToken{ID: ids[i], AccessToken: "access " + ids[i]})
	}
	f.srv.ResetRequests()
	return ids
}

// many reads through a driver and returns the access tokens and errors by name; what is absent is "".
func (f fixture) many(d *driver, names ...string) map[string]string {
	got := make(map[string]string)
	d.GetMany(f.ctx, names, func(name string, rec engine.Record, rev engine.Rev, err error) {
		require.NotContains(f.t, got, name, "told twice")
		switch {
		case errors.Is(err, engine.ErrAlone):
			got[name] = "alone"
		case err != nil:
			got[name] = "error: " + err.Error()
		case rec.Live():
			got[name], err = rec.Document.Get("access_token")
			require.NoError(f.t, err)
			require.NotEqual(f.t, notThere, rev)
		default:
			require.Equal(f.t, notThere, rev)
			got[name] = ""
		}
	})
	return got
}

func TestGetTokens_readsTwentyInACall(t *testing.T) {
	for n, calls := range map[int]int{0: 0, 1: 1, 20: 1, 21: 2, 59: 3} {
		f := start(t)
		want := f.fill(n)
		require.ElementsMatch(t, want, f.ids(f.store()))
		require.Equal(t, calls, f.srv.Count("BatchGetSecretValue"), "%d tokens", n)
		require.Equal(t, 1, f.srv.Count("GetSecretValue"), "%d tokens: the index only", n)
		for _, r := range f.srv.Requests() {
			require.LessOrEqual(t, len(r.Secrets), 20)
		}
	}
}

func TestGetMany_tellsOfEachNameWhatGetWouldOrLeavesItToGet(t *testing.T) {
	f := start(t)
	f.fill(3)
	f.edit("oauthstore/token_id001", `TOP-SECRET`)
	f.remove("oauthstore/token_id002")
	_, err := f.CreateSecret(f.ctx, &sm.CreateSecretInput{Name: aws.String("oauthstore/token_empty")})
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"token_id000":   "access id000",
		"token_id001":   `error: oauthstore: corrupt record: secret "oauthstore/token_id001": not a JSON object`,
		"token_id002":   "alone",
		"token_empty":   "",
		"token_missing": "",
	}, f.many(f.driver(), "token_id000", "token_id001", "token_id002", "token_empty", "token_missing"))
}

func TestGetTokens_skipsWhatIsDeletedAndMissing(t *testing.T) {
	f := start(t, awssmtest.WithDeletionDelay(time.Hour))
	want := f.fill(4)
	f.remove("oauthstore/token_id000")
	_, err := f.DeleteSecret(f.ctx, &sm.DeleteSecretInput{
		SecretId: aws.String("oauthstore/token_id001"), ForceDeleteWithoutRecovery: aws.Bool(true),
	})
	require.NoError(t, err)
	require.Equal(t, want[2:], f.ids(f.store()))
	require.Equal(t, 1+2, f.srv.Count("GetSecretValue"), "the index, and what the batch has no value of")
}

func TestGetTokens_returnsTheOthersWhereOneOfTheSecretsIsDenied(t *testing.T) {
	f := start(t)
	f.fill(3)
	const denied = "oauthstore/token_id001"
	// The service reports a secret that the caller may not read among the answer's errors.
	s := f.storeOver(&meddler{Client: f.Client, batch: func(_ *sm.BatchGetSecretValueInput, call func() (*sm.BatchGetSecretValueOutput, error)) (*sm.BatchGetSecretValueOutput, error) {
		out, err := call()
		require.NoError(t, err)
		out.SecretValues = slices.DeleteFunc(out.SecretValues, func(v types.SecretValueEntry) bool { return *v.Name == denied })
		out.Errors = append(out.Errors, types.APIErrorType{
			SecretId: aws.String(denied), ErrorCode: aws.String("AccessDeniedException"), Message: aws.String("not authorized"),
		})
		return out, nil
	}})
	require.Len(t, f.ids(s), 3, "GetSecretValue has the last word")
	f.srv.Inject(testserver.Fault{Op: "GetSecretValue", Secret: denied, Kind: testserver.Deny})
	tokens, err := s.GetTokens(f.ctx)
	require.Len(t, tokens, 2)
	require.ErrorAs(t, err, new(*oauthstore.UnreadableTokensError))
	require.ErrorIs(t, err, oauthstore.ErrAccessDenied)
	require.Contains(t, err.Error(), denied)
}

func TestGetTokens_readsOneByOneWhereTheBatchIsNotToBeHad(t *testing.T) {
	unknown := func(code string) Client {
		return &meddler{batch: func(*sm.BatchGetSecretValueInput, func() (*sm.BatchGetSecretValueOutput, error)) (*sm.BatchGetSecretValueOutput, error) {
			return nil, &smithy.GenericAPIError{Code: code}
		}}
	}
	for name, batch := range map[string]Client{
		"the permission is missing": nil,
		"the operation is unknown":  unknown("UnknownOperationException"),
		"nobody has implemented it": unknown("NotImplemented"),
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			want := f.fill(23)
			s := f.store()
			if m, ok := batch.(*meddler); ok {
				m.Client = f.Client
				s = f.storeOver(m)
			} else {
				f.srv.Inject(testserver.Fault{Op: "BatchGetSecretValue", Kind: testserver.Deny, Times: -1})
			}
			require.Equal(t, want, f.ids(s))
			require.Equal(t, 1+23, f.srv.Count("GetSecretValue"))
		})
	}
}

func TestGetTokens_whereTheBatchIsNotToBeHadReadsInParallelEachWithinTheTimeout(t *testing.T) {
	f := start(t)
	want := f.fill(20)
	f.srv.Inject(testserver.Fault{Op: "BatchGetSecretValue", Kind: testserver.Deny, Times: -1})
	f.srv.SetLatency(60 * time.Millisecond)
	require.Equal(t, want, f.ids(f.store(WithTimeout(time.Second))))
}

func TestGetTokens_doesNotReadOneByOneWhereTheBatchFailsForAnotherReason(t *testing.T) {
	for kind, class := range map[testserver.Kind]error{
		testserver.Throttle: oauthstore.ErrThrottled, testserver.FailBefore: oauthstore.ErrUnavailable, testserver.DropAfter: oauthstore.ErrUnavailable,
	} {
		f := start(t)
		f.fill(21)
		f.srv.Inject(testserver.Fault{Op: "BatchGetSecretValue", Kind: kind, Times: -1})
		_, err := f.store().GetTokens(f.ctx)
		require.ErrorIs(t, err, class)
		require.Equal(t, 1, f.srv.Count("GetSecretValue"), "%v: the index only", kind)
	}
	f := start(t)
	f.fill(2)
	s := f.storeOver(&meddler{Client: f.Client, batch: func(*sm.BatchGetSecretValueInput, func() (*sm.BatchGetSecretValueOutput, error)) (*sm.BatchGetSecretValueOutput, error) {
		return nil, &smithy.GenericAPIError{Code: "ExpiredTokenException"}
	}})
	_, err := s.GetTokens(f.ctx)
	require.ErrorIs(t, err, oauthstore.ErrAccessDenied)
	require.Equal(t, 1, f.srv.Count("GetSecretValue"), "credentials that have expired do not read one by one either")
}

// paged answers in pages of one value, the first of which is empty.
func paged(c Client) *meddler {
	var rest []types.SecretValueEntry
	return &meddler{Client: c, batch: func(in *sm.BatchGetSecretValueInput, call func() (*sm.BatchGetSecretValueOutput, error)) (*sm.BatchGetSecretValueOutput, error) {
		if in.NextToken == nil {
			out, err := call()
			if err == nil {
				rest, out.SecretValues, out.NextToken = out.SecretValues, nil, aws.String("more")
			}
			return out, err
		}
		out := &sm.BatchGetSecretValueOutput{SecretValues: rest[:1]}
		if rest = rest[1:]; len(rest) > 0 {
			out.NextToken = aws.String("more")
		}
		return out, nil
	}}
}

func TestGetTokens_followsPagesThatMayBeEmpty(t *testing.T) {
	f := start(t)
	want := f.fill(5)
	require.Equal(t, want, f.ids(f.storeOver(paged(f.Client))))
	require.Equal(t, 1, f.srv.Count("GetSecretValue"), "the index only")
}

func TestGetMany_passesAFailureOnAPageOnForWhatIsStillMissing(t *testing.T) {
	f := start(t)
	f.fill(3)
	client := paged(f.Client)
	pages, next := 0, client.batch
	client.batch = func(in *sm.BatchGetSecretValueInput, call func() (*sm.BatchGetSecretValueOutput, error)) (*sm.BatchGetSecretValueOutput, error) {
		if pages++; pages == 3 {
			return nil, &types.InternalServiceError{}
		}
		return next(in, call)
	}
	failed := 0
	f.driverOver(client).GetMany(f.ctx, []string{"token_id000", "token_id001", "token_id002"},
		func(_ string, _ engine.Record, _ engine.Rev, err error) {
			if err != nil {
				require.ErrorIs(t, err, oauthstore.ErrUnavailable)
				failed++
			}
		})
	require.Equal(t, 2, failed)
}
