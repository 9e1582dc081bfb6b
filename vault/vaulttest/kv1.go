package vaulttest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/go-secure-stdlib/parseutil"
)

// kv1Endpoint is all of a KV v1 engine: every path is a key. A request made for KV v2 takes effect
// there, too: it writes the key "data/…", on no condition.
var kv1Endpoint = &endpoint{
	name: "kv1",
	exists: func(c *call) (bool, error) {
		if strings.Contains(c.key, "..") {
			return false, failMulti(http.StatusInternalServerError, "internal error")
		}
		_, ok := c.mount.v1[c.key]
		return ok, nil
	},
	ops: map[operation]handler{
		opRead:   (*Server).kv1Read,
		opCreate: (*Server).kv1Write,
		opUpdate: (*Server).kv1Write,
		opDelete: (*Server).kv1Delete,
		opList:   (*Server).kv1List,
	},
}

const relativePath = "relative paths not supported"

func (s *Server) kv1Read(c *call) (*response, error) {
	if strings.Contains(c.key, "..") {
		return nil, failMulti(http.StatusBadRequest, "read failed: "+relativePath)
	}
	stored, ok := c.mount.v1[c.key]
	if !ok {
		return nil, nil
	}
	data := decodeExact(stored)
	return &response{data: data, leaseDuration: leaseOf(data)}, nil
}

// leaseOf is a hint for readers, which the writer may give as "ttl" in the secret itself.
func leaseOf(data map[string]any) int {
	raw, ok := data["ttl"]
	if !ok {
		raw, ok = data["lease"]
	}
	if ok {
		if d, err := parseutil.ParseDurationSecond(raw); err == nil {
			return int(d.Seconds())
		}
	}
	return int(systemTTL.Seconds())
}

func (s *Server) kv1Write(c *call) (*response, error) {
	if c.key == "" {
		return nil, badRequest("missing path")
	}
	if len(c.data) == 0 {
		return nil, badRequest("missing data fields")
	}
	value := encode(c.data)
	if err := s.fits(c, value); err != nil {
		return nil, failMulti(http.StatusInternalServerError, "failed to write: "+err.Error())
	}
	c.mount.v1[c.key] = value
	return nil, nil
}

func (s *Server) kv1Delete(c *call) (*response, error) {
	if strings.Contains(c.key, "..") {
		return nil, failMulti(http.StatusBadRequest, relativePath)
	}
	delete(c.mount.v1, c.key)
	return nil, nil
}

func (s *Server) kv1List(c *call) (*response, error) {
	if strings.Contains(c.key, "..") {
		return nil, failMulti(http.StatusBadRequest, relativePath)
	}
	return listing(children(sortedKeys(c.mount.v1), c.key)), nil
}

// children returns what is directly below the folder prefix: keys, and folders with their slash.
func children(keys []string, prefix string) []string {
	var found []string
	for _, key := range keys {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok || rest == "" {
			continue
		}
		if i := strings.Index(rest, "/"); i >= 0 {
			rest = rest[:i+1]
		}
		found = append(found, rest)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func listing(keys []string) *response {
	if len(keys) == 0 {
		return &response{data: map[string]any{}}
	}
	return &response{data: map[string]any{"keys": keys}}
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("vaulttest: " + err.Error()) // it came out of JSON
	}
	return b
}

// decodeExact keeps numbers as they are written.
func decodeExact(b []byte) map[string]any {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var data map[string]any
	if err := dec.Decode(&data); err != nil {
		panic("vaulttest: " + err.Error()) // encode made it
	}
	return data
}
