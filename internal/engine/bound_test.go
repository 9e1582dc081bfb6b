package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// boundCalls are the methods that are about one record, on a store with the tokens x of alice and y of bob.
var boundCalls = map[string]func(ctx context.Context, s *Store) error{
	"FindTokenByID": func(ctx context.Context, s *Store) error { _, err := s.FindTokenByID(ctx, "x"); return err },
	"FindToken": func(ctx context.Context, s *Store) error {
		_, err := s.FindToken(ctx, &oauthstore.OAuthToken{UserName: "alice"})
		return err
	},
	"SaveToken": func(ctx context.Context, s *Store) error {
		return s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"})
	},
	"SaveToken, inserted": func(ctx context.Context, s *Store) error {
		return s.SaveToken(ctx, &oauthstore.OAuthToken{UserName: "carol", AccessToken: "a"})
	},
	"SaveToken, renamed": func(ctx context.Context, s *Store) error {
		return s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", UserName: "carol"})
	},
	"UpdateToken": func(ctx context.Context, s *Store) error {
		return s.UpdateToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"})
	},
	"DeleteToken": func(ctx context.Context, s *Store) error { return s.DeleteToken(ctx, "x") },
	"LeaseToken": func(ctx context.Context, s *Store) error {
		_, err := s.LeaseToken(ctx, oauthstore.LeaseRequest{ID: "x", For: time.Minute})
		return err
	},
}

// pass lets time pass, until ctx ends.
func pass(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// wantGivenUp wants the error of a service that was too slow, not of a context that the caller never ended.
func wantGivenUp(t *testing.T, err error) {
	t.Helper()
	wantIs(t, err, oauthstore.ErrUnavailable)
	for _, ended := range []error{context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, ended) {
			t.Errorf("the error is %q, though the caller's context has not ended: %v", ended, err)
		}
	}
}

func TestBound_aCallWithoutADeadlineEndsInAMinute(t *testing.T) {
	for name, do := range boundCalls {
		for how, around := range map[string]func(ctx context.Context, c call, run func() error) error{
			"the service hangs": func(ctx context.Context, _ call, _ func() error) error { <-ctx.Done(); return ctx.Err() },
			"the service hangs, and the client says so in its own words": func(ctx context.Context, _ call, _ func() error) error {
				<-ctx.Done()
				return &Fault{Op: "Get", Class: oauthstore.ErrUnavailable, Err: context.DeadlineExceeded}
			},
			"the client ends each request after a while": func(ctx context.Context, _ call, _ func() error) error {
				pass(ctx, DefaultTimeout/2)
				return &Fault{Op: "Get", Class: oauthstore.ErrUnavailable, Err: context.DeadlineExceeded}
			},
			"the service is slow": func(ctx context.Context, _ call, run func() error) error {
				if pass(ctx, DefaultTimeout-time.Second); ctx.Err() != nil {
					return ctx.Err()
				}
				return run()
			},
			"other writers are always first": func(ctx context.Context, c call, run func() error) error {
				if c.op == get {
					return run()
				}
				pass(ctx, DefaultTimeout-time.Second)
				return fmt.Errorf("lost: %w", ErrConflict)
			},
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				virtually(t, func(t *testing.T) {
					m := newMemory()
					save(t, m.store(), under("x", "alice"))
					save(t, m.store(), under("y", "bob"))
					m.around = around
					s := New(m, codec.JSON{}, DefaultTimeout)
					begin := time.Now()
					err := do(t.Context(), s)
					if took := time.Since(begin); took > maxCall {
						t.Errorf("it took %v", took)
					}
					if err != nil {
						wantGivenUp(t, err)
					}
				})
			})
		}
	}
}

// The many records that a find by a token may read take as long as they take.
func TestBound_aFindThatReadsAllTokensGoesOnAsLongAsItReads(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Parallel = 1
		for i := range 20 {
			save(t, m.store(), oauthstore.OAuthToken{ID: fmt.Sprint("x", i), AccessToken: "old"})
		}
		save(t, m.store(), oauthstore.OAuthToken{ID: "x19", AccessToken: "new"})
		m.around = func(ctx context.Context, c call, run func() error) error {
			pass(ctx, 10*time.Second)
			return run()
		}
		found, err := New(m, codec.JSON{}, DefaultTimeout).FindToken(t.Context(), &oauthstore.OAuthToken{AccessToken: "new"})
		if err != nil || found.ID != "x19" {
			t.Errorf("got %v and error %v", found, err)
		}
	})
}

func TestBound_aDeadlineOfTheCallersCounts(t *testing.T) {
	for _, deadline := range []time.Duration{time.Second, 10 * time.Minute} {
		virtually(t, func(t *testing.T) {
			m := newMemory()
			m.around = func(ctx context.Context, c call, run func() error) error {
				if c.op != put {
					return run()
				}
				pass(ctx, DefaultTimeout/2)
				return ErrBlocked // which is worth waiting for longer than a minute
			}
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			begin := time.Now()
			token := under("x", "alice")
			err := New(m, codec.JSON{}, DefaultTimeout).SaveToken(ctx, &token)
			if took := time.Since(begin); took > deadline || deadline > maxCall && took <= maxCall {
				t.Errorf("it took %v, with a deadline of %v", took, deadline)
			}
			if got := errors.Is(err, context.DeadlineExceeded); got != (deadline < maxCall) {
				t.Errorf("got error %v, with a deadline of %v", err, deadline)
			}
		})
	}
}

func TestBound_theCallersOwnEndIsSaid(t *testing.T) {
	for name, do := range boundCalls {
		t.Run(name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				save(t, m.store(), under("x", "alice"))
				m.around = func(ctx context.Context, c call, run func() error) error { <-ctx.Done(); return ctx.Err() }
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				wantIs(t, do(ctx, New(m, codec.JSON{}, DefaultTimeout)), context.Canceled)
			})
		})
	}
}

// A service that hangs does not hold up DeleteTokens for each of the tokens.
func TestDeleteTokens_endsWhereNothingGetsThrough(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		for i := range 60 {
			save(t, m.store(), under(fmt.Sprint("x", i), fmt.Sprint("user", i)))
		}
		m.around = func(ctx context.Context, c call, run func() error) error {
			if c.op == get && c.name == indexName {
				return run()
			}
			<-ctx.Done()
			return ctx.Err()
		}
		m.limits.Parallel = 1
		begin := time.Now()
		wantGivenUp(t, New(m, codec.JSON{}, DefaultTimeout).DeleteTokens(t.Context()))
		if took := time.Since(begin); took > maxStalled+time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

// A list ends if the service does not answer for a minute, and goes on as long as it does.
func TestBound_aListThatHangsEndsInAMinute(t *testing.T) {
	for name, do := range map[string]func(context.Context, *Store) error{
		"Repair": func(ctx context.Context, s *Store) error {
			_, err := s.Repair(ctx, oauthstore.RepairOptions{})
			return err
		},
		"Rekey": func(ctx context.Context, s *Store) error {
			_, err := s.Rekey(ctx, oauthstore.RekeyOptions{})
			return err
		},
	} {
		for how, hang := range map[string]func(ctx context.Context) error{
			"the service hangs": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			"the client ends the request after a while": func(ctx context.Context) error {
				pass(ctx, DefaultTimeout)
				return &Fault{Op: "List", Class: oauthstore.ErrUnavailable, Err: context.DeadlineExceeded}
			},
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				virtually(t, func(t *testing.T) {
					m := newMemory()
					s := New(m, encrypting(t), DefaultTimeout)
					save(t, s, under("x", "alice"))
					m.around = func(ctx context.Context, c call, run func() error) error {
						if c.op == "list" {
							return hang(ctx)
						}
						return run()
					}
					begin := time.Now()
					wantGivenUp(t, do(t.Context(), s))
					if took := time.Since(begin); took > maxCall {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

// foreign is a service whose list begins with answers in which no name is the store's own, each of them slow.
type foreign struct{ *memory }

func (f foreign) List(ctx context.Context, yield func(names []string) bool) error {
	for range 20 {
		if pass(ctx, 10*time.Second); ctx.Err() != nil {
			return ctx.Err()
		}
		if !yield(nil) {
			return nil
		}
	}
	return f.memory.List(ctx, yield)
}

func TestBound_aListGoesOnAsLongAsTheServiceAnswers(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		s := New(foreign{m}, encrypting(t), DefaultTimeout)
		save(t, s, under("x", "alice"))
		if report, err := s.Repair(t.Context(), oauthstore.RepairOptions{}); err != nil {
			t.Errorf("Repair: got %+v and error %v", report, err)
		}
		if report, err := s.Rekey(t.Context(), oauthstore.RekeyOptions{}); err != nil {
			t.Errorf("Rekey: got %+v and error %v", report, err)
		}
	})
}

// What the caller does between the answers, in a Progress for example, does not count.
func TestBound_aListWaitsForItsCaller(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		n := 0
		err := New(m, codec.JSON{}, DefaultTimeout).list(t.Context(), func(string) {
			n++
			time.Sleep(2 * maxCall)
		})
		if err != nil || n != 2 {
			t.Errorf("got %d names and error %v, want 2", n, err)
		}
	})
}

func TestBound_aListThatItsCallerEndsSaysSoOnce(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("x", "alice"))
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		err := m.store().list(ctx, func(string) {
			n++
			cancel()
		})
		if err != context.Canceled || n != 1 {
			t.Errorf("got %d names and error %v, want 1 and only that the context has ended", n, err)
		}
	})
}
