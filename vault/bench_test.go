package vault

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

func benchStore(b *testing.B, srv *vaulttest.Server) *Store {
	s, err := New(srv.Client())
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkFind(b *testing.B) {
	srv := vaulttest.NewServer()
	defer srv.Close()
	kv := srv.Client().KVv2("secret")
	enginetest.BenchFind(b, benchStore(b, srv), func(id string) error {
		secret, err := kv.Get(context.Background(), "oauthstore/token_"+id)
		if err != nil {
			return err
		}
		document, err := json.Marshal(secret.Data) // the client has unmarshalled it already
		if err != nil {
			return err
		}
		var fields map[string]string
		return json.Unmarshal(document, &fields)
	})
}

func BenchmarkGetTokens(b *testing.B) {
	srv := vaulttest.NewServer()
	defer srv.Close()
	enginetest.BenchGetTokens(b, benchStore(b, srv), srv.Control)
}
