// Package enginetest holds the tests that every backend runs over its test server beside storetest:
// what each method costs, what a failing call leaves behind, and many writers at once.
package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/testserver"
)

// A Store is what the backends' stores are.
type Store interface {
	oauthstore.TokenStore
	oauthstore.TokenUpdater
	oauthstore.TokenChecker
	oauthstore.TokenLeaser
	oauthstore.TokenRanger
	oauthstore.Repairer
}

// A Backend is one service, as a test server.
type Backend interface {
	// Control is the server's.
	Control() *testserver.Control

	// NewStore returns a store that shares nothing with others but the server. Its client tries again as
	// users' clients do, if after shorter pauses.
	NewStore(t *testing.T) Store

	// Driver returns a driver of the stores' kind, with a client of its own.
	Driver(t *testing.T) engine.Driver

	// Names lists the secrets on the server, without prefix.
	Names() []string

	// Payloads returns the content of every version of every secret that can still be read.
	Payloads() []string
}

// An Audit compares the secrets with the index.
type Audit struct {
	Stored []string // ids of the token secrets that exist
	Listed []string // ids in the index
}

// audit reads what is on the server through a driver, without the engine.
func audit(t *testing.T, b Backend) Audit {
	t.Helper()
	b.Control().ClearFaults()
	var a Audit
	d := b.Driver(t)
	for _, name := range b.Names() {
		if !strings.HasPrefix(name, "token") {
			continue
		}
		rec := get(t, d, name)
		if rec.Live() {
			id, err := rec.Document.Get("id")
			if err != nil {
				t.Fatal(err)
			}
			a.Stored = append(a.Stored, id)
		}
	}
	a.Listed = Listed(t, func(name string) map[string]json.RawMessage { return get(t, d, name).Document })
	slices.Sort(a.Stored)
	return a
}

// Listed returns the ids in the index, read as docs/index.md describes it: read returns the document of the
// secret with this name, nil where there is none.
func Listed(t *testing.T, read func(name string) map[string]json.RawMessage) []string {
	t.Helper()
	var ids []string
	var visit func(name string)
	visit = func(name string) {
		document := read(name)
		var entries []struct{ ID string }
		var pages []struct{ P string }
		for field, into := range map[string]any{"entries": &entries, "pages": &pages} {
			if raw, ok := document[field]; ok {
				if err := json.Unmarshal(raw, into); err != nil {
					t.Fatalf("%s: %s: %v", name, field, err)
				}
			}
		}
		if document == nil && name != "index" {
			t.Errorf("%s is a page of the index, and is not there", name)
		}
		for _, e := range entries {
			ids = append(ids, e.ID)
		}
		for _, p := range pages {
			visit(p.P)
		}
	}
	visit("index")
	slices.Sort(ids)
	return slices.Compact(ids)
}

func get(t *testing.T, d engine.Driver, name string) (rec engine.Record) {
	t.Helper()
	if err := again(func() (err error) { rec, _, err = d.Get(context.Background(), name, engine.None); return err }); err != nil {
		t.Fatalf("audit: Get(%s): %v", name, err)
	}
	return rec
}

// again calls do once more, up to twice, if the service gave no answer, as a caller may: not all clients
// here do, and on a busy machine a connection breaks now and then.
func again(do func() error) error {
	err := do()
	for range 2 {
		if !errors.Is(err, oauthstore.ErrUnavailable) {
			break
		}
		err = do()
	}
	return err
}

// checkListed fails unless every token secret is in the index.
func checkListed(t *testing.T, b Backend) {
	t.Helper()
	a := audit(t, b)
	for _, id := range a.Stored {
		if !slices.Contains(a.Listed, id) {
			t.Errorf("the secret of token %s exists and the index does not list it: %v", id, a.Listed)
		}
	}
}

func save(t *testing.T, s oauthstore.TokenStore, token *oauthstore.OAuthToken) *oauthstore.OAuthToken {
	t.Helper()
	if err := s.SaveToken(context.Background(), token); err != nil {
		t.Fatalf("SaveToken(%v): %v", token, err)
	}
	return token
}
