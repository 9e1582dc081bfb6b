package vaulttest

import (
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/hashicorp/vault/api"
)

// Client returns a new official client for the server, with the root token. It has the official
// client's default timeout and retries (two, after 1 to 1.5 s; SetMaxRetries(0) turns them off),
// and takes nothing from the VAULT_ variables of the environment.
func (s *Server) Client() *api.Client {
	client := newClient(&api.Config{
		Address:      s.URL(),
		Timeout:      time.Minute,
		MinRetryWait: time.Second,
		MaxRetryWait: 1500 * time.Millisecond,
		MaxRetries:   2,
		Backoff:      retryablehttp.RateLimitLinearJitterBackoff,
		HttpClient: &http.Client{
			Transport: s.transport,
			// The client follows Vault's redirects by itself.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	})
	// NewClient puts VAULT_NAMESPACE and VAULT_HEADERS here, and VAULT_WRAP_TTL is read at each call.
	client.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	client.SetWrappingLookupFunc(func(string, string) string { return "" })
	client.SetToken(s.RootToken())
	return client
}

// newClient calls the official constructor. That one reads the environment whatever it is given, and
// fails over variables that are not in order; in this case only, they are taken out of its sight.
func newClient(config *api.Config) *api.Client {
	client, err := api.NewClient(config)
	if err == nil {
		return client
	}
	restore := hideEnvironment()
	defer restore()
	if client, err = api.NewClient(config); err != nil {
		panic("vaulttest: " + err.Error())
	}
	return client
}

// hidden is held while variables are out of the environment.
var hidden sync.Mutex

func hideEnvironment() (restore func()) {
	hidden.Lock()
	values := make(map[string]string)
	for _, pair := range os.Environ() {
		if name, value, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "VAULT_") {
			values[name] = value
			_ = os.Unsetenv(name)
		}
	}
	return func() {
		for name, value := range values {
			_ = os.Setenv(name, value)
		}
		hidden.Unlock()
	}
}
