// Package vaultbehaviour states what Vault does with the requests that a client of its KV secrets engine
// makes: status codes, bodies, texts. [Run] walks it on any server, a real Vault or the test server
// of package vaulttest, so that what holds on the one is known to hold on the other:
//
//	func TestServer(t *testing.T) {
//		srv := vaulttest.NewServer()
//		defer srv.Close()
//		vaultbehaviour.Run(t, func(*testing.T) *api.Client { return srv.Client() })
//	}
//
// The statements are those of Vault 1.21 Community. Some older or newer versions differ in texts
// and in limits, and OpenBao does in a few rules.
package vaultbehaviour

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"testing"

	"github.com/hashicorp/vault/api"
)

// Run walks the behaviour of a server. NewClient returns a client with a token that may do
// everything, best a root token; it is called once or more. Run enables KV engines of its own at
// random paths, and policies and tokens, and removes them in the end. It waits for real time to
// pass, a few seconds in all.
func Run(t *testing.T, newClient func(t *testing.T) *api.Client) {
	t.Run("KV2", func(t *testing.T) {
		t.Run("writes", func(t *testing.T) { walkWrites(open(t, newClient)) })
		t.Run("check and set", func(t *testing.T) { walkCheckAndSet(open(t, newClient)) })
		t.Run("reads", func(t *testing.T) { walkReads(open(t, newClient)) })
		t.Run("patches", func(t *testing.T) { walkPatches(open(t, newClient)) })
		t.Run("deletion", func(t *testing.T) { walkDeletion(open(t, newClient)) })
		t.Run("versions kept", func(t *testing.T) { walkRetention(open(t, newClient)) })
		t.Run("deletion by time", func(t *testing.T) { walkDeletionByTime(open(t, newClient)) })
		t.Run("metadata", func(t *testing.T) { walkMetadata(open(t, newClient)) })
		t.Run("custom metadata", func(t *testing.T) { walkCustomMetadata(open(t, newClient)) })
		t.Run("lists", func(t *testing.T) { walkLists(open(t, newClient)) })
		t.Run("configuration", func(t *testing.T) { walkConfig(open(t, newClient)) })
		t.Run("paths", func(t *testing.T) { walkPaths(open(t, newClient)) })
		t.Run("official client", func(t *testing.T) { walkClient(open(t, newClient)) })
	})
	t.Run("KV1", func(t *testing.T) { walkKV1(open(t, newClient)) })
	t.Run("mounts", func(t *testing.T) { walkMounts(open(t, newClient)) })
	t.Run("visible mounts", func(t *testing.T) { walkVisibleMounts(open(t, newClient)) })
	t.Run("tokens", func(t *testing.T) { walkTokens(open(t, newClient)) })
	t.Run("policies", func(t *testing.T) { walkPolicies(open(t, newClient)) })
	t.Run("limits", func(t *testing.T) { walkLimits(open(t, newClient)) })
	t.Run("health", func(t *testing.T) { walkHealth(open(t, newClient)) })
}

// A walk is one part of the behaviour on its way: a client, and engines of its own.
type walk struct {
	t      *testing.T
	client *api.Client
	token  string
	v2, v1 string // mounts
}

func open(t *testing.T, newClient func(t *testing.T) *api.Client) *walk {
	t.Helper()
	client := newClient(t)
	client.SetMaxRetries(0)
	w := &walk{t: t, client: client, token: client.Token()}
	w.v2 = w.enable("2")
	w.v1 = w.enable("1")
	return w
}

// enable mounts a KV engine at a random path until the end of the test.
func (w *walk) enable(version string) string {
	w.t.Helper()
	path := "behaviour-" + unique()
	err := w.client.Sys().Mount(path, &api.MountInput{Type: "kv", Options: map[string]string{"version": version}})
	if err != nil {
		w.t.Fatalf("mount a KV engine of version %s: %v", version, err)
	}
	w.t.Cleanup(func() {
		if err := w.client.Sys().Unmount(path); err != nil {
			w.t.Errorf("unmount %s: %v", path, err)
		}
	})
	return path
}

func unique() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // does not fail
	return hex.EncodeToString(b)
}

// does runs a behaviour, whose name is the sentence that states it.
func (w *walk) does(sentence string, f func(w *walk)) {
	w.t.Helper()
	w.t.Run(sentence, func(t *testing.T) {
		sub := *w
		sub.t = t
		f(&sub)
	})
}

// An answer is what came back over the wire.
type answer struct {
	t      *testing.T
	what   string
	status int
	header http.Header
	body   string
}

// object is a JSON object.
type object = map[string]any

// send makes a request with nothing of the client but its address, token and transport, so that path
// and body are what they are. A body that is a string goes as it is, any other as JSON.
func (w *walk) send(method, path string, body any) answer {
	w.t.Helper()
	return w.sendAs(w.token, method, path, body)
}

func (w *walk) sendAs(token, method, path string, body any) answer {
	w.t.Helper()
	header := http.Header{}
	if token != "" {
		header.Set("X-Vault-Token", token)
	}
	if method == http.MethodPatch {
		header.Set("Content-Type", "application/merge-patch+json")
	}
	return w.sendWith(header, method, path, body)
}

func (w *walk) sendWith(header http.Header, method, path string, body any) answer {
	w.t.Helper()
	req, err := http.NewRequest(method, w.client.Address()+"/v1/"+path, bytes.NewReader(encode(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header = header
	if namespace := w.client.Namespace(); namespace != "" {
		req.Header.Set("X-Vault-Namespace", namespace)
	}
	resp, err := w.client.CloneConfig().HttpClient.Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{w.t, method + " " + path, resp.StatusCode, resp.Header, string(text)}
}

func encode(body any) []byte {
	switch body := body.(type) {
	case nil:
		return nil
	case string:
		return []byte(body)
	}
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // bodies are written in this package
	}
	return b
}

// object returns the body, with numbers as they are written.
func (a answer) object() object {
	a.t.Helper()
	var out object
	dec := json.NewDecoder(bytes.NewReader([]byte(a.body)))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil {
		a.t.Fatalf("%s: status %d with the body %q: %v", a.what, a.status, a.body, err)
	}
	return out
}

// data returns the body's data after a check of the status.
func (a answer) data(status int) object {
	a.t.Helper()
	a.is(status)
	data, _ := a.object()["data"].(object)
	return data
}

func (a answer) is(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, want %d; body %q", a.what, a.status, status, a.body)
	}
	return a
}

// empty checks that there is a status and no body.
func (a answer) empty(status int) {
	a.t.Helper()
	if a.is(status); a.body != "" {
		a.t.Errorf("%s: body %q, want none", a.what, a.body)
	}
}

// fails checks the status and the whole body of an error.
func (a answer) fails(status int, errors ...string) {
	a.t.Helper()
	a.is(status)
	list := []any{}
	for _, e := range errors {
		list = append(list, e)
	}
	same(a.t, a.what, a.object(), object{"errors": list})
}

// warns checks the body's warnings.
func (a answer) warns(warnings ...string) {
	a.t.Helper()
	var list any
	for _, text := range warnings {
		l, _ := list.([]any)
		list = append(l, text)
	}
	same(a.t, a.what+": warnings", a.object()["warnings"], list)
}

// oneError is how Vault prints a single error that could have been several.
func oneError(text string) string { return "1 error occurred:\n\t* " + text + "\n\n" }

const invalidToken = "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"

func num(text string) json.Number { return json.Number(text) }

// same compares by value; numbers are [json.Number].
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, show(got), show(want))
	}
}

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
