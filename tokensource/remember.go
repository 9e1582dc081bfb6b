package tokensource

import (
	"errors"
	"time"

	"github.com/oauthstore/oauthstore"
)

// What this process remembers of a record whose refresh has failed, as long as the record has that refresh token.
type failed struct {
	grant    string
	refusal  *ReauthRequiredError // the provider does not take it
	beside   string               // the access token that the record had then
	noAnswer bool                 // a request with it had no answer
	failures int
	err      error // of the last, to be returned until then
	until    time.Time
}

// maxFailed is of how many records that is remembered.
const maxFailed = 1000

// grantOf is what the provider is asked with, empty where there is nothing.
func grantOf(token *oauthstore.OAuthToken) string {
	if token.RefreshToken != "" {
		return token.RefreshToken
	}
	return token.GrantToken
}

// remember notes something of the token's record.
func (t *Tokens) remember(token *oauthstore.OAuthToken, note func(*failed)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.failed[token.ID]
	if f == nil || f.grant != grantOf(token) {
		if len(t.failed) >= maxFailed {
			clear(t.failed)
		}
		f = &failed{grant: grantOf(token)}
		t.failed[token.ID] = f
	}
	note(f)
}

// recall returns what is remembered of the token's record.
func (t *Tokens) recall(token *oauthstore.OAuthToken) failed {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.failed[token.ID]; f != nil && f.grant == grantOf(token) {
		return *f
	}
	return failed{}
}

// forget forgets it all: the record was refreshed, or the user has logged in.
func (t *Tokens) forget(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.failed, id)
}

// bury notes that the provider does not take the token's refresh token any more: it is not asked again.
func (t *Tokens) bury(token *oauthstore.OAuthToken, err *ReauthRequiredError) {
	t.remember(token, func(f *failed) { f.refusal, f.beside = err, token.AccessToken })
}

// refusalOf returns what the provider has said of the token's refresh token, nil if it may still be good: somebody has
// got another access token for it since.
func (t *Tokens) refusalOf(token *oauthstore.OAuthToken) error {
	if grantOf(token) == "" {
		return &ReauthRequiredError{ID: token.ID, UserName: token.UserName}
	}
	if f := t.recall(token); f.refusal != nil && f.beside == token.AccessToken {
		return f.refusal
	}
	return nil
}

// watch is what this process has seen of others' leases on the record. It belongs to the one refresh of that.
func (t *Tokens) watch(id string) *watch {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.watches[id]
	if w == nil {
		if len(t.watches) >= maxFailed {
			clear(t.watches)
		}
		w = new(watch)
		t.watches[id] = w
	}
	return w
}

func (t *Tokens) unwatch(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.watches, id)
}

func (t *Tokens) noAnswer(token *oauthstore.OAuthToken) {
	t.remember(token, func(f *failed) { f.noAnswer = true })
}

func (t *Tokens) hadNoAnswer(token *oauthstore.OAuthToken) bool { return t.recall(token).noAnswer }

// The pauses between refreshes that have failed because of the provider.
const (
	firstPause    = 2 * time.Second
	longestPause  = time.Minute
	longestAskFor = time.Hour // that a provider may ask for
)

// holdOff notes that the provider has failed: it is left alone for a while, by all callers.
func (t *Tokens) holdOff(token *oauthstore.OAuthToken, err error) {
	var p *ProviderError
	if !errors.As(err, &p) {
		return
	}
	t.remember(token, func(f *failed) {
		f.failures++
		f.err, f.until = err, time.Now().Add(max(pause(f.failures, firstPause, longestPause), min(p.RetryAfter, longestAskFor)))
	})
}

// heldOff returns the error of the last refresh, where it is too early for another.
func (t *Tokens) heldOff(token *oauthstore.OAuthToken) error {
	if f := t.recall(token); time.Now().Before(f.until) {
		return f.err
	}
	return nil
}
