//go:build go1.25

package tokensource_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/tokensource"
	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

// Providers that do not answer as most do.

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(r *http.Request, status int, contentType, body string) *http.Response {
	return &http.Response{
		Status: fmt.Sprint(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

func TestRefresh_answersThatCanBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		status            int
		contentType, body string
		reauth            bool
	}{
		"a description that is no text":       {400, "application/json", `{"error":"invalid_grant","error_description":["expired"]}`, true},
		"a refusal under another name":        {400, "text/plain; charset=utf-8", `{"error":"invalid_grant"}`, true},
		"tokens under another name":           {200, "text/plain; charset=utf-8", `{"access_token":"a2","expires_in":3600,"refresh_token":"r2"}`, false},
		"tokens beside an error that is none": {200, "application/json", `{"access_token":"a2","expires_in":3600,"refresh_token":"r2","error":false}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.login("alice")
				time.Sleep(lifetime)
				tokens := w.asking(w.store, roundTrip(func(r *http.Request) (*http.Response, error) {
					return answer(r, c.status, c.contentType, c.body), nil
				}), oauth2.AuthStyleInHeader)
				_, err := tokens.User("alice").Token()
				if c.reauth {
					wantReauth(t, err, "alice", false)
				} else if err != nil || w.stored("alice").RefreshToken != "r2" {
					t.Errorf("got error %v, and the new refresh token stored: %v", err, w.stored("alice").RefreshToken == "r2")
				}
			})
		})
	}
}

// A server that does not look at the header misses a parameter.
func TestRefresh_aProviderThatWantsTheClientInTheBody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		tokens := w.asking(w.store, roundTrip(func(r *http.Request) (*http.Response, error) {
			if err := r.ParseForm(); err != nil {
				return nil, err
			}
			if r.PostForm.Get("client_id") == "" {
				return answer(r, 400, "application/json", `{"error":"invalid_request","error_description":"client_id is missing"}`), nil
			}
			return answer(r, 200, "application/json", `{"access_token":"a2","expires_in":3600}`), nil
		}), oauth2.AuthStyleAutoDetect)
		if _, err := tokens.User("alice").Token(); err != nil {
			t.Error(err)
		}
	})
}

// unrenewed leases are lost where the provider is slow.
type unrenewed struct{ leasingStore }

func (unrenewed) RenewLease(context.Context, *oauthstore.Lease) error {
	return oauthstore.ErrUnavailable
}

func TestRefresh_theOtherWayToAuthenticateNeedsTheLeaseToo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		late := roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := w.RoundTrip(r)
			if _, _, inHeader := r.BasicAuth(); inHeader {
				time.Sleep(15 * time.Second) // until the other process has refreshed
			}
			return resp, err
		})
		slow := w.asking(unrenewed{w.store.(leasingStore)}, late, oauth2.AuthStyleAutoDetect, tokensource.WithLease(3*time.Second))
		other := w.asking(w.store, w, oauth2.AuthStyleInParams, tokensource.WithLease(3*time.Second))
		together(2, func(i int) {
			time.Sleep(time.Duration(i) * time.Second)
			if _, err := []*tokensource.Tokens{slow, other}[i].User("alice").Token(); err != nil {
				t.Errorf("process %d: %v", i, err)
			}
		})
		if reuses := w.srv.Stats().Reuses; len(reuses) > 0 {
			t.Errorf("the provider has seen reuses: %v", reuses)
		}
	}, authtest.WithClients(authtest.Client{
		ID: authtest.ClientID, Secret: authtest.ClientSecret, Auth: authtest.ClientSecretPost, RedirectURIs: []string{authtest.RedirectURI},
	}))
}

// repeating is a provider that gives the same access token until that has ended, and counts how often it is asked.
func repeating(token *oauthstore.OAuthToken, asked *int) roundTrip {
	access, end := token.AccessToken, token.Expiry
	return func(r *http.Request) (*http.Response, error) {
		*asked++
		time.Sleep(100 * time.Millisecond)
		if !time.Now().Before(end) {
			access, end = access+"+", time.Now().Add(lifetime)
		}
		left := int(time.Until(end).Seconds())
		return answer(r, 200, "application/json", fmt.Sprintf(`{"access_token":%q,"expires_in":%d}`, access, left)), nil
	}
}

func TestSource_aProviderThatRepeatsTheAccessTokenIsNotAskedWithoutEnd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		asked := 0
		s := w.asking(w.store, repeating(w.login("alice"), &asked), oauth2.AuthStyleInHeader).User("alice")
		for begun := time.Now(); time.Since(begun) < lifetime+10*time.Minute; time.Sleep(100 * time.Millisecond) {
			token, err := s.Token()
			if err != nil || time.Now().After(token.Expiry) {
				t.Fatalf("got error %v, or a token that has ended", err)
			}
		}
		if asked > 5 {
			t.Errorf("the provider was asked %d times for one new token", asked)
		}
	})
}

func TestSource_invalidateOfATokenThatTheProviderRepeats(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		asked := 0
		token := w.login("alice")
		s := w.asking(w.store, repeating(token, &asked), oauth2.AuthStyleInHeader).User("alice")
		w.get(s)
		s.Invalidate(token.AccessToken)
		if _, err := s.Token(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if asked > 2 {
			t.Errorf("the provider was asked %d times within a minute", asked)
		}
	})
}

func TestRefresh_aRefusalIsForgottenOnceTheRefreshTokenHasServed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		w.srv.Inject(authtest.Fault{Op: "refresh_token", Kind: authtest.Fail, Status: 400, Code: "invalid_grant", Times: 1})
		a, b := w.tokens().User("alice"), w.tokens().User("alice")
		time.Sleep(lifetime)
		_, err := a.Token()
		wantReauth(t, err, "alice", false)
		time.Sleep(lifetime) // until others ask again
		w.get(b)
		w.get(a)
		for range 3 {
			time.Sleep(2 * lifetime)
			w.get(a)
		}
	}, authtest.WithRotation(authtest.Repeat))
}

func TestRefresh_withoutALeaseWhatTheProviderSaysLastIsHeard(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		asked := 0
		tokens := w.asking(w.store, roundTrip(func(r *http.Request) (*http.Response, error) {
			if asked++; asked < 3 {
				time.Sleep(30 * time.Second)
				return nil, errors.New("the answer was lost")
			}
			return answer(r, 400, "application/json", `{"error":"invalid_grant"}`), nil
		}), oauth2.AuthStyleInHeader, tokensource.WithLease(0))
		_, err := tokens.User("alice").Token()
		wantReauth(t, err, "alice", true)
	})
}

// counted counts the leases that are given.
type counted struct {
	leasingStore
	leases *int
}

func (s counted) LeaseToken(ctx context.Context, r oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	l, err := s.leasingStore.LeaseToken(ctx, r)
	if err == nil && l.Held {
		*s.leases++
	}
	return l, err
}

// Functions that start anew for each request do not all ask with a refresh token that the provider does not take, and
// write a lease for it each time.
func TestRefresh_aRefusalIsKnownToAllProcesses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(w *world)
		code   string
		perDay int
	}{
		"refused": {func(w *world) { w.srv.Revoke("alice") }, "invalid_grant", 24},
		"nothing to ask with": {func(w *world) {
			if err := w.store.DeleteToken(w.t.Context(), "alice"); err != nil {
				w.t.Fatal(err)
			}
			record := &oauthstore.OAuthToken{ID: "alice", UserName: "alice", ClientID: authtest.ClientID, AccessToken: "a", Expiry: time.Now()}
			if err := w.store.SaveToken(w.t.Context(), record); err != nil {
				w.t.Fatal(err)
			}
		}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.login("alice")
				c.spoil(w)
				time.Sleep(lifetime)
				leases := 0
				for range 24 * 6 {
					_, err := w.over(counted{w.store.(leasingStore), &leases}).User("alice").Token()
					var reauth *tokensource.ReauthRequiredError
					if !errors.As(err, &reauth) || reauth.Code != c.code || reauth.ID != "alice" || reauth.UserName != "alice" {
						t.Fatalf("got error %v", err)
					}
					time.Sleep(10 * time.Minute)
				}
				asked := 0
				for _, n := range w.refreshes() {
					asked += n
				}
				if leases > c.perDay || asked > c.perDay || c.perDay > 0 && asked == 0 {
					t.Errorf("got %d leases and %d requests to the provider in a day, want at most %d", leases, asked, c.perDay)
				}
				if _, err := w.tokens().Exchange(t.Context(), "alice", w.srv.Grant("alice")); err != nil {
					t.Fatal(err)
				}
				w.get(w.tokens().User("alice"))
				time.Sleep(lifetime)
				w.get(w.tokens().User("alice"))
			})
		})
	}
}

// An API that refuses whatever it is sent is not a reason to refresh without end.
func TestSource_invalidateIsHeededOnceInAWhile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		s := w.tokens().User("alice")
		for range 24 * 60 {
			s.Invalidate(w.get(s).AccessToken)
			time.Sleep(time.Minute)
		}
		n := w.refreshes()[authtest.OK]
		if n < 24 || n > 30 {
			t.Errorf("got %d refreshes in a day of refusals, want one in an hour, and some more at first", n)
		}
		time.Sleep(3 * time.Hour)
		for range 2 {
			token := w.get(s)
			s.Invalidate(token.AccessToken)
			if w.get(s).AccessToken == token.AccessToken {
				t.Error("what is refused some hours later is not refreshed")
			}
			time.Sleep(3 * time.Hour)
		}
	}, authtest.WithAccessTokenLifetime(48*time.Hour))
}

// The refresh that a refusal asked for has failed, and the token is good after all.
func TestSource_aRefusalIsNotBelievedForEver(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		token := w.login("alice")
		w.srv.Inject(authtest.Fault{Op: "refresh_token", Kind: authtest.Fail, Status: 403, Times: -1})
		s := w.tokens().User("alice")
		s.Invalidate(token.AccessToken)
		if _, err := s.Token(); err == nil {
			t.Error("got no error")
		}
		time.Sleep(6 * time.Minute)
		w.get(s)
	})
}

func TestRefresh_theTokenEndpointsRedirectsAreNotFollowed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		time.Sleep(lifetime)
		asked := ""
		was := http.DefaultTransport
		http.DefaultTransport = roundTrip(func(r *http.Request) (*http.Response, error) {
			asked += r.URL.Host + " "
			resp := answer(r, http.StatusTemporaryRedirect, "text/plain", "")
			resp.Header.Set("Location", "http://elsewhere.example.com/")
			return resp, nil
		})
		defer func() { http.DefaultTransport = was }()
		tokens, err := tokensource.New(w.store, w.config())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tokens.User("alice").Token(); err == nil || asked != "provider.example.com " {
			t.Errorf("got error %v, and asked %s", err, asked)
		}
	})
}
