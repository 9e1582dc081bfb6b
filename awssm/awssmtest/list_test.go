package awssmtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/awssm/awssmtest"
)

// names lists the names on all pages.
func (f fixture) names(in secretsmanager.ListSecretsInput) []string {
	f.t.Helper()
	names := []string{}
	p := secretsmanager.NewListSecretsPaginator(f, &in)
	for p.HasMorePages() {
		out, err := p.NextPage(f.ctx)
		require.NoError(f.t, err)
		for _, s := range out.SecretList {
			names = append(names, *s.Name)
		}
	}
	return names
}

func filters(keysAndValues ...string) (list []types.Filter) {
	for i := 0; i < len(keysAndValues); i += 2 {
		list = append(list, types.Filter{
			Key: types.FilterNameStringType(keysAndValues[i]), Values: []string{keysAndValues[i+1]},
		})
	}
	return list
}

func TestListSecrets(t *testing.T) {
	t.Run("pages in the order of creation, either way", func(t *testing.T) {
		f := start(t)
		for i := range 5 {
			f.create(fmt.Sprint(i), "x")
		}
		for size := int32(1); size < 7; size++ {
			require.Equal(t, []string{"0", "1", "2", "3", "4"}, f.names(secretsmanager.ListSecretsInput{
				MaxResults: &size, SortOrder: types.SortOrderTypeAsc,
			}))
			require.Equal(t, []string{"4", "3", "2", "1", "0"}, f.names(secretsmanager.ListSecretsInput{
				MaxResults: &size, SortOrder: types.SortOrderTypeDesc,
			}))
		}
	})
	t.Run("tells everything but the value", func(t *testing.T) {
		f := start(t)
		_, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{
			Name: aws.String("a"), Description: aws.String("d"), SecretString: aws.String("x"),
			ClientRequestToken: aws.String(token("v1")), KmsKeyId: aws.String("alias/mine"),
			Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
		})
		require.NoError(t, err)
		out, err := f.ListSecrets(f.ctx, &secretsmanager.ListSecretsInput{})
		require.NoError(t, err)
		entry := out.SecretList[0]
		require.Equal(t, "d", *entry.Description)
		require.Equal(t, "alias/mine", *entry.KmsKeyId)
		require.Equal(t, map[string][]string{token("v1"): {current}}, entry.SecretVersionsToStages)
		require.Equal(t, "k", *entry.Tags[0].Key)
		require.Nil(t, entry.DeletedDate)
		require.Nil(t, entry.PrimaryRegion)
	})
	t.Run("leaves out what is to be deleted unless asked", func(t *testing.T) {
		f := start(t)
		f.create("a", "x")
		f.create("b", "x")
		require.NoError(t, f.delete("a", 7))
		require.Equal(t, []string{"b"}, f.names(secretsmanager.ListSecretsInput{}))
		require.Equal(t, []string{"a", "b"},
			f.names(secretsmanager.ListSecretsInput{IncludePlannedDeletion: aws.Bool(true)}))
		f.srv.Advance(7 * day)
		require.Equal(t, []string{"b"},
			f.names(secretsmanager.ListSecretsInput{IncludePlannedDeletion: aws.Bool(true)}))
	})
}

func TestListSecrets_sortsByNameChangeAndAccess(t *testing.T) {
	f := start(t)
	for _, name := range []string{"b", "c", "a"} {
		f.create(name, "x")
	}
	f.mustPut("b", "v2", "y")
	f.srv.Advance(2 * day)
	f.mustGet("c")
	for by, want := range map[string]string{
		"created-date": "bca", "last-changed-date": "cab", "last-accessed-date": "c", "name": "abc",
	} {
		_, out := f.post("ListSecrets", `{"SortBy":"`+by+`"}`, nil)
		got := ""
		for _, entry := range out["SecretList"].([]any) {
			got += entry.(map[string]any)["Name"].(string)
		}
		require.Contains(t, got, want, by)
	}
}

func TestListSecrets_refusals(t *testing.T) {
	t.Run("refuses a token that is not its own", func(t *testing.T) {
		f := start(t)
		f.create("a", "x")
		f.create("b", "x")
		out, err := f.ListSecrets(f.ctx, &secretsmanager.ListSecretsInput{MaxResults: aws.Int32(1)})
		require.NoError(t, err)
		_, err = f.ListSecretVersionIds(f.ctx, &secretsmanager.ListSecretVersionIdsInput{
			SecretId: aws.String("a"), NextToken: out.NextToken,
		})
		var invalid *types.InvalidNextTokenException
		require.ErrorAs(t, err, &invalid)
		for _, token := range []string{"?", "AAAA"} {
			_, err = f.ListSecrets(f.ctx, &secretsmanager.ListSecretsInput{NextToken: &token})
			require.ErrorAs(t, err, &invalid)
		}
	})
	t.Run("refuses sizes, orders and filters out of range", func(t *testing.T) {
		f := start(t)
		for _, in := range []secretsmanager.ListSecretsInput{
			{MaxResults: aws.Int32(0)},
			{MaxResults: aws.Int32(101)},
			{SortOrder: "up"},
			{Filters: filters("colour", "x")},
			{Filters: filters("name", "a*")},
			{Filters: []types.Filter{{Key: "name", Values: []string{}}}},
			{Filters: []types.Filter{{Key: "name", Values: make([]string, 11)}}},
			{Filters: make([]types.Filter, 11)},
		} {
			_, err := f.ListSecrets(f.ctx, &in)
			requireCode(t, err, "ValidationException", "failed to satisfy constraint")
		}
	})
}

func TestListSecrets_filters(t *testing.T) {
	f := start(t)
	for _, s := range []struct{ name, description, key, value string }{
		{"app/One", "First secret", "team", "red"},
		{"app/two", "second Secret", "Team", "blue"},
		{"lib/one", "third", "team", "redder"},
	} {
		_, err := f.CreateSecret(f.ctx, &secretsmanager.CreateSecretInput{
			Name: &s.name, Description: &s.description,
			Tags: []types.Tag{{Key: &s.key, Value: &s.value}},
		})
		require.NoError(t, err)
	}
	one, two, lib := "app/One", "app/two", "lib/one"
	cases := []struct {
		rule    string
		filters []types.Filter
		want    []string
	}{
		{"a name is a prefix", filters("name", "app/"), []string{one, two}},
		{"and its case counts", filters("name", "app/o"), []string{}},
		{"a negated name excludes", filters("name", "!app/"), []string{lib}},
		{"a description is a prefix whose case does not count", filters("description", "FIRST"), []string{one}},
		{"a tag key is a prefix", filters("tag-key", "tea"), []string{one, lib}},
		{"a tag value is a prefix", filters("tag-value", "red"), []string{one, lib}},
		{"filters are all to match", filters("tag-value", "red", "name", "lib"), []string{lib}},
		{"all means words in any attribute", filters("all", "secret BLUE"), []string{two}},
		{"no secret has an owning service", filters("owning-service", "x"), []string{}},
		{
			"values are alternatives",
			[]types.Filter{{Key: "name", Values: []string{"lib", "app/t"}}},
			[]string{two, lib},
		},
		{
			"a negated value counts before others",
			[]types.Filter{{Key: "name", Values: []string{"app/", "!app/t"}}},
			[]string{one},
		},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			require.Equal(t, c.want, f.names(secretsmanager.ListSecretsInput{Filters: c.filters}))
		})
	}
}

func TestListingDelay(t *testing.T) {
	f := start(t, awssmtest.WithListingDelay(awssmtest.WorstListingDelay))
	f.create("a", "x")
	list := func() []string { return f.names(secretsmanager.ListSecretsInput{}) }
	require.Empty(t, list(), "a new secret is not listed")
	_, err := f.describe("a")
	require.NoError(t, err, "though it can be described")

	f.srv.Advance(5 * time.Minute)
	require.Equal(t, []string{"a"}, list())
	out, err := f.BatchGetSecretValue(f.ctx, &secretsmanager.BatchGetSecretValueInput{Filters: filters("name", "a")})
	require.NoError(t, err)
	require.Len(t, out.SecretValues, 1)

	require.NoError(t, f.forceDelete("a"))
	require.Equal(t, []string{"a"}, list(), "a deleted secret is still listed")
	out, err = f.BatchGetSecretValue(f.ctx, &secretsmanager.BatchGetSecretValueInput{Filters: filters("name", "a")})
	require.NoError(t, err)
	require.Len(t, out.Errors, 1)
	f.srv.Advance(6 * time.Minute)
	require.Empty(t, list())
}
