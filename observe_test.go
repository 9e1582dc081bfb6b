package oauthstore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
)

func ExampleLogTo() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	observe := oauthstore.LogTo(logger) // for awssm.WithObserver, vault.WithObserver, gcpsm.WithObserver

	observe(context.Background(), oauthstore.Event{
		Kind: oauthstore.EventRetry, Backend: "awssm", Secret: "oauthstore/token_alice", Attempt: 1, Duration: 200 * time.Millisecond,
		Err: fmt.Errorf("awssm: PutSecretValue oauthstore/token_alice: %w", oauthstore.ErrUnavailable),
	})
	// Output:
	// level=WARN msg="oauth token store: retry" backend=awssm secret=oauthstore/token_alice attempt=1 duration=200ms error="awssm: PutSecretValue oauthstore/token_alice: oauthstore: service unavailable"
}

func TestLogTo_levels(t *testing.T) {
	var out strings.Builder
	observe := oauthstore.LogTo(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	for _, c := range []struct {
		event oauthstore.Event
		want  string
	}{
		{oauthstore.Event{Kind: oauthstore.EventRequest, Operation: "GetSecretValue", Code: "ThrottlingException", Err: oauthstore.ErrThrottled}, "DEBUG"},
		{oauthstore.Event{Kind: oauthstore.EventConflict, Err: errors.New("another write")}, "DEBUG"},
		{oauthstore.Event{Kind: oauthstore.EventRetry, Err: errors.New("another write")}, "DEBUG"},
		{oauthstore.Event{Kind: oauthstore.EventRetry, Err: oauthstore.ErrThrottled}, "WARN"},
		{oauthstore.Event{Kind: oauthstore.EventRetry, Err: oauthstore.ErrUnavailable}, "WARN"},
	} {
		out.Reset()
		observe(context.Background(), c.event)
		if got := out.String(); !strings.Contains(got, "level="+c.want) {
			t.Errorf("%+v: logged %q, want it at %s", c.event, got, c.want)
		}
	}
}
