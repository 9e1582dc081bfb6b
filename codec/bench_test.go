package codec_test

import (
	"encoding/json"
	"testing"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// What a save and a find spend on the document, from the record to the bytes of the secret and back.

func BenchmarkJSON(b *testing.B) { benchmark(b, codec.JSON{}) }

func BenchmarkEncrypted(b *testing.B) { benchmark(b, encrypted(b, key(b, 1))) }

// The document is under the second of the older keys: two fail first.
func BenchmarkEncrypted_rotated(b *testing.B) {
	benchmark(b, rotated{encrypted(b, key(b, 1), codec.WithDecryption(key(b, 2), key(b, 3))), encrypted(b, key(b, 3))})
}

// rotated decodes with one codec what another has encoded.
type rotated struct {
	codec.Codec
	before codec.Codec
}

func (r rotated) Encode(secret string, rec *oauthstore.Record) (codec.Document, error) {
	return r.before.Encode(secret, rec)
}

func benchmark(b *testing.B, c codec.Codec) {
	r := goldenRecords()["full"]
	data, err := json.Marshal(encode(b, c, &r))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(encode(b, c, &r)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Decode(secretName, parse(b, string(data))); err != nil {
				b.Fatal(err)
			}
		}
	})
}
