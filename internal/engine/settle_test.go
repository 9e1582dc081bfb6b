package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
)

// Writes whose answer is lost, or that come later than their caller thinks.

func TestCommit_aLostAnswerIsSettledByTheWriteID(t *testing.T) {
	for others := range maxEarlier + 1 {
		t.Run(fmt.Sprint("superseded by ", others), func(t *testing.T) {
			eachKind(t, func(t *testing.T, m *memory) {
				save(t, m.store(), under("x", "alice"))
				m.on(put, xName, func(run func() error) error {
					err := lost(run)
					for i := range others {
						save(t, m.store(), oauthstore.OAuthToken{ID: "x", AccessToken: fmt.Sprint("newer ", i)})
					}
					return err
				})
				m.forgetCalls()
				save(t, m.store(), oauthstore.OAuthToken{ID: "x", AccessToken: "old", Scope: "s"})
				if got := m.count(put, xName); got != 1+others {
					t.Errorf("got %d writes, want %d: the write that took effect is not repeated", got, 1+others)
				}
				want := "old"
				if others > 0 {
					want = fmt.Sprint("newer ", others-1)
				}
				if got := m.token(t, "x"); got.AccessToken != want || got.Scope != "s" {
					t.Errorf("got access token %q and scope %q, want %q and s", got.AccessToken, got.Scope, want)
				}
			})
		})
	}
}

func TestCommit_aWriteThatMetItselfIsNoConflict(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		// The service's client has tried twice: the second try was refused because of the first.
		twice := func(run func() error) error {
			wantNoError(t, run())
			return run()
		}
		m.on(put, indexName, twice)
		m.on(put, xName, twice)
		save(t, m.store(), under("x", "alice"))
		m.wantEntries(t, "x", 1)
		m.on(put, xName, twice)
		save(t, m.store(), oauthstore.OAuthToken{ID: "x", Scope: "s"})
		if got := m.token(t, "x").Scope; got != "s" {
			t.Errorf("got scope %q, want s", got)
		}
	})
}

func TestInsert_whoseAnswerIsLostIsNotMadeTwice(t *testing.T) {
	for name, token := range map[string]oauthstore.OAuthToken{
		"with id": under("x", "alice"), "by user name": under("", "alice"), "by nothing": under("", ""),
	} {
		for _, op := range []string{"the record's", "the index's"} {
			t.Run(name+", "+op+" answer", func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					m := newMemory()
					failed := false
					m.around = func(_ context.Context, c call, run func() error) error {
						if c.op == put && !failed && (c.name == indexName) == (op == "the index's") {
							failed = true
							return lost(run)
						}
						return run()
					}
					got := save(t, m.store(), token)
					m.wantIDs(t, got.ID)
					m.wantEntries(t, got.ID, 1)
				})
			})
		}
	}
}

// The record was there for a moment, and others may have seen it. What counts is the caller, who was
// told that it is stored.
func TestInsert_thatWasDeletedBeforeItsAnswerIsMadeAgain(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		m.on(put, xName, func(run func() error) error {
			err := lost(run)
			remove(t, m.store(), "x")
			return err
		})
		save(t, m.store(), under("x", "alice"))
		m.wantIDs(t, "x")
	})
}

func TestInsert_thatWasDeletedBeforeItsAnswerMeetsTheNextInsert(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		m.on(put, xName, func(run func() error) error {
			err := lost(run)
			remove(t, m.store(), "x")
			save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "alice", AccessToken: "a"})
			return err
		})
		save(t, m.store(), under("x", "alice"))
		if got := m.token(t, "x"); got.AccessToken != "a" || got.RefreshToken == "" {
			t.Errorf("got %v, want the tokens of both", got)
		}
	})
}

// The first try arrives at the service when its caller has long given it up.
func TestInsert_whoseFirstTryComesLate(t *testing.T) {
	for name, other := range map[string]string{"before the second": put, "after the second": get} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, m *memory) {
				m.on(put, xName, func(run func() error) error {
					if other == put {
						m.before(put, xName, func() { _ = run() })
					} else {
						t.Cleanup(func() { _ = run(); m.wantConsistent(t) })
					}
					return errLost
				})
				save(t, m.store(), under("x", "alice"))
				m.wantIDs(t, "x")
			})
		})
	}
}

func TestInsert_thatMayHaveBeenStoredKeepsItsEntry(t *testing.T) {
	for name, failure := range map[string]error{
		"when reading back is denied":         oauthstore.ErrAccessDenied,
		"when reading back exceeds a quota":   fmt.Errorf("%w: %w", oauthstore.ErrThrottled, ErrExhausted),
		"when reading back fails":             oauthstore.ErrUnavailable,
		"when reading back fails in its ways": errors.New("unknown"),
	} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, m *memory) {
				m.on(put, xName, func(run func() error) error {
					err := lost(run)
					m.on(get, xName, fails(failure))
					return err
				})
				token := under("x", "alice")
				wantIs(t, m.store().SaveToken(t.Context(), &token), failure)
				m.wantIDs(t, "x")
				m.wantEntries(t, "x", 1)
			})
		})
	}
}

func TestInsert_thatSurelyWasNotStoredWithdrawsItsEntry(t *testing.T) {
	for name, failure := range map[string]error{
		"denied": oauthstore.ErrAccessDenied, "a quota": fmt.Errorf("%w: %w", oauthstore.ErrThrottled, ErrExhausted),
		"too large": oauthstore.ErrRecordTooLarge,
	} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, m *memory) {
				m.on(put, xName, fails(failure))
				token := under("x", "alice")
				wantIs(t, m.store().SaveToken(t.Context(), &token), failure)
				m.wantIDs(t)
				m.wantEntries(t, "x", 0)
				save(t, m.store(), under("y", "alice")) // no conflict with what was withdrawn
			})
		})
	}
}

func TestUpdate_aTryThatComesLateIsRefused(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		var late func() error
		m.on(put, xName, func(run func() error) error { late = run; return errLost })
		save(t, m.store(), oauthstore.OAuthToken{ID: "x", AccessToken: "a"})
		remove(t, m.store(), "x")
		wantIs(t, late(), ErrConflict)
		m.wantIDs(t)
	})
}

// Two claims share a write of the index that leaves one of them out, and its answer is lost. When the
// write is made again nothing speaks against that one any more; but then the first write comes through.
func TestIndex_aWriteThatComesLateIsNoSuccessForThoseWhoAreNotInIt(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		save(t, m.store(), under("z", "alice"))
		time.Sleep(grace)
		s := m.store()
		leads := m.stopAt(put, indexName)
		leader := saving(t, s, under("w", "walter")) // the next two wait for it and share a write
		leads.wait()
		out, in := saving(t, s, under("x", "alice")), saving(t, s, under("y", "bob"))
		settle()
		m.on(put, indexName, func(late func() error) error {
			m.on(put, indexName, fails(oauthstore.ErrAccessDenied))
			wantIs(t, m.store().DeleteToken(t.Context(), "z"), oauthstore.ErrAccessDenied)
			m.before(put, indexName, func() { _ = late() })
			return errLost
		})
		leads.goOn()
		wantNoError(t, leader())
		wantNoError(t, in())
		if err := out(); err == nil {
			m.wantEntries(t, "x", 1)
		}
		m.wantConsistent(t)
		m.wantRulesUsed(t)
	})
}

func TestDelete_whoseAnswerIsLostSucceeds(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		for _, op := range deletions(m) {
			save(t, m.store(), under("x", "alice"))
			m.on(op, xName, lost)
			remove(t, m.store(), "x")
			m.wantIDs(t)
			m.wantEntries(t, "x", 0)
		}
	})
}

func TestDelete_thatFailsIsTriedAgain(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		for _, op := range deletions(m) {
			save(t, m.store(), under("x", "alice"))
			m.on(op, xName, fails(oauthstore.ErrUnavailable))
			remove(t, m.store(), "x")
			m.wantIDs(t)
			m.wantEntries(t, "x", 0)
		}
	})
}

// The read after the failure shows the time before the insert.
func TestDelete_thatFailsDoesNotBelieveAReadThatLagsBehind(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		for _, op := range deletions(m) {
			save(t, m.store(), under("x", "alice"))
			m.on(op, xName, func(func() error) error {
				m.on(get, xName, func(func() error) error { return nil })
				return oauthstore.ErrUnavailable
			})
			remove(t, m.store(), "x")
			m.wantIDs(t)
			m.wantEntries(t, "x", 0)
			m.wantRulesUsed(t)
		}
	})
}

// The delete has taken effect, and the call ends before its answer. The repeat removes the entry.
func TestDelete_thatEndsAtItsLastWriteIsCompletedByTheRepeat(t *testing.T) {
	for name, deletes := range map[string]func(ctx context.Context, s *Store) error{
		"one": func(ctx context.Context, s *Store) error { return s.DeleteToken(ctx, "x") },
		"all": func(ctx context.Context, s *Store) error { return s.DeleteTokens(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, m *memory) {
				s := m.store()
				save(t, s, under("x", "alice"))
				ctx, cancel := context.WithCancel(t.Context())
				ops := deletions(m)
				m.on(ops[len(ops)-1], xName, func(run func() error) error {
					err := lost(run)
					cancel()
					return err
				})
				wantIs(t, deletes(ctx, s), context.Canceled)
				m.wantIDs(t)
				wantNoError(t, deletes(t.Context(), s))
				m.wantEntries(t, "x", 0)
				save(t, m.store(), under("y", "alice"))
			})
		})
	}
}

// A save that failed at the index, and a delete of what another process has stored under the id.
func TestDelete_removesWhatAFailedSaveOfTheIDHasLeft(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		s := m.store()
		ctx, cancel := context.WithCancel(t.Context())
		m.on(put, indexName, func(run func() error) error {
			err := lost(run)
			cancel()
			return err
		})
		token := under("x", "bob")
		wantIs(t, s.SaveToken(ctx, &token), context.Canceled)
		save(t, m.store(), under("x", "alice"))
		remove(t, s, "x")
		m.wantEntries(t, "x", 0)
	})
}

func deletions(m *memory) []string {
	if m.tombstones {
		return []string{bury, destroy}
	}
	return []string{del}
}

func TestDelete_whoseAnswerIsLostMeetsAnInsert(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		ops := deletions(m)
		m.on(ops[len(ops)-1], xName, func(run func() error) error {
			err := lost(run)
			save(t, m.store(), under("x", "alice"))
			return err
		})
		wantNoError(t, m.store().DeleteToken(t.Context(), "x"))
	})
}

func TestDelete_takesAnUpdateThatCameInBetweenWithIt(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		save(t, m.store(), under("x", "alice"))
		m.before(deletions(m)[0], xName, func() { save(t, m.store(), oauthstore.OAuthToken{ID: "x", UserName: "bob"}) })
		remove(t, m.store(), "x")
		m.wantIDs(t)
		save(t, m.store(), under("y", "alice"))
	})
}
