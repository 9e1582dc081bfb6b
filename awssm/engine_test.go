package awssm

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/testserver"
)

// backend is Secrets Manager as package enginetest wants it.
type backend struct{ srv *awssmtest.Server }

func newBackend(t *testing.T, opts ...awssmtest.Option) backend {
	srv := awssmtest.NewServer(opts...)
	t.Cleanup(srv.Close)
	return backend{srv}
}

func (b backend) Control() *testserver.Control { return b.srv.Control }

// client is one with the SDK's own retries, without the pauses between them.
func (b backend) client() *sm.Client {
	return b.srv.Client(func(o *sm.Options) {
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		})
	})
}

// hasty is a client that does not try again.
func (b backend) hasty() *sm.Client {
	return b.srv.Client(func(o *sm.Options) { o.Retryer = aws.NopRetryer{} })
}

func (b backend) NewStore(t *testing.T) enginetest.Store {
	s, err := New(b.client())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (b backend) Driver(*testing.T) engine.Driver {
	c := config{prefix: "oauthstore", codec: codec.JSON{}}
	return &driver{client: b.client(), config: c, prefix: c.fullPrefix()}
}

func (b backend) Names() []string {
	var names []string
	for _, s := range b.srv.Secrets() {
		if s.DeletionDate.IsZero() {
			names = append(names, strings.TrimPrefix(s.Name, "oauthstore/"))
		}
	}
	return names
}

func (b backend) Payloads() []string {
	var payloads []string
	for _, s := range b.srv.Secrets() {
		for _, v := range s.Versions {
			payloads = append(payloads, string(v.Payload))
		}
	}
	return payloads
}

func TestCosts(t *testing.T) {
	enginetest.RunCosts(t, func(t *testing.T) enginetest.Backend { return newBackend(t) }, enginetest.Costs{
		FindByID:           enginetest.Calls{"GetSecretValue": 1},
		FindByUser:         enginetest.Calls{"GetSecretValue": 1},
		FindByUserGivenID:  enginetest.Calls{"GetSecretValue": 1},
		FindByRefreshToken: enginetest.Calls{"GetSecretValue": 2},
		SaveUnchanged:      enginetest.Calls{"GetSecretValue": 1},
		SaveExisting:       enginetest.Calls{"GetSecretValue": 1, "PutSecretValue": 1},
		SaveNew:            enginetest.Calls{"GetSecretValue": 1, "PutSecretValue": 1, "CreateSecret": 1},
		SaveNewGivenID:     enginetest.Calls{"GetSecretValue": 1, "PutSecretValue": 1, "CreateSecret": 1},
		Delete:             enginetest.Calls{"GetSecretValue": 1, "DeleteSecret": 1, "PutSecretValue": 1},
		Lease:              enginetest.Calls{"GetSecretValue": 1, "PutSecretValue": 1},
		LeaseOfOther:       enginetest.Calls{"GetSecretValue": 1},
		SaveLeased:         enginetest.Calls{"PutSecretValue": 1},
		RenewLease:         enginetest.Calls{"GetSecretValue": 1, "PutSecretValue": 1},
		GetTokens: func(n int) enginetest.Calls {
			return enginetest.Calls{"GetSecretValue": 1, "BatchGetSecretValue": (n + 19) / 20}
		},
		DeleteTokens: func(n int) enginetest.Calls {
			return enginetest.Calls{"GetSecretValue": 1 + n, "DeleteSecret": n, "PutSecretValue": 1}
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

func TestHangingService(t *testing.T) {
	enginetest.RunHang(t, func(t *testing.T) enginetest.Backend { return newBackend(t) })
}

// Without the quota of versions: how many writes of the index the writers share depends on the machine.
func TestManyWriters(t *testing.T) {
	enginetest.RunConcurrent(t, newBackend(t, awssmtest.WithVersionQuota(0)))
}

func TestDeleteToken_thatIsDeniedLeavesTheToken(t *testing.T) {
	for _, window := range []int{0, 7} {
		b := newBackend(t)
		enginetest.RunDeniedDelete(t, b, "DeleteSecret", func(t *testing.T) oauthstore.TokenStore {
			s, err := New(b.client(), WithRecoveryWindow(window))
			if err != nil {
				t.Fatal(err)
			}
			return s
		})
	}
}
