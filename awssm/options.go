package awssm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/args"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// An Option changes how a [Store] keeps its tokens. A nil Option is ignored.
type Option func(*config)

type config struct {
	prefix      string
	codec       codec.Codec
	kmsKeyID    string
	tags        map[string]string
	description string
	replicas    []string
	recovery    int64 // days; 0 deletes at once
	timeout     time.Duration
	quota       int           // writes of one secret in 24 hours
	spacing     time.Duration // of access tokens
	unguarded   bool          // the server need not guard writes
	observe     func(context.Context, oauthstore.Event)
}

// WithPrefix puts prefix and a slash before the name of every secret, so that several stores share one
// account and a policy can name one of them: see [Store.NamePrefix]. Default "oauthstore".
//
// It is 1 to 191 of the characters that Secrets Manager allows in a name: ASCII letters, digits and /_+=.@- . Slashes
// separate words, so that none is first, last or beside another. [New] refuses any other prefix. A policy for the
// prefix "a" covers "a/b" as well, though the stores do not see each other.
func WithPrefix(prefix string) Option {
	return func(c *config) { c.prefix = prefix }
}

// WithCodec sets how tokens are written. Default [codec.JSON]. A codec that encrypts binds what it writes to the name of
// the secret; [codec.Scoped] adds the account. See [Store.Rekey] for another key.
func WithCodec(codec codec.Codec) Option {
	return func(c *config) { c.codec = codec }
}

// WithKMSKey encrypts the secrets that the store creates under this KMS key (id, alias or ARN), instead
// of the account's key aws/secretsmanager. Callers then need kms:GenerateDataKey and kms:Decrypt. Copies
// in other regions are under those regions' aws/secretsmanager all the same.
func WithKMSKey(keyID string) Option {
	return func(c *config) { c.kmsKeyID = keyID }
}

// WithTags puts tags on the secrets that the store creates: at most 50, keys of 1 to 128 characters,
// values of up to 256, without control characters. Needs the permission secretsmanager:TagResource. Tags are not
// secret.
func WithTags(tags map[string]string) Option {
	return func(c *config) { c.tags = maps.Clone(tags) }
}

// WithDescription sets the description of the secrets that the store creates, up to 2,048 characters.
// Descriptions are not secret.
func WithDescription(text string) Option {
	return func(c *config) { c.description = text }
}

// WithReplicaRegions makes Secrets Manager keep a copy of each secret that the store creates in these
// regions, each billed as a secret. Copies are for reading; all stores must write to one region, which is none
// of these. Needs the permissions secretsmanager:ReplicateSecretToRegions, secretsmanager:DescribeSecret and
// secretsmanager:RemoveRegionsFromReplication. A delete costs three calls more: it is refused as long
// as there are copies, whoever made them. A token that is saved again during a recovery window gets its
// copies back; where only that fails, the save says so, and the token is saved.
func WithReplicaRegions(regions ...string) Option {
	return func(c *config) { c.replicas = slices.Clone(regions) }
}

// WithRecoveryWindow keeps a deleted secret restorable for so many days, 7 to 30. Default 0: it is
// deleted for good at once, because a credential that was revoked must be gone.
//
// A delete then costs one PutSecretValue more: a tombstone becomes the current version, so that nothing
// that restores the secret revives the token. Whoever wants the token back restores the secret, reads
// its version AWSPREVIOUS and saves that. A token saved again during the window restores the secret under
// its own value, which needs the permissions secretsmanager:RestoreSecret and
// secretsmanager:DescribeSecret.
//
// So does, with or without this option, a secret that others have deleted with a window. It counts as not
// there, and [Store.DeleteToken] of it is [oauthstore.ErrTokenNotFound]: it stays restorable until its
// window ends. It has no tombstone: should the process die while a save restores it, the deleted token is
// back.
func WithRecoveryWindow(days int) Option {
	return func(c *config) { c.recovery = int64(days) }
}

// WithTimeout bounds each step of a call, a read or a write of one secret or of a batch with all that the
// client tries again, where the caller's context does not end sooner. Default 15 seconds, at most 2 minutes.
//
// A call that makes several steps, or tries again, takes a minute at most, or twice d if that is longer, unless its
// context has a deadline: see [oauthstore.TokenStore].
func WithTimeout(d time.Duration) Option {
	return func(c *config) { c.timeout = d }
}

// WithVersionQuota sets how many versions of one secret Secrets Manager keeps, and so how many writes it takes in 24
// hours. Default 100, as it is documented; 0 is any number, for emulators that do not count.
//
// The store keeps below: the index goes on in other secrets in time, and once three quarters of a day's writes of a
// token are used up, those that are left are kept for saves that change more than the access token, and what comes
// with one (its expiry, type and scope). A save that changes only that is then a
// [*oauthstore.WriteQuotaError], and nothing is lost: so a refresh token that a provider replaces at every refresh
// has room. See [WithAccessTokenSpacing].
func WithVersionQuota(versions int) Option {
	return func(c *config) { c.quota = versions }
}

// WithAccessTokenSpacing lets the store skip writes: a save that changes only the access token, and what comes with
// one, writes nothing if the record was written less than d ago, or when there are no writes left for it (see
// [WithVersionQuota]). It succeeds all the same, and the caller's token is as it was given; other processes find
// the access token that was stored last, and refresh on their own where it has ended. A save that changes
// anything else writes everything.
//
// It is for access tokens that live shorter than about 20 minutes: refreshed every five minutes, a token would be
// written 288 times a day, of which Secrets Manager takes about 100; with a spacing of 20 minutes it is written 72
// times. Default 0: every save is written or fails. Where the provider replaces the refresh token every time this
// does not help: no more than about 100 such refreshes fit in a day.
func WithAccessTokenSpacing(d time.Duration) Option {
	return func(c *config) { c.spacing = d }
}

// WithoutWriteCheck lets the store write to a server that overwrites a secret or a version that exists, as some emulators
// do. On such a server concurrent saves lose tokens, even within one process. Use it with one writer only, and for
// tokens that are worth nothing.
//
// Without this option such a server is [oauthstore.ErrNoCompareAndSet]. The store finds out by a PutSecretValue and
// a CreateSecret after its first write, which AWS would refuse. It does so only if the answer to that write is not of a
// host of AWS.
func WithoutWriteCheck() Option {
	return func(c *config) { c.unguarded = true }
}

// WithObserver lets observe know of each request to the service, of conflicts with other writers, and of what is done
// again: see [oauthstore.Event]. It gets the context of the caller's call, or one made from it. It is called by many
// goroutines at a time and should not block: the call waits for it. Nor may it use the store, which may wait for the call.
// See [oauthstore.LogTo], and module otel for OpenTelemetry.
func WithObserver(observe func(context.Context, oauthstore.Event)) Option {
	return func(c *config) { c.observe = observe }
}

// What Secrets Manager allows (API reference, CreateSecret, DeleteSecret, Tag and ReplicaRegionType; user
// guide, quotas).
const (
	maxName        = 256 // some of the service's answers hold no more, though it creates names of 512
	maxValue       = 65536
	maxVersions    = 100 // of the last 24 hours (quotas, "versions of a secret")
	maxTags        = 50
	maxTagKey      = 128
	maxTagValue    = 256
	maxDescription = 2048
	maxKMSKey      = 2048
	minRecovery    = 7
	maxRecovery    = 30

	minVersions = 20
	maxSpacing  = 24 * time.Hour

	minID     = 64 // the room that a prefix must leave for names of tokens
	maxPrefix = maxName - minID - 1
)

// prefixForm is words of the characters of a name, with a slash between two.
var prefixForm = regexp.MustCompile(`^[A-Za-z0-9_+=.@-]+(/[A-Za-z0-9_+=.@-]+)*$`)

func bad(option, format string, args ...any) error {
	return fmt.Errorf("awssm: %s: %s", option, fmt.Sprintf(format, args...))
}

func (c *config) check() error {
	switch {
	case !prefixForm.MatchString(c.prefix):
		return bad("WithPrefix", "%q: want letters, digits and _+=.@-, and slashes only between them: the store adds the last slash", c.prefix)
	case len(c.prefix) > maxPrefix:
		return bad("WithPrefix", "%d characters, want at most %d", len(c.prefix), maxPrefix)
	case args.IsNil(c.codec):
		return bad("WithCodec", "the codec is nil")
	case utf8.RuneCountInString(c.kmsKeyID) > maxKMSKey:
		return bad("WithKMSKey", "%d characters, want at most %d", utf8.RuneCountInString(c.kmsKeyID), maxKMSKey)
	case !isPrintable(c.kmsKeyID) || strings.ContainsFunc(c.kmsKeyID, unicode.IsSpace):
		return bad("WithKMSKey", "%q: want a key's id, alias or ARN, without spaces", c.kmsKeyID)
	case utf8.RuneCountInString(c.description) > maxDescription:
		return bad("WithDescription", "%d characters, want at most %d", utf8.RuneCountInString(c.description), maxDescription)
	case c.recovery != 0 && (c.recovery < minRecovery || c.recovery > maxRecovery):
		return bad("WithRecoveryWindow", "%d days, want %d to %d, or 0 to delete at once", c.recovery, minRecovery, maxRecovery)
	case c.quota < 0 || c.quota > 0 && c.quota < minVersions:
		return bad("WithVersionQuota", "%d versions, want at least %d, or 0 for any number", c.quota, minVersions)
	case c.spacing < 0 || c.spacing > maxSpacing:
		return bad("WithAccessTokenSpacing", "%v, want 0 to %v", c.spacing, maxSpacing)
	case c.spacing > 0 && c.quota == 0:
		return bad("WithAccessTokenSpacing", "needs a quota, which WithVersionQuota has taken away")
	case c.timeout <= 0 || c.timeout > engine.MaxTimeout:
		return bad("WithTimeout", "%v, want more than 0 and at most %v", c.timeout, engine.MaxTimeout)
	}
	return cmp.Or(c.checkTags(), c.checkRegions())
}

func (c *config) checkTags() error {
	if len(c.tags) > maxTags {
		return bad("WithTags", "%d tags, want at most %d", len(c.tags), maxTags)
	}
	for key, value := range c.tags {
		switch {
		case key == "" || utf8.RuneCountInString(key) > maxTagKey || utf8.RuneCountInString(value) > maxTagValue:
			return bad("WithTags", "tag %q: want a key of 1 to %d characters and a value of at most %d", key, maxTagKey, maxTagValue)
		case !isPrintable(key) || !isPrintable(value):
			return bad("WithTags", "tag %q: want UTF-8 without control characters", key)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return bad("WithTags", "tag %q: keys that begin with aws: are for AWS itself", key)
		}
	}
	return nil
}

// isPrintable reports whether text is UTF-8 without control characters.
func isPrintable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

func (c *config) checkRegions() error {
	for i, region := range c.replicas {
		if !regionName.MatchString(region) {
			return bad("WithReplicaRegions", "%q is not the name of a region", region)
		}
		if slices.Contains(c.replicas[:i], region) {
			return bad("WithReplicaRegions", "%q is there twice", region)
		}
	}
	return nil
}

// checkClient checks the client, and what can be told of the options with it.
func (c *config) checkClient(client Client) error {
	if args.IsNil(client) {
		return errors.New("awssm: the client is nil")
	}
	if official, ok := client.(*sm.Client); ok && slices.Contains(c.replicas, official.Options().Region) {
		return bad("WithReplicaRegions", "%q is the region of the secrets themselves", official.Options().Region)
	}
	return nil
}

var regionName = regexp.MustCompile(`^([a-z]+-)+\d+$`)

// fullPrefix is what stands before every name. The last slash of a name is always the one that ends
// the prefix, so that two stores never meet in one name.
func (c *config) fullPrefix() string {
	return c.prefix + "/"
}
