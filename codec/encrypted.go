package codec

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/args"
)

// Encrypted is a codec whose documents show nothing but a ciphertext, in base64, under the name
// "encrypted". The secret's name is part of the associated data: a ciphertext that was copied to another
// secret does not decrypt. Make it with [NewEncrypted].
//
// A store uses it as a [Sealer]: with the deadline of the call, and bound to the project or namespace too.
type Encrypted struct {
	inner     Codec
	primary   AEAD
	older     []AEAD
	plaintext bool // documents in clear are read
	clear     bool // and written

	keys  []key // the primary and the older ones
	calls calls
	made  prefix // of the ciphertexts under the primary
}

var (
	_ Codec  = (*Encrypted)(nil)
	_ Sealer = (*Encrypted)(nil)
)

// An Option changes an [Encrypted] codec. A nil Option is ignored.
type Option func(*Encrypted)

// WithDecryption lets documents be read that were encrypted under one of these keys. To rotate a key,
// make the new one the primary and name the old one here, until [oauthstore.Rekeyer] has sealed all
// documents under the primary. docs/encryption.md has the steps.
func WithDecryption(keys ...AEAD) Option {
	return func(e *Encrypted) { e.older = append(e.older, keys...) }
}

// WithPlaintextReads lets documents be read that are not encrypted, while a store moves from [JSON] to
// encryption. Take it out again when [oauthstore.Rekeyer] has encrypted all of them: with this option, anyone who can
// write a secret can put a document there that was never encrypted.
func WithPlaintextReads() Option {
	return func(e *Encrypted) { e.plaintext = true }
}

// WithPlaintextWrites writes documents in clear, and reads those in clear and the encrypted ones. It is the way back
// from encryption to [JSON]: once [oauthstore.Rekeyer] has written all documents in clear, JSON can read them.
func WithPlaintextWrites() Option {
	return func(e *Encrypted) { e.plaintext, e.clear = true, true }
}

// NewEncrypted returns a codec that encrypts the documents of inner under primary.
//
// Fields that somebody puts beside the ciphertext are not authenticated, and are lost with the next
// save. An older ciphertext that is put back into its own secret decrypts: nothing protects from a
// rollback.
func NewEncrypted(inner Codec, primary AEAD, opts ...Option) (*Encrypted, error) {
	switch {
	case args.IsNil(inner):
		return nil, errors.New("codec: NewEncrypted: the inner codec is nil")
	case args.IsNil(primary):
		return nil, errors.New("codec: NewEncrypted: the primary AEAD is nil")
	}
	e := &Encrypted{inner: inner, primary: primary}
	args.Apply(e, opts)
	for _, key := range e.older {
		if args.IsNil(key) {
			return nil, errors.New("codec: WithDecryption: an AEAD is nil")
		}
	}
	for _, aead := range append([]AEAD{e.primary}, e.older...) {
		k, err := newKey(aead)
		if err != nil {
			return nil, err
		}
		e.keys = append(e.keys, k)
	}
	e.calls = make(calls, maxCalls)
	return e, nil
}

// Encode implements [Codec]. It waits for the key as long as that takes: see Seal.
func (e *Encrypted) Encode(secret string, r *oauthstore.Record) (Document, error) {
	d, err := e.inner.Encode(secret, r)
	if err != nil {
		return nil, err
	}
	return e.Seal(context.Background(), Secret{Name: secret, Resource: secret}, d)
}

// Decode implements [Codec]. It waits for the key as long as that takes: see Open.
func (e *Encrypted) Decode(secret string, d Document) (*oauthstore.Record, error) {
	opened, _, err := e.Open(context.Background(), Secret{Name: secret, Resource: secret}, d)
	if err != nil {
		return nil, err
	}
	return e.inner.Decode(secret, opened)
}

// Plain implements [Sealer].
func (e *Encrypted) Plain() Codec { return e.inner }

const encryptedField = "encrypted"

// Seal implements [Sealer].
func (e *Encrypted) Seal(ctx context.Context, secret Secret, d Document) (Document, error) {
	if e.clear {
		return d, nil
	}
	plaintext, err := json.Marshal(d)
	if err != nil {
		return nil, errors.New("codec: encrypt: the document is not JSON")
	}
	ciphertext, err := e.calls.encrypt(ctx, e.keys[0], plaintext, secret)
	if err != nil {
		if class := classOf(err); class != nil {
			return nil, serviceError(class, secret, err)
		}
		return nil, &cipherError{text: "codec: encrypt: the AEAD failed", err: err}
	}
	e.made.learn(ciphertext)
	sealed := make(Document, 2)
	SetFormat(sealed)
	sealed.Set(encryptedField, base64.StdEncoding.EncodeToString(ciphertext))
	return sealed, nil
}

// Open implements [Sealer]. It tries the keys one after another.
func (e *Encrypted) Open(ctx context.Context, secret Secret, d Document) (opened Document, current bool, err error) {
	if _, ok := d[encryptedField]; !ok && e.plaintext {
		return d, e.clear, nil
	}
	if err := CheckFormat(d); err != nil {
		return nil, false, corrupt(secret.Name, err)
	}
	text, err := d.Get(encryptedField)
	if err != nil || text == "" {
		return nil, false, corrupt(secret.Name, errors.New("not encrypted"))
	}
	ciphertext, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, false, corrupt(secret.Name, errors.New("the ciphertext is not base64"))
	}
	plaintext, primary, err := e.decrypt(ctx, ciphertext, secret)
	if err != nil {
		if class := classOf(err); class != nil {
			return nil, false, serviceError(class, secret, err)
		}
		const reason = "does not decrypt under any of the keys"
		return nil, false, &oauthstore.CorruptRecordError{Secret: secret.Name, Reason: reason, Err: &cipherError{text: reason, err: err}}
	}
	opened, err = Parse(plaintext)
	if err != nil {
		return nil, false, corrupt(secret.Name, err)
	}
	return opened, primary && !e.clear, nil
}

// decrypt tries the keys in turn, and reports whether it was the primary. Its error holds what each said: a key that
// is kept in a remote service may have been out of reach.
func (e *Encrypted) decrypt(ctx context.Context, ciphertext []byte, secret Secret) (plaintext []byte, primary bool, err error) {
	for i, k := range e.keys {
		plaintext, failure := e.calls.decrypt(ctx, k, ciphertext, secret)
		if failure == nil {
			return plaintext, i == 0 && e.isNewest(k, ciphertext), nil
		}
		err = errors.Join(err, failure)
	}
	return nil, false, err
}

// isNewest reports whether the ciphertext, which the primary AEAD has decrypted, is under the newest key of that.
func (e *Encrypted) isNewest(primary key, ciphertext []byte) bool {
	if primary.keyset != nil {
		return primary.keyset.IsPrimary(ciphertext)
	}
	return !e.made.tellsApart(ciphertext)
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
