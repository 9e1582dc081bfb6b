package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// classes are the classes that a driver's error may have, and conflicts and deadlines.
var classes = []error{
	oauthstore.ErrAccessDenied, oauthstore.ErrThrottled, oauthstore.ErrUnavailable, oauthstore.ErrTokenNotFound,
	oauthstore.ErrInvalidToken, oauthstore.ErrRecordTooLarge, oauthstore.ErrMisconfigured, oauthstore.ErrNoCompareAndSet,
	engine.ErrConflict, context.DeadlineExceeded,
}

// RequireClass wants an error of these classes and of no others; nil stands for no class.
func RequireClass(t *testing.T, err error, want ...error) {
	t.Helper()
	require.Error(t, err)
	for _, class := range classes {
		require.Equal(t, slices.Contains(want, class), errors.Is(err, class), "errors.Is(%v, %v)", err, class)
	}
}

// RequireText wants the text of an error, however it is printed, to be one short line that shows no page of a proxy and
// no secret: neither SecretMark nor one of these.
func RequireText(t *testing.T, err error, secrets ...string) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		text := fmt.Sprintf(verb, err)
		require.LessOrEqual(t, len(text), 1024)
		require.NotContains(t, text, "\n")
		require.True(t, utf8.ValidString(text))
		for _, secret := range append([]string{SecretMark, "<html", "PAGE"}, secrets...) {
			require.NotContains(t, text, secret)
		}
	}
}

// RequireErrors wants errors of one class, or of none if that is nil, whose texts contain text and are as RequireText
// wants them. The errors are by the name of the call.
func RequireErrors(t *testing.T, errs map[string]error, class error, text string, secrets ...string) {
	t.Helper()
	for call, err := range errs {
		RequireText(t, err, secrets...)
		require.ErrorContains(t, err, text, call)
		RequireClass(t, err, class)
	}
}

// SecretRecord is a record to write, with a secret.
func SecretRecord() engine.Record {
	return engine.Record{WriteID: "w", Document: codec.Document{"access_token": json.RawMessage(`"` + SecretMark + `"`)}}
}

// Page answers every request with a page.
func Page(status int, page string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, page)
	}
}

// Quoted is a request as a proxy quotes it, with its headers.
func Quoted(r *http.Request) string {
	text, _ := httputil.DumpRequest(r, true)
	return string(text)
}

// quotation answers with the request, and has its credentials in a header too.
func quotation(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; "+r.Header.Get("Authorization"))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, Quoted(r))
	}
}

// RunProxies runs test for each status, with the class that the errors are to have. It runs it twice: the proxy answers
// every request with a large page, or with the request.
func RunProxies(t *testing.T, classes map[int]error, test func(t *testing.T, proxy http.HandlerFunc, status int, class error)) {
	page := "<html>\n" + strings.Repeat("PAGE ", 200_000) + "</html>"
	for status, class := range classes {
		for name, proxy := range map[string]http.HandlerFunc{
			"a page":      Page(status, page),
			"a quotation": quotation(status),
		} {
			t.Run(fmt.Sprint(status, ", ", name), func(t *testing.T) {
				t.Parallel()
				test(t, proxy, status, class)
			})
		}
	}
}
