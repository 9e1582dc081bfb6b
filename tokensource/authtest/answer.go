package authtest

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// An answer is what goes over the wire.
type answer struct {
	status  int
	header  http.Header
	padding int // spaces before the body
	body    []byte
	result  string // for the log
}

func newAnswer(status int, contentType string, body []byte) *answer {
	h := make(http.Header)
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	return &answer{status: status, header: h, body: body, result: OK}
}

// write sends the answer; none of them may be kept by a cache (RFC 6749, 5.1).
func (a *answer) write(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	w.WriteHeader(a.status)
	spaces := bytes.Repeat([]byte(" "), min(a.padding, 64<<10))
	for rest := a.padding; rest > 0; rest -= len(spaces) {
		if _, err := w.Write(spaces[:min(rest, len(spaces))]); err != nil {
			return // the client has enough
		}
	}
	_, _ = w.Write(a.body)
}

func jsonAnswer(status int, members map[string]any) *answer {
	body, err := json.Marshal(members)
	if err != nil {
		panic("authtest: WithMembers: " + err.Error()) // all other members are strings and numbers
	}
	return newAnswer(status, "application/json;charset=UTF-8", body)
}

// A refusal is an error response (RFC 6749, 5.2). Its texts never quote the request.
type refusal struct {
	status            int
	code, description string
	challenge         string // WWW-Authenticate
}

func badRequest(description string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "invalid_request", description: description}
}

func invalidGrant(description string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "invalid_grant", description: description}
}

func invalidScope(description string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "invalid_scope", description: description}
}

func (r *refusal) answer() *answer {
	a := jsonAnswer(r.status, map[string]any{"error": r.code, "error_description": r.description})
	if r.challenge != "" {
		a.header.Set("WWW-Authenticate", r.challenge)
	}
	a.result = r.code
	return a
}

// zohoAnswer is what Zoho makes of an error.
func (r *refusal) zohoAnswer() *answer {
	code := r.code
	if code == "invalid_grant" {
		code = "invalid_code"
	}
	a := jsonAnswer(http.StatusOK, map[string]any{"error": code})
	a.result = r.code
	return a
}
