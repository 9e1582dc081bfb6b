package engine

import (
	"bytes"
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// aesKey is AES-256-GCM under a key that is the byte n, over and over.
func aesKey(t testing.TB, n byte) codec.AEAD {
	t.Helper()
	block, err := aes.NewCipher(bytes.Repeat([]byte{n}, 32))
	require.NoError(t, err)
	aead, err := cipher.NewGCMWithRandomNonce(block)
	require.NoError(t, err)
	return gcm{aead}
}

func sealedWith(t testing.TB, primary codec.AEAD, opts ...codec.Option) codec.Codec {
	t.Helper()
	c, err := codec.NewEncrypted(codec.JSON{}, primary, opts...)
	require.NoError(t, err)
	return c
}

// isSealedUnder reports whether a secret's newest version is under the key alone.
func (m *memory) isSealedUnder(t testing.TB, name string, key codec.AEAD) bool {
	t.Helper()
	rec, _, err := m.newest(name)
	require.NoError(t, err)
	_, err = New(m, sealedWith(t, key), time.Hour).decodeNode(context.Background(), name, rec)
	if _, ok := decodeID(name); ok {
		id, _ := decodeID(name)
		_, err = New(m, sealedWith(t, key), time.Hour).decode(context.Background(), id, name, state{rec: rec})
	}
	return err == nil
}

// wantTokenSecrets demands that these secrets hold something, whatever it is, and no others that are named as tokens are.
func (m *memory) wantTokenSecrets(t testing.TB, want ...string) {
	t.Helper()
	var got []string
	for name := range m.secrets {
		rec, _, err := m.newest(name)
		require.NoError(t, err)
		if rec.Live() && !IsNode(name) {
			got = append(got, name)
		}
	}
	require.ElementsMatch(t, want, got)
}

// A hungKey is an AEAD that asks a service which does not answer while it is down, whatever the caller's context says.
type hungKey struct {
	codec.AEAD
	down chan struct{} // closed when the service answers again
}

func (k *hungKey) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	<-k.down
	return k.AEAD.Encrypt(plaintext, associatedData)
}

func (k *hungKey) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	<-k.down
	return k.AEAD.Decrypt(ciphertext, associatedData)
}

func TestKey_thatHangsIsWaitedForAsLongAsTheCallerAllows(t *testing.T) {
	for name, call := range map[string]func(context.Context, *Store) error{
		"FindTokenByID": func(ctx context.Context, s *Store) error {
			_, err := s.FindTokenByID(ctx, "x")
			return err
		},
		"GetTokens": func(ctx context.Context, s *Store) error {
			_, err := s.GetTokens(ctx)
			return err
		},
		"SaveToken, record exists": func(ctx context.Context, s *Store) error {
			return s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "newer"})
		},
		"SaveToken, new record": func(ctx context.Context, s *Store) error {
			return s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "y", AccessToken: "new"})
		},
		"DeleteToken": func(ctx context.Context, s *Store) error { return s.DeleteToken(ctx, "x") },
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				save(t, New(m, sealedWith(t, aesKey(t, 1)), DefaultTimeout), under("x", "alice"))
				hung := &hungKey{aesKey(t, 1), make(chan struct{})}
				s := New(m, sealedWith(t, hung), DefaultTimeout)
				before := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				err := call(ctx, s)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, 200*time.Millisecond, time.Since(before))
				require.NotErrorAs(t, err, new(*oauthstore.CorruptRecordError))

				before = time.Now()
				err = call(t.Context(), s)
				require.ErrorIs(t, err, oauthstore.ErrUnavailable, "without a deadline of the caller")
				require.LessOrEqual(t, time.Since(before), 3*DefaultTimeout)
				require.NotErrorAs(t, err, new(*oauthstore.CorruptRecordError))
				m.wantTokenSecrets(t, "token_x")

				close(hung.down)
				require.NoError(t, call(t.Context(), s), "the service of the key answers again")
				time.Sleep(time.Second) // until the calls that were left behind have ended
			})
		})
	}
}

func TestSaveToken_thatChangesNothingWritesUnderTheNewestKey(t *testing.T) {
	older, newer := aesKey(t, 1), aesKey(t, 2)
	for name, c := range map[string]struct{ before, rotated codec.Codec }{
		"an older key": {sealedWith(t, older), sealedWith(t, newer, codec.WithDecryption(older))},
		"in clear":     {codec.JSON{}, sealedWith(t, newer, codec.WithPlaintextReads())},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				m := newMemory()
				token := save(t, New(m, c.before, time.Hour), under("x", "alice"))
				s := New(m, c.rotated, time.Hour)
				saveIt := []func() error{
					func() error { return s.UpdateToken(t.Context(), token) },
					func() error { return s.SaveToken(t.Context(), token) },
				}
				for i, again := range saveIt {
					m.forgetCalls()
					require.NoError(t, again())
					require.True(t, m.isSealedUnder(t, "token_x", newer))
					require.Equal(t, i == 0, slices.ContainsFunc(m.calls, func(c call) bool { return c.op == put }), "writes once: %v", m.calls)
				}
			})
		})
	}
}

func TestDeleteToken_findsAnIndexThatCannotBeReadBeforeItRemovesTheToken(t *testing.T) {
	eachPage := func(t *testing.T, m *memory, f func(name string)) {
		f(indexName)
		for _, p := range m.pagesByName() {
			f(p)
		}
	}
	for _, pages := range []bool{false, true} {
		t.Run(fmt.Sprint("pages: ", pages), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				m := newMemory()
				if pages {
					m.limits.Page = 2000
				}
				ids := fill(t, m.store(), 20)
				// The tokens are under the new key, and the index is not.
				key := aesKey(t, 1)
				moving := New(m, sealedWith(t, key, codec.WithPlaintextReads()), time.Hour)
				for _, id := range ids {
					found, err := moving.FindTokenByID(t.Context(), id)
					require.NoError(t, err)
					require.NoError(t, moving.SaveToken(t.Context(), found))
				}
				eachPage(t, m, func(name string) { require.False(t, m.isSealedUnder(t, name, key)) })
				moved := New(m, sealedWith(t, key), time.Hour)
				for range 2 {
					err := moved.DeleteToken(t.Context(), ids[3])
					require.ErrorAs(t, err, new(*oauthstore.CorruptRecordError))
					_, err = moved.FindTokenByID(t.Context(), ids[3])
					require.NoError(t, err, "the secret was removed before the index was read")
				}
			})
		})
	}
}

// The error of an AEAD may say what is wrong.
func TestKey_thatCannotBeUsedIsNoCorruptRecord(t *testing.T) {
	for _, class := range []error{oauthstore.ErrUnavailable, oauthstore.ErrThrottled, oauthstore.ErrAccessDenied} {
		t.Run(class.Error(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				m := newMemory()
				save(t, New(m, sealedWith(t, aesKey(t, 1)), time.Hour), under("x", "alice"))
				s := New(m, sealedWith(t, failingKey{fmt.Errorf("%w: the key service", class)}), time.Hour)
				_, byID := s.FindTokenByID(t.Context(), "x")
				_, all := s.GetTokens(t.Context())
				saved := s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "y", AccessToken: "new"})
				for _, err := range []error{byID, all, saved} {
					require.ErrorIs(t, err, class)
					require.NotErrorAs(t, err, new(*oauthstore.CorruptRecordError))
				}
				m.wantTokenSecrets(t, "token_x")
			})
		})
	}
}

type failingKey struct{ err error }

func (k failingKey) Encrypt(_, _ []byte) ([]byte, error) { return nil, k.err }
func (k failingKey) Decrypt(_, _ []byte) ([]byte, error) { return nil, k.err }

// A slowKey asks a service that takes a while for each call.
type slowKey struct {
	codec.AEAD
	takes time.Duration

	mu        sync.Mutex
	now, most int // calls at a time
}

func (k *slowKey) enter(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now += n
	k.most = max(k.most, k.now)
}

func (k *slowKey) DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	k.enter(1)
	defer k.enter(-1)
	if err := wait(ctx, k.takes); err != nil {
		return nil, err
	}
	return k.Decrypt(ciphertext, associatedData)
}

func (k *slowKey) EncryptWithContext(_ context.Context, plaintext, associatedData []byte) ([]byte, error) {
	return k.Encrypt(plaintext, associatedData)
}

// What is read at a time is decrypted at a time: tokens, and the pages of the index.
func TestKey_thatIsSlowIsAskedForManyTokensAtATime(t *testing.T) {
	const takes, n = 50 * time.Millisecond, 100
	calls := map[string]func(context.Context, *Store) (int, error){
		"GetTokens": func(ctx context.Context, s *Store) (int, error) {
			tokens, err := s.GetTokens(ctx)
			if !slices.IsSortedFunc(tokens, func(a, b *oauthstore.OAuthToken) int { return cmp.Compare(a.ID, b.ID) }) {
				t.Error("the tokens are not ordered by id")
			}
			return len(tokens), err
		},
		"Tokens": func(ctx context.Context, s *Store) (int, error) {
			read, _, err := allOf(ctx, s)
			return len(read), err
		},
		"FindToken": func(ctx context.Context, s *Store) (int, error) {
			_, err := s.FindToken(ctx, &oauthstore.OAuthToken{AccessToken: "another"})
			if errors.Is(err, oauthstore.ErrTokenNotFound) {
				return n, nil // it has read all
			}
			return 0, err
		},
		"Repair": func(ctx context.Context, s *Store) (int, error) {
			report, err := s.Repair(ctx, oauthstore.RepairOptions{DryRun: true})
			return report.Tokens, err
		},
	}
	for in, driver := range map[string]func(m *memory) Driver{
		"one by one": func(m *memory) Driver { return m },
		"in batches": func(m *memory) Driver { return batching{m} },
	} {
		t.Run(in, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				m.limits.Page = 4000
				fill(t, New(m, sealedWith(t, aesKey(t, 1)), DefaultTimeout), n)
				nodes := len(m.pagesByName()) + 1
				for name, call := range calls {
					key := &slowKey{AEAD: aesKey(t, 1), takes: takes}
					s := New(driver(m), sealedWith(t, key), DefaultTimeout)
					begin := time.Now()
					read, err := call(t.Context(), s)
					require.NoError(t, err, name)
					require.Equal(t, n, read, name)
					require.Equal(t, m.limits.Parallel, key.most, "%s: calls at a time", name)
					require.LessOrEqual(t, time.Since(begin), time.Duration(n/m.limits.Parallel+2*nodes)*takes, name)

					begin = time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), 10*takes)
					defer cancel()
					_, err = call(ctx, s)
					require.ErrorIs(t, err, context.DeadlineExceeded, name)
					require.Equal(t, 10*takes, time.Since(begin), name)
				}
			})
		})
	}
}
