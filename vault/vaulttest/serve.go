package vaulttest

import (
	"errors"
	"io"
	"net/http"
	"path"
	"strings"
	"unicode"

	"github.com/oauthstore/oauthstore/testserver"
)

// serve takes one HTTP request through the test's orders: log, latency, fault.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	// The body is read first: only then does net/http notice that a client has gone away, which
	// ends the wait of a request that hangs.
	body, bodyErr := readBody(w, r)
	op, secret := s.describe(r)
	kind := testserver.Begin(r.Context(), s.Control, testserver.Request{Op: op, Secret: secret})
	answer := s.answer(kind, r, body, bodyErr)
	testserver.End(r.Context(), s.Control, kind)

	switch kind {
	case testserver.Hang, testserver.HangAfter, testserver.DropAfter:
		panic(http.ErrAbortHandler)
	case testserver.FailAfter:
		answer = errorReply(fail(http.StatusInternalServerError, "internal error"))
	}
	answer.write(w)
}

func (s *Server) answer(kind testserver.Kind, r *http.Request, body []byte, bodyErr error) *reply {
	switch kind {
	case testserver.Hang:
		return nil
	case testserver.FailBefore:
		return errorReply(fail(http.StatusInternalServerError, "internal error"))
	case testserver.Throttle:
		text := "request path %q: rate limit quota exceeded"
		return errorReply(fail(http.StatusTooManyRequests, text, strings.TrimPrefix(r.URL.Path, "/v1/")))
	case testserver.Deny:
		return errorReply(errPermissionDenied)
	}
	return s.handle(r, body, bodyErr)
}

// handle does what Vault's listener does before it looks at the API path.
func (s *Server) handle(r *http.Request, body []byte, bodyErr error) *reply {
	if !printable(r.URL.Path) {
		return &reply{status: http.StatusBadRequest}
	}
	if err := checkJSON(body, bodyErr); err != nil {
		return errorReply(err)
	}
	if clean := cleanPath(r.URL.Path); clean != r.URL.Path {
		target := *r.URL
		target.Path, target.RawPath = clean, ""
		return &reply{status: http.StatusMovedPermanently, location: target.RequestURI()}
	}
	apiPath, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	switch {
	case !ok:
		return &reply{status: http.StatusNotFound, contentType: "text/plain", body: []byte("404 page not found\n")}
	case apiPath == "sys/health":
		return s.health(r)
	case apiPath == "sys/seal-status":
		return s.sealStatus(r)
	}

	c, err := parseCall(r, apiPath, body)
	if err != nil {
		return errorReply(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	resp, err := s.process(c)
	return render(c, resp, err)
}

// describe names a request for the log.
func (s *Server) describe(r *http.Request) (op, secret string) {
	method := methodOf(r)
	apiPath := strings.TrimPrefix(cleanPath(r.URL.Path), "/v1/")
	switch apiPath {
	case "sys/health", "sys/seal-status":
		return method + " " + apiPath, ""
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	ns, rest := s.namespaceOf(r.Header.Get(namespaceHeader), apiPath)
	if ns == nil {
		return method + " " + apiPath, ""
	}
	if method == "LIST" && !strings.HasSuffix(rest, "/") {
		rest += "/"
	}
	m, ep, key := route(ns, rest)
	switch {
	case ep == nil:
		return method + " " + rest, ""
	case m.kind == kvMount:
		return method + " " + ep.name, strings.TrimSuffix(key, "/")
	}
	return method + " " + ep.name, ""
}

// methodOf is a request's method in the log.
func methodOf(r *http.Request) string {
	switch {
	case r.Method == http.MethodPost:
		return http.MethodPut
	case r.Method == http.MethodGet && isList(r.URL.Query()):
		return "LIST"
	}
	return r.Method
}

// process takes a call through Vault's core, in its order: seal, path, token, the question
// whether a write creates or updates, policies, routing.
func (s *Server) process(c *call) (*response, error) {
	if s.sealed {
		return nil, fail(http.StatusServiceUnavailable, "Vault is sealed")
	}
	if strings.HasSuffix(c.path, "/") && (c.op == opUpdate || c.op == opPatch) {
		return nil, fail(http.StatusBadRequest, "cannot write to a path ending in '/'")
	}
	c.now = s.Now()
	if err := s.locate(c); err != nil {
		return nil, err
	}
	if err := s.authenticate(c); err != nil {
		return nil, err
	}
	if err := c.createOrUpdate(); err != nil {
		return nil, err
	}
	err := s.authorize(c)
	defer s.useUp(c) // a denied request counts as a use of the token as well
	if err != nil {
		return nil, err
	}
	return s.dispatch(c)
}

// locate finds the namespace and, where there is one, the endpoint of the call.
func (s *Server) locate(c *call) error {
	ns, rest := s.namespaceOf(c.nsHeader, c.path)
	if ns == nil {
		return noHandler(c.path)
	}
	c.ns, c.path = ns, rest
	c.mount, c.endpoint, c.key = route(ns, rest)
	return nil
}

func (s *Server) dispatch(c *call) (*response, error) {
	switch {
	case c.mount == nil:
		return nil, noHandler(c.path)
	case c.endpoint == nil:
		return nil, failMulti(http.StatusNotFound, "unsupported path")
	}
	handler, ok := c.endpoint.ops[c.op]
	if !ok {
		return nil, failMulti(http.StatusMethodNotAllowed, "unsupported operation")
	}
	if err := c.decodeFields(); err != nil {
		return nil, fail(http.StatusBadRequest, "Field validation failed: %s", err)
	}
	resp, err := handler(s, c)
	if err != nil || resp == nil {
		return nil, err
	}
	if !resp.missing {
		resp.warnings = append(resp.warnings, c.fieldWarnings()...)
	}
	return resp, nil
}

// namespaceOf splits the namespace, given by header, by the path's beginning, or by both, from
// the path. It returns nil for a namespace that does not exist.
func (s *Server) namespaceOf(header, apiPath string) (*namespace, string) {
	if !s.hasNamespaces {
		return s.namespaces[""], apiPath
	}
	base := ""
	if h := strings.Trim(header, "/"); h != "" {
		base = h + "/"
	}
	if s.namespaces[base] == nil {
		return nil, apiPath
	}
	full, longest := base+apiPath, base
	for p := range s.namespaces {
		if strings.HasPrefix(full, p) && len(p) > len(longest) {
			longest = p
		}
	}
	return s.namespaces[longest], strings.TrimPrefix(full, longest)
}

func newNamespace(p string) *namespace {
	return &namespace{path: p, mounts: builtinMounts(), policies: builtinPolicies()}
}

// cleanPath is the path that the request is redirected to when it differs from its own.
func cleanPath(p string) string {
	clean := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestSize))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return body, errTooLarge
	}
	return body, err
}
