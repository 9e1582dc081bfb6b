package gcpsm

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
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
		names = append(names, secret.Name)
	}
	slices.Sort(names)
	require.Equal(t, []string{
		"oauthstore__index", "oauthstore__token32_42l2lzu4vtukvhq", "oauthstore__token_alice_40example_2ecom",
		"oauthstore__token_cia35wqbzpwuzzvcwme562lrm7filgf3i", "oauthstore__token_udpiqvxv7krcwekjsnjofrotcpz7f3afc",
	}, names)
	d := newDriver(b.client(t), testConfig)
	require.Equal(t, "projects/my-project/secrets/oauthstore__token_x", d.resource("token_x"))
}

// The base of a version distinguishes it from a void one.
func TestGolden_revisionsAndTheDocument(t *testing.T) {
	base := rev{number: 12, floor: 9}.encode()
	require.Equal(t, "12|9", string(base))
	require.Equal(t, rev{number: 12, floor: 9}, revision("12|9"))

	b := newBackend(t)
	s := b.NewStore(t)
	for _, access := range []string{"one", "two", "three"} {
		require.NoError(t, s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "x", AccessToken: access}))
	}
	secrets := b.srv.Secrets()
	i := slices.IndexFunc(secrets, func(s gcpsmtest.Secret) bool { return s.Name == "oauthstore__token_x" })
	versions := secrets[i].Versions
	var header map[string]string
	require.NoError(t, json.Unmarshal(versions[len(versions)-1].Data, &header))
	require.Equal(t, "2|2", header["base"])
	require.Equal(t, "3", header["lowest_version"])
	require.Equal(t, int64(0xe3069283), checksum([]byte("123456789")), "the check value of CRC-32C")
}
