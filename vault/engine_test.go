package vault

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/testserver"
	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

// backend is Vault as package enginetest wants it.
type backend struct{ srv *vaulttest.Server }

func newBackend(t *testing.T) backend {
	srv := vaulttest.NewServer()
	t.Cleanup(srv.Close)
	return backend{srv}
}

func (b backend) Control() *testserver.Control { return b.srv.Control }

// client tries again as often as the official one does, after shorter pauses.
func (b backend) client() *api.Client {
	client := b.srv.Client()
	client.SetMinRetryWait(time.Millisecond)
	client.SetMaxRetryWait(2 * time.Millisecond)
	return client
}

func (b backend) NewStore(t *testing.T) enginetest.Store {
	s, err := New(b.client())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (b backend) driver(opts ...Option) *driver {
	c := config{mount: "secret", prefix: "oauthstore", codec: codec.JSON{}, maxVersions: 1}
	for _, o := range opts {
		o(&c)
	}
	return &driver{client: b.client(), config: c, prefix: c.fullPrefix()}
}

func (b backend) Driver(*testing.T) engine.Driver { return b.driver() }

func (b backend) Names() []string {
	list, err := b.client().Logical().List("secret/metadata/oauthstore")
	if err != nil {
		panic(err)
	}
	if list == nil {
		return nil
	}
	var names []string
	for _, key := range list.Data["keys"].([]any) {
		names = append(names, key.(string))
	}
	return names
}

// Payloads asks for every version of every secret.
func (b backend) Payloads() []string {
	var payloads []string
	kv := b.client().KVv2("secret")
	ctx := context.Background()
	for _, name := range b.Names() {
		versions, err := kv.GetVersionsAsList(ctx, "oauthstore/"+name)
		if err != nil {
			panic(err)
		}
		for _, v := range versions {
			secret, err := kv.GetVersion(ctx, "oauthstore/"+name, v.Version)
			if err != nil {
				continue
			}
			payload, err := json.Marshal(secret.Data)
			if err != nil {
				panic(err)
			}
			payloads = append(payloads, string(payload))
		}
	}
	return payloads
}

func TestCosts(t *testing.T) {
	const read, write, metadata, destroy = "GET data", "PUT data", "PUT metadata", "PUT destroy"
	enginetest.RunCosts(t, func(t *testing.T) enginetest.Backend { return newBackend(t) }, enginetest.Costs{
		FindByID:           enginetest.Calls{read: 1},
		FindByUser:         enginetest.Calls{read: 1},
		FindByUserGivenID:  enginetest.Calls{read: 1},
		FindByRefreshToken: enginetest.Calls{read: 2},
		SaveUnchanged:      enginetest.Calls{read: 1},
		SaveExisting:       enginetest.Calls{read: 1, write: 1},
		SaveNew:            enginetest.Calls{read: 1, write: 2, metadata: 1},
		SaveNewGivenID:     enginetest.Calls{read: 1, write: 2, metadata: 1},
		Delete:             enginetest.Calls{read: 1, write: 2, destroy: 1},
		Lease:              enginetest.Calls{read: 1, write: 1},
		LeaseOfOther:       enginetest.Calls{read: 1},
		SaveLeased:         enginetest.Calls{write: 1},
		RenewLease:         enginetest.Calls{read: 1, write: 1},
		GetTokens:          func(n int) enginetest.Calls { return enginetest.Calls{read: 1 + n} },
		DeleteTokens: func(n int) enginetest.Calls {
			return enginetest.Calls{read: 1 + n, write: 1 + n, destroy: n}
		},
	})
}

func TestRefusals(t *testing.T) {
	enginetest.RunRefusals(t, func(t *testing.T) enginetest.Backend { return newBackend(t) })
}

func TestUnreadable(t *testing.T) {
	enginetest.RunUnreadable(t, func(t *testing.T) enginetest.Backend { return newBackend(t) })
}

func TestFaults(t *testing.T) {
	enginetest.RunFaults(t, func(t *testing.T) enginetest.Backend { return newBackend(t) }, 3)
}

func TestSlowService(t *testing.T) {
	enginetest.RunSlow(t, func(t *testing.T) enginetest.Backend { return newBackend(t) }, func(t *testing.T, b enginetest.Backend) enginetest.Store {
		s, err := New(b.(backend).client(), WithTimeout(20*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// The client's own timeout is shorter than the store's.
func TestSlowService_byTheClientsTimeout(t *testing.T) {
	enginetest.RunSlow(t, func(t *testing.T) enginetest.Backend { return newBackend(t) }, func(t *testing.T, b enginetest.Backend) enginetest.Store {
		client := b.(backend).client()
		client.SetClientTimeout(20 * time.Millisecond)
		s, err := New(client)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestHangingService(t *testing.T) {
	enginetest.RunHang(t, func(t *testing.T) enginetest.Backend { return newBackend(t) })
}

func TestManyWriters(t *testing.T) {
	enginetest.RunConcurrent(t, newBackend(t))
}

func TestDeleteToken_thatIsDeniedLeavesTheToken(t *testing.T) {
	b := newBackend(t)
	enginetest.RunDeniedDelete(t, b, "PUT destroy", func(t *testing.T) oauthstore.TokenStore { return b.NewStore(t) })
}
