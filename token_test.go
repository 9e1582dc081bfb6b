package oauthstore_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
)

const secret = "s3cr3t"

// secretive returns a token with every field set; all that is secret holds secret.
func secretive() oauthstore.OAuthToken {
	return oauthstore.OAuthToken{
		ID:           "id-1",
		UserName:     "alice",
		ClientID:     "client-1",
		ClientSecret: secret + "-client",
		RedirectURL:  "https://app.example.com/callback",
		GrantToken:   secret + "-grant",
		RefreshToken: secret + "-refresh",
		AccessToken:  secret + "-access",
		TokenType:    "Bearer",
		Scope:        "read",
		APIDomain:    "https://api.example.com",
		Extra:        `{"id_token":"` + secret + `-id"}`,
		Expiry:       time.Date(2040, 1, 2, 3, 4, 5, 6e6, time.UTC),
	}
}

const shown = "OAuthToken{ID: id-1, UserName: alice, ClientID: client-1, ClientSecret: [redacted], " +
	"RedirectURL: https://app.example.com/callback, GrantToken: [redacted], RefreshToken: [redacted], " +
	"AccessToken: [redacted], TokenType: Bearer, Scope: read, APIDomain: https://api.example.com, " +
	"Extra: [redacted], Expiry: 2040-01-02T03:04:05.006Z}"

// textVerbs are those that suit what has a text, errors for example.
var textVerbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%10v", "%-40s", "%.3s", "%.2q"}

// verbs are these and others, also such as package fmt does not have. What it never asks a type
// about, %p and %w, has a test of its own.
var verbs = append([]string{"%d", "%5d", "%t", "%e", "%g", "%c", "%U", "%b", "%o", "%O", "%z"}, textVerbs...)

func TestOAuthToken_printsNoSecret(t *testing.T) {
	tok := secretive()
	for _, verb := range verbs {
		if got := fmt.Sprintf(verb, tok); got != shown {
			t.Errorf("%s of a token: got %s, want %s", verb, got, shown)
		}
		if got := fmt.Sprintf(verb, &tok); got != shown {
			t.Errorf("%s of a pointer: got %s, want %s", verb, got, shown)
		}
	}
	for what, got := range map[string]string{
		"String":   tok.String(),
		"GoString": tok.GoString(),
		"Sprint":   fmt.Sprint(tok),
		"Sprintln": strings.TrimSuffix(fmt.Sprintln(&tok), "\n"),
	} {
		if got != shown {
			t.Errorf("%s: got %s, want %s", what, got, shown)
		}
	}
	if got, want := fmt.Sprint(oauthstore.OAuthToken{}), "OAuthToken{}"; got != want {
		t.Errorf("an empty token: got %s, want %s", got, want)
	}
	if got, want := fmt.Sprint((*oauthstore.OAuthToken)(nil)), "<nil>"; got != want {
		t.Errorf("a nil token: got %s, want %s", got, want)
	}
}

func TestOAuthToken_printsNoSecretInsideOthers(t *testing.T) {
	tok := secretive()
	for what, holder := range map[string]any{
		"exported field":             struct{ Token oauthstore.OAuthToken }{tok},
		"embedded":                   struct{ oauthstore.OAuthToken }{tok},
		"pointer in exported field":  struct{ Token *oauthstore.OAuthToken }{&tok},
		"pointer to a struct":        &struct{ Token oauthstore.OAuthToken }{tok},
		"slice":                      []oauthstore.OAuthToken{tok},
		"slice of pointers":          []*oauthstore.OAuthToken{&tok},
		"array":                      [1]oauthstore.OAuthToken{tok},
		"map":                        map[string]oauthstore.OAuthToken{"a": tok},
		"map key":                    map[oauthstore.OAuthToken]int{tok: 1},
		"any in a slice":             []any{tok, &tok},
		"slice in an exported field": struct{ Tokens []oauthstore.OAuthToken }{[]oauthstore.OAuthToken{tok}},
		"record":                     oauthstore.Record{Token: tok},
		"pointer to a record":        &oauthstore.Record{Token: tok},
		"slice of records":           []oauthstore.Record{{Token: tok}},
		"found token":                []*oauthstore.OAuthToken{(&oauthstore.Record{Token: tok}).Found(nil)},
	} {
		wantNoSecret(t, what, holder, verbs)
	}
	tooFew := "no verb for it" // a variable, since vet would refuse it
	//lint:ignore SA5009 the mistake is what is tested
	if got := fmt.Sprintf(tooFew, tok, &tok); strings.Contains(got, secret) {
		t.Errorf("as an argument too many: got %s, want no secret in it", got)
	}
}

func TestOAuthToken_printsNoSecretInErrors(t *testing.T) {
	tok := secretive()
	for what, err := range map[string]error{
		"error that holds one": &tokenError{Token: tok},
		"error that wraps it":  fmt.Errorf("refresh: %w", &tokenError{Token: tok}),
		"joined errors":        errors.Join(&tokenError{Token: tok}, io.EOF),
		"error that prints it": fmt.Errorf("cannot save %+v: %w", tok, io.EOF),
	} {
		wantNoSecret(t, what, err, textVerbs)
	}
}

func TestOAuthToken_printsNoSecretBehindAnUnexportedPointer(t *testing.T) {
	tok := secretive()
	holder := struct{ token *oauthstore.OAuthToken }{&tok}
	wantNoSecret(t, "pointer in an unexported field", holder, []string{"%v", "%+v", "%#v", "%d", "%x", "%X"})
}

func wantNoSecret(t *testing.T, what string, holder any, verbs []string) {
	t.Helper()
	for _, verb := range verbs {
		if got := fmt.Sprintf(verb, holder); strings.Contains(got, secret) {
			t.Errorf("%s, %s: got %s, want no secret in it", what, verb, got)
		}
	}
}

// tokenError is an error that shows the token it is about, as one would not but some will.
type tokenError struct{ Token oauthstore.OAuthToken }

func (e *tokenError) Error() string { return fmt.Sprintf("cannot refresh %v", e.Token) }

// What Go gives no type a say in. Where one of these fails Go has become better, and the
// documentation of OAuthToken can promise more.
func TestOAuthToken_printsItsSecretsWhereGoDoesNotAsk(t *testing.T) {
	tok := secretive()
	type (
		byValue   struct{ token oauthstore.OAuthToken }
		inSlice   struct{ tokens []oauthstore.OAuthToken }
		byPointer struct{ token *oauthstore.OAuthToken }
	)
	for _, c := range []struct {
		what, verb string
		value      any
	}{
		{"by value in an unexported field", "%v", byValue{tok}},
		{"by value in an unexported field", "%+v", byValue{tok}},
		{"by value in an unexported field", "%#v", byValue{tok}},
		{"in a slice in an unexported field", "%+v", inSlice{[]oauthstore.OAuthToken{tok}}},
		{"by pointer in an unexported field, a verb that does not suit pointers", "%s", byPointer{&tok}},
		{"by pointer in an unexported field, a verb that does not suit pointers", "%q", byPointer{&tok}},
		{"a token that is no error", "%w", &tok},
		{"a token that is no pointer", "%p", tok},
	} {
		if got := fmt.Errorf(c.verb, c.value).Error(); !strings.Contains(got, secret) {
			t.Errorf("%s, %s: got %s, want a secret in it, since the documentation warns of it", c.what, c.verb, got)
		}
	}
}

func TestRecord_printsNoSecret(t *testing.T) {
	r := oauthstore.Record{Token: secretive(), Superseded: []string{"digest"}, Unknown: map[string]json.RawMessage{
		"later_secret": json.RawMessage(`"` + secret + `"`),
	}}
	want := "Record{" + shown + "}"
	for _, verb := range verbs {
		if got := fmt.Sprintf(verb, r); got != want {
			t.Errorf("%s of a record: got %s, want %s", verb, got, want)
		}
		if got := fmt.Sprintf(verb, &r); got != want {
			t.Errorf("%s of a pointer: got %s, want %s", verb, got, want)
		}
	}
	assert.Equal(t, want, r.String())
	assert.NotContains(t, logged(t, jsonHandler, r), secret)
	assert.NotContains(t, logged(t, textHandler, struct{ R oauthstore.Record }{r}), secret)
	assert.NotContains(t, logged(t, jsonHandler, struct{ R oauthstore.Record }{r}), secret)
	_, err := json.Marshal(r)
	require.ErrorContains(t, err, "codec.JSON")
}

func textHandler(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }

func jsonHandler(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }

// logged returns what a handler writes for a message with value.
func logged(t *testing.T, handler func(io.Writer) slog.Handler, value any) string {
	t.Helper()
	var b bytes.Buffer
	slog.New(handler(&b)).With("with", value).WithGroup("group").Info("message", "key", value)
	require.Contains(t, b.String(), "message")
	return b.String()
}

func TestOAuthToken_logsNoSecret(t *testing.T) {
	tok := secretive()
	for what, value := range map[string]any{
		"value":            tok,
		"pointer":          &tok,
		"nil":              (*oauthstore.OAuthToken)(nil),
		"group":            slog.GroupValue(slog.Any("token", tok)),
		"struct":           struct{ Token oauthstore.OAuthToken }{tok},
		"embedded":         struct{ oauthstore.OAuthToken }{tok},
		"pointer inside":   struct{ Token *oauthstore.OAuthToken }{&tok},
		"slice":            []oauthstore.OAuthToken{tok},
		"pointers":         []*oauthstore.OAuthToken{&tok},
		"map":              map[string]oauthstore.OAuthToken{"a": tok},
		"error":            &tokenError{tok},
		"error inside":     struct{ Err error }{&tokenError{tok}},
		"slice in a field": struct{ Tokens []any }{[]any{tok, &tok}},
	} {
		assert.NotContains(t, logged(t, textHandler, value), secret, "text handler, %s", what)
		assert.NotContains(t, logged(t, jsonHandler, value), secret, "JSON handler, %s", what)
	}
}

func TestOAuthToken_logsAsAGroup(t *testing.T) {
	tok := secretive()
	text := logged(t, textHandler, tok)
	assert.Contains(t, text, "group.key.UserName=alice")
	assert.Contains(t, text, "group.key.RefreshToken=[redacted]")
	doc := logged(t, jsonHandler, &tok)
	assert.Contains(t, doc, `"key":{"ID":"id-1","UserName":"alice","ClientID":"client-1","ClientSecret":"[redacted]"`)
	assert.Contains(t, doc, `"Expiry":"2040-01-02T03:04:05.006Z"`)
}

func TestOAuthToken_isNoJSON(t *testing.T) {
	tok := secretive()
	for _, value := range []any{
		tok, &tok, []oauthstore.OAuthToken{tok}, map[string]*oauthstore.OAuthToken{"a": &tok},
		struct{ T oauthstore.OAuthToken }{tok}, struct{ oauthstore.OAuthToken }{tok},
	} {
		doc, err := json.Marshal(value)
		require.ErrorContains(t, err, "codec.JSON", "json.Marshal of a %T", value)
		assert.Empty(t, doc, "json.Marshal of a %T", value)
		assert.NotContains(t, err.Error(), secret)
	}
	for _, into := range []any{&tok, new(oauthstore.Record)} {
		err := json.Unmarshal([]byte(`{"AccessToken":"`+secret+`"}`), into)
		require.ErrorContains(t, err, "codec.JSON")
		assert.NotContains(t, err.Error(), secret)
	}
}

// panics are what a child process panics with, by the value of the variable that tells it to.
var panics = map[string]any{
	"value":   secretive(),
	"pointer": new(oauthstore.OAuthToken),
	"struct":  struct{ Token oauthstore.OAuthToken }{secretive()},
	"error":   &tokenError{secretive()},
	"record":  oauthstore.Record{Token: secretive()},
}

const panicVariable = "OAUTHSTORE_TEST_PANIC"

func TestMain(m *testing.M) {
	if value, ok := panics[os.Getenv(panicVariable)]; ok {
		if tok, ok := value.(*oauthstore.OAuthToken); ok {
			*tok = secretive()
		}
		panic(value)
	}
	os.Exit(m.Run())
}

func TestOAuthToken_panicsWithoutSecret(t *testing.T) {
	for name := range panics {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), panicVariable+"="+name)
			out, err := cmd.CombinedOutput()
			require.Error(t, err)
			assert.Contains(t, string(out), "panic: ")
			assert.NotContains(t, string(out), secret)
		})
	}
}

func TestOAuthToken_Expired(t *testing.T) {
	for _, c := range []struct {
		name           string
		token          oauthstore.OAuthToken
		expired, valid bool
	}{
		{"no expiry", oauthstore.OAuthToken{AccessToken: "a"}, false, true},
		{"no access token", oauthstore.OAuthToken{Expiry: time.Now().Add(time.Hour)}, false, false},
		{"in an hour", oauthstore.OAuthToken{AccessToken: "a", Expiry: time.Now().Add(time.Hour)}, false, true},
		{"within the leeway", oauthstore.OAuthToken{AccessToken: "a", Expiry: time.Now().Add(oauthstore.DefaultLeeway / 2)}, false, false},
		{"past", oauthstore.OAuthToken{AccessToken: "a", Expiry: time.Now().Add(-time.Second)}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.expired, c.token.Expired(0), "Expired(0)")
			assert.Equal(t, c.valid, c.token.Valid(), "Valid()")
		})
	}
	tok := oauthstore.OAuthToken{Expiry: time.Now().Add(time.Minute)}
	assert.True(t, tok.Expired(2*time.Minute), "a minute before its expiry, with a leeway of two")
	assert.False(t, (*oauthstore.OAuthToken)(nil).Valid(), "a nil token")
}

func TestOAuthToken_Validate(t *testing.T) {
	for _, c := range []struct {
		field string // empty where the token is valid
		token *oauthstore.OAuthToken
	}{
		{"token", nil},
		{"", &oauthstore.OAuthToken{}},
		{"", &oauthstore.OAuthToken{ID: "a\x00/..\u2028", UserName: "\U0001F511", AccessToken: "\ufffd"}},
		{"ID", &oauthstore.OAuthToken{ID: "\xff"}},
		{"UserName", &oauthstore.OAuthToken{UserName: "\xff"}},
		{"ClientID", &oauthstore.OAuthToken{ClientID: "\xff"}},
		{"ClientSecret", &oauthstore.OAuthToken{ClientSecret: secret + "\xff"}},
		{"RedirectURL", &oauthstore.OAuthToken{RedirectURL: "\xff"}},
		{"GrantToken", &oauthstore.OAuthToken{GrantToken: secret + "\xff"}},
		{"RefreshToken", &oauthstore.OAuthToken{RefreshToken: secret + "\xff"}},
		{"AccessToken", &oauthstore.OAuthToken{AccessToken: secret + "\xff"}},
		{"TokenType", &oauthstore.OAuthToken{TokenType: "\xff"}},
		{"Scope", &oauthstore.OAuthToken{Scope: "\xff"}},
		{"APIDomain", &oauthstore.OAuthToken{APIDomain: "\xed\xa0\x80"}},
		{"Extra", &oauthstore.OAuthToken{Extra: secret + "\xff"}},
		{"", &oauthstore.OAuthToken{ID: " a", UserName: "\u2028b ", ClientID: " ", Scope: " "}},
		{"ID", &oauthstore.OAuthToken{ID: " "}},
		{"ID", &oauthstore.OAuthToken{ID: "\t\r\n", UserName: "u"}},
		{"UserName", &oauthstore.OAuthToken{UserName: "\u00a0\u2028"}},
		{"", &oauthstore.OAuthToken{Extra: " {} "}},
		{"", &oauthstore.OAuthToken{Extra: `{"a":{"b":[1,"\u0000"]}}`}},
		{"Extra", &oauthstore.OAuthToken{Extra: secret}},
		{"Extra", &oauthstore.OAuthToken{Extra: "null"}},
		{"Extra", &oauthstore.OAuthToken{Extra: "[{}]"}},
		{"Extra", &oauthstore.OAuthToken{Extra: `{"a":1`}},
		{"Extra", &oauthstore.OAuthToken{Extra: `{} {}`}},
		{"Extra", &oauthstore.OAuthToken{Extra: " "}},
		{"", &oauthstore.OAuthToken{Expiry: time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)}},
		{"", &oauthstore.OAuthToken{Expiry: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)}},
		{"Expiry", &oauthstore.OAuthToken{Expiry: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}},
		{"Expiry", &oauthstore.OAuthToken{Expiry: time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600))}},
		{"Expiry", &oauthstore.OAuthToken{Expiry: time.Date(0, 12, 31, 23, 59, 59, 0, time.UTC)}},
	} {
		err := c.token.Validate()
		if c.field == "" {
			require.NoError(t, err, "%v", c.token)
			continue
		}
		wantInvalid(t, err, c.field)
		assert.NotContains(t, err.Error(), secret)
	}
}

func wantInvalid(t *testing.T, err error, field string) {
	t.Helper()
	var invalid *oauthstore.InvalidTokenError
	require.ErrorIs(t, err, oauthstore.ErrInvalidToken)
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, field, invalid.Field)
	assert.Equal(t, "oauthstore: invalid token: "+invalid.Field+": "+invalid.Reason, invalid.Error())
}
