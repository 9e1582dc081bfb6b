// Package oauthstore is the contract for keeping OAuth tokens: the place where a Go service that has
// no disk of its own keeps what its users have entrusted it with.
//
// Start with three names. [TokenStore] is what a store does: find a token from partial details, find it
// by id, save it, delete it, list all, delete all. [OAuthToken] is what it keeps. A New of one of the
// packages beside this one makes a store:
//
//   - awssm, in AWS Secrets Manager
//   - vault, in HashiCorp Vault (KV version 2)
//   - gcpsm, in Google Cloud Secret Manager
//   - memory, in the process: for tests
//
// Package tokensource refreshes tokens over any of them, once for all processes, and package cache caches them in the
// process.
//
// A program that uses one of them links none of the others. Package codec can encrypt what a secret
// holds; package storetest tests anyone's TokenStore; awssm/awssmtest, vault/vaulttest and
// gcpsm/gcpsmtest are test servers for the three services.
//
// # Errors
//
// Branch with errors.Is on [ErrTokenNotFound], [ErrInvalidToken], [ErrRecordTooLarge], [ErrMisconfigured],
// [ErrNoCompareAndSet], [ErrAccessDenied], [ErrThrottled] and [ErrUnavailable], with leases on [ErrLeaseLost], and on [errors.ErrUnsupported]
// where a store that wraps another one has a method that the other lacks; and with errors.As on [*ConflictError],
// [*InvalidTokenError], [*WriteQuotaError] and [*CorruptRecordError], in a loop over [AllTokens] on [*TokenError], and after
// GetTokens on [*UnreadableTokensError].
// errors.As also finds the service's own error. No error text holds a secret; a service's own error, once taken out by
// errors.As, is as the service made it.
//
// # Concurrency
//
// Stores are safe for concurrent use by any number of goroutines and processes. No update is lost:
// every write names the version that it was made from, and the service, or the protocol on top of it,
// refuses it where that is no longer the newest. Two processes that find an access token expired would both ask the
// provider for another: package tokensource prevents that, by leases that the stores give out ([TokenLeaser]).
//
// # Writing a store of one's own
//
// The contract's rules are functions without state:
//
//   - to check arguments: [CheckFindable] and [CheckSavable], [CheckID] and [NoSuchID], [CheckSize],
//     [LeaseRequest.Validate], [Lease.Validate]
//   - to find: [RuleFor], [Match], and [IsUncached] in a store that remembers tokens
//   - to save: [MatchSaved], [NewRecord], [DerivedID], [DerivedTokenID] and [RandomID], [Record.Merge], [Record.Replaced], [CheckConflict] and [SameUser]
//   - to return what was found: [Record.Found]
//   - to lease: [Lease.Take], [Lease.Check]
//
// Package storetest is the contract as tests: Run for one process, RunShared for several. Package memory shows both in use.
//
// # Compatibility
//
// Stored documents carry a format version. A version of this library reads everything that earlier ones
// with the same major format wrote, keeps fields that it does not know, and refuses newer formats rather
// than guess.
package oauthstore
