package oauthstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A TokenStore keeps OAuth tokens, each as one record under an id of its own.
//
// A token points at a record by the first of these that it has, and by that one only: its id; its
// user name; its access token alone; its grant or refresh token together with client id and client
// secret. [Match] is that rule. An empty string is an unset field everywhere.
//
// A record that does not exist is [ErrTokenNotFound], never a nil token. Bad input is an
// [*InvalidTokenError], found before anything is stored. An id that no record of the store can have
// (the empty one, one too long for the service's names) is both where it is only looked for.
//
// All methods are safe for concurrent use, by many processes on one store too. Of two savers of one
// record both take effect, in some order, and neither loses a field that the other set. What is
// returned belongs to the caller; what is passed in is not kept.
//
// A store sees its own writes: after a call has written, no read of the same store returns an older state, even if the
// service's reads lag behind by up to a minute. Other stores may see the write later.
//
// A call whose context has no deadline ends by itself, with [ErrUnavailable]. Over a secret manager a call about one
// record takes a minute at most, or twice the store's WithTimeout if that is longer. If it has to read all tokens, to
// find one by an access, grant or refresh token, the minute begins again with each token that it has read. Calls about
// all tokens go on as long as the service answers; DeleteTokens ends when nothing has got through for five minutes. An
// error matches [context.DeadlineExceeded] or [context.Canceled] only if the caller's own context has ended.
//
// A method that returns an error has either done nothing or a part that a second call completes.
// It may be called again at once where the error is [ErrUnavailable] or a context's, and later where
// it is [ErrThrottled].
type TokenStore interface {
	// FindToken returns the stored token that token points at. Fields that token sets are kept in
	// what is returned, the others come from the record; token itself stays as it is. Of a token that
	// a store returned, the fields changed since are set.
	FindToken(ctx context.Context, token *OAuthToken) (*OAuthToken, error)

	// FindTokenByID returns the token that is stored under id.
	FindTokenByID(ctx context.Context, id string) (*OAuthToken, error)

	// SaveToken stores token: it updates the record that token points at, where fields that token
	// sets win and the others keep their stored value, or inserts a new record. Then it fills token
	// in with all that is stored, its id included. A refresh token points also at the record that has had it
	// before and does not replace the newer one there: [MatchSaved] is that rule.
	//
	// An id that the store does not know is inserted under that id. A token to which no rule applies has the id
	// [DerivedTokenID], so equal saves make one record. There are never two records for one user name and client id:
	// an insert or update that would make a second one is a [*ConflictError], and nothing is stored.
	//
	// An insert needs a grant, refresh or access token. A token that cannot be saved whatever is stored is refused
	// before any call to a service: with an [*InvalidTokenError] as by [CheckSavable], or with [ErrRecordTooLarge].
	//
	// Again, of a token that a store returned only the fields changed since are set: a stale copy does not
	// undo what others have saved meanwhile. [Record.Merge] is that rule. But a token that was found and has been
	// deleted since is inserted anew, as one that the store does not know: see [TokenUpdater].
	SaveToken(ctx context.Context, token *OAuthToken) error

	// DeleteToken removes the record with this id, its older versions too.
	DeleteToken(ctx context.Context, id string) error

	// GetTokens returns every stored token, ordered by id; an empty slice if there are none. If some tokens cannot be
	// read, since their records are corrupt or a service refuses them or does not answer for them, it returns the others,
	// and an [*UnreadableTokensError] that lists those. With any other error it returns no tokens. If the service refuses
	// all tokens, or stops answering, GetTokens returns its error after a few more reads, without trying each token.
	GetTokens(ctx context.Context) ([]*OAuthToken, error)

	// DeleteTokens removes every token that was stored when the call began.
	DeleteTokens(ctx context.Context) error
}

// A TokenUpdater is a [TokenStore] that can also save without ever inserting: what a refresh needs,
// so that it does not bring back a token that was deleted while the provider was asked. A store that wraps one which is
// no TokenUpdater answers with [errors.ErrUnsupported].
type TokenUpdater interface {
	// UpdateToken is SaveToken for records that exist; where there is none, or it vanishes before
	// the write, it is ErrTokenNotFound and nothing is stored. The same goes for a token that was read from a
	// record which was deleted since, where another one now has its id.
	UpdateToken(ctx context.Context, token *OAuthToken) error
}

// What callers branch on with errors.Is. Errors that come from a service wrap one of the last six,
// if it applies, and the service's own error, which errors.As finds. The text of an error is one line and shows at
// most 512 bytes of what the service says, without the answers of proxies and without credentials; the error that
// errors.As finds is as the service's client made it, and may hold both.
var (
	// ErrTokenNotFound says that no record fits.
	ErrTokenNotFound = errors.New("oauthstore: token not found")

	// ErrInvalidToken says that the argument cannot be used; the error is an [*InvalidTokenError].
	ErrInvalidToken = errors.New("oauthstore: invalid token")

	// ErrRecordTooLarge says that the token, or a line of the list of all tokens, does not fit in one
	// secret of the service.
	ErrRecordTooLarge = errors.New("oauthstore: record too large")

	// ErrMisconfigured says that the store or its client is set up for something that the service does not have: no
	// region, an endpoint or a mount that does not exist, a mount that deletes by time, a project without the API or without
	// billing, a region in which secrets are only copies. Trying again cannot help; the text names the option or the setting.
	ErrMisconfigured = errors.New("oauthstore: misconfigured")

	// ErrNoCompareAndSet says that the server takes two writes that are made from the same version, so that savers at
	// the same time would lose tokens: some emulators of AWS Secrets Manager, and Vault's KV secrets engine of version
	// 1. The store writes nothing more there.
	ErrNoCompareAndSet = errors.New("oauthstore: no compare-and-set")

	// ErrAccessDenied says that credentials or permissions are missing or expired, that a policy of the organization
	// forbids the call, or that an encryption key cannot be used: trying again cannot help.
	ErrAccessDenied = errors.New("oauthstore: access denied")

	// ErrThrottled says that a rate limit or quota of the service is used up: try again later.
	ErrThrottled = errors.New("oauthstore: throttled")

	// ErrUnavailable says that the service did not answer, or answered that it cannot, or that other
	// writers kept coming in between: try again.
	ErrUnavailable = errors.New("oauthstore: service unavailable")
)

// An InvalidTokenError says which field of the argument cannot be used, and why. It is
// [ErrInvalidToken] to errors.Is.
type InvalidTokenError struct {
	Field  string // the field's name in OAuthToken, or "token" for the argument itself
	Reason string // never holds the field's value
}

// Error implements error.
func (e *InvalidTokenError) Error() string {
	return fmt.Sprintf("%v: %s: %s", ErrInvalidToken, e.Field, e.Reason)
}

// Is reports whether target is ErrInvalidToken.
func (e *InvalidTokenError) Is(target error) bool { return target == ErrInvalidToken }

// A ConflictError says that another record holds the user name and client id that a save would have
// given to a second one. Save under that id instead, or delete it first.
type ConflictError struct {
	ID string // the id of the record that holds them
}

// Error implements error.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("oauthstore: conflict: id %q holds this user name and client id", e.ID)
}

// A WriteQuotaError says that a record was written so often that the service will soon refuse to write it, and that
// what is left is kept for more than a new access token: a refresh token that was replaced, a deletion. Nothing was
// stored. It is [ErrThrottled] to errors.Is.
//
// The caller has the access token and can use it; other processes will refresh on their own. Whoever saves more often
// than the service allows, day after day, asks the provider for access tokens that live longer, saves only some
// of them (see the stores' options), or keeps them in another service.
type WriteQuotaError struct {
	ID         string        // of the record
	Writes     int           // how often it was written
	Per        time.Duration // in this time
	RetryAfter time.Duration // when there is room again, if nobody writes
}

// Error implements error.
func (e *WriteQuotaError) Error() string {
	return fmt.Sprintf("oauthstore: throttled: id %q was written %d times in %v: the writes that are left are kept for more than a new access token; try again in %v",
		e.ID, e.Writes, e.Per, e.RetryAfter.Round(time.Minute))
}

// Is reports whether target is ErrThrottled.
func (e *WriteQuotaError) Is(target error) bool { return target == ErrThrottled }

// A CorruptRecordError says that a secret does not hold what this library writes. Neither its text
// nor anything that it wraps holds the secret's content.
type CorruptRecordError struct {
	Secret string // the secret's name
	Reason string
	Err    error // what a codec's cipher said, or nil
}

// Error implements error. It leaves the text of Err out: whoever made it may not have kept it clean.
func (e *CorruptRecordError) Error() string {
	return fmt.Sprintf("oauthstore: corrupt record: secret %q: %s", e.Secret, e.Reason)
}

// Unwrap returns e.Err.
func (e *CorruptRecordError) Unwrap() error { return e.Err }
