package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// panicking is a codec that panics when it decodes a document, as an AEAD may.
type panicking struct {
	codec.JSON
	well bool
}

func (p *panicking) Decode(secret string, d codec.Document) (*oauthstore.Record, error) {
	if !p.well {
		panic("the codec")
	}
	return p.JSON.Decode(secret, d)
}

// A panic of the codec reaches the caller, whichever goroutine it is in, and leaves no record locked.
func TestPanicOfTheCodec_reachesTheCaller(t *testing.T) {
	for name, driver := range map[string]func(m *memory) Driver{
		"one by one": func(m *memory) Driver { return m },
		"in batches": func(m *memory) Driver { return batching{m} },
	} {
		for method, do := range map[string]func(ctx context.Context, s *Store) error{
			"GetTokens": func(ctx context.Context, s *Store) error { _, err := s.GetTokens(ctx); return err },
			"Tokens": func(ctx context.Context, s *Store) error {
				for range s.Tokens(ctx) {
					continue
				}
				return nil
			},
			"Repair": func(ctx context.Context, s *Store) error {
				_, err := s.Repair(ctx, oauthstore.RepairOptions{})
				return err
			},
			"FindToken": func(ctx context.Context, s *Store) error {
				if _, err := s.FindToken(ctx, &oauthstore.OAuthToken{AccessToken: "another"}); !errors.Is(err, oauthstore.ErrTokenNotFound) {
					return err
				}
				return nil
			},
			"SaveToken": func(ctx context.Context, s *Store) error {
				return s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", Scope: "all"})
			},
			"LeaseToken": func(ctx context.Context, s *Store) error {
				_, err := s.LeaseToken(ctx, oauthstore.LeaseRequest{ID: "x", For: time.Minute})
				return err
			},
		} {
			t.Run(name+", "+method, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					m := newMemory()
					for id, user := range map[string]string{"x": "alice", "y": "bob", "z": "carol"} {
						save(t, m.store(), under(id, user))
					}
					c := new(panicking)
					s := New(driver(m), c, time.Hour)
					func() {
						defer func() {
							if recover() == nil {
								t.Error("got no panic")
							}
						}()
						_ = do(t.Context(), s)
					}()
					c.well = true
					wantNoError(t, do(t.Context(), s))
					wantNoError(t, s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "x", Scope: "some"}))
				})
			})
		}
	}
}
