// Package codec turns a token's record into the document that a secret holds, and back.
//
// [JSON] is the document in clear, which is what the stores use unless told otherwise: the secret
// manager encrypts it. [Encrypted] wraps another codec and encrypts its documents once more, with a
// key that the secret manager does not have.
package codec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/oauthstore/oauthstore"
)

// A Codec turns records into documents and back. It is safe for concurrent use.
//
// secret is the full name of the secret that holds the document; a codec may bind the document to it,
// and names it in errors. Decode returns an [*oauthstore.CorruptRecordError] for a document that
// Encode did not write, never a record with a part of its fields.
type Codec interface {
	Encode(secret string, r *oauthstore.Record) (Document, error)
	Decode(secret string, d Document) (*oauthstore.Record, error)
}

// A Sealer is a Codec that encrypts what a store writes: the documents of tokens, and of the index, which hold
// ids, user names and client ids. A store whose codec is a Sealer does not call Encode and Decode: it makes a document
// with the codec that Plain returns, and stores it as Seal returns it. It is safe for concurrent use.
type Sealer interface {
	Codec

	// Plain returns the codec of the documents before they are sealed.
	Plain() Codec

	// Seal returns the document that the secret is to hold in place of d, under the newest key. It waits for a key no
	// longer than ctx allows.
	Seal(ctx context.Context, secret Secret, d Document) (Document, error)

	// Open is the inverse of Seal. current reports whether Seal would use the same key today: if not, the next save
	// writes, though it changes nothing else, and [oauthstore.Rekeyer] counts the secret as needing an old key.
	// So current must not be true for a document that cannot be opened once the old keys are gone.
	//
	// If the key cannot be used now, since its service does not answer, the error wraps [oauthstore.ErrUnavailable],
	// [oauthstore.ErrThrottled] or [oauthstore.ErrAccessDenied]. If d is not a document of Seal for this secret, it is
	// an [*oauthstore.CorruptRecordError].
	Open(ctx context.Context, secret Secret, d Document) (opened Document, current bool, err error)
}

// A Secret says which secret a document is in.
type Secret struct {
	// Name is the name as errors show it.
	Name string

	// Resource is what a ciphertext is bound to: the name, and before it what the store knows of the place. On AWS it is
	// the name; on Vault the namespace, the mount and the path; on Google the resource name with project and location,
	// as these were given to the store.
	Resource string
}

// A Document is a JSON object, field by field: services that keep a secret as key and value pairs get
// it as such. It holds secrets in clear. package encoding/json writes and [Parse] reads it as a
// whole; package fmt and log/slog show the names of its fields only.
type Document map[string]json.RawMessage

// Parse reads a document: one JSON object, in UTF-8, without a field twice or one whose name has half of
// a surrogate pair, which no Document can keep. Its error does not quote the input.
func Parse(data []byte) (Document, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	d := make(Document)
	for dec.More() {
		if err := d.parseField(dec, data); err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("not a whole JSON object")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON object")
	}
	return d, nil
}

func (d Document) parseField(dec *json.Decoder, data []byte) error {
	// The decoder's errors may quote what they stumble on, and that is a credential: not wrapped.
	begin := dec.InputOffset()
	t, err := dec.Token()
	name, ok := t.(string)
	if err != nil || !ok {
		return errors.New("not a whole JSON object")
	}
	if !isUnicode(data[begin:dec.InputOffset()]) {
		return errors.New("the name of a field is not valid Unicode")
	}
	if _, twice := d[name]; twice {
		return errors.New("a field stands twice")
	}
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		return errors.New("not a whole JSON object")
	}
	d[name] = value
	return nil
}

// Set sets a field to a string.
func (d Document) Set(name, value string) {
	quoted, _ := json.Marshal(value) // a string always marshals
	d[name] = quoted
}

// Get returns a field that is a string, empty where it is absent. Its error does not quote the value.
func (d Document) Get(name string) (string, error) {
	raw, ok := d[name]
	if !ok {
		return "", nil
	}
	var value string
	if err := json.Unmarshal(raw, &value); err != nil || !isString(raw) {
		return "", fmt.Errorf("field %s is not a string", name)
	}
	if !isUnicode(raw) {
		return "", fmt.Errorf("field %s is not valid Unicode", name)
	}
	return value, nil
}

// isString excludes null, which encoding/json takes for an empty string.
func isString(raw json.RawMessage) bool {
	return bytes.HasPrefix(bytes.TrimSpace(raw), []byte(`"`))
}

// isUnicode excludes what encoding/json replaces without a word, which makes another credential of one:
// bytes that are not UTF-8, and half of a surrogate pair in an escape. raw is a JSON string, and perhaps
// what stands between it and the one before.
func isUnicode(raw json.RawMessage) bool {
	if !utf8.Valid(raw) {
		return false
	}
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return true
		}
		raw = raw[i:]
		unit, ok := utf16Escape(raw)
		switch {
		case !ok:
			raw = raw[len(`\n`):]
		case !utf16.IsSurrogate(unit):
			raw = raw[len(`\u0000`):]
		default:
			low, _ := utf16Escape(raw[len(`\u0000`):])
			if utf16.DecodeRune(unit, low) == utf8.RuneError {
				return false
			}
			raw = raw[len(`\u0000\u0000`):]
		}
	}
}

// utf16Escape returns the UTF-16 code unit that the escape at the beginning of raw stands for.
func utf16Escape(raw json.RawMessage) (unit rune, ok bool) {
	if !bytes.HasPrefix(raw, []byte(`\u`)) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(raw[2:min(len(raw), 6)]), 16, 16)
	return rune(n), err == nil
}

// String shows the names of the fields.
func (d Document) String() string {
	return "Document{" + strings.Join(slices.Sorted(maps.Keys(d)), ", ") + "}"
}

// Format writes String for every verb.
func (d Document) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, d.String()) }

// LogValue makes slog show the names of the fields.
func (d Document) LogValue() slog.Value { return slog.StringValue(d.String()) }

// FormatVersion is the version of the documents that this package writes. It reads all versions with
// the same number before the first dot.
const FormatVersion = "1"

const formatField = "format"

// CheckFormat returns an error unless d says that its format is one that this package reads.
func CheckFormat(d Document) error {
	format, err := d.Get(formatField)
	if err != nil {
		return err
	}
	major, _, _ := strings.Cut(format, ".")
	switch {
	case format == "":
		return errors.New("no format version")
	case major == FormatVersion:
		return nil
	case major == "" || len(major) > 8 || strings.Trim(major, "0123456789") != "":
		return errors.New("the format version is not a number")
	default:
		return fmt.Errorf("format version %s is not known to this version of the library, which reads version %s: a newer one wrote it",
			major, FormatVersion)
	}
}

// SetFormat marks d as a document of this package. If d has a version that this package reads, it keeps that one: a newer
// library has written d, and its fields are still there.
func SetFormat(d Document) {
	if CheckFormat(d) != nil {
		d.Set(formatField, FormatVersion)
	}
}

func corrupt(secret string, err error) error {
	return &oauthstore.CorruptRecordError{Secret: secret, Reason: err.Error()}
}
