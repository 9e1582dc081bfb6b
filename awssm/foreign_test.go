package awssm

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

func TestForeignEdit_ofAFieldIsTakenAsItIs(t *testing.T) {
	f := start(t)
	s := f.store()
	f.save(s, oauthstore.OAuthToken{ID: "a", AccessToken: "one", RefreshToken: "r"})
	_, value := f.current(secretA)
	f.edit(secretA, strings.NewReplacer(`"one"`, `"edited"`, `{`, `{"note":{"by":"console"},`).Replace(value))
	require.Equal(t, "edited", f.find(s, "a").AccessToken)
	f.save(s, oauthstore.OAuthToken{ID: "a", Scope: "s"})
	requireToken(t, oauthstore.OAuthToken{ID: "a", AccessToken: "edited", RefreshToken: "r", Scope: "s"}, f.find(s, "a"))
	_, value = f.current(secretA)
	require.Contains(t, value, `"note":{"by":"console"}`, "a field that the library does not know must survive")
}

func TestForeignEdit_thatIsNoTokenIsACorruptRecordWhoseErrorNamesTheSecretAndNotItsContent(t *testing.T) {
	for name, value := range map[string]string{
		"not JSON":             "TOP-SECRET",
		"half of a document":   `{"format":"1","id":"a","access_token":"TOP-SECRET`,
		"two documents":        `{"format":"1","id":"a"}{"access_token":"TOP-SECRET"}`,
		"not an object":        `["TOP-SECRET"]`,
		"a field twice":        `{"format":"1","id":"a","access_token":"x","access_token":"TOP-SECRET"}`,
		"not a document":       `{"username":"a","password":"TOP-SECRET"}`,
		"a number":             `{"format":"1","id":"a","access_token":"TOP-SECRET","expiry_time":12}`,
		"a bad expiry":         `{"format":"1","id":"a","expiry_time":"TOP-SECRET"}`,
		"another token's":      `{"format":"1","id":"b","access_token":"TOP-SECRET"}`,
		"a later format":       `{"format":"2","id":"a","access_token":"TOP-SECRET"}`,
		"a header of numbers":  `{"format":"1","id":"a","access_token":"TOP-SECRET","write_id":1}`,
		"nothing but a string": `"TOP-SECRET"`,
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			s := f.store()
			f.save(s, oauthstore.OAuthToken{ID: "a", AccessToken: "one"})
			f.save(s, oauthstore.OAuthToken{ID: "fine", AccessToken: "one"})
			f.edit(secretA, value)
			edited, _ := f.current(secretA)
			_, find := s.FindTokenByID(f.ctx, "a")
			tokens, list := s.GetTokens(f.ctx)
			require.Len(t, tokens, 1, "what can be read is there")
			require.Equal(t, "fine", tokens[0].ID)
			var some *oauthstore.UnreadableTokensError
			require.ErrorAs(t, list, &some)
			require.Len(t, some.Tokens, 1)
			require.Equal(t, "a", some.Tokens[0].ID)
			for _, err := range []error{find, list, s.SaveToken(f.ctx, &oauthstore.OAuthToken{ID: "a", AccessToken: "two"})} {
				requireCorrupt(t, err)
			}
			now, _ := f.current(secretA)
			require.Equal(t, edited, now, "a save must not overwrite what it cannot read")
			require.Equal(t, "one", f.find(s, "fine").AccessToken)
		})
	}
}

func requireCorrupt(t *testing.T, err error) {
	t.Helper()
	var corrupt *oauthstore.CorruptRecordError
	require.ErrorAs(t, err, &corrupt)
	require.Equal(t, secretA, corrupt.Secret)
	require.Contains(t, err.Error(), secretA)
	require.NotContains(t, err.Error(), "TOP-SECRET")
}

func TestForeignEdit_inBinaryIsACorruptRecord(t *testing.T) {
	f := start(t)
	s := f.store()
	f.save(s, oauthstore.OAuthToken{ID: "a", AccessToken: "one"})
	_, err := f.PutSecretValue(f.ctx, &sm.PutSecretValueInput{SecretId: aws.String(secretA), SecretBinary: []byte("TOP-SECRET")})
	require.NoError(t, err)
	_, err = s.FindTokenByID(f.ctx, "a")
	requireCorrupt(t, err)
}
