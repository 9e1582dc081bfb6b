package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// Texts of errors that share a status with others, mostly 400: only the text distinguishes them.
const (
	casMismatch = "check-and-set parameter did not match the current version" // KV version 2, create/update secret
	upgrading   = "Upgrading from non-versioned to versioned data"            // KV version 2, shortly after it is enabled
	waiting     = "Waiting for the primary to upgrade"                        // the same, on a secondary
	noToken     = "missing client token"                                      // a request without a token
	disabled    = "path disabled in replication DR secondary mode"            // a cluster that waits for a disaster
	readOnly    = "cannot write to readonly storage"                          // a replica that does not forward
	noRoute     = "no handler for route"                                      // at status 404: there is no such mount
	tooLarge    = "value being too large"                                     // a storage backend's limit
	tooLong     = "file name too long"                                        // the same, of storage "file"; status 500

	// OpenBao, create/update metadata, where metadata_cas_required is set.
	metadataCASRequired = "metadata check-and-set parameter required"
	metadataCASMismatch = "metadata check-and-set parameter does not match"
)

const notVault = "the answer is not one of Vault"

// says reports whether Vault refused a request with one of the texts, at status 400.
func says(err error, texts ...string) bool {
	var answer *api.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == http.StatusBadRequest && hasAny(answer, texts...)
}

// hasAny reports whether one of the texts is in an answer of Vault.
func hasAny(answer *api.ResponseError, texts ...string) bool {
	said := strings.Join(answer.Errors, "\n")
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(said, text) })
}

// fail files an error of Vault. quiet leaves Vault's message out of the text, for calls that sent a
// token.
func (d *driver) fail(op, name string, quiet bool, err error) error {
	return d.fault(op, d.FullName(name), quiet, err)
}

// failMount is fail for calls about the mount.
func (d *driver) failMount(op string, err error) error {
	return d.fault(op, d.mount, false, err)
}

// noMount is the error of a mount that is not there, or is no KV secrets engine of version 2.
func (d *driver) noMount(class error, format string, args ...any) error {
	return &engine.Fault{Backend: "vault", Op: lookUpMount, Secret: d.mount, Class: class, Err: class,
		Message: "WithMount: " + fmt.Sprintf(format, args...)}
}

func (d *driver) fault(op, secret string, quiet bool, err error) error {
	if err == nil {
		return nil
	}
	f := &engine.Fault{Backend: "vault", Op: op, Secret: secret, Class: classOf(err), Err: err}
	var answer *api.ResponseError
	var request *url.Error // which does not quote the request's body
	var garbled *json.SyntaxError
	switch {
	case errors.As(err, &answer):
		f.Code = strconv.Itoa(answer.StatusCode)
		switch {
		case answer.RawError: // the page of a proxy, or of another server
			f.Message = notVault
		case op == lookUpMount && f.Code == "403":
			f.Message = fmt.Sprintf("WithMount: nothing is mounted at %q in the client's namespace, or its token may not use it", d.mount)
		case answer.StatusCode == http.StatusNotFound && hasAny(answer, noRoute):
			f.Message = fmt.Sprintf("WithMount: nothing is mounted at %q in the client's namespace", d.mount)
		case !quiet:
			f.Message = engine.Redact(strings.Join(answer.Errors, "; "), d.sent()...)
		}
	case errors.As(err, &garbled):
		f.Message = notVault
	case !quiet || errors.As(err, &request):
		f.Message = engine.Redact(err.Error(), d.sent()...)
	case errors.Is(err, io.ErrUnexpectedEOF): // the answer was cut off
		f.Message = io.ErrUnexpectedEOF.Error()
	}
	return f
}

// sent returns what the client's requests carry in headers: its token, and what else its owner has set, such as a
// credential for a proxy. Their names are no secret.
func (d *driver) sent() []string {
	values := []string{d.client.Token()}
	for name, header := range d.client.Headers() {
		if name != api.NamespaceHeaderName {
			values = append(values, header...)
		}
	}
	return values
}

func classOf(err error) error {
	var answer *api.ResponseError
	if errors.As(err, &answer) {
		return classOfAnswer(answer)
	}
	return oauthstore.ErrUnavailable // no answer, a part of one, or none of Vault's
}

func classOfAnswer(answer *api.ResponseError) error {
	switch status := answer.StatusCode; {
	case says(answer, casMismatch):
		return engine.ErrConflict
	case says(answer, upgrading, waiting, disabled, readOnly):
		return oauthstore.ErrUnavailable
	case says(answer, noToken):
		return oauthstore.ErrAccessDenied
	case status == http.StatusRequestEntityTooLarge || hasAny(answer, tooLarge):
		return oauthstore.ErrRecordTooLarge
	case hasAny(answer, tooLong):
		return nil // however often it is asked
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return oauthstore.ErrAccessDenied
	case status == http.StatusTooManyRequests:
		return oauthstore.ErrThrottled
	case status == http.StatusPreconditionFailed || status >= 500: // 412: a replica that has not caught up
		return oauthstore.ErrUnavailable
	case answer.RawError || status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return oauthstore.ErrMisconfigured // the address, the namespace or the mount is another one's
	default:
		return nil
	}
}
