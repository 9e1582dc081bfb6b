package awssmtest

import "time"

// WorstListingDelay is how far ListSecrets may lag according to its documentation, which says that
// it "might not reflect changes from the last five minutes".
const WorstListingDelay = 5 * time.Minute

// An Option changes how a [Server] behaves. A nil Option is ignored.
type Option func(*options)

type options struct {
	deletionDelay time.Duration
	listingDelay  time.Duration
	staleReads    time.Duration
	staleVersions time.Duration
	versionQuota  int
	noSocket      bool
	quirks        Quirk
}

func (o options) has(q Quirk) bool { return o.quirks&q != 0 }

func defaults() options {
	return options{deletionDelay: 200 * time.Millisecond, versionQuota: versionsKept}
}

// WithDeletionDelay sets how long the name of a secret that was deleted without a recovery window
// stays blocked. The default is 200 ms and not 0, since the service does it "with an asynchronous
// background process" and asks callers who re-create the secret for "appropriate back off and retry
// logic"; a client without that would pass its tests and fail in production. The time is that of
// the server's clock, so both waiting and [testserver.Control.Advance] let it pass.
func WithDeletionDelay(d time.Duration) Option {
	return func(o *options) { o.deletionDelay = d }
}

// WithListingDelay makes ListSecrets, and BatchGetSecretValue with filters, choose from the secrets
// as they were d ago on the server's clock. The default is 0; [WorstListingDelay] is what a client
// must be prepared for.
func WithListingDelay(d time.Duration) Option {
	return func(o *options) { o.listingDelay = d }
}

// WithStaleReads makes reads of the AWSCURRENT version return, for d on the server's clock after
// that label has moved, the version that had it before: "All Secrets Manager operations are
// eventually consistent". Reads by version id and DescribeSecret stay fresh, unless [WithStaleVersions]
// says otherwise. The default is 0.
func WithStaleReads(d time.Duration) Option {
	return func(o *options) { o.staleReads = d }
}

// WithStaleVersions makes reads by version id not find a version for d after it was made, unless it is the
// secret's first. Unless d is 0, which is the default, the labels in such reads and in DescribeSecret lag
// behind as well, as far as [WithStaleReads] says.
func WithStaleVersions(d time.Duration) Option {
	return func(o *options) { o.staleVersions = d }
}

// WithVersionQuota sets how many versions a secret can have at most. The default is the service's
// 100, which no account can raise; 0 takes the limit away, for tests that write a lot.
func WithVersionQuota(n int) Option {
	return func(o *options) { o.versionQuota = n }
}

// WithoutSocket makes a server that does not listen: a client that [Server.Client] returns calls it directly,
// in the protocol of the service all the same, and [Server.URL] leads nowhere. It is for tests in a bubble of
// testing/synctest, where no time passes while somebody waits for a connection.
func WithoutSocket() Option { return func(o *options) { o.noSocket = true } }

// WithEmulatorQuirks makes the server treat ClientRequestToken as some emulators do that others have written, for
// clients that have to find out. [Server.Client] is set up as a client of AWS is: one of an emulator has
// [Server.URL] as its endpoint.
func WithEmulatorQuirks(quirks ...Quirk) Option {
	return func(o *options) {
		for _, q := range quirks {
			o.quirks |= q
		}
	}
}

// A Quirk is something that AWS does not do and some emulators do.
type Quirk int

// The quirks.
const (
	// OwnVersionIDs are given to versions, whatever the ClientRequestToken of a request is.
	OwnVersionIDs Quirk = 1 << iota

	// OverwrittenVersions take other content: a PutSecretValue whose ClientRequestToken is a version already changes that
	// version and makes it current.
	OverwrittenVersions

	// IgnoredContent lets a PutSecretValue succeed if its ClientRequestToken names an existing version. The call does
	// nothing, even if its content differs from the version's.
	IgnoredContent

	// TakenNames are no error: a CreateSecret under one makes a version of the secret that has the name.
	TakenNames
)
