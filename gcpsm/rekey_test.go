package gcpsm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/enginetest"
)

// newKeyed makes every store with the official client, which tries again as it does for users.
func newKeyed(t *testing.T, b enginetest.Backend, c codec.Codec, _ bool) enginetest.Rekeyer {
	s, err := New(b.(backend).client(t), "my-project", WithCodec(c))
	require.NoError(t, err)
	return s
}

func TestKeyChange(t *testing.T) {
	enginetest.RunKeyChange(t, func(t *testing.T) enginetest.Backend { return newBackend(t) }, newKeyed)
}

func TestRekey_ofManyTokens(t *testing.T) {
	enginetest.RunRekeyMany(t, newBackend(t), newKeyed)
}
