package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// A memory is a service that keeps its secrets in a map, as its own Driver. Every call takes effect at
// one moment; rules and around decide what else happens at that moment.
//
// It deletes as Secrets Manager does, at one stroke whatever the newest version is, or with a tombstone
// and a destruction after it, as Vault does.
type memory struct {
	tombstones bool
	listLag    time.Duration // how late a secret is listed
	limits     Limits
	around     func(ctx context.Context, c call, run func() error) error // nil for nothing
	refuse     func(secret string) error                                 // asked before every write; nil for nothing

	mu      sync.Mutex
	secrets map[string]*secret
	born    int // secrets made
	calls   []call
	rules   []*rule
}

// secret is one name's versions, numbered from 1. Those up to destroyed are gone.
type secret struct {
	birth     int
	versions  [][]byte
	times     []time.Time // of the versions
	destroyed int
	shown     *shown // the newest, once somebody has looked
}

// shown is what a version holds.
type shown struct {
	version int
	rec     Record
	token   *oauthstore.OAuthToken // of a token's record
	node    *node                  // of a secret of the index
}

// show returns what the newest version of a secret holds, nil where there is none.
func (m *memory) show(t testing.TB, name string) *shown {
	t.Helper()
	s := m.secrets[name]
	if s == nil || s.destroyed == len(s.versions) {
		return nil
	}
	if s.shown != nil && s.shown.version == len(s.versions) {
		return s.shown
	}
	rec, _, err := m.newest(name)
	if err != nil {
		t.Fatal(err)
	}
	v := &shown{version: len(s.versions), rec: rec}
	switch {
	case !rec.Live():
	case strings.HasPrefix(name, tokenPrefix), strings.HasPrefix(name, base32Token):
		if r, err := (codec.JSON{}).Decode(name, rec.Document); err == nil { // a test may have put there what is none
			v.token = &r.Token
		}
	default:
		var wrong string
		if v.node, wrong = parseNode(rec.Document); wrong != "" {
			t.Fatalf("secret %s: %s", name, wrong)
		}
	}
	s.shown = v
	return v
}

// The calls, and the two halves of a Delete with a tombstone.
const (
	get     = "get"
	put     = "put"
	del     = "delete"
	bury    = "bury"    // writes the tombstone
	destroy = "destroy" // removes the versions
)

// A call is what a service is asked.
type call struct {
	op, name string
	base     Rev
	rec      Record // what is put
}

func (c call) String() string { return c.op + " " + c.name }

// content describes what is put.
func (c call) content() string {
	if !c.rec.Live() {
		return ""
	}
	if r, err := (codec.JSON{}).Decode(c.name, c.rec.Document); err == nil {
		return fmt.Sprintf("claims %v, siblings %v: %s", c.rec.Claims, c.rec.Siblings, show(&r.Token))
	}
	n, _ := parseNode(c.rec.Document)
	if n == nil {
		return ""
	}
	var b strings.Builder
	for _, p := range n.pages {
		fmt.Fprintf(&b, " %s from %q", p.Name, p.From)
	}
	for _, e := range n.entries {
		fmt.Fprintf(&b, " %s:%.8s/%s/%s", e.Nonce, e.ID, e.User, e.Client)
	}
	return fmt.Sprintf("sealed %v, retired %v, written %v:%s", n.sealed, n.retired, c.rec.Writes, b.String())
}

// show is what callers see of a token.
func show(t *oauthstore.OAuthToken) string {
	if t == nil {
		return "nothing"
	}
	return fmt.Sprint(t.ID, " ", t.UserName, " ", t.ClientID, " ", t.RefreshToken, " ", t.AccessToken, " ", t.Scope)
}

// A rule stands in for a call. run makes the call take effect.
type rule struct {
	op, name string
	skip     int // fitting calls to let pass
	instead  func(run func() error) error
}

func newMemory() *memory {
	return &memory{
		secrets: make(map[string]*secret),
		limits:  Limits{Name: 200, Value: 1 << 16, Parallel: 4, Batch: 3},
	}
}

// eachKind runs f over both kinds of service, in a bubble.
func eachKind(t *testing.T, f func(t *testing.T, m *memory)) { eachKindIn(t, inBubble, f) }

// eachKindVirtually is eachKind for tests in which much time passes.
func eachKindVirtually(t *testing.T, f func(t *testing.T, m *memory)) { eachKindIn(t, virtually, f) }

func eachKindIn(t *testing.T, bubble func(*testing.T, func(*testing.T)), f func(t *testing.T, m *memory)) {
	for name, tombstones := range map[string]bool{"deletes at one stroke": false, "deletes with a tombstone": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				m := newMemory()
				m.tombstones = tombstones
				f(t, m)
				m.wantConsistent(t)
				m.wantRulesUsed(t)
			})
		})
	}
}

// store returns a store of its own, as another process has it.
func (m *memory) store() *Store { return New(m, codec.JSON{}, time.Hour) }

func (m *memory) FullName(name string) string { return "mem/" + name }
func (m *memory) Limits() Limits              { return m.limits }

// call carries out run, or what a rule or around makes of it. Its errors are wrapped, as services' errors are.
func (m *memory) call(ctx context.Context, c call, run func() error) error {
	if err := m.bareCall(ctx, c, run); err != nil {
		return fmt.Errorf("memory: %s: %w", c, err)
	}
	return nil
}

func (m *memory) bareCall(ctx context.Context, c call, run func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	m.calls = append(m.calls, c)
	instead := m.rule(c)
	m.mu.Unlock()
	locked := func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		return run()
	}
	switch {
	case instead != nil:
		return instead(locked)
	case m.around != nil:
		return m.around(ctx, c, locked)
	default:
		return locked()
	}
}

// rule returns what stands in for c, once.
func (m *memory) rule(c call) func(run func() error) error {
	for i, r := range m.rules {
		if r.op != c.op || r.name != c.name {
			continue
		}
		if r.skip--; r.skip < 0 {
			m.rules = slices.Delete(m.rules, i, i+1)
			return r.instead
		}
	}
	return nil
}

// on lets instead stand in for the next such call.
func (m *memory) on(op, name string, instead func(run func() error) error) {
	m.onLater(0, op, name, instead)
}

// onLater is on for the call after skip others.
func (m *memory) onLater(skip int, op, name string, instead func(run func() error) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rules = append(m.rules, &rule{op, name, skip, instead})
}

// before runs f before the next such call takes effect.
func (m *memory) before(op, name string, f func()) {
	m.on(op, name, func(run func() error) error { f(); return run() })
}

// A stop is where one caller stands while others go on.
type stop struct{ reached, proceed chan struct{} }

// stopAt stops the next such call before it takes effect.
func (m *memory) stopAt(op, name string) stop {
	p := stop{make(chan struct{}), make(chan struct{})}
	m.before(op, name, func() {
		close(p.reached)
		<-p.proceed
	})
	return p
}

// wait waits until the call has come.
func (p stop) wait() { <-p.reached }

// goOn lets the call take effect.
func (p stop) goOn() { close(p.proceed) }

// start runs f beside the test and returns a function that waits for its error.
func start(f func() error) (result func() error) {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return func() error { return <-done }
}

var errLost = fmt.Errorf("%w: the answer was lost", oauthstore.ErrUnavailable)

// lost lets the call take effect and loses the answer.
func lost(run func() error) error {
	_ = run()
	return errLost
}

// fails returns a rule that fails without effect.
func fails(err error) func(func() error) error {
	return func(func() error) error { return err }
}

func (m *memory) Get(ctx context.Context, name string, _ Rev) (rec Record, rev Rev, err error) {
	err = m.call(ctx, call{op: get, name: name}, func() (err error) {
		rec, rev, err = m.newest(name)
		return err
	})
	if err != nil {
		return Record{}, None, err
	}
	return rec, rev, nil
}

// newest is what Get returns.
func (m *memory) newest(name string) (Record, Rev, error) {
	s := m.secrets[name]
	if s == nil {
		return Record{}, None, nil
	}
	rev := Rev(fmt.Sprintf("%d.%d", s.birth, len(s.versions)))
	if s.destroyed == len(s.versions) {
		return Record{}, rev, nil
	}
	rec, err := UnmarshalBytes(m.FullName(name), s.versions[len(s.versions)-1])
	return rec, rev, err
}

func (m *memory) Put(ctx context.Context, name string, base Rev, rec Record, _ int) (rev Rev, err error) {
	err = m.call(ctx, call{put, name, base, rec}, func() (err error) {
		rev, err = m.write(name, base, rec)
		return err
	})
	if err != nil && !m.tombstones && base == None && (errors.Is(err, errLost) || errors.Is(err, context.DeadlineExceeded)) {
		err = fmt.Errorf("%w: %w", err, ErrMayCome) // it is made whatever was there before
	}
	if err != nil {
		return None, err
	}
	return rev, nil
}

func (m *memory) write(name string, base Rev, rec Record) (Rev, error) {
	data, err := MarshalBytes(rec)
	if err != nil {
		return None, err
	}
	if s := m.secrets[name]; s != nil && !m.tombstones {
		for i, v := range s.versions { // Secrets Manager knows a request that it has carried out
			if bytes.Equal(v, data) {
				return Rev(fmt.Sprintf("%d.%d", s.birth, i+1)), nil
			}
		}
	}
	_, newest, err := m.newest(name)
	if err != nil {
		return None, err
	}
	if newest != base {
		return None, ErrConflict
	}
	if len(data) > m.limits.Value {
		return None, fmt.Errorf("%w: refused by the service", oauthstore.ErrRecordTooLarge)
	}
	if m.refuse != nil {
		birth := m.born + 1
		if s := m.secrets[name]; s != nil {
			birth = s.birth
		}
		if err := m.refuse(fmt.Sprint(name, ".", birth)); err != nil {
			return None, err
		}
	}
	s := m.secrets[name]
	if s == nil {
		m.born++
		s = &secret{birth: m.born}
		m.secrets[name] = s
	}
	s.versions, s.times = append(s.versions, data), append(s.times, time.Now())
	return Rev(fmt.Sprintf("%d.%d", s.birth, len(s.versions))), nil
}

func (m *memory) Delete(ctx context.Context, name string, base Rev, tombstone Record) error {
	var birth, top int
	if _, err := fmt.Sscanf(string(base), "%d.%d", &birth, &top); err != nil {
		return err
	}
	if !m.tombstones {
		return m.call(ctx, call{op: del, name: name, base: base}, func() error {
			if s := m.secrets[name]; s != nil && s.birth == birth {
				delete(m.secrets, name)
			}
			return nil
		})
	}
	if tombstone.Base == base {
		err := m.call(ctx, call{op: bury, name: name, base: base}, func() error {
			_, err := m.write(name, base, tombstone)
			return err
		})
		if err != nil {
			return err
		}
		top++
	}
	return m.call(ctx, call{op: destroy, name: name, base: base}, func() error {
		s := m.secrets[name]
		s.destroyed = max(s.destroyed, top)
		return nil
	})
}

// List lists the secrets, with those that were deleted while their versions are kept, but for what was made
// lately.
func (m *memory) List(ctx context.Context, yield func(names []string) bool) error {
	var names []string
	err := m.call(ctx, call{op: "list"}, func() error {
		for name, s := range m.secrets {
			if time.Since(s.times[0]) >= m.listLag {
				names = append(names, name)
			}
		}
		return nil
	})
	slices.Sort(names)
	if err == nil {
		yield(names)
	}
	return err
}

// A batching memory reads many secrets in one call.
type batching struct{ *memory }

var _ ManyGetter = batching{}

func (b batching) GetMany(ctx context.Context, names []string, yield func(string, Record, Rev, error)) {
	type answer struct {
		rec Record
		rev Rev
		err error
	}
	answers := make([]answer, len(names))
	err := b.call(ctx, call{op: "get many", name: strings.Join(names, " ")}, func() error {
		for i, name := range names {
			a := &answers[i]
			a.rec, a.rev, a.err = b.newest(name)
		}
		return nil
	})
	for i, name := range names {
		yield(name, answers[i].rec, answers[i].rev, cmp.Or(err, answers[i].err))
	}
}

// content returns the tokens and headers of the secrets that are live, by id, and the index's entries.
func (m *memory) content(t testing.TB) (tokens map[string]*oauthstore.OAuthToken, headers map[string]Record, entries []entry) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	tokens, headers = make(map[string]*oauthstore.OAuthToken), make(map[string]Record)
	for name := range m.secrets {
		if v := m.show(t, name); v != nil && v.token != nil {
			tokens[v.token.ID], headers[v.token.ID] = v.token, v.rec
		}
	}
	return tokens, headers, m.listed(t, place{indexName, everywhere})
}

// listed returns the index's entries at the place and below.
func (m *memory) listed(t testing.TB, at place) (entries []entry) {
	t.Helper()
	v := m.show(t, at.name)
	if v == nil || v.node == nil {
		if at.name != indexName {
			t.Errorf("page %s is pointed to, and is not there", at.name)
		}
		return nil
	}
	n := v.node
	for _, e := range n.entries {
		if !at.span.contains(e.key()) {
			t.Errorf("the entry %+v is in page %s, where its key does not belong", e, at.name)
		}
	}
	entries = slices.Clone(n.entries)
	for _, child := range n.children(at.span) {
		entries = append(entries, m.listed(t, child)...)
	}
	return entries
}

// inconsistent says in what way what is stored is not as it must be at every moment, empty if it is.
func (m *memory) inconsistent(t testing.TB) string {
	t.Helper()
	tokens, _, entries := m.content(t)
	return inconsistent(tokens, entries)
}

func inconsistent(tokens map[string]*oauthstore.OAuthToken, entries []entry) string {
	type claimed struct{ id, user, client string }
	listed, said := make(map[string]bool), make(map[claimed]bool)
	for _, e := range entries {
		listed[e.ID], said[claimed{e.ID, e.User, e.Client}] = true, true
	}
	holders := make(map[claimed]string)
	for id, token := range tokens {
		if !listed[id] {
			return fmt.Sprintf("the secret of token %s exists and no index entry has its id", id)
		}
		if !said[claimed{id, token.UserName, token.ClientID}] {
			return fmt.Sprintf("token %s is of user %q and client %q, and no index entry of its id says so", id, token.UserName, token.ClientID)
		}
		if token.UserName == "" {
			continue
		}
		user := claimed{"", token.UserName, token.ClientID}
		if other := holders[user]; other != "" {
			return fmt.Sprintf("tokens %s and %s are of one user and client", id, other)
		}
		holders[user] = id
	}
	return ""
}

func (m *memory) wantConsistent(t testing.TB) {
	t.Helper()
	if what := m.inconsistent(t); what != "" {
		t.Error(what)
	}
}

// wantRulesUsed fails if a call that a rule was made for did not come.
func (m *memory) wantRulesUsed(t testing.TB) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.rules {
		t.Errorf("the call was never made: %s %s, %d more", r.op, r.name, r.skip+1)
	}
}

// wantIDs demands that the tokens with these ids are stored, and no others.
func (m *memory) wantIDs(t testing.TB, want ...string) {
	t.Helper()
	tokens, _, _ := m.content(t)
	got := make([]string, 0, len(tokens))
	for id := range tokens {
		got = append(got, id)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("stored: got tokens %q, want %q", got, want)
	}
}

// token returns what is stored under id.
func (m *memory) token(t testing.TB, id string) *oauthstore.OAuthToken {
	t.Helper()
	tokens, _, _ := m.content(t)
	if tokens[id] == nil {
		t.Fatalf("token %s is not stored", id)
	}
	return tokens[id]
}

// entriesOf returns the index's entries with this id.
func (m *memory) entriesOf(t testing.TB, id string) []entry {
	t.Helper()
	_, _, entries := m.content(t)
	return slices.DeleteFunc(entries, func(e entry) bool { return e.ID != id })
}

// wantEntries demands n index entries with this id.
func (m *memory) wantEntries(t testing.TB, id string, n int) {
	t.Helper()
	if got := m.entriesOf(t, id); len(got) != n {
		t.Errorf("index entries of token %s: got %d, want %d: %+v", id, len(got), n, got)
	}
}

// editIndex puts what edit makes of the entries into the index, as another writer.
func (m *memory) editIndex(t testing.TB, edit func([]entry) []entry) {
	t.Helper()
	_, _, entries := m.content(t)
	list, err := json.Marshal(edit(entries))
	if err != nil {
		t.Fatal(err)
	}
	d := codec.Document{entriesField: list}
	codec.SetFormat(d)
	m.overwrite(t, indexName, d)
}

// overwrite makes d what the secret holds, with a write id of its own.
func (m *memory) overwrite(t testing.TB, name string, d codec.Document) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	rec, rev, err := m.newest(name)
	if err != nil {
		t.Fatal(err)
	}
	next := rec
	next.Document = d
	stamp(&next, state{rec, rev}, quota{m.limits.Writes, m.limits.Per})
	if _, err := m.write(name, rev, next); err != nil {
		t.Fatal(err)
	}
}

// bytes returns the newest version of a secret.
func (m *memory) bytes(name string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.secrets[name]
	if s == nil || len(s.versions) == 0 {
		return nil
	}
	return bytes.Clone(s.versions[len(s.versions)-1])
}

// count returns how often op was called on name; an empty op or name is any.
func (m *memory) count(op, name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, c := range m.calls {
		if (op == "" || c.op == op) && (name == "" || c.name == name) {
			n++
		}
	}
	return n
}

// forgetCalls starts counting anew.
func (m *memory) forgetCalls() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = nil
}

func save(t testing.TB, s *Store, token oauthstore.OAuthToken) *oauthstore.OAuthToken {
	t.Helper()
	if err := s.SaveToken(t.Context(), &token); err != nil {
		t.Fatalf("SaveToken(%v): %v", token, err)
	}
	return &token
}

func remove(t testing.TB, s *Store, id string) {
	t.Helper()
	if err := s.DeleteToken(t.Context(), id); err != nil {
		t.Fatalf("DeleteToken(%s): %v", id, err)
	}
}

func find(t testing.TB, s *Store, partial oauthstore.OAuthToken) *oauthstore.OAuthToken {
	t.Helper()
	found, err := s.FindToken(t.Context(), &partial)
	if err != nil {
		t.Fatalf("FindToken(%v): %v", partial, err)
	}
	return found
}

// under is a token with an id, a user name and a refresh token.
func under(id, user string) oauthstore.OAuthToken {
	return oauthstore.OAuthToken{ID: id, UserName: user, RefreshToken: "refresh of " + id + user}
}

func wantConflict(t testing.TB, err error, id string) {
	t.Helper()
	var conflict *oauthstore.ConflictError
	if !errors.As(err, &conflict) || conflict.ID != id {
		t.Errorf("got error %v, want a ConflictError with id %s", err, id)
	}
}

func wantIs(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}
