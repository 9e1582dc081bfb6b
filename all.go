package oauthstore

import (
	"context"
	"fmt"
	"iter"
)

// A TokenRanger is a [TokenStore] that can hand out its tokens one after another, so that they need not be in
// memory all at once. [AllTokens] uses it where it is there.
type TokenRanger interface {
	// Tokens returns an iterator over the stored tokens, in no particular order, each once. It reads while it is
	// ranged over, some ahead: a token that is stored all the time is among them, one that is saved or deleted
	// meanwhile may be.
	//
	// A token that cannot be read comes as a nil token and a [*TokenError]; the iteration goes on with the next
	// one unless the caller breaks it off. Any other error, the end of ctx too, is the last.
	Tokens(ctx context.Context) iter.Seq2[*OAuthToken, error]
}

// AllTokens returns an iterator over all tokens of the store, with the store's own [TokenRanger], or else with
// GetTokens, which has them all in memory and fails where one cannot be read.
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
		if err != nil {
			yield(nil, err)
			return
		}
		for _, t := range tokens {
			if !yield(t, nil) {
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
