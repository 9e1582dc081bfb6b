package codec_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

var (
	secret   = codec.Secret{Name: secretName, Resource: "projects/a/secrets/" + secretName}
	document = codec.Document{"id": []byte(`"` + mark + `"`)}
)

// tinkAEADWithContext has the methods of tink.AEADWithContext.
type tinkAEADWithContext interface {
	EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error)
	DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error)
}

var _ codec.AEADWithContext = tinkAEADWithContext(nil)

// remoteKey has the methods with a context only.
type remoteKey struct {
	key  codec.AEAD
	seen []context.Context
}

func (r *remoteKey) EncryptWithContext(ctx context.Context, plaintext, data []byte) ([]byte, error) {
	r.seen = append(r.seen, ctx)
	return r.key.Encrypt(plaintext, data)
}

func (r *remoteKey) DecryptWithContext(ctx context.Context, ciphertext, data []byte) ([]byte, error) {
	r.seen = append(r.seen, ctx)
	return r.key.Decrypt(ciphertext, data)
}

// both has the methods with and without a context; those without are not to be used.
type both struct {
	broken
	*remoteKey
}

type contextKey struct{}

func TestAEADWithContext_getsTheContextOfTheCall(t *testing.T) {
	ctx := context.WithValue(t.Context(), contextKey{}, "the call's")
	for name, of := range map[string]func(*remoteKey) codec.AEAD{
		"Remote": func(r *remoteKey) codec.AEAD { return codec.Remote(r) },
		"both":   func(r *remoteKey) codec.AEAD { return both{remoteKey: r} },
		"scoped": func(r *remoteKey) codec.AEAD { return codec.Scoped(codec.Remote(r), "here") },
	} {
		t.Run(name, func(t *testing.T) {
			remote := &remoteKey{key: key(t, 1)}
			e := encrypted(t, of(remote))
			sealed, err := e.Seal(ctx, secret, document)
			require.NoError(t, err)
			opened, current, err := e.Open(ctx, secret, sealed)
			require.NoError(t, err)
			require.True(t, current)
			wantDocument(t, opened, document)
			require.Len(t, remote.seen, 2)
			for _, ctx := range remote.seen {
				require.Equal(t, "the call's", ctx.Value(contextKey{}))
			}
		})
	}
	_, err := codec.NewEncrypted(codec.JSON{}, codec.Remote(nil))
	require.Error(t, err)
}

func TestRemote_isAnAEADWithoutAContextToo(t *testing.T) {
	aead := codec.Remote(&remoteKey{key: key(t, 1)})
	ciphertext, err := aead.Encrypt([]byte("plaintext"), []byte("data"))
	require.NoError(t, err)
	plaintext, err := aead.Decrypt(ciphertext, []byte("data"))
	require.NoError(t, err)
	require.Equal(t, "plaintext", string(plaintext))
}

// A hungAEAD does not answer until it is let go.
type hungAEAD struct {
	codec.AEAD
	asked chan struct{}
	letGo chan struct{}
}

func (h hungAEAD) Decrypt(ciphertext, data []byte) ([]byte, error) {
	h.asked <- struct{}{}
	<-h.letGo
	return h.AEAD.Decrypt(ciphertext, data)
}

func TestAEAD_thatHangsIsLeftBehindAndNotWithoutEnd(t *testing.T) {
	sealed, err := encrypted(t, key(t, 1)).Seal(t.Context(), secret, document)
	require.NoError(t, err)
	const most = 64
	h := hungAEAD{key(t, 1), make(chan struct{}, 2*most), make(chan struct{})}
	e := encrypted(t, h)
	open := func(ctx context.Context) chan error {
		done := make(chan error, 1)
		go func() {
			_, _, err := e.Open(ctx, secret, sealed)
			done <- err
		}()
		return done
	}
	for range most {
		ctx, cancel := context.WithCancel(t.Context())
		done := open(ctx)
		<-h.asked
		cancel()
		err := <-done
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, oauthstore.ErrUnavailable)
		require.NotErrorAs(t, err, new(*oauthstore.CorruptRecordError))
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := open(ctx)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.Empty(t, h.asked, "one call more than there may be")
	close(h.letGo)
	require.NoError(t, <-open(t.Context()), "the AEAD answers again")
}

// panicking panics, or ends its goroutine.
type panicking struct {
	codec.AEAD
	with func()
}

func (p panicking) Decrypt(_, _ []byte) ([]byte, error) {
	p.with()
	return nil, nil
}

// caught calls f and returns what it has panicked with.
func caught(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

func TestAEAD_aPanicReachesTheCaller(t *testing.T) {
	sealed, err := encrypted(t, key(t, 1)).Seal(t.Context(), secret, document)
	require.NoError(t, err)
	e := encrypted(t, panicking{key(t, 1), func() { panic("at the disco") }})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 100 { // it gives its place back
		value := caught(func() { _, _, _ = e.Open(ctx, secret, sealed) })
		require.Regexp(t, `(?s)^at the disco\n.*panicking\.Decrypt`, fmt.Sprint(value), "the value, and the stack of where it began")
	}
	e = encrypted(t, panicking{key(t, 1), runtime.Goexit})
	_, _, err = e.Open(ctx, secret, sealed)
	require.Error(t, err)
}

// failing fails as a service may.
type failing struct{ err error }

func (f failing) Encrypt(_, _ []byte) ([]byte, error) { return nil, f.err }
func (f failing) Decrypt(_, _ []byte) ([]byte, error) { return nil, f.err }

func TestAEAD_anErrorOfTheKeyServiceIsNoCorruptRecord(t *testing.T) {
	sealed, err := encrypted(t, key(t, 1)).Seal(t.Context(), secret, document)
	require.NoError(t, err)
	network := &url.Error{Op: "Post", URL: "https://kms/" + mark, Err: &net.OpError{Op: "dial", Err: errors.New("connection refused")}}
	for name, c := range map[string]struct{ is, want error }{
		"unavailable": {fmt.Errorf("%w: %s", oauthstore.ErrUnavailable, mark), oauthstore.ErrUnavailable},
		"throttled":   {fmt.Errorf("%w: %s", oauthstore.ErrThrottled, mark), oauthstore.ErrThrottled},
		"denied":      {fmt.Errorf("%w: %s", oauthstore.ErrAccessDenied, mark), oauthstore.ErrAccessDenied},
		"a deadline":  {fmt.Errorf("%s: %w", mark, context.DeadlineExceeded), oauthstore.ErrUnavailable},
		"the network": {network, oauthstore.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			for _, e := range []*codec.Encrypted{
				encrypted(t, failing{c.is}),
				encrypted(t, failing{c.is}, codec.WithDecryption(key(t, 2))),
				encrypted(t, key(t, 2), codec.WithDecryption(failing{c.is})),
			} {
				_, _, err := e.Open(t.Context(), secret, sealed)
				require.ErrorIs(t, err, c.want)
				require.ErrorIs(t, err, c.is, "errors.Is does not reach what the AEAD said")
				require.NotErrorAs(t, err, new(*oauthstore.CorruptRecordError))
				require.ErrorContains(t, err, secretName)
				wantNoMark(t, err)
			}
			_, err := encrypted(t, failing{c.is}).Seal(t.Context(), secret, document)
			require.ErrorIs(t, err, c.want)
			wantNoMark(t, err)
		})
	}
	// Another key may decrypt it.
	e := encrypted(t, failing{oauthstore.ErrUnavailable}, codec.WithDecryption(key(t, 1)))
	_, current, err := e.Open(t.Context(), secret, sealed)
	require.NoError(t, err)
	require.False(t, current)
}

func TestOpen_saysWhetherTheNewestKeyWasUsed(t *testing.T) {
	older, newer := key(t, 1), key(t, 2)
	under := func(c codec.Sealer) codec.Document {
		d, err := c.Seal(t.Context(), secret, document)
		require.NoError(t, err)
		return d
	}
	keyset := func(primary byte) codec.AEAD { return prefixed{primary, map[byte]codec.AEAD{1: older, 2: newer}} }
	for name, c := range map[string]struct {
		codec   *codec.Encrypted
		sealed  codec.Document
		current bool
	}{
		"the primary":                   {encrypted(t, newer, codec.WithDecryption(older)), under(encrypted(t, newer)), true},
		"an older key":                  {encrypted(t, newer, codec.WithDecryption(older)), under(encrypted(t, older)), false},
		"in clear":                      {encrypted(t, newer, codec.WithPlaintextReads()), document, false},
		"in clear, as it shall be":      {encrypted(t, newer, codec.WithPlaintextWrites()), document, true},
		"encrypted, to be in clear":     {encrypted(t, newer, codec.WithPlaintextWrites()), under(encrypted(t, newer)), false},
		"written in clear":              {encrypted(t, newer, codec.WithPlaintextWrites()), under(encrypted(t, newer, codec.WithPlaintextWrites())), true},
		"a keyset's primary":            {encrypted(t, keyset(2)), under(encrypted(t, keyset(2))), true},
		"a keyset's older key":          {encrypted(t, keyset(2)), under(encrypted(t, keyset(1))), false},
		"a keyset's older key, scoped":  {encrypted(t, codec.Scoped(keyset(2), "a")), under(encrypted(t, codec.Scoped(keyset(1), "a"))), false},
		"another scope of the same key": {encrypted(t, codec.Scoped(newer, "a"), codec.WithDecryption(newer)), under(encrypted(t, newer)), false},
	} {
		t.Run(name, func(t *testing.T) {
			opened, current, err := c.codec.Open(t.Context(), secret, c.sealed)
			require.NoError(t, err)
			require.Equal(t, c.current, current)
			wantDocument(t, opened, document)
		})
	}
}

// prefixed is a keyset like Tink's: a ciphertext begins with the id of its key.
type prefixed struct {
	primary byte
	keys    map[byte]codec.AEAD
}

var _ codec.Keyset = prefixed{}

func (p prefixed) Encrypt(plaintext, data []byte) ([]byte, error) {
	ciphertext, err := p.keys[p.primary].Encrypt(plaintext, data)
	return append([]byte{p.primary}, ciphertext...), err
}

func (p prefixed) Decrypt(ciphertext, data []byte) ([]byte, error) {
	return p.keys[ciphertext[0]].Decrypt(ciphertext[1:], data)
}

// tinkKeyset has no method to distinguish its keys: its ciphertexts begin with 1 and four bytes, as Tink's do.
type tinkKeyset struct{ keys prefixed }

func (k tinkKeyset) Encrypt(plaintext, data []byte) ([]byte, error) {
	ciphertext, err := k.keys.Encrypt(plaintext, data)
	return append([]byte{1, 0xca, 0xfe, 0}, ciphertext...), err
}

func (k tinkKeyset) Decrypt(ciphertext, data []byte) ([]byte, error) {
	return k.keys.Decrypt(ciphertext[4:], data)
}

func TestOpen_tellsTheKeysOfATinkKeysetApart(t *testing.T) {
	keyset := func(primary byte) *codec.Encrypted {
		return encrypted(t, tinkKeyset{prefixed{primary, map[byte]codec.AEAD{1: key(t, 1), 2: key(t, 2)}}})
	}
	seal := func(e *codec.Encrypted) codec.Document {
		d, err := e.Seal(t.Context(), secret, document)
		require.NoError(t, err)
		return d
	}
	before, e := seal(keyset(1)), keyset(2)
	for made := range 4 {
		_, current, err := e.Open(t.Context(), secret, before)
		require.NoError(t, err)
		require.Equal(t, made < 2, current, "%d ciphertexts were made under the newest key", made)
		_, current, err = e.Open(t.Context(), secret, seal(e))
		require.NoError(t, err)
		require.True(t, current)
	}
}

// A ciphertext that begins with random bytes begins with 1 now and then.
func TestOpen_takesNoAEADForAKeysetThatIsNone(t *testing.T) {
	for _, begin := range []string{"", "\x01", "\x01abc", "\x00abcd", "\x00\x00\x00\x71\x01"} {
		e := encrypted(t, beginning{key(t, 1), begin})
		before, err := encrypted(t, beginning{key(t, 1), "\x01wxyz"[:len(begin)]}).Seal(t.Context(), secret, document)
		require.NoError(t, err)
		for range 100 {
			_, err := e.Seal(t.Context(), secret, document)
			require.NoError(t, err)
			_, current, err := e.Open(t.Context(), secret, before)
			require.NoError(t, err)
			require.True(t, current, "%q", begin)
		}
	}
}

// Two of its ciphertexts may begin alike by chance.
func TestOpen_takesNoAEADForAKeysetOnceTwoOfItsCiphertextsBeginDifferently(t *testing.T) {
	begins := &beginning{key(t, 1), "\x01wxyz"}
	e := encrypted(t, begins)
	before, err := e.Seal(t.Context(), secret, document)
	require.NoError(t, err)
	for _, begins.begin = range []string{"\x01aaaa", "\x01wxyz", "\x01wxyz", "\x01bbbb"} {
		sealed, err := e.Seal(t.Context(), secret, document)
		require.NoError(t, err)
		for _, d := range []codec.Document{before, sealed} {
			_, current, err := e.Open(t.Context(), secret, d)
			require.NoError(t, err)
			require.True(t, current)
		}
	}
}

// beginning puts something before its ciphertexts, and reads them whatever stands there.
type beginning struct {
	codec.AEAD
	begin string
}

func (b beginning) Encrypt(plaintext, data []byte) ([]byte, error) {
	ciphertext, err := b.AEAD.Encrypt(plaintext, data)
	return append([]byte(b.begin), ciphertext...), err
}

func (b beginning) Decrypt(ciphertext, data []byte) ([]byte, error) {
	return b.AEAD.Decrypt(ciphertext[len(b.begin):], data)
}

func (p prefixed) IsPrimary(ciphertext []byte) bool {
	return bytes.HasPrefix(ciphertext, []byte{p.primary})
}

func TestScoped_aCiphertextOfAnotherScopeIsRefused(t *testing.T) {
	k := key(t, 1)
	codecs := map[string]*codec.Encrypted{
		"none": encrypted(t, k), "a": encrypted(t, codec.Scoped(k, "a")), "b": encrypted(t, codec.Scoped(k, "b")),
		"ab": encrypted(t, codec.Scoped(codec.Scoped(k, "a"), "b")), "ba": encrypted(t, codec.Scoped(codec.Scoped(k, "b"), "a")),
		"a/": encrypted(t, codec.Scoped(k, "a/")),
	}
	for from, sealer := range codecs {
		sealed, err := sealer.Seal(t.Context(), secret, document)
		require.NoError(t, err)
		for to, opener := range codecs {
			_, _, err := opener.Open(t.Context(), secret, sealed)
			require.Equal(t, from == to, err == nil, "from %s to %s: %v", from, to, err)
		}
	}
	aead := codec.Scoped(k, "a") // by itself it does the same
	ciphertext, err := aead.Encrypt([]byte("plaintext"), []byte("data"))
	require.NoError(t, err)
	_, err = aead.Decrypt(ciphertext, []byte("data"))
	require.NoError(t, err)
	_, err = k.Decrypt(ciphertext, []byte("data"))
	require.Error(t, err)
}

func TestScoped_refusesAScopeThatIsNone(t *testing.T) {
	for _, aead := range []codec.AEAD{codec.Scoped(key(t, 1), ""), codec.Scoped(key(t, 1), "a\x00b"), codec.Scoped(codec.Scoped(key(t, 1), ""), "a")} {
		for _, make := range []func() (*codec.Encrypted, error){
			func() (*codec.Encrypted, error) { return codec.NewEncrypted(codec.JSON{}, aead) },
			func() (*codec.Encrypted, error) {
				return codec.NewEncrypted(codec.JSON{}, key(t, 1), codec.WithDecryption(aead))
			},
		} {
			_, err := make()
			require.ErrorContains(t, err, "codec: Scoped")
		}
	}
	_, err := codec.NewEncrypted(codec.JSON{}, codec.Scoped(nil, "a"))
	require.ErrorContains(t, err, "NewEncrypted")
}

// What docs/layout.md says of the associated data.
func TestSeal_bindsToTheResourceAndTheScope(t *testing.T) {
	var data []string
	e := encrypted(t, codec.Scoped(recording{key(t, 1), &data}, "123456789012"))
	_, err := e.Seal(t.Context(), secret, document)
	require.NoError(t, err)
	_, err = encrypted(t, recording{key(t, 1), &data}).Encode(secretName, marked())
	require.NoError(t, err)
	require.Equal(t, []string{"123456789012\x00projects/a/secrets/" + secretName, secretName}, data)
	require.NotContains(t, strings.Join(data, ""), mark)
}

type recording struct {
	codec.AEAD
	data *[]string
}

func (r recording) Encrypt(plaintext, data []byte) ([]byte, error) {
	*r.data = append(*r.data, string(data))
	return r.AEAD.Encrypt(plaintext, data)
}
