package tokensource

import (
	"encoding/json"
	"math"
	"net/url"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/memory"
)

func TestConversions_keepEverything(t *testing.T) {
	want := oauthstore.OAuthToken{
		AccessToken: "a", RefreshToken: "r", TokenType: "Bearer", Scope: "read write", APIDomain: "https://api.example.com",
		Extra: `{"id":17,"instance_url":"https://eu.example.com"}`, Expiry: time.Date(2040, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	there := ToOAuth2(&want)
	if there.AccessToken != "a" || there.RefreshToken != "r" || there.TokenType != "Bearer" || !there.Expiry.Equal(want.Expiry) ||
		there.Extra("scope") != "read write" || there.Extra("api_domain") != "https://api.example.com" || there.Extra("id") != 17.0 {
		t.Errorf("ToOAuth2: something is missing")
	}
	if back := FromOAuth2(there, "instance_url", "id", "not_there"); *back != want {
		t.Errorf("there and back: got %s with the members %s", back, back.Extra)
	}
	if back := FromOAuth2(there); back.Extra != "" {
		t.Errorf("nothing was named: got %s", back.Extra)
	}
	if got := FromOAuth2(ToOAuth2(&oauthstore.OAuthToken{Extra: "no JSON"})); *got != (oauthstore.OAuthToken{}) {
		t.Errorf("nothing: got %v", got)
	}
}

func TestFromOAuth2_otherForms(t *testing.T) {
	form := (&oauth2.Token{AccessToken: "a"}).WithExtra(url.Values{"scope": {"read"}, "instance_url": {"x"}})
	if got := FromOAuth2(form, "instance_url"); got.Scope != "read" || got.Extra != `{"instance_url":"x"}` {
		t.Errorf("an answer in a form: got %v, %s", got, got.Extra)
	}
	list := (&oauth2.Token{AccessToken: "a"}).WithExtra(map[string]any{"scope": []any{"read", "write", 1.0}})
	if got := FromOAuth2(list); got.Scope != "read write" {
		t.Errorf("a list of scopes: got %q", got.Scope)
	}
}

func TestLifetime(t *testing.T) {
	for answer, want := range map[string]time.Duration{
		`{}`:                    0,
		`{"expires_in":3600}`:   time.Hour,
		`{"expires_in":"3600"}`: time.Hour,
		`{"expires_in":0.5}`:    500 * time.Millisecond,
		`{"expires_in":3600000,"expires_in_sec":60}`: time.Minute,
		`{"expires_in":-1}`:                          0,
		`{"expires_in":"soon"}`:                      0,
		`{"expires_in":null}`:                        0,
		`{"expires_in":1e300}`:                       maxLifetime,
		`{"expires_in":9223372036854775807}`:         maxLifetime,
		`{"expires_in":"NaN"}`:                       0,
	} {
		var raw map[string]any
		if err := json.Unmarshal([]byte(answer), &raw); err != nil {
			t.Fatal(err)
		}
		if got := lifetime((&oauth2.Token{}).WithExtra(raw), raw, time.Second); got != want {
			t.Errorf("%s: got %v, want %v", answer, got, want)
		}
	}
	if got := lifetime((&oauth2.Token{}).WithExtra(url.Values{"expires_in": {"60"}}), nil, time.Second); got != time.Minute {
		t.Errorf("an answer in a form: got %v", got)
	}
	if got := lifetime(&oauth2.Token{}, map[string]any{"expires_in": 3600000.0}, time.Millisecond); got != time.Hour {
		t.Errorf("milliseconds: got %v", got)
	}
	if got := count(math.Inf(-1)).times(time.Second); got != 0 {
		t.Errorf("got %v", got)
	}
}

func TestMergeExtra(t *testing.T) {
	for _, c := range [][3]string{
		{"", "", ""}, {`{"a":1}`, "", `{"a":1}`}, {"", `{"a":1}`, `{"a":1}`}, {`{"a":1,"b":2}`, `{"b":3}`, `{"a":1,"b":3}`}, {"no JSON", `{"a":1}`, `{"a":1}`},
	} {
		if got := mergeExtra(c[0], c[1]); got != c[2] {
			t.Errorf("%q and %q: got %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

func TestCode_showsNothingUnusual(t *testing.T) {
	for said, want := range map[string]string{
		"": "", "invalid_grant": "invalid_grant", "Access Denied": "Access Denied",
		"1000.0123456789abcdef.0123456789abcdef": "(an error code of unusual form)",
	} {
		if got := code(said); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNew_namesWhatMakesNoSense(t *testing.T) {
	good := &oauth2.Config{ClientID: "id", Endpoint: oauth2.Endpoint{TokenURL: "https://example.com/token"}}
	for want, try := range map[string]func() (*Tokens, error){
		"tokensource: there is no store":                                         func() (*Tokens, error) { return New(nil, good) },
		"tokensource: the config has no ClientID":                                func() (*Tokens, error) { return New(memory.New(), nil) },
		"tokensource: the config has no Endpoint.TokenURL":                       func() (*Tokens, error) { return New(memory.New(), &oauth2.Config{ClientID: "id"}) },
		"tokensource: WithEarlyRefresh: early and jitter must not be negative":   func() (*Tokens, error) { return New(memory.New(), good, WithEarlyRefresh(-1, 0)) },
		"tokensource: WithLeeway: leeway must not be negative":                   func() (*Tokens, error) { return New(memory.New(), good, WithLeeway(-1)) },
		"tokensource: WithLease: lease must be at least a second, or 0 for none": func() (*Tokens, error) { return New(memory.New(), good, WithLease(1)) },
		"tokensource: WithMaxAttempts: attempts must be at least 1":              func() (*Tokens, error) { return New(memory.New(), good, WithMaxAttempts(0)) },
		"tokensource: WithDefaultLifetime: lifetime must be more than 0":         func() (*Tokens, error) { return New(memory.New(), good, WithDefaultLifetime(0)) },
		"tokensource: WithExpiresInUnit: unit must be more than 0":               func() (*Tokens, error) { return New(memory.New(), good, WithExpiresInUnit(0)) },
		"tokensource: WithHTTPClient: client must not be nil":                    func() (*Tokens, error) { return New(memory.New(), good, WithHTTPClient(nil)) },
		"tokensource: WithObserver: observer must not be nil":                    func() (*Tokens, error) { return New(memory.New(), good, WithObserver(nil)) },
	} {
		if _, err := try(); err == nil || err.Error() != want {
			t.Errorf("got error %v, want %s", err, want)
		}
	}
	if _, err := New((*memory.Store)(nil), good); err == nil || err.Error() != "tokensource: there is no store" {
		t.Errorf("a nil pointer as the store: got error %v", err)
	}
	for _, opts := range [][]Option{nil, {nil, WithLease(0), nil}} {
		if _, err := New(memory.New(), good, opts...); err != nil {
			t.Error(err)
		}
	}
}
