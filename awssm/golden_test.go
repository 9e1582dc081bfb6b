package awssm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

// goldenIDs are ids of versions that were made without this package: a UUID of version 8 of the first 16 bytes of
// SHA-256 over the parts, each with its length and a colon before it. A release that makes other ids overwrites what a
// process of an older one writes at the same time.
var goldenIDs = []struct {
	parts []string
	want  string
}{
	{[]string{"successor", goldenARN, goldenVersion, "0"}, "8f96d501-4895-8d04-a4e5-66e6b2f7d172"},
	{[]string{"successor", goldenARN, goldenVersion, "1"}, "d78df136-a3e3-84ee-8f3f-275618d48970"},
	{[]string{"successor", goldenARN, goldenVersion, "12"}, "3c6d45eb-c715-855c-a71b-7cda3e7c7575"},
	{[]string{"successor", goldenARN, "", "0"}, "3a86ddef-ac3e-88be-a3b6-26ba31a4dd20"},
	{[]string{"create", "AAAAAAAAAAAA"}, "0756bcc9-f9b7-8615-8a0e-e0736fb50f55"},
	{[]string{"create", "w"}, "ff5e6d19-d669-8a00-84c1-0859b5190000"},
}

const (
	goldenARN     = "arn:aws:secretsmanager:us-east-1:123456789012:secret:oauthstore/token_alice-AbCdEf"
	goldenVersion = "00000000-0000-8000-8000-000000000001"
)

func TestGolden_idsOfVersions(t *testing.T) {
	for _, c := range goldenIDs {
		require.Equal(t, c.want, versionID(c.parts...), "%q", c.parts)
	}
	require.Equal(t, goldenIDs[0].want, rev{arn: goldenARN, version: goldenVersion}.successor())
	require.Equal(t, goldenIDs[2].want, rev{arn: goldenARN, version: goldenVersion, counter: 12}.successor())
	require.Equal(t, goldenIDs[3].want, rev{arn: goldenARN}.successor())
}

// The ids that are sent are the vectors' ids.
func TestGolden_idsAreThoseOfWhatIsWritten(t *testing.T) {
	f := start(t)
	d := f.driver()
	_, err := d.Put(f.ctx, "token_a", notThere, document("AAAAAAAAAAAA", "one"), 0)
	require.NoError(t, err)
	id, _ := f.current(secretA)
	require.Equal(t, "0756bcc9-f9b7-8615-8a0e-e0736fb50f55", id)
	f.put(d, f.get(d, "", "one"), "two")
	next, value := f.current(secretA)
	require.Equal(t, versionID("successor", f.secret(secretA).ARN, id, "0"), next)
	require.Contains(t, value, `"base":"`+id+`"`)
}

func TestGolden_namesOfSecrets(t *testing.T) {
	d := start(t).driver()
	for name, want := range map[string]string{
		"index": "oauthstore/index", "page_x": "oauthstore/page_x", "token_alice": "oauthstore/token_alice",
	} {
		require.Equal(t, want, d.FullName(name))
	}
	require.Equal(t, "oauthstore/token_alice", nameOf(goldenARN))
	require.Equal(t, "oauthstore/token_alice", nameOf("oauthstore/token_alice"))
}

func TestGolden_secretsOfAToken(t *testing.T) {
	f := start(t)
	s := f.store()
	f.save(s, oauthstore.OAuthToken{UserName: "alice", ClientID: "another", RefreshToken: "r"})
	f.save(s, oauthstore.OAuthToken{UserName: "alice", ClientID: "1000.CLIENT", RefreshToken: "r"})
	f.save(s, oauthstore.OAuthToken{ID: "alice@example.com", RefreshToken: "r"})
	f.save(s, oauthstore.OAuthToken{ID: "日本語", RefreshToken: "r"})
	require.Equal(t, []string{
		"oauthstore/index", "oauthstore/token32_42l2lzu4vtukvhq", "oauthstore/token_alice_40example_2ecom",
		"oauthstore/token_cia35wqbzpwuzzvcwme562lrm7filgf3i", "oauthstore/token_udpiqvxv7krcwekjsnjofrotcpz7f3afc",
	}, f.names())
}
