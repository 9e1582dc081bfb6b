//go:build go1.25

package cache

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
)

var (
	schedules = flag.Int("schedules", 500, "how many schedules TestSchedules runs")
	oneSeed   = flag.Uint64("schedule-seed", 0, "the seed of the one schedule to run, and to show")
)

// TestSchedules lets many find and write through a cache at once. Each call to the store behind waits twice, before it
// takes effect and before it is answered; the seed decides who goes on. What every find returns must have been true at
// a moment that its caller may be shown. A schedule that fails is printed; -schedule-seed repeats it.
//
// What the seed does not decide: the ids that the store makes up, and in which order those return who wait for one
// answer. Neither changes what happens next, but where the smallest of two such ids counts.
func TestSchedules(t *testing.T) {
	first, last := uint64(1), uint64(*schedules)
	if *oneSeed != 0 {
		first, last = *oneSeed, *oneSeed
	}
	for seed := first; seed <= last; seed++ {
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newSchedule(t, seed).run() })
		}) {
			return
		}
	}
}

// A schedule is one run.
type schedule struct {
	t      *testing.T
	seed   uint64
	rng    *rand.Rand // the test's own goroutine alone draws from it
	store  *slowStore
	cache  *Store
	kinds  []func(id string) // of operations; those that begin often are there more than once
	crowd  int               // as many calls at once, about
	faulty bool              // calls may fail
	others bool              // another process writes past the cache

	ids, users, clients []string // that the operations are about

	mu       sync.Mutex
	clock    int // counts what begins and what ends
	ops      []*operation
	parked   []*parked
	versions []version // what was stored at first, and after every write
	answers  map[asked]string
	leases   map[string]*oauthstore.Lease
	trace    []string
}

// An operation is one call of a method of the cache.
type operation struct {
	n          int // from 1
	what       string
	giveUp     context.CancelFunc
	ctx        context.Context
	begin, end int // by the schedule's clock; end is 0 while it is under way
	first      int // the version at the beginning
	version    int // that it has made, or has read
	err        error

	write  bool
	byName bool   // a save by user name
	anew   string // the id that it reads whatever is remembered

	partial  *oauthstore.OAuthToken // of a find
	uncached bool
	found    *oauthstore.OAuthToken
	others   []*oauthstore.OAuthToken // that a call which is no find has returned
	shown    map[string]int           // by id: the first version that its caller may have seen of the record
}

type operationKey struct{}

// parked is a call to the store behind that waits to be let go on.
type parked struct {
	n       int // of the operation; 0 for a read in the background
	what    string
	verdict chan error
}

// A version is all that was stored at a time.
type version []*oauthstore.OAuthToken

// asked is what is looked for in a version.
type asked struct {
	version int
	key     key
}

func newSchedule(t *testing.T, seed uint64) *schedule {
	s := &schedule{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), versions: []version{nil}, answers: make(map[asked]string), leases: make(map[string]*oauthstore.Lease)}
	s.store = &slowStore{memory.New(), s}
	s.faulty, s.others, s.crowd = s.rng.IntN(3) == 0, s.rng.IntN(4) == 0, 2+s.rng.IntN(5)
	s.ids, s.users, s.clients = someOf(s.rng, ids), someOf(s.rng, users), someOf(s.rng, clients)
	s.chooseKinds()
	// A whole number of steps up to 10, from which the jitter takes less than one.
	refresh := WithBackgroundRefresh(time.Duration(s.rng.IntN(4)) * step)
	var err error
	if s.cache, err = New(s.store, steady(refresh, WithTimeout(20*time.Hour), WithMaxTokens(1+s.rng.IntN(8)))...); err != nil {
		t.Fatal(err)
	}
	for i := range s.rng.IntN(5) {
		first := token(s.pick(ids...), s.pick(s.users...), s.pick(s.clients...), fmt.Sprint("access ", i))
		_ = s.store.Store.SaveToken(t.Context(), &first) // one that conflicts is not there
		s.changed()
	}
	return s
}

// someOf returns one or more of all.
func someOf(rng *rand.Rand, all []string) []string {
	some := slices.Clone(all)
	rng.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	return slices.Clip(some[:1+rng.IntN(len(some))])
}

// step is how long a step takes.
const step = time.Second

// run lets a number of things happen, and then all of them end.
func (s *schedule) run() {
	defer func() {
		if s.t.Failed() || *oneSeed != 0 {
			s.t.Logf("seed %d\n%s", s.seed, strings.Join(s.trace, "\n"))
		}
	}()
	for range 5 {
		s.drain()                // while a write is under way, little can be asked of finds
		s.findAll(s.rng.IntN(4)) // much is remembered then
		for range 10 + s.rng.IntN(20) {
			if s.rng.IntN(s.crowd) >= s.waiting() || !s.letGo() {
				s.start()
			}
			s.settle()
		}
	}
	closed, early := make(chan struct{}), s.rng.IntN(3) == 0
	if early {
		go s.close(closed)
	}
	s.drain()
	s.faulty = false
	s.findAll(3)
	if !early {
		go s.close(closed)
		s.drain()
	}
	<-closed
	s.checkOver()
}

// findAll asks for so many thirds of everything that there may be, one after another.
func (s *schedule) findAll(thirds int) {
	for _, k := range everything {
		if s.rng.IntN(3) < thirds {
			s.find(k.partial(), false)
			s.drain()
		}
	}
}

func (s *schedule) close(closed chan<- struct{}) {
	s.say("Close")
	err := s.cache.Close(context.Background())
	s.say("Close returns %v", err)
	s.checkClosed(err)
	close(closed)
}

// settle waits until nobody can go on by themselves.
func (s *schedule) settle() {
	synctest.Wait()
	time.Sleep(step)
	synctest.Wait()
	s.checkBounds()
	if s.rng.IntN(2) == 0 { // not each time: what is looked at is in use
		s.checkRemembered()
	}
}

// drain lets all calls go on until there are none.
func (s *schedule) drain() {
	s.settle()
	for s.letGo() {
		s.settle()
	}
}

// waiting returns how many calls wait for their turn.
func (s *schedule) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.parked)
}

// letGo lets one of the calls go on, or fail, if there is any.
func (s *schedule) letGo() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.parked) == 0 {
		return false
	}
	slices.SortFunc(s.parked, func(a, b *parked) int { return cmp.Compare(a.n, b.n) })
	i := s.rng.IntN(len(s.parked))
	p := s.parked[i]
	s.parked = slices.Delete(s.parked, i, i+1)
	var err error
	if s.faulty && s.rng.IntN(8) == 0 {
		err = errOutage
		s.sayLocked("     %3d %s FAILS", p.n, p.what)
	}
	p.verdict <- err
	return true
}

func (s *schedule) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sayLocked(format, args...)
}

func (s *schedule) sayLocked(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf(format, args...))
}

func (s *schedule) fail(format string, args ...any) {
	s.sayLocked(format, args...)
	s.t.Errorf(format, args...)
}

// What operations are about. What is saved without an id may get one of the last two.
var (
	ids     = []string{"1", "2", oauthstore.DerivedID("alice", ""), oauthstore.DerivedID("bob", "")}
	users   = []string{"alice", "bob"}
	clients = []string{"", "web", "mobile"}

	nameOf = map[string]string{ids[2]: "alice's", ids[3]: "bob's"}

	everything = func() (all []key) {
		for _, id := range ids {
			all = append(all, key{id: id})
		}
		for _, user := range users {
			for _, client := range clients {
				all = append(all, key{user: user, client: client})
			}
		}
		return all
	}()
)

// partial is what asks for k.
func (k key) partial() *oauthstore.OAuthToken {
	return &oauthstore.OAuthToken{ID: k.id, UserName: k.user, ClientID: k.client}
}

func (s *schedule) pick(of ...string) string { return of[s.rng.IntN(len(of))] }

// chooseKinds decides what happens often and what does not happen. It is another thing in each schedule: what all of
// them have in the same measure would seldom meet.
func (s *schedule) chooseKinds() {
	find := func(id string) { s.find(&oauthstore.OAuthToken{ID: id}, false) }
	findUser := func(string) { s.find(s.somebody(), false) }
	s.kinds = []func(id string){find, findUser}
	for _, kind := range []func(id string){
		find, findUser, s.findUncached, s.findOther, s.list, s.save, s.save, s.update, s.lease, s.saveLeased, s.delete, s.deleteAll, s.anotherProcess, s.someoneGivesUp,
	} {
		for range s.rng.IntN(4) {
			s.kinds = append(s.kinds, kind)
		}
	}
}

// start begins one operation.
func (s *schedule) start() { s.kinds[s.rng.IntN(len(s.kinds))](s.pick(s.ids...)) }

func (s *schedule) somebody() *oauthstore.OAuthToken {
	return asUser(s.pick(s.users...), s.pick(s.clients...))
}

// begin begins an operation of a caller's own.
func (s *schedule) begin(o *operation, do func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock++
	s.ops = append(s.ops, o)
	o.n, o.begin, o.first = len(s.ops), s.clock, len(s.versions)-1
	o.ctx, o.giveUp = context.WithCancel(context.WithValue(context.Background(), operationKey{}, o))
	s.sayLocked("%3d begins: %s", o.n, o.what)
	go func() {
		err := do(o.ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.clock++
		o.end, o.err = s.clock, err
		s.sayLocked("%3d returns %s %v", o.n, show(o.found), err)
		if what := cmp.Or(s.untrue(o), s.older(o)); what != "" {
			s.fail("%d, %s: %s", o.n, o.what, what)
		}
		o.giveUp()
	}()
}

func (s *schedule) find(partial *oauthstore.OAuthToken, uncached bool) {
	o := &operation{what: "find " + show(partial), partial: partial, uncached: uncached}
	byID := partial.ID != "" && partial.Scope == "" && s.rng.IntN(2) == 0
	if uncached {
		o.what += " uncached"
		if byID {
			o.anew = partial.ID
		}
	}
	s.begin(o, func(ctx context.Context) error {
		if uncached {
			ctx = oauthstore.Uncached(ctx)
		}
		var found *oauthstore.OAuthToken
		var err error
		if byID {
			found, err = s.cache.FindTokenByID(ctx, partial.ID)
		} else {
			found, err = s.cache.FindToken(ctx, partial)
		}
		o.found = taken(found)
		return err
	})
}

func (s *schedule) findUncached(id string) {
	partial := &oauthstore.OAuthToken{ID: id}
	if s.rng.IntN(3) == 0 {
		partial = s.somebody()
	}
	s.find(partial, true)
}

// findOther finds in a way that cannot hit.
func (s *schedule) findOther(id string) {
	s.mu.Lock()
	partial := &oauthstore.OAuthToken{AccessToken: s.stored().AccessToken}
	s.mu.Unlock()
	switch s.rng.IntN(3) {
	case 0:
		partial = &oauthstore.OAuthToken{ID: id, Scope: "the caller's"}
	case 1:
		partial = s.somebody()
		partial.Scope = "the caller's"
	}
	s.find(partial, true)
}

// list returns all tokens.
func (s *schedule) list(string) {
	o := &operation{what: "GetTokens"}
	s.begin(o, func(ctx context.Context) error {
		all, err := s.cache.GetTokens(ctx)
		for _, t := range all {
			o.others = append(o.others, taken(t))
		}
		return err
	})
}

// taken returns a copy of what a caller got, who then does with it as they like.
func taken(token *oauthstore.OAuthToken) *oauthstore.OAuthToken {
	if token == nil {
		return nil
	}
	own := *token
	token.UserName, token.ClientID, token.AccessToken, token.Scope = "spoilt", "spoilt", "spoilt", "spoilt"
	return &own
}

func (s *schedule) write(what string, byName bool, do func(ctx context.Context) error) {
	s.begin(&operation{what: what, write: true, byName: byName}, do)
}

// filling is write of a save that fills token in.
func (s *schedule) filling(what string, byName bool, token *oauthstore.OAuthToken, do func(ctx context.Context) error) {
	o := &operation{what: what + " " + show(token), write: true, byName: byName}
	s.begin(o, func(ctx context.Context) error {
		err := do(ctx)
		if filled := taken(token); err == nil {
			o.others = append(o.others, filled)
		}
		return err
	})
}

func (s *schedule) save(string)   { s.saveBy("SaveToken", s.cache.SaveToken) }
func (s *schedule) update(string) { s.saveBy("UpdateToken", s.cache.UpdateToken) }

func (s *schedule) saveBy(method string, save func(context.Context, *oauthstore.OAuthToken) error) {
	token := s.token()
	s.filling(method, oauthstore.RuleFor(token) == oauthstore.RuleUserName, token, func(ctx context.Context) error { return save(ctx, token) })
}

func (s *schedule) delete(id string) {
	s.write("DeleteToken "+named(id), false, func(ctx context.Context) error { return s.cache.DeleteToken(ctx, id) })
}

func (s *schedule) deleteAll(string) {
	if s.rng.IntN(3) == 0 { // what is there is worth more
		s.write("DeleteTokens", false, s.cache.DeleteTokens)
	}
}

// token returns one to be saved, under any of the rules.
func (s *schedule) token() *oauthstore.OAuthToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := fmt.Sprint(len(s.ops)+1, ".", len(s.versions))
	refresh := s.pick("refresh a", "refresh b", "refresh c")
	stored := s.stored()
	switch s.rng.IntN(10) {
	case 0:
		return &oauthstore.OAuthToken{AccessToken: stored.AccessToken, Scope: "scope " + n}
	case 1, 2, 5:
		return &oauthstore.OAuthToken{ID: stored.ID, UserName: s.pick(append(s.users, "", "")...), ClientID: s.pick(s.clients...)}
	case 3:
		return &oauthstore.OAuthToken{RefreshToken: refresh, ClientID: cmp.Or(stored.ClientID, "web"), ClientSecret: "secret", AccessToken: "access " + n}
	case 4:
		if found := s.foundBefore(); found != nil {
			found.AccessToken = "access " + n
			return found
		}
	}
	token := &oauthstore.OAuthToken{UserName: s.pick(append(s.users, "")...), ClientID: s.pick(append(s.clients, "")...)}
	if s.rng.IntN(2) == 0 {
		token.ID = s.pick(s.ids...)
	}
	if s.rng.IntN(5) > 0 {
		token.AccessToken = "access " + n
	}
	if s.rng.IntN(3) == 0 {
		token.RefreshToken = refresh
	}
	return token
}

// stored returns one of the tokens that are stored, empty where there is none.
func (s *schedule) stored() oauthstore.OAuthToken {
	all := slices.Clone(s.versions[len(s.versions)-1])
	if len(all) == 0 {
		return oauthstore.OAuthToken{}
	}
	slices.SortStableFunc(all, func(a, b *oauthstore.OAuthToken) int { // not by id: that may be random
		return cmp.Or(cmp.Compare(a.AccessToken, b.AccessToken), cmp.Compare(a.RefreshToken, b.RefreshToken))
	})
	return *all[s.rng.IntN(len(all))]
}

// foundBefore returns what a find has returned, and may be stale by now.
func (s *schedule) foundBefore() *oauthstore.OAuthToken {
	var found []*oauthstore.OAuthToken
	for _, o := range s.ops {
		if o.found != nil {
			found = append(found, o.found)
		}
	}
	if len(found) == 0 {
		return nil
	}
	own := *found[s.rng.IntN(len(found))]
	return &own
}

// lease takes the lease on a record over, from whoever was seen to have it.
func (s *schedule) lease(id string) {
	s.mu.Lock()
	request := oauthstore.LeaseRequest{ID: id, For: time.Hour, TakeOver: s.leases[id]}
	s.mu.Unlock()
	o := &operation{what: "LeaseToken " + named(id), anew: id}
	s.begin(o, func(ctx context.Context) error {
		lease, err := s.cache.LeaseToken(ctx, request)
		if err != nil {
			return err
		}
		own := *lease
		own.Token = taken(lease.Token)
		o.others = append(o.others, own.Token)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leases[id] = &own
		return nil
	})
}

// saveLeased saves under the last lease on a record that anybody was given, lost or not.
func (s *schedule) saveLeased(id string) {
	token := s.token()
	s.mu.Lock()
	lease := s.leases[id]
	s.mu.Unlock()
	if lease == nil {
		return
	}
	token.ID = ""
	own := *lease
	s.filling("SaveLeased "+named(id), false, token, func(ctx context.Context) error { return s.cache.SaveLeased(ctx, &own, token) })
}

// anotherProcess writes past the cache, all at once.
func (s *schedule) anotherProcess(id string) {
	if !s.others {
		return
	}
	token := s.token()
	s.mu.Lock()
	defer s.mu.Unlock()
	what, err := "DeleteToken "+named(id), error(nil)
	if s.rng.IntN(4) == 0 {
		err = s.store.Store.DeleteToken(context.Background(), id)
	} else {
		what = "SaveToken " + show(token)
		err = s.store.Store.SaveToken(context.Background(), token)
	}
	s.sayLocked("    another process: %s: %v", what, err)
	if err == nil {
		s.changed()
	}
}

// someoneGivesUp cancels a caller.
func (s *schedule) someoneGivesUp(string) {
	s.mu.Lock()
	var waiting []*operation
	for _, o := range s.ops {
		if o.end == 0 {
			waiting = append(waiting, o)
		}
	}
	if len(waiting) == 0 {
		s.mu.Unlock()
		return
	}
	o := waiting[s.rng.IntN(len(waiting))]
	s.sayLocked("%3d gives up", o.n)
	o.giveUp()
	s.mu.Unlock()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.end == 0 {
		s.fail("%d, %s: does not return when its context has ended", o.n, o.what)
	}
}

// changed notes what is stored now.
func (s *schedule) changed() {
	all, err := s.store.Store.GetTokens(context.Background())
	if err != nil {
		s.fail("GetTokens: %v", err)
	}
	s.versions = append(s.versions, all)
	s.sayLocked("         version %d", len(s.versions)-1)
}

// slowStore is the store behind the cache.
type slowStore struct {
	*memory.Store
	s *schedule
}

// call makes one call in two steps, either of which may fail: nobody can tell which.
func (b *slowStore) call(ctx context.Context, what string, do func(ctx context.Context) error) error {
	o, _ := ctx.Value(operationKey{}).(*operation)
	if o == nil {
		o = &operation{} // a read in the background
	}
	if err := b.s.park(ctx, o.n, what); err != nil {
		return err
	}
	answer := b.effect(o, what, func() error { return do(context.WithoutCancel(ctx)) })
	if err := b.s.park(ctx, o.n, "the answer to "+what); err != nil {
		return err
	}
	return answer
}

func (b *slowStore) effect(o *operation, what string, do func() error) error {
	s := b.s
	s.mu.Lock()
	defer s.mu.Unlock()
	err := do()
	s.sayLocked("     %3d %s takes effect: %v", o.n, what, err)
	switch {
	case !o.write:
		o.version = len(s.versions) - 1
	case err == nil:
		s.changed()
		o.version = len(s.versions) - 1
	}
	return err
}

// park lets a call wait for its turn.
func (s *schedule) park(ctx context.Context, n int, what string) error {
	p := &parked{n, what, make(chan error, 1)}
	s.mu.Lock()
	s.parked = append(s.parked, p)
	s.mu.Unlock()
	select {
	case err := <-p.verdict:
		return err
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		s.parked = slices.DeleteFunc(s.parked, func(other *parked) bool { return other == p })
		return ctx.Err()
	}
}

func (b *slowStore) find(ctx context.Context, what string, do func(context.Context) (*oauthstore.OAuthToken, error)) (*oauthstore.OAuthToken, error) {
	var found *oauthstore.OAuthToken
	err := b.call(ctx, what, func(ctx context.Context) (err error) { found, err = do(ctx); return err })
	if err != nil {
		return nil, err
	}
	return found, nil
}

func (b *slowStore) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	return b.find(ctx, "FindToken", func(ctx context.Context) (*oauthstore.OAuthToken, error) { return b.Store.FindToken(ctx, token) })
}

func (b *slowStore) FindTokenByID(ctx context.Context, id string) (*oauthstore.OAuthToken, error) {
	return b.find(ctx, "FindTokenByID", func(ctx context.Context) (*oauthstore.OAuthToken, error) { return b.Store.FindTokenByID(ctx, id) })
}

func (b *slowStore) GetTokens(ctx context.Context) ([]*oauthstore.OAuthToken, error) {
	var all []*oauthstore.OAuthToken
	err := b.call(ctx, "GetTokens", func(ctx context.Context) (err error) { all, err = b.Store.GetTokens(ctx); return err })
	if err != nil {
		return nil, err
	}
	return all, nil
}

// save fills the argument in only where the answer arrives.
func (b *slowStore) save(ctx context.Context, what string, token *oauthstore.OAuthToken, save func(context.Context, *oauthstore.OAuthToken) error) error {
	own := *token
	err := b.call(ctx, what, func(ctx context.Context) error { return save(ctx, &own) })
	if err == nil {
		*token = own
	}
	return err
}

func (b *slowStore) SaveToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return b.save(ctx, "SaveToken", token, b.Store.SaveToken)
}

func (b *slowStore) UpdateToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return b.save(ctx, "UpdateToken", token, b.Store.UpdateToken)
}

func (b *slowStore) SaveLeased(ctx context.Context, lease *oauthstore.Lease, token *oauthstore.OAuthToken) error {
	return b.save(ctx, "SaveLeased", token, func(ctx context.Context, token *oauthstore.OAuthToken) error {
		return b.Store.SaveLeased(ctx, lease, token)
	})
}

func (b *slowStore) LeaseToken(ctx context.Context, request oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	var lease *oauthstore.Lease
	err := b.call(ctx, "LeaseToken", func(ctx context.Context) (err error) { lease, err = b.Store.LeaseToken(ctx, request); return err })
	if err != nil {
		return nil, err
	}
	return lease, nil
}

func (b *slowStore) DeleteToken(ctx context.Context, id string) error {
	return b.call(ctx, "DeleteToken", func(ctx context.Context) error { return b.Store.DeleteToken(ctx, id) })
}

func (b *slowStore) DeleteTokens(ctx context.Context) error {
	return b.call(ctx, "DeleteTokens", b.Store.DeleteTokens)
}

// untrue says what is wrong with what o returned, if something is.
func (s *schedule) untrue(o *operation) string {
	switch {
	case errors.Is(o.err, context.Canceled) && o.ctx.Err() == nil:
		return "another caller's context has ended, not its own"
	case errors.Is(o.err, errOutage) && !s.faulty:
		return "nothing has failed"
	case o.partial == nil, o.err != nil && !errors.Is(o.err, oauthstore.ErrTokenNotFound):
		return ""
	}
	view, from := s.view(o), o.first
	if view == nil {
		return ""
	}
	if !o.uncached {
		from = s.floor(o, view)
	}
	for v := from; v < len(s.versions); v++ {
		if view(v) == show(o.found) {
			return ""
		}
	}
	return fmt.Sprintf("it returned %s, which was not so in versions %d to %d; now it is %s",
		show(o.found), from, len(s.versions)-1, view(len(s.versions)-1))
}

// older says which token that o returned is older than what an earlier call has returned, if one is. It notes what o has
// returned.
func (s *schedule) older(o *operation) string {
	o.shown = make(map[string]int)
	for _, t := range o.others {
		if what := s.olderOf(o, &oauthstore.OAuthToken{ID: t.ID}, t.ID, t); what != "" {
			return what
		}
	}
	switch {
	case o.found != nil:
		return s.olderOf(o, o.partial, o.found.ID, o.found)
	case o.partial != nil && o.partial.ID != "" && errors.Is(o.err, oauthstore.ErrTokenNotFound):
		return s.olderOf(o, o.partial, o.partial.ID, nil)
	default:
		return ""
	}
}

func (s *schedule) olderOf(o *operation, partial *oauthstore.OAuthToken, id string, got *oauthstore.OAuthToken) string {
	from := 0
	if o.partial == nil || o.uncached && o.partial.Scope == "" {
		from = o.first // it was read, or written, by this very call, and no field of the caller's own hides another state
	}
	for _, w := range s.ops {
		if first, ok := w.shown[id]; ok && w.before(o) {
			from = max(from, first)
		}
	}
	for v := from; v < len(s.versions); v++ {
		if s.versions[v].under(id).answer(partial) == show(got) {
			o.shown[id] = v
			return ""
		}
	}
	return fmt.Sprintf("it returned %s of %s, which was not so in version %d, that an earlier call has returned, or later", show(got), named(id), from)
}

// view returns what the answer of the find o is looked for in: what it would have been in a version.
//
// While a write has taken effect and has not returned, the cache may know of later ones and not of that one: nobody can
// tell which of them was first. Who asks by user name then may get a token, as it is by now, that is not the best match
// any more, or none: that it was right under its own id is all that can be asked for. So it is if another process writes.
func (s *schedule) view(o *operation) func(version int) string {
	switch {
	case o.uncached || o.partial.ID != "" || !s.unsure(o):
		return func(v int) string { return s.answer(v, o.partial) }
	case o.found == nil:
		return nil
	default:
		return func(v int) string { return s.versions[v].under(o.found.ID).answer(o.partial) }
	}
}

// unsure reports whether o began while a write had taken effect that had not returned, or that the cache never sees.
func (s *schedule) unsure(o *operation) bool {
	return s.others || slices.ContainsFunc(s.ops, func(w *operation) bool {
		return w.write && w.version > 0 && w.version <= o.first && !w.before(o)
	})
}

// before reports whether o had returned when later began.
func (o *operation) before(later *operation) bool { return o.end > 0 && o.end < later.begin }

// floor returns the first version that the find o may show: the last that anybody made, or read anew, before it began,
// as far as that changed what o would find.
func (s *schedule) floor(o *operation, view func(version int) string) int {
	floor := 0
	for _, w := range s.ops {
		switch {
		case !w.before(o):
		case w.write && w.version > floor && !s.missed(w, o) && view(w.version) != view(w.version-1):
			floor = w.version
		case w.anew != "" && s.concerns(w, o) && (w.err == nil || errors.Is(w.err, oauthstore.ErrTokenNotFound)):
			floor = max(floor, w.version)
		}
	}
	return floor
}

// concerns reports whether the find o may not show what was before w has read its record anew: it asks for that record,
// or by user name has found it, or has found nothing where it would have found that.
func (s *schedule) concerns(w, o *operation) bool {
	switch {
	case o.partial.ID != "":
		return o.partial.ID == w.anew
	case o.found != nil:
		return o.found.ID == w.anew
	default:
		match := oauthstore.Match(o.partial, s.versions[w.version])
		return match != nil && match.ID == w.anew
	}
}

// missed reports whether o need not know of the write w. A save by user name that fails makes the cache forget what it
// knows under that name; it does not know which record got it by a write that has not returned.
func (s *schedule) missed(w, o *operation) bool { return w.byName && w.err != nil && s.unsure(o) }

// answer is that of a version. Most are wanted many times.
func (s *schedule) answer(v int, partial *oauthstore.OAuthToken) string {
	k, ok := keyOf(partial)
	if !ok {
		return s.versions[v].answer(partial)
	}
	a, ok := s.answers[asked{v, k}]
	if !ok {
		a = s.versions[v].answer(partial)
		s.answers[asked{v, k}] = a
	}
	return a
}

// answer returns what a find returns, as show does.
func (v version) answer(partial *oauthstore.OAuthToken) string {
	match := oauthstore.Match(partial, v)
	if match == nil {
		return show(nil)
	}
	return show((&oauthstore.Record{Token: *match}).Found(partial))
}

// under returns what is stored under an id, and nothing else.
func (v version) under(id string) version {
	return slices.DeleteFunc(slices.Clone(v), func(t *oauthstore.OAuthToken) bool { return t.ID != id })
}

// show shows what tells tokens apart.
func show(t *oauthstore.OAuthToken) string {
	if t == nil {
		return "none"
	}
	return fmt.Sprintf("{%s}", strings.Join([]string{named(t.ID), t.UserName, t.ClientID, t.AccessToken, t.RefreshToken, t.Scope}, "|"))
}

// named makes an id that is derived from a user name readable.
func named(id string) string { return cmp.Or(nameOf[id], id) }

// checkRemembered looks whether all that is remembered may be what a find that begins now returns.
func (s *schedule) checkRemembered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range everything {
		a, ok := s.remembered(k)
		if !ok {
			continue
		}
		o := &operation{partial: k.partial(), begin: s.clock + 1, first: len(s.versions) - 1}
		o.found, o.err = a.copied(k)
		if what := cmp.Or(s.untrue(o), s.older(o)); what != "" {
			s.fail("a find of %s: %s", show(o.partial), what)
		}
	}
}

// remembered is recall, but that nothing comes of it.
func (s *schedule) remembered(k key) (answer, bool) {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if _, r := s.cache.held(k); r != nil {
		return answer{token: r.token}, true
	}
	if a := s.cache.absent(k); a != nil {
		return answer{err: a.err}, true
	}
	return answer{}, false
}

// checkBounds looks whether no more is remembered than may be.
func (s *schedule) checkBounds() {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	e := &s.cache.entries
	if most := max(e.tokens.len(), e.users.values.len(), e.noIDs.len(), e.noUsers.values.len()); most > s.cache.maxTokens {
		s.t.Errorf("%d are remembered, want %d at most", most, s.cache.maxTokens)
	}
}

// checkClosed looks whether Close has waited for what nobody waits for otherwise.
func (s *schedule) checkClosed(err error) {
	c := s.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || len(c.flights)+len(c.queue)+c.running != 0 {
		s.t.Errorf("after Close (%v): %d flights, %d in the queue, %d goroutines, want none", err, len(c.flights), len(c.queue), c.running)
	}
}

// checkOver looks whether nothing is left when everybody has an answer.
func (s *schedule) checkOver() {
	for _, o := range s.ops {
		if o.end == 0 {
			s.t.Errorf("%d, %s: has not returned", o.n, o.what)
		}
	}
	c := s.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	marks := c.marks.ids.len() + c.marks.users.len()
	if n := c.entries.tokens.len() + c.calls.Len() + len(c.flights) + marks; n != 0 {
		s.t.Errorf("in the end: %d tokens, %d calls, %d flights, %d marks, want none", c.entries.tokens.len(), c.calls.Len(), len(c.flights), marks)
	}
}
