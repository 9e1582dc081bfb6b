package vault

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/args"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// An Option changes how a [Store] keeps its tokens. A nil Option is ignored.
type Option func(*config)

type config struct {
	mount       string
	prefix      string
	codec       codec.Codec
	metadata    map[string]string
	maxVersions int
	maxGiven    bool // maxVersions is the caller's wish
	timeout     time.Duration
	observe     func(context.Context, oauthstore.Event)
}

// WithMount sets the path at which the KV version 2 secrets engine is mounted. Default "secret".
func WithMount(path string) Option {
	return func(c *config) { c.mount = strings.Trim(path, "/") }
}

// WithPrefix puts prefix and a slash before the path of every secret in the mount, so that several
// stores share one mount and a policy can name one of them: see [Store.NamePrefix]. Default "oauthstore".
//
// It is 1 to 255 characters: folders with a slash between two. A folder's name is of ASCII letters, digits and _-=. and
// does not begin with a dot. [New] refuses any other prefix.
func WithPrefix(prefix string) Option {
	return func(c *config) { c.prefix = prefix }
}

// WithCodec sets how tokens are written. Default [codec.JSON], whose fields are the secret's keys. A codec that encrypts
// binds what it writes to namespace, mount and path. See [Store.Rekey] for another key.
func WithCodec(codec codec.Codec) Option {
	return func(c *config) { c.codec = codec }
}

// WithCustomMetadata puts custom metadata on the secrets that the store creates: at most 64 entries,
// keys of 1 to 128 bytes, values of 1 to 512, printable. It is not secret.
func WithCustomMetadata(metadata map[string]string) Option {
	return func(c *config) { c.metadata = maps.Clone(metadata) }
}

// WithMaxVersions makes Vault keep n versions of each secret that the store creates. Default 1, the
// current one: older versions hold superseded credentials. Where the mount's own max_versions is set and
// higher, Vault uses that. 0 leaves it to the mount, whose default is 10, and saves a call for each new
// token.
//
// It takes the permissions to create and update metadata. Without this option, and without
// [WithCustomMetadata], a client that has no such permission leaves it to the mount as well; then, and with 0,
// it needs the permission to create data.
func WithMaxVersions(n int) Option {
	return func(c *config) { c.maxVersions, c.maxGiven = n, true }
}

// WithTimeout bounds each step of a call, retries of the client included, where the caller's context does
// not end sooner. Default 15 seconds, at most 2 minutes.
//
// A call that makes several steps, or tries again, takes a minute at most, or twice d if that is longer, unless its
// context has a deadline: see [oauthstore.TokenStore].
func WithTimeout(d time.Duration) Option {
	return func(c *config) { c.timeout = d }
}

// WithObserver lets observe know of each request to Vault, of conflicts with other writers, and of what is done again:
// see [oauthstore.Event]. It gets the context of the caller's call, or one made from it. It is called by many
// goroutines at a time and should not block: the call waits for it. Nor may it use the store, which may wait for the call.
// See [oauthstore.LogTo], and module otel for OpenTelemetry.
func WithObserver(observe func(context.Context, oauthstore.Event)) Option {
	return func(c *config) { c.observe = observe }
}

// What Vault allows (KV version 2 API, create/update metadata; limits and maximums). There is no
// documented limit to the length of a path; maxName stays below the keys of the usual storage backends, but "file":
// Vault encrypts each part of a path, and the result must be the name of a file there.
const (
	maxName          = 512
	maxValue         = 512 * 1024 // Consul's; integrated storage takes twice as much
	maxMetadata      = 64
	maxMetadataKey   = 128
	maxMetadataValue = 512
	maxPrefix        = 255
)

// The client and the server clean paths like file paths. Folders that are empty or begin with a dot must not get there:
// a name could lead out of the mount or the prefix.
var (
	mountPath  = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$`)
	prefixForm = regexp.MustCompile(`^[A-Za-z0-9_=-][A-Za-z0-9_=.-]*(/[A-Za-z0-9_=-][A-Za-z0-9_=.-]*)*$`)
)

func (c *config) check() error {
	bad := func(option, format string, args ...any) error {
		return fmt.Errorf("vault: %s: %s", option, fmt.Sprintf(format, args...))
	}
	switch {
	case !mountPath.MatchString(c.mount):
		return bad("WithMount", "%q is not the path of a mount", c.mount)
	case !prefixForm.MatchString(c.prefix):
		return bad("WithPrefix", "%q: want folders of letters, digits and _-=. that begin with no dot, and slashes only between "+
			"them: the store adds the last slash", c.prefix)
	case len(c.prefix) > maxPrefix:
		return bad("WithPrefix", "%d characters, want at most %d", len(c.prefix), maxPrefix)
	case args.IsNil(c.codec):
		return bad("WithCodec", "the codec is nil")
	case len(c.metadata) > maxMetadata:
		return bad("WithCustomMetadata", "%d entries, want at most %d", len(c.metadata), maxMetadata)
	case c.maxVersions < 0:
		return bad("WithMaxVersions", "%d, want 0 or more", c.maxVersions)
	case c.timeout <= 0 || c.timeout > engine.MaxTimeout:
		return bad("WithTimeout", "%v, want more than 0 and at most %v", c.timeout, engine.MaxTimeout)
	}
	for key, value := range c.metadata {
		if !printable(key, maxMetadataKey) || !printable(value, maxMetadataValue) {
			return bad("WithCustomMetadata", "entry %q: want a printable key of 1 to %d bytes and a printable value of 1 to %d",
				key, maxMetadataKey, maxMetadataValue)
		}
	}
	return nil
}

func printable(s string, limit int) bool {
	return s != "" && len(s) <= limit &&
		strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// fullPrefix is what stands before every name in the mount.
func (c *config) fullPrefix() string { return c.prefix + "/" }
