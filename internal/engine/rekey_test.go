package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// A move is a change of the codec: before writes the stored documents, during reads both kinds, and after the new
// documents only.
type move struct{ before, during, after codec.Codec }

// eachMove runs f for every move, over both kinds of service.
func eachMove(t *testing.T, f func(t *testing.T, m *memory, mv move)) {
	older, newer := aesKey(t, 1), aesKey(t, 2)
	moves := map[string]move{
		"another key":   {sealedWith(t, older), sealedWith(t, newer, codec.WithDecryption(older)), sealedWith(t, newer)},
		"from clear":    {codec.JSON{}, sealedWith(t, newer, codec.WithPlaintextReads()), sealedWith(t, newer)},
		"back to clear": {sealedWith(t, older), sealedWith(t, older, codec.WithPlaintextWrites()), codec.JSON{}},
	}
	for name, mv := range moves {
		for kind, tombstones := range map[string]bool{"deletes at one stroke": false, "deletes with a tombstone": true} {
			t.Run(name+", "+kind, func(t *testing.T) {
				virtually(t, func(t *testing.T) {
					m := newMemory()
					m.tombstones = tombstones
					f(t, m, mv)
				})
			})
		}
	}
}

// wantMoved demands that every secret is as the codec writes it, and that all that a store does works with it alone.
func (m *memory) wantMoved(t testing.TB, c codec.Codec, ids ...string) {
	t.Helper()
	s := New(m, c, time.Hour)
	m.mu.Lock()
	for name := range m.secrets {
		rec, _, err := m.newest(name)
		require.NoError(t, err)
		if !rec.Live() {
			continue
		}
		if id, ok := decodeID(name); ok {
			_, err = s.decode(context.Background(), id, name, state{rec: rec})
		} else {
			_, err = s.decodeNode(context.Background(), name, rec)
		}
		require.NoError(t, err, name)
	}
	m.mu.Unlock()
	tokens, err := s.GetTokens(t.Context())
	require.NoError(t, err)
	var got []string
	for _, token := range tokens {
		got = append(got, token.ID)
	}
	require.ElementsMatch(t, ids, got)
	save(t, s, under("the last one", "last"))
	remove(t, s, "the last one")
	report, err := s.Repair(t.Context(), oauthstore.RepairOptions{})
	require.NoError(t, err)
	require.Empty(t, report.Unlisted)
	require.Empty(t, report.Unreadable)
	require.Len(t, ids, report.Tokens)
}

func rekey(t testing.TB, s *Store, opts oauthstore.RekeyOptions) *oauthstore.RekeyReport {
	t.Helper()
	report, err := s.Rekey(t.Context(), opts)
	require.NoError(t, err)
	return report
}

func TestRekey_leavesNothingUnderAnOlderKey(t *testing.T) {
	eachMove(t, func(t *testing.T, m *memory, mv move) {
		m.limits.Page = 2000
		before := New(m, mv.before, time.Hour)
		ids := fill(t, before, 60)
		save(t, before, oauthstore.OAuthToken{ID: ids[0], UserName: "renamed"})
		remove(t, before, ids[1])
		ids = slices.Delete(ids, 1, 2)
		p, err := before.newPage(t.Context(), indexName, nil, nil)
		require.NoError(t, err)
		require.NoError(t, before.makePages(t.Context(), []*page{p}), "a page that nothing leads to")
		require.Greater(t, len(m.pagesByName()), 3)

		s := New(m, mv.during, time.Hour)
		m.forgetCalls()
		promised := rekey(t, s, oauthstore.RekeyOptions{DryRun: true})
		require.Zero(t, m.count(put, ""), "a dry run writes")
		require.Equal(t, promised.Secrets, len(promised.Remaining), "%v", promised)
		require.Contains(t, promised.Remaining, "mem/index")
		require.Contains(t, promised.Remaining, "mem/"+p.name)
		require.False(t, promised.Done())

		report := rekey(t, s, oauthstore.RekeyOptions{})
		require.Equal(t, promised.Secrets, report.Rekeyed, "%v", report)
		require.True(t, report.Done(), "%v", report)
		require.Empty(t, report.Errors)
		require.Empty(t, report.Unreadable)

		m.forgetCalls()
		again := rekey(t, s, oauthstore.RekeyOptions{})
		require.Zero(t, m.count(put, ""), "there was nothing left to write")
		require.True(t, again.Done())
		require.Zero(t, again.Rekeyed)
		m.wantMoved(t, mv.after, ids...)
	})
}

// A process dies before or after any of its calls, and another one begins again.
func TestRekey_thatDiesIsRunAgain(t *testing.T) {
	eachMove(t, func(t *testing.T, m *memory, mv move) {
		for _, takesEffect := range []bool{false, true} {
			for position := 0; ; position++ {
				one := newMemory()
				one.tombstones, one.limits.Page = m.tombstones, 2000
				ids := fill(t, New(one, mv.before, time.Hour), 8)
				ctx, die := context.WithCancel(t.Context())
				var mu sync.Mutex
				calls := 0
				one.around = func(_ context.Context, _ call, run func() error) error {
					mu.Lock()
					defer mu.Unlock()
					calls++
					if calls <= position || ctx.Err() == nil && calls == position+1 && takesEffect {
						if err := run(); calls <= position {
							return err
						}
					}
					die()
					return context.Canceled
				}
				report, err := New(one, mv.during, time.Hour).Rekey(ctx, oauthstore.RekeyOptions{})
				require.NotNil(t, report)
				finished := calls <= position
				require.Equal(t, finished, err == nil, "call %d: %v", position, err)
				require.Equal(t, finished, report.Done(), "call %d: %v", position, report)
				die()
				one.around = nil
				for _, id := range ids {
					_, err := New(one, mv.during, time.Hour).FindTokenByID(t.Context(), id)
					require.NoError(t, err, "call %d", position)
				}
				report = rekey(t, New(one, mv.during, time.Hour), oauthstore.RekeyOptions{})
				require.True(t, report.Done(), "call %d: %v", position, report)
				one.wantMoved(t, mv.after, ids...)
				if finished {
					break
				}
			}
		}
	})
}

// Others save, insert, rename, lease and delete while the keys are changed.
func TestRekey_besideWriters(t *testing.T) {
	eachMove(t, func(t *testing.T, m *memory, mv move) {
		m.limits.Page = 2000
		ids := fill(t, New(m, mv.before, time.Hour), 40)
		m.around = func(ctx context.Context, _ call, run func() error) error {
			if err := wait(ctx, 20*time.Millisecond); err != nil {
				return err
			}
			return run()
		}
		kept := ids[20:]
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				s := New(m, mv.during, time.Hour)
				for j := i; j < 20; j += 4 {
					save(t, s, oauthstore.OAuthToken{ID: ids[20+j], AccessToken: fmt.Sprint("access", j)})
					save(t, s, under(fmt.Sprint("new", j), fmt.Sprint("new user", j)))
					save(t, s, oauthstore.OAuthToken{ID: ids[20+j], UserName: fmt.Sprint("renamed", j)})
					_, err := s.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: ids[20+j], For: time.Minute})
					require.NoError(t, err)
					remove(t, s, ids[j])
				}
			}()
		}
		for j := range 20 {
			kept = append(kept, fmt.Sprint("new", j))
		}
		report := rekey(t, New(m, mv.during, time.Hour), oauthstore.RekeyOptions{})
		require.True(t, report.Done(), "%v: %v", report, report.Errors)
		wg.Wait()
		m.around = nil
		require.Empty(t, rekey(t, New(m, mv.during, time.Hour), oauthstore.RekeyOptions{DryRun: true}).Remaining)
		m.wantMoved(t, mv.after, kept...)
	})
}

// A keyset is as Tink's: its ciphertexts begin with 1 and the id of the key, and it decrypts under all of its keys.
type keyset struct {
	primary byte
	keys    map[byte]codec.AEAD
}

func (k keyset) Encrypt(plaintext, data []byte) ([]byte, error) {
	ciphertext, err := k.keys[k.primary].Encrypt(plaintext, data)
	return append([]byte{1, 0xca, 0xfe, 0, k.primary}, ciphertext...), err
}

func (k keyset) Decrypt(ciphertext, data []byte) ([]byte, error) {
	return k.keys[ciphertext[4]].Decrypt(ciphertext[5:], data)
}

func TestRekey_ofAKeysetWithSeveralKeys(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		keys := map[byte]codec.AEAD{1: aesKey(t, 1), 2: aesKey(t, 2)}
		save(t, New(m, sealedWith(t, keyset{1, keys}), time.Hour), under("x", "alice"))
		during := New(m, sealedWith(t, keyset{2, keys}), time.Hour)
		require.Len(t, rekey(t, during, oauthstore.RekeyOptions{DryRun: true}).Remaining, 2)
		report := rekey(t, during, oauthstore.RekeyOptions{})
		require.True(t, report.Done())
		require.Equal(t, 2, report.Rekeyed)
		delete(keys, 1)
		m.wantMoved(t, sealedWith(t, keyset{2, keys}), "x")
	})
}

func TestRekey_besideAnotherWritesEachSecretOnce(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		during := sealedWith(t, aesKey(t, 1), codec.WithPlaintextReads())
		for _, name := range []string{indexName, "token_x"} {
			m.before(put, name, func() {
				require.True(t, rekey(t, New(m, during, time.Hour), oauthstore.RekeyOptions{}).Done())
			})
		}
		require.True(t, rekey(t, New(m, during, time.Hour), oauthstore.RekeyOptions{}).Done())
		for _, name := range []string{indexName, "token_x"} {
			require.Len(t, m.secrets[name].versions, 2, name)
		}
	})
}

// A page that nothing leads to, under a key that is not known any more.
func TestRekey_saysWhichPageItCannotRead(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		lost := New(m, sealedWith(t, aesKey(t, 9)), time.Hour)
		p, err := lost.newPage(t.Context(), indexName, nil, nil)
		require.NoError(t, err)
		require.NoError(t, lost.makePages(t.Context(), []*page{p}))
		s := New(m, sealedWith(t, aesKey(t, 1)), time.Hour)
		save(t, s, under("x", "alice"))
		for _, dry := range []bool{true, false} {
			report := rekey(t, s, oauthstore.RekeyOptions{DryRun: dry})
			require.False(t, report.Done())
			require.Len(t, report.Unreadable, 1)
			require.ErrorContains(t, report.Unreadable[0], p.name)
		}
	})
}

// A document grows by a third when it is encrypted.
func TestRekey_dividesPagesThatBecomeTooLarge(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Page = 2000
		s := m.store()
		var ids []string
		nearlyFull := func(name string) bool {
			v := m.show(t, name)
			return v != nil && v.node.inner() && len(m.bytes(name)) > 1900
		}
		for i := 0; !nearlyFull(indexName); i++ {
			require.Less(t, i, 3000)
			ids = append(ids, save(t, s, under("", fmt.Sprint("user", i))).ID)
		}
		mv := move{during: sealedWith(t, aesKey(t, 1), codec.WithPlaintextReads()), after: sealedWith(t, aesKey(t, 1))}
		pages := len(m.pagesByName())
		m.on(put, indexName, func(func() error) error { // its pages are made when another write comes in between
			require.Greater(t, len(m.pagesByName()), pages)
			return ErrConflict
		})
		report := rekey(t, New(m, mv.during, time.Hour), oauthstore.RekeyOptions{})
		require.True(t, report.Done(), "%v: %v", report, report.Errors)
		m.wantRulesUsed(t)
		for name := range m.secrets {
			if rec, _, _ := m.newest(name); IsNode(name) {
				require.LessOrEqual(t, size(&rec), 2000, name)
			}
		}
		m.wantMoved(t, mv.after, ids...)
		time.Sleep(grace)
		repaired, err := New(m, mv.after, time.Hour).Repair(t.Context(), oauthstore.RepairOptions{DryRun: true})
		require.NoError(t, err)
		require.Empty(t, repaired.Pages, "pages that nothing leads to")
	})
}

func TestRekey_goesOnWithTheOthersIfOneCannotBeWritten(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		fits := under("large", "carol")
		fits.Extra = `{"x":"` + strings.Repeat("x", 60000) + `"}`
		for _, token := range []oauthstore.OAuthToken{fits, under("denied", "alice"), under("foreign", "bob"), under("unread", "dave"), under("fine", "erin")} {
			save(t, m.store(), token)
		}
		m.overwrite(t, "token_foreign", codec.Document{"note": json.RawMessage(`"from the console"`)})
		m.on(put, "token_denied", fails(oauthstore.ErrAccessDenied))
		m.on(get, "token_unread", fails(oauthstore.ErrAccessDenied))
		s := New(m, sealedWith(t, aesKey(t, 1), codec.WithPlaintextReads()), time.Hour)
		report := rekey(t, s, oauthstore.RekeyOptions{})
		require.Equal(t, []string{"mem/token_denied", "mem/token_large", "mem/token_unread"}, report.Remaining)
		require.False(t, report.Done())
		require.Len(t, report.Errors, 3)
		err := errors.Join(report.Errors...)
		require.ErrorIs(t, err, oauthstore.ErrRecordTooLarge)
		require.ErrorIs(t, err, oauthstore.ErrAccessDenied)
		require.Len(t, report.Unreadable, 1)
		require.ErrorContains(t, report.Unreadable[0], "mem/token_foreign")
		require.Contains(t, string(m.bytes("token_foreign")), "console", "what others keep there is left alone")
		require.Equal(t, 6, report.Secrets)
		require.Equal(t, 2, report.Rekeyed)
		require.True(t, m.isSealedUnder(t, "token_fine", aesKey(t, 1)))
		require.Equal(t, 1, m.count(put, "token_large"), "the service was asked to store what does not fit")
	})
}

func TestRekey_endsIfTheKeysOrTheServiceCannotBeReached(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		down := failingKey{fmt.Errorf("%w: the key service", oauthstore.ErrUnavailable)}
		report, err := New(m, sealedWith(t, down, codec.WithPlaintextReads()), time.Hour).Rekey(t.Context(), oauthstore.RekeyOptions{})
		require.ErrorIs(t, err, oauthstore.ErrUnavailable)
		require.Zero(t, report.Rekeyed)
		require.False(t, report.Done())
		s := New(m, sealedWith(t, aesKey(t, 1), codec.WithPlaintextReads()), time.Hour)
		m.on(get, "token_x", fails(oauthstore.ErrUnavailable))
		report, err = s.Rekey(t.Context(), oauthstore.RekeyOptions{})
		require.ErrorIs(t, err, oauthstore.ErrUnavailable)
		require.Contains(t, report.Remaining, "mem/token_x")
		m.on("list", "", fails(oauthstore.ErrAccessDenied))
		report, err = s.Rekey(t.Context(), oauthstore.RekeyOptions{})
		require.ErrorIs(t, err, oauthstore.ErrAccessDenied)
		require.False(t, report.Done())
		report, err = m.store().Rekey(t.Context(), oauthstore.RekeyOptions{})
		require.ErrorIs(t, err, errors.ErrUnsupported, "a store without keys")
		require.NotNil(t, report)
	})
}

// The listing lags behind, and the index lacks a token.
func TestRekey_findsWhatOnlyTheIndexOrOnlyTheListingHas(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.listLag = time.Hour
		save(t, m.store(), under("listed", "alice"))
		m.editIndex(t, func([]entry) []entry { return nil })
		time.Sleep(2 * time.Hour)
		m.limits.Page = 2000
		save(t, m.store(), under("indexed", "bob"))
		ids := fill(t, m.store(), 40)
		rec, rev, err := m.newest(indexName)
		require.NoError(t, err)
		require.NoError(t, m.store().divideInner(t.Context(), indexName, state{rec, rev}), "inner nodes below the root")
		key := aesKey(t, 1)
		report := rekey(t, New(m, sealedWith(t, key, codec.WithPlaintextReads()), time.Hour), oauthstore.RekeyOptions{})
		require.Equal(t, 43+len(m.pagesByName()), report.Rekeyed, "the tokens, the root and the pages")
		require.True(t, m.isSealedUnder(t, "token_listed", key))
		m.wantIndexMoved(t, sealedWith(t, key), append(ids, "indexed"))
	})
}

// wantIndexMoved demands that the codec alone reads the index and the tokens that it lists.
func (m *memory) wantIndexMoved(t testing.TB, c codec.Codec, ids []string) {
	t.Helper()
	tokens, err := New(m, c, time.Hour).GetTokens(t.Context())
	require.NoError(t, err)
	require.Len(t, tokens, len(ids))
}

// A node that is sealed, or no inner node any more, is not divided.
func TestDivideInner_leavesOtherNodes(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := m.store()
		for name, n := range map[string]*node{
			"page_leaf":   {entries: []entry{newEntry(&oauthstore.OAuthToken{ID: "x"})}},
			"page_sealed": {pages: []pointer{{"", "page_a"}, {"8", "page_b"}}, sealed: true},
			"page_single": {pages: []pointer{{"", "page_a"}}},
		} {
			rec, err := s.encodeNode(t.Context(), name, Record{}, n)
			require.NoError(t, err)
			rev, err := m.Put(t.Context(), name, None, *rec, 0)
			require.NoError(t, err)
			m.forgetCalls()
			require.ErrorIs(t, s.divideInner(t.Context(), name, state{*rec, rev}), errTooFull)
			require.Zero(t, m.count(put, ""), name)
		}
	})
}

// A delete puts a tombstone, which Rekey passes over; it is denied to go on, and puts the record back.
func TestRekey_besideADeleteThatIsDenied(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.tombstones = true
		save(t, m.store(), under("x", "alice"))
		key := aesKey(t, 1)
		during := sealedWith(t, key, codec.WithPlaintextReads())
		m.on(destroy, "token_x", func(func() error) error {
			report := rekey(t, New(m, during, time.Hour), oauthstore.RekeyOptions{})
			require.True(t, report.Done())
			return oauthstore.ErrAccessDenied
		})
		require.ErrorIs(t, New(m, during, time.Hour).DeleteToken(t.Context(), "x"), oauthstore.ErrAccessDenied)
		m.wantMoved(t, sealedWith(t, key), "x")
	})
}

func TestRekey_leavesTheLastWritesOfADayToSaves(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Writes, m.limits.Per = 100, 24*time.Hour
		s := m.store()
		token := under("x", "alice")
		for i := range 91 {
			token.RefreshToken = fmt.Sprint("refresh", i)
			token = *save(t, s, token)
		}
		during := New(m, sealedWith(t, aesKey(t, 1), codec.WithPlaintextReads()), time.Hour)
		report := rekey(t, during, oauthstore.RekeyOptions{})
		require.Equal(t, []string{"mem/token_x"}, report.Remaining)
		require.ErrorIs(t, errors.Join(report.Errors...), oauthstore.ErrThrottled)
		time.Sleep(25 * time.Hour)
		require.True(t, rekey(t, during, oauthstore.RekeyOptions{}).Done())
	})
}

func TestRekey_tellsHowFarItIs(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		fill(t, m.store(), 120)
		var steps []string
		s := New(m, sealedWith(t, aesKey(t, 1), codec.WithPlaintextReads()), time.Hour)
		rekey(t, s, oauthstore.RekeyOptions{Progress: func(p oauthstore.RekeyProgress) {
			steps = append(steps, fmt.Sprint(p.Step, " ", p.Done, "/", p.Total))
		}})
		require.Equal(t, []string{"list 0/0", "write 0/121", "write 100/121", "write 121/121"}, steps)
	})
}
