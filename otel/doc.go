// Package oauthotel shows in OpenTelemetry what stores, token sources and caches of oauthstore do: [Wrap] makes spans
// and metrics of a store's operations, [StoreObserver] of the requests that they cost, [TokenSourceObserver] of refreshes,
// and [CacheObserver] counts hits and misses.
//
//	secrets, err := awssm.New(client, awssm.WithObserver(oauthotel.StoreObserver()))
//	…
//	store, err := cache.New(oauthotel.Wrap(secrets), cache.WithObserver(oauthotel.CacheObserver()))
//	…
//	tokens, err := tokensource.New(store, config, tokensource.WithObserver(oauthotel.TokenSourceObserver()))
//
// Wrapped around the store and not the cache, as here, the operations are those that cost requests.
//
// The package needs the API of OpenTelemetry only. Where the program sets no provider, global or by
// [WithTracerProvider] and [WithMeterProvider], nothing is recorded, and an operation costs three allocations at most.
// README.md beside this file lists every metric, span and attribute.
//
// # Outcomes
//
// What an operation has come to is one of few words, oauthstore.outcome:
//
//	ok                  it has done what was asked
//	not_found           there is no such record
//	conflict            another record has the user name and client id
//	invalid             the argument cannot be used, or is too large for the service
//	lease_lost          another holder has taken the lease over
//	misconfigured       the store or its client is set up for something that the service does not have
//	no_compare_and_set  the server does not refuse a write from an old version
//	access_denied       credentials or permissions are missing
//	throttled           a rate limit or quota is used up
//	unavailable         the service did not answer, or answered that it cannot
//	corrupt             a secret does not hold what oauthstore writes
//	unsupported         the wrapped store lacks this ability
//	canceled            the caller has given up
//	timeout             the caller's time was up
//	error               any other error
//
// And of a refresh, or a request to the provider:
//
//	adopted          another process has refreshed the token
//	refused          the provider has refused the request
//	reauth_required  the user has to log in again
//	not_saved        the store does not take the new token
//
// not_found, unsupported and adopted are answers: a token source over a store without leases meets unsupported with every
// refresh. All others but ok are failures: error.type is set, to the same word (_OTHER for error), and so is a span's
// status.
//
// # What is never exported
//
// Secrets, user names and the texts of errors. Nobody knows what is in the text of an error that others have made, and
// those of oauthstore name record ids; so spans have the outcome for their description, and no exception events.
//
// Metrics have no record ids either: one series for each user is more than a backend can take. Spans have them, and the
// names of secrets, which hold them, only [WithRecordIDs].
package oauthotel
