package oauthstore_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

// The vectors stand for ever: a store that derives other ids does not find what an older version has
// stored. They were made without this package; the first one by
//
//	printf '\0\0\0\0\0\0\0\x0foauthstore/user\0\0\0\0\0\0\0\x05alice' |
//		sha256sum | cut -c1-40 | xxd -r -p | base32 | tr A-Z a-z
//
// with the letter u put before it.
var derivedIDs = []struct{ userName, clientID, want string }{
	{"alice", "", "udpiqvxv7krcwekjsnjofrotcpz7f3afc"},
	{"alice", "1000.CLIENT", "cia35wqbzpwuzzvcwme562lrm7filgf3i"},
	{"Alice", "", "uzrgoludl4yjtvze3zdjobvryysc3pf4t"},
	{"alice@example.com", "", "uyqcdl53ayjdoq6pmsppm4qpncpi3dkct"},
	{"a", "bc", "cymhkp4pzp47tuqwm3wysnvmx4oxao6ye"},
	{"ab", "c", "cnhcadkbpmaktug4cz4iipvhmepino765"},
	{"", "", "uevjz5zxkl5rlaylyftnmwdfpt5exueoj"},
	{"", "client", "cfbm7m65obgncgs7jfqyfrw4mbsvofvtu"},
	{"日本語", "", "urepfic5gfwld4ucscq65uuoze2axqo5w"},
	{"\u00e9", "", "ugsberu764ovfsis7tjw3yjbw5yeplohb"},
	{"e\u0301", "", "ultuer2huymnpuuojk3okbbd7o4fovyx4"},
	{"a\x00b", "", "ug3yg54rvn5jb3hsce7maxjwp4luevpdj"},
	{strings.Repeat("n", 300), "", "uapjahx7x55t5ypuv5dflqe77sjxftcn4"},
}

func TestDerivedID_isFixedForEver(t *testing.T) {
	for _, c := range derivedIDs {
		assert.Equal(t, c.want, oauthstore.DerivedID(c.userName, c.clientID), "DerivedID(%q, %q)", c.userName, c.clientID)
	}
}

// derivedID is DerivedID once more, in other words.
func derivedID(userName, clientID string) string {
	var message strings.Builder
	field := func(s string) {
		for shift := 56; shift >= 0; shift -= 8 {
			message.WriteByte(byte(uint64(len(s)) >> shift))
		}
		message.WriteString(s)
	}
	letter := "u"
	if clientID == "" {
		field("oauthstore/user")
		field(userName)
	} else {
		letter = "c"
		field("oauthstore/user+client")
		field(userName)
		field(clientID)
	}
	sum := sha256.Sum256([]byte(message.String()))
	return letter + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:20])) // 20 bytes need no padding
}

func FuzzDerivedID(f *testing.F) {
	for _, c := range derivedIDs {
		f.Add(c.userName, c.clientID)
	}
	f.Fuzz(func(t *testing.T, userName, clientID string) {
		got := oauthstore.DerivedID(userName, clientID)
		if want := derivedID(userName, clientID); got != want {
			t.Errorf("DerivedID(%q, %q): got %q, want %q", userName, clientID, got, want)
		}
		if len(got) != 33 || strings.Trim(got, "abcdefghijklmnopqrstuvwxyz234567") != "" {
			t.Errorf("DerivedID(%q, %q): got %q, want 33 characters of base32", userName, clientID, got)
		}
	})
}

// The first of the vectors was made by
//
//	printf '\0\0\0\0\0\0\0\x10oauthstore/token\0\0\0\0\0\0\0\x06client\0\0\0\0\0\0\0\x0drefresh_token\0\0\0\0\0\0\0\x01r' |
//		sha256sum | cut -c1-40 | xxd -r -p | base32 | tr A-Z a-z
//
// with the letter t put before it.
func TestDerivedTokenID_isFixedForEver(t *testing.T) {
	for _, c := range []struct {
		token token
		want  string
	}{
		{token{ClientID: "client", RefreshToken: "r"}, "tyyzwesugpo4ywuurxyfeasgs5mntz55y"},
		{token{RefreshToken: "r"}, "t2bwm2gcfh2eueajj7clwixhmoxqadq5j"},
		{token{ClientID: "client", GrantToken: "r"}, "te3q7z6bcvhxrvgh34mixul3cpclfdcnq"},
		{token{ClientID: "client", AccessToken: "r"}, "tfbjn4cshdopthzm5xktwsaezrxpkrwh3"},
	} {
		assert.Equal(t, c.want, oauthstore.DerivedTokenID(&c.token), "DerivedTokenID(%v)", c.token)
		more := c.token
		more.ClientSecret, more.Scope, more.AccessToken = "s", "all", cmp.Or(more.AccessToken, "a")
		assert.Equal(t, c.want, oauthstore.DerivedTokenID(&more), "with more fields")
	}
	assert.Equal(t, oauthstore.DerivedTokenID(&token{RefreshToken: "r"}), oauthstore.DerivedTokenID(&token{RefreshToken: "r", GrantToken: "g"}),
		"the refresh token counts before the grant token")
}

func TestRandomID_isAnIDOfItsOwn(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := oauthstore.RandomID()
		require.Regexp(t, "^r[a-z2-7]{32}$", id)
		require.False(t, seen[id], "RandomID returned %q twice", id)
		seen[id] = true
	}
}

func TestCheckID(t *testing.T) {
	for _, id := range []string{"a", " a ", "\x00", "..", "/", "\ufffd", strings.Repeat("a", 10_000)} {
		require.NoError(t, oauthstore.CheckID(id), "CheckID(%q)", id)
	}
	for _, id := range []string{"", "\xff", "a\x80b", "\xed\xa0\x80", " ", "\t\n", "\u00a0\u2028"} {
		require.Equal(t, strings.TrimSpace(id) == "", utf8.ValidString(id))
		err := oauthstore.CheckID(id)
		wantInvalid(t, err, "ID")
		assert.ErrorIs(t, err, oauthstore.ErrTokenNotFound, "CheckID(%q): nothing is stored there either", id)
	}
}
