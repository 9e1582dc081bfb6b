package oauthstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// A TokenRanger is a [TokenStore] that can hand out its tokens one after another, so that they need not be in
// memory all at once. [AllTokens] uses it where it is there.
type TokenRanger interface {
	// Tokens returns an iterator over the stored tokens, in no particular order, each once. It reads while it is
	// ranged over, some ahead: a token that is stored all the time is among them, one that is saved or deleted
	// meanwhile may be.
	//
	// A token that cannot be read comes as a nil token and a [*TokenError]: its record is corrupt, or the service, or
	// the service of its key, refuses it or does not answer. The iteration goes on with the next one unless the caller
	// breaks it off. Any other error, the end of ctx too, is the last. If the service refuses all tokens, or does not
	// answer any more, its error comes like that.
	Tokens(ctx context.Context) iter.Seq2[*OAuthToken, error]
}

// AllTokens returns an iterator over all tokens of the store, with the store's own [TokenRanger], or else with
// GetTokens, which has them all in memory. Then the tokens that cannot be read come last.
//
//	for token, err := range oauthstore.AllTokens(ctx, store) {
//		var one *oauthstore.TokenError
//		switch {
//		case errors.As(err, &one):
//			log.Printf("token %s: %v", one.ID, err) // and on with the next
//		case err != nil:
//			return err // there may be more tokens
//		default:
//			use(token)
//		}
//	}
func AllTokens(ctx context.Context, store TokenStore) iter.Seq2[*OAuthToken, error] {
	if r, ok := store.(TokenRanger); ok {
		return r.Tokens(ctx)
	}
	return func(yield func(*OAuthToken, error) bool) {
		tokens, err := store.GetTokens(ctx)
		var some *UnreadableTokensError
		if err != nil && !errors.As(err, &some) {
			yield(nil, err)
			return
		}
		for _, t := range tokens {
			if !yield(t, nil) {
				return
			}
		}
		if some == nil {
			return
		}
		for _, e := range some.Tokens {
			if !yield(nil, e) {
				return
			}
		}
	}
}

// A TokenError says that one token of many could not be read. errors.Is and errors.As find out why.
type TokenError struct {
	ID  string // of the token
	Err error
}

// Error implements error.
func (e *TokenError) Error() string { return fmt.Sprintf("oauthstore: token %q: %v", e.ID, e.Err) }

// Unwrap returns e.Err.
func (e *TokenError) Unwrap() error { return e.Err }

// An UnreadableTokensError lists the tokens that GetTokens could not read, beside the tokens that it returns. The record of
// such a token is corrupt, or the service, or the service of its key, refuses it or did not answer. errors.Is finds the
// class of each, such as [ErrAccessDenied] or [ErrUnavailable], and errors.As the first [*CorruptRecordError] and the first
// [*TokenError].
//
// If the service answered no read at all (a refusal is no answer), or does not answer any more, GetTokens returns its
// error instead.
type UnreadableTokensError struct {
	Tokens []*TokenError // ordered by id
}

// shownErrors is how many tokens the text of an UnreadableTokensError names.
const shownErrors = 3

// Error implements error. It names the first three tokens and says how many there are.
func (e *UnreadableTokensError) Error() string {
	var shown []string
	for _, t := range e.Tokens[:min(len(e.Tokens), shownErrors)] {
		shown = append(shown, fmt.Sprintf("%q: %v", t.ID, t.Err))
	}
	if more := len(e.Tokens) - shownErrors; more > 0 {
		shown = append(shown, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("oauthstore: %d of the tokens cannot be read: %s", len(e.Tokens), strings.Join(shown, "; "))
}

// Unwrap returns e.Tokens.
func (e *UnreadableTokensError) Unwrap() []error {
	errs := make([]error, len(e.Tokens))
	for i, t := range e.Tokens {
		errs[i] = t
	}
	return errs
}
