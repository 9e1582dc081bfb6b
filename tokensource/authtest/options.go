package authtest

import (
	"maps"
	"slices"
	"time"
)

// An Option changes how a [Server] is set up. A nil Option is ignored.
type Option func(*options)

type options struct {
	noSocket bool
	clients  []*Client
	scopes   []string // nil: any
	clock    func() time.Time
	faults   func(Request) Fault

	codeLifetime, accessLifetime, refreshLifetime time.Duration // the last of them 0: no end

	rotation  Rotation
	detection bool
	grace     time.Duration

	stringExpiresIn bool
	zoho            bool
	members         map[string]any
}

func defaults() options {
	return options{
		clients:        []*Client{{ID: ClientID, Secret: ClientSecret, RedirectURIs: []string{RedirectURI}}},
		clock:          time.Now,
		faults:         func(Request) Fault { return Fault{} },
		codeLifetime:   10 * time.Minute,
		accessLifetime: time.Hour,
		detection:      true,
		members:        make(map[string]any),
	}
}

// WithClients registers these clients instead of the one that is there by default. [Server.Grant] and [Server.Issue]
// are for the first.
func WithClients(first Client, more ...Client) Option {
	return func(o *options) {
		o.clients = nil
		for _, c := range append([]Client{first}, more...) {
			c.RedirectURIs = slices.Clone(c.RedirectURIs)
			o.clients = append(o.clients, &c)
		}
	}
}

// WithScopes sets the scopes that there are; any other one is invalid_scope. Who asks for none gets all of them
// (RFC 6749, 3.3). By default every scope exists, and who asks for none gets none.
func WithScopes(scopes ...string) Option {
	return func(o *options) { o.scopes = slices.Clone(scopes) }
}

// WithoutSocket makes a server that does not listen, and is an http.Handler only: it can live in virtual time
// (testing/synctest), which a socket keeps from passing.
func WithoutSocket() Option { return func(o *options) { o.noSocket = true } }

// WithClock sets the clock, time.Now by default, to which [Server.Advance] adds. It may be called by several
// goroutines at once, and may not call a method of the server.
func WithClock(now func() time.Time) Option {
	return func(o *options) { o.clock = now }
}

// WithCodeLifetime sets how long an authorization code is good; 10 minutes by default, the most that RFC 6749,
// 4.1.2, recommends.
func WithCodeLifetime(d time.Duration) Option {
	return func(o *options) { o.codeLifetime = d }
}

// WithAccessTokenLifetime sets how long an access token is good; an hour by default. The server keeps to it exactly,
// and answers with expires_in in whole seconds: rounded down, but at least 1.
func WithAccessTokenLifetime(d time.Duration) Option {
	return func(o *options) { o.accessLifetime = d }
}

// WithRefreshTokenLifetime sets how long a refresh token is good, each from its own issue; 0, the default, is for
// ever.
func WithRefreshTokenLifetime(d time.Duration) Option {
	return func(o *options) { o.refreshLifetime = d }
}

// A Rotation says what becomes of the refresh token in a refresh (RFC 6749, 6).
type Rotation int

// The three kinds of providers.
const (
	Rotate Rotation = iota // the answer has a new refresh token, and the one before is superseded
	Repeat                 // the refresh token stays good, and the answer repeats it
	Omit                   // the refresh token stays good, and the answer has none
)

// WithRotation sets what becomes of the refresh token in a refresh; [Rotate] by default.
func WithRotation(r Rotation) Option {
	return func(o *options) { o.rotation = r }
}

// WithoutReuseDetection lets a family live on when a superseded refresh token is presented. The request is refused
// all the same, and listed in [Stats].
func WithoutReuseDetection() Option {
	return func(o *options) { o.detection = false }
}

// WithReuseGrace lets a refresh token be presented again until d after it was superseded, as some providers do for
// clients that have lost an answer: it is answered with a new access token and the refresh token that is the
// family's newest. The default is 0: never.
func WithReuseGrace(d time.Duration) Option {
	return func(o *options) { o.grace = d }
}

// WithStringExpiresIn writes expires_in as a JSON string, as some providers do.
func WithStringExpiresIn() Option {
	return func(o *options) { o.stringExpiresIn = true }
}

// WithZohoStyle makes the answers of the token endpoint those of Zoho. expires_in is in milliseconds, expires_in_sec
// in seconds, api_domain is apiDomain; errors have the status 200, and for invalid_grant it says invalid_code. The
// rotation becomes [Omit]; a later [WithRotation] changes that.
func WithZohoStyle(apiDomain string) Option {
	return func(o *options) {
		o.zoho, o.rotation = true, Omit
		o.members["api_domain"] = apiDomain
	}
}

// WithMembers adds members to the answers with tokens, such as id_token. A member of the server's own, such as
// token_type, is replaced; one whose value is nil is left out.
func WithMembers(members map[string]any) Option {
	return func(o *options) { maps.Copy(o.members, members) }
}
