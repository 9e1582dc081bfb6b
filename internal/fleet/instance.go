package fleet

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/tokensource"
	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

// An instance is a process: what it was about to do when it is killed is not done, and what it has asked for is done,
// but it does not learn of it.
type instance struct {
	run    *run
	ctx    context.Context
	stop   context.CancelFunc
	store  Store
	source source
	end    func()

	mu      sync.Mutex
	dead    bool
	asking  bool // the provider has its request, and what came of that is not stored
	holding bool // it has the lease
}

var errDead = errors.New("the process is dead")

func (r *run) newInstance(ctx context.Context) *instance {
	i := &instance{run: r, end: func() {}}
	i.ctx, i.stop = context.WithCancel(ctx)
	i.store = &plugged{i, r.NewStore(r.t)}
	config := &oauth2.Config{
		ClientID: authtest.ClientID, ClientSecret: authtest.ClientSecret,
		Endpoint: oauth2.Endpoint{TokenURL: "http://provider.example.com/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
	client := &http.Client{Transport: i}
	if r.Plain {
		i.source = &plain{store: i.store, config: config, client: client}
	} else {
		tokens, err := tokensource.New(i.store, config, tokensource.WithHTTPClient(client), tokensource.WithLease(r.Lease),
			tokensource.WithEarlyRefresh(0, 0), tokensource.WithLeeway(leeway))
		if err != nil {
			r.t.Fatal(err)
		}
		i.source = tokens.User(user)
		i.end = func() {
			over, cancel := context.WithCancel(context.Background())
			if i.isDead() {
				cancel()
			}
			defer cancel()
			_ = tokens.Shutdown(over)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.crew[i] = true
	return i
}

func (i *instance) die() {
	i.mu.Lock()
	i.dead = true
	i.mu.Unlock()
	i.stop()
}

// alive is errDead where the process is dead.
func (i *instance) alive() error {
	if i.isDead() {
		return errDead
	}
	return nil
}

func (i *instance) isDead() bool    { return i.get(&i.dead) }
func (i *instance) isAsking() bool  { return i.get(&i.asking) }
func (i *instance) isHolding() bool { return i.get(&i.holding) || i.get(&i.asking) }

func (i *instance) get(b *bool) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return *b
}

func (i *instance) set(b *bool, to bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.dead {
		*b = to
	}
}

// RoundTrip brings a request to the provider, and the answer back.
func (i *instance) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(i.run.Latency)
	i.set(&i.asking, true)
	if err := i.alive(); err != nil {
		return nil, err
	}
	rec := httptest.NewRecorder()
	i.run.srv.ServeHTTP(rec, r)
	time.Sleep(i.run.Latency)
	if err := i.alive(); err != nil {
		return nil, err
	}
	if rec.Code != http.StatusOK {
		i.set(&i.asking, false)
	}
	return rec.Result(), nil
}

// plugged is the store as an instance has it.
type plugged struct {
	i     *instance
	inner Store
}

// call does something with the store, of which a dead process does not learn.
func call[T any](p *plugged, do func() (T, error)) (T, error) {
	var none T
	if err := p.i.alive(); err != nil {
		return none, err
	}
	got, err := do()
	if dead := p.i.alive(); dead != nil {
		return none, dead
	}
	return got, err
}

func (p *plugged) run(do func() error) error {
	_, err := call(p, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

// saves is run for what stores the provider's answer.
func (p *plugged) saves(do func() error) error {
	err := p.run(do)
	p.i.set(&p.i.asking, false)
	p.i.set(&p.i.holding, false)
	return err
}

func (p *plugged) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	return call(p, func() (*oauthstore.OAuthToken, error) { return p.inner.FindToken(ctx, token) })
}

func (p *plugged) FindTokenByID(ctx context.Context, id string) (*oauthstore.OAuthToken, error) {
	return call(p, func() (*oauthstore.OAuthToken, error) { return p.inner.FindTokenByID(ctx, id) })
}

func (p *plugged) SaveToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return p.saves(func() error { return p.inner.SaveToken(ctx, token) })
}

func (p *plugged) UpdateToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return p.saves(func() error { return p.inner.UpdateToken(ctx, token) })
}

func (p *plugged) DeleteToken(ctx context.Context, id string) error {
	return p.run(func() error { return p.inner.DeleteToken(ctx, id) })
}

func (p *plugged) GetTokens(ctx context.Context) ([]*oauthstore.OAuthToken, error) {
	return call(p, func() ([]*oauthstore.OAuthToken, error) { return p.inner.GetTokens(ctx) })
}

func (p *plugged) DeleteTokens(ctx context.Context) error {
	return p.run(func() error { return p.inner.DeleteTokens(ctx) })
}

func (p *plugged) LeaseToken(ctx context.Context, request oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	return call(p, func() (*oauthstore.Lease, error) {
		l, err := p.inner.LeaseToken(ctx, request)
		if err == nil && l.Held {
			p.i.mu.Lock()
			p.i.holding = true // also where the process has died meanwhile
			p.i.mu.Unlock()
		}
		return l, err
	})
}

func (p *plugged) RenewLease(ctx context.Context, lease *oauthstore.Lease) error {
	return p.run(func() error { return p.inner.RenewLease(ctx, lease) })
}

func (p *plugged) SaveLeased(ctx context.Context, lease *oauthstore.Lease, token *oauthstore.OAuthToken) error {
	return p.saves(func() error { return p.inner.SaveLeased(ctx, lease, token) })
}

func (p *plugged) ReleaseLease(ctx context.Context, lease *oauthstore.Lease) error {
	return p.saves(func() error { return p.inner.ReleaseLease(ctx, lease) })
}

// plain is what services do by hand: refresh where the stored token has ended, and save what comes of it.
type plain struct {
	store  Store
	config *oauth2.Config
	client *http.Client
	token  *oauthstore.OAuthToken
}

func (p *plain) TokenContext(ctx context.Context) (*oauth2.Token, error) {
	if p.token != nil && !p.token.Expired(leeway) {
		return tokensource.ToOAuth2(p.token), nil
	}
	stored, err := p.store.FindToken(ctx, &oauthstore.OAuthToken{UserName: user})
	if err != nil {
		return nil, err
	}
	if stored.Expired(leeway) {
		got, err := p.config.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, p.client), &oauth2.Token{RefreshToken: stored.RefreshToken}).Token()
		var refused *oauth2.RetrieveError
		switch {
		case errors.As(err, &refused) && refused.ErrorCode == "invalid_grant":
			return nil, &tokensource.ReauthRequiredError{ID: stored.ID, Code: refused.ErrorCode}
		case err != nil:
			return nil, err
		}
		stored.AccessToken, stored.RefreshToken, stored.Expiry = got.AccessToken, got.RefreshToken, got.Expiry
		if err := p.store.SaveToken(ctx, stored); err != nil {
			return nil, err
		}
	}
	p.token = stored
	return tokensource.ToOAuth2(stored), nil
}
