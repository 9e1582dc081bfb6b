//go:build go1.25

package engine

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

var (
	schedules = flag.Int("schedules", defaultSchedules, "how many schedules of each kind TestSchedules runs")
	oneOnly   = flag.Bool("first-failure", false, "end TestSchedules with the first schedule that fails")
	oneSeed   = flag.Uint64("schedule-seed", 0, "the seed of the one schedule to run, and to show")
)

// TestSchedules runs several stores side by side, a call to the service at a time, in an order that the
// seed decides, and looks after every call whether what is stored is as it must be, and at the end
// whether every method has told the truth. A schedule that fails is printed; -schedule-seed repeats it.
func TestSchedules(t *testing.T) {
	first, last := uint64(1), uint64(*schedules)
	if *oneSeed != 0 {
		first, last = *oneSeed, *oneSeed
	}
	if *oneOnly { // the seeds of all kinds side by side: a failure shows early in some of them
		for seed := first; seed <= last; seed++ {
			for _, name := range slices.Sorted(maps.Keys(scheduleKinds)) {
				if !t.Run(fmt.Sprint(name, "/seed ", seed), func(t *testing.T) { runSchedule(t, name, seed) }) {
					return
				}
			}
		}
		return
	}
	const most = 3 // failures of a kind
	for name := range scheduleKinds {
		t.Run(name, func(t *testing.T) {
			failed := 0
			for seed := first; seed <= last && failed < most; seed++ {
				if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { runSchedule(t, name, seed) }) {
					failed++
				}
			}
		})
	}
}

func runSchedule(t *testing.T, kind string, seed uint64) {
	sameEachTime(t, seed)
	inBubble(t, func(t *testing.T) { newSchedule(t, seed, scheduleKinds[kind]).run() })
}

var scheduleKinds = map[string]scheduleKind{
	"when all goes well":                                 {},
	"when calls fail and processes die":                  {faults: 3},
	"when processes stand still":                         {standstills: 2},
	"when reads lag behind":                              {stale: true},
	"when clocks disagree":                               {skew: maxSkew, standstills: 1},
	"when all of that happens":                           {faults: 3, standstills: 1, stale: true, skew: maxSkew},
	"when the index is divided and joined all the time":  {pages: true},
	"when processes die that divide and join it":         {pages: true, faults: 5},
	"when processes stand still that divide and join it": {pages: true, stale: true, faults: 4, standstills: 1},
	"when all want one token":                            {hot: true, faults: 5},
	"when all want one token and processes stand still":  {hot: true, faults: 3, standstills: 2},
	"when all want one token and reads lag behind":       {hot: true, faults: 5, stale: true},
}

// scheduleKind is what may happen beside calls that succeed.
type scheduleKind struct {
	faults      int // at most
	standstills int // at most
	stale       bool
	pages       bool          // little else is done
	hot         bool          // everything is about one user
	skew        time.Duration // how far a process's clock may be from the service's
}

// maxSkew lets two clocks differ by less than what grace has room for.
const maxSkew = 5 * time.Minute

// A schedule is one run.
type schedule struct {
	scheduleKind
	t    *testing.T
	seed uint64
	rng  *rand.Rand
	m    *memory

	processes []*process
	ops       []*operation // in the order in which they began
	running   atomic.Int32 // tasks

	mu     sync.Mutex
	parked []*parked
	late   []*parked // calls that failed and may still take effect
	faulty bool      // something has failed
	stood  bool      // for longer than a call may take
	failed int       // how many calls
	frozen int       // calls that have taken effect and whose processes stand still

	moments []moment // what was stored, at the beginning and after every step
	times   []time.Time
	step    atomic.Int32
	trace   []string
}

// A process is a store and what it has in memory. It may die.
type process struct {
	name  string
	store *Store
	ctx   context.Context
	die   context.CancelFunc

	keeps bool // may not delete pages
}

// An operation is one call of a store's method, in the life of a task.
type operation struct {
	process    *process
	task       int
	what       string
	do         func(ctx context.Context, o *operation) error
	save       bool // may insert
	update     bool // may change a record
	find       bool
	repair     bool
	deletes    string                // the id, "*" for all
	token      oauthstore.OAuthToken // the argument
	result     []*oauthstore.OAuthToken
	err        error
	begin, end int  // moments
	failed     int  // calls
	refused    call // the last of them that was refused
	late       bool // one of them may still take effect
}

func (o *operation) String() string {
	s := fmt.Sprintf("task %d on %s: %s", o.task, o.process.name, o.what)
	if o.end < 0 {
		return s
	}
	return fmt.Sprintf("%s, moments %d to %d: %v %v", s, o.begin, o.end, o.result, o.err)
}

// parked is a call that waits to be let go on.
type parked struct {
	ctx     context.Context
	op      *operation
	call    call
	run     func() error
	verdict chan func() error
}

// moment is what was stored at a time.
type moment map[string]*oauthstore.OAuthToken

type operationKey struct{}

func newSchedule(t *testing.T, seed uint64, kind scheduleKind) *schedule {
	s := &schedule{scheduleKind: kind, t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), m: newMemory()}
	s.m.tombstones = s.rng.IntN(2) == 0
	s.m.listLag = time.Duration(s.rng.IntN(2)) * 5 * time.Minute
	s.m.limits.Page = []int{0, 600, 900, 1200}[s.rng.IntN(4)]
	if s.rng.IntN(3) == 0 {
		s.m.limits.Writes, s.m.limits.Per = 8, 59*time.Minute // so short that access tokens are stored all the same
	}
	fillers := s.rng.IntN(10)
	if kind.pages {
		fillers = 5 + s.rng.IntN(50)
		s.m.limits.Page = []int{600, 900}[s.rng.IntN(2)]
	}
	if kind.hot {
		fillers = s.rng.IntN(3)
	}
	for i := range fillers {
		save(t, s.m.store(), oauthstore.OAuthToken{UserName: fmt.Sprint("filler", i), RefreshToken: "r"})
		now, _, _ := s.m.content(t)
		s.moments, s.times = append(s.moments, now), append(s.times, time.Now())
	}
	if kind.pages && s.rng.IntN(2) == 0 {
		for i := range 4 + s.rng.IntN(5) {
			save(t, s.m.store(), oauthstore.OAuthToken{UserName: "alice", ClientID: fmt.Sprint("client", i), RefreshToken: "r"})
			now, _, _ := s.m.content(t)
			s.moments, s.times = append(s.moments, now), append(s.times, time.Now())
		}
		s.replaceFirstClient()
	}
	for id, user := range map[string]string{"x": "alice", "y": "bob"} {
		if !kind.pages && s.seed%5 == uint64(len(user))-2 { // some have tokens that are older than grace
			save(t, s.m.store(), oauthstore.OAuthToken{ID: id, UserName: user, RefreshToken: "r"})
			now, _, _ := s.m.content(t)
			s.moments, s.times = append(s.moments, now), append(s.times, time.Now())
		}
	}
	s.step.Store(int32(len(s.moments)))
	time.Sleep(grace + 2*maxSkew)
	s.m.around = s.park
	for i := range 2 + s.rng.IntN(2) {
		ctx, die := context.WithTimeout(context.Background(), 1000*time.Hour) // so that no call ends because it stands still
		keeps := kind.pages && s.rng.IntN(3) == 0
		s.processes = append(s.processes, &process{fmt.Sprint("process ", i), New(s.driver(), codec.JSON{}, MaxTimeout), ctx, die, keeps})
	}
	return s
}

// replaceFirstClient lets another of alice's clients have the id that is derived from her name.
func (s *schedule) replaceFirstClient() {
	if err := s.m.store().DeleteToken(s.t.Context(), oauthstore.DerivedID("alice", "")); err != nil {
		s.t.Fatal(err)
	}
	for range 2 { // the moment without it counts too
		now, _, _ := s.m.content(s.t)
		s.moments, s.times = append(s.moments, now), append(s.times, time.Now())
		save(s.t, s.m.store(), oauthstore.OAuthToken{UserName: "alice", ClientID: "another", RefreshToken: "r"})
	}
	now, _, _ := s.m.content(s.t)
	s.moments, s.times = append(s.moments, now), append(s.times, time.Now())
}

// park lets a call wait for its turn.
func (s *schedule) park(ctx context.Context, c call, run func() error) error {
	op, ok := ctx.Value(operationKey{}).(*operation)
	if !ok {
		return run() // the test's own
	}
	if op.process.keeps && strings.HasPrefix(c.name, pagePrefix) && slices.Contains([]string{del, bury, destroy}, c.op) {
		return oauthstore.ErrAccessDenied
	}
	p := &parked{ctx, op, c, run, make(chan func() error, 1)}
	s.mu.Lock()
	s.parked = append(s.parked, p)
	s.mu.Unlock()
	select {
	case verdict := <-p.verdict:
		return verdict()
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		s.parked = slices.DeleteFunc(s.parked, func(other *parked) bool { return other == p })
		return ctx.Err()
	}
}

// run runs the tasks to their end.
func (s *schedule) run() {
	defer func() {
		for _, p := range s.processes {
			p.die()
		}
		settle()
		if s.t.Failed() || *oneSeed != 0 {
			s.t.Logf("seed %d, tombstones %v\n%s", s.seed, s.m.tombstones, strings.Join(s.trace, "\n"))
		}
	}()
	tasks := 2
	if s.pages || s.hot {
		tasks = 4
	}
	for task := range tasks + s.rng.IntN(4) {
		s.start(task, s.processes[s.rng.IntN(len(s.processes))], 1+s.rng.IntN(3))
	}
	for {
		settle()
		if !s.look() {
			return
		}
		if s.running.Load() == 0 {
			break
		}
		if len(s.trace) > 3000 {
			s.t.Error("no end")
			return
		}
		s.next()
	}
	s.checkOperations()
	s.checkEnd()
}

// start begins a task of n operations.
func (s *schedule) start(task int, p *process, n int) {
	ops := make([]*operation, n)
	for i := range ops {
		ops[i] = s.operation(fmt.Sprint(task, ".", i))
		ops[i].process, ops[i].task, ops[i].begin, ops[i].end = p, task, -1, -1
	}
	s.running.Add(1)
	go func() {
		defer s.running.Add(-1)
		for _, o := range ops {
			if p.ctx.Err() != nil {
				return
			}
			o.begin = int(s.step.Load())
			s.mu.Lock()
			s.ops = append(s.ops, o)
			s.mu.Unlock()
			o.err = o.do(context.WithValue(p.ctx, operationKey{}, o), o)
			o.end = int(s.step.Load())
		}
	}()
}

// next lets one thing happen.
func (s *schedule) next() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.standstills > 0 && s.rng.IntN(30) == 0:
		s.standstills--
		s.stood = true
		s.faulty, s.failed = true, s.failed+1 // calls that take longer than they may are given up
		s.late = nil                          // and do not come any more
		s.sleep(grace + time.Second)
	case len(s.parked) == 0 && s.frozen > 0:
		s.late = nil
		s.sleep(grace + time.Second)
	case len(s.parked) == 0 || s.rng.IntN(15) == 0:
		s.sleep(longestPause) // all pauses end
	case len(s.late) > 0 && s.rng.IntN(5) == 0:
		p := s.late[0]
		s.late = s.late[1:]
		s.say(p, fmt.Sprint("comes late: ", p.run()))
	default:
		s.letGo()
	}
}

func (s *schedule) sleep(d time.Duration) {
	s.trace = append(s.trace, fmt.Sprint("     time passes: ", d))
	s.mu.Unlock()
	time.Sleep(d)
	s.mu.Lock()
}

func (s *schedule) say(p *parked, what string) {
	s.trace = append(s.trace, fmt.Sprintf("%4d task %d (%s) %-40s %s %s", s.step.Load(), p.op.task, p.op.what, p.call, what, p.call.content()))
}

// letGo decides which call goes on, and what becomes of it.
func (s *schedule) letGo() {
	slices.SortStableFunc(s.parked, func(a, b *parked) int {
		return cmp.Or(cmp.Compare(a.op.task, b.op.task), cmp.Compare(a.call.name, b.call.name))
	})
	i := s.rng.IntN(len(s.parked))
	p := s.parked[i]
	s.parked = slices.Delete(s.parked, i, i+1)
	if s.faults == 0 || s.rng.IntN(8) > 0 {
		p.verdict <- func() error {
			err := p.run()
			s.say(p, fmt.Sprint(cmp.Or(err, errors.New(""))))
			return err
		}
		return
	}
	s.faults--
	s.faulty, s.failed = true, s.failed+1
	p.op.failed++
	s.fail(p)
}

// meetsItself reports whether the answer may be a conflict although the call has taken effect: the writer met its own
// first attempt (Vault), or was superseded before it could look whether it had won (Google).
func (s *schedule) meetsItself(c call) bool { return s.m.tombstones && (c.op == put || c.op == bury) }

// sentAgain reports whether the service's client may send the call a second time. If a secret is made at one stroke, the
// driver prevents that (Secrets Manager). If reads lag behind and there are tombstones (Google), all writes are sent once.
func (s *schedule) sentAgain(c call) bool {
	switch {
	case c.op == get, s.stale && s.m.tombstones && c.op != destroy:
		return false
	default:
		return s.m.tombstones || c.op != put || c.base != None
	}
}

// fail lets a call fail in one of many ways.
func (s *schedule) fail(p *parked) {
	exhausted := fmt.Errorf("%w: %w", oauthstore.ErrThrottled, ErrExhausted)
	refusal := []error{oauthstore.ErrUnavailable, oauthstore.ErrThrottled, oauthstore.ErrAccessDenied, exhausted, errors.New("unknown")}
	what := s.rng.IntN(6)
	switch delete := p.call.op == del || p.call.op == bury; {
	case s.meetsItself(p.call) && s.rng.IntN(3) == 0:
		what = 6
	case s.sentAgain(p.call) && s.rng.IntN(3) == 0:
		what = 7
	case p.call.op == destroy && s.rng.IntN(2) == 0:
		what, refusal = 0, []error{oauthstore.ErrAccessDenied}
	case delete && s.rng.IntN(2) == 0:
		what, refusal = 0, []error{oauthstore.ErrThrottled}
	}
	switch what {
	case 7:
		s.say(p, "takes effect, the answer is lost, and the CLIENT SENDS IT AGAIN")
		p.verdict <- func() error {
			_ = p.run()
			return s.park(p.ctx, p.call, p.run)
		}
	case 6:
		s.say(p, "takes effect, and CONFLICTS")
		p.verdict <- func() error { return cmp.Or(p.run(), ErrConflict) }
	case 5:
		s.say(p, "takes effect, and the PROCESS STANDS STILL")
		s.frozen++
		p.verdict <- func() error {
			err := p.run()
			time.Sleep(grace)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.frozen--
			return err
		}
	case 0:
		err := refusal[s.rng.IntN(len(refusal))]
		if !s.sentAgain(p.call) && s.rng.IntN(2) == 0 {
			err = fmt.Errorf("%w: %w", err, ErrNotWritten)
		}
		s.say(p, fmt.Sprint("FAILS: ", err))
		p.op.refused = p.call
		p.verdict <- func() error { return err }
	case 1:
		s.say(p, "takes effect, and the ANSWER IS LOST")
		p.verdict <- func() error { return lost(p.run) }
	case 2:
		s.say(p, "gets no answer, and MAY COME LATER")
		s.late = append(s.late, p)
		p.op.late = true
		p.verdict <- func() error { return errLost }
	case 3:
		s.say(p, "takes effect, and the PROCESS DIES")
		p.verdict <- func() error {
			_ = p.run()
			p.op.process.die()
			return context.Canceled
		}
	default:
		s.say(p, "is not made: the PROCESS DIES")
		p.op.process.die()
		p.verdict <- func() error { return context.Canceled }
	}
}
