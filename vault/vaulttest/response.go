package vaulttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// A response is what a handler has to say; nil stands for nothing: 404 for a read or list, 204
// for anything else.
type response struct {
	data          map[string]any
	auth          *authInfo
	leaseDuration int
	warnings      []string

	// missing makes it a 404 that says why: a version that was deleted, for example. Where it is
	// set and data and warnings are both nil, the body is empty.
	missing bool

	// inject repeats data at the top level, as some of the oldest sys/ paths do.
	inject bool
}

// An envelope is the JSON object around every answer that has content.
type envelope struct {
	RequestID     string         `json:"request_id"`
	LeaseID       string         `json:"lease_id"`
	Renewable     bool           `json:"renewable"`
	LeaseDuration int            `json:"lease_duration"`
	Data          map[string]any `json:"data"`
	WrapInfo      any            `json:"wrap_info"`
	Warnings      []string       `json:"warnings"`
	Auth          *authInfo      `json:"auth"`
	MountType     string         `json:"mount_type"`
}

// authInfo is the envelope's auth, in answers that give a token.
type authInfo struct {
	ClientToken    string            `json:"client_token"`
	Accessor       string            `json:"accessor"`
	Policies       []string          `json:"policies"`
	TokenPolicies  []string          `json:"token_policies,omitempty"`
	Metadata       map[string]string `json:"metadata"`
	LeaseDuration  int               `json:"lease_duration"`
	Renewable      bool              `json:"renewable"`
	EntityID       string            `json:"entity_id"`
	TokenType      string            `json:"token_type"`
	Orphan         bool              `json:"orphan"`
	MFARequirement any               `json:"mfa_requirement"`
	NumUses        int               `json:"num_uses"`
}

// A failure is an error with the status that it is sent with.
type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return f.text }

func fail(status int, format string, args ...any) error {
	return &failure{status: status, text: fmt.Sprintf(format, args...)}
}

// failMulti is fail with the text as Vault prints a list of errors, which it makes of many a single one.
func failMulti(status int, texts ...string) error {
	return &failure{status: status, text: multiError(texts)}
}

func multiError(texts []string) string {
	if len(texts) == 1 {
		return "1 error occurred:\n\t* " + texts[0] + "\n\n"
	}
	return fmt.Sprintf("%d errors occurred:\n\t* %s\n\n", len(texts), strings.Join(texts, "\n\t* "))
}

var (
	errNoToken          = fail(http.StatusForbidden, "permission denied")
	errPermissionDenied = failMulti(http.StatusForbidden, "permission denied")
	errInvalidToken     = failMulti(http.StatusForbidden, "permission denied", "invalid token")
	errBadToken         = fail(http.StatusForbidden, "bad token")
	errMethod           = fail(http.StatusMethodNotAllowed, "")
	errTooLarge         = fail(http.StatusRequestEntityTooLarge, "http: request body too large")
)

func noHandler(path string) error {
	return fail(http.StatusNotFound, "no handler for route %q. route entry not found.", path)
}

func badRequest(format string, args ...any) error {
	return fail(http.StatusBadRequest, format, args...)
}

// A reply is what goes over the wire.
type reply struct {
	status      int
	contentType string
	location    string
	body        []byte
}

func (r *reply) write(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	if r.contentType != "" {
		w.Header().Set("Content-Type", r.contentType)
	}
	if r.location != "" {
		w.Header().Set("Location", r.location)
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body)
}

func jsonReply(status int, v any) *reply {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(v); err != nil {
		panic("vaulttest: " + err.Error()) // all that is encoded came out of JSON, or is ours
	}
	return &reply{status: status, contentType: "application/json", body: body.Bytes()}
}

func errorReply(err error) *reply {
	status := http.StatusInternalServerError
	var f *failure
	if errors.As(err, &f) {
		status = f.status
	}
	texts := []string{}
	if text := err.Error(); text != "" {
		texts = append(texts, text)
	}
	return jsonReply(status, map[string][]string{"errors": texts})
}

// render turns a handler's answer into Vault's.
func render(c *call, resp *response, err error) *reply {
	switch {
	case err != nil:
		return errorReply(err)
	case resp == nil && c.op != opRead && c.op != opList:
		return &reply{status: http.StatusNoContent, contentType: "application/json"}
	case resp == nil, c.op == opList && len(resp.data) == 0 && len(resp.warnings) == 0 && !resp.missing:
		return jsonReply(http.StatusNotFound, map[string][]string{"errors": {}})
	case resp.missing:
		return renderMissing(c, resp)
	}
	out := envelope{
		RequestID:     c.id,
		LeaseDuration: resp.leaseDuration,
		Data:          resp.data,
		Warnings:      resp.warnings,
		Auth:          resp.auth,
	}
	if !c.endpoint.public {
		out.MountType = c.mount.kind
	}
	if resp.inject {
		return jsonReply(http.StatusOK, out.injected())
	}
	return jsonReply(http.StatusOK, out)
}

// renderMissing differs from other answers in that it is made before the mount's type and the
// warnings about parameters are added.
func renderMissing(c *call, resp *response) *reply {
	r := &reply{status: http.StatusNotFound, contentType: "application/json"}
	if resp.data != nil || resp.warnings != nil {
		out := envelope{RequestID: c.id, Data: resp.data, Warnings: resp.warnings}
		r.body = bytes.TrimSuffix(jsonReply(0, out).body, []byte("\n"))
	}
	return r
}

func (e envelope) injected() map[string]any {
	top := map[string]any{
		"request_id": e.RequestID, "lease_id": e.LeaseID, "renewable": e.Renewable,
		"lease_duration": e.LeaseDuration, "data": e.Data, "wrap_info": e.WrapInfo,
		"warnings": e.Warnings, "auth": e.Auth, "mount_type": e.MountType,
	}
	for k, v := range e.Data {
		if _, taken := top[k]; !taken {
			top[k] = v
		}
	}
	return top
}
