package codec_test

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// goldenRecords are the records that the documents in testdata/v1 hold.
func goldenRecords() map[string]oauthstore.Record {
	return map[string]oauthstore.Record{
		"full": {
			Token: oauthstore.OAuthToken{
				ID: "full", UserName: "alice@example.com", ClientID: "1000.CLIENT", ClientSecret: "client-secret",
				RedirectURL: "https://app.example.com/callback?state=1&next=/",
				GrantToken:  "grant-1", RefreshToken: "refresh-1", AccessToken: "access-1", TokenType: "Bearer",
				Scope: "ZohoCRM.modules.ALL ZohoCRM.settings.READ", APIDomain: "https://www.zohoapis.eu",
				Expiry: time.Date(2030, 1, 2, 3, 4, 5, 678e6, time.UTC),
			},
			Superseded: []string{"FxJEZa4MF7SbURzQ", "w4gJZbUbVn4Bq6eH"},
		},
		"minimal":      {Token: oauthstore.OAuthToken{ID: "minimal", RefreshToken: "refresh-1"}},
		"empty-fields": {Token: oauthstore.OAuthToken{ID: "empty-fields", RefreshToken: "refresh-1"}},
		"before-1970": {Token: oauthstore.OAuthToken{
			ID: "before-1970", RefreshToken: "refresh-1", Expiry: time.Date(1969, 12, 31, 23, 59, 59, 999e6, time.UTC),
		}},
		"unicode": {Token: oauthstore.OAuthToken{
			ID: "日本語/id with spaces and a 'quote'", UserName: "Ünïcødé 🙂 עברית العربية",
			AccessToken: "\x00 \" \\ \n \t 𐍈 é é",
		}},
		"unknown-fields": {
			Token: oauthstore.OAuthToken{ID: "unknown-fields", RefreshToken: "refresh-1"},
			Unknown: map[string]json.RawMessage{
				"": json.RawMessage(`"a field without a name"`), "a_string": json.RawMessage(`"text"`),
				"a_number": json.RawMessage(`-1.50e+400`), "a_bool": json.RawMessage(`true`), "a_null": json.RawMessage(`null`),
				"a_big_number": json.RawMessage(`12345678901234567890.12345678901234567890`),
				"a_list":       json.RawMessage(`[1,"two",null,{"three":3}]`),
				"an_object":    json.RawMessage(`{"access_token":"not the token's","deep":{"er":[]}}`),
			},
		},
		"minor-version": {
			Token:   oauthstore.OAuthToken{ID: "minor-version", RefreshToken: "refresh-1"},
			Unknown: map[string]json.RawMessage{"added_in_1_3": json.RawMessage(`"something"`), "format": json.RawMessage(`"1.3"`)},
		},
	}
}

func TestJSON_readsTheDocumentsOfVersion1(t *testing.T) {
	docs, want := golden(t), goldenRecords()
	if got, want := slices.Sorted(maps.Keys(docs)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
		t.Fatalf("testdata/v1 holds %q, and there are records for %q", got, want)
	}
	for name, data := range docs {
		t.Run(name, func(t *testing.T) {
			r, err := codec.JSON{}.Decode("secret", parse(t, string(data)))
			if err != nil {
				t.Fatal(err)
			}
			wantRecord(t, r, want[name])
		})
	}
}

func TestJSON_writesTheDocumentsOfVersion1(t *testing.T) {
	for name, r := range goldenRecords() {
		t.Run(name, func(t *testing.T) {
			want := parse(t, string(golden(t)[name]))
			for field, raw := range want {
				if string(raw) == `""` {
					delete(want, field) // read, and not written
				}
			}
			codec.SetFormat(want)
			got, err := codec.JSON{}.Encode("secret", &r)
			if err != nil {
				t.Fatal(err)
			}
			wantDocument(t, got, want)
		})
	}
}

func TestJSON_whatIsWrittenIsReadBack(t *testing.T) {
	texts := []string{"a", " ", "null", "\x00\x1f\x7f", `"\/`, "<script>&amp;", "\u2028\u2029", "é é", "日本語", "🙂", "\U0010ffff", "\ufffd", strings.Repeat("long", 20000)}
	for _, text := range texts {
		want := oauthstore.Record{Token: oauthstore.OAuthToken{ID: text}}
		token := reflect.ValueOf(&want.Token).Elem()
		for _, f := range reflect.VisibleFields(token.Type()) {
			if f.IsExported() && f.Type.Kind() == reflect.String {
				token.FieldByIndex(f.Index).SetString(text + f.Name)
			}
		}
		extra, err := json.Marshal(map[string]string{text: text})
		if err != nil {
			t.Fatal(err)
		}
		want.Token.Extra = string(extra)
		want.Token.Expiry = time.Date(2030, 1, 2, 3, 4, 5, 6e6, time.UTC)
		want.Superseded = []string{"one", "two"}
		want.Unknown = map[string]json.RawMessage{"x" + text: json.RawMessage(`{"a":[1]}`)}
		wantRecord(t, throughBytes(t, &want), want)
	}
}

// throughBytes encodes r, writes the document as a service keeps it, and reads it back.
func throughBytes(t testing.TB, r *oauthstore.Record) *oauthstore.Record {
	t.Helper()
	d, err := codec.JSON{}.Encode("secret", r)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	back, err := codec.JSON{}.Decode("secret", parse(t, string(data)))
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func TestJSON_everyFieldIsAString(t *testing.T) {
	r := goldenRecords()["full"]
	d, err := codec.JSON{}.Encode("secret", &r)
	if err != nil {
		t.Fatal(err)
	}
	for name := range d {
		if value, err := d.Get(name); err != nil || value == "" {
			t.Errorf("field %s: got %q and error %v, want a string that is not empty", name, value, err)
		}
	}
	if got, want := len(d), 14; got != want {
		t.Errorf("got %d fields, want %d: %v", got, want, d)
	}
}

func TestJSON_keepsTheExpiryInMilliseconds(t *testing.T) {
	zone := time.FixedZone("", 7200)
	for _, c := range []struct{ in, want time.Time }{
		{time.Date(2040, 1, 2, 5, 4, 5, 6999999, zone), time.Date(2040, 1, 2, 3, 4, 5, 6e6, time.UTC)},
		{time.Unix(0, 0), time.Unix(0, 0).UTC()},
		{time.Unix(0, -1), time.UnixMilli(-1).UTC()},
		{time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)},
		{time.Time{}.Add(time.Millisecond), time.Time{}.Add(time.Millisecond)},
		{time.Time{}.Add(time.Microsecond), time.Time{}}, // comes out as the zero time, which is no expiry
		{time.Time{}, time.Time{}},
	} {
		r := oauthstore.Record{Token: oauthstore.OAuthToken{ID: "id", RefreshToken: "refresh", Expiry: c.in}}
		if got := throughBytes(t, &r).Token.Expiry; got != c.want {
			t.Errorf("expiry %v: got back %v, want %v", c.in, got, c.want)
		}
	}
}

func TestJSON_encodeRefusesWhatDecodeWouldNotTake(t *testing.T) {
	for field, token := range map[string]oauthstore.OAuthToken{
		"ID":           {RefreshToken: mark},
		"AccessToken":  {ID: "id", AccessToken: mark + "\xff"},
		"UserName":     {ID: "id", UserName: mark + "\xff"},
		"RefreshToken": {ID: "id", UserName: mark, ClientSecret: mark},
		"Expiry":       {ID: "id", RefreshToken: mark, Expiry: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		d, err := codec.JSON{}.Encode("secret", &oauthstore.Record{Token: token})
		var invalid *oauthstore.InvalidTokenError
		if !errors.As(err, &invalid) || invalid.Field != field || d != nil {
			t.Errorf("%s: got document %v and error %v, want an InvalidTokenError that names the field", field, d, err)
		}
		wantNoMark(t, err)
	}
}

func TestJSON_encodeLeavesTheRecordAsItWas(t *testing.T) {
	r := goldenRecords()["unknown-fields"]
	d, err := codec.JSON{}.Encode("secret", &r)
	if err != nil {
		t.Fatal(err)
	}
	d.Set("a_string", "other")
	d.Set("new", "new")
	wantRecord(t, &r, goldenRecords()["unknown-fields"])
}

func TestJSON_aNameThatDiffersInCaseIsAnotherField(t *testing.T) {
	const data = `{"format":"1","id":"id","refresh_token":"refresh","Access_Token":"other","ID":"other","FORMAT":"2","Expiry_Time":7}`
	r, err := codec.JSON{}.Decode("secret", parse(t, data))
	if err != nil {
		t.Fatal(err)
	}
	want := oauthstore.Record{
		Token: oauthstore.OAuthToken{ID: "id", RefreshToken: "refresh"},
		Unknown: map[string]json.RawMessage{
			"Access_Token": json.RawMessage(`"other"`), "ID": json.RawMessage(`"other"`),
			"FORMAT": json.RawMessage(`"2"`), "Expiry_Time": json.RawMessage(`7`),
		},
	}
	wantRecord(t, r, want)
	wantRecord(t, throughBytes(t, r), want)
}

func TestJSON_anUnknownFieldIsKeptAsItStands(t *testing.T) {
	d := parse(t, `{"format":"1","id":"id","refresh_token":"refresh","team":"\ud800","more": {"lead" : "\u0062ob"}}`)
	r, err := codec.JSON{}.Decode("secret", d)
	if err != nil {
		t.Fatal(err)
	}
	merged, _ := r.Merge(&oauthstore.OAuthToken{AccessToken: "access"})
	got, err := codec.JSON{}.Encode("secret", merged)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"team", "more"} {
		if string(got[name]) != string(d[name]) {
			t.Errorf("field %s: got %s, want %s", name, got[name], d[name])
		}
	}
}

// A record that was made by hand may hold anything as unknown.
func TestJSON_anUnknownFieldIsNeverTakenForOneOfTheTokens(t *testing.T) {
	r := oauthstore.Record{
		Token: oauthstore.OAuthToken{ID: "id", RefreshToken: "refresh"},
		Unknown: map[string]json.RawMessage{
			"id": json.RawMessage(`"other"`), "access_token": json.RawMessage(`"other"`), "expiry_time": json.RawMessage(`"1"`),
			"format": json.RawMessage(`"7"`), "superseded_refresh_tokens": json.RawMessage(`"other"`), "more": json.RawMessage(`1`),
		},
	}
	wantRecord(t, throughBytes(t, &r), oauthstore.Record{
		Token:   oauthstore.OAuthToken{ID: "id", RefreshToken: "refresh"},
		Unknown: map[string]json.RawMessage{"more": json.RawMessage(`1`)},
	})
}

// undecodable are documents that hold no token, for one reason each, which the error gives.
var undecodable = map[string]struct{ data, reason string }{
	"no fields":                            {`{}`, "no format"},
	"no format":                            {`{"id":"a","access_token":"` + mark + `"}`, "no format"},
	"an empty format":                      {`{"format":"","id":"a","access_token":"` + mark + `"}`, "no format"},
	"a format that is a number":            {`{"format":1,"id":"a","access_token":"` + mark + `"}`, "format is not a string"},
	"a format that is null":                {`{"format":null,"id":"a","access_token":"` + mark + `"}`, "format is not a string"},
	"a format that is no number":           {`{"format":"` + mark + `","id":"a","access_token":"b"}`, "not a number"},
	"a format version of nine digits":      {`{"format":"123456789","id":"a","access_token":"` + mark + `"}`, "not a number"},
	"a newer major version":                {`{"format":"2","id":"a","access_token":"` + mark + `"}`, "version 2 "},
	"a format version of the future major": {`{"format":"3.1","id":"a","access_token":"` + mark + `"}`, "version 3 "},

	"no id":                              {`{"format":"1","access_token":"` + mark + `"}`, "no id"},
	"an empty id":                        {`{"format":"1","id":"","access_token":"` + mark + `"}`, "no id"},
	"an id that is null":                 {`{"format":"1","id":null,"access_token":"` + mark + `"}`, "id is not a string"},
	"an id that is a number":             {`{"format":"1","id":7,"access_token":"` + mark + `"}`, "id is not a string"},
	"an id with white space in its name": {`{"format":"1"," id":"a","access_token":"` + mark + `"}`, "no id"},

	"no token at all":              {`{"format":"1","id":"a"}`, "no grant, refresh or access token"},
	"all but a token":              {`{"format":"1","id":"a","user_name":"b","client_secret":"` + mark + `","scope":"c"}`, "no grant, refresh or access token"},
	"empty tokens":                 {`{"format":"1","id":"` + mark + `","grant_token":"","refresh_token":"","access_token":""}`, "no grant, refresh or access token"},
	"a token in a name of its own": {`{"format":"1","id":"a","Access_Token":"` + mark + `","REFRESH_TOKEN":"` + mark + `"}`, "no grant, refresh or access token"},
	"a token that is null":         {`{"format":"1","id":"` + mark + `","access_token":null}`, "access_token is not a string"},
	"a token that is a number":     {`{"format":"1","id":"` + mark + `","refresh_token":1}`, "refresh_token is not a string"},
	"a token that is a bool":       {`{"format":"1","id":"` + mark + `","grant_token":true}`, "grant_token is not a string"},
	"a token that is a list":       {`{"format":"1","id":"a","refresh_token":["` + mark + `"]}`, "refresh_token is not a string"},
	"a token that is an object":    {`{"format":"1","id":"a","refresh_token":{"x":"` + mark + `"}}`, "refresh_token is not a string"},

	"half of a surrogate pair in a token":       {`{"format":"1","id":"a","access_token":"` + mark + `\ud800cd"}`, "access_token is not valid Unicode"},
	"half of a surrogate pair in the id":        {`{"format":"1","id":"` + mark + `\uDFFF","access_token":"b"}`, "id is not valid Unicode"},
	"half of a surrogate pair in the scope":     {`{"format":"1","id":"a","access_token":"b","scope":"` + mark + `\ud83d\ud83d"}`, "scope is not valid Unicode"},
	"half of a surrogate pair in the format":    {`{"format":"1.\ud800","id":"a","access_token":"` + mark + `"}`, "format is not valid Unicode"},
	"half of a surrogate pair in an expiry":     {`{"format":"1","id":"a","access_token":"` + mark + `","expiry_time":"1\udc00"}`, "expiry_time is not valid Unicode"},
	"half of a surrogate pair among superseded": {`{"format":"1","id":"a","access_token":"` + mark + `","superseded_refresh_tokens":"\ud800"}`, "superseded_refresh_tokens is not valid Unicode"},

	"an expiry that is a number":      {`{"format":"1","id":"a","access_token":"` + mark + `","expiry_time":1893553445678}`, "expiry_time is not a string"},
	"an expiry that is no number":     {`{"format":"1","id":"a","access_token":"b","expiry_time":"` + mark + `"}`, "milliseconds"},
	"an expiry with a fraction":       {`{"format":"1","id":"a","access_token":"` + mark + `","expiry_time":"1.5"}`, "milliseconds"},
	"an expiry in words":              {`{"format":"1","id":"a","access_token":"` + mark + `","expiry_time":"2030-01-02T03:04:05Z"}`, "milliseconds"},
	"an expiry with a plus":           {`{"format":"1","id":"a","access_token":"` + mark + `","expiry_time":"+1"}`, "milliseconds"},
	"an expiry with leading zeros":    {`{"format":"1","id":"a","access_token":"` + mark + `","expiry_time":"01"}`, "milliseconds"},
	"an expiry with spaces":           {`{"format":"1","id":"a","access_token":"` + mark + `","expiry_time":" 1"}`, "milliseconds"},
	"an expiry out of range":          {`{"format":"1","id":"a","access_token":"` + mark + `","expiry_time":"99999999999999999999"}`, "milliseconds"},
	"an expiry that is the zero time": {`{"format":"1","id":"a","access_token":"` + mark + `","expiry_time":"-62135596800000"}`, "milliseconds"},
	"an expiry in the year 10000":     {`{"format":"1","id":"a","access_token":"` + mark + `","expiry_time":"253402300800000"}`, "years 1 to 9999"},
	"an expiry before the year 1":     {`{"format":"1","id":"a","access_token":"` + mark + `","expiry_time":"-62135596800001"}`, "years 1 to 9999"},

	"superseded tokens that are a list": {`{"format":"1","id":"a","access_token":"b","superseded_refresh_tokens":["` + mark + `"]}`, "is not a string"},
	"superseded tokens that are null":   {`{"format":"1","id":"a","access_token":"` + mark + `","superseded_refresh_tokens":null}`, "is not a string"},

	"an index":                     {`{"format":"1","entries":[{"id":"` + mark + `"}]}`, "no id"},
	"an encrypted document":        {`{"format":"1","encrypted":"` + mark + `"}`, "no id"},
	"somebody's own key and value": {`{"password":"` + mark + `"}`, "no format"},
	"names in upper case":          {`{"FORMAT":"1","ID":"a","ACCESS_TOKEN":"` + mark + `"}`, "no format"},
	"the token one level down":     {`{"format":"1","token":{"id":"a","access_token":"` + mark + `"}}`, "no id"},
}

func TestJSON_decodeRefusesWhatIsNoToken(t *testing.T) {
	for name, c := range undecodable {
		t.Run(name, func(t *testing.T) {
			r, err := codec.JSON{}.Decode("the/secret", parse(t, c.data))
			corrupt := wantCorrupt(t, "the/secret", r, err)
			if !strings.Contains(corrupt.Reason, c.reason) {
				t.Errorf("got reason %q, want one that says %q", corrupt.Reason, c.reason)
			}
		})
	}
}

func TestJSON_aNewerMajorVersionIsRefusedClearly(t *testing.T) {
	r, err := codec.JSON{}.Decode("the/secret", parse(t, `{"format":"2","id":"`+mark+`"}`))
	corrupt := wantCorrupt(t, "the/secret", r, err)
	for _, want := range []string{"format version 2", "version 1", "newer"} {
		if !strings.Contains(corrupt.Reason, want) {
			t.Errorf("got reason %q, want one that says %q", corrupt.Reason, want)
		}
	}
}

func wantRecord(t testing.TB, got *oauthstore.Record, want oauthstore.Record) {
	t.Helper()
	if got.Token != want.Token {
		t.Errorf("got token %v, want %v", got.Token, want.Token)
	}
	if !slices.Equal(got.Superseded, want.Superseded) {
		t.Errorf("superseded: got %q, want %q", got.Superseded, want.Superseded)
	}
	wantDocument(t, got.Unknown, want.Unknown)
}

func wantDocument(t testing.TB, got, want codec.Document) {
	t.Helper()
	if equal(got, want) {
		return
	}
	text := func(d codec.Document) string {
		b, err := json.Marshal(map[string]json.RawMessage(d))
		return string(b) + errorText(err)
	}
	t.Errorf("got  %s\nwant %s", text(got), text(want))
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// FuzzDecode. Law: what decodes encodes to an equal document, the fields of the token unit by unit, or
// the error is a CorruptRecordError and there is no token. Equal is, beside white space and escapes: empty
// fields of the token left out, one space between superseded tokens, and the format written by this version.
func FuzzDecode(f *testing.F) {
	for _, data := range golden(f) {
		f.Add(data)
	}
	for _, c := range undecodable {
		f.Add([]byte(c.data))
	}
	f.Add([]byte(`{"format":"1.9","id":"\ud83d\uDE00","grant_token":"\\ud800\/\u0000\ufffd","superseded_refresh_tokens":" a\u00a0b  c","scope":""}`))
	f.Add([]byte(`{"format":"1","id":"a","refresh_token":"b","Refresh_Token":"c","x":"\ud800"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := codec.Parse(data)
		if err != nil {
			return
		}
		r, err := codec.JSON{}.Decode("the/secret", d)
		if err != nil {
			var corrupt *oauthstore.CorruptRecordError
			if !errors.As(err, &corrupt) || r != nil {
				t.Errorf("got record %v and error %v, want none and a CorruptRecordError", r, err)
			}
			return
		}
		if r.Token.ID == "" {
			t.Error("got a token without id")
		}
		got, err := codec.JSON{}.Encode("the/secret", r)
		if err != nil {
			t.Fatalf("what decodes does not encode: %v", err)
		}
		want := canonical(t, d)
		wantDocument(t, got, want)
		for _, name := range knownFields {
			if g, w := units(t, got[name]), units(t, want[name]); !slices.Equal(g, w) {
				t.Errorf("field %s: got the UTF-16 code units %x, want %x", name, g, w)
			}
		}
		wantRecord(t, throughBytes(t, r), *r)
	})
}

// canonical is d as this version writes it.
func canonical(t testing.TB, d codec.Document) codec.Document {
	c := maps.Clone(d)
	codec.SetFormat(c)
	superseded, err := c.Get("superseded_refresh_tokens")
	if err != nil {
		t.Fatal(err)
	}
	c.Set("superseded_refresh_tokens", strings.Join(strings.Fields(superseded), " "))
	for _, name := range knownFields {
		if value, err := c.Get(name); err == nil && value == "" {
			delete(c, name)
		}
	}
	return c
}

var knownFields = []string{
	"format", "id", "user_name", "client_id", "client_secret", "redirect_url", "grant_token", "refresh_token",
	"access_token", "token_type", "scope", "api_domain", "expiry_time", "superseded_refresh_tokens",
}

// units returns what a JSON string means by RFC 8259, 7: UTF-16 code units, half a pair among them, which
// encoding/json does not tell from U+FFFD.
func units(t testing.TB, raw json.RawMessage) []uint16 {
	t.Helper()
	var units []uint16
	text := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(string(raw)), `"`), `"`)
	for text != "" {
		switch {
		case strings.HasPrefix(text, `\u`):
			unit, err := strconv.ParseUint(text[2:6], 16, 16)
			if err != nil {
				t.Fatalf("an escape in %s: %v", raw, err)
			}
			units, text = append(units, uint16(unit)), text[6:]
		case strings.HasPrefix(text, `\/`), strings.HasPrefix(text, `\"`): // Go does not have these
			units, text = append(units, uint16(text[1])), text[2:]
		default:
			r, _, rest, err := strconv.UnquoteChar(text, 0)
			if err != nil {
				t.Fatalf("a character in %s: %v", raw, err)
			}
			units, text = utf16.AppendRune(units, r), rest
		}
	}
	return units
}
