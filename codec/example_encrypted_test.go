package codec_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"log"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// gcm is AES-GCM of the standard library as a [codec.AEAD]. Every ciphertext begins with a random nonce
// of its own; NIST SP 800-38D allows 2^32 of them under one key.
type gcm struct{ aead cipher.AEAD }

func newGCM(key []byte) (*gcm, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &gcm{aead}, err
}

func (g *gcm) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	return g.aead.Seal(nil, nil, plaintext, associatedData), nil
}

func (g *gcm) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	return g.aead.Open(nil, nil, ciphertext, associatedData)
}

// Tokens are encrypted before they go to the secret manager, and later the key is changed. A key of 32
// bytes makes it AES-256; take it from where the secret manager's readers cannot get at it.
func ExampleEncrypted() {
	old, err := newGCM(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		log.Fatal(err)
	}
	before, err := codec.NewEncrypted(codec.JSON{}, old)
	if err != nil {
		log.Fatal(err)
	}
	token := oauthstore.OAuthToken{ID: "alice", RefreshToken: "refresh-1"}
	document, err := before.Encode("oauthstore/token_alice", &oauthstore.Record{Token: token})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(document)

	// From now on the new key encrypts, and what the old one has encrypted can still be read.
	key, err := newGCM(bytes.Repeat([]byte{2}, 32))
	if err != nil {
		log.Fatal(err)
	}
	after, err := codec.NewEncrypted(codec.JSON{}, key, codec.WithDecryption(old))
	if err != nil {
		log.Fatal(err)
	}
	record, err := after.Decode("oauthstore/token_alice", document)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(record.Token.RefreshToken)

	// A ciphertext that somebody has copied to another secret does not decrypt.
	_, err = after.Decode("oauthstore/token_mallory", document)
	fmt.Println(err)
	// Output:
	// Document{encrypted, format}
	// refresh-1
	// oauthstore: corrupt record: secret "oauthstore/token_mallory": does not decrypt under any of the keys
}
