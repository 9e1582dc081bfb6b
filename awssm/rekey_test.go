package awssm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/enginetest"
)

func newKeyed(t *testing.T, b enginetest.Backend, c codec.Codec, dies bool) enginetest.Rekeyer {
	server := b.(backend)
	client := server.srv.Client()
	if dies {
		client = server.client()
	}
	s, err := New(client, WithCodec(c))
	require.NoError(t, err)
	return s
}

func TestKeyChange(t *testing.T) {
	enginetest.RunKeyChange(t, func(t *testing.T) enginetest.Backend { return newBackend(t) }, newKeyed)
}

// Without the quota of versions: how many writes of the index the writers share depends on the machine.
func TestRekey_ofManyTokens(t *testing.T) {
	enginetest.RunRekeyMany(t, newBackend(t, awssmtest.WithVersionQuota(0)), newKeyed)
}
