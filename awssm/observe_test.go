package awssm

import (
	"context"
	"testing"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/enginetest"
)

func (b backend) Observe(t *testing.T, observe func(context.Context, oauthstore.Event)) enginetest.Store {
	s, err := New(b.hasty(), WithObserver(observe)) // it observes calls, not the client's retries within one
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestObserver(t *testing.T) {
	enginetest.RunObserver(t, "awssm", "PutSecretValue", func(t *testing.T) enginetest.Observed { return newBackend(t) })
}
