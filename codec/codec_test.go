package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// mark stands in every value that must not be shown.
const mark = "TOP-SECRET"

// golden returns the documents of format version 1 that every later version must read, by file name.
func golden(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/v1/*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no documents: testdata/v1 is empty")
	}
	docs := make(map[string][]byte, len(files))
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		docs[strings.TrimSuffix(filepath.Base(f), ".json")] = data
	}
	return docs
}

func parse(t testing.TB, data string) codec.Document {
	t.Helper()
	d, err := codec.Parse([]byte(data))
	if err != nil {
		t.Fatalf("Parse(%s): %v", data, err)
	}
	return d
}

// malformed are not documents, for one reason each. Most hold the mark, to see that no error quotes it.
var malformed = map[string]string{
	"nothing":                        "",
	"white space":                    " \n\t",
	"a string":                       `"` + mark + `"`,
	"a number":                       "1",
	"null":                           "null",
	"a list":                         `["` + mark + `"]`,
	"an empty list":                  "[]",
	"a list of a name and a value":   `["` + mark + `",1]`,
	"no JSON":                        mark,
	"an object that does not end":    `{"access_token":"` + mark + `"`,
	"a name without value":           `{"` + mark + `"}`,
	"a name without value, a colon":  `{"` + mark + `":}`,
	"a string that does not end":     `{"access_token":"` + mark,
	"a name that is no string":       `{` + mark + `:1}`,
	"a name that is a number":        `{1:"` + mark + `"}`,
	"a value that is no JSON":        `{"access_token":` + mark + `}`,
	"a value that is cut off":        `{"access_token":{"a":"` + mark + `"}`,
	"a missing comma":                `{"a":"` + mark + `" "b":1}`,
	"a comma at the end":             `{"a":"` + mark + `",}`,
	"a comma at the beginning":       `{,"a":"` + mark + `"}`,
	"an escape that is none":         `{"a":"\x` + mark + `"}`,
	"a line end in a string":         "{\"a\":\"" + mark + "\n\"}",
	"a field twice":                  `{"` + mark + `":"a","` + mark + `":"a"}`,
	"a field twice, once escaped":    `{"id":"` + mark + `","\u0069d":"a"}`,
	"a second object":                `{"a":"b"}{"a":"` + mark + `"}`,
	"text behind the object":         `{"a":"b"} ` + mark,
	"a brace too many":               `{"a":"` + mark + `"}}`,
	"a byte order mark":              "\ufeff" + `{"a":"` + mark + `"}`,
	"a byte that is not UTF-8":       "{\"a\":\"" + mark + "\xff\"}",
	"a name that is not UTF-8":       "{\"" + mark + "\xc3\x28\":1}",
	"half a surrogate in a name":     `{"` + mark + `\ud800":1}`,
	"a surrogate in UTF-8":           "{\"a\":\"" + mark + "\xed\xa0\x80\"}",
	"bytes behind it that are not":   "{\"a\":\"" + mark + "\"}\xff",
	"a comment":                      `{"a":"` + mark + `"} // comment`,
	"numbers as no JSON writes them": `{"` + mark + `": 01}`,
}

func TestParse_refusesWhatIsNotOneObject(t *testing.T) {
	for name, data := range malformed {
		t.Run(name, func(t *testing.T) {
			d, err := codec.Parse([]byte(data))
			if err == nil || d != nil {
				t.Fatalf("Parse(%q): got %v and error %v, want nil and an error", data, d, err)
			}
			wantNoMark(t, err)
		})
	}
}

// encoding/json would make another name of it, which the next save would write, or the same of two.
func TestParse_aNameThatIsNotUnicodeIsRefused(t *testing.T) {
	for _, name := range []string{`\ud800`, `a\uDFFFb`, `\\\ud800`, `\ud83d\ude00\ude00`, `\ud800":1, "\ud801`} {
		for _, data := range []string{`{"` + name + `":"` + mark + `"}`, `{"id":"` + mark + `" , "` + name + `" : 1}`} {
			d, err := codec.Parse([]byte(data))
			if err == nil || d != nil || err.Error() != "the name of a field is not valid Unicode" {
				t.Errorf("Parse(%s): got %v and error %v, want nil and an error that says so", data, d, err)
			}
		}
	}
	for name, want := range map[string]string{`\ud83d\uDE00`: "😀", `\ufffd`: "\ufffd", "\ufffd": "\ufffd", `\\ud800`: `\ud800`} {
		data := `{"a":"\ud800", "` + name + `":{"\ud800":1}}`
		if d := parse(t, data); string(d[want]) != `{"\ud800":1}` || string(d["a"]) != `"\ud800"` {
			t.Errorf("Parse(%s): got %s under %q", data, d[want], want)
		}
	}
}

func TestParse_keepsEveryFieldAsItStands(t *testing.T) {
	d := parse(t, ` { "b" : 1.50e+400 , "a":{"x": [ ]},"":null, "\u00e9":"\u00e9" } `)
	for name, want := range map[string]string{"b": "1.50e+400", "a": `{"x": [ ]}`, "": "null", "é": `"\u00e9"`} {
		if got := string(d[name]); got != want {
			t.Errorf("field %q: got %s, want %s", name, got, want)
		}
	}
	if len(d) != 4 {
		t.Errorf("got %d fields, want 4: %v", len(d), d)
	}
	if d := parse(t, "{}"); d == nil || len(d) != 0 {
		t.Errorf("Parse({}): got %#v, want a document without fields", d)
	}
}

func TestDocument_fieldsAreStrings(t *testing.T) {
	d := codec.Document{}
	for _, value := range []string{"", "text", "\x00\"\\\n", "<&>", "日本語 🙂", "null"} {
		d.Set("field", value)
		if got, err := d.Get("field"); err != nil || got != value {
			t.Errorf("Get after Set(%q): got %q and error %v", value, got, err)
		}
	}
	if got, err := d.Get("no such field"); err != nil || got != "" {
		t.Errorf("Get of an absent field: got %q and error %v, want nothing", got, err)
	}
	for raw, want := range map[string]string{
		`"\ud83d\uDE00"`: "😀", `"\ufffd"`: "\ufffd", `"\\ud800"`: `\ud800`, ` "\/\"\u0041" `: `/"A`, `"\\\\\u00e9"`: `\\é`,
	} {
		d["field"] = json.RawMessage(raw)
		if got, err := d.Get("field"); err != nil || got != want {
			t.Errorf("Get of %s: got %q and error %v, want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{"null", " null", "1", "true", `["` + mark + `"]`, `{"a":"` + mark + `"}`, "", `"` + mark} {
		d["field"] = json.RawMessage(raw)
		got, err := d.Get("field")
		if err == nil || got != "" {
			t.Errorf("Get of %s: got %q and error %v, want nothing and an error", raw, got, err)
			continue
		}
		if !strings.Contains(err.Error(), "field") {
			t.Errorf("Get of %s: the error does not name the field: %v", raw, err)
		}
		wantNoMark(t, err)
	}
}

// encoding/json would make another credential of them.
func TestDocument_aFieldThatIsNotUnicodeIsRefused(t *testing.T) {
	for _, text := range []string{
		`ab\ud800cd`, `\uD800`, `\udfff`, `\ud800\ud800`, `\udc00\ud800`, `\ud800\u0041`, `\ud800\n`, `\\\udbff`, `\ud83d\ude00\ude00`,
		"\xff", "\xed\xa0\x80",
	} {
		d := codec.Document{"field": json.RawMessage(`"` + mark + text + `"`)}
		got, err := d.Get("field")
		if err == nil || got != "" || err.Error() != "field field is not valid Unicode" {
			t.Errorf("Get of %q: got %q and error %v, want nothing and an error that says so", text, got, err)
		}
	}
}

func TestCheckFormat_takesMinorVersionsAndRefusesMajorOnes(t *testing.T) {
	for format, want := range map[string]string{
		`"1"`: "", `"1.0"`: "", `"1.7"`: "", `"1.7.2-beta"`: "",
		`"2"`: "a newer one wrote it", `"2.1"`: "format version 2 ", `"10"`: "format version 10 ",
		`""`: "no format version", `"` + mark + `"`: "not a number", `"123456789"`: "not a number",
		`".1"`: "not a number", `"."`: "not a number", `"-1"`: "not a number", `" 1"`: "not a number",
		`1`: "not a string", `null`: "not a string",
	} {
		err := codec.CheckFormat(codec.Document{"format": json.RawMessage(format)})
		switch {
		case want == "" && err != nil:
			t.Errorf("format %s: got error %v, want none", format, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("format %s: got error %v, want one that says %q", format, err, want)
		case err != nil:
			wantNoMark(t, err)
		}
	}
	if err := codec.CheckFormat(codec.Document{}); err == nil {
		t.Error("no format: got no error")
	}
	d := codec.Document{}
	codec.SetFormat(d)
	if err := codec.CheckFormat(d); err != nil {
		t.Errorf("after SetFormat: %v", err)
	}
}

func TestDocument_printingShowsNamesOnly(t *testing.T) {
	d := codec.Document{}
	d.Set("refresh_token", mark)
	d.Set("access_token", mark)
	const want = "Document{access_token, refresh_token}"
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{d, &d, []codec.Document{d}, map[string]codec.Document{"d": d}, struct{ D codec.Document }{d}} {
			wantNoMark(t, fmt.Sprintf(verb, v))
		}
	}
	if got := fmt.Sprint(d); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := fmt.Sprint(codec.Document(nil)); got != "Document{}" {
		t.Errorf("nil: got %s, want Document{}", got)
	}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		log.Reset()
		slog.New(h).Info("saved", "document", d, slog.Group("in", "document", d))
		wantNoMark(t, log.String())
		if got := strings.Count(log.String(), want); got != 2 {
			t.Errorf("%T: got %s, want the names twice", h, &log)
		}
	}
}

// wantNoMark fails if v, a text or an error, shows the mark. An error is printed with every verb.
func wantNoMark(t testing.TB, v any) {
	t.Helper()
	text := fmt.Sprint(v)
	if err, ok := v.(error); ok {
		text = fmt.Sprintf("%v %+v %#v %q %x %d", err, err, err, err, err, err)
	}
	for _, shown := range []string{mark, fmt.Sprintf("%x", mark), strings.Trim(fmt.Sprint([]byte(mark)), "[]")} {
		if strings.Contains(text, shown) {
			t.Errorf("a secret is shown: %s", text)
		}
	}
}

// wantCorrupt demands a CorruptRecordError that names the secret and shows no content.
func wantCorrupt(t testing.TB, secret string, r *oauthstore.Record, err error) *oauthstore.CorruptRecordError {
	t.Helper()
	var corrupt *oauthstore.CorruptRecordError
	if !errors.As(err, &corrupt) {
		t.Fatalf("got error %v of type %T, want a CorruptRecordError", err, err)
	}
	if r != nil {
		t.Errorf("got a record beside the error: %v", r)
	}
	if corrupt.Secret != secret || !strings.Contains(err.Error(), secret) {
		t.Errorf("the error does not name the secret %s: %v", secret, err)
	}
	if corrupt.Reason == "" {
		t.Errorf("the error gives no reason: %v", err)
	}
	wantNoMark(t, err)
	return corrupt
}

// FuzzParse holds Parse to encoding/json. Law: it takes what json.Valid takes, if that is UTF-8 and an
// object without a name twice or one that encoding/json replaces a part of, with the same fields; and what
// it takes, written, is taken again.
func FuzzParse(f *testing.F) {
	for _, data := range golden(f) {
		f.Add(data)
	}
	for _, data := range malformed {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 5000 {
			return // the two count the depth of what is nested differently
		}
		d, err := codec.Parse(data)
		if err != nil {
			if d != nil {
				t.Errorf("got a document beside the error: %v", d)
			}
			if names, ok := namesOf(data); ok && utf8.Valid(data) && !twice(names) && !replaced(names) {
				t.Errorf("an object is refused: %v\n%q", err, data)
			}
			return
		}
		names, ok := namesOf(data)
		if !ok || len(names) != len(d) || twice(names) {
			t.Fatalf("got fields %v of what has the names %q, an object: %v", d, names, ok)
		}
		again, err := json.Marshal(d)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if e, err := codec.Parse(again); err != nil || !equal(d, e) {
			t.Errorf("written and read again: got %s and error %v, want %s", again, err, data)
		}
	})
}

// namesOf returns the names of an object's fields in their order, by other means than Parse.
func namesOf(data []byte) (names []string, ok bool) {
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); !json.Valid(data) || trimmed[0] != '{' {
		return nil, false
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	depth, isName := 0, false
	for {
		token, err := dec.Token()
		if err != nil {
			return names, true
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth != 1 {
			continue
		}
		if isName = !isName; token == json.Delim('{') {
			isName = false
		} else if isName {
			names = append(names, token.(string))
		}
	}
}

// replaced reports whether there is what encoding/json puts in the place of half a surrogate pair.
func replaced(names []string) bool { return strings.Contains(strings.Join(names, ""), "\ufffd") }

func twice(names []string) bool {
	seen := make(map[string]bool)
	for _, n := range names {
		if seen[n] {
			return true
		}
		seen[n] = true
	}
	return false
}

// equal reports whether a and b have the same fields, whatever white space and escapes are in them.
func equal(a, b codec.Document) bool {
	if len(a) != len(b) {
		return false
	}
	for name, raw := range a {
		other, ok := b[name]
		if !ok || normal(raw) != normal(other) {
			return false
		}
	}
	return true
}

// normal is a value without white space, with escapes as encoding/json writes them and numbers as
// they were.
func normal(raw json.RawMessage) string {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return err.Error()
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func TestSetFormat_keepsAVersionThatThisPackageReads(t *testing.T) {
	for was, want := range map[string]string{``: `"1"`, `"1"`: `"1"`, `"1.9"`: `"1.9"`, `"2"`: `"1"`, `"x"`: `"1"`, `1.9`: `"1"`} {
		d := codec.Document{}
		if was != "" {
			d["format"] = json.RawMessage(was)
		}
		codec.SetFormat(d)
		if got := string(d["format"]); got != want {
			t.Errorf("a document with the format %s: got %s, want %s", was, got, want)
		}
	}
}
