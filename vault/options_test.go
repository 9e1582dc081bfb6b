package vault

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

func TestNew_refusesOptionsByName(t *testing.T) {
	b := newBackend(t)
	for option, o := range map[string]Option{
		"WithMount":          WithMount("a/../b"),
		"WithPrefix":         WithPrefix(""),
		"WithCodec":          WithCodec(nil),
		"WithCustomMetadata": WithCustomMetadata(map[string]string{"key": ""}),
		"WithMaxVersions":    WithMaxVersions(-1),
		"WithTimeout":        WithTimeout(0),
	} {
		_, err := New(b.client(), o)
		require.ErrorContains(t, err, option)
	}
	_, err := New(b.client(), WithTimeout(time.Hour))
	require.ErrorContains(t, err, "WithTimeout")
	for _, mount := range []string{"", "..", "a//b", "/..", "secret/*", "secret?x"} {
		_, err := New(b.client(), WithMount(mount))
		require.ErrorContains(t, err, "WithMount", mount)
	}
	for _, prefix := range []string{
		"/", "my-app/", "/my-app", "my//app", "..", ".", "../a", "a/..", ".a", "a b", "a*", "a+", "é", "a%2fb", "a?b", strings.Repeat("x", 256),
	} {
		_, err := New(b.client(), WithPrefix(prefix))
		require.ErrorContains(t, err, "vault: WithPrefix: ", prefix)
		require.ErrorContains(t, err, "want ", prefix)
	}
	_, err = New(nil)
	require.ErrorContains(t, err, "client")
}

func TestNew_ignoresNilOptionsAndRefusesACodecThatIsNil(t *testing.T) {
	b := newBackend(t)
	_, err := New(b.client(), nil, WithPrefix("p"), nil)
	require.NoError(t, err)
	_, err = New(b.client(), WithCodec((*codec.Encrypted)(nil)))
	require.EqualError(t, err, "vault: WithCodec: the codec is nil")
}

func TestPrefix_keepsStoresApart(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	prefixes := []string{"a", "a/b", "a/token_x", "a/index", "a.b", "a=b", "a_b", "=", "a..b", "a.", "A", strings.Repeat("x", 255)}
	stores := make([]*Store, len(prefixes))
	for i, prefix := range prefixes {
		var err error
		stores[i], err = New(b.client(), WithPrefix(prefix))
		require.NoError(t, err)
		require.NoError(t, stores[i].SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", UserName: prefix, AccessToken: "a"}))
		require.NoError(t, stores[i].SaveToken(ctx, &oauthstore.OAuthToken{ID: "index", AccessToken: "a"}))
		require.NoError(t, stores[i].SaveToken(ctx, &oauthstore.OAuthToken{ID: "b/token_x", AccessToken: "a"}))
	}
	for i, prefix := range prefixes {
		tokens, err := stores[i].GetTokens(ctx)
		require.NoError(t, err)
		require.Len(t, tokens, 3, prefix)
		token, err := stores[i].FindTokenByID(ctx, "x")
		require.NoError(t, err)
		require.Equal(t, prefix, token.UserName)
		require.Equal(t, prefix+"/", stores[i].NamePrefix())
		secret, err := b.client().KVv2("secret").Get(ctx, stores[i].NamePrefix()+"token_x")
		require.NoError(t, err)
		require.Equal(t, prefix, secret.Data["user_name"])
	}
}

func TestNewSecrets_haveTheOptionsMetadata(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s, err := New(b.client(), WithPrefix("team/app"), WithMaxVersions(3), WithCustomMetadata(map[string]string{"owner": "team"}))
	require.NoError(t, err)
	token := &oauthstore.OAuthToken{ID: "alice", AccessToken: "0"}
	for _, access := range strings.Split("abcdefgh", "") {
		token.AccessToken = access
		require.NoError(t, s.SaveToken(ctx, token))
	}
	m, err := b.client().KVv2("secret").GetMetadata(ctx, "team/app/token_alice")
	require.NoError(t, err)
	require.Equal(t, 3, m.MaxVersions)
	require.Len(t, m.Versions, 3)
	require.Equal(t, "team", m.CustomMetadata["owner"])
}

func TestVersions_oneIsKeptUnlessToldOtherwise(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	token := &oauthstore.OAuthToken{ID: "alice", AccessToken: "0"}
	for _, access := range strings.Split("abcdefgh", "") {
		token.AccessToken = access
		require.NoError(t, s.SaveToken(ctx, token))
	}
	versions, err := b.client().KVv2("secret").GetVersionsAsList(ctx, "oauthstore/token_alice")
	require.NoError(t, err)
	require.Len(t, versions, 1)
}

func TestFields_areTheSecretsKeys(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	require.NoError(t, b.NewStore(t).SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", UserName: "Alice", AccessToken: "access", RefreshToken: "refresh"}))
	secret, err := b.client().KVv2("secret").Get(ctx, "oauthstore/token_alice")
	require.NoError(t, err)
	require.Equal(t, "access", secret.Data["access_token"])
	require.Equal(t, "refresh", secret.Data["refresh_token"])
	require.Equal(t, "Alice", secret.Data["user_name"])
	for key, value := range secret.Data {
		require.IsType(t, "", value, key)
	}
}

func TestEqualSaves_leaveOneVersion(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s, err := New(b.client(), WithMaxVersions(0))
	require.NoError(t, err)
	for range 1000 {
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "access"}))
	}
	versions, err := b.client().KVv2("secret").GetVersionsAsList(ctx, "oauthstore/token_alice")
	require.NoError(t, err)
	require.Len(t, versions, 1)
}

func TestPolicies_areForTheNamePrefix(t *testing.T) {
	b := newBackend(t)
	for file, branches := range map[string][]string{
		filepath.Join("policies", "vault", "reader.hcl"): {"data"},
		filepath.Join("policies", "vault", "writer.hcl"): {"data", "metadata"},
		filepath.Join("policies", "vault", "admin.hcl"):  {"data", "metadata", "destroy"},
		"README.md": {"data", "metadata", "destroy"},
	} {
		text, err := os.ReadFile(filepath.Join("..", file))
		require.NoError(t, err)
		prefix := "oauthstore"
		if file == "README.md" {
			prefix = "my-app"
		}
		s, err := New(b.client(), WithPrefix(prefix))
		require.NoError(t, err)
		for _, branch := range branches {
			require.Contains(t, string(text), `path "secret/`+branch+"/"+s.NamePrefix()+`*"`, file)
		}
	}
}
