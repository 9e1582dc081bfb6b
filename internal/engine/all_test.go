package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// allOf ranges over the tokens of s and returns their ids, those that could not be read, and the last error.
func allOf(ctx context.Context, s *Store) (read, unread []string, last error) {
	for token, err := range s.Tokens(ctx) {
		var one *oauthstore.TokenError
		switch {
		case errors.As(err, &one):
			unread = append(unread, one.ID)
		case err != nil:
			last = err
		default:
			read = append(read, token.ID)
		}
	}
	slices.Sort(read)
	slices.Sort(unread)
	return read, unread, last
}

func TestTokens_yieldsEveryTokenOfEveryPage(t *testing.T) {
	eachKind(t, func(t *testing.T, m *memory) {
		m.limits.Page = 2000
		ids := fill(t, m.store(), 200)
		save(t, m.store(), oauthstore.OAuthToken{ID: ids[0], UserName: "renamed"}) // has entries in two pages
		slices.Sort(ids)
		for name, s := range map[string]*Store{"alone": m.store(), "in batches": New(batching{m}, codec.JSON{}, DefaultTimeout)} {
			read, unread, err := allOf(t.Context(), s)
			if err != nil || len(unread) > 0 || !slices.Equal(read, ids) {
				t.Errorf("%s: got %d tokens, %q unread and error %v, want %d tokens", name, len(read), unread, err, len(ids))
			}
		}
	})
}

func TestTokens_readsNoMoreThanIsWanted(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Page = 2000
		fill(t, m.store(), 500)
		m.forgetCalls()
		for _, err := range m.store().Tokens(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if got, most := m.count("", ""), 1+1+readAhead+streamed; got > most {
			t.Errorf("got %d calls for the first token, want at most %d", got, most)
		}
	})
}

// The 70th read of 100 is denied, say.
func TestTokens_goesOnAfterATokenThatCannotBeRead(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		ids := fill(t, m.store(), 100)
		s := m.store()
		m.on(get, tokenPrefix+ids[70], fails(oauthstore.ErrAccessDenied))
		m.on(get, tokenPrefix+ids[80], fails(oauthstore.ErrUnavailable))
		m.overwrite(t, tokenPrefix+ids[90], codec.Document{})
		read, unread, err := allOf(t.Context(), s)
		want := []string{ids[70], ids[80], ids[90]}
		slices.Sort(want)
		if err != nil || len(read) != 97 || !slices.Equal(unread, want) {
			t.Errorf("got %d tokens, %q unread and error %v, want 97 and %q", len(read), unread, err, want)
		}
		m.on(get, tokenPrefix+ids[70], fails(oauthstore.ErrAccessDenied))
		for _, err := range s.Tokens(t.Context()) {
			var one *oauthstore.TokenError
			if errors.As(err, &one) && one.ID == ids[70] {
				wantIs(t, err, oauthstore.ErrAccessDenied)
				if !strings.Contains(err.Error(), ids[70]) {
					t.Errorf("the error does not name the token: %v", err)
				}
			}
		}
		// So does GetTokens.
		m.on(get, tokenPrefix+ids[70], fails(oauthstore.ErrAccessDenied))
		m.on(get, tokenPrefix+ids[80], fails(oauthstore.ErrUnavailable))
		tokens, err := s.GetTokens(t.Context())
		var some *oauthstore.UnreadableTokensError
		if !errors.As(err, &some) {
			t.Fatalf("GetTokens: got error %v, want an *UnreadableTokensError", err)
		}
		unread = nil
		for _, one := range some.Tokens {
			unread = append(unread, one.ID)
		}
		if len(tokens) != 97 || !slices.Equal(unread, want) {
			t.Errorf("GetTokens: got %d tokens and %q unread, want 97 and %q", len(tokens), unread, want)
		}
		if !slices.IsSortedFunc(tokens, func(a, b *oauthstore.OAuthToken) int { return cmp.Compare(a.ID, b.ID) }) {
			t.Error("GetTokens: the tokens are not ordered by id")
		}
		wantIs(t, err, oauthstore.ErrAccessDenied)
		wantIs(t, err, oauthstore.ErrUnavailable)
		if !isCorrupt(err) {
			t.Errorf("GetTokens: got error %v, want a corrupt record in it", err)
		}
		m.mu.Lock()
		delete(m.secrets, tokenPrefix+ids[90]) // for what is looked at in the end
		m.mu.Unlock()
	})
}

func TestTokens_endsWhereTheIndexCannotBeRead(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Page = 2000
		ids := fill(t, m.store(), 300)
		pages := m.pages(t)
		m.on(get, pages[len(pages)/2], fails(oauthstore.ErrAccessDenied))
		m.on(get, pages[len(pages)/2], fails(oauthstore.ErrAccessDenied)) // read ahead and then by itself
		read, unread, err := allOf(t.Context(), m.store())
		wantIs(t, err, oauthstore.ErrAccessDenied)
		if len(unread) > 0 || len(read) == len(ids) {
			t.Errorf("got %d of %d tokens and %q unread, want a part", len(read), len(ids), unread)
		}
		m.rules = nil
	})
}

func TestTokens_endsWithTheContext(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Page = 2000
		fill(t, m.store(), 300)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := 0
		var last error
		for _, err := range m.store().Tokens(ctx) {
			if n++; n == 50 {
				cancel()
			}
			last = err
		}
		wantIs(t, last, context.Canceled)
		if n > 300 {
			t.Errorf("yielded %d times", n)
		}
	})
}

// refusing lets the reads of these tokens fail, but for the first n. The result counts them.
func (m *memory) refusing(failure error, n int, ids ...string) (reads *int) {
	reads = new(int)
	m.around = func(_ context.Context, c call, run func() error) error {
		id, ok := decodeID(c.name)
		m.mu.Lock()
		fail := false
		if ok && slices.Contains(ids, id) || c.op == "get many" && !IsNode(c.name) {
			*reads++
			fail = *reads > n
		}
		m.mu.Unlock()
		if fail {
			return failure
		}
		return run()
	}
	return reads
}

func TestGetTokens_ofAServiceThatFailsIsItsErrorAfterFewReads(t *testing.T) {
	for _, c := range []struct {
		name    string
		failure error
		answers int
		most    int // reads more than that: of 4 at a time, or batches of 3
	}{
		{"all denied", oauthstore.ErrAccessDenied, 0, maxRefused + 4},
		{"not set up", oauthstore.ErrMisconfigured, 0, maxRefused + 4},
		{"down", oauthstore.ErrUnavailable, 0, 7 + 4},
		{"down after a while", oauthstore.ErrUnavailable, 40, 4 * 7}, // late answers come between the failures
		{"throttled for long", oauthstore.ErrThrottled, 0, 13 * (7 + 4)},
	} {
		t.Run(c.name, func(t *testing.T) {
			virtually(t, func(t *testing.T) {
				m := newMemory()
				m.limits.Page = 2000
				ids := fill(t, m.store(), 300)
				for name, s := range map[string]*Store{"one by one": m.store(), "in batches": New(batching{m}, codec.JSON{}, DefaultTimeout)} {
					reads := m.refusing(fmt.Errorf("the service: %w", c.failure), c.answers, ids...)
					tokens, err := s.GetTokens(t.Context())
					require.Empty(t, tokens, name)
					require.LessOrEqual(t, *reads, c.answers+c.most, name)
					reads = m.refusing(fmt.Errorf("the service: %w", c.failure), c.answers, ids...)
					_, _, last := allOf(t.Context(), s)
					require.LessOrEqual(t, *reads, c.answers+c.most, name)
					for _, err := range []error{err, last} {
						require.ErrorIs(t, err, c.failure, name)
						require.NotErrorAs(t, err, new(*oauthstore.TokenError), name)
						require.NotErrorAs(t, err, new(*oauthstore.UnreadableTokensError), name)
					}
				}
				m.around = nil
			})
		})
	}
}

// All reads that are made at a time may be on one connection. If it breaks, none of them is answered, but the next one
// is.
func TestGetTokens_goesOnAfterOneConnectionHasBroken(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Parallel, m.limits.Batch = 16, 0
		ids := fill(t, m.store(), 100)
		for name, read := range map[string]func(s *Store) (read, unread int){
			"GetTokens": func(s *Store) (int, int) {
				tokens, err := s.GetTokens(t.Context())
				var some *oauthstore.UnreadableTokensError
				require.ErrorAs(t, err, &some)
				return len(tokens), len(some.Tokens)
			},
			"Tokens": func(s *Store) (int, int) {
				read, unread, last := allOf(t.Context(), s)
				require.NoError(t, last)
				return len(read), len(unread)
			},
		} {
			m.breaking(16, ids...)
			read, unread := read(m.store())
			require.Equal(t, 84, read, name)
			require.Equal(t, 16, unread, name)
		}
		m.around = nil
	})
}

// breaking leaves the first n reads of these tokens without an answer.
func (m *memory) breaking(n int, ids ...string) {
	m.around = func(_ context.Context, c call, run func() error) error {
		id, ok := decodeID(c.name)
		m.mu.Lock()
		breaks := ok && n > 0 && slices.Contains(ids, id)
		if breaks {
			n--
		}
		m.mu.Unlock()
		if breaks {
			return fmt.Errorf("the connection: %w", oauthstore.ErrUnavailable)
		}
		return run()
	}
}

// A policy may allow a caller the tokens of one team. Their ids are next to each other.
func TestGetTokens_whereMostAreDeniedReturnsTheOthers(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Page = 8000
		ids := fill(t, m.store(), 300)
		slices.Sort(ids)
		m.refusing(oauthstore.ErrAccessDenied, 0, ids[:250]...)
		tokens, err := m.store().GetTokens(t.Context())
		var some *oauthstore.UnreadableTokensError
		require.ErrorAs(t, err, &some)
		require.Len(t, some.Tokens, 250)
		require.Len(t, tokens, 50)
		read, unread, last := allOf(t.Context(), m.store())
		require.NoError(t, last)
		require.Len(t, unread, 250)
		require.Equal(t, ids[250:], read)
		m.around = nil
	})
}

// If everything fails it is the service's error, however few the tokens are.
func TestGetTokens_ofOneTokenThatCannotBeReadIsTheServicesError(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		ids := fill(t, m.store(), 1)
		m.refusing(oauthstore.ErrAccessDenied, 0, ids...)
		_, err := m.store().GetTokens(t.Context())
		require.ErrorIs(t, err, oauthstore.ErrAccessDenied)
		require.NotErrorAs(t, err, new(*oauthstore.UnreadableTokensError))
		_, unread, last := allOf(t.Context(), m.store())
		require.Equal(t, ids, unread)
		require.ErrorIs(t, last, oauthstore.ErrAccessDenied)
		m.around = nil
	})
}

func TestGetTokens_whereTheKeyServiceFailsForOneReturnsTheOthers(t *testing.T) {
	virtually(t, func(t *testing.T) {
		m := newMemory()
		m.limits.Page = 2000
		ids := fill(t, m.store(), 60)
		tokens, err := New(m, failingOpen{token: ids[3]}, DefaultTimeout).GetTokens(t.Context())
		var some *oauthstore.UnreadableTokensError
		require.ErrorAs(t, err, &some)
		require.Len(t, some.Tokens, 1)
		require.Equal(t, ids[3], some.Tokens[0].ID)
		require.ErrorIs(t, err, oauthstore.ErrUnavailable)
		require.Len(t, tokens, 59)

		reads := m.refusing(nil, 60, ids...)
		_, err = New(m, failingOpen{}, DefaultTimeout).GetTokens(t.Context())
		require.ErrorIs(t, err, oauthstore.ErrUnavailable)
		require.NotErrorAs(t, err, new(*oauthstore.UnreadableTokensError))
		require.LessOrEqual(t, *reads, 7+4, "the key service is down")
		m.around = nil
	})
}

// failingOpen is a Sealer whose key service does not answer for the document of one token, or of every token.
type failingOpen struct {
	codec.JSON
	token string
}

func (f failingOpen) Plain() codec.Codec { return f.JSON }

func (f failingOpen) Seal(_ context.Context, _ codec.Secret, d codec.Document) (codec.Document, error) {
	return d, nil
}

func (f failingOpen) Open(_ context.Context, secret codec.Secret, d codec.Document) (codec.Document, bool, error) {
	if strings.HasPrefix(secret.Name, "mem/"+tokenPrefix+f.token) {
		return nil, false, fmt.Errorf("the key service: %w", oauthstore.ErrUnavailable)
	}
	return d, true, nil
}
