package vault

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// Texts of errors that share status 400 with others: there is nothing else to tell them by.
const (
	casMismatch = "check-and-set parameter did not match the current version" // KV version 2, create/update secret
	upgrading   = "Upgrading from non-versioned to versioned data"            // KV version 2, shortly after it is enabled
	waiting     = "Waiting for the primary to upgrade"                        // the same, on a secondary
	tooLarge    = "value being too large"                                     // a storage backend's limit
	tooLong     = "file name too long"                                        // the same, of storage "file"; status 500

	// OpenBao, create/update metadata, where metadata_cas_required is set.
	metadataCASRequired = "metadata check-and-set parameter required"
	metadataCASMismatch = "metadata check-and-set parameter does not match"
)

// says reports whether Vault refused a request with such a text, at status 400.
func says(err error, text string) bool {
	var answer *api.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == http.StatusBadRequest && strings.Contains(strings.Join(answer.Errors, "\n"), text)
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

func (d *driver) fault(op, secret string, quiet bool, err error) error {
	if err == nil {
		return nil
	}
	f := &engine.Fault{Backend: "vault", Op: op, Secret: secret, Class: classOf(err), Err: err}
	var answer *api.ResponseError
	switch {
	case errors.As(err, &answer):
		f.Code = strconv.Itoa(answer.StatusCode)
		if !quiet {
			f.Message = strings.Join(answer.Errors, "; ")
		}
	case !quiet:
		f.Message = err.Error()
	}
	return f
}

func classOf(err error) error {
	var answer *api.ResponseError
	if errors.As(err, &answer) {
		return classOfAnswer(answer)
	}
	var network net.Error
	var request *url.Error
	var garbled *json.SyntaxError
	if errors.As(err, &network) || errors.As(err, &request) || errors.As(err, &garbled) || errors.Is(err, context.DeadlineExceeded) {
		return oauthstore.ErrUnavailable
	}
	return nil
}

func classOfAnswer(answer *api.ResponseError) error {
	text := strings.Join(answer.Errors, "\n")
	switch status := answer.StatusCode; {
	case status == http.StatusBadRequest && strings.Contains(text, casMismatch):
		return engine.ErrConflict
	case status == http.StatusBadRequest && (strings.Contains(text, upgrading) || strings.Contains(text, waiting)):
		return oauthstore.ErrUnavailable
	case status == http.StatusRequestEntityTooLarge || strings.Contains(text, tooLarge):
		return oauthstore.ErrRecordTooLarge
	case strings.Contains(text, tooLong):
		return nil // however often it is asked
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return oauthstore.ErrAccessDenied
	case status == http.StatusTooManyRequests:
		return oauthstore.ErrThrottled
	case status == http.StatusPreconditionFailed || status >= 500: // 412: a replica that has not caught up
		return oauthstore.ErrUnavailable
	default:
		return nil
	}
}
