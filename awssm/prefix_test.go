package awssm

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

// allowed is the charset of names (API reference, CreateSecret).
var allowed = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]+$`)

func TestWithPrefix_isWrittenInAllowedCharactersAndNeverTakenForAnother(t *testing.T) {
	prefixes := []string{
		"oauth", "oauth/", "/oauth", "oauth//", "OAuth", "my app", "my=20app", "my%20app", "my_app", "my+app",
		"a", "a/b", "a=2fb", "a/index", "a/token_b", "=", "==", "=3d", "!", " ", "\n", "\x00", "arn:aws:secretsmanager:x",
		"münchen", "mu\u0308nchen", "日本語", "\xff", "a-AbCdEf", strings.Repeat("x", 191),
	}
	f := start(t)
	taken := make(map[string]string)
	for _, prefix := range prefixes {
		d := f.driver(WithPrefix(prefix))
		name := d.FullName("index")
		require.Regexp(t, allowed, name, "prefix %q", prefix)
		require.NotContains(t, taken, name, "prefix %q is written like prefix %q", prefix, taken[name])
		taken[name] = prefix
		s := f.store(WithPrefix(prefix))
		f.save(s, oauthstore.OAuthToken{ID: "id", AccessToken: "a"})
	}
	for _, prefix := range prefixes {
		s := f.store(WithPrefix(prefix))
		require.Equal(t, []string{"id"}, f.ids(s), "prefix %q", prefix)
	}
	require.Len(t, f.names(), 2*len(prefixes))
}

func TestWithPrefix_keepsReadableOnesReadable(t *testing.T) {
	f := start(t)
	for prefix, want := range map[string]string{
		"oauth/prod": "oauth/prod/token_alice",
		"my app":     "my=20app/token_alice",
		"a=b":        "a=3db/token_alice",
		"v1.2@x+y-z": "v1.2@x+y-z/token_alice",
	} {
		f.save(f.store(WithPrefix(prefix)), oauthstore.OAuthToken{ID: "alice", AccessToken: "a"})
		require.Contains(t, f.names(), want)
	}
}

func TestWithPrefix_storesNeverSeeEachOther(t *testing.T) {
	for _, pair := range []struct{ prefix, id, otherPrefix, otherID string }{
		{"a", "x", "b", "x"},
		{"a", "b/index", "a/b", "x"},
		{"a", "b", "a/token_b", "index"},
		{"a", "b/token_x", "a/b", "x"},
		{"a", "index", "a/token_index", "x"},
		{"a/", "x", "a", "/x"},
		{"a", "x", "A", "x"},
		{"a b", "x", "a=20b", "x"},
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
