package gcpsm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/args"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// An Option changes how a [Store] keeps its tokens. A nil Option is ignored.
type Option func(*config)

type config struct {
	project   string
	prefix    string
	codec     codec.Codec
	location  string   // of regional secrets
	locations []string // of user-managed replication
	kmsKeys   []string
	labels    map[string]string
	keep      int
	timeout   time.Duration
	observe   func(context.Context, oauthstore.Event)
}

// WithPrefix puts prefix and two underscores before the name of every secret, so that several stores
// share one project and an IAM condition can name one of them: see [Store.NamePrefix]. Default "oauthstore".
//
// It is 1 to 189 ASCII letters, digits, hyphens and underscores. Underscores separate words, so that none is first, last
// or beside another: two of them end the prefix. [New] refuses any other prefix.
func WithPrefix(prefix string) Option {
	return func(c *config) { c.prefix = prefix }
}

// WithCodec sets how tokens are written. Default [codec.JSON]. A codec that encrypts binds what it writes to the project as
// it was given to [New]: give it always as the id, or always as the number. See [Store.Rekey] for another key.
func WithCodec(codec codec.Codec) Option {
	return func(c *config) { c.codec = codec }
}

// WithLocation keeps the secrets in one region, as regional secrets. The client must have been made
// for the region's endpoint: option.WithEndpoint("secretmanager.LOCATION.rep.googleapis.com:443").
// They take 80 writes a second to one secret where global ones take 2.
func WithLocation(location string) Option {
	return func(c *config) { c.location = location }
}

// WithReplicaLocations keeps the payloads in these regions, user-managed replication, instead of where
// Google sees fit. Each is billed. It cannot be changed once a secret exists.
func WithReplicaLocations(locations ...string) Option {
	return func(c *config) { c.locations = slices.Clone(locations) }
}

// WithKMSKey encrypts the secrets that the store creates under customer-managed keys, given by resource
// name: one in location "global" for automatic replication, one in the region for [WithLocation], one
// for each of [WithReplicaLocations] in their order.
func WithKMSKey(names ...string) Option {
	return func(c *config) { c.kmsKeys = slices.Clone(names) }
}

// WithLabels puts labels on the secrets that the store creates: at most 64, keys and values of up to 63
// lower-case letters, digits, underscores and hyphens, keys beginning with a letter. Labels are not
// secret.
func WithLabels(labels map[string]string) Option {
	return func(c *config) { c.labels = maps.Clone(labels) }
}

// WithVersionsKept keeps n superseded versions of each secret instead of destroying them at the next
// save. Default 0: each version that is not destroyed is billed.
func WithVersionsKept(n int) Option {
	return func(c *config) { c.keep = n }
}

// WithTimeout bounds each step of a call, the retries of a read included, where the caller's context
// does not end sooner. Default 15 seconds, at most 2 minutes: an insert has three between its two writes.
//
// A call that makes several steps, or tries again, takes a minute at most, or twice d if that is longer, unless its
// context has a deadline: see [oauthstore.TokenStore].
func WithTimeout(d time.Duration) Option {
	return func(c *config) { c.timeout = d }
}

// WithObserver lets observe know of each request to the service, of conflicts with other writers, and of what is done
// again: see [oauthstore.Event]. It gets the context of the caller's call, or one made from it. It is called by many
// goroutines at a time and should not block: the call waits for it. Nor may it use the store, which may wait for the call.
// See [oauthstore.LogTo], and module otel for OpenTelemetry.
func WithObserver(observe func(context.Context, oauthstore.Event)) Option {
	return func(c *config) { c.observe = observe }
}

// What Secret Manager allows (its quotas page and the API reference of the resources).
const (
	maxName   = 255
	maxValue  = 65536
	maxWrites = 120 // a minute to one secret (quotas, AddSecretVersion for global secrets)
	maxLabels = 64
	minID     = 64 // room that a prefix must leave for names of tokens
	maxPrefix = maxName - minID - len(separator)
	window    = time.Second // for the writes to one secret, of which two a second are taken; the client does not wait
)

var (
	prefixForm = regexp.MustCompile(`^[A-Za-z0-9-]+(_[A-Za-z0-9-]+)*$`)
	labelKey   = regexp.MustCompile(`^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$`)
	labelValue = regexp.MustCompile(`^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$`)
	projectID  = regexp.MustCompile(`^[a-z0-9][a-z0-9.:-]*$`) // an id, one of a domain, or a number
	region     = regexp.MustCompile(`^[a-z0-9-]+$`)
)

func (c *config) check() error {
	bad := func(option, format string, args ...any) error {
		return fmt.Errorf("gcpsm: %s: %s", option, fmt.Sprintf(format, args...))
	}
	switch {
	case !projectID.MatchString(c.project):
		return bad("New", "%q is not the id or number of a project", c.project)
	case !prefixForm.MatchString(c.prefix):
		return bad("WithPrefix", "%q: want letters, digits and hyphens, and single underscores only between them: the store adds "+
			"two underscores", c.prefix)
	case len(c.prefix) > maxPrefix:
		return bad("WithPrefix", "%d characters, want at most %d", len(c.prefix), maxPrefix)
	case args.IsNil(c.codec):
		return bad("WithCodec", "the codec is nil")
	case c.location != "" && !region.MatchString(c.location):
		return bad("WithLocation", "%q is not the name of a region", c.location)
	case c.location != "" && len(c.locations) > 0:
		return bad("WithReplicaLocations", "regional secrets (WithLocation) are not replicated")
	case slices.ContainsFunc(c.locations, func(l string) bool { return !region.MatchString(l) }):
		return bad("WithReplicaLocations", "%q: not all are names of regions", c.locations)
	case len(c.kmsKeys) > 0 && len(c.kmsKeys) != max(1, len(c.locations)):
		return bad("WithKMSKey", "%d keys for %d locations", len(c.kmsKeys), max(1, len(c.locations)))
	case slices.Contains(c.kmsKeys, ""):
		return bad("WithKMSKey", "a key is empty")
	case len(c.labels) > maxLabels:
		return bad("WithLabels", "%d labels, want at most %d", len(c.labels), maxLabels)
	case c.keep < 0:
		return bad("WithVersionsKept", "%d, want 0 or more", c.keep)
	case c.timeout <= 0 || c.timeout > engine.MaxTimeout:
		return bad("WithTimeout", "%v, want more than 0 and at most %v", c.timeout, engine.MaxTimeout)
	}
	for key, value := range c.labels {
		if !labelKey.MatchString(key) || !labelValue.MatchString(value) {
			return bad("WithLabels", "%q: %q: want lower-case letters, digits, _ and -, at most 63", key, value)
		}
	}
	return nil
}

func checkClient(client Client) error {
	if args.IsNil(client) {
		return errors.New("gcpsm: the client is nil")
	}
	return nil
}

// separator ends the prefix in a name. No prefix holds it, so that two stores never meet in one name.
const separator = "__"

func (c *config) fullPrefix() string {
	return c.prefix + separator
}
