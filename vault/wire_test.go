package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// What the tests send and no error text may hold.
const (
	clientToken = "hvs.CAESIJVAULTTOKEN"
	proxySecret = "PROXY-SECRET"
	accessToken = "TOP-SECRET"
)

var classesOfErrors = []error{
	oauthstore.ErrAccessDenied, oauthstore.ErrThrottled, oauthstore.ErrUnavailable, oauthstore.ErrTokenNotFound,
	oauthstore.ErrInvalidToken, oauthstore.ErrRecordTooLarge, oauthstore.ErrMisconfigured, oauthstore.ErrNoCompareAndSet,
	engine.ErrConflict,
}

// requireClass wants an error of this class and of no other; nil is none at all.
func requireClass(t *testing.T, err, want error) {
	t.Helper()
	for _, class := range classesOfErrors {
		require.Equal(t, class == want, errors.Is(err, class), "errors.Is(%v, %v)", err, class)
	}
}

// requireText demands what holds for the text of every error.
func requireText(t *testing.T, err error) {
	t.Helper()
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
		require.LessOrEqual(t, len(text), 1024)
		require.NotContains(t, text, "\n")
		require.True(t, utf8.ValidString(text))
		for _, secret := range []string{clientToken, proxySecret, accessToken, "<html", "PAGE"} {
			require.NotContains(t, text, secret)
		}
	}
}

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
	rec := engine.Record{WriteID: "w", Document: codec.Document{"access_token": json.RawMessage(`"` + accessToken + `"`)}}
	_, _, get := d.Get(ctx, "token_a", engine.None)
	d.isV2.Store(true)
	list := d.List(ctx, func(string) bool { return true })
	_, put := d.Put(ctx, "token_a", "1", rec, 0)
	_, create := d.Put(ctx, "token_a", "0", rec, 0)
	return map[string]error{"get": get, "list": list, "put": put, "create": create, "delete": d.Delete(ctx, "token_a", "1", engine.Record{})}
}

func answerErrors(status int, texts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string][]string{"errors": texts})
	}
}

func answerPage(status int, page string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, page)
	}
}

// dump is a request as a proxy quotes it.
func dump(r *http.Request) string {
	body, _ := io.ReadAll(r.Body)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL)
	_ = r.Header.Write(&b)
	return b.String() + string(body)
}

// Vault's statuses and texts (API, HTTP status codes; sdk, logical.RespondErrorCommon) and what proxies answer, over the
// wire. class is nil for a defect.
func TestErrors_overTheWireHaveAClassAndATextOfOneBoundedLineWithoutSecrets(t *testing.T) {
	page := "<html>\n" + strings.Repeat("PAGE ", 200_000) + "</html>"
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
		"a proxy's page":            {answerPage(502, page), oauthstore.ErrUnavailable, "(502): the answer is not one of Vault"},
		"a firewall's page":         {answerPage(403, page), oauthstore.ErrAccessDenied, "(403): the answer is not one of Vault"},
		"a gateway's limit":         {answerPage(413, page), oauthstore.ErrRecordTooLarge, "(413)"},
		"HTTP to a port of HTTPS":   {answerPage(400, "Client sent an HTTP request to an HTTPS server.\n"), oauthstore.ErrMisconfigured, "(400): the answer is not one of Vault"},
		"a page that is no error":   {answerPage(200, page), oauthstore.ErrUnavailable, ""},
		"a proxy that quotes the request": {func(w http.ResponseWriter, r *http.Request) { answerPage(502, dump(r))(w, r) },
			oauthstore.ErrUnavailable, "(502)"},
		"a proxy that quotes the request as JSON": {func(w http.ResponseWriter, r *http.Request) { answerErrors(403, dump(r))(w, r) },
			oauthstore.ErrAccessDenied, "(403)"},
		"a proxy that quotes a credential": {func(w http.ResponseWriter, r *http.Request) {
			answerErrors(403, "no access for "+r.Header.Get("X-Vault-Token")+" by "+r.Header.Get("X-Proxy-Password"))(w, r)
		}, oauthstore.ErrAccessDenied, "(403)"},
	} {
		t.Run(name, func(t *testing.T) {
			for call, err := range calls(t, wire(t, c.answer)) {
				requireText(t, err)
				require.ErrorContains(t, err, c.text, call)
				requireClass(t, err, c.class)
			}
		})
	}
}

// Of the answer to a write the client does not tell the status then.
func TestErrors_ofAWebServerThatIsNotVault(t *testing.T) {
	for call, err := range calls(t, wire(t, answerPage(404, "<html>\nPAGE "+accessToken))) {
		requireText(t, err)
		require.ErrorContains(t, err, "the answer is not one of Vault", call)
		if call == "get" || call == "list" {
			requireClass(t, err, oauthstore.ErrMisconfigured)
		} else {
			requireClass(t, err, oauthstore.ErrUnavailable)
		}
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
		"save":   s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: accessToken}),
		"delete": s.DeleteToken(ctx, "x"),
	} {
		if call == "repair" { // it looks the mount up first, and Vault does not say whether there is none or it may not
			requireClass(t, err, oauthstore.ErrAccessDenied)
		} else {
			requireClass(t, err, oauthstore.ErrMisconfigured)
		}
		require.ErrorContains(t, err, `WithMount: nothing is mounted at "nowhere" in the client's namespace`, call)
		requireText(t, err)
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
	err = s.SaveToken(t.Context(), &oauthstore.OAuthToken{ID: "x", AccessToken: accessToken})
	requireClass(t, err, oauthstore.ErrNoCompareAndSet)
}

func TestErrors_withoutAnAnswerSayWhyOfWritesToo(t *testing.T) {
	d := wire(t, nil)
	srv := httptest.NewServer(nil)
	srv.Close()
	require.NoError(t, d.client.SetAddress(srv.URL))
	for call, err := range calls(t, d) {
		requireText(t, err)
		requireClass(t, err, oauthstore.ErrUnavailable)
		require.ErrorContains(t, err, "dial tcp", call)
	}
}
