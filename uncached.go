package oauthstore

import "context"

// Uncached returns a context for finds that are not to be answered from memory: a store that remembers tokens, such as
// one of package cache, asks the store behind it. Whoever is about to use a refresh token has need of that: one that
// another process has replaced meanwhile is taken for a stolen one (RFC 9700, 4.14.2).
func Uncached(ctx context.Context) context.Context {
	return context.WithValue(ctx, uncached{}, true)
}

// IsUncached reports whether ctx comes from [Uncached]. It is for those who implement a [TokenStore] that remembers
// tokens.
func IsUncached(ctx context.Context) bool { return ctx.Value(uncached{}) != nil }

type uncached struct{}
