package vaulttest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckJSON(t *testing.T) {
	long := strings.Repeat("x", maxJSONString)
	for _, c := range []struct{ name, body, want string }{
		{"an empty body", "", ""},
		{"no container", "text", ""},
		{"white space", " { \"a\" :\n[ 1 , true , null , \"x\" ] } \t", ""},
		{"empty containers", `{"a":{},"b":[]}`, ""},
		{"escapes", `{"a\"b":"c\\","d\u0041":"\u00e4"}`, ""},
		{"a string of the greatest length", `["` + long + `"]`, ""},
		{"a string that is too long", `["` + long + `x"]`, "JSON string value exceeds allowed length"},
		{"a key that is too long", `{"` + long + `x":1}`, "JSON string value exceeds allowed length"},
		{"escapes, which count as they are sent", `["` + long[:maxJSONString-5] + `\u0041"]`, "JSON string value exceeds allowed length"},
		{"a key twice, once escaped", `{"A":1,"\u0041":2}`, "duplicate key 'A' in object"},
		{"one key in two objects", `[{"a":1},{"a":1}]`, ""},
		{"a string that ends early", `{"a":"b`, "malformed JSON, unclosed string"},
		{"a string that ends in an escape", `{"a":"b\`, "malformed JSON, unclosed string"},
		{"a string that ends in an escaped quote", `{"a":"b\"`, "malformed JSON, unclosed string"},
		{"an object that ends after its key", `{"a"`, "malformed JSON, unclosed containers"},
		{"an object that ends after its colon", `{"a":`, "malformed JSON, unclosed containers"},
		{"an array that ends after a comma", `[1,`, "malformed JSON, unclosed containers"},
		{"a comma too many", `[1,]`, "invalid character ']' after array element"},
		{"a value too few", `{"a":}`, "invalid character '}' after object key"},
		{"a second value", `[] []`, "invalid character '[' after top-level value"},
		{"too large a number", `[1e999]`, "malformed JSON, invalid number syntax for '1e999'"},
		{"too many tokens", "[" + strings.Repeat("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],", 9999) + "1]", "JSON payload exceeds allowed token count"},
		{"what the parser will refuse", `{"a" 1}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := checkJSON([]byte(c.body), nil)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, c.want)
		})
	}
	t.Run("a body cut short by its size", func(t *testing.T) {
		require.Equal(t, errTooLarge, checkJSON([]byte(`{"a":"b`), errTooLarge))
		require.EqualError(t, checkJSON([]byte(`{"a":1,"a":2,"b":"c`), errTooLarge), "duplicate key 'a' in object")
	})
}
