package engine

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	reference "github.com/oauthstore/oauthstore/memory"
)

var histories = flag.Int("histories", 100, "how many histories TestDifferential runs")

// TestDifferential gives calls that the seed decides on, one after another, to three stores in turn, each with
// an index of its own age in its cache, and to a store that has neither index nor cache. They must give the
// same answers. A history that differs is printed.
func TestDifferential(t *testing.T) {
	for seed := uint64(1); seed <= uint64(*histories) && !t.Failed(); seed++ {
		sameEachTime(t, seed)
		virtually(t, func(t *testing.T) {
			m := newMemory()
			m.tombstones = seed%2 == 0
			m.limits.Page = []int{0, 600, 900}[seed%3]
			if seed%5 == 0 {
				m.limits.Writes, m.limits.Per = 8, 59*time.Minute // so short that access tokens are stored all the same
			}
			d := &differential{
				t: t, m: m, rng: rand.New(rand.NewPCG(seed, 0)),
				stores: []*Store{m.store(), m.store(), m.store()}, want: reference.New(),
			}
			for i := 0; i < 60 && !d.random; i++ {
				if !d.step() {
					t.Errorf("seed %d:\n%s", seed, strings.Join(d.history, "\n"))
					return
				}
			}
		})
	}
}

type differential struct {
	t       *testing.T
	m       *memory
	rng     *rand.Rand
	stores  []*Store
	want    *reference.Store
	found   []twins // tokens found earlier
	random  bool    // a record has a random id, and with it another place in the order of ids than its twin
	history []string
	n       int
}

// twins are what the stores and the reference have returned for the same.
type twins struct{ got, want *oauthstore.OAuthToken }

// step makes a call, and reports whether it was answered alike.
func (d *differential) step() bool {
	ctx, s := d.t.Context(), d.stores[d.rng.IntN(len(d.stores))]
	var what, got, want string
	switch n := d.rng.IntN(24); {
	case n < 10:
		what, got, want = d.save(ctx, s, d.literal())
	case n < 15:
		what, got, want = d.find(ctx, s, d.partial())
	case n < 18:
		what, got, want = d.saveFound(ctx, s)
	case n < 20:
		id := d.pick("x", "y", oauthstore.DerivedID("alice", ""))
		what, got, want = "delete "+id, outcome(nil, s.DeleteToken(ctx, id)), outcome(nil, d.want.DeleteToken(ctx, id))
	case n < 22:
		what, got, want = "list", d.list(ctx, s), d.list(ctx, d.want)
	case n < 23:
		what, got, want = "delete all", outcome(nil, s.DeleteTokens(ctx)), outcome(nil, d.want.DeleteTokens(ctx))
	default:
		pause := []time.Duration{maxRename, maxIndexAge, grace}[d.rng.IntN(3)] + time.Second
		what = "wait " + pause.String()
		time.Sleep(pause)
	}
	if d.random {
		return true
	}
	d.history = append(d.history, what+"\n   got  "+got+"\n   want "+want)
	if broken := d.m.inconsistent(d.t); broken != "" {
		d.history = append(d.history, broken)
		return false
	}
	return got == want
}

func (d *differential) pick(from ...string) string { return from[d.rng.IntN(len(from))] }

func (d *differential) unique(kind string) string {
	d.n++
	return fmt.Sprint(kind, d.n)
}

// literal returns a token with a user or an id, so that it can be told apart from all others.
func (d *differential) literal() *oauthstore.OAuthToken {
	token := &oauthstore.OAuthToken{UserName: d.pick("alice", "bob", "carol"), ClientID: d.pick("", "", "c", "d")}
	if d.rng.IntN(2) == 0 {
		token.ID, token.UserName = d.pick("x", "y", oauthstore.DerivedID("alice", "")), d.pick("", token.UserName)
	}
	switch d.rng.IntN(4) {
	case 0:
		token.AccessToken = d.unique("access")
	case 1:
		token.RefreshToken = d.unique("refresh")
	case 2:
		token.GrantToken = d.unique("grant")
	default:
		token.Scope = d.unique("scope")
	}
	return token
}

// partial returns what a token could be found by: often one that is stored.
func (d *differential) partial() *oauthstore.OAuthToken {
	all, err := d.want.GetTokens(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	if len(all) == 0 || d.rng.IntN(2) == 0 {
		return &oauthstore.OAuthToken{UserName: d.pick("alice", "bob", "carol"), ClientID: d.pick("", "", "c", "d")}
	}
	stored := all[d.rng.IntN(len(all))]
	switch d.rng.IntN(3) {
	case 0:
		return &oauthstore.OAuthToken{AccessToken: stored.AccessToken}
	case 1:
		return &oauthstore.OAuthToken{RefreshToken: stored.RefreshToken, ClientID: stored.ClientID, ClientSecret: "s"}
	default:
		return &oauthstore.OAuthToken{GrantToken: stored.GrantToken, ClientID: stored.ClientID, ClientSecret: "s"}
	}
}

func (d *differential) save(ctx context.Context, s *Store, token *oauthstore.OAuthToken) (what, got, want string) {
	a, b := *token, *token
	errA, errB := s.SaveToken(ctx, &a), d.want.SaveToken(ctx, &b)
	d.random = errA == nil && errB == nil && a.ID[0] == 'r' && b.ID[0] == 'r'
	return "save " + outcome(token, nil), outcome(&a, errA), outcome(&b, errB)
}

func (d *differential) find(ctx context.Context, s *Store, partial *oauthstore.OAuthToken) (what, got, want string) {
	a, errA := s.FindToken(ctx, partial)
	b, errB := d.want.FindToken(ctx, partial)
	if errA == nil && errB == nil {
		d.found = append(d.found, twins{a, b})
	}
	return "find " + outcome(partial, nil), outcome(a, errA), outcome(b, errB)
}

// saveFound saves or updates a token that was found some time ago, with a change.
func (d *differential) saveFound(ctx context.Context, s *Store) (what, got, want string) {
	if len(d.found) == 0 {
		return "nothing", "", ""
	}
	found := d.found[d.rng.IntN(len(d.found))]
	a, b := *found.got, *found.want
	switch refresh, user := d.unique("refresh"), d.pick("alice", "bob"); d.rng.IntN(3) {
	case 0:
		a.RefreshToken, b.RefreshToken = refresh, refresh
	case 1:
		a.UserName, b.UserName = user, user
	}
	if d.rng.IntN(2) == 0 {
		what = "update found " + outcome(&a, nil)
		return what, outcome(&a, s.UpdateToken(ctx, &a)), outcome(&b, d.want.UpdateToken(ctx, &b))
	}
	what = "save found " + outcome(&a, nil)
	return what, outcome(&a, s.SaveToken(ctx, &a)), outcome(&b, d.want.SaveToken(ctx, &b))
}

func (d *differential) list(ctx context.Context, s oauthstore.TokenStore) string {
	tokens, err := s.GetTokens(ctx)
	lines := []string{outcome(nil, err)}
	for _, token := range tokens {
		lines = append(lines, outcome(token, nil))
	}
	return strings.Join(lines, "; ")
}

// outcome shows a token, or the class of an error.
func outcome(t *oauthstore.OAuthToken, err error) string {
	var conflict *oauthstore.ConflictError
	switch {
	case errors.As(err, &conflict):
		return "conflict with " + conflict.ID
	case errors.Is(err, oauthstore.ErrTokenNotFound), errors.Is(err, oauthstore.ErrInvalidToken):
		return err.Error()
	case err != nil:
		return "failed: " + err.Error()
	case t == nil:
		return "done"
	}
	return fmt.Sprintf("%q", []string{t.ID, t.UserName, t.ClientID, t.ClientSecret, t.GrantToken, t.RefreshToken, t.AccessToken, t.Scope})
}
