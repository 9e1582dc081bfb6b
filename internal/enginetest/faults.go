package enginetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/testserver"
)

// SecretMark stands in every secret of the tokens saved here, and nowhere else.
const SecretMark = "TOP-SECRET"

// A method is one call that is made to fail.
type method struct {
	name string
	do   func(ctx context.Context, s Store) error
	// done says what must hold once the call has succeeded.
	done func(ctx context.Context, s Store) error
}

func secretToken(user, id string) *oauthstore.OAuthToken {
	return &oauthstore.OAuthToken{
		ID: id, UserName: user, ClientID: "app", ClientSecret: "client " + SecretMark,
		RefreshToken: "refresh " + SecretMark + user, AccessToken: "access " + SecretMark + user,
	}
}

// methods work on a store with the tokens of alice, under the id derived from the name, and of bob,
// under the id bob.
func methods() []method {
	found := func(id string, holds func(*oauthstore.OAuthToken) bool) func(context.Context, Store) error {
		return func(ctx context.Context, s Store) error {
			t, err := s.FindTokenByID(ctx, id)
			if err == nil && !holds(t) {
				err = fmt.Errorf("found %v", t)
			}
			return err
		}
	}
	none := func(context.Context, Store) error { return nil }
	isCarol := func(t *oauthstore.OAuthToken) bool { return t.UserName == "carol" }
	refreshed := func(t *oauthstore.OAuthToken) bool { return t.AccessToken == "new "+SecretMark }
	alice := oauthstore.DerivedID("alice", "")
	return []method{
		{"FindToken by user name", func(ctx context.Context, s Store) error {
			_, err := s.FindToken(ctx, &oauthstore.OAuthToken{UserName: "bob"})
			return err
		}, none},
		{"FindToken by refresh token", func(ctx context.Context, s Store) error {
			t := secretToken("bob", "")
			t.UserName, t.AccessToken = "", ""
			_, err := s.FindToken(ctx, t)
			return err
		}, none},
		{"FindTokenByID", func(ctx context.Context, s Store) error {
			_, err := s.FindTokenByID(ctx, "bob")
			return err
		}, none},
		{"GetTokens", func(ctx context.Context, s Store) error {
			tokens, err := s.GetTokens(ctx)
			if err == nil && len(tokens) != 2 {
				err = fmt.Errorf("%d tokens, want 2", len(tokens))
			}
			return err
		}, none},
		{"SaveToken, new record", func(ctx context.Context, s Store) error {
			return s.SaveToken(ctx, secretToken("carol", ""))
		}, found(oauthstore.DerivedID("carol", ""), isCarol)},
		{"SaveToken, new record with an id", func(ctx context.Context, s Store) error {
			return s.SaveToken(ctx, secretToken("carol", "c"))
		}, found("c", isCarol)},
		{"SaveToken, new record of a user with another client", func(ctx context.Context, s Store) error {
			t := secretToken("alice", "second")
			t.ClientID = "app2"
			return s.SaveToken(ctx, t)
		}, found("second", func(t *oauthstore.OAuthToken) bool { return t.ClientID == "app2" })},
		{"SaveToken, record exists", func(ctx context.Context, s Store) error {
			return s.SaveToken(ctx, &oauthstore.OAuthToken{UserName: "alice", AccessToken: "new " + SecretMark})
		}, found(alice, refreshed)},
		{"SaveToken, a new user name", func(ctx context.Context, s Store) error {
			return s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "bob", UserName: "carol"})
		}, func(ctx context.Context, s Store) error {
			t, err := s.FindToken(ctx, &oauthstore.OAuthToken{UserName: "carol"})
			if err == nil && t.ID != "bob" {
				err = fmt.Errorf("found %v", t)
			}
			return err
		}},
		{"UpdateToken", func(ctx context.Context, s Store) error {
			return s.UpdateToken(ctx, &oauthstore.OAuthToken{ID: "bob", AccessToken: "new " + SecretMark})
		}, found("bob", refreshed)},
		{"DeleteToken", func(ctx context.Context, s Store) error { return s.DeleteToken(ctx, "bob") }, absent("bob")},
		{"DeleteTokens", func(ctx context.Context, s Store) error { return s.DeleteTokens(ctx) }, absent("bob")},
	}
}

func absent(id string) func(context.Context, Store) error {
	return func(ctx context.Context, s Store) error {
		if _, err := s.FindTokenByID(ctx, id); !errors.Is(err, oauthstore.ErrTokenNotFound) {
			return fmt.Errorf("found or failed: %v", err)
		}
		return nil
	}
}

// RunFaults makes every call of every method fail, in every way, as often as the client sends a request, and from there on,
// and looks at the result: every secret is in the index, no error shows a secret, and the method, called again
// when the service is well, does its work.
func RunFaults(t *testing.T, newBackend func(t *testing.T) Backend, tries int) {
	kinds := []testserver.Kind{testserver.FailBefore, testserver.FailAfter, testserver.DropAfter, testserver.Throttle, testserver.Deny}
	runAll(t, newBackend, kinds, []int{tries, -1}, runFault)
}

// RunHang makes every call of every method hang and checks that the caller's deadline is kept.
func RunHang(t *testing.T, newBackend func(t *testing.T) Backend) {
	runAll(t, newBackend, []testserver.Kind{testserver.Hang, testserver.HangAfter}, []int{-1}, runHang)
}

// atOnce is how many subtests run at a time. They spend their time waiting for the service, so there
// may be many more than t.Parallel would allow.
const atOnce = 48

func runAll(t *testing.T, newBackend func(t *testing.T) Backend, kinds []testserver.Kind, times []int,
	run func(t *testing.T, b Backend, m method, f testserver.Fault)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	places := make(chan struct{}, atOnce)
	for _, m := range methods() {
		for position := range countCalls(t, newBackend, m) {
			for _, kind := range kinds {
				for _, n := range times {
					name := fmt.Sprintf("%s, call %d %v, %d times", m.name, position+1, kind, n)
					places <- struct{}{}
					wg.Add(1)
					go func() {
						defer wg.Done()
						defer func() { <-places }()
						t.Run(name, func(t *testing.T) {
							run(t, newBackend(t), m, testserver.Fault{Kind: kind, Skip: position, Times: n})
						})
					}()
				}
			}
		}
	}
}

// prepare returns a store that nothing is known to yet, over a server with two tokens.
func prepare(t *testing.T, b Backend) Store {
	first := b.NewStore(t)
	save(t, first, secretToken("alice", ""))
	save(t, first, secretToken("bob", "bob"))
	return b.NewStore(t)
}

func countCalls(t *testing.T, newBackend func(t *testing.T) Backend, m method) int {
	b := newBackend(t)
	s := prepare(t, b)
	b.Control().ResetRequests()
	if err := m.do(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	return b.Control().Count()
}

func runFault(t *testing.T, b Backend, m method, f testserver.Fault) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s := prepare(t, b)
	b.Control().Inject(f)
	err := m.do(ctx, s)
	checkError(t, err, f)
	checkListed(t, b) // clears the faults
	if err != nil {
		if err := m.do(ctx, b.NewStore(t)); err != nil && !errors.Is(err, oauthstore.ErrTokenNotFound) {
			t.Fatalf("called again, it failed too: %v", err)
		}
	}
	if err := m.done(ctx, b.NewStore(t)); err != nil {
		t.Errorf("after success: %v", err)
	}
	checkListed(t, b)
}

// checkError looks at the error of a method that met a fault.
func checkError(t *testing.T, err error, f testserver.Fault) {
	t.Helper()
	if err == nil {
		return
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
		if text := fmt.Sprintf(verb, err); strings.Contains(text, SecretMark) {
			t.Errorf("the error shows a secret with %s: %s", verb, text)
		}
	}
	want := map[testserver.Kind]error{
		testserver.FailBefore: oauthstore.ErrUnavailable, testserver.FailAfter: oauthstore.ErrUnavailable,
		testserver.DropAfter: oauthstore.ErrUnavailable, testserver.Throttle: oauthstore.ErrThrottled,
		testserver.Deny: oauthstore.ErrAccessDenied,
	}[f.Kind]
	if !errors.Is(err, want) {
		t.Errorf("%v: got error %v, want one that is %q", f.Kind, err, want)
	}
}

func runHang(t *testing.T, b Backend, m method, f testserver.Fault) {
	s := prepare(t, b)
	b.Control().Inject(f)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	// A superseded version that could not be removed is no error.
	if err := m.do(ctx, s); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want context.DeadlineExceeded", err)
	}
	checkListed(t, b)
	if err := m.do(context.Background(), b.NewStore(t)); err != nil && !errors.Is(err, oauthstore.ErrTokenNotFound) {
		t.Errorf("called again, it failed: %v", err)
	}
	if err := m.done(context.Background(), b.NewStore(t)); err != nil {
		t.Errorf("after success: %v", err)
	}
	checkListed(t, b)
}

// RunSlow makes every call to the service hang. It checks that the error says that the service is too slow, and is not a
// context's error, since the caller's context does not end. newStore returns a store that does not wait for long.
func RunSlow(t *testing.T, newBackend func(t *testing.T) Backend, newStore func(t *testing.T, b Backend) Store) {
	for _, m := range methods() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t)
			prepare(t, b)
			s := newStore(t, b)
			b.Control().Inject(testserver.Fault{Kind: testserver.Hang, Times: -1})
			err := m.do(context.Background(), s)
			if !errors.Is(err, oauthstore.ErrUnavailable) {
				t.Errorf("got error %v, want ErrUnavailable", err)
			}
			for _, ended := range []error{context.DeadlineExceeded, context.Canceled} {
				if errors.Is(err, ended) {
					t.Errorf("the error is %q, which is the caller's to bring about: %v", ended, err)
				}
			}
		})
	}
}

// RunDeniedDelete denies op, the call that destroys a secret's content, to a store that may do all else: the
// token must still be there. newStore makes the store.
func RunDeniedDelete(t *testing.T, b Backend, op string, newStore func(t *testing.T) oauthstore.TokenStore) {
	ctx := context.Background()
	s := newStore(t)
	save(t, s, secretToken("alice", "alice"))
	b.Control().Inject(testserver.Fault{Op: op, Kind: testserver.Deny, Times: -1})
	for range 2 {
		if err := s.DeleteToken(ctx, "alice"); !errors.Is(err, oauthstore.ErrAccessDenied) {
			t.Fatalf("DeleteToken: got error %v, want ErrAccessDenied", err)
		}
		for _, reader := range []oauthstore.TokenStore{s, newStore(t)} {
			got, err := reader.FindToken(ctx, &oauthstore.OAuthToken{UserName: "alice"})
			if err != nil || got.RefreshToken != secretToken("alice", "").RefreshToken {
				t.Fatalf("after a delete that was denied: got token %v and error %v", got, err)
			}
		}
	}
	checkListed(t, b) // clears the fault
	if err := s.DeleteToken(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	if err := absent("alice")(ctx, newStore(t).(Store)); err != nil {
		t.Error(err)
	}
}
