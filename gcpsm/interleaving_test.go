package gcpsm

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// A stage lets several processes work on one secret, one call to the service at a time, in an order
// that a seed decides. It keeps the history that the calls amount to and compares with it what the
// drivers say.
type stage struct {
	*testing.T
	seed   uint64
	rand   *rand.Rand
	srv    *gcpsmtest.Server
	client Client
	faults faults
	trace  []string

	// emulator is a service that does not show that a token was deleted, but to those who have seen it.
	emulator bool

	step   int
	states []*past // what the secret has been, each made from the one before
}

// faults are how many of a hundred calls go wrong.
type faults struct {
	die        int // the process ends before the call
	failBefore int // nothing happens
	failAfter  int // it takes effect
}

// A past is a state that the secret has been in.
type past struct {
	number     int // of its version, 0 for the secret that was not there yet
	write      string
	deleted    bool
	begin, end int // steps; end is 0 for the present one
}

const stageName = "token_x"

func newStage(t *testing.T, seed uint64, f faults, opts ...gcpsmtest.Option) *stage {
	srv := gcpsmtest.NewServer(opts...)
	client, err := srv.Client(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{
		T: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 0)), srv: srv, client: client, faults: f,
		states: []*past{{}},
	}
	return s
}

func (s *stage) close() {
	_ = s.client.(*secretmanager.Client).Close()
	s.srv.Close()
}

func (s *stage) failf(format string, args ...any) {
	s.Helper()
	s.Errorf("seed %d, step %d: %s\n%s", s.seed, s.step, fmt.Sprintf(format, args...), s.history())
}

func (s *stage) history() string {
	text := ""
	for _, line := range s.trace {
		text += line + "\n"
	}
	return text
}

// note writes down what happens.
func (s *stage) note(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf("%4d ", s.step)+fmt.Sprintf(format, args...))
}

// added is the rule that the drivers have to come to by reading: a version counts if it was made from
// the present state.
func (s *stage) added(number int, rec engine.Record) {
	now := s.states[len(s.states)-1]
	valid := revision(rec.Base).number == now.number
	s.note("    version %d on %d, write %s, deleted %v, counts %v", number, revision(rec.Base).number, rec.WriteID, rec.Deleted, valid)
	if valid {
		now.end = s.step
		s.states = append(s.states, &past{number: number, write: rec.WriteID, deleted: rec.Deleted, begin: s.step})
	}
}

// counted reports whether a write was the successor of its base.
func (s *stage) counted(write string) bool {
	return slices.ContainsFunc(s.states, func(p *past) bool { return p.write == write })
}

// present reports whether a write made the present state. One that was superseded before its writer could
// look may be taken for void by that writer; the engine finds its write id in the successor.
func (s *stage) present(write string) bool { return s.states[len(s.states)-1].write == write }

// index returns which of the states was read, or -1. A reader that meets a delete half-way may take a void
// version below the tombstone for the last one; whoever builds on that is refused.
func (s *stage) index(rec engine.Record, r rev) int {
	absent := rec.WriteID == "" && !rec.Live()
	for i, p := range slices.Backward(s.states) {
		switch {
		case s.emulator && absent && r.number == 0 && p.deleted:
			return i
		case p.number == r.number && rec.WriteID == p.write && rec.Deleted == p.deleted,
			p.number == r.number && absent && (p.deleted || p.number == 0),
			absent && p.deleted && s.states[i-1].number < r.number && r.number < p.number:
			return i
		}
	}
	return -1
}

// A process is one user of the service. It stops before each call until it is its turn.
type process struct {
	*stage
	name   string
	driver *driver
	turn   chan bool // false: die
	state  chan bool // true: wants to call, false: has ended
	dead   bool

	rec    engine.Record // as last read or written
	rev    engine.Rev
	known  bool
	after  engine.Rev   // on which a put has failed
	old    []engine.Rev // that were read once
	newest int          // index of the newest state that was seen
	writes int
}

var errDied = status.Error(codes.Unavailable, "the process has died")

// call stops for the turn, and then does what a fault may keep from being done.
func (p *process) call(op string, do func() error) error {
	if p.dead {
		return errDied
	}
	p.state <- true
	if p.dead = !<-p.turn; p.dead {
		p.note("%s dies before %s", p.name, op)
		return errDied
	}
	p.step++
	chance := p.rand.IntN(100)
	if chance < p.faults.failBefore {
		p.note("%s %s fails", p.name, op)
		return status.Error(codes.DeadlineExceeded, "before")
	}
	err := do()
	p.note("%s %s: %v", p.name, op, status.Code(err))
	if err == nil && chance < p.faults.failBefore+p.faults.failAfter {
		p.note("%s and the answer is lost", p.name)
		return status.Error(codes.DeadlineExceeded, "after")
	}
	return err
}

// staged is the client of a process.
type staged struct {
	Client
	p *process
}

func (c staged) AccessSecretVersion(ctx context.Context, req *pb.AccessSecretVersionRequest, opts ...gax.CallOption) (out *pb.AccessSecretVersionResponse, err error) {
	err = c.p.call("access "+req.GetName()[len("projects/my-project/secrets/oauthstore__token_x/versions/"):], func() error {
		out, err = c.Client.AccessSecretVersion(ctx, req, opts...)
		return err
	})
	return out, err
}

func (c staged) AddSecretVersion(ctx context.Context, req *pb.AddSecretVersionRequest, opts ...gax.CallOption) (out *pb.SecretVersion, err error) {
	err = c.p.call("add", func() error {
		if out, err = c.Client.AddSecretVersion(ctx, req, opts...); err != nil {
			return err
		}
		rec, _, err := unmarshal("", req.GetPayload().GetData())
		if err != nil {
			return err
		}
		c.p.added(versionNumber(out.GetName()), rec)
		return nil
	})
	return out, err
}

func (c staged) DestroySecretVersion(ctx context.Context, req *pb.DestroySecretVersionRequest, opts ...gax.CallOption) (out *pb.SecretVersion, err error) {
	err = c.p.call(fmt.Sprint("destroy ", versionNumber(req.GetName())), func() error {
		out, err = c.Client.DestroySecretVersion(ctx, req, opts...)
		return err
	})
	return out, err
}

func (c staged) CreateSecret(ctx context.Context, req *pb.CreateSecretRequest, opts ...gax.CallOption) (out *pb.Secret, err error) {
	err = c.p.call("create", func() error {
		out, err = c.Client.CreateSecret(ctx, req, opts...)
		return err
	})
	return out, err
}

// ListSecretVersions is not a call yet: the iterator makes it, and in one go with what is done here.
func (c staged) ListSecretVersions(ctx context.Context, req *pb.ListSecretVersionsRequest, opts ...gax.CallOption) *secretmanager.SecretVersionIterator {
	_ = c.p.call("list", func() error { return nil })
	return c.Client.ListSecretVersions(ctx, req, opts...)
}

// process returns one that has not begun.
func (s *stage) process(name string, keep int) *process {
	p := &process{stage: s, name: name, turn: make(chan bool), state: make(chan bool)}
	p.driver = newDriver(staged{s.client, p}, config{project: "my-project", prefix: "oauthstore", codec: codec.JSON{}, keep: keep})
	return p
}

// play runs the processes until all have ended.
func (s *stage) play(processes []*process, run func(*process)) {
	waiting := make([]*process, 0, len(processes))
	for _, p := range processes {
		go func() {
			run(p)
			p.state <- false
		}()
		if <-p.state {
			waiting = append(waiting, p)
		}
	}
	for len(waiting) > 0 {
		i := s.rand.IntN(len(waiting))
		waiting[i].turn <- s.rand.IntN(100) >= s.faults.die
		if !<-waiting[i].state {
			waiting = slices.Delete(waiting, i, i+1)
		}
	}
}

// work is what a process does: operations that nobody has planned.
func (p *process) work(operations int) {
	for range operations {
		if p.dead {
			return
		}
		switch n := p.pick(10); {
		case !p.known || n < 3:
			p.get()
		case n < 4 && len(p.old) > 0:
			p.putLate()
		case n < 6 && (p.rec.Live() || p.rec.Deleted):
			p.delete()
		default:
			p.put()
		}
	}
}

// pick uses the stage's randomness; only the process whose turn it is does.
func (p *process) pick(n int) int { return p.rand.IntN(n) }

func (p *process) get() {
	begin := p.step
	p.note("%s: Get, after %q", p.name, p.after)
	rec, r, err := p.driver.Get(context.Background(), stageName, p.after)
	if err != nil {
		p.unexpected("Get", err)
		return
	}
	i := p.index(rec, revision(r))
	p.note("%s: got version %s, write %q, state %d", p.name, r, rec.WriteID, i)
	switch {
	case i < 0:
		p.failf("%s: Get: %s, write %q, is no state that the secret has been in", p.name, r, rec.WriteID)
	case p.states[i].end != 0 && p.states[i].end <= begin:
		p.failf("%s: Get: %s is a state that had ended at step %d, before the read began at %d", p.name, r, p.states[i].end, begin)
	case i < p.newest:
		p.failf("%s: Get: state %d, after state %d was seen", p.name, i, p.newest)
	}
	p.saw(rec, r, i)
}

// saw remembers the newest state.
func (p *process) saw(rec engine.Record, r engine.Rev, index int) {
	p.rec, p.rev, p.known, p.after = rec, r, true, engine.None
	p.newest = max(p.newest, index)
	p.old = append(p.old, r)
}

// next is the record that p writes on base, as the engine makes it.
func (p *process) next(base engine.Rev, cur engine.Record) engine.Record {
	p.writes++
	rec := cur
	rec.WriteID = fmt.Sprintf("%s-%d", p.name, p.writes)
	rec.Base = base
	rec.Earlier = nil
	if cur.WriteID != "" {
		rec.Earlier = append([]string{cur.WriteID}, cur.Earlier[:min(len(cur.Earlier), 2)]...)
	}
	if !cur.Live() {
		rec.Incarnation, rec.Deleted = "of "+rec.WriteID, false
	}
	rec.Document = codec.Document{}
	codec.SetFormat(rec.Document)
	rec.Document.Set("secret", "of "+rec.WriteID)
	return rec
}

func (p *process) put() {
	tidy := []int{0, 1, 2, engine.TidyAll}[p.pick(4)]
	base, rec := p.rev, p.next(p.rev, p.rec)
	p.note("%s: Put %s on %s, tidy %d", p.name, rec.WriteID, base, tidy)
	r, err := p.driver.Put(context.Background(), stageName, base, rec, tidy)
	p.known = false
	switch counted := p.counted(rec.WriteID); {
	case err == nil && !counted:
		p.failf("%s: Put of %s on %s succeeded, and another write was the successor", p.name, rec.WriteID, base)
	case err == nil:
		p.saw(rec, r, p.index(rec, revision(r)))
	case errors.Is(err, engine.ErrConflict):
		p.after = base
		if p.present(rec.WriteID) {
			p.failf("%s: Put of %s on %s: got %v, though it was the successor", p.name, rec.WriteID, base, err)
		}
	default:
		p.unexpected("Put", err)
	}
}

// putLate puts on a revision that was read once.
func (p *process) putLate() {
	base := p.old[p.pick(len(p.old))]
	rec := p.next(base, p.rec)
	p.note("%s: Put %s on %s, which may be old", p.name, rec.WriteID, base)
	r, err := p.driver.Put(context.Background(), stageName, base, rec, engine.TidyAll)
	p.known, p.after = false, engine.None
	switch counted := p.counted(rec.WriteID); {
	case err == nil && counted:
		p.saw(rec, r, p.index(rec, revision(r)))
	case errors.Is(err, engine.ErrConflict) && !p.present(rec.WriteID):
	case err == nil || errors.Is(err, engine.ErrConflict):
		p.failf("%s: Put of %s on %s: got %v, counted: %v", p.name, rec.WriteID, base, err, counted)
	case !errors.Is(err, engine.ErrConflict):
		p.unexpected("Put", err)
	}
}

// delete deletes what was read, or finishes a delete.
func (p *process) delete() {
	base, tombstone := p.rev, p.rec
	if !tombstone.Deleted {
		tombstone = p.next(p.rev, p.rec)
		tombstone.Deleted, tombstone.Document = true, nil
	}
	p.note("%s: Delete %s, write %s", p.name, base, tombstone.WriteID)
	err := p.driver.Delete(context.Background(), stageName, base, tombstone)
	p.known = false
	switch {
	case err == nil:
		p.destroyedUpTo(max(revision(base).number, p.lastOf(tombstone.WriteID)))
	case errors.Is(err, engine.ErrConflict):
		p.after = base
	default:
		p.unexpected("Delete", err)
	}
}

// lastOf returns the number of the newest version of a tombstone, 0 for one without a name, of which there may
// be many.
func (s *stage) lastOf(write string) int {
	number := 0
	for _, p := range s.states {
		if p.write == write && write != "" {
			number = p.number
		}
	}
	return number
}

func (p *process) destroyedUpTo(number int) {
	for _, v := range p.readable() {
		if v.Number <= number {
			p.failf("%s: Delete has succeeded with version %d on top, and version %d is %s: %s", p.name, number, v.Number, v.State, v.Data)
		}
	}
}

func (s *stage) versions() []gcpsmtest.Version {
	for _, secret := range s.srv.Secrets() {
		return secret.Versions
	}
	return nil
}

func (p *process) unexpected(op string, err error) {
	p.note("%s: %s: %v", p.name, op, err)
	if status.Code(errors.Unwrap(err)) == codes.OK && p.faults == (faults{}) {
		p.failf("%s: %s: %v", p.name, op, err)
	}
}

// readable returns the versions that show something of a token.
func (s *stage) readable() []gcpsmtest.Version {
	return slices.DeleteFunc(s.versions(), func(v gcpsmtest.Version) bool {
		if v.State == "DESTROYED" {
			return true
		}
		rec, _, err := unmarshal("", v.Data)
		return err == nil && rec.Deleted
	})
}

// quiet checks, when all have ended who could, that of a deleted token nothing is left.
func (s *stage) quiet() {
	if !s.states[len(s.states)-1].deleted {
		return
	}
	for _, v := range s.readable() {
		s.failf("the token is deleted, nobody is at work, and version %d is %s: %s", v.Number, v.State, v.Data)
	}
}

// finish is what comes when the others have ended: a new process finds the present state, and a few writes later
// nothing is left of what the others should have destroyed.
func (s *stage) finish(keep int) {
	now := s.states[len(s.states)-1]
	p := s.process("last", keep)
	s.faults = faults{}
	s.play([]*process{p}, func(p *process) {
		p.get()
		if p.known && p.rec.WriteID != now.write && !(now.deleted && !p.rec.Live()) {
			p.failf("the last read: got write %q, want %q", p.rec.WriteID, now.write)
		}
		if p.known && p.rec.Deleted {
			p.delete()
			p.get()
		}
		for range lookAfter + 4 + keep {
			p.writeAll()
		}
		if active := p.active(); active != 1+keep {
			p.failf("%d versions are active after the last writes, want %d", active, 1+keep)
		}
		p.delete()
		for _, v := range p.readable() {
			p.failf("the token is deleted, and version %d is %s: %s", v.Number, v.State, v.Data)
		}
	})
}

// writeAll puts and removes all that may be removed.
func (p *process) writeAll() {
	rec := p.next(p.rev, p.rec)
	r, err := p.driver.Put(context.Background(), stageName, p.rev, rec, engine.TidyAll)
	if p.emulator && revision(p.rev).number == 0 && errors.Is(err, engine.ErrConflict) {
		p.get() // the first write finds out
		p.writeAll()
		return
	}
	if err != nil {
		p.failf("Put of %s on %s: %v", rec.WriteID, p.rev, err)
		return
	}
	p.saw(rec, r, p.index(rec, revision(r)))
}

func (s *stage) active() int {
	n := 0
	for _, v := range s.versions() {
		if v.State != "DESTROYED" {
			n++
		}
	}
	return n
}

var orders = flag.Int("orders", 80, "how many histories the tests of any order of calls play, of which some play a part")

// interleave plays a share of the histories, each from its seed.
func interleave(t *testing.T, share int, f faults, keep int, opts ...gcpsmtest.Option) {
	for seed := range uint64(*orders / share) {
		s := newStage(t, seed, f, opts...)
		s.emulator = len(opts) > 0
		processes := make([]*process, 2+s.rand.IntN(3))
		for i := range processes {
			processes[i] = s.process(string(rune('A'+i)), keep)
		}
		s.play(processes, func(p *process) { p.work(6) })
		if f == (faults{}) {
			s.quiet()
		}
		s.finish(keep)
		s.close()
		if t.Failed() {
			return
		}
	}
}

func TestAnyOrderOfCalls_leavesOneHistory(t *testing.T) {
	interleave(t, 1, faults{}, 0)
}

func TestAnyOrderOfCalls_leavesOneHistoryWhereVersionsAreKept(t *testing.T) {
	interleave(t, 4, faults{}, 2)
}

func TestAnyOrderOfCalls_leavesOneHistoryWhereProcessesDie(t *testing.T) {
	interleave(t, 2, faults{die: 5}, 0)
}

func TestAnyOrderOfCalls_leavesOneHistoryWhereCallsFail(t *testing.T) {
	interleave(t, 2, faults{failBefore: 5, failAfter: 5}, 0)
}
