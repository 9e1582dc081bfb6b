package authtest_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

func TestFault_spoilsTheAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		fault      authtest.Fault
		status     int // 0: no answer
		code       string
		retryAfter string
		body       string // in the answer
	}{
		"500":             {authtest.Fault{Kind: authtest.Fail}, 500, "server_error", "", ""},
		"503":             {authtest.Fault{Kind: authtest.Fail, Status: 503, RetryAfter: 1200 * time.Millisecond}, 503, "temporarily_unavailable", "2", ""},
		"429":             {authtest.Fault{Kind: authtest.Fail, Status: 429, RetryAfter: time.Minute}, 429, "temporarily_unavailable", "60", ""},
		"an error code":   {authtest.Fault{Kind: authtest.Fail, Status: 400, Code: "invalid_client"}, 400, "invalid_client", "", ""},
		"no connection":   {authtest.Fault{Kind: authtest.Drop}, 0, "", "", ""},
		"malformed JSON":  {authtest.Fault{Kind: authtest.Garble}, 200, "", "", "{"},
		"a page":          {authtest.Fault{Kind: authtest.HTML}, 200, "", "", "<!DOCTYPE html>"},
		"a page of a 502": {authtest.Fault{Kind: authtest.HTML, Status: 502}, 502, "", "", "<!DOCTYPE html>"},
		"too much":        {authtest.Fault{Kind: authtest.Huge}, 200, "", "", strings.Repeat(" ", 16<<20) + "{"},
	} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " after ", after), func(t *testing.T) {
				f := start(t)
				fault := c.fault
				fault.After = after
				f.Inject(fault)
				tokens := f.Issue("alice")
				form := pairs("grant_type", "refresh_token", "refresh_token", tokens.RefreshToken)
				r := f.request(http.MethodPost, "/token", form.Encode())
				r.SetBasicAuth(authtest.ClientID, authtest.ClientSecret)
				if c.status == 0 {
					_, err := f.client.Do(r)
					require.Error(t, err)
				} else {
					answer := f.do(r)
					require.Equal(t, c.status, answer.StatusCode)
					require.Equal(t, c.retryAfter, answer.Header.Get("Retry-After"))
					require.True(t, strings.HasPrefix(answer.body, c.body))
					if c.code != "" {
						answer.requireError(c.status, c.code)
					}
				}

				logged := f.Requests()[0]
				require.Equal(t, fault, logged.Fault)
				if after {
					require.Equal(t, authtest.OK, logged.Result)
					require.Equal(t, 1, f.family().Refreshes, "only the answer is lost")
					f.refresh(tokens.RefreshToken).requireError(http.StatusBadRequest, "invalid_grant")
					require.Len(t, f.Stats().Reuses, 1, "who tries again is taken for a thief")
					return
				}
				require.Equal(t, authtest.Unprocessed, logged.Result)
				require.Zero(t, f.family().Refreshes)
				f.refresh(tokens.RefreshToken).secret("access_token") // the fault was for one request
			})
		}
	}
}

func TestFault_garblesATrueAnswer(t *testing.T) {
	f := start(t)
	f.Inject(authtest.Fault{Kind: authtest.Garble, After: true})
	r := f.refresh(f.Issue("alice").RefreshToken)
	require.Contains(t, r.body, "access_token")
	require.False(t, strings.HasSuffix(r.body, "}"))
}

func TestFault_hidesATrueAnswerBehindSpaces(t *testing.T) {
	f := start(t)
	f.Inject(authtest.Fault{Kind: authtest.Huge, After: true})
	r := f.refresh(f.Issue("alice").RefreshToken)
	require.Greater(t, len(r.body), 16<<20)
	require.Contains(t, r.body[16<<20:], "access_token")
}

func TestFault_hitsTheRequestsItWasOrderedFor(t *testing.T) {
	f := start(t)
	code, alice, bob := f.Grant("carol"), f.Issue("alice"), f.Issue("bob")
	f.Inject(authtest.Fault{Kind: authtest.Fail, Op: "refresh_token", User: "alice", Skip: 1, Times: 2})
	f.exchange(code).secret("access_token")
	f.refresh(bob.RefreshToken).secret("access_token")
	next := f.refresh(alice.RefreshToken).secret("refresh_token")
	require.Equal(t, "alice", f.get("/resource", alice.AccessToken).body)
	f.refresh(next).requireError(500, "server_error")
	f.refresh(next).requireError(500, "server_error")
	next = f.refresh(next).secret("refresh_token")

	f.Inject(authtest.Fault{Kind: authtest.Fail, Status: 503, Times: -1})
	for range 5 {
		f.refresh(next).requireError(503, "temporarily_unavailable")
		require.Equal(t, 503, f.get("/resource", alice.AccessToken).StatusCode)
	}
	f.ClearFaults()
	f.refresh(next).secret("access_token")
}

func TestFaults_canBeDecidedForEachRequest(t *testing.T) {
	var f fixture
	seen := 0
	f = start(t, authtest.WithFaults(func(r authtest.Request) authtest.Fault {
		if r.Op == "refresh_token" {
			seen++ // one request at a time, so there is no race
		}
		if r.User == "alice" && seen == 2 {
			f.Inject(authtest.Fault{Kind: authtest.Fail, Status: 429}) // for the request after this one
			return authtest.Fault{Kind: authtest.Fail, Status: 503}
		}
		return authtest.Fault{}
	}))
	refresh := f.refresh(f.Issue("alice").RefreshToken).secret("refresh_token")
	f.refresh(refresh).requireError(503, "temporarily_unavailable")
	f.refresh(refresh).requireError(429, "temporarily_unavailable")
	f.refresh(refresh).secret("refresh_token")
	require.Equal(t, 3, seen, "what is injected comes first")
	require.Equal(t, map[string]int{authtest.OK: 2, authtest.Unprocessed: 2}, f.Stats().TokenRequests["refresh_token"])
}

// send sends a refresh and reports the error when it comes.
func (f fixture) send(ctx context.Context, refreshToken string) <-chan error {
	failed := make(chan error, 1)
	r := f.request(http.MethodPost, "/token", pairs("grant_type", "refresh_token", "refresh_token", refreshToken).Encode()).WithContext(ctx)
	r.SetBasicAuth(authtest.ClientID, authtest.ClientSecret)
	go func() {
		resp, err := f.client.Do(r)
		if err == nil {
			_ = resp.Body.Close()
		}
		failed <- err
	}()
	return failed
}

func TestDelay_isAfterTheRequestTookEffect(t *testing.T) {
	for name, slow := range map[string]func(f fixture){
		"of a fault":  func(f fixture) { f.Inject(authtest.Fault{Delay: time.Hour}) },
		"of a server": func(f fixture) { f.SetLatency(authtest.Latency{After: time.Hour}) },
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			slow(f)
			failed := f.send(t.Context(), f.Issue("alice").RefreshToken)
			until(func() bool { return f.Stats().TokenRequests["refresh_token"][authtest.OK] == 1 })
			require.Empty(t, failed)
			f.Close()
			require.Error(t, <-failed)
		})
	}
}

func TestLatency_isWaited(t *testing.T) {
	f := start(t)
	f.SetLatency(authtest.Latency{Before: 20 * time.Millisecond, After: 30 * time.Millisecond, Jitter: time.Millisecond, Seed: 1})
	begin := time.Now()
	f.refresh(f.Issue("alice").RefreshToken).secret("access_token")
	require.GreaterOrEqual(t, time.Since(begin), 50*time.Millisecond)
}

func TestRequest_takesEffectThoughItsClientHasGone(t *testing.T) {
	f := start(t)
	f.SetLatency(authtest.Latency{Before: 100 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	failed := f.send(ctx, f.Issue("alice").RefreshToken)
	until(func() bool { return len(f.Requests()) == 1 })
	cancel()
	<-failed
	until(func() bool { return f.family().Refreshes == 1 })
}

func TestKind_hasAName(t *testing.T) {
	for k, name := range map[authtest.Kind]string{authtest.None: "None", authtest.Huge: "Huge", -1: "Kind(?)", 99: "Kind(?)"} {
		require.Equal(t, name, fmt.Sprint(k))
	}
}
