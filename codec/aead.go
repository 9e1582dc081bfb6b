package codec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/args"
	"github.com/oauthstore/oauthstore/internal/panics"
)

// AEAD is authenticated encryption with associated data. tink.AEAD of the Tink library is one; the
// package example makes one of the standard library's AES-GCM. It is safe for concurrent use, and
// Encrypt never returns the same ciphertext twice.
//
// An AEAD whose key is kept by a service has the methods of [AEADWithContext] too. Its errors distinguish an outage of
// the service from a wrong ciphertext: an error that wraps [oauthstore.ErrUnavailable], [oauthstore.ErrThrottled],
// [oauthstore.ErrAccessDenied], a context's error or a [net.Error] is about the service, and the store returns an
// error of that class. Any other error of Decrypt says that the ciphertext is not of this key; if none of the keys
// decrypts a document, it is an [*oauthstore.CorruptRecordError].
//
// A call that reads many documents decrypts several documents at a time.
//
// A store waits for an AEAD no longer than its context allows. A call of an AEAD that does not return by then is left
// behind; one codec has at most 64 calls at a time, those left behind included.
type AEAD interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// AEADWithContext is an AEAD whose calls end with a context. tink.AEADWithContext is one. An [AEAD] that also has these
// methods is asked by them; [Remote] makes an AEAD of a value that has only these.
type AEADWithContext interface {
	EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error)
	DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error)
}

// A Keyset is an [AEAD] that holds several keys: it encrypts under the primary one and decrypts under all. IsPrimary
// reports whether a ciphertext that it has decrypted is under the primary key.
//
// An AEAD of a Tink keyset needs no such method if the keys have the output prefix TINK, as in Tink's templates for
// AEADs: their ciphertexts begin with the byte 1 and four bytes that name the key. If any other AEAD lacks this method,
// everything that it decrypts counts as being under the newest key, so that [oauthstore.Rekeyer] does not find documents
// under an older key of the keyset.
type Keyset interface {
	AEAD
	IsPrimary(ciphertext []byte) bool
}

// Remote returns an [AEAD] that asks a, such as a tink.AEADWithContext. It returns nil if a is nil or a nil pointer, which
// [NewEncrypted] refuses.
func Remote(a AEADWithContext) AEAD {
	if args.IsNil(a) {
		return nil
	}
	return remote{a}
}

type remote struct{ AEADWithContext }

func (r remote) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	return r.EncryptWithContext(context.Background(), plaintext, associatedData)
}

func (r remote) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	return r.DecryptWithContext(context.Background(), ciphertext, associatedData)
}

// Scoped returns key with scope as a part of the associated data. A ciphertext of one scope does not decrypt in
// another, though key and name are the same. scope is any text without a zero byte: the number of the AWS account,
// which a store does not know, or the name of an environment. A store binds a document to its Google project, or its
// Vault namespace and mount, without it. Scoped returns nil if key is nil or a nil pointer, which [NewEncrypted] refuses.
//
// To change the scope, rotate: Scoped(key, "new") is another key than key and Scoped(key, "old").
func Scoped(key AEAD, scope string) AEAD {
	if args.IsNil(key) {
		return nil
	}
	return scoped{key, scope}
}

type scoped struct {
	key   AEAD
	scope string
}

func (s scoped) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	return s.key.Encrypt(plaintext, s.associated(associatedData))
}

func (s scoped) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	return s.key.Decrypt(ciphertext, s.associated(associatedData))
}

func (s scoped) associated(data []byte) []byte {
	return bytes.Join([][]byte{[]byte(s.scope), data}, []byte{0})
}

// A key is an AEAD with what it can do beside, and its scope.
type key struct {
	aead   AEAD
	remote AEADWithContext // nil if it has no such methods
	keyset interface{ IsPrimary([]byte) bool }
	scope  []byte // what stands before the associated data
}

func newKey(a AEAD) (key, error) {
	var k key
	for s, ok := a.(scoped); ok; s, ok = a.(scoped) {
		if s.scope == "" || strings.ContainsRune(s.scope, 0) {
			return key{}, errors.New("codec: Scoped: the scope must be a text without a zero byte, and not empty")
		}
		a, k.scope = s.key, append([]byte(s.scope+"\x00"), k.scope...)
	}
	k.aead = a
	var of any = a
	if r, ok := a.(remote); ok {
		of = r.AEADWithContext
	}
	k.remote, _ = of.(AEADWithContext)
	k.keyset, _ = of.(interface{ IsPrimary([]byte) bool })
	return k, nil
}

func (k key) associated(secret Secret) []byte {
	return append(bytes.Clone(k.scope), secret.Resource...)
}

// A prefix distinguishes the keys of a Tink keyset. It is learned from the ciphertexts that were made: the byte 1 and the
// id of the key (https://developers.google.com/tink/wire-format).
type prefix struct {
	mu     sync.Mutex
	begins []byte // all of them so far
	made   int
	vary   bool // they do not begin alike: it is no such keyset
}

const prefixSize = 5

// learn takes note of a ciphertext of the newest key.
func (p *prefix) learn(ciphertext []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.vary:
	case len(ciphertext) < prefixSize || ciphertext[0] != 1 || p.made > 0 && !bytes.HasPrefix(ciphertext, p.begins):
		p.vary = true
	default:
		p.begins = bytes.Clone(ciphertext[:prefixSize])
		p.made++
	}
}

// tellsApart reports whether the ciphertext is surely of another key of the keyset. Two ciphertexts of an AEAD that
// begins them with random bytes do not begin alike.
func (p *prefix) tellsApart(ciphertext []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.vary && p.made > 1 && !bytes.HasPrefix(ciphertext, p.begins)
}

// maxCalls is how many calls of AEADs a codec makes at a time.
const maxCalls = 64

// calls holds a place for each call of an AEAD that is under way, whether or not its caller still waits.
type calls chan struct{}

func (c calls) encrypt(ctx context.Context, k key, plaintext []byte, secret Secret) ([]byte, error) {
	return c.do(ctx, func() ([]byte, error) {
		if k.remote != nil {
			return k.remote.EncryptWithContext(ctx, plaintext, k.associated(secret))
		}
		return k.aead.Encrypt(plaintext, k.associated(secret))
	})
}

func (c calls) decrypt(ctx context.Context, k key, ciphertext []byte, secret Secret) ([]byte, error) {
	return c.do(ctx, func() ([]byte, error) {
		if k.remote != nil {
			return k.remote.DecryptWithContext(ctx, ciphertext, k.associated(secret))
		}
		return k.aead.Decrypt(ciphertext, k.associated(secret))
	})
}

// do calls f and waits for it until ctx ends. A panic of f reaches the caller, if that still waits.
func (c calls) do(ctx context.Context, f func() ([]byte, error)) ([]byte, error) {
	if ctx.Done() == nil {
		return f()
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case c <- struct{}{}:
	}
	var answer []byte
	var err error
	done := make(chan *panics.Error, 1)
	go panics.Run(func() { answer, err = f() }, func(p *panics.Error) {
		<-c
		done <- p
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case p := <-done:
		if p != nil {
			p.Repeat()
			return nil, p // f has ended its goroutine
		}
		return answer, err
	}
}

// classOf returns the sentinel of package oauthstore for an error that is about the service which keeps the key, nil
// for one about the ciphertext.
func classOf(err error) error {
	for _, class := range []error{oauthstore.ErrUnavailable, oauthstore.ErrThrottled, oauthstore.ErrAccessDenied} {
		if errors.Is(err, class) {
			return class
		}
	}
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return oauthstore.ErrUnavailable
	}
	return nil
}

// serviceError says that the service which keeps the key has not done its work for a secret.
func serviceError(class error, secret Secret, err error) error {
	text := fmt.Sprintf("%v: codec: the encryption key of secret %q could not be used", class, secret.Name)
	return &cipherError{text: text, err: errors.Join(class, err)}
}
