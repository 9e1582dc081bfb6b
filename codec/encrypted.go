package codec

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/args"
)

// AEAD is authenticated encryption with associated data. tink.AEAD of the Tink library is one; the
// package example makes one of the standard library's AES-GCM. It is safe for concurrent use, and
// Encrypt never returns the same ciphertext twice.
type AEAD interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// A Sealer is a codec that can also protect documents that are not tokens. A store whose codec is one
// protects its index with it, which holds ids, user names and client ids.
type Sealer interface {
	Seal(secret string, d Document) (Document, error)
	Open(secret string, d Document) (Document, error)
}

// Encrypted is a codec whose documents show nothing but a ciphertext, in base64, under the name
// "encrypted". The secret's name is the associated data: a ciphertext that was copied to a secret
// with another name does not decrypt. Make it with [NewEncrypted].
type Encrypted struct {
	inner     Codec
	primary   AEAD
	older     []AEAD
	plaintext bool
}

var (
	_ Codec  = (*Encrypted)(nil)
	_ Sealer = (*Encrypted)(nil)
)

// An Option changes an [Encrypted] codec. A nil Option is ignored.
type Option func(*Encrypted)

// WithDecryption lets documents be read that were encrypted under one of these keys. To rotate a key,
// make the new one the primary and name the old one here; each save encrypts under the primary.
func WithDecryption(keys ...AEAD) Option {
	return func(e *Encrypted) { e.older = append(e.older, keys...) }
}

// WithPlaintextReads lets documents be read that are not encrypted at all, as they are while a store
// moves from [JSON] to encryption: each save encrypts. Take it out again afterwards, because with it
// whoever can write a secret can put one there that nobody encrypted.
func WithPlaintextReads() Option {
	return func(e *Encrypted) { e.plaintext = true }
}

// NewEncrypted returns a codec that encrypts the documents of inner under primary.
//
// Fields that somebody puts beside the ciphertext are not authenticated, and are lost with the next
// save. An older ciphertext that is put back into its own secret decrypts: nothing protects from a
// rollback.
func NewEncrypted(inner Codec, primary AEAD, opts ...Option) (*Encrypted, error) {
	if args.IsNil(inner) || args.IsNil(primary) {
		return nil, errors.New("codec: NewEncrypted: the inner codec and the primary AEAD are needed")
	}
	e := &Encrypted{inner: inner, primary: primary}
	args.Apply(e, opts)
	for _, key := range e.older {
		if args.IsNil(key) {
			return nil, errors.New("codec: WithDecryption: an AEAD is nil")
		}
	}
	return e, nil
}

// Encode implements [Codec].
func (e *Encrypted) Encode(secret string, r *oauthstore.Record) (Document, error) {
	d, err := e.inner.Encode(secret, r)
	if err != nil {
		return nil, err
	}
	return e.Seal(secret, d)
}

// Decode implements [Codec].
func (e *Encrypted) Decode(secret string, d Document) (*oauthstore.Record, error) {
	opened, err := e.Open(secret, d)
	if err != nil {
		return nil, err
	}
	return e.inner.Decode(secret, opened)
}

const encryptedField = "encrypted"

// Seal implements [Sealer].
func (e *Encrypted) Seal(secret string, d Document) (Document, error) {
	plaintext, err := json.Marshal(d)
	if err != nil {
		return nil, errors.New("codec: encrypt: the document is not JSON")
	}
	ciphertext, err := e.primary.Encrypt(plaintext, []byte(secret))
	if err != nil {
		return nil, &cipherError{text: "codec: encrypt: the AEAD failed", err: err}
	}
	sealed := make(Document, 2)
	SetFormat(sealed)
	sealed.Set(encryptedField, base64.StdEncoding.EncodeToString(ciphertext))
	return sealed, nil
}

// Open implements [Sealer].
func (e *Encrypted) Open(secret string, d Document) (Document, error) {
	if _, ok := d[encryptedField]; !ok && e.plaintext {
		return d, nil
	}
	if err := CheckFormat(d); err != nil {
		return nil, corrupt(secret, err)
	}
	text, err := d.Get(encryptedField)
	if err != nil || text == "" {
		return nil, corrupt(secret, errors.New("not encrypted"))
	}
	ciphertext, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, corrupt(secret, errors.New("the ciphertext is not base64"))
	}
	plaintext, err := e.decrypt(ciphertext, []byte(secret))
	if err != nil {
		const reason = "does not decrypt under any of the keys"
		return nil, &oauthstore.CorruptRecordError{Secret: secret, Reason: reason, Err: &cipherError{text: reason, err: err}}
	}
	opened, err := Parse(plaintext)
	if err != nil {
		return nil, corrupt(secret, err)
	}
	return opened, nil
}

// decrypt tries the keys in turn. Its error holds what each said: a key that is kept in a remote
// service may have been out of reach.
func (e *Encrypted) decrypt(ciphertext, secret []byte) ([]byte, error) {
	plaintext, err := e.primary.Decrypt(ciphertext, secret)
	for _, key := range e.older {
		if err == nil {
			break
		}
		var again error
		if plaintext, again = key.Decrypt(ciphertext, secret); again == nil {
			return plaintext, nil
		}
		err = errors.Join(err, again)
	}
	return plaintext, err
}

// cipherError keeps an AEAD's error, which has been near a plaintext, within reach of errors.As and out
// of the text.
type cipherError struct {
	text string
	err  error
}

func (e *cipherError) Error() string { return e.text }
func (e *cipherError) Unwrap() error { return e.err }

// Format writes Error for every verb: some of them would walk through err.
func (e *cipherError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.text) }
