package oauthstore

import (
	"context"
	"fmt"
	"slices"
)

// A Rekeyer is a [TokenStore] that encrypts what it stores under keys of yours, and can write all of it again under the
// newest key. It is for the change of a key, and for the move from documents in clear to encryption and back:
// docs/encryption.md has the steps. A store without such keys answers with [errors.ErrUnsupported].
type Rekeyer interface {
	// Rekey reads every secret of the store, of tokens and of the index. If a secret is under an older key, or in clear,
	// it writes the secret under the newest key. It changes nothing else. It may run beside writers, more than one
	// at a time, and as often as you like: after an interruption simply run it again, and it finds less to do. It
	// needs the permission to list the service's secrets.
	//
	// If the error is nil and the report is Done, no secret needs an older key any more. This holds under one condition:
	// every process that writes to the store has had the newest key as its writing key since at least 15 minutes before
	// the call. 15 minutes cover a request that arrives late and a listing that lags behind.
	//
	// The report is not nil if the error is not: it says what was done until then. Errors are as in [TokenStore]; an index
	// that cannot be read is a [*CorruptRecordError].
	Rekey(ctx context.Context, opts RekeyOptions) (*RekeyReport, error)
}

// RekeyOptions are the choices of a [Rekeyer]. The zero value writes.
type RekeyOptions struct {
	// DryRun writes nothing. The report's Remaining says what would be written.
	DryRun bool

	// Progress, if it is not nil, is called now and then, never by two goroutines at a time. The call waits for it.
	Progress func(RekeyProgress)
}

// RekeyProgress is how far a call of Rekey is.
type RekeyProgress struct {
	Step  string // "list", then "write"
	Done  int    // secrets
	Total int    // 0 while it is not known
}

// A RekeyReport says what a call of Rekey has found and done.
type RekeyReport struct {
	// Secrets is how many secrets were looked at: of tokens, and of the index. Secrets of deleted tokens, which hold no
	// document, do not count.
	Secrets int

	// Rekeyed is how many of them were written under the newest key. It is 0 in a dry run.
	Rekeyed int

	// Remaining are the names of the secrets that still need an older key, or reads of documents in clear, and of those
	// that could not be looked at: after an error, but for [errors.ErrUnsupported], it is never empty. They are sorted.
	Remaining []string

	// Errors say, for some of Remaining, why they could not be read or written: access was denied, the document is too
	// large once it is encrypted, the day's writes to the secret are used up.
	Errors []error

	// Unreadable are the errors of secrets that none of the keys decrypts, or that do not hold what this version of
	// the library writes. They stay as they are, and are not among Remaining. Look at them before you take a key away:
	// a secret that is not the store's own does not matter. But if an AEAD reports an outage of its key service like a
	// wrong key, a secret of the store is listed here too.
	Unreadable []error
}

// Done reports whether all secrets are under the newest key: see [Rekeyer] for the condition.
func (r *RekeyReport) Done() bool { return len(r.Remaining)+len(r.Unreadable) == 0 }

// String is a summary in one line.
func (r *RekeyReport) String() string {
	return fmt.Sprintf("%d secrets: %d written under the newest key, %d still need an older one; %d unreadable",
		r.Secrets, r.Rekeyed, len(r.Remaining), len(r.Unreadable))
}

// Sort sorts what the report lists. It is for those who implement [Rekeyer].
func (r *RekeyReport) Sort() {
	slices.Sort(r.Remaining)
	r.Remaining = slices.Compact(r.Remaining)
}
