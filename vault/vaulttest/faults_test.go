package vaulttest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/testserver"
)

func TestFault_isVaultsOwnAnswer(t *testing.T) {
	for _, c := range []struct {
		kind   testserver.Kind
		status int
		text   string
		stored bool
	}{
		{testserver.FailBefore, 500, "internal error", false},
		{testserver.FailAfter, 500, "internal error", true},
		{testserver.Throttle, 429, `request path "secret/data/app": rate limit quota exceeded`, false},
		{testserver.Deny, 403, denied, false},
	} {
		t.Run(c.kind.String(), func(t *testing.T) {
			f := start(t)
			f.srv.Inject(testserver.Fault{Kind: c.kind, Op: "PUT data"})
			_, err := f.kv.Put(f.ctx, "app", map[string]any{"v": "1"})
			requireRefused(t, err, c.status, c.text)
			require.Equal(t, c.stored, len(f.srv.Secrets()) == 1)
			require.Equal(t, c.kind, f.srv.Requests()[0].Fault)

			_, err = f.kv.Put(f.ctx, "app", map[string]any{"v": "2"})
			require.NoError(t, err, "the fault was for one request")
		})
	}
}

func TestFault_DropAfterBreaksTheConnection(t *testing.T) {
	f := start(t)
	f.srv.Inject(testserver.Fault{Kind: testserver.DropAfter})
	_, err := f.kv.Put(f.ctx, "app", map[string]any{"v": "1"})
	require.Error(t, err)
	var answer *api.ResponseError
	require.False(t, errors.As(err, &answer), "an answer came: %v", err)
	require.Len(t, f.srv.Secrets(), 1)
}

func TestFault_HangLastsUntilTheClientGoes(t *testing.T) {
	for kind, stored := range map[testserver.Kind]bool{testserver.Hang: false, testserver.HangAfter: true} {
		t.Run(kind.String(), func(t *testing.T) {
			f := start(t)
			f.srv.Inject(testserver.Fault{Kind: kind})
			ctx, cancel := context.WithTimeout(f.ctx, 100*time.Millisecond)
			defer cancel()
			_, err := f.kv.Put(ctx, "app", map[string]any{"v": "1"})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, stored, len(f.srv.Secrets()) == 1)
		})
	}
}

func TestFault_HangEndsWithTheServer(t *testing.T) {
	f := start(t)
	f.srv.Inject(testserver.Fault{Kind: testserver.Hang})
	failed := make(chan error)
	go func() {
		_, err := f.kv.Get(f.ctx, "app")
		failed <- err
	}()
	require.Eventually(t, func() bool { return f.srv.Count() == 1 }, time.Second, time.Millisecond)
	f.srv.Close()
	require.Error(t, <-failed)
}

// The official client repeats a write whose answer was lost, and the repeated one meets the first.
func TestFault_aRetriedWriteLosesToItself(t *testing.T) {
	f := start(t)
	f.SetMaxRetries(1)
	f.SetMinRetryWait(time.Millisecond)
	f.SetMaxRetryWait(time.Millisecond)
	f.srv.Inject(testserver.Fault{Kind: testserver.FailAfter})
	_, err := f.kv.Put(f.ctx, "app", map[string]any{"v": "1"}, api.WithCheckAndSet(0))
	requireRefused(t, err, 400, "check-and-set parameter did not match the current version")
	require.Equal(t, 2, f.srv.Count("PUT data"))
	require.Equal(t, 1, f.srv.Secrets()[0].CurrentVersion)
}

func TestFault_canBeForOneSecret(t *testing.T) {
	f := start(t)
	f.srv.Inject(testserver.Fault{Kind: testserver.Deny, Secret: "team/b", Times: -1})
	f.put("team/a", "1")
	_, err := f.kv.Put(f.ctx, "team/b", map[string]any{"v": "1"})
	requireRefused(t, err, 403, denied)
	_, err = f.kv.Get(f.ctx, "team/b")
	requireRefused(t, err, 403, denied)
	f.srv.ClearFaults()
	f.put("team/b", "1")
}
