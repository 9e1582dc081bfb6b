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
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/testserver"
)

// createAll creates secrets by the console, and forgets the requests.
func (f fixture) createAll(names ...string) {
	f.t.Helper()
	for _, name := range names {
		_, err := f.CreateSecret(f.ctx, &sm.CreateSecretInput{Name: &name, SecretString: aws.String("{}")})
		require.NoError(f.t, err)
	}
	f.srv.ResetRequests()
}

// numbered returns n names with the prefix before them, and without it.
func numbered(prefix string, n int) (full, names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("token_%03d", i))
		full = append(full, prefix+names[i])
	}
	return full, names
}

// list returns the names that a driver lists until the list ends.
func (f fixture) list(d *driver) ([]string, error) {
	names := []string{}
	err := d.List(f.ctx, func(page []string) bool {
		names = append(names, page...)
		return true
	})
	return names, err
}

func (f fixture) requireList(d *driver, want ...string) {
	f.t.Helper()
	got, err := f.list(d)
	require.NoError(f.t, err)
	require.ElementsMatch(f.t, want, got)
}

func TestList_isEmptyWhereThereIsNothing(t *testing.T) {
	f := start(t)
	f.requireList(f.driver())
	require.Equal(t, map[string]int{"ListSecrets": 1}, f.srv.Counts())
}

func TestList_tellsOfWhatAStoreSaves(t *testing.T) {
	f := start(t)
	s := f.store()
	f.save(s, oauthstore.OAuthToken{ID: "a", AccessToken: "one"})
	f.save(s, oauthstore.OAuthToken{ID: "b", AccessToken: "two"})
	require.NoError(t, s.DeleteToken(f.ctx, "a"))
	var want []string
	for _, name := range f.names() {
		want = append(want, strings.TrimPrefix(name, "oauthstore/"))
	}
	require.Contains(t, want, "token_b")
	require.NotContains(t, want, "token_a")
	f.requireList(f.driver(), want...)
}

func TestList_readsAHundredInACall(t *testing.T) {
	for n, calls := range map[int]int{1: 1, 100: 1, 101: 2, 250: 3} {
		f := start(t)
		full, want := numbered("oauthstore/", n)
		f.createAll(full...)
		f.requireList(f.driver(), want...)
		require.Equal(t, map[string]int{"ListSecrets": calls}, f.srv.Counts(), "%d secrets", n)
	}
}

func TestList_followsPagesThatAreEmpty(t *testing.T) {
	f := start(t)
	others, _ := numbered("other/", 200)
	f.createAll(others...)
	f.createAll("oauthstore/index", "oauthstore/token_a")
	empty := 0
	f.requireList(f.driverOver(&meddler{Client: f.Client, list: func(_ *sm.ListSecretsInput, call func() (*sm.ListSecretsOutput, error)) (*sm.ListSecretsOutput, error) {
		out, err := call()
		if err == nil && len(out.SecretList) == 0 && out.NextToken != nil {
			empty++
		}
		return out, err
	}}), "index", "token_a")
	require.Equal(t, 2, empty, "this test shows nothing")
	require.Equal(t, 3, f.srv.Count("ListSecrets"))
}

// besides are the secrets of several stores and of nobody, by the prefix that they belong to.
var besides = map[string][]string{
	"a":     {"index", "token_x"},
	"A":     {"index", "token_upper"},
	"ab":    {"index", "token_y"},
	"a/b":   {"index", "token_z"},
	"a/b/c": {"token_deep"},
	"b/a":   {"token_x"},
}

// makeBesides creates besides and more that no store has made.
func (f fixture) makeBesides() {
	f.t.Helper()
	for prefix, names := range besides {
		d := f.driver(WithPrefix(prefix))
		for _, name := range names {
			f.createAll(d.FullName(name))
		}
	}
	f.createAll("a", "a/", "a/x.y", "a/x=20y", "a/"+strings.Repeat("x", maxName-1), "token_x", "index")
}

func TestList_leavesOutWhatIsNotUnderThePrefixOrOfAnotherStore(t *testing.T) {
	f := start(t)
	f.makeBesides()
	for prefix, want := range besides {
		f.requireList(f.driver(WithPrefix(prefix)), want...)
	}
	f.requireList(f.driver(WithPrefix("b")))
}

func TestList_checksWhatTheServerDoesNotFilter(t *testing.T) {
	f := start(t)
	f.makeBesides()
	f.createAll("a/token_gone")
	f.remove("a/token_gone")
	ignorant := &meddler{Client: f.Client, list: func(in *sm.ListSecretsInput, _ func() (*sm.ListSecretsOutput, error)) (*sm.ListSecretsOutput, error) {
		return f.ListSecrets(f.ctx, &sm.ListSecretsInput{NextToken: in.NextToken, IncludePlannedDeletion: aws.Bool(true)})
	}}
	for prefix, want := range besides {
		f.requireList(f.driverOver(ignorant, WithPrefix(prefix)), want...)
	}
}

func TestList_asksForThePrefixInPagesOfAHundred(t *testing.T) {
	f := start(t)
	f.createAll("a/token_b", "oauthstore/token_c")
	for prefix, want := range map[string][]string{"oauthstore": {"token_c"}, "a": {"token_b"}, "v1.2@x+y=z_/q-": nil} {
		var asked []sm.ListSecretsInput
		d := f.driverOver(&meddler{Client: f.Client, list: func(in *sm.ListSecretsInput, call func() (*sm.ListSecretsOutput, error)) (*sm.ListSecretsOutput, error) {
			asked = append(asked, *in)
			return call()
		}}, WithPrefix(prefix))
		f.requireList(d, want...)
		require.Len(t, asked, 1)
		require.Equal(t, int32(100), *asked[0].MaxResults)
		require.False(t, aws.ToBool(asked[0].IncludePlannedDeletion))
		require.Equal(t, []types.Filter{{Key: "name", Values: []string{prefix + "/"}}}, asked[0].Filters)
	}
}

func TestList_leavesOutWhatIsDeletedOrWaitsForIt(t *testing.T) {
	f := start(t, awssmtest.WithDeletionDelay(time.Hour))
	f.createAll("oauthstore/token_a", "oauthstore/token_window", "oauthstore/token_forced")
	f.remove("oauthstore/token_window")
	_, err := f.DeleteSecret(f.ctx, &sm.DeleteSecretInput{
		SecretId: aws.String("oauthstore/token_forced"), ForceDeleteWithoutRecovery: aws.Bool(true),
	})
	require.NoError(t, err)
	f.requireList(f.driver(), "token_a")
	f.srv.Advance(2 * time.Hour)
	f.requireList(f.driver(), "token_a")

	_, err = f.RestoreSecret(f.ctx, &sm.RestoreSecretInput{SecretId: aws.String("oauthstore/token_window")})
	require.NoError(t, err)
	f.requireList(f.driver(), "token_a", "token_window")
}

func TestList_lagsAsTheServiceDoes(t *testing.T) {
	f := start(t, awssmtest.WithListingDelay(awssmtest.WorstListingDelay))
	f.createAll("oauthstore/token_a", "oauthstore/token_b")
	f.requireList(f.driver())
	f.srv.Advance(awssmtest.WorstListingDelay)
	f.requireList(f.driver(), "token_a", "token_b")

	f.remove("oauthstore/token_a")
	f.requireList(f.driver(), "token_a", "token_b")
	f.srv.Advance(awssmtest.WorstListingDelay)
	f.requireList(f.driver(), "token_b")
}

func TestList_stopsWhereYieldSaysSo(t *testing.T) {
	full, _ := numbered("oauthstore/", 201)
	f := start(t)
	f.createAll(full...)
	for pages := 1; pages <= 3; pages++ {
		f.srv.ResetRequests()
		got := 0
		require.NoError(t, f.driver().List(f.ctx, func([]string) bool {
			got++
			return got < pages
		}))
		require.Equal(t, pages, got)
		require.Equal(t, pages, f.srv.Count("ListSecrets"))
	}
}

// The filter lets the secrets of a longer prefix through. A page of these yields no names, but the service has
// answered.
func TestList_yieldsOnceForEachPage(t *testing.T) {
	others, _ := numbered("oauthstore/staging/", 200)
	f := start(t)
	f.createAll(append(others, "oauthstore/token_a")...)
	var pages []int
	require.NoError(t, f.driver().List(f.ctx, func(names []string) bool {
		pages = append(pages, len(names))
		return true
	}))
	require.Len(t, pages, 3)
	require.ElementsMatch(t, []int{0, 0, 1}, pages)
}

func TestList_filesFailuresOfAnyPage(t *testing.T) {
	full, names := numbered("oauthstore/", 101)
	f := start(t)
	f.createAll(full...)
	for _, c := range []struct {
		kind  testserver.Kind
		class error
		text  string
	}{
		{testserver.Deny, oauthstore.ErrAccessDenied, "awssm: ListSecrets: access denied (AccessDeniedException)"},
		{testserver.Throttle, oauthstore.ErrThrottled, "(ThrottlingException)"},
		{testserver.FailBefore, oauthstore.ErrUnavailable, "(InternalServiceError)"},
		{testserver.DropAfter, oauthstore.ErrUnavailable, "awssm: ListSecrets: "},
	} {
		for page, want := range [][]string{{}, names[:100]} {
			f.srv.ResetRequests()
			f.srv.Inject(testserver.Fault{Op: "ListSecrets", Kind: c.kind, Skip: page})
			got, err := f.list(f.driver())
			enginetest.RequireClass(t, err, c.class)
			require.ErrorContains(t, err, c.text)
			require.Len(t, got, len(want), "%v on page %d", c.kind, page)
			require.Equal(t, page+1, f.srv.Count("ListSecrets"))
		}
	}
}

func TestList_endsWithTheContext(t *testing.T) {
	full, _ := numbered("oauthstore/", 101)
	f := start(t)
	f.createAll(full...)
	t.Run("that is over before", func(t *testing.T) {
		f.srv.ResetRequests()
		ctx, cancel := context.WithCancel(f.ctx)
		cancel()
		err := f.driver().List(ctx, func([]string) bool { panic("nothing can be known") })
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, f.srv.Count())
	})
	t.Run("that is cancelled between pages", func(t *testing.T) {
		f.srv.ResetRequests()
		ctx, cancel := context.WithCancel(f.ctx)
		defer cancel()
		got := 0
		err := f.driver().List(ctx, func([]string) bool {
			cancel()
			got++
			return true
		})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 1, got)
		require.Equal(t, 1, f.srv.Count())
	})
	t.Run("that ends while the service hangs", func(t *testing.T) {
		f.srv.Inject(testserver.Fault{Op: "ListSecrets", Kind: testserver.Hang})
		ctx, cancel := context.WithTimeout(f.ctx, 20*time.Millisecond)
		defer cancel()
		err := f.driver().List(ctx, func([]string) bool { return true })
		enginetest.RequireClass(t, err, oauthstore.ErrUnavailable, context.DeadlineExceeded)
	})
}

func TestList_failsWhereTheServerGoesRoundInCircles(t *testing.T) {
	for name, tokens := range map[string][]string{
		"the same token for ever": {"1"},
		"several tokens in turn":  {"1", "2", "3"},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			calls := 0
			got, err := f.list(f.driverOver(&meddler{Client: f.Client, list: func(*sm.ListSecretsInput, func() (*sm.ListSecretsOutput, error)) (*sm.ListSecretsOutput, error) {
				out := &sm.ListSecretsOutput{NextToken: &tokens[calls%len(tokens)]}
				if calls++; calls == 1 {
					out.SecretList = []types.SecretListEntry{{Name: aws.String("oauthstore/token_a")}}
				}
				return out, nil
			}}))
			enginetest.RequireClass(t, err)
			require.ErrorContains(t, err, "awssm: ListSecrets: the server gives a NextToken again")
			require.Equal(t, []string{"token_a"}, got)
			require.Equal(t, len(tokens)+1, calls)
		})
	}
}

func TestList_endsWithATokenThatIsEmpty(t *testing.T) {
	f := start(t)
	f.requireList(f.driverOver(&meddler{Client: f.Client, list: func(*sm.ListSecretsInput, func() (*sm.ListSecretsOutput, error)) (*sm.ListSecretsOutput, error) {
		return &sm.ListSecretsOutput{NextToken: aws.String(""), SecretList: []types.SecretListEntry{
			{Name: aws.String("oauthstore/token_a")}, {},
		}}, nil
	}}), "token_a")
}
