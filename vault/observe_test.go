package vault

import (
	"context"
	"testing"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/enginetest"
)

func (b backend) Observe(t *testing.T, observe func(context.Context, oauthstore.Event)) enginetest.Store {
	client := b.client()
	client.SetMaxRetries(0) // the observer sees calls, not the client's retries within one
	s, err := New(client, WithObserver(observe))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestObserver(t *testing.T) {
	enginetest.RunObserver(t, "vault", "PUT data", func(t *testing.T) enginetest.Observed { return newBackend(t) })
}
