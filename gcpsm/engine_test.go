package gcpsm

import (
	"context"
	"strings"
	"testing"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/testserver"
)

// backend is Secret Manager as package enginetest wants it.
type backend struct{ srv *gcpsmtest.Server }

func newBackend(t *testing.T, opts ...gcpsmtest.Option) backend {
	srv := gcpsmtest.NewServer(opts...)
	t.Cleanup(srv.Close)
	return backend{srv}
}

func (b backend) Control() *testserver.Control { return b.srv.Control }

// client is the official one, which stands for the console too.
func (b backend) client(t *testing.T) *secretmanager.Client {
	t.Helper()
	client, err := b.srv.Client(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func (b backend) NewStore(t *testing.T) enginetest.Store {
	s, err := New(b.client(t), "my-project")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// testConfig is what New makes of no options.
var testConfig = config{project: "my-project", prefix: "oauthstore", codec: codec.JSON{}}

func (b backend) Driver(t *testing.T) engine.Driver { return newDriver(b.client(t), testConfig) }

func (b backend) Names() []string {
	var names []string
	for _, s := range b.srv.Secrets() {
		names = append(names, strings.TrimPrefix(s.Name, "oauthstore__"))
	}
	return names
}

func (b backend) Payloads() []string {
	var payloads []string
	for _, s := range b.srv.Secrets() {
		for _, v := range s.Versions {
			payloads = append(payloads, string(v.Data))
		}
	}
	return payloads
}

func TestCosts(t *testing.T) {
	const access, add, destroy, create = "AccessSecretVersion", "AddSecretVersion", "DestroySecretVersion", "CreateSecret"
	enginetest.RunCosts(t, func(t *testing.T) enginetest.Backend { return newBackend(t) }, enginetest.Costs{
		FindByID:           enginetest.Calls{access: 1},
		FindByUser:         enginetest.Calls{access: 1},
		FindByUserGivenID:  enginetest.Calls{access: 1},
		FindByRefreshToken: enginetest.Calls{access: 2},
		SaveUnchanged:      enginetest.Calls{access: 1},
		SaveExisting:       enginetest.Calls{access: 1, add: 1, destroy: 1},
		SaveNew:            enginetest.Calls{access: 1, add: 2, destroy: 1, create: 1},
		SaveNewGivenID:     enginetest.Calls{access: 1, add: 2, destroy: 1, create: 1},
		Delete:             enginetest.Calls{access: 1, add: 2, destroy: 2},
		Lease:              enginetest.Calls{access: 1, add: 1},
		LeaseOfOther:       enginetest.Calls{access: 1},
		SaveLeased:         enginetest.Calls{add: 1, destroy: 2},
		RenewLease:         enginetest.Calls{access: 1, add: 1},
		GetTokens:          func(n int) enginetest.Calls { return enginetest.Calls{access: 1 + n} },
		DeleteTokens: func(n int) enginetest.Calls {
			// Two of them make sure that the index is not older than it should be.
			return enginetest.Calls{access: 3 + n, add: 1 + n, destroy: 1 + 2*n}
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
	enginetest.RunFaults(t, func(t *testing.T) enginetest.Backend { return newBackend(t) }, 1)
}

func TestSlowService(t *testing.T) {
	enginetest.RunSlow(t, func(t *testing.T) enginetest.Backend { return newBackend(t) }, func(t *testing.T, b enginetest.Backend) enginetest.Store {
		s, err := New(b.(backend).client(t), "my-project", WithTimeout(20*time.Millisecond))
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
	enginetest.RunDeniedDelete(t, b, "DestroySecretVersion", func(t *testing.T) oauthstore.TokenStore { return b.NewStore(t) })
}
