package vault

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/internal/enginetest"
)

// secrets are what the tests send besides the token, and no error text may hold.
var secrets = []string{clientToken, proxySecret}

const (
	clientToken = "hvs.CAESIJVAULTTOKEN"
	proxySecret = "PROXY-SECRET"
)

// wire returns a driver of an official client whose requests the handler answers.
func wire(t *testing.T, handler http.HandlerFunc) *driver {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	client, err := api.NewClient(&api.Config{Address: srv.URL})
	require.NoError(t, err)
	client.SetMaxRetries(0)
	client.SetToken(clientToken)
	client.AddHeader("X-Proxy-Password", proxySecret)
	c := config{mount: "secret", prefix: "oauthstore", codec: codec.JSON{}, maxVersions: 1}
	return &driver{client: client, config: c, prefix: c.fullPrefix()}
}

// calls makes a read, a list, an update, the settings of a new secret and a delete.
func calls(t *testing.T, d *driver) map[string]error {
	t.Helper()
	ctx := t.Context()
	_, _, get := d.Get(ctx, "token_a", engine.None)
	d.isV2.Store(true)
	list := d.List(ctx, func([]string) bool { return true })
	_, put := d.Put(ctx, "token_a", "1", enginetest.SecretRecord(), 0)
	_, create := d.Put(ctx, "token_a", "0", enginetest.SecretRecord(), 0)
	return map[string]error{"get": get, "list": list, "put": put, "create": create, "delete": d.Delete(ctx, "token_a", "1", engine.Record{})}
}

func answerErrors(status int, texts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string][]string{"errors": texts})
	}
}

// Vault's statuses and texts (API, HTTP status codes; sdk, logical.RespondErrorCommon) and what proxies answer, over the
// wire. class is nil for a defect.
func TestErrors_overTheWireHaveAClassAndATextOfOneBoundedLineWithoutSecrets(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		class  error
		text   string
	}{
		"no permission":             {answerErrors(403, "1 error occurred:\n\t* permission denied\n\n"), oauthstore.ErrAccessDenied, "(403)"},
		"an expired token":          {answerErrors(403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"), oauthstore.ErrAccessDenied, "(403)"},
		"no token":                  {answerErrors(400, "missing client token"), oauthstore.ErrAccessDenied, "(400)"},
		"an unknown mount":          {answerErrors(404, `no handler for route "secret/data/oauthstore/token_a". route entry not found.`), oauthstore.ErrMisconfigured, `WithMount: nothing is mounted at "secret" in the client's namespace`},
		"an unknown namespace":      {answerErrors(404, "namespace not found"), oauthstore.ErrMisconfigured, "(404)"},
		"another kind of mount":     {answerErrors(405, "1 error occurred:\n\t* unsupported operation\n\n"), oauthstore.ErrMisconfigured, "(405)"},
		"sealed":                    {answerErrors(503, "Vault is sealed"), oauthstore.ErrUnavailable, "(503)"},
		"no active node":            {answerErrors(500, "local node not active but active cluster node not found"), oauthstore.ErrUnavailable, "(500)"},
		"a replica behind":          {answerErrors(412, "required index state not present"), oauthstore.ErrUnavailable, "(412)"},
		"a replica that is off":     {answerErrors(400, "path disabled in replication DR secondary mode"), oauthstore.ErrUnavailable, "(400)"},
		"a replica that only reads": {answerErrors(400, "cannot write to readonly storage"), oauthstore.ErrUnavailable, "(400)"},
		"an upgrade":                {answerErrors(400, "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly."), oauthstore.ErrUnavailable, "(400)"},
		"a rate limit":              {answerErrors(429, `request path "secret/data/x": rate limit quota exceeded`), oauthstore.ErrThrottled, "(429)"},
		"a request too large":       {answerErrors(413, "http: request body too large"), oauthstore.ErrRecordTooLarge, "(413)"},
		"too large, without a text": {answerErrors(413), oauthstore.ErrRecordTooLarge, "(413)"},
		"Consul's too large":        {answerErrors(500, "failed to persist entry: put failed due to value being too large; got 600000 bytes, max: 524288 bytes"), oauthstore.ErrRecordTooLarge, "(500)"},
		"Consul's too large at 400": {answerErrors(400, "put failed due to value being too large"), oauthstore.ErrRecordTooLarge, "(400)"},
		"a defect":                  {answerErrors(400, "cannot parse: true"), nil, "(400)"},
		"a text of 1 MB":            {answerErrors(500, strings.Repeat("é\r\n", 300_000)), oauthstore.ErrUnavailable, "(500)"},
		"HTTP to a port of HTTPS":   {enginetest.Page(400, "Client sent an HTTP request to an HTTPS server.\n"), oauthstore.ErrMisconfigured, "(400): the answer is not one of Vault"},
		"a proxy that quotes the request as JSON": {func(w http.ResponseWriter, r *http.Request) { answerErrors(403, enginetest.Quoted(r))(w, r) },
			oauthstore.ErrAccessDenied, "(403)"},
		"a proxy that quotes its own credential only": {func(w http.ResponseWriter, r *http.Request) {
			answerErrors(403, "no access by "+r.Header.Get("X-Proxy-Password"))(w, r)
		}, oauthstore.ErrAccessDenied, "(403)"},
		"a proxy that quotes a credential": {func(w http.ResponseWriter, r *http.Request) {
			answerErrors(403, "no access for "+r.Header.Get("X-Vault-Token")+" by "+r.Header.Get("X-Proxy-Password"))(w, r)
		}, oauthstore.ErrAccessDenied, "(403)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			enginetest.RequireErrors(t, calls(t, wire(t, c.answer)), c.class, c.text, secrets...)
		})
	}
}

func TestErrors_ofAProxyDoNotShowItsPage(t *testing.T) {
	enginetest.RunProxies(t, map[int]error{
		200: oauthstore.ErrUnavailable, 400: oauthstore.ErrMisconfigured, 403: oauthstore.ErrAccessDenied,
		413: oauthstore.ErrRecordTooLarge, 429: oauthstore.ErrThrottled, 502: oauthstore.ErrUnavailable,
	}, func(t *testing.T, proxy http.HandlerFunc, status int, class error) {
		text := ": the answer is not one of Vault"
		if status != http.StatusOK {
			text = fmt.Sprintf("(%d)%s", status, text)
		}
		enginetest.RequireErrors(t, calls(t, wire(t, proxy)), class, text, secrets...)
	})
}

// If a write is answered so, the client does not report the status.
func TestErrors_ofAWebServerThatIsNotVault(t *testing.T) {
	for call, err := range calls(t, wire(t, enginetest.Page(404, "<html>\nPAGE "+enginetest.SecretMark))) {
		class := oauthstore.ErrUnavailable
		if call == "get" || call == "list" {
			class = oauthstore.ErrMisconfigured
		}
		enginetest.RequireErrors(t, map[string]error{call: err}, class, "the answer is not one of Vault", secrets...)
	}
}

func TestErrors_ofAnUnknownMountNameWithMount(t *testing.T) {
	b := newBackend(t)
	s, err := New(b.client(), WithMount("nowhere"))
	require.NoError(t, err)
	ctx := t.Context()
	_, find := s.FindTokenByID(ctx, "x")
	_, list := s.GetTokens(ctx)
	_, repair := s.Repair(ctx, oauthstore.RepairOptions{})
	for call, err := range map[string]error{
		"find": find, "list": list, "repair": repair,
		"save":   s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: enginetest.SecretMark}),
		"delete": s.DeleteToken(ctx, "x"),
	} {
		class := oauthstore.ErrMisconfigured
		if call == "repair" { // it looks the mount up first, and Vault does not say whether it is missing or not permitted
			class = oauthstore.ErrAccessDenied
		}
		enginetest.RequireErrors(t, map[string]error{call: err}, class, `WithMount: nothing is mounted at "nowhere" in the client's namespace`, secrets...)
	}
}

// Every client sends the header "X-Vault-Request: true", which is no credential.
func TestErrors_showWordsThatAreInHeadersToo(t *testing.T) {
	err := calls(t, wire(t, answerErrors(400, "cannot parse: true")))["get"]
	require.ErrorContains(t, err, "(400): cannot parse: true")
}

func TestErrors_ofAMountOfVersion1AreErrNoCompareAndSet(t *testing.T) {
	b := newBackend(t)
	require.NoError(t, b.client().Sys().Mount("old", &api.MountInput{Type: "kv", Options: map[string]string{"version": "1"}}))
	s, err := New(b.client(), WithMount("old"))
	require.NoError(t, err)
	err = s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "x", AccessToken: enginetest.SecretMark})
	enginetest.RequireClass(t, err, oauthstore.ErrNoCompareAndSet)
}

func TestErrors_withoutAnAnswerSayWhyOfWritesToo(t *testing.T) {
	d := wire(t, nil)
	srv := httptest.NewServer(nil)
	srv.Close()
	require.NoError(t, d.client.SetAddress(srv.URL))
	enginetest.RequireErrors(t, calls(t, d), oauthstore.ErrUnavailable, "dial tcp", secrets...)
}
