//go:build go1.25

package tokensource_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/tokensource"
)

// provider answers with its first answers in turn, and after that with the last one.
func provider(answers ...func(r *http.Request) (*http.Response, error)) (roundTrip, *int) {
	asked := new(int)
	return func(r *http.Request) (*http.Response, error) {
		*asked++
		return answers[min(*asked, len(answers))-1](r)
	}, asked
}

func says(status int, contentType, body string) func(r *http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) { return answer(r, status, contentType, body), nil }
}

const fresh = `{"access_token":"a2","token_type":"Bearer","expires_in":3600}`

// A proxy's answer has no error code.
func TestRefresh_aServerErrorWithoutACodeIsTriedAgain(t *testing.T) {
	for _, status := range []int{500, 502, 503, 504, 599} {
		inWorld(t, func(t *testing.T, w *world) {
			w.login("alice")
			time.Sleep(lifetime)
			p, asked := provider(says(status, "text/html", "<html>hush</html>"), says(200, "application/json", fresh))
			token, err := w.asking(w.store, p, oauth2.AuthStyleInHeader).User("alice").Token()
			if err != nil || token.AccessToken != "a2" || *asked != 2 {
				t.Errorf("%d: got error %v after %d requests, want a token after 2", status, err, *asked)
			}
		})
	}
}

func TestRefresh_whatProvidersCallARefreshTokenThatTheyDoNotTake(t *testing.T) {
	for _, code := range []string{"invalid_grant", "invalid_code", "bad_refresh_token", "bad_verification_code"} {
		inWorld(t, func(t *testing.T, w *world) {
			w.login("alice")
			time.Sleep(lifetime)
			p, asked := provider(says(200, "application/json", `{"error":"`+code+`","error_description":"hush"}`))
			tokens := w.asking(w.store, p, oauth2.AuthStyleInHeader)
			_, err := tokens.User("alice").Token()
			wantReauth(t, err, "alice", false)
			if *asked != 1 {
				t.Errorf("%s: the provider was asked %d times, want once", code, *asked)
			}
			_, err = tokens.Exchange(t.Context(), "alice", "code")
			wantReauth(t, err, "", false)
		})
	}
}

func TestRefresh_aSuccessEndsWhatAFailureHasBegun(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.login("alice")
		down, up := says(503, "application/json", `{}`), says(200, "application/json", fresh)
		p, asked := provider(down, up, down, up)
		tokens := w.asking(w.store, p, oauth2.AuthStyleInHeader, tokensource.WithMaxAttempts(1))
		for round := range 2 {
			time.Sleep(lifetime)
			s := tokens.User("alice")
			if _, err := s.Token(); !errors.Is(err, oauthstore.ErrUnavailable) {
				t.Errorf("round %d: got error %v, want ErrUnavailable", round, err)
			}
			time.Sleep(2 * time.Second) // the longest pause after a first failure
			if _, err := tokens.User("alice").Token(); err != nil || *asked != 2*round+2 {
				t.Errorf("round %d, two seconds after the failure: got error %v, the provider asked %d times", round, err, *asked)
			}
		}
	})
}

// A provider may give the refresh token again that it gave at the login before.
func TestExchange_endsWhatAFailureHasBegun(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tokens := w.asking(w.store, roundTrip(func(r *http.Request) (*http.Response, error) {
			if err := r.ParseForm(); err != nil {
				return nil, err
			}
			if r.PostForm.Get("grant_type") == "authorization_code" {
				return answer(r, 200, "application/json", `{"access_token":"login","refresh_token":"constant","expires_in":60}`), nil
			}
			resp := answer(r, 429, "application/json", `{}`)
			if w.count(tokensource.Asked) > 2 {
				resp = answer(r, 200, "application/json", fresh)
			}
			resp.Header.Set("Retry-After", "3600")
			return resp, nil
		}), oauth2.AuthStyleInHeader, tokensource.WithMaxAttempts(1))
		for range 2 {
			if _, err := tokens.Exchange(t.Context(), "alice", "code"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			_, err := tokens.User("alice").Token()
			if w.count(tokensource.Asked) < 3 {
				if !errors.Is(err, oauthstore.ErrThrottled) {
					t.Errorf("got error %v, want ErrThrottled", err)
				}
			} else if err != nil {
				t.Errorf("after another login: got error %v, want that the provider is asked", err)
			}
		}
	})
}

var errCable = errors.New("the cable is cut")

type cutBody struct{}

func (cutBody) Read([]byte) (int, error) { return 0, errCable }
func (cutBody) Close() error             { return nil }

func TestRefresh_theErrorSaysWhyThereWasNoAnswer(t *testing.T) {
	for name, lost := range map[string]func(r *http.Request) (*http.Response, error){
		"no answer": func(*http.Request) (*http.Response, error) { return nil, errCable },
		"half an answer": func(r *http.Request) (*http.Response, error) {
			resp := answer(r, 200, "application/json", "")
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"access_`), cutBody{}))
			return resp, nil
		},
	} {
		inWorld(t, func(t *testing.T, w *world) {
			w.login("alice")
			time.Sleep(lifetime)
			p, _ := provider(lost)
			_, err := w.asking(w.store, p, oauth2.AuthStyleInHeader).User("alice").Token()
			if e := new(tokensource.ProviderError); !errors.As(err, &e) || !errors.Is(e.Err, errCable) || e.Status != 0 || !errors.Is(err, oauthstore.ErrUnavailable) {
				t.Errorf("%s: got error %v, want a *ProviderError that is ErrUnavailable and the client's error", name, err)
			}
		})
	}
}

// renewing lets a function decide about every renewal of a lease.
type renewing struct {
	leasingStore
	renew func(n int) error
	n     int
}

func (s *renewing) RenewLease(ctx context.Context, l *oauthstore.Lease) error {
	s.n++
	if err := s.renew(s.n); err != nil {
		return err
	}
	return s.leasingStore.RenewLease(ctx, l)
}

// The provider's first answer is a failure, which comes after the first time that the lease was to be renewed.
func TestRefresh_asksAgainOnlyWhileTheLeaseIsNotLost(t *testing.T) {
	for name, c := range map[string]struct {
		renewal error // the first one's outcome
		lost    int
	}{
		"a renewal that has failed": {oauthstore.ErrUnavailable, 0},
		"a lease that is lost":      {oauthstore.ErrLeaseLost, 1},
	} {
		inWorld(t, func(t *testing.T, w *world) {
			w.login("alice")
			time.Sleep(lifetime)
			store := &renewing{leasingStore: w.store.(leasingStore), renew: func(n int) error {
				if n == 1 {
					return c.renewal
				}
				return nil
			}}
			p, _ := provider(func(r *http.Request) (*http.Response, error) {
				time.Sleep(4 * time.Second)
				return answer(r, 503, "application/json", `{}`), nil
			}, says(200, "application/json", fresh))
			token, err := w.asking(store, p, oauth2.AuthStyleInHeader, tokensource.WithLease(9*time.Second)).User("alice").Token()
			if err != nil || token.AccessToken != "a2" {
				t.Errorf("%s: got error %v", name, err)
			}
			if lost := w.count(tokensource.LeaseLost); lost != c.lost {
				t.Errorf("%s: told of %d lost leases, want %d", name, lost, c.lost)
			}
		})
	}
}

func TestProviderError_saysWhatTheProviderHasAnswered(t *testing.T) {
	for want, e := range map[string]*tokensource.ProviderError{
		"tokensource: the provider says invalid_request (status 400)": {Status: 400, Code: "invalid_request"},
		"tokensource: the provider says invalid_grant (status 200)":   {Status: 200, Code: "invalid_grant"},
		"tokensource: no answer from the provider that can be read":   {},
		"tokensource: the provider's answer is no token (status 200)": {Status: 200},
		"tokensource: the provider's answer is no token (status 299)": {Status: 299},
		"tokensource: the provider answers with status 199":           {Status: 199},
		"tokensource: the provider answers with status 300":           {Status: 300},
		"tokensource: the provider answers with status 503":           {Status: 503},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
