package awssm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

func TestNamePrefix_isWithPrefixAndTheSeparatorAndBeginsEveryName(t *testing.T) {
	f := start(t)
	require.Equal(t, "oauthstore/", f.store().NamePrefix())
	for _, prefix := range []string{"my-app", "oauth/prod", "my_app", "v1.2@x+y-z", "a=b", "arn", "a-AbCdEf", strings.Repeat("x", 191)} {
		s := f.store(WithPrefix(prefix))
		require.Equal(t, prefix+"/", s.NamePrefix())
		f.save(s, oauthstore.OAuthToken{ID: "alice", AccessToken: "a"})
		require.Contains(t, f.names(), s.NamePrefix()+"token_alice")
		require.Contains(t, f.names(), s.NamePrefix()+"index")
	}
}

// A prefix that a name cannot hold unchanged would lead to other names than a user's policies have.
func TestWithPrefix_refusesWhatIsNotWrittenInNamesAsItIs(t *testing.T) {
	f := start(t)
	for _, prefix := range []string{
		"", "/", "my-app/", "/my-app", "my//app", "my app", "app*", "app?", "app!", "a:b", "münchen", "日本語", "a\n", "\x00", "\xff", "%20",
		strings.Repeat("x", 192),
	} {
		_, err := New(f.Client, WithPrefix(prefix))
		require.ErrorContains(t, err, "awssm: WithPrefix: ", "prefix %q", prefix)
		require.ErrorContains(t, err, "want ", "prefix %q", prefix)
	}
	require.Zero(t, f.srv.Count())
}

func TestWithPrefix_storesNeverSeeEachOther(t *testing.T) {
	for _, pair := range []struct{ prefix, id, otherPrefix, otherID string }{
		{"a", "x", "b", "x"},
		{"a", "b/index", "a/b", "x"},
		{"a", "b", "a/token_b", "index"},
		{"a", "b/token_x", "a/b", "x"},
		{"a", "index", "a/token_index", "x"},
		{"a", "x", "A", "x"},
	} {
		f := start(t)
		one, other := f.store(WithPrefix(pair.prefix)), f.store(WithPrefix(pair.otherPrefix))
		f.save(one, oauthstore.OAuthToken{ID: pair.id, UserName: "user", AccessToken: "one"})
		f.save(other, oauthstore.OAuthToken{ID: pair.otherID, UserName: "user", AccessToken: "other"})
		require.Len(t, f.names(), 4, "%+v", pair)
		require.Equal(t, []string{pair.id}, f.ids(one), "%+v", pair)
		require.Equal(t, []string{pair.otherID}, f.ids(other), "%+v", pair)
		require.Equal(t, "one", f.find(one, pair.id).AccessToken, "%+v", pair)
		require.Equal(t, "other", f.find(other, pair.otherID).AccessToken, "%+v", pair)
		require.NoError(t, one.DeleteTokens(f.ctx))
		require.Equal(t, []string{pair.otherID}, f.ids(other), "%+v", pair)
		require.Equal(t, "other", f.find(other, pair.otherID).AccessToken, "%+v", pair)
	}
}

func TestFindTokenByID_ofAnIDThatDoesNotFitBesideThePrefixIsBothInvalidAndNotFound(t *testing.T) {
	f := start(t)
	s := f.store(WithPrefix(strings.Repeat("p", 191)))
	long := strings.Repeat("x", 64-len("token_")+1)
	_, err := s.FindTokenByID(f.ctx, long)
	require.ErrorIs(t, err, oauthstore.ErrInvalidToken)
	require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
	require.ErrorIs(t, s.SaveToken(f.ctx, &oauthstore.OAuthToken{ID: long, AccessToken: "a"}), oauthstore.ErrInvalidToken)
	require.Zero(t, f.srv.Count())
	f.save(s, oauthstore.OAuthToken{ID: long[1:], AccessToken: "a"})
	require.Equal(t, []string{long[1:]}, f.ids(s))
}

func TestPolicies_areForTheNamePrefix(t *testing.T) {
	prefix := start(t).store().NamePrefix()
	for _, file := range []string{"reader", "writer", "admin"} {
		policy, err := os.ReadFile(filepath.Join("..", "policies", "aws", file+".json"))
		require.NoError(t, err)
		require.Contains(t, string(policy), `"arn:aws:secretsmanager:*:*:secret:`+prefix+`*"`)
	}
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	require.NoError(t, err)
	require.Contains(t, string(readme), "arn:aws:secretsmanager:REGION:ACCOUNT:secret:"+start(t).store(WithPrefix("my-app")).NamePrefix()+"*")
}
