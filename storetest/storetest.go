// Package storetest is the conformance suite of [oauthstore.TokenStore]. It has two entries:
//
//   - [Run] checks one store. A store that passes it keeps the contract for all goroutines of one process.
//   - [RunShared] checks several stores over one service. A store that passes both may be used wherever a TokenStore is
//     asked for, by any number of processes. A store that passes Run alone should say in its documentation that it is
//     for one process.
//
// The stores of awssm, vault and gcpsm pass both. A store of your own should pass Run:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) oauthstore.TokenStore {
//			return mystore.New(t.TempDir())
//		})
//	}
//
// Neither makes a service fail, throttle or lag: what a store does then is for tests of its own.
//
// The secrets in the suite's tokens are made up, so its messages show them.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
)

// Run checks that the stores which newStore makes keep the contract of [oauthstore.TokenStore] within one process, and
// those of [oauthstore.TokenUpdater], [oauthstore.TokenRanger] and [oauthstore.TokenLeaser] where they have their
// methods. Each subtest asks for a store of its own, which must be empty; some use it from several goroutines.
// Subtests run one after another. A mutex in the store is enough to pass: see [RunShared].
//
// A store may refuse an id of more than 100 bytes as too long, and may answer one of several callers
// at once with [oauthstore.ErrUnavailable], who then tries again.
func Run(t *testing.T, newStore func(t *testing.T) oauthstore.TokenStore) {
	for _, part := range suite {
		t.Run(part.name, func(t *testing.T) {
			for _, c := range part.checks {
				t.Run(c.name, func(t *testing.T) {
					c.run(newSubject(t, newStore(t)))
				})
			}
		})
	}
}

// A part is the checks of one subject.
type part struct {
	name   string
	checks []check
}

// suite is all that is checked of one store.
var suite = []part{
	{"Find", findChecks},
	{"Save", saveChecks},
	{"Stale", staleChecks},
	{"Conflict", conflictChecks},
	{"IDs", idChecks},
	{"Names", nameChecks},
	{"Values", valueChecks},
	{"Get", getChecks},
	{"Range", rangeChecks},
	{"Delete", deleteChecks},
	{"Update", slices.Concat(updateChecks, updateMeetings)},
	{"Lease", slices.Concat(leaseChecks, leaseMeetings)},
	{"Context", contextChecks},
	{"Concurrent", concurrentChecks},
}

// A check is one sentence about a store, and the function that fails where it is not true.
type check struct {
	name string
	run  func(t *subject)
}

// testingT is what the checks need of *testing.T. It is an interface so that the suite itself can be
// tested: that it fails where it must.
type testingT interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Context() context.Context
}

// A subject is a store under test, with the means to say what is wrong with it.
type subject struct {
	testingT
	store   oauthstore.TokenStore
	updater oauthstore.TokenUpdater // nil where the store has not this ability
	ranger  oauthstore.TokenRanger  // so is this
	leaser  oauthstore.TokenLeaser  // and this

	processes []*subject // the stores over one service, this one among them
}

// process returns the store of process i, of as many as there are: the only one, but in RunShared.
func (t *subject) process(i int) *subject { return t.processes[i%len(t.processes)] }

func newSubject(t testingT, store oauthstore.TokenStore) *subject {
	s := &subject{testingT: t, store: &watched{t: t, store: store}}
	s.processes = []*subject{s}
	if u, ok := store.(oauthstore.TokenUpdater); ok {
		s.updater = &watchedUpdater{t: t, updater: u}
	}
	s.ranger, _ = store.(oauthstore.TokenRanger)
	if l, ok := store.(oauthstore.TokenLeaser); ok {
		s.leaser = &watchedLeaser{t: t, leaser: l}
	}
	return s
}

// save saves token, which must succeed, and returns it.
func (t *subject) save(token *oauthstore.OAuthToken) *oauthstore.OAuthToken {
	t.Helper()
	if err := t.store.SaveToken(t.Context(), token); err != nil {
		t.Fatalf("SaveToken(%s): %v", describe(token), err)
	}
	return token
}

// find finds the token that partial points at, which must be there.
func (t *subject) find(partial *oauthstore.OAuthToken) *oauthstore.OAuthToken {
	t.Helper()
	got, err := t.store.FindToken(t.Context(), partial)
	if err != nil {
		t.Fatalf("FindToken(%s): %v", describe(partial), err)
	}
	return got
}

// byID finds the token under id, which must be there.
func (t *subject) byID(id string) *oauthstore.OAuthToken {
	t.Helper()
	got, err := t.store.FindTokenByID(t.Context(), id)
	if err != nil {
		t.Fatalf("FindTokenByID(%q): %v", id, err)
	}
	return got
}

// all returns all tokens.
func (t *subject) all() []*oauthstore.OAuthToken {
	t.Helper()
	got, err := t.store.GetTokens(t.Context())
	if err != nil {
		t.Fatalf("GetTokens: %v", err)
	}
	return got
}

// delete deletes the token under id, which must be there.
func (t *subject) delete(id string) {
	t.Helper()
	if err := t.store.DeleteToken(t.Context(), id); err != nil {
		t.Fatalf("DeleteToken(%q): %v", id, err)
	}
}

// wantFound demands that partial points at the token under id.
func (t *subject) wantFound(partial *oauthstore.OAuthToken, id string) {
	t.Helper()
	if got := t.find(partial); got.ID != id {
		t.Errorf("FindToken(%s): got the token %q, want %q", describe(partial), got.ID, id)
	}
}

// wantNotFound demands that partial points at nothing.
func (t *subject) wantNotFound(partial *oauthstore.OAuthToken) {
	t.Helper()
	got, err := t.store.FindToken(t.Context(), partial)
	if err == nil {
		t.Errorf("FindToken(%s): got %s, want ErrTokenNotFound", describe(partial), describe(got))
		return
	}
	t.wantError("FindToken("+describe(partial)+")", err, oauthstore.ErrTokenNotFound)
}

// wantNoID demands that nothing is under id.
func (t *subject) wantNoID(id string) {
	t.Helper()
	got, err := t.store.FindTokenByID(t.Context(), id)
	if err == nil {
		t.Errorf("FindTokenByID(%q): got %s, want ErrTokenNotFound", id, describe(got))
		return
	}
	t.wantError(fmt.Sprintf("FindTokenByID(%q)", id), err, oauthstore.ErrTokenNotFound)
}

// wantStored demands that the store holds these tokens, in this order, and nothing else.
func (t *subject) wantStored(want ...*oauthstore.OAuthToken) {
	t.Helper()
	got := t.all()
	if len(got) != len(want) {
		t.Errorf("GetTokens: got %d tokens %q, want %d %q", len(got), ids(got), len(want), ids(want))
		return
	}
	for i := range want {
		t.wantSame(fmt.Sprintf("GetTokens()[%d]", i), got[i], want[i])
	}
}

// wantSame demands that got and want are equal in all exported fields.
func (t *subject) wantSame(what string, got, want *oauthstore.OAuthToken) {
	t.Helper()
	if d := diff(got, want); d != "" {
		t.Errorf("%s: %s", what, d)
	}
}

// wantError demands that err is target.
func (t *subject) wantError(what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: got error %v, want %v", what, err, target)
	}
}

// wantInvalid demands an *InvalidTokenError that names the fields.
func (t *subject) wantInvalid(what string, err error, fields ...string) {
	t.Helper()
	var invalid *oauthstore.InvalidTokenError
	if !errors.As(err, &invalid) || !errors.Is(err, oauthstore.ErrInvalidToken) {
		t.Errorf("%s: got error %v, want an *InvalidTokenError", what, err)
		return
	}
	for _, field := range fields {
		if !strings.Contains(invalid.Field, field) && !strings.Contains(invalid.Reason, field) {
			t.Errorf("%s: got error %v, want one that names %s", what, err, field)
		}
	}
}

// wantConflict demands a *ConflictError that names the token under id.
func (t *subject) wantConflict(what string, err error, id string) {
	t.Helper()
	var conflict *oauthstore.ConflictError
	if !errors.As(err, &conflict) {
		t.Errorf("%s: got error %v, want a *ConflictError", what, err)
		return
	}
	if conflict.ID != id {
		t.Errorf("%s: got a conflict with the token %q, want %q", what, conflict.ID, id)
	}
}

// hush begins every secret in the suite, so that one which gets into an error is recognised.
const hush = "hush-"

// full returns a token with every field but ID set. What can be the user's own is.
func full(userName string) *oauthstore.OAuthToken {
	return &oauthstore.OAuthToken{
		UserName:     userName,
		ClientID:     "client",
		ClientSecret: hush + "client",
		RedirectURL:  "https://app.example.com/callback?from=" + userName,
		GrantToken:   hush + "grant of " + userName,
		RefreshToken: hush + "refresh of " + userName,
		AccessToken:  hush + "access of " + userName,
		TokenType:    "Bearer",
		Scope:        "read write",
		APIDomain:    "https://api.example.com",
		Extra:        `{"instance_url":"https://eu.example.com","id_token":"` + hush + `id"}`,
		Expiry:       time.Date(2040, 2, 3, 4, 5, 6, 789e6, time.UTC),
	}
}

// under returns a token with an id, a user name, a client id, and an access token of its own.
func under(id, userName, clientID string) *oauthstore.OAuthToken {
	return &oauthstore.OAuthToken{ID: id, UserName: userName, ClientID: clientID, AccessToken: hush + "access under " + id}
}

// literal returns a token with the exported fields of token: one that no store has returned.
func literal(token *oauthstore.OAuthToken) *oauthstore.OAuthToken {
	if token == nil {
		return nil
	}
	c := &oauthstore.OAuthToken{}
	from, to := reflect.ValueOf(token).Elem(), reflect.ValueOf(c).Elem()
	for _, f := range exported {
		to.FieldByIndex(f.Index).Set(from.FieldByIndex(f.Index))
	}
	return c
}

// exported lists the exported fields of a token.
var exported = func() (fields []reflect.StructField) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[oauthstore.OAuthToken]()) {
		if f.IsExported() {
			fields = append(fields, f)
		}
	}
	return fields
}()

// textFields returns pointers to the exported string fields of token but ID, by name.
func textFields(token *oauthstore.OAuthToken) map[string]*string {
	fields := make(map[string]*string)
	for _, f := range exported {
		if p, ok := reflect.ValueOf(token).Elem().FieldByIndex(f.Index).Addr().Interface().(*string); ok && f.Name != "ID" {
			fields[f.Name] = p
		}
	}
	return fields
}

// valueOf returns a value for the string field of this name that holds text: Extra has to be a JSON object.
func valueOf(field, text string) string {
	if field != "Extra" {
		return text
	}
	b, _ := json.Marshal(map[string]string{"member": text}) // never fails
	return string(b)
}

// diff says in which exported fields got and want differ; nothing where they do not.
func diff(got, want *oauthstore.OAuthToken) string {
	if got == nil || want == nil {
		if got == want {
			return ""
		}
		return fmt.Sprintf("got %s, want %s", describe(got), describe(want))
	}
	var differ []string
	for _, f := range exported {
		g := reflect.ValueOf(got).Elem().FieldByIndex(f.Index).Interface()
		w := reflect.ValueOf(want).Elem().FieldByIndex(f.Index).Interface()
		if !same(g, w) {
			differ = append(differ, fmt.Sprintf("%s: got %s, want %s", f.Name, show(g), show(w)))
		}
	}
	return strings.Join(differ, "; ")
}

func same(a, b any) bool {
	at, aok := a.(time.Time)
	bt, bok := b.(time.Time)
	if aok && bok {
		return at.Equal(bt)
	}
	return a == b
}

// describe shows the fields that are set, secrets and all: they are the suite's own.
func describe(token *oauthstore.OAuthToken) string {
	if token == nil {
		return "nil"
	}
	var set []string
	for _, f := range exported {
		if v := reflect.ValueOf(token).Elem().FieldByIndex(f.Index); !v.IsZero() {
			set = append(set, f.Name+": "+show(v.Interface()))
		}
	}
	return "{" + strings.Join(set, ", ") + "}"
}

func show(value any) string {
	text, ok := value.(string)
	switch {
	case !ok:
		return fmt.Sprint(value)
	case len(text) > 80:
		return fmt.Sprintf("%q and %d more bytes", text[:80], len(text)-80)
	default:
		return fmt.Sprintf("%q", text)
	}
}

// ids returns the ids of the tokens.
func ids(tokens []*oauthstore.OAuthToken) []string {
	list := make([]string, 0, len(tokens))
	for _, token := range tokens {
		list = append(list, token.ID)
	}
	return list
}
