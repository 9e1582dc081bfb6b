package oauthstore

import "context"

// Uncached returns a context with which a find is not answered from memory: a store that remembers tokens, such as one of
// package cache, asks the store that it wraps. Use it before you use a refresh token: providers take one that another
// process has replaced meanwhile for stolen (RFC 9700, 4.14.2).
func Uncached(ctx context.Context) context.Context {
	return context.WithValue(ctx, uncached{}, true)
}

// IsUncached reports whether ctx comes from [Uncached]. It is for those who implement a [TokenStore] that remembers
// tokens.
func IsUncached(ctx context.Context) bool { return ctx.Value(uncached{}) != nil }

type uncached struct{}
