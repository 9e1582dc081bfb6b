// Package enginetest holds the tests that every backend runs over its test server beside storetest:
// what each method costs, what a failing call leaves behind, and many writers at once.
package enginetest

import (
	"context"
	"encoding/json"
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
}

// A Backend is one service, as a test server.
type Backend interface {
	// Control is the server's.
	Control() *testserver.Control

	// NewStore returns a store that shares nothing with others but the server. Its client does not try
	// again.
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
		rec, _, err := d.Get(context.Background(), name, engine.None)
		if err != nil {
			t.Fatalf("audit: Get(%s): %v", name, err)
		}
		if rec.Live() {
			id, err := rec.Document.Get("id")
			if err != nil {
				t.Fatal(err)
			}
			a.Stored = append(a.Stored, id)
		}
	}
	index, _, err := d.Get(context.Background(), "index", engine.None)
	if err != nil {
		t.Fatalf("audit: Get(index): %v", err)
	}
	if index.Live() {
		var entries []struct{ ID string }
		if err := json.Unmarshal(index.Document["entries"], &entries); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			a.Listed = append(a.Listed, e.ID)
		}
	}
	slices.Sort(a.Stored)
	slices.Sort(a.Listed)
	a.Listed = slices.Compact(a.Listed)
	return a
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
