// Package engine is the one implementation of oauthstore.TokenStore that all services share: it
// matches, merges, keeps the index and settles writes, over a [Driver] that is one service.
package engine

import (
	"context"
	"errors"
	"time"
)

// A Driver is one secret manager, reduced to what the engine cannot do without.
//
// It is safe for concurrent use and honours ctx. It keeps no document that it is given and gives none
// away that it keeps. Names come from the engine: [a-zA-Z0-9_-], at most Limits.Name characters; a
// Driver puts its prefix before them. It neither retries nor guesses: the engine settles every write
// by its write id. An error wraps one of the sentinels of package oauthstore where it applies, else
// it is final, and [ErrConflict] or [ErrBlocked] where they say so.
type Driver interface {
	// Get returns the newest record of name and its revision, both from one read. A secret that is
	// not there, has no version or waits for deletion is a Record without document; its revision is
	// good for Put all the same. Where the driver can tell that neither it nor another store has deleted it, and that
	// this can be undone, the Record is marked SoftDeleted; and Expired if the service has done so by itself, after a
	// time.
	//
	// after, unless it is None, is a revision on which a Put met ErrConflict. Get then returns what
	// followed it, even where the service's plain read still shows the old state; or, if the service
	// went back to it, the same record under a revision on which a Put can succeed.
	//
	// Get never returns an older state than this Driver has lately written, deleted or returned. If the
	// service shows one and the Driver has no way to read the newer state, the error wraps ErrBehind.
	Get(ctx context.Context, name string, after Rev) (Record, Rev, error)

	// Put makes rec the newest record of name, provided that the newest one is still that of
	// revision base (None: that there is no secret of this name), and returns rec's revision; else
	// the error wraps ErrConflict.
	//
	// After any error rec may have been stored all the same, also after ErrConflict: the service's client may have
	// sent it twice and met itself, or rec was superseded before the driver could look. Only ErrNotWritten and
	// ErrBlocked say that it was not. Nor will it be stored later, once there is a newer revision than base. If the
	// service cannot promise that (it makes a secret whatever was there before), the error of a Put that got no
	// answer wraps ErrMayCome, and the driver sees to it that the service's client does not send such a Put again
	// after an attempt that may have taken effect.
	//
	// tidy is how many superseded versions Put may remove afterwards, oldest first, where the service
	// charges for each of them; TidyAll is no limit. That they could not be removed is no error: later calls
	// with a tidy other than zero remove them too.
	Put(ctx context.Context, name string, base Rev, rec Record, tidy int) (Rev, error)

	// Delete destroys the record of revision base and all that came before it, so that no write based
	// on them can succeed any more. Where the service cannot do that at one stroke, it first puts
	// tombstone on top, as Put does; a Delete of a tombstone finishes what was begun. Where base is
	// no longer the newest and the service can tell, the error wraps ErrConflict.
	Delete(ctx context.Context, name string, base Rev, tombstone Record) error

	// FullName is the name under which the service keeps the secret: for error texts, and what an
	// encrypting codec binds a document to.
	FullName(name string) string

	// Limits says what the service allows. No I/O.
	Limits() Limits
}

// A ManyGetter is a Driver that reads many secrets in fewer calls.
type ManyGetter interface {
	// GetMany calls yield once for each of the names, of which there are at most Limits.Batch, in any
	// order and never twice at a time, with what Get would return, or with ErrAlone.
	GetMany(ctx context.Context, names []string, yield func(name string, rec Record, rev Rev, err error))
}

// ErrAlone is GetMany's answer for a name that has to be read by itself, with Get.
var ErrAlone = errors.New("not to be read with others")

// A Prober is a Driver whose Get may miss a secret that was just made, since the service's plain reads lag
// behind, and that has a way of reading which does not.
type Prober interface {
	// Probe is Get by that way. The engine asks it where a miss would be believed: in a find and a
	// delete, and for the index before all tokens are deleted. A save's own write finds out.
	Probe(ctx context.Context, name string) (Record, Rev, error)
}

// A Lister is a Driver that lists its secrets.
type Lister interface {
	// List calls yield with the names of the secrets under the prefix, without it, in any order, until there are
	// no more or yield returns false. It calls yield once for each answer of the service, with no names if none of
	// them is the store's own, as far as the prefix tells. Secrets that were lately made or deleted may be missing or
	// still be there: services list with delay.
	List(ctx context.Context, yield func(names []string) bool) error
}

// A Rev is a revision of a secret, opaque to the engine.
type Rev string

// None is no revision.
const None Rev = ""

// TidyAll lets Put remove all superseded versions.
const TidyAll = -1

// Limits are what a service allows.
type Limits struct {
	Name     int // characters in the name of a secret, without the prefix
	Value    int // bytes in one version
	Parallel int // calls at a time for reads of many
	Batch    int // names in one GetMany

	// Page is how many bytes one page of the index may have; 0 is what fits in one version, and no more than
	// fits in those of all services.
	Page int

	// Writes is how many writes to one secret the service takes in the time Per; 0 is any number.
	Writes int
	Per    time.Duration

	// Window is the time over which the service counts writes to one secret, where its client does not itself
	// wait for that long before it says that a write was throttled. Calls of many writes then also wait for a quota
	// of all secrets together, which the service counts over a minute or so.
	Window time.Duration
}

// How a call can fail other than for good.
var (
	// ErrConflict says that the newest record is not the expected one: another writer, or an earlier
	// attempt of one's own whose answer was lost.
	ErrConflict = errors.New("another write came in between")

	// ErrBlocked says that the service does not take this name yet, since the secret of that name is
	// still being deleted. Nothing was written.
	ErrBlocked = errors.New("the secret of this name is still being deleted")

	// ErrBehind says that a read has shown an older state than this process has written or read before.
	ErrBehind = errors.New("the service's reads lag behind")

	// ErrNotWritten, alone or beside a class, says that nothing was stored and nothing will be: the driver has not
	// sent the record, or the service has refused the only attempt.
	ErrNotWritten = errors.New("nothing was written")

	// ErrMayCome, beside a class, says of a Put without answer that the service may still carry it out, whatever
	// has been written since.
	ErrMayCome = errors.New("the write may still be carried out")

	// ErrExhausted, beside oauthstore.ErrThrottled, says that a quota is used up for longer than it
	// makes sense to wait.
	ErrExhausted = errors.New("a quota is used up")
)
