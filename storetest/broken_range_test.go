package storetest

import (
	"context"
	"iter"

	"github.com/oauthstore/oauthstore"
)

// Tokens makes an oauthstore.TokenRanger of it.
func (b *broken) Tokens(ctx context.Context) iter.Seq2[*token, error] {
	if b.tokens != nil {
		return b.tokens(ctx)
	}
	return oauthstore.AllTokens(ctx, plain{b.Store})
}

// rangeOver replaces the iterator by one over what change makes of all tokens.
func (b *broken) rangeOver(change func(all []*token) []*token) {
	b.tokens = func(ctx context.Context) iter.Seq2[*token, error] {
		return func(yield func(*token, error) bool) {
			all, err := b.Store.GetTokens(ctx)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, t := range change(all) {
				if !yield(t, nil) {
					return
				}
			}
		}
	}
}

var rangeFaults = []fault{
	{"yields a token that is not there", "Range/an empty store yields nothing", func(b *broken) {
		b.rangeOver(func(all []*token) []*token { return append(all, &token{ID: "x"}) })
	}},
	{"yields a token twice", "Range/every token once, whole", func(b *broken) {
		b.rangeOver(func(all []*token) []*token { return append(all, all...) })
	}},
	{"leaves a token out", "Range/every token once, whole", func(b *broken) {
		b.rangeOver(func(all []*token) []*token { return all[min(1, len(all)):] })
	}},
	{"yields tokens without their secrets", "Range/every token once, whole", func(b *broken) {
		b.rangeOver(func(all []*token) []*token {
			for i, t := range all {
				all[i] = &token{ID: t.ID, UserName: t.UserName}
			}
			return all
		})
	}},
	{"is locked while it yields", "Range/a caller may break it off", func(b *broken) {
		broke := false
		b.tokens = func(ctx context.Context) iter.Seq2[*token, error] {
			return func(yield func(*token, error) bool) {
				for t, err := range oauthstore.AllTokens(ctx, plain{b.Store}) {
					if broke || !yield(t, err) {
						broke = true
						return
					}
				}
			}
		}
	}},
	{"does not look at the context", "Range/an ended context is the last error", func(b *broken) {
		b.tokens = func(ctx context.Context) iter.Seq2[*token, error] {
			return oauthstore.AllTokens(context.WithoutCancel(ctx), plain{b.Store})
		}
	}},
	{"can be ranged over once", "Range/it can be ranged over again", func(b *broken) {
		b.tokens = func(ctx context.Context) iter.Seq2[*token, error] {
			done := false
			return func(yield func(*token, error) bool) {
				for t, err := range oauthstore.AllTokens(ctx, plain{b.Store}) {
					if done || !yield(t, err) {
						return
					}
				}
				done = true
			}
		}
	}},
}
