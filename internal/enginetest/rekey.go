package enginetest

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/testserver"
)

// A Rekeyer is a store that can change its keys.
type Rekeyer interface {
	Store
	oauthstore.Rekeyer
}

// NewKeyed returns a store with the codec. Its client tries again as users' clients do, unless the process that it
// stands for is to die.
type NewKeyed func(t *testing.T, b Backend, c codec.Codec, dies bool) Rekeyer

// AESGCM is AES-256-GCM under a key that is the byte n, over and over.
func AESGCM(t testing.TB, n byte) codec.AEAD {
	t.Helper()
	block, err := aes.NewCipher(bytes.Repeat([]byte{n}, 32))
	require.NoError(t, err)
	aead, err := cipher.NewGCMWithRandomNonce(block)
	require.NoError(t, err)
	return gcm{aead}
}

type gcm struct{ cipher.AEAD }

func (g gcm) Encrypt(plaintext, data []byte) ([]byte, error) {
	return g.Seal(nil, nil, plaintext, data), nil
}
func (g gcm) Decrypt(ciphertext, data []byte) ([]byte, error) {
	return g.Open(nil, nil, ciphertext, data)
}

// A keyChange is the way from one codec to another, as docs/encryption.md has it: before it, after its first step, when
// all processes read what will be written; after its second, when all write it; and after its last, when nothing else is
// read.
type keyChange struct {
	name  string
	steps [4]codec.Codec
}

func keyChanges(t testing.TB) []keyChange {
	a, b := AESGCM(t, 1), AESGCM(t, 2)
	sealed := func(key codec.AEAD, opts ...codec.Option) codec.Codec {
		c, err := codec.NewEncrypted(codec.JSON{}, key, opts...)
		require.NoError(t, err)
		return c
	}
	return []keyChange{
		{"another key", [4]codec.Codec{sealed(a), sealed(a, codec.WithDecryption(b)), sealed(b, codec.WithDecryption(a)), sealed(b)}},
		{"from clear", [4]codec.Codec{codec.JSON{}, sealed(b, codec.WithPlaintextWrites()), sealed(b, codec.WithPlaintextReads()), sealed(b)}},
		{"to clear", [4]codec.Codec{sealed(a), sealed(a, codec.WithPlaintextReads()), sealed(a, codec.WithPlaintextWrites()), codec.JSON{}}},
	}
}

// RunKeyChange goes the way from one key to another, from documents in clear to encrypted ones, and back: at every step
// processes that have taken it and others that have not work side by side. At every step a process dies before or after a
// call that it makes: some of these deaths by default, all of them with -kills.
func RunKeyChange(t *testing.T, newBackend func(t *testing.T) Backend, newStore NewKeyed) {
	for i, change := range keyChanges(t) {
		t.Run(change.name, func(t *testing.T) {
			t.Run("step by step", func(t *testing.T) { changeKeys(t, newBackend(t), newStore, change) })
			t.Run("step by step, and back", func(t *testing.T) { changeKeysAndBack(t, newBackend(t), newStore, change) })
			dieOnTheWay(t, newBackend, newStore, change, i)
		})
	}
}

// changeKeys takes the steps one after another.
func changeKeys(t *testing.T, b Backend, newStore NewKeyed, change keyChange) {
	at := func(step int) Rekeyer { return newStore(t, b, change.steps[step], false) }
	live := map[string]bool{}
	for i := range 4 {
		live[save(t, at(0), secretToken(fmt.Sprint("user", i), "")).ID] = true
	}
	for step := 1; step <= 2; step++ {
		work(t, at(step-1), at(step), fmt.Sprint("step", step), live)
	}
	ctx := context.Background()
	promised, err := at(2).Rekey(ctx, oauthstore.RekeyOptions{DryRun: true})
	require.NoError(t, err)
	require.NotEmpty(t, promised.Remaining)
	report, err := at(2).Rekey(ctx, oauthstore.RekeyOptions{})
	require.NoError(t, err)
	require.True(t, report.Done(), "%v: %v", report, report.Errors)
	require.Equal(t, len(promised.Remaining), report.Rekeyed)
	require.Empty(t, report.Unreadable)
	work(t, at(2), at(3), "step3", live)
	wantMoved(t, b, newStore, change.steps[3], live)
}

// changeKeysAndBack turns round when half of the records are under the newest key.
func changeKeysAndBack(t *testing.T, b Backend, newStore NewKeyed, change keyChange) {
	at := func(step int) Rekeyer { return newStore(t, b, change.steps[step], false) }
	live := map[string]bool{}
	for i := range 4 {
		live[save(t, at(0), secretToken(fmt.Sprint("user", i), "")).ID] = true
	}
	work(t, at(1), at(2), "there", live)
	work(t, at(2), at(1), "back", live)
	report, err := at(1).Rekey(context.Background(), oauthstore.RekeyOptions{})
	require.NoError(t, err)
	require.True(t, report.Done(), "%v: %v", report, report.Errors)
	require.NotZero(t, report.Rekeyed)
	wantMoved(t, b, newStore, change.steps[0], live)
}

// work lets two processes insert, save, rename and delete, each what the other has written too. live are the ids that
// are stored.
func work(t *testing.T, one, other Rekeyer, word string, live map[string]bool) {
	t.Helper()
	ctx := context.Background()
	ids := make(map[Rekeyer]string)
	for i, s := range []Rekeyer{one, other} {
		for _, kind := range []string{"kept", "deleted"} {
			token := save(t, s, secretToken(fmt.Sprint(word, kind, i), ""))
			live[token.ID] = true
			if kind == "deleted" {
				ids[s] = token.ID
			}
		}
	}
	for s, id := range map[Rekeyer]string{one: ids[other], other: ids[one]} {
		save(t, s, &oauthstore.OAuthToken{ID: id, AccessToken: "newer"})
		save(t, s, &oauthstore.OAuthToken{ID: id, UserName: "renamed " + id})
		_, err := s.FindToken(ctx, &oauthstore.OAuthToken{UserName: "renamed " + id})
		require.NoError(t, err)
	}
	for _, s := range []Rekeyer{one, other} {
		require.NoError(t, s.DeleteToken(ctx, ids[s]))
		delete(live, ids[s])
	}
	for _, s := range []Rekeyer{one, other} {
		wantIDs(t, s, live)
	}
}

func wantIDs(t *testing.T, s oauthstore.TokenStore, live map[string]bool) {
	t.Helper()
	tokens, err := s.GetTokens(context.Background())
	require.NoError(t, err)
	got := make(map[string]bool)
	for _, token := range tokens {
		got[token.ID] = true
	}
	require.Equal(t, live, got)
}

// wantMoved demands that all is as the codec writes it, and that all that a store does works with it alone.
func wantMoved(t *testing.T, b Backend, newStore NewKeyed, c codec.Codec, live map[string]bool) {
	t.Helper()
	ctx := context.Background()
	s := newStore(t, b, c, false)
	wantIDs(t, s, live)
	token := save(t, s, secretToken("the last", ""))
	require.NoError(t, s.DeleteToken(ctx, token.ID))
	report, err := s.Repair(ctx, oauthstore.RepairOptions{})
	require.NoError(t, err)
	require.Empty(t, report.Unlisted)
	require.Empty(t, report.Unreadable)
	_, encrypted := c.(*codec.Encrypted)
	d := b.Driver(t)
	for _, name := range b.Names() {
		if rec := get(t, d, name); rec.Live() {
			require.Equal(t, encrypted, rec.Document["encrypted"] != nil, name)
		}
	}
	if encrypted {
		report, err := s.Rekey(ctx, oauthstore.RekeyOptions{DryRun: true})
		require.NoError(t, err)
		require.True(t, report.Done())
		require.Empty(t, report.Unreadable)
	}
	require.NoError(t, s.DeleteTokens(ctx))
	wantIDs(t, s, map[string]bool{})
}

var kills = flag.Bool("kills", false, "let TestKeyChange kill a process before and after every call, on every part of the way")

// A stretch is a part of the way on which a process dies. It has taken the step dies. Another one, which has taken the step
// other, finishes what that has begun.
type stretch struct {
	name        string
	rekeyed     bool // all was under the newest key
	dies, other int
	rekey       int  // the step whose processes call Rekey in the end
	end         int  // the step whose processes then find all as they write it
	onlyRekey   bool // nothing else is done
}

var stretches = []stretch{
	{name: "before all can read the newest key", dies: 0, other: 1, rekey: 2, end: 3},
	{name: "as the first that can read the newest key", dies: 1, other: 0, rekey: 2, end: 3},
	{name: "before all write under the newest key", dies: 1, other: 2, rekey: 2, end: 3},
	{name: "as the first that writes under the newest key", dies: 2, other: 1, rekey: 2, end: 3},
	{name: "when both keys are needed", dies: 2, other: 2, rekey: 2, end: 3},
	{name: "before the older key is gone everywhere", rekeyed: true, dies: 2, other: 3, rekey: 2, end: 3},
	{name: "as the first without the older key", rekeyed: true, dies: 3, other: 2, rekey: 2, end: 3},
	{name: "on the way back", rekeyed: true, dies: 1, other: 1, rekey: 1, end: 0, onlyRekey: true},
}

// A doing is what a process is at when it dies.
type doing struct {
	name string
	do   func(s Rekeyer) error
}

// rekeys is the name of the doing that is a run of Rekey.
const rekeys = "Rekey"

func (s stretch) doings() (all []doing) {
	ctx := context.Background()
	if s.dies == s.rekey && s.other == s.rekey {
		all = append(all, doing{rekeys, func(s Rekeyer) error {
			report, err := s.Rekey(ctx, oauthstore.RekeyOptions{})
			return errors.Join(err, errors.Join(report.Errors...))
		}})
	}
	if s.onlyRekey {
		return all
	}
	return append(all,
		doing{"an insert", func(s Rekeyer) error { return s.SaveToken(ctx, secretToken("new", "new")) }},
		doing{"a save", func(s Rekeyer) error { return s.SaveToken(ctx, secretToken("user0", "user0")) }},
		doing{"a delete", func(s Rekeyer) error { return s.DeleteToken(ctx, "user1") }},
	)
}

// oneIn is of how many doings and kinds of fault one is tried, at one call, without -kills. Every stretch must have
// one, and Rekey must die on every stretch on which it runs.
const oneIn = 5

// dieOnTheWay lets a process die on every stretch, another one finish, and then takes the older key away. change is the nth
// one: each has other calls at which it is done without -kills.
func dieOnTheWay(t *testing.T, newBackend func(t *testing.T) Backend, newStore NewKeyed, change keyChange, nth int) {
	var wg sync.WaitGroup
	defer wg.Wait()
	places := make(chan struct{}, atOnce)
	n := 0
	for _, on := range stretches {
		tried := make(map[string]bool)
		for _, doing := range on.doings() {
			for _, kind := range []testserver.Kind{testserver.FailBefore, testserver.DropAfter} {
				n++
				position := n/oneIn + nth
				if !*kills && n%oneIn != 0 {
					continue
				}
				tried[doing.name] = true
				places <- struct{}{}
				wg.Add(1)
				go func() {
					defer wg.Done()
					defer func() { <-places }()
					dies := func(position int) (done bool) {
						done = true // if the test is not among those that are to run
						t.Run(fmt.Sprintf("%s, %s dies at call %d, %v", on.name, doing.name, position+1, kind), func(t *testing.T) {
							d := &death{on, doing.do, change, newBackend(t), newStore}
							done = d.run(t, kind, position)
						})
						return done || t.Failed()
					}
					if !*kills {
						d := &death{on, doing.do, change, newBackend(t), newStore}
						dies(position % d.calls(t))
						return
					}
					for position := 0; !dies(position); position++ {
						continue
					}
				}()
			}
			require.True(t, tried[doing.name] || doing.name != rekeys, "oneIn leaves out Rekey %s", on.name)
		}
		require.NotEmpty(t, tried, "oneIn leaves out all %s", on.name)
	}
}

// A death is one that is tried.
type death struct {
	stretch
	do       func(s Rekeyer) error
	change   keyChange
	backend  Backend
	newStore NewKeyed
}

func (d *death) store(t *testing.T, step int, dies bool) Rekeyer {
	return d.newStore(t, d.backend, d.change.steps[step], dies)
}

// begin returns the process that is to die, on a store with three tokens.
func (d *death) begin(t *testing.T) Rekeyer {
	for i := range 3 {
		save(t, d.store(t, 0, false), secretToken(fmt.Sprint("user", i), fmt.Sprint("user", i)))
	}
	if d.rekeyed {
		report, err := d.store(t, 2, false).Rekey(context.Background(), oauthstore.RekeyOptions{})
		require.NoError(t, err)
		require.True(t, report.Done(), "%v: %v", report, report.Errors)
	}
	s := d.store(t, d.dies, true)
	d.backend.Control().ResetRequests()
	return s
}

// calls returns how many calls the process makes if it does not die.
func (d *death) calls(t *testing.T) int {
	require.NoError(t, d.do(d.begin(t)))
	return d.backend.Control().Count()
}

// run reports whether there are no more calls than there were before the process would have died.
func (d *death) run(t *testing.T, kind testserver.Kind, position int) (done bool) {
	dying, control := d.begin(t), d.backend.Control()
	control.Inject(testserver.Fault{Kind: kind, Skip: position})
	control.Inject(testserver.Fault{Kind: testserver.FailBefore, Skip: position, Times: -1})
	_ = d.do(dying)
	died := slices.ContainsFunc(control.Requests(), func(r testserver.Request) bool { return r.Fault != testserver.None })
	control.ClearFaults()

	require.NoError(t, ignoring(oauthstore.ErrTokenNotFound, d.do(d.store(t, d.other, false))), "by another process")
	report, err := d.store(t, d.rekey, false).Rekey(context.Background(), oauthstore.RekeyOptions{})
	require.NoError(t, err)
	require.True(t, report.Done(), "%v: %v", report, report.Errors)
	last := d.store(t, d.rekey, false)
	live := make(map[string]bool)
	for _, id := range []string{"user0", "user1", "user2", "new"} {
		_, err := last.FindTokenByID(context.Background(), id)
		require.NoError(t, ignoring(oauthstore.ErrTokenNotFound, err))
		if err == nil {
			live[id] = true
		}
	}
	wantMoved(t, d.backend, d.newStore, d.change.steps[d.end], live)
	return !died
}

func ignoring(what, err error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}

// RunRekeyMany encrypts a store that has so many tokens in clear that its index has pages.
func RunRekeyMany(t *testing.T, b Backend, newStore NewKeyed) {
	change := keyChanges(t)[1]
	const tokens, atOnce = 400, 32
	clear := newStore(t, b, change.steps[0], false)
	live := make(map[string]bool)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range atOnce {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := i; j < tokens; j += atOnce {
				token := secretToken(fmt.Sprint("user", j), "")
				if err := clear.SaveToken(context.Background(), token); err != nil {
					t.Errorf("SaveToken: %v", err)
				}
				mu.Lock()
				live[token.ID] = true
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	nodes := func() (n int) {
		for _, name := range b.Names() {
			if engine.IsNode(name) && get(t, b.Driver(t), name).Live() {
				n++
			}
		}
		return n
	}
	before := nodes()
	require.Greater(t, before, 1)
	report, err := newStore(t, b, change.steps[2], false).Rekey(context.Background(), oauthstore.RekeyOptions{})
	require.NoError(t, err)
	require.True(t, report.Done(), "%v: %v", report, report.Errors)
	require.Equal(t, tokens+before, report.Rekeyed)
	wantMoved(t, b, newStore, change.steps[3], live)
}
