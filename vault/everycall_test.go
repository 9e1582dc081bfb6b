package vault

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/testserver"
	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

// A scene is an operation of a driver in a certain state of the service.
type scene struct {
	before func(t *testing.T, b backend, d *driver)
	do     func(d *driver) (string, error) // and returns the result
	want   string
	after  string // what a read shows once an operation has returned no error

	// bestEffort are the requests that may be denied without an error, doubt those whose failure has another class.
	bestEffort []string
	doubt      map[string]error
}

func scenes() map[string]scene {
	ctx := context.Background()
	var rec engine.Record
	var base engine.Rev
	saved := func(t *testing.T, b backend, d *driver) {
		require.NoError(t, b.NewStore(t).SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "a"}))
		var err error
		rec, base, err = d.Get(ctx, "token_x", engine.None)
		require.NoError(t, err)
	}
	// unwritten is the state of a process that has not written yet; warm is that of one that has.
	unwritten := func(t *testing.T, b backend, d *driver) { saved(t, b, b.driver()); d.isV2.Store(false) }
	warm := func(t *testing.T, b backend, d *driver) { saved(t, b, d); d.keeps() }
	get := func(d *driver) (string, error) { return enginetest.Shown(d.Get(ctx, "token_x", engine.None)) }
	put := func(d *driver) (string, error) {
		next := rec
		next.WriteID = "mine"
		_, err := d.Put(ctx, "token_x", base, next, 0)
		return "written", err
	}
	insert := func(d *driver) (string, error) {
		_, err := d.Put(ctx, "token_y", version(0), rec, 0)
		return "written", err
	}
	remove := func(d *driver) (string, error) {
		tombstone := rec
		tombstone.Base, tombstone.WriteID, tombstone.Deleted, tombstone.Document = base, "tombstone", true, nil
		return "deleted", d.Delete(ctx, "token_x", base, tombstone)
	}
	list := func(d *driver) (string, error) {
		var names []string
		err := d.List(ctx, func(page []string) bool { names = append(names, page...); return true })
		slices.Sort(names)
		return strings.Join(names, " "), err
	}
	config := []string{"GET config"} // without the permission the answers to the writes are what there is
	return map[string]scene{
		"a read":                              {before: saved, do: get, want: "a"},
		"a read of what is not there":         {before: func(*testing.T, backend, *driver) {}, do: get, want: "absent"},
		"a write":                             {before: warm, do: put, want: "written", after: "a"},
		"a first write":                       {before: unwritten, do: put, want: "written", after: "a", bestEffort: config},
		"an insert":                           {before: warm, do: insert, want: "written", after: "a", bestEffort: []string{"PUT metadata"}},
		"an insert, the first write":          {before: unwritten, do: insert, want: "written", after: "a", bestEffort: append(config, "PUT metadata")},
		"a delete":                            {before: warm, do: remove, want: "deleted", after: "absent"},
		"a delete, the first write":           {before: unwritten, do: remove, want: "deleted", after: "absent", bestEffort: config},
		"a list":                              {before: saved, do: list, want: "index token_x"},
		"a list of a mount that is not known": {before: unwritten, do: list, want: "index token_x"},
		"a write that Vault is going to delete, by the secret's own setting": {
			before: func(t *testing.T, b backend, d *driver) {
				warm(t, b, d)
				_, err := b.client().Logical().Write("secret/metadata/oauthstore/token_x", map[string]any{"delete_version_after": "1h"})
				require.NoError(t, err)
			},
			do: put, want: "written", after: "a", doubt: map[string]error{"GET config": oauthstore.ErrMisconfigured},
		},
	}
}

// play plays a scene on a server of its own, with a fault for the request with the number at, and returns the requests
// that the operation made. The client does not try again.
func (s scene) play(t *testing.T, at int, kind testserver.Kind) (ops []string, got string, err error) {
	srv := vaulttest.NewServer()
	defer srv.Close()
	b := backend{srv}
	d := b.driver()
	d.client = srv.Client()
	d.client.SetMaxRetries(0)
	s.before(t, b, d)
	srv.ResetRequests()
	if kind != testserver.None {
		srv.Inject(testserver.Fault{Kind: kind, Skip: at})
	}
	got, err = s.do(d)
	for _, r := range srv.Requests() {
		ops = append(ops, r.Op)
	}
	if err == nil && s.after != "" {
		srv.ClearFaults()
		is, err := enginetest.Shown(b.driver().Get(t.Context(), "token_x", engine.None))
		require.NoError(t, err)
		require.Equal(t, s.after, is)
	}
	return ops, got, err
}

// Whichever request of an operation fails, the operation says so, or does its work all the same.
func TestEveryRequest_mayFail(t *testing.T) {
	for name, s := range scenes() {
		t.Run(name, func(t *testing.T) {
			enginetest.RunEveryRequest(t, enginetest.Played{
				Play: func(at int, kind testserver.Kind) ([]string, string, error) { return s.play(t, at, kind) },
				Want: s.want,
				Tolerated: func(op string, kind testserver.Kind) (string, bool) {
					return s.want, kind == testserver.Deny && slices.Contains(s.bestEffort, op)
				},
				Class: s.doubt,
			})
		})
	}
}
