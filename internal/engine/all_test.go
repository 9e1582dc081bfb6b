package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

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
		// So does GetTokens, but only if the token's record is corrupt.
		var corrupt *oauthstore.UnreadableTokensError
		tokens, err := s.GetTokens(t.Context())
		if !errors.As(err, &corrupt) || len(corrupt.Tokens) != 1 || corrupt.Tokens[0].ID != ids[90] || !isCorrupt(corrupt.Tokens[0]) {
			t.Errorf("GetTokens: got error %v, want an *UnreadableTokensError of %q", err, ids[90])
		}
		if len(tokens) != 99 || !slices.IsSortedFunc(tokens, func(a, b *oauthstore.OAuthToken) int { return cmp.Compare(a.ID, b.ID) }) {
			t.Errorf("GetTokens: got %d tokens, want 99 in order", len(tokens))
		}
		for _, failure := range []error{oauthstore.ErrAccessDenied, oauthstore.ErrUnavailable} {
			m.on(get, tokenPrefix+ids[70], fails(failure))
			tokens, err := s.GetTokens(t.Context())
			wantIs(t, err, failure)
			if tokens != nil || isCorrupt(err) {
				t.Errorf("GetTokens: got %d tokens and error %v, want none and that a read has failed", len(tokens), err)
			}
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
