package codec_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// tinkAEAD has the methods of tink.AEAD (github.com/tink-crypto/tink-go/v2/tink).
type tinkAEAD interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// Whatever is a tink.AEAD is a codec.AEAD, without an adapter.
var _ codec.AEAD = tinkAEAD(nil)

const secretName = "oauthstore/token_alice"

// key returns an AES-256-GCM whose key is n, over and over.
func key(t testing.TB, n byte) *gcm {
	t.Helper()
	k, err := newGCM(bytes.Repeat([]byte{n}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func encrypted(t testing.TB, primary codec.AEAD, opts ...codec.Option) *codec.Encrypted {
	t.Helper()
	e, err := codec.NewEncrypted(codec.JSON{}, primary, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func encode(t testing.TB, c codec.Codec, r *oauthstore.Record) codec.Document {
	t.Helper()
	d, err := c.Encode(secretName, r)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// marked is a record with the mark in every text.
func marked() *oauthstore.Record {
	return &oauthstore.Record{
		Token: oauthstore.OAuthToken{
			ID: mark, UserName: mark, ClientID: mark, ClientSecret: mark, RedirectURL: mark, GrantToken: mark,
			RefreshToken: mark, AccessToken: mark, TokenType: mark, Scope: mark, APIDomain: mark, Extra: `{"` + mark + `":1}`,
		},
		Superseded: []string{mark},
		Unknown:    map[string]json.RawMessage{mark: json.RawMessage(`"` + mark + `"`)},
	}
}

func TestEncrypted_whatIsWrittenIsReadBack(t *testing.T) {
	e := encrypted(t, key(t, 1))
	for name, want := range goldenRecords() {
		t.Run(name, func(t *testing.T) {
			data, err := json.Marshal(encode(t, e, &want))
			if err != nil {
				t.Fatal(err)
			}
			got, err := e.Decode(secretName, parse(t, string(data)))
			if err != nil {
				t.Fatal(err)
			}
			wantRecord(t, got, want)
		})
	}
}

func TestEncrypted_theDocumentShowsNothing(t *testing.T) {
	d := encode(t, encrypted(t, key(t, 1)), marked())
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	wantNoMark(t, string(data))
	if len(d) != 2 || codec.CheckFormat(d) != nil {
		t.Errorf("got %v, want the format and the ciphertext", d)
	}
	text, err := d.Get("encrypted")
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	wantNoMark(t, string(ciphertext))
	if again := encode(t, encrypted(t, key(t, 1)), marked()); normal(again["encrypted"]) == normal(d["encrypted"]) {
		t.Error("the same record twice makes the same ciphertext")
	}
}

func TestEncrypted_aCiphertextUnderAnotherNameIsRefused(t *testing.T) {
	e := encrypted(t, key(t, 1))
	d := encode(t, e, marked())
	for _, other := range []string{"oauthstore/token_mallory", secretName + " ", "O" + secretName[1:], secretName[1:]} {
		r, err := e.Decode(other, d)
		wantCorrupt(t, other, r, err)
	}
}

func TestEncrypted_whatWasTamperedWithIsRefused(t *testing.T) {
	e := encrypted(t, key(t, 1), codec.WithDecryption(key(t, 2)))
	good := encode(t, e, marked())
	text, err := good.Get("encrypted")
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(t *testing.T, ciphertext []byte) {
		t.Helper()
		d := codec.Document{"format": good["format"]}
		d.Set("encrypted", base64.StdEncoding.EncodeToString(ciphertext))
		r, err := e.Decode(secretName, d)
		wantCorrupt(t, secretName, r, err)
	}
	for i := range ciphertext {
		changed := bytes.Clone(ciphertext)
		changed[i] ^= 1
		refused(t, changed)
	}
	for i := range ciphertext {
		refused(t, ciphertext[:i])
	}
	refused(t, append(bytes.Clone(ciphertext), 0))
}

func TestEncrypted_refusesWhatIsNotEncrypted(t *testing.T) {
	e := encrypted(t, key(t, 1))
	for name, data := range map[string]string{
		"a document in clear":         `{"format":"1","id":"` + mark + `"}`,
		"no format":                   `{"encrypted":"` + mark + `"}`,
		"a newer major version":       `{"format":"2","encrypted":"` + mark + `"}`,
		"an empty ciphertext":         `{"format":"1","encrypted":"","id":"` + mark + `"}`,
		"a ciphertext that is a list": `{"format":"1","encrypted":["` + mark + `"]}`,
		"a ciphertext that is null":   `{"format":"1","encrypted":null,"id":"` + mark + `"}`,
		"no base64":                   `{"format":"1","encrypted":"` + mark + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			r, err := e.Decode(secretName, parse(t, data))
			wantCorrupt(t, secretName, r, err)
		})
	}
}

// Whoever has the key may have encrypted what is no token.
func TestEncrypted_refusesWhatDecryptsToNoToken(t *testing.T) {
	k := key(t, 1)
	e := encrypted(t, k, codec.WithPlaintextReads())
	plaintexts := []string{mark, "", `{"id":"` + mark, `["` + mark + `"]`}
	for _, c := range undecodable {
		plaintexts = append(plaintexts, c.data)
	}
	for _, plaintext := range plaintexts {
		ciphertext, err := k.Encrypt([]byte(plaintext), []byte(secretName))
		if err != nil {
			t.Fatal(err)
		}
		d := codec.Document{}
		codec.SetFormat(d)
		d.Set("encrypted", base64.StdEncoding.EncodeToString(ciphertext))
		r, err := e.Decode(secretName, d)
		wantCorrupt(t, secretName, r, err)
	}
}

func TestEncrypted_rotation(t *testing.T) {
	first, second, third := key(t, 1), key(t, 2), key(t, 3)
	oldest, older := encode(t, encrypted(t, first), marked()), encode(t, encrypted(t, second), marked())
	rotated := encrypted(t, third, codec.WithDecryption(second), codec.WithDecryption(first))
	for name, d := range map[string]codec.Document{
		"under the oldest key": oldest, "under the older key": older, "under the primary": encode(t, rotated, marked()),
	} {
		r, err := rotated.Decode(secretName, d)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantRecord(t, r, *marked())
	}
	if _, err := encrypted(t, third).Decode(secretName, encode(t, rotated, marked())); err != nil {
		t.Errorf("what is written after a rotation is not under the primary alone: %v", err)
	}
	r, err := encrypted(t, third, codec.WithDecryption(second)).Decode(secretName, oldest)
	wantCorrupt(t, secretName, r, err)
	r, err = encrypted(t, second).Decode(secretName, oldest)
	wantCorrupt(t, secretName, r, err)
}

func TestEncrypted_readsPlaintextOnlyWhereAllowed(t *testing.T) {
	plain := encode(t, codec.JSON{}, marked())
	moving := encrypted(t, key(t, 1), codec.WithPlaintextReads())
	r, err := moving.Decode(secretName, plain)
	if err != nil {
		t.Fatal(err)
	}
	wantRecord(t, r, *marked())
	if d := encode(t, moving, r); d["encrypted"] == nil {
		t.Errorf("a save leaves it in clear: %v", d)
	}
	if _, err := moving.Decode(secretName, encode(t, moving, r)); err != nil {
		t.Errorf("what is encrypted cannot be read any more: %v", err)
	}
	r, err = encrypted(t, key(t, 1)).Decode(secretName, plain)
	wantCorrupt(t, secretName, r, err)

	t.Run("a broken ciphertext is not read as plaintext", func(t *testing.T) {
		plain["encrypted"] = json.RawMessage(`""`)
		r, err := moving.Decode(secretName, plain)
		wantCorrupt(t, secretName, r, err)
	})
}

func TestEncrypted_unknownFieldsOutliveASave(t *testing.T) {
	const data = `{"format":"1.4","id":"id","refresh_token":"refresh","Scope":"` + mark + `","team":{"lead" : "\ud800"},"n":1.50e+400}`
	e := encrypted(t, key(t, 1), codec.WithPlaintextReads())
	d := parse(t, data) // first in clear, then as the save before has left it
	for _, access := range []string{"first", "second"} {
		r, err := e.Decode(secretName, d)
		if err != nil {
			t.Fatal(err)
		}
		merged, changed := r.Merge(&oauthstore.OAuthToken{AccessToken: access})
		if !changed {
			t.Fatal("the save changes nothing")
		}
		written, err := json.Marshal(encode(t, e, merged))
		if err != nil {
			t.Fatal(err)
		}
		wantNoMark(t, string(written))
		d = parse(t, string(written))
		got, err := e.Decode(secretName, d)
		if err != nil {
			t.Fatal(err)
		}
		want := oauthstore.Record{Token: oauthstore.OAuthToken{ID: "id", RefreshToken: "refresh", AccessToken: access}}
		want.Unknown = map[string]json.RawMessage{
			"Scope": json.RawMessage(`"` + mark + `"`), "team": json.RawMessage(`{"lead":"\ud800"}`), "n": json.RawMessage(`1.50e+400`),
			"format": json.RawMessage(`"1.4"`),
		}
		wantRecord(t, got, want)
		for name, raw := range want.Unknown {
			if string(got.Unknown[name]) != string(raw) {
				t.Errorf("field %s: got %s, want %s", name, got.Unknown[name], raw)
			}
		}
	}
}

// What NewEncrypted warns of.
func TestEncrypted_theCiphertextIsAllThatIsProtected(t *testing.T) {
	e := encrypted(t, key(t, 1))
	d := encode(t, e, marked())
	d.Set("note", "beside the ciphertext")
	r, err := e.Decode(secretName, d)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Unknown) != 1 {
		t.Errorf("got the fields %v, want those that were encrypted", r.Unknown)
	}
	merged, _ := r.Merge(&oauthstore.OAuthToken{AccessToken: "newer"})
	if newer := encode(t, e, merged); newer["note"] != nil || len(newer) != 2 {
		t.Errorf("got %v, want the format and the ciphertext", newer)
	}
	if r, err := e.Decode(secretName, d); err != nil || r.Token.AccessToken != mark {
		t.Errorf("the ciphertext before the save, put back: got %v and error %v, want that token", r, err)
	}
}

func TestSeal_protectsAnyDocument(t *testing.T) {
	e := encrypted(t, key(t, 1))
	d := parse(t, `{"entries":[{"id":"`+mark+`"}],"format":"1"}`)
	index := codec.Secret{Name: "index", Resource: "projects/a/index"}
	sealed, err := e.Seal(t.Context(), index, d)
	if err != nil {
		t.Fatal(err)
	}
	wantNoMark(t, string(sealed["encrypted"]))
	opened, current, err := e.Open(t.Context(), index, sealed)
	if err != nil || !current {
		t.Fatalf("got current %v and error %v, want a current document", current, err)
	}
	wantDocument(t, opened, d)
	_, _, err = e.Open(t.Context(), codec.Secret{Name: "index", Resource: "projects/b/index"}, sealed)
	wantCorrupt(t, "index", nil, err)
	_, _, err = e.Open(t.Context(), index, d)
	wantCorrupt(t, "index", nil, err)
}

func TestSeal_refusesADocumentThatIsNoJSON(t *testing.T) {
	d, err := encrypted(t, key(t, 1)).Seal(t.Context(), codec.Secret{Name: secretName}, codec.Document{"a": json.RawMessage(mark)})
	if err == nil || d != nil {
		t.Errorf("got %v and error %v, want an error", d, err)
	}
	wantNoMark(t, err)
}

func TestEncrypted_doesNotEncryptWhatTheInnerCodecRefuses(t *testing.T) {
	r := marked()
	r.Token.AccessToken = mark + "\xff"
	d, err := encrypted(t, key(t, 1)).Encode(secretName, r)
	if !errors.Is(err, oauthstore.ErrInvalidToken) || d != nil {
		t.Errorf("got %v and error %v, want ErrInvalidToken", d, err)
	}
}

func TestNewEncrypted_refusesWhatIsMissing(t *testing.T) {
	k := key(t, 1)
	for name, c := range map[string]struct {
		inner   codec.Codec
		primary codec.AEAD
		opts    []codec.Option
		want    string
	}{
		"no inner codec":         {nil, k, nil, "NewEncrypted"},
		"no key":                 {codec.JSON{}, nil, nil, "NewEncrypted"},
		"a nil pointer":          {codec.JSON{}, (*pointed)(nil), nil, "NewEncrypted"},
		"a nil inner pointer":    {(*codec.Encrypted)(nil), k, nil, "NewEncrypted"},
		"a nil pointer to read":  {codec.JSON{}, k, []codec.Option{codec.WithDecryption((*pointed)(nil))}, "WithDecryption"},
		"a nil decryption key":   {codec.JSON{}, k, []codec.Option{codec.WithDecryption(nil)}, "WithDecryption"},
		"one of them nil":        {codec.JSON{}, k, []codec.Option{codec.WithDecryption(k, nil)}, "WithDecryption"},
		"no key of a service":    {codec.JSON{}, codec.Remote((*remoteKey)(nil)), nil, "NewEncrypted"},
		"no key of a scope":      {codec.JSON{}, codec.Scoped((*pointed)(nil), "a"), nil, "NewEncrypted"},
		"neither":                {codec.JSON{}, codec.Scoped(codec.Remote((*remoteKey)(nil)), "a"), nil, "NewEncrypted"},
		"no scoped key to read":  {codec.JSON{}, k, []codec.Option{codec.WithDecryption(codec.Scoped((*pointed)(nil), "a"))}, "WithDecryption"},
		"nil among many options": {codec.JSON{}, k, []codec.Option{codec.WithDecryption(k), codec.WithDecryption(nil, k)}, "WithDecryption"},
	} {
		e, err := codec.NewEncrypted(c.inner, c.primary, c.opts...)
		if err == nil || e != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v and error %v, want an error that names %s", name, e, err, c.want)
		}
	}
	if _, err := codec.NewEncrypted(codec.JSON{}, k, nil, codec.WithDecryption(), nil); err != nil {
		t.Errorf("WithDecryption of no keys: %v", err)
	}
}

// A talkative is the error of an AEAD that has kept what it was given. It is a value, so that printing
// one with %#v, or a struct that holds it, shows it whole.
type talkative struct{ Plaintext string }

func (e talkative) Error() string { return "cannot encrypt " + e.Plaintext }

// broken is an AEAD that fails with its plaintext, or with the mark, in the error.
type broken struct{}

func (broken) Encrypt(plaintext, _ []byte) ([]byte, error) { return nil, talkative{string(plaintext)} }
func (broken) Decrypt(_, _ []byte) ([]byte, error)         { return nil, talkative{mark} }

func TestEncrypted_theErrorOfAnAEADIsWithinReachAndNotInTheText(t *testing.T) {
	_, encryptErr := encrypted(t, broken{}).Encode(secretName, marked())
	good := encode(t, encrypted(t, key(t, 1)), marked())
	_, decryptErr := encrypted(t, broken{}).Decode(secretName, good)
	_, bothErr := encrypted(t, key(t, 2), codec.WithDecryption(broken{}, key(t, 3))).Decode(secretName, good)
	for name, err := range map[string]error{"encrypt": encryptErr, "decrypt": decryptErr, "decrypt, two keys": bothErr} {
		t.Run(name, func(t *testing.T) {
			var cause talkative
			if !errors.As(err, &cause) || !strings.Contains(cause.Plaintext, mark) {
				t.Errorf("errors.As does not reach the AEAD's error in %v", err)
			}
			if !errors.Is(err, cause) {
				t.Errorf("errors.Is does not reach the AEAD's error in %v", err)
			}
			wantNoMark(t, err)
			wantNoMark(t, fmt.Sprintf("%v %+v %#v", struct{ Err error }{err}, []error{err}, struct{ Err error }{err}))
			wantNoMark(t, fmt.Errorf("save: %w", err))
			var log bytes.Buffer
			slog.New(slog.NewJSONHandler(&log, nil)).Error("failed", "err", err, "in", struct{ Err error }{err})
			slog.New(slog.NewTextHandler(&log, nil)).Error("failed", "err", err, "in", struct{ Err error }{err})
			wantNoMark(t, log.String())
		})
	}
}

// A careless AEAD is a value that holds its key, and its errors hold the key and all that it was given.
type careless struct{ Key string }

func (k careless) Encrypt(plaintext, _ []byte) ([]byte, error) {
	return nil, fmt.Errorf("%+v cannot encrypt %s", k, plaintext)
}

func (k careless) Decrypt(ciphertext, _ []byte) ([]byte, error) {
	if bytes.HasPrefix(ciphertext, []byte("clear:")) {
		return ciphertext[len("clear:"):], nil
	}
	return nil, fmt.Errorf("%+v cannot decrypt %s", k, ciphertext)
}

func TestEncrypted_noErrorTellsAPlaintextOrAKey(t *testing.T) {
	e := encrypted(t, careless{mark}, codec.WithDecryption(careless{mark + " too"}))
	invalid := marked()
	invalid.Token.Scope = mark + "\xff"
	for name, r := range map[string]*oauthstore.Record{"a record": marked(), "one that cannot be stored": invalid} {
		d, err := e.Encode(secretName, r)
		if err == nil || d != nil {
			t.Errorf("%s: got %v and error %v, want an error", name, d, err)
		}
		wantNoMark(t, err)
	}
	_, err := e.Seal(t.Context(), codec.Secret{Name: secretName}, codec.Document{mark: json.RawMessage(`{` + mark)})
	wantNoMark(t, err)

	ciphertexts := map[string]string{"does not decrypt": mark}
	for name, data := range malformed {
		ciphertexts["decrypts to "+name] = "clear:" + data
	}
	for name, c := range undecodable {
		ciphertexts["decrypts to "+name] = "clear:" + c.data
	}
	for name, ciphertext := range ciphertexts {
		t.Run(name, func(t *testing.T) {
			d := codec.Document{}
			codec.SetFormat(d)
			d.Set("encrypted", base64.StdEncoding.EncodeToString([]byte(ciphertext)))
			r, err := e.Decode(secretName, d)
			wantCorrupt(t, secretName, r, err)
			wantNoMark(t, fmt.Errorf("find: %w", err))
			wantNoMark(t, fmt.Sprintf("%v %+v %#v", struct{ Err error }{err}, []error{err}, struct{ Err error }{err}))
		})
	}
}

func TestEncrypted_isSafeForConcurrentUse(t *testing.T) {
	e := encrypted(t, key(t, 2), codec.WithDecryption(key(t, 1)))
	old := encode(t, encrypted(t, key(t, 1)), marked())
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for range 50 {
				for _, d := range []codec.Document{old, encode(t, e, marked())} {
					r, err := e.Decode(secretName, d)
					if err != nil {
						t.Fatal(err)
					}
					wantRecord(t, r, *marked())
				}
			}
		})
	}
}

// FuzzDecodeEncrypted. Law: whatever the document holds, it decodes to the record that was encrypted,
// or the error is a CorruptRecordError and there is no token.
func FuzzDecodeEncrypted(f *testing.F) {
	e := encrypted(f, key(f, 1))
	data, err := json.Marshal(encode(f, e, marked()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format":"1","encrypted":""}`))
	for _, data := range golden(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := codec.Parse(data)
		if err != nil {
			return
		}
		r, err := e.Decode(secretName, d)
		var corrupt *oauthstore.CorruptRecordError
		switch {
		case err == nil:
			wantRecord(t, r, *marked())
		case !errors.As(err, &corrupt) || r != nil:
			t.Errorf("got record %v and error %v, want none and a CorruptRecordError", r, err)
		}
	})
}

// pointed is an AEAD by its pointer.
type pointed struct{ codec.AEAD }
