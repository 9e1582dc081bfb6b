package engine

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

const leasedName = tokenPrefix + "x"

func leaseIt(t testing.TB, s *Store, request oauthstore.LeaseRequest) *oauthstore.Lease {
	t.Helper()
	request.ID = "x"
	if request.For == 0 {
		request.For = 30 * time.Second
	}
	l, err := s.LeaseToken(t.Context(), request)
	if err != nil {
		t.Fatalf("LeaseToken: %v", err)
	}
	return l
}

// refreshedBy is what the provider gives to the holder of l.
func refreshedBy(l *oauthstore.Lease, name string) *oauthstore.OAuthToken {
	token := *l.Token
	token.AccessToken, token.RefreshToken = "access "+name, "refresh "+name
	return &token
}

func TestLease_costs(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		s, other := m.store(), m.store()
		for _, step := range []struct {
			what      string
			do        func() error
			get, puts int
		}{
			{"a lease", func() error { leaseIt(t, s, oauthstore.LeaseRequest{}); return nil }, 1, 1},
			{"a lease that another has", func() error { leaseIt(t, other, oauthstore.LeaseRequest{}); return nil }, 1, 0},
			{"a lease that is not due", func() error {
				leaseIt(t, other, oauthstore.LeaseRequest{Due: func(*oauthstore.OAuthToken) bool { return false }})
				return nil
			}, 1, 0},
		} {
			m.forgetCalls()
			if err := step.do(); err != nil {
				t.Errorf("%s: %v", step.what, err)
			}
			if gets, puts := m.count(get, leasedName), m.count(put, leasedName); gets != step.get || puts != step.puts || m.count(put, indexName) > 0 {
				t.Errorf("%s: got %d reads and %d writes, want %d and %d", step.what, gets, puts, step.get, step.puts)
			}
		}
		l := leaseIt(t, s, oauthstore.LeaseRequest{TakeOver: leaseIt(t, s, oauthstore.LeaseRequest{})})
		m.forgetCalls()
		if err := s.SaveLeased(t.Context(), l, refreshedBy(l, "1")); err != nil {
			t.Fatal(err)
		}
		if n := m.count("", ""); n != 1 {
			t.Errorf("a save under a lease: got %d calls, want one write", n)
		}
	})
}

func TestLease_anOldOneIsReadAgainBeforeItIsSaved(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := m.store()
		save(t, s, under("x", "alice"))
		l := leaseIt(t, s, oauthstore.LeaseRequest{For: time.Hour})
		time.Sleep(maxLeasedAge + time.Second)
		m.forgetCalls()
		if err := s.SaveLeased(t.Context(), l, refreshedBy(l, "1")); err != nil {
			t.Fatal(err)
		}
		if gets, puts := m.count(get, leasedName), m.count(put, leasedName); gets != 1 || puts != 1 {
			t.Errorf("got %d reads and %d writes, want one each", gets, puts)
		}
	})
}

func TestLease_isFreeOnceItHasEndedByEveryClock(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		first := leaseIt(t, m.store(), oauthstore.LeaseRequest{})
		time.Sleep(30*time.Second + oauthstore.MaxClockSkew)
		if l := leaseIt(t, m.store(), oauthstore.LeaseRequest{}); l.Held {
			t.Error("it is given to another although its holder's clock may be behind")
		}
		time.Sleep(time.Second)
		l := leaseIt(t, m.store(), oauthstore.LeaseRequest{})
		if !l.Held || !l.TakenOver || l.Holder == first.Holder {
			t.Errorf("got %v, taken over: %v, want a new one, taken over", l, l.TakenOver)
		}
	})
}

// Every call of a lease's life whose answer is lost, or that comes late, or fails.
func TestLease_lostAnswers(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		s := m.store()
		m.on(put, leasedName, lost)
		l := leaseIt(t, s, oauthstore.LeaseRequest{})
		if !l.Held {
			t.Fatalf("a lease whose answer was lost: got %v, want it held", l)
		}
		if other := leaseIt(t, m.store(), oauthstore.LeaseRequest{}); other.Held || other.Holder != l.Holder {
			t.Errorf("another asks: got %v, want that of %v", other, l)
		}
		m.on(put, leasedName, lost)
		if err := s.RenewLease(t.Context(), l); err != nil {
			t.Errorf("RenewLease whose answer was lost: %v", err)
		}
		m.on(put, leasedName, lost)
		token := refreshedBy(l, "1")
		if err := s.SaveLeased(t.Context(), l, token); err != nil {
			t.Errorf("SaveLeased whose answer was lost: %v", err)
		}
		if got := m.token(t, "x"); got.RefreshToken != "refresh 1" {
			t.Errorf("got %s stored", got.RefreshToken)
		}
		l = leaseIt(t, s, oauthstore.LeaseRequest{})
		m.on(put, leasedName, lost)
		if err := s.ReleaseLease(t.Context(), l); err != nil {
			t.Errorf("ReleaseLease whose answer was lost: %v", err)
		}
		if l := leaseIt(t, s, oauthstore.LeaseRequest{}); !l.Held || l.TakenOver {
			t.Errorf("after it was given back: got %v, taken over: %v", l, l.TakenOver)
		}
	})
}

// A save whose answer is lost and that many writes follow is not made twice.
func TestLease_aSaveThatTookEffectIsNotLostNorRepeated(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := m.store()
		save(t, s, under("x", "alice"))
		l := leaseIt(t, s, oauthstore.LeaseRequest{})
		m.on(put, leasedName, func(run func() error) error {
			_ = run()
			for i := range maxEarlier + 2 {
				save(t, m.store(), oauthstore.OAuthToken{ID: "x", Scope: fmt.Sprint(i)})
			}
			save(t, m.store(), oauthstore.OAuthToken{ID: "x", RefreshToken: "of a new consent"})
			return errLost
		})
		err := s.SaveLeased(t.Context(), l, refreshedBy(l, "1"))
		if err != nil && !errors.Is(err, oauthstore.ErrLeaseLost) {
			t.Errorf("got error %v", err)
		}
		if got := m.token(t, "x").RefreshToken; got != "of a new consent" {
			t.Errorf("got %q stored, want that of the new consent", got)
		}
	})
}

func TestLease_isTakenByOneWhereTwoMeet(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		at := m.stopAt(put, leasedName)
		var first *oauthstore.Lease
		result := start(func() (err error) {
			first, err = m.store().LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "x", For: time.Minute})
			return err
		})
		at.wait()
		second := leaseIt(t, m.store(), oauthstore.LeaseRequest{})
		at.goOn()
		if err := result(); err != nil || first.Held || !second.Held || first.Holder != second.Holder {
			t.Errorf("got %v and %v and error %v, want the second to have it", first, second, err)
		}
	})
}

func TestLease_saveMeetsATakeOver(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		save(t, s, under("x", "alice"))
		l := leaseIt(t, s, oauthstore.LeaseRequest{})
		at := m.stopAt(put, leasedName)
		late := *l.Token
		late.AccessToken = "late" // the refresh token was not replaced
		result := start(func() error { return s.SaveLeased(t.Context(), l, &late) })
		at.wait()
		next := leaseIt(t, m.store(), oauthstore.LeaseRequest{TakeOver: l})
		at.goOn()
		wantIs(t, result(), oauthstore.ErrLeaseLost)
		if got := leaseIt(t, m.store(), oauthstore.LeaseRequest{}); got.Holder != next.Holder || m.token(t, "x").AccessToken != "" {
			t.Errorf("got %v, want the lease of %v, and nothing stored", got, next)
		}
	})
}

// An update, a mark by another record of the user and a rename leave a lease alone, and so does a delete that is taken
// back.
func TestLease_staysThroughTheWritesOfOthers(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.tombstones = true
		save(t, m.store(), under("x", "alice"))
		l := leaseIt(t, m.store(), oauthstore.LeaseRequest{})
		other := under("y", "alice")
		other.ClientID = "other"
		save(t, m.store(), other)
		save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "bob"})
		m.on(destroy, leasedName, fails(oauthstore.ErrAccessDenied))
		wantIs(t, m.store().DeleteToken(t.Context(), "x"), oauthstore.ErrAccessDenied)
		if got := leaseIt(t, m.store(), oauthstore.LeaseRequest{}); got.Holder != l.Holder {
			t.Errorf("got %v, want that of %v", got, l)
		}
		if err := m.store().SaveLeased(t.Context(), l, refreshedBy(l, "1")); err != nil {
			t.Error(err)
		}
		m.wantConsistent(t)
		if got := m.token(t, "x"); got.UserName != "bob" || got.RefreshToken != "refresh 1" {
			t.Errorf("got %v", got)
		}
	})
}

// A save under a lease may rename, as any other.
func TestLease_aSaveThatRenames(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		save(t, m.store(), under("y", "carol"))
		l := leaseIt(t, m.store(), oauthstore.LeaseRequest{})
		token := refreshedBy(l, "1")
		token.UserName = "carol"
		wantConflict(t, m.store().SaveLeased(t.Context(), l, token), "y")
		token.UserName = "bob"
		if err := m.store().SaveLeased(t.Context(), l, token); err != nil {
			t.Fatal(err)
		}
		m.wantConsistent(t)
		if got := find(t, m.store(), oauthstore.OAuthToken{UserName: "bob"}); got.RefreshToken != "refresh 1" {
			t.Errorf("got %v", got)
		}
	})
}

// The last writes of a day are for refresh tokens that are replaced, and so are their leases.
func TestLease_whereWritesAreCounted(t *testing.T) {
	for name, rotates := range map[string]bool{"the refresh token stays": false, "it is replaced": true} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := daily()
				s := m.store()
				save(t, s, under("x", "alice"))
				refused := 0
				for i := range 45 {
					l, err := s.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "x", For: time.Minute})
					var quota *oauthstore.WriteQuotaError
					if errors.As(err, &quota) {
						refused++
						continue
					}
					if err != nil || !l.Held {
						t.Fatalf("refresh %d: got %v and error %v", i, l, err)
					}
					token := *l.Token
					token.AccessToken = fmt.Sprint("access ", i)
					if rotates {
						token.RefreshToken = fmt.Sprint("refresh ", i)
					}
					if err := s.SaveLeased(t.Context(), l, &token); err != nil {
						t.Fatalf("refresh %d: %v", i, err)
					}
					time.Sleep(time.Minute)
				}
				if rotates != (refused == 0) {
					t.Errorf("%d leases were refused", refused)
				}
			})
		})
	}
}

// Whoever has a lease can store what came of it, and a new login can be stored at any time of the day.
func TestLease_theVeryLastWritesAreForSaves(t *testing.T) {
	for _, before := range []int{0, 1} {
		virtually(t, func(t *testing.T) {
			s := daily().store()
			save(t, s, under("x", "alice"))
			for i := range before {
				save(t, s, oauthstore.OAuthToken{ID: "x", Scope: fmt.Sprint(i)})
			}
			refresh := func(i int) error {
				l, err := s.LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "x", For: time.Minute})
				if err != nil {
					return err
				}
				token := *l.Token
				token.AccessToken, token.RefreshToken = fmt.Sprint("access ", i), fmt.Sprint("refresh ", i)
				if err := s.SaveLeased(t.Context(), l, &token); err != nil {
					t.Fatalf("refresh %d: what was refreshed under a lease cannot be stored: %v", i, err)
				}
				return nil
			}
			done := 0
			var err error
			for ; err == nil; done++ {
				err = refresh(done)
			}
			wantIs(t, err, oauthstore.ErrThrottled)
			if done < 45 {
				t.Errorf("%d refreshes in a day, want 45", done)
			}
			save(t, s, oauthstore.OAuthToken{ID: "x", RefreshToken: "of a new login"})
			time.Sleep(26 * time.Hour)
			if err := refresh(done); err != nil {
				t.Errorf("the next day: %v", err)
			}
		})
	}
}

// A holder that cannot save, and renews its lease for hours, uses up no writes that the save needs.
func TestLease_isNotRenewedWithTheVeryLastWrites(t *testing.T) {
	virtually(t, func(t *testing.T) {
		s := daily().store()
		save(t, s, under("x", "alice"))
		l := leaseIt(t, s, oauthstore.LeaseRequest{})
		var err error
		for err == nil {
			time.Sleep(10 * time.Second)
			err = s.RenewLease(t.Context(), l)
		}
		wantIs(t, err, oauthstore.ErrThrottled)
		token := *l.Token
		token.RefreshToken = "replaced"
		if err := s.SaveLeased(t.Context(), l, &token); err != nil {
			t.Error(err)
		}
	})
}

func TestLease_aRefusalEndsWithTheNextChangeOfTheToken(t *testing.T) {
	for name, wait := range map[string]time.Duration{"the user logs in": 0, "an hour later": time.Hour} {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				s := newMemory().store()
				save(t, s, under("x", "alice"))
				l := leaseIt(t, s, oauthstore.LeaseRequest{})
				l.Refused = "invalid_grant"
				if err := s.ReleaseLease(t.Context(), l); err != nil {
					t.Fatal(err)
				}
				request := oauthstore.LeaseRequest{ID: "x", For: time.Minute}
				if l, err := s.LeaseToken(t.Context(), request); err != nil || l.Held || l.Refused != "invalid_grant" {
					t.Fatalf("got %v and error %v, want the refusal", l, err)
				}
				if time.Sleep(wait); wait == 0 {
					save(t, s, oauthstore.OAuthToken{ID: "x", RefreshToken: "of a new login"})
				}
				if l, err := s.LeaseToken(t.Context(), request); err != nil || !l.Held || l.Refused != "" || l.TakenOver {
					t.Errorf("got %v and error %v, want the lease", l, err)
				}
			})
		})
	}
}

func TestLease_spacingDoesNotKeepASaveFromGivingItBack(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := daily()
		s := m.store()
		s.SpaceAccessTokens(time.Hour)
		save(t, s, under("x", "alice"))
		l := leaseIt(t, s, oauthstore.LeaseRequest{})
		token := *l.Token
		token.AccessToken = "new"
		if err := s.SaveLeased(t.Context(), l, &token); err != nil {
			t.Fatal(err)
		}
		if m.token(t, "x").AccessToken != "new" {
			t.Error("it is not stored")
		}
		if l := leaseIt(t, s, oauthstore.LeaseRequest{}); !l.Held {
			t.Errorf("got %v, want it free", l)
		}
	})
}

func TestLease_isKeptInTheHeader(t *testing.T) {
	for _, text := range []string{"", "holder 30000 1893456000000", "refused: 1893456000000 invalid_grant", "refused: 1893456000000 a code of many words"} {
		l := parseLease(text)
		if got := l.String(); got != text {
			t.Errorf("%q: got %q", text, got)
		}
	}
	for _, text := range []string{"holder", "holder 1", "holder x 1", "holder 1 x", " ", "refused: 1", "refused: x invalid_grant"} {
		if l := parseLease(text); l != (lease{}) {
			t.Errorf("%q: got %v, want nobody's", text, l)
		}
	}
	if l := parseLease("holder 1 2 and more of a later version"); l.holder != "holder" {
		t.Errorf("what a later version adds: got %v", l)
	}
	if _, err := New(newMemory(), codec.JSON{}, time.Hour).LeaseToken(t.Context(), oauthstore.LeaseRequest{ID: "x"}); !errors.Is(err, oauthstore.ErrInvalidToken) {
		t.Errorf("a lease for no time: got error %v", err)
	}
}
