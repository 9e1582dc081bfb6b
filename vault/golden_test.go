package vault

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

// Other releases look for these names. The ids of users come from package oauthstore's test vectors.
func TestGolden_secretsOfAToken(t *testing.T) {
	b := newBackend(t)
	s := b.NewStore(t)
	for _, token := range []oauthstore.OAuthToken{
		{UserName: "alice", ClientID: "another", RefreshToken: "r"}, {UserName: "alice", ClientID: "1000.CLIENT", RefreshToken: "r"},
		{ID: "alice@example.com", RefreshToken: "r"}, {ID: "日本語", RefreshToken: "r"},
	} {
		require.NoError(t, s.SaveToken(t.Context(), &token))
	}
	var names []string
	for _, secret := range b.srv.Secrets() {
		names = append(names, secret.Mount+secret.Path)
	}
	slices.Sort(names)
	require.Equal(t, []string{
		"secret/oauthstore/index", "secret/oauthstore/token32_42l2lzu4vtukvhq", "secret/oauthstore/token_alice_40example_2ecom",
		"secret/oauthstore/token_cia35wqbzpwuzzvcwme562lrm7filgf3i", "secret/oauthstore/token_udpiqvxv7krcwekjsnjofrotcpz7f3afc",
	}, names)
	d := b.driver()
	require.Equal(t, "secret/oauthstore/token_x", d.FullName("token_x"))
	require.Equal(t, "secret/metadata/oauthstore/token_x", d.path("metadata", "token_x"))
}

func TestGolden_revisions(t *testing.T) {
	require.Equal(t, "12", string(version(12)))
}
