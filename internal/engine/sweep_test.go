//go:build go1.25

package engine

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// TestSweep lets every call of every method go wrong in every way: once, and from there on. After each it looks whether
// the stored state is as it must be; whether a method that returned nil has done its work; and whether a method that
// failed says why, and does its work when it is called again.
//
// TestSchedules finds what several processes do to each other. This finds an error that is passed over.
//
// One run in sweepShare is enough for every day; -sweep runs all.
func TestSweep(t *testing.T) {
	for _, tombstones := range []bool{false, true} {
		for _, place := range sweepPlaces {
			for _, m := range sweepMethods {
				name := fmt.Sprintf("%s, %s, tombstones %v", m.name, place.name, tombstones)
				t.Run(name, func(t *testing.T) { sweep(t, tombstones, place, m) })
			}
		}
	}
}

var sweepAll = flag.Bool("sweep", false, "let TestSweep run everything")

const sweepShare = 32

// A sweepPlace is the stored state before the method is called: at least the tokens x of alice, y of bob and z of carol.
type sweepPlace struct {
	name    string
	prepare func(t *testing.T, m *memory)
}

var sweepPlaces = []sweepPlace{
	{"one leaf", func(*testing.T, *memory) {}},
	{"pages", func(t *testing.T, m *memory) { fill(t, m.store(), 25) }},
	// The next entries divide the leaf.
	{"a full leaf", func(t *testing.T, m *memory) { fill(t, m.store(), 8) }},
	// All leaves are sealed, by a process that died before it joined them.
	{"sealed leaves", func(t *testing.T, m *memory) {
		fill(t, m.store(), 12)
		for _, name := range m.pages(t) {
			if _, err := m.store().seal(t.Context(), name, func(*node, int) bool { return true }); err != nil {
				t.Fatal(err)
			}
		}
	}},
	// What else is left by processes that died.
	{"remains", func(t *testing.T, m *memory) {
		m.on(put, "token_w", fails(context.Canceled)) // an entry without a secret
		dave := under("w", "dave")
		_ = m.store().SaveToken(t.Context(), &dave)
		save(t, m.store(), under("v", "erin"))
		if m.tombstones { // a deletion that stopped half-way
			m.on(destroy, "token_v", fails(context.Canceled))
			_ = m.store().DeleteToken(t.Context(), "v")
		}
		time.Sleep(grace + time.Minute)
	}},
}

// A sweepMethod is one call, and what must hold once it has succeeded.
type sweepMethod struct {
	name string
	do   func(ctx context.Context, s *Store) error
	done func(t *testing.T, m *memory) string // what is wrong, or ""
	// absent says that ErrTokenNotFound from a repeated call is right: the first did its work.
	absent bool
	// yields says that the method leaves to other writers what it meets them at.
	yields bool
}

// sweepMethods are called by a process that knows nothing yet.
var sweepMethods = []sweepMethod{
	{name: "FindTokenByID", do: func(ctx context.Context, s *Store) error {
		got, err := s.FindTokenByID(ctx, "x")
		return wantRefreshOf("x", "alice", got, err)
	}},
	{name: "FindToken by user name", do: func(ctx context.Context, s *Store) error {
		got, err := s.FindToken(ctx, &oauthstore.OAuthToken{UserName: "alice"})
		return wantRefreshOf("x", "alice", got, err)
	}},
	{name: "FindToken by refresh token", do: func(ctx context.Context, s *Store) error {
		got, err := s.FindToken(ctx, &oauthstore.OAuthToken{ClientID: "c", ClientSecret: "s", RefreshToken: "refresh of ycbob"})
		return wantRefreshOf("yc", "bob", got, err)
	}},
	{name: "GetTokens", do: func(ctx context.Context, s *Store) error {
		tokens, err := s.GetTokens(ctx)
		if err == nil && len(tokens) < 4 {
			err = errIncomplete
		}
		return err
	}},
	{name: "AllTokens", do: func(ctx context.Context, s *Store) error {
		n := 0
		for _, err := range s.Tokens(ctx) {
			if err != nil {
				return err
			}
			n++
		}
		if n < 4 {
			return errIncomplete
		}
		return nil
	}},
	{name: "SaveToken, new user", do: saveAs(under("", "frank")), done: holdsUser("", "frank")},
	{name: "SaveToken, new id", do: saveAs(under("n", "frank")), done: holdsUser("n", "frank")},
	{name: "SaveToken, no user name", do: saveAs(under("n", "")), done: holdsUser("n", "")},
	{name: "SaveToken, another client", do: saveAs(oauthstore.OAuthToken{ID: "n", UserName: "alice", ClientID: "other", RefreshToken: "r"}),
		done: holdsUser("n", "alice")},
	{name: "SaveToken, known id", do: saveAs(oauthstore.OAuthToken{ID: "x", AccessToken: "new"}), done: holdsAccess("x")},
	{name: "SaveToken, known user", do: saveAs(oauthstore.OAuthToken{UserName: "alice", AccessToken: "new"}), done: holdsAccess("x")},
	{name: "SaveToken, known refresh token", do: saveAs(oauthstore.OAuthToken{ClientID: "c", ClientSecret: "s",
		RefreshToken: "refresh of ycbob", AccessToken: "new"}), done: holdsAccess("yc")},
	{name: "SaveToken, renamed", do: saveAs(oauthstore.OAuthToken{ID: "x", UserName: "grace"}), done: holdsAlone("x", "grace")},
	{name: "UpdateToken", do: func(ctx context.Context, s *Store) error {
		return s.UpdateToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "new"})
	}, done: holdsAccess("x")},
	{name: "LeaseToken and SaveLeased", do: func(ctx context.Context, s *Store) error {
		l, err := s.LeaseToken(ctx, oauthstore.LeaseRequest{ID: "x", For: time.Second})
		switch {
		case err != nil:
			return err
		case !l.Held: // by the call before, perhaps, whose answer was lost
			time.Sleep(10 * time.Minute)
			return errIncomplete
		}
		return s.SaveLeased(ctx, l, &oauthstore.OAuthToken{AccessToken: "new"})
	}, done: holdsAccess("x")},
	{name: "DeleteToken", do: func(ctx context.Context, s *Store) error { return s.DeleteToken(ctx, "x") },
		done: lacks("x"), absent: true},
	{name: "DeleteTokens", do: func(ctx context.Context, s *Store) error { return s.DeleteTokens(ctx) },
		done: lacks("x", "y", "yc", "z")},
	{name: "Repair", yields: true, do: func(ctx context.Context, s *Store) error {
		report, err := s.Repair(ctx, oauthstore.RepairOptions{})
		if err == nil && len(report.Unreadable) > 0 {
			err = report.Unreadable[0]
		}
		return err
	}, done: func(t *testing.T, m *memory) string {
		for name := range m.secrets {
			if v := m.show(t, name); v != nil && v.rec.Deleted {
				return fmt.Sprintf("the deletion of %s is not finished", name)
			}
		}
		return ""
	}},
}

// errIncomplete is what a method makes of an answer that is short of something, without an error.
var errIncomplete = errors.New("the answer is incomplete")

func saveAs(token oauthstore.OAuthToken) func(context.Context, *Store) error {
	return func(ctx context.Context, s *Store) error { own := token; return s.SaveToken(ctx, &own) }
}

func wantRefreshOf(id, user string, got *oauthstore.OAuthToken, err error) error {
	if err == nil && got.RefreshToken != "refresh of "+id+user {
		return fmt.Errorf("found %s", show(got))
	}
	return err
}

// holdsUser demands one token of the user with the id. If id is empty, that is the derived id.
func holdsUser(id, user string) func(*testing.T, *memory) string {
	if id == "" {
		id = oauthstore.DerivedID(user, "")
	}
	return func(t *testing.T, m *memory) string {
		tokens, _, _ := m.content(t)
		if tokens[id] == nil || tokens[id].UserName != user {
			return fmt.Sprintf("token %s is %s", id, show(tokens[id]))
		}
		return ""
	}
}

// holdsAlone is holdsUser for a record that is not marked as one of several.
func holdsAlone(id, user string) func(*testing.T, *memory) string {
	return func(t *testing.T, m *memory) string {
		if _, headers, _ := m.content(t); headers[id].Siblings {
			return fmt.Sprintf("token %s is marked as one of several", id)
		}
		return holdsUser(id, user)(t, m)
	}
}

func holdsAccess(id string) func(*testing.T, *memory) string {
	return func(t *testing.T, m *memory) string {
		tokens, _, _ := m.content(t)
		if tokens[id] == nil || tokens[id].AccessToken != "new" {
			return fmt.Sprintf("token %s is %s", id, show(tokens[id]))
		}
		return ""
	}
}

func lacks(ids ...string) func(*testing.T, *memory) string {
	return func(t *testing.T, m *memory) string {
		tokens, _, _ := m.content(t)
		for _, id := range ids {
			if tokens[id] != nil {
				return fmt.Sprintf("token %s is still there", id)
			}
		}
		return ""
	}
}

// A mishap is what happens to a call.
type mishap struct {
	name  string
	of    func(c call) bool
	meets func(run func() error) error
	class error // of the method's error, if it fails
	lags  bool  // the read shows what was before
}

func reads(c call) bool   { return c.op == get || c.op == "list" }
func writes(c call) bool  { return !reads(c) }
func anyCall(c call) bool { return true }

var mishaps = []mishap{
	{name: "fails", of: anyCall, meets: fails(errLost), class: oauthstore.ErrUnavailable},
	{name: "fails if it writes", of: writes, meets: fails(errLost), class: oauthstore.ErrUnavailable},
	{name: "fails if it reads", of: reads, meets: fails(errLost), class: oauthstore.ErrUnavailable},
	{name: "conflicts", of: writes, meets: fails(ErrConflict), class: oauthstore.ErrUnavailable},
	{name: "takes effect and fails", of: writes, meets: lost, class: oauthstore.ErrUnavailable},
	{name: "is throttled", of: anyCall, meets: fails(oauthstore.ErrThrottled), class: oauthstore.ErrThrottled},
	{name: "is denied", of: anyCall, meets: fails(oauthstore.ErrAccessDenied), class: oauthstore.ErrAccessDenied},
	{name: "lags", of: func(c call) bool { return c.op == get }, lags: true},
}

// A sweeper is the service in one run. The call at a position meets the mishap, or all from there on do.
type sweeper struct {
	*memory
	mishap mishap
	from   int // counted from 0; -1 for no mishap
	onward bool

	n      int
	lagged bool
}

// Get shows the former state if the mishap says so. The reads of a tree are one after the other: see Parallel.
func (s *sweeper) Get(ctx context.Context, name string, after Rev) (Record, Rev, error) {
	rec, rev, err := s.memory.Get(ctx, name, after)
	lagged := s.lagged
	s.lagged = false
	if err != nil || !lagged || after != None {
		return rec, rev, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stored := s.secrets[name]
	switch {
	case stored == nil || stored.destroyed > 0:
		return rec, rev, nil // a deleted secret has no former state
	case len(stored.versions) == 1:
		return Record{}, None, nil
	default:
		i := len(stored.versions) - 1
		rec, err := UnmarshalBytes(s.FullName(name), stored.versions[i-1])
		return rec, Rev(fmt.Sprintf("%d.%d", stored.birth, i)), err
	}
}

// store returns a store of its own over the service, which has a way of reading that does not lag if it deletes with a
// tombstone.
func (s *sweeper) store() *Store {
	if s.tombstones {
		return New(probingSweeper{s}, codec.JSON{}, time.Hour)
	}
	return New(s, codec.JSON{}, time.Hour)
}

type probingSweeper struct{ *sweeper }

// Probe does not lag.
func (s probingSweeper) Probe(ctx context.Context, name string) (Record, Rev, error) {
	rec, rev, err := s.memory.Get(ctx, name, None)
	s.lagged = false
	return rec, rev, err
}

// maxSweepCalls is more than any method makes that ends.
const maxSweepCalls = 2000

func (s *sweeper) meet(_ context.Context, c call, run func() error) error {
	position := s.n
	s.n++
	if s.n > maxSweepCalls {
		panic(fmt.Sprintf("no end after %d calls, the last %s", maxSweepCalls, c))
	}
	if s.from < 0 || position < s.from || position > s.from && !s.onward || !s.mishap.of(c) {
		return run()
	}
	if s.mishap.lags {
		s.lagged = true
		return run()
	}
	return s.mishap.meets(run)
}

// sweep runs the method with every mishap at every one of its calls.
func sweep(t *testing.T, tombstones bool, place sweepPlace, method sweepMethod) {
	prepared, calls := new(sweepStart), 0
	prepared.run(t, tombstones, place, func(t *testing.T, m *memory) {
		s := &sweeper{memory: m, from: -1}
		m.around = s.meet
		if err := method.do(t.Context(), s.store()); err != nil {
			t.Fatal(err)
		}
		calls = s.n
	})
	for _, mishap := range mishaps {
		for from := range calls {
			for _, onward := range []bool{false, true} {
				if mishap.lags && (onward || !tombstones) {
					continue // what a service may do that lags and has no other way of reading is left to TestSchedules
				}
				name := fmt.Sprintf("call %d %s, onward %v", from, mishap.name, onward)
				if !*sweepAll && crc32.ChecksumIEEE([]byte(t.Name()+name))%sweepShare != 0 {
					continue
				}
				prepared.run(t, tombstones, place, func(t *testing.T, m *memory) {
					s := &sweeper{memory: m, mishap: mishap, from: from, onward: onward}
					m.around = s.meet
					if what := swept(t, s, method); what != "" {
						t.Errorf("%s: %s", name, what)
					}
				})
				if t.Failed() {
					return
				}
			}
		}
	}
}

// A sweepStart is what every run begins with. It is made once: all bubbles begin at the same time.
type sweepStart struct {
	*memory
	took time.Duration
}

// run runs f on a service of its own.
func (p *sweepStart) run(t *testing.T, tombstones bool, place sweepPlace, f func(t *testing.T, m *memory)) {
	virtually(t, func(t *testing.T) {
		if p.memory == nil {
			begin := time.Now()
			p.memory = newMemory()
			p.tombstones, p.limits.Page, p.limits.Parallel = tombstones, 2000, 1
			save(t, p.store(), under("x", "alice"))
			save(t, p.store(), under("y", "bob"))
			save(t, p.store(), oauthstore.OAuthToken{ID: "yc", UserName: "bob", ClientID: "c", ClientSecret: "s", RefreshToken: "refresh of ycbob"})
			save(t, p.store(), under("z", "carol"))
			place.prepare(t, p.memory)
			p.took = time.Since(begin)
		} else {
			time.Sleep(p.took)
		}
		m := newMemory()
		m.tombstones, m.limits, m.born = p.tombstones, p.limits, p.born
		for name, s := range p.secrets {
			m.secrets[name] = &secret{s.birth, slices.Clone(s.versions), slices.Clone(s.times), s.destroyed, nil}
		}
		f(t, m)
	})
}

// swept calls the method while the mishap happens, and again when the service is well, and says what is wrong.
func swept(t *testing.T, s *sweeper, method sweepMethod) string {
	err := method.do(t.Context(), s.store())
	s.around = nil
	if what := s.inconsistent(t); what != "" {
		return what
	}
	switch {
	case err == nil:
	case errors.Is(err, oauthstore.ErrTokenNotFound) && s.mishap.lags && method.done == nil, errors.Is(err, errIncomplete):
		return "" // another process may be seen late
	case s.mishap.class == nil || !errors.Is(err, s.mishap.class):
		return fmt.Sprintf("got error %v, want one that is %v", err, s.mishap.class)
	default:
		err := method.do(t.Context(), s.store())
		if err != nil && !(method.absent && errors.Is(err, oauthstore.ErrTokenNotFound)) && !errors.Is(err, errIncomplete) {
			return fmt.Sprintf("called again it failed: %v", err)
		}
		if errors.Is(err, errIncomplete) {
			if err := method.do(t.Context(), s.store()); err != nil {
				return fmt.Sprintf("called a third time it failed: %v", err)
			}
		}
	}
	if method.done != nil && !(method.yields && s.mishap.name == "conflicts") {
		if what := method.done(t, s.memory); what != "" {
			return what
		}
	}
	if what := s.inconsistent(t); what != "" {
		return what
	}
	tokens, headers, _ := s.content(t)
	for id, token := range tokens {
		for other, its := range tokens {
			if id != other && token.UserName != "" && token.UserName == its.UserName && !headers[id].Siblings {
				return fmt.Sprintf("token %s is not marked as of a user who has token %s too", id, other)
			}
		}
	}
	listed, err := s.store().GetTokens(t.Context())
	if err != nil || len(listed) != len(tokens) {
		return fmt.Sprintf("GetTokens: got %d and error %v, of %q", len(listed), err, slices.Sorted(maps.Keys(tokens)))
	}
	return ""
}
