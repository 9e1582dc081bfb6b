package vaulttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	tokenHeader     = "X-Vault-Token"
	namespaceHeader = "X-Vault-Namespace"
	wrapTTLHeader   = "X-Vault-Wrap-TTL"

	mergePatch = "application/merge-patch+json"
)

// An operation is what a request wants, in the words of Vault's policies. A write arrives as an
// update; the existence check makes it a create where there is nothing yet.
type operation string

const (
	opCreate operation = "create"
	opRead   operation = "read"
	opUpdate operation = "update"
	opPatch  operation = "patch"
	opDelete operation = "delete"
	opList   operation = "list"
)

// A call is a request on its way through the server.
type call struct {
	id       string
	op       operation
	path     string // below the namespace, as in policies: "secret/data/app"
	data     map[string]any
	token    string
	nsHeader string
	now      time.Time

	// Found on the way.
	ns       *namespace
	mount    *mount    // nil: nothing is mounted at path
	endpoint *endpoint // nil: the mount has nothing at path
	key      string    // what of path is left for the endpoint
	by       *token    // nil: none was sent, and none is needed
	fields   map[string]any
}

type handler func(*Server, *call) (*response, error)

// An endpoint is a place in the API with the parameters and operations that it knows.
type endpoint struct {
	name    string          // as in [testserver.Request]
	fields  map[string]kind // nil: it takes any
	capture string          // the field that the path fills
	exists  func(*call) (bool, error)
	public  bool // needs no token, and no permission
	ops     map[operation]handler
}

func parseCall(r *http.Request, apiPath string, body []byte) (*call, error) {
	if r.Header.Get(wrapTTLHeader) != "" {
		return nil, badRequest("vaulttest: response wrapping is not emulated")
	}
	c := &call{
		id:       newUUID(),
		path:     apiPath,
		token:    tokenOf(r),
		nsHeader: r.Header.Get(namespaceHeader),
	}
	switch r.Method {
	case http.MethodGet, "LIST":
		return c, c.parseRead(r)
	case http.MethodDelete:
		c.op, c.data = opDelete, queryData(r.URL.Query())
		return c, nil
	case http.MethodPost, http.MethodPut:
		c.op = opUpdate
		return c, c.parseWrite(body)
	case http.MethodPatch:
		c.op = opPatch
		return c, c.parsePatch(r, body)
	}
	return nil, errMethod
}

func (c *call) parseRead(r *http.Request) error {
	query := r.URL.Query()
	c.op = opRead
	if r.Method == "LIST" {
		c.op = opList
	} else if text := query.Get("list"); text != "" {
		list, err := strconv.ParseBool(text)
		if err != nil {
			return badRequest("")
		}
		if list {
			c.op = opList
			query.Del("list")
		}
	}
	if c.op == opList && !strings.HasSuffix(c.path, "/") {
		c.path += "/"
	}
	c.data = queryData(query)
	return nil
}

func (c *call) parseWrite(body []byte) error {
	if err := c.parseJSON(body); err != nil {
		return badRequest("error parsing JSON: failed to parse JSON input: %s", err)
	}
	return nil
}

func (c *call) parsePatch(r *http.Request, body []byte) error {
	contentType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return badRequest("%s", err)
	}
	if contentType != mergePatch {
		return fail(http.StatusUnsupportedMediaType, "PATCH requires Content-Type of %s, provided %s", mergePatch, contentType)
	}
	if c.parseJSON(body) != nil {
		return badRequest("error parsing JSON")
	}
	return nil
}

// parseJSON keeps numbers as they are written: KV v1 gives them back so.
func (c *call) parseJSON(body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&c.data); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// createOrUpdate asks the endpoint whether a write meets something that exists, since policies
// tell the two apart.
func (c *call) createOrUpdate() error {
	if c.op != opUpdate || c.endpoint == nil || c.endpoint.exists == nil {
		return nil
	}
	if err := c.decodeFields(); err != nil {
		return badRequest("%s", err)
	}
	exists, err := c.endpoint.exists(c)
	if err != nil {
		return err
	}
	if !exists {
		c.op = opCreate
	}
	return nil
}

func tokenOf(r *http.Request) string {
	if t := r.Header.Get(tokenHeader); t != "" {
		return t
	}
	for _, v := range r.Header["Authorization"] {
		if t, ok := strings.CutPrefix(v, "Bearer "); ok {
			return strings.TrimSpace(t)
		}
	}
	return ""
}

func queryData(query url.Values) map[string]any {
	data := make(map[string]any, len(query))
	for k, v := range query {
		switch {
		case k == "help" || len(v) == 0:
		case len(v) == 1:
			data[k] = v[0]
		default:
			data[k] = v
		}
	}
	return data
}

func isList(query url.Values) bool {
	list, err := strconv.ParseBool(query.Get("list"))
	return err == nil && list
}
