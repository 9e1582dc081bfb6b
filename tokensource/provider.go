package tokensource

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
)

// A provider is a token endpoint, and our client's name there.
type provider struct {
	*options
	config *oauth2.Config // ours
	style  atomic.Int32   // of client authentication, once it is known
}

func newProvider(c *oauth2.Config, o *options) *provider {
	p := &provider{options: o, config: copied(c)}
	p.style.Store(int32(c.Endpoint.AuthStyle))
	return p
}

// copied returns a copy of c, but for what it remembers.
func copied(c *oauth2.Config) *oauth2.Config {
	return &oauth2.Config{
		ClientID: c.ClientID, ClientSecret: c.ClientSecret, Endpoint: c.Endpoint, RedirectURL: c.RedirectURL, Scopes: c.Scopes,
	}
}

// granted is what the provider has given.
type granted struct {
	token   *oauthstore.OAuthToken
	ends    bool          // it has said how long the access token lives
	assumed time.Duration // else it is taken to live for so long, where the one before had an end
	begun   time.Time
}

// over returns the token as it is to be saved over had.
func (g *granted) over(had *oauthstore.OAuthToken) *oauthstore.OAuthToken {
	next := *had
	next.AccessToken, next.Expiry = g.token.AccessToken, g.token.Expiry
	if !g.ends && !had.Expiry.IsZero() {
		next.Expiry = g.begun.Add(g.assumed)
	}
	for to, is := range map[*string]string{
		&next.RefreshToken: g.token.RefreshToken, // else the old one stays good (RFC 6749, 6)
		&next.TokenType:    g.token.TokenType,
		&next.Scope:        g.token.Scope,
		&next.APIDomain:    g.token.APIDomain,
	} {
		if is != "" {
			*to = is
		}
	}
	next.Extra = mergeExtra(had.Extra, g.token.Extra)
	return &next
}

// refresh asks with the refresh token (RFC 6749, 6), once.
func (p *provider) refresh(ctx context.Context, refreshToken string, sure func() error) (*granted, error) {
	return p.ask(ctx, sure, func(ctx context.Context, c *oauth2.Config) (*oauth2.Token, error) {
		return c.TokenSource(ctx, &oauth2.Token{RefreshToken: refreshToken}).Token()
	})
}

// exchange asks with an authorization code (RFC 6749, 4.1.3), once.
func (p *provider) exchange(ctx context.Context, code string, sure func() error, opts ...oauth2.AuthCodeOption) (*granted, error) {
	return p.ask(ctx, sure, func(ctx context.Context, c *oauth2.Config) (*oauth2.Token, error) {
		return c.Exchange(ctx, code, opts...)
	})
}

// ask asks once; but where it is not known how the provider wants the client to authenticate, and it has refused the
// one way, also the other, if sure says that it still is our turn. Package oauth2 would do so after any failure, and so
// send a refresh token a second time of which the first has perhaps taken effect.
func (p *provider) ask(ctx context.Context, sure func() error, how func(context.Context, *oauth2.Config) (*oauth2.Token, error)) (*granted, error) {
	style := oauth2.AuthStyle(p.style.Load())
	known := style != oauth2.AuthStyleAutoDetect
	if !known {
		style = oauth2.AuthStyleInHeader
	}
	g, err := p.askIn(ctx, style, how)
	var refused *ProviderError
	if !known && errors.As(err, &refused) && refused.refusesClient() {
		if err := sure(); err != nil {
			return nil, err
		}
		style = oauth2.AuthStyleInParams
		g, err = p.askIn(ctx, style, how)
	}
	if err == nil {
		p.style.Store(int32(style))
	}
	return g, err
}

func (p *provider) askIn(ctx context.Context, style oauth2.AuthStyle, how func(context.Context, *oauth2.Config) (*oauth2.Token, error)) (*granted, error) {
	c := copied(p.config)
	c.Endpoint.AuthStyle = style
	g := &granted{assumed: p.lifetime, begun: time.UnixMilli(time.Now().UnixMilli()).UTC()} // as it is stored: by the wall clock
	client, rec := *p.client, &recorder{base: p.client.Transport}
	client.Transport = rec
	got, err := how(context.WithValue(ctx, oauth2.HTTPClient, &client), c)
	if err != nil {
		return nil, rec.error(ctx, err)
	}
	g.token = FromOAuth2(got, p.extra...)
	g.token.Expiry = time.Time{}
	if d := lifetime(got, rec.members, p.unit); d > 0 {
		g.token.Expiry, g.ends = g.begun.Add(d), true
	}
	if err := g.token.Validate(); err != nil {
		return nil, &ProviderError{Status: http.StatusOK, Err: err} // what no store can keep
	}
	return g, nil
}

// retryAfter reads the header (RFC 9110, 10.2.3).
func retryAfter(r *http.Response) time.Duration {
	said := r.Header.Get("Retry-After")
	if n, err := strconv.Atoi(said); err == nil {
		return count(n).times(time.Second)
	}
	if at, err := http.ParseTime(said); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
