package tokensource

import (
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/oauthstore/oauthstore"
)

// A ReauthRequiredError says that the user has to log in again: the provider does not take the refresh token any more,
// or there is none. Of a refresh it was believed only after another look into the store.
type ReauthRequiredError struct {
	ID       string // of the record, empty for a login
	UserName string // of the record, may be empty
	Code     string // the provider's error code (RFC 6749, 5.2), empty where there was nothing to ask it with

	// AnswerLost reports whether a process that refreshed before has died, or has lost its way to the store, after
	// it may have asked the provider: the refresh token was perhaps replaced, and nobody knows by what.
	AnswerLost bool
}

// Error implements error.
func (e *ReauthRequiredError) Error() string {
	why := "there is no refresh token"
	if e.Code != "" {
		why = fmt.Sprintf("the provider says %s", e.Code)
	}
	if e.AnswerLost {
		why += ", after an earlier answer was lost"
	}
	if e.ID == "" { // a login
		return "tokensource: the user has to log in again: " + why
	}
	return fmt.Sprintf("tokensource: the user of record %q has to log in again: %s", e.ID, why)
}

// A ProviderError says that the provider's token endpoint did not answer, or not with a token. The error of package
// oauth2 can print its whole answer, and is not kept.
//
// It is oauthstore.ErrUnavailable to errors.Is where there was no answer, or the status is 5xx; ErrThrottled for 429;
// and ErrAccessDenied where it is the client that was refused.
type ProviderError struct {
	Status     int           // of HTTP, 0 where there was no answer
	Code       string        // the error code (RFC 6749, 5.2), if any
	RetryAfter time.Duration // as the provider asked for, 0 where it did not

	// Err is what the HTTP client said where there was no answer, or nil. Its text is not part of Error.
	Err error
}

// Error implements error.
func (e *ProviderError) Error() string {
	switch {
	case e.Code != "":
		return fmt.Sprintf("tokensource: the provider says %s (status %d)", e.Code, e.Status)
	case e.Status == 0:
		return "tokensource: no answer from the provider that can be read"
	case e.Status >= 200 && e.Status <= 299:
		return fmt.Sprintf("tokensource: the provider's answer is no token (status %d)", e.Status)
	default:
		return fmt.Sprintf("tokensource: the provider answers with status %d", e.Status)
	}
}

// Unwrap returns e.Err.
func (e *ProviderError) Unwrap() error { return e.Err }

// Is reports whether target is the class of e.
func (e *ProviderError) Is(target error) bool {
	switch target {
	case oauthstore.ErrThrottled:
		return e.Status == http.StatusTooManyRequests
	case oauthstore.ErrUnavailable:
		return e.Status == 0 || e.Status >= 500 || e.Code == "temporarily_unavailable" || e.Code == "server_error"
	case oauthstore.ErrAccessDenied:
		return e.Code == "invalid_client" || e.Code == "unauthorized_client" ||
			e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
	default:
		return false
	}
}

// passing reports whether trying again may help.
func (e *ProviderError) passing() bool {
	return e.Is(oauthstore.ErrThrottled) || e.Is(oauthstore.ErrUnavailable)
}

// deadGrant reports whether the provider does not take the grant or refresh token any more: invalid_grant
// (RFC 6749, 5.2), which is invalid_code with Zoho, and bad_refresh_token or bad_verification_code with GitHub.
func (e *ProviderError) deadGrant() bool {
	switch e.Code {
	case "invalid_grant", "invalid_code", "bad_refresh_token", "bad_verification_code":
		return true
	default:
		return false
	}
}

// refusesClient reports whether it may be the way in which the client authenticates that was refused. A server that
// does not look at the header misses a parameter.
func (e *ProviderError) refusesClient() bool {
	switch {
	case e.Code == "invalid_client" || e.Code == "invalid_request":
		return true
	default:
		return e.Status == http.StatusUnauthorized || e.Status == http.StatusBadRequest && e.Code == ""
	}
}

// codes are the characters of error codes (RFC 6749, 5.2), and so many that no token passes for one.
var codes = regexp.MustCompile(`^[a-zA-Z_ ]{1,40}$`)

// code returns an error code as it may be shown.
func code(said string) string {
	if said == "" || codes.MatchString(said) {
		return said
	}
	return "(an error code of unusual form)"
}

// A NotSavedError says that the provider has given a new token that could not be stored. It comes beside the token,
// which may be used, as long as that is good. After a refresh saving goes on in the background until it succeeds, at
// most until [Tokens.Shutdown] gives up, unless the store can never keep the token (oauthstore.ErrInvalidToken,
// ErrRecordTooLarge); after [Tokens.Exchange] it is the caller's. Other processes have nothing but what is stored.
type NotSavedError struct {
	ID  string // of the record, empty for a new one
	Err error  // the store's last error
}

// Error implements error.
func (e *NotSavedError) Error() string {
	return fmt.Sprintf("tokensource: record %q: the new token is not stored: %v", e.ID, e.Err)
}

// Unwrap returns e.Err.
func (e *NotSavedError) Unwrap() error { return e.Err }
