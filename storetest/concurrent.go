package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore"
)

var concurrentChecks = []check{
	{"savers of one user who set different fields lose no update", concurrentFields},
	{"savers by access token who set different fields lose no update", concurrentByAccess},
	{"savers by refresh token who set different fields lose no update", concurrentByRefresh},
	{"a save by an access token that is replaced meanwhile comes before that or is an insert", moving(atAccess, movedSave)},
	{"a save by a grant token that is replaced meanwhile comes before that or is an insert", moving(atGrant, movedSave)},
	{"a save by a refresh token that is replaced meanwhile finds the record and leaves the newer one", moving(atRefresh, movedRefresh((*subject).saveTogether))},
	{"savers of found copies who set different fields lose no update", concurrentCopies},
	{"savers of different users are all heard", concurrentUsers},
	{"the same new user saved by many at once has one record", concurrentInsert},
	{"the same new user saved under many ids at once has one record", concurrentIDs},
	{"many records renamed to one name at once: one gets it", concurrentRename},
	{"the same token deleted by many at once is gone", concurrentDelete},
	{"DeleteTokens beside savers removes what was there", concurrentDeleteAll},
	{"savers, deleters and listers at once leave a store that agrees with itself", concurrentMix},
	{"no reader sees a token half written", concurrentHalf},
	{"an argument is the caller's again once the save has returned", concurrentArgument},
}

// together runs work in n goroutines, which start at the same time, waits for all of them, and
// reports their errors.
func (t *subject) together(n int, work func(i int) error) {
	t.Helper()
	start := make(chan struct{})
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			<-start
			errs[i] = work(i)
		}()
	}
	close(start)
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("goroutine %d of %d: %v", i, n, err)
		}
	}
}

// patiently calls do again where a store says that other writers kept coming in between.
func patiently(do func() error) error {
	var err error
	for range 20 {
		if err = do(); !errors.Is(err, oauthstore.ErrUnavailable) {
			return err
		}
	}
	return err
}

// saveTogether is SaveToken for use in together.
func (t *subject) saveTogether(token *oauthstore.OAuthToken) error {
	t.Helper()
	return patiently(func() error { return t.store.SaveToken(t.Context(), token) })
}

// deleteTogether is DeleteToken for use in together, where another may have been first.
func (t *subject) deleteTogether(id string) error {
	t.Helper()
	err := patiently(func() error { return t.store.DeleteToken(t.Context(), id) })
	if errors.Is(err, oauthstore.ErrTokenNotFound) {
		return nil
	}
	return err
}

func concurrentFields(t *subject) {
	want := literal(t.save(under("", "user", "")))
	var fields []string
	for name := range textFields(want) {
		if name != "UserName" && name != "ClientID" {
			fields = append(fields, name)
		}
	}
	t.setFields(want, atUser, fields)
}

func concurrentByAccess(t *subject) {
	want := literal(t.save(full("user")))
	t.setFields(want, atAccess, []string{"GrantToken", "RefreshToken", "TokenType", "Scope", "APIDomain", "RedirectURL"})
}

func concurrentByRefresh(t *subject) {
	want := literal(t.save(full("user")))
	want.ClientSecret = atRefresh(want).ClientSecret
	t.setFields(want, atRefresh, []string{"AccessToken", "TokenType", "Scope", "APIDomain", "RedirectURL"})
}

// setFields lets one saver for each of the fields set it several times in the only record of the store,
// which is want, and demands that none of it is lost.
func (t *subject) setFields(want *oauthstore.OAuthToken, at func(stored *oauthstore.OAuthToken) *oauthstore.OAuthToken, fields []string) {
	t.Helper()
	const rounds = 4
	stored := literal(want)
	t.together(len(fields), func(i int) error {
		for n := range rounds {
			token := at(stored)
			*textFields(token)[fields[i]] = valueOf(fields[i], fmt.Sprint(hush, fields[i], " ", n))
			if err := t.process(i).saveTogether(token); err != nil {
				return err
			}
		}
		return nil
	})
	for _, name := range fields {
		*textFields(want)[name] = valueOf(name, fmt.Sprint(hush, name, " ", rounds-1))
	}
	t.wantStored(want)
}

func concurrentCopies(t *subject) {
	want := literal(t.save(full("user")))
	fields := []string{"AccessToken", "RefreshToken", "Scope", "APIDomain", "RedirectURL"}
	const rounds = 3
	t.together(len(fields), func(i int) error {
		for n := range rounds {
			found, err := t.process(i).store.FindToken(t.Context(), &oauthstore.OAuthToken{UserName: "user"})
			if err != nil {
				return err
			}
			*textFields(found)[fields[i]] = valueOf(fields[i], fmt.Sprint(hush, fields[i], " ", n))
			if err := t.process(i).saveTogether(found); err != nil {
				return err
			}
		}
		return nil
	})
	for _, name := range fields {
		*textFields(want)[name] = valueOf(name, fmt.Sprint(hush, name, " ", rounds-1))
	}
	t.wantStored(want)
}

func concurrentUsers(t *subject) {
	const savers, each = 8, 3
	t.together(savers, func(i int) error {
		for n := range each {
			if err := t.process(i).saveTogether(full(fmt.Sprint("user ", i, " ", n))); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range savers {
		for n := range each {
			want := full(fmt.Sprint("user ", i, " ", n))
			want.ID = oauthstore.DerivedID(want.UserName, "")
			t.wantSame("FindToken", t.find(&oauthstore.OAuthToken{UserName: want.UserName}), want)
		}
	}
	if n := len(t.all()); n != savers*each {
		t.Errorf("GetTokens: got %d tokens, want %d", n, savers*each)
	}
}

func concurrentInsert(t *subject) {
	const savers, rounds = 8, 4
	for round := range rounds {
		name := fmt.Sprint("user ", round)
		var saved [savers]*oauthstore.OAuthToken
		t.together(savers, func(i int) error {
			saved[i] = &oauthstore.OAuthToken{UserName: name, AccessToken: fmt.Sprint(hush, name, " ", i)}
			return t.process(i).saveTogether(saved[i])
		})
		for _, token := range saved {
			t.wantID(token, saved[0].ID)
		}
		t.wantFound(&oauthstore.OAuthToken{UserName: name}, saved[0].ID)
		if got := t.all(); len(got) != round+1 {
			t.Errorf("GetTokens: got %d tokens %q, want %d, one a user", len(got), ids(got), round+1)
		}
	}
}

func concurrentIDs(t *subject) {
	const savers, rounds = 5, 4
	for round := range rounds {
		name := fmt.Sprint("user ", round)
		token := func(i int) *oauthstore.OAuthToken { return under(fmt.Sprint(round, " ", i), name, "") }
		t.wantOneWinner(savers, name, func(i int) (string, error) {
			return token(i).ID, t.process(i).saveTogether(token(i))
		})
	}
}

func concurrentRename(t *subject) {
	const savers, rounds = 4, 4
	for round := range rounds {
		name := fmt.Sprint("taken ", round)
		id := func(i int) string { return fmt.Sprint(round, " ", i) }
		for i := range savers {
			t.save(under(id(i), "user "+id(i), ""))
		}
		t.wantOneWinner(savers, name, func(i int) (string, error) {
			return id(i), t.process(i).saveTogether(&oauthstore.OAuthToken{ID: id(i), UserName: name})
		})
	}
}

// wantOneWinner demands that of several saves that would each give the user name to another id one
// succeeds, that the others conflict with it, and that one record has the name.
func (t *subject) wantOneWinner(savers int, name string, save func(i int) (id string, err error)) {
	t.Helper()
	var (
		mu   sync.Mutex
		won  []string
		lost []string // whom the losers were told to have lost to
	)
	t.together(savers, func(i int) error {
		id, err := save(i)
		mu.Lock()
		defer mu.Unlock()
		var conflict *oauthstore.ConflictError
		switch {
		case err == nil:
			won = append(won, id)
		case errors.As(err, &conflict):
			lost = append(lost, conflict.ID)
		default:
			return err
		}
		return nil
	})
	var holders []string
	for _, token := range t.all() {
		if token.UserName == name {
			holders = append(holders, token.ID)
		}
	}
	if len(won) != 1 || !slices.Equal(holders, won) {
		t.Fatalf("%q: the saves of %q succeeded, and the records %q have the name, want one and the same", name, won, holders)
	}
	for _, id := range lost {
		if id != won[0] {
			t.Errorf("%q: got a conflict with %q, want one with %q, which has the name", name, id, won[0])
		}
	}
	t.wantFound(&oauthstore.OAuthToken{UserName: name}, won[0])
}

func concurrentDelete(t *subject) {
	for range 3 {
		token := t.save(full("user"))
		var mu sync.Mutex
		deleted := 0
		t.together(4, func(i int) error {
			err := patiently(func() error { return t.process(i).store.DeleteToken(t.Context(), token.ID) })
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				deleted++
			}
			if errors.Is(err, oauthstore.ErrTokenNotFound) {
				return nil
			}
			return err
		})
		if deleted == 0 {
			t.Errorf("DeleteToken by four at once: none succeeded, want at least one")
		}
		t.wantGone(token)
		t.wantStored()
	}
}

func concurrentDeleteAll(t *subject) {
	var before []*oauthstore.OAuthToken
	for i := range 6 {
		before = append(before, t.save(full(fmt.Sprint("before ", i))))
	}
	t.together(4, func(i int) error {
		if i == 0 {
			return patiently(func() error { return t.store.DeleteTokens(t.Context()) })
		}
		for n := range 3 {
			if err := t.process(i).saveTogether(full(fmt.Sprint("meanwhile ", i, " ", n))); err != nil {
				return err
			}
		}
		return nil
	})
	for _, token := range before {
		t.wantNoID(token.ID)
	}
	t.wantAgreement("meanwhile 1 0", "meanwhile 1 1", "meanwhile 1 2", "meanwhile 2 0", "meanwhile 3 2")
}

// wantAgreement demands that GetTokens, FindTokenByID and FindToken tell the same of the store, and
// that each of the users is there for all of them or for none.
func (t *subject) wantAgreement(users ...string) {
	t.Helper()
	listed := make(map[string]*oauthstore.OAuthToken)
	for _, token := range t.all() {
		if twin := listed[token.UserName]; twin != nil {
			t.Errorf("GetTokens: the user %q has the records %q and %q, want one", token.UserName, twin.ID, token.ID)
		}
		listed[token.UserName] = token
		t.wantSame("FindTokenByID of one of GetTokens", t.byID(token.ID), token)
		t.wantSame("FindToken of one of GetTokens", t.find(&oauthstore.OAuthToken{UserName: token.UserName}), token)
	}
	for _, user := range users {
		if listed[user] == nil {
			t.wantNotFound(&oauthstore.OAuthToken{UserName: user})
			t.wantNoID(oauthstore.DerivedID(user, ""))
		}
	}
}

func concurrentMix(t *subject) {
	const rounds = 5
	users := []string{"user 0", "user 1", "user 2", "user 3"}
	savers, deleters := len(users), 2
	t.together(savers+deleters+2, func(i int) error {
		for n := range rounds {
			user := users[(i+n)%len(users)]
			var err error
			switch {
			case i < savers:
				err = t.process(i).saveTogether(full(user))
			case i < savers+deleters:
				err = t.process(i).deleteTogether(oauthstore.DerivedID(user, ""))
			default:
				err = t.process(i).listWhole()
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	t.wantAgreement(users...)

	for _, user := range users {
		want := literal(t.save(full(user)))
		want.ID = oauthstore.DerivedID(user, "")
		t.wantSame("a user saved afterwards", t.find(&oauthstore.OAuthToken{UserName: user}), want)
	}
	t.deleteAll()
	t.wantStored()
}

// listWhole lists all tokens, which full has made, and returns an error for one that is not whole.
func (t *subject) listWhole() error {
	tokens, err := t.store.GetTokens(t.Context())
	if err != nil {
		return fmt.Errorf("GetTokens, while others save and delete: %w", err)
	}
	for _, token := range tokens {
		want := full(token.UserName)
		want.ID = oauthstore.DerivedID(token.UserName, "")
		if d := diff(token, want); d != "" {
			return fmt.Errorf("GetTokens, while others save and delete: %s", d)
		}
	}
	return nil
}

// mark sets fields of token that belong together to values that tell so.
func mark(token *oauthstore.OAuthToken, n int) *oauthstore.OAuthToken {
	token.AccessToken = fmt.Sprint(hush, n)
	token.Scope = fmt.Sprint("scope ", n)
	token.APIDomain = fmt.Sprint("domain ", n)
	token.Expiry = time.Unix(int64(2e9+n), 0).UTC()
	return token
}

func concurrentHalf(t *subject) {
	const writers, readers, rounds = 2, 3, 8
	first := literal(t.save(mark(full("user"), 0)))
	t.together(writers+readers, func(i int) error {
		for n := range rounds {
			if i < writers {
				if err := t.process(i).saveTogether(mark(&oauthstore.OAuthToken{UserName: "user"}, 1+i*rounds+n)); err != nil {
					return err
				}
				continue
			}
			if err := t.process(i).readWhole(i-writers, first); err != nil {
				return err
			}
		}
		return nil
	})
	if err := t.readWhole(0, first); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// readWhole reads the one token of the store in one of three ways and returns an error if its
// fields do not belong together.
func (t *subject) readWhole(way int, first *oauthstore.OAuthToken) error {
	var got *oauthstore.OAuthToken
	var err error
	switch way {
	case 0:
		got, err = t.store.FindTokenByID(t.Context(), first.ID)
	case 1:
		got, err = t.store.FindToken(t.Context(), &oauthstore.OAuthToken{UserName: first.UserName})
	default:
		var all []*oauthstore.OAuthToken
		all, err = t.store.GetTokens(t.Context())
		if err == nil && len(all) != 1 {
			return fmt.Errorf("GetTokens, while others save: got %d tokens, want 1", len(all))
		}
		if err == nil {
			got = all[0]
		}
	}
	if err != nil {
		return err
	}
	var n int
	if _, err := fmt.Sscanf(got.AccessToken, hush+"%d", &n); err != nil {
		return fmt.Errorf("got access token %q, which nobody saved", got.AccessToken)
	}
	if d := diff(got, mark(literal(first), n)); d != "" {
		return fmt.Errorf("a token half written: %s", d)
	}
	return nil
}
