// Package tokensource gives an [oauth2.TokenSource] over any [oauthstore.TokenStore]: access tokens that are
// refreshed when they end, once for all processes that use the store, and refresh tokens that are stored before
// anyone is given what came with them.
//
//	tokens, err := tokensource.New(store, &oauth2.Config{…})
//	…
//	alice := tokens.User("alice").Client(nil) // an *http.Client that authorizes its requests, to be kept
//	…
//	resp, err := alice.Get("https://api.example.com/contacts")
//
// The first login is [Tokens.Exchange], with the authorization code.
//
// # Refreshing
//
// A token is refreshed some minutes before it ends, in the background, while callers go on with it: see [WithEarlyRefresh]
// and [WithForeground]. For that a [Source] is kept, or its client: one that is made for each request finds the token in
// the store, and refreshes it only once it has ended. In one process there is one refresh of a record at a time, and a caller that gives up does not
// end it for the others.
//
// Over a store that gives out leases ([oauthstore.TokenLeaser]; all stores of this module do) one process of all asks
// the provider; the others wait for what it stores. The lease is renewed while the provider takes its time. Where its
// holder dies, it is taken over once it has been seen unchanged for as long as it was to run.
//
// # What is guaranteed
//
// Over such a store, as long as a process does not stand still, or a request take on its way, for longer than a third of
// the lease after its last look at the clock, and clocks differ by less than oauthstore.MaxClockSkew:
//
//   - No refresh token that the provider has taken is sent to it again, so that one which rotates them
//     (RFC 9700, 4.14.2) sees no reuse; but where the answer to a request was lost, there is no other.
//   - A new refresh token is stored before anyone gets the access token beside it. Where the store fails, those who
//     wait for it get both the token and a [*NotSavedError], and saving goes on in the background.
//   - A slow or stale process does not overwrite newer tokens, and a token that was deleted (a logout) stays so.
//
// What no client can give: where a process dies after the provider has replaced the refresh token, and before it
// could store the new one, that token is lost. Whoever takes over asks with the old one, which some providers allow
// for a while; where it is refused, the error is a [*ReauthRequiredError] whose AnswerLost is set, and the user has to
// log in again.
//
// Over a store without leases all of that holds within one process, but for a login or a logout in the moment between a
// last look into the store and the save. Two processes may refresh at once, the later save wins, and a provider that
// detects reuse may end the user's session. Where the store is no [oauthstore.TokenUpdater] either, a token that is
// deleted in that moment comes back.
//
// # Errors
//
// [oauthstore.ErrTokenNotFound]: there is no record; the user never logged in, or has logged out.
// [*ReauthRequiredError]: the provider does not take the refresh token any more. That is noted in the record, so that no
// process asks again within an hour, unless the token has changed by then. [*ProviderError]: it did not answer,
// or refused for another reason; it is oauthstore.ErrUnavailable, ErrThrottled or ErrAccessDenied where that fits.
// [*NotSavedError]: see above. Others come from the store. No error holds a secret: neither the provider's answer, as
// that of package oauth2 does, nor its description of what was wrong.
package tokensource
