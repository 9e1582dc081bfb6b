package gcpsmtest

import "time"

// An Option changes how a [Server] behaves. A nil Option is ignored.
type Option func(*config)

type config struct {
	staleness time.Duration
	lag       time.Duration // of latest and aliases alone
	limited   bool
	emulator  bool
	quirks    Quirk
}

// has reports whether q is among the quirks.
func (c config) has(q Quirk) bool { return c.quirks&q != 0 }

// WithStaleness makes every read but one show a secret as it was d ago on the server's clock.
// Default 0: changes are visible at once.
//
// The service promises fresh answers only to AccessSecretVersion by version number; "other
// operations are eventually consistent". So, for d after each change, and every time:
//
//   - AccessSecretVersion of latest or of an alias finds the version, in the state and with the
//     payload, that it would have found before the change; NotFound, if there was none.
//   - GetSecret, GetSecretVersion (by number, too), ListSecrets and ListSecretVersions show what
//     was there before it: a secret that was just made is absent, one just deleted still there.
//   - AccessSecretVersion by number sees the change, whatever it was.
//   - Requests that change something are judged by the newest state: etags, states, and whether a
//     secret exists. So AddSecretVersion right after CreateSecret works, and two CreateSecret of
//     one name conflict.
//
// The service converges within minutes mostly, hours at worst.
func WithStaleness(d time.Duration) Option {
	return func(c *config) { c.staleness = d }
}

// WithLaggingLatest makes latest and aliases, in AccessSecretVersion, lead for d after each change to the
// version to which they led before it, which is shown as it is now: FailedPrecondition, if it has been
// destroyed meanwhile; NotFound, if the secret has been deleted. All other reads are fresh, unless there is
// [WithStaleness] too. Default 0.
//
// The service does not say which of the two a caller will meet.
func WithLaggingLatest(d time.Duration) Option {
	return func(c *config) { c.lag = d }
}

// WithQuotas enforces the documented quotas. A project has 90,000 accesses, 600 reads and 600 writes a
// minute; a global secret takes 2 AddSecretVersion and UpdateSecret a second, 120 a minute (a regional
// one 80 and 4,800); a version takes 1 change of its state a second (50). What goes beyond is
// ResourceExhausted and is not counted. A minute or second begins with the first request after the
// last one has ended. Default: no quotas.
func WithQuotas() Option {
	return func(c *config) { c.limited = true }
}

// WithEmulatorQuirks makes the server as simple as the emulators that others have written, for
// clients that have to run on those too: etags are empty and not looked at, aliases are not kept,
// filters are ignored, and latest is the newest version that is ENABLED, NotFound where none is. Where
// emulators differ, quirks says more.
func WithEmulatorQuirks(quirks ...Quirk) Option {
	return func(c *config) {
		c.emulator = true
		for _, q := range quirks {
			c.quirks |= q
		}
	}
}

// A Quirk is something that not all emulators do.
type Quirk int

// The quirks. DestroyedNotFound and DisabledInvalid are floci-gcp's.
const (
	// AscendingLists begin with what was made first.
	AscendingLists Quirk = 1 << iota

	// WholeLists are not divided into pages, whatever page size is asked for.
	WholeLists

	// NoChecksums come with what is accessed, nor are those that are sent looked at.
	NoChecksums

	// DestroyedNotFound is how a destroyed version is accessed: as if there were none.
	DestroyedNotFound

	// DisabledInvalid is how a disabled version is accessed: as if the request were malformed.
	DisabledInvalid

	// DestroyTwice is no error.
	DestroyTwice

	// Unvalidated are secrets and payloads.
	Unvalidated
)
