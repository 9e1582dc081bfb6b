package vault

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/testserver"
	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

// listed returns the names that d lists, sorted.
func listed(d *driver) ([]string, error) {
	var names []string
	err := d.List(context.Background(), func(page []string) bool {
		names = append(names, page...)
		return true
	})
	slices.Sort(names)
	return names, err
}

func requireListed(t *testing.T, d *driver, want ...string) {
	t.Helper()
	names, err := listed(d)
	require.NoError(t, err)
	slices.Sort(want)
	require.Equal(t, want, names)
}

// putAll makes a secret of each name, by the driver itself.
func putAll(t *testing.T, d *driver, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := d.Put(context.Background(), name, engine.None, engine.Record{WriteID: "1", Document: codec.Document{}}, 0)
		require.NoError(t, err, name)
	}
}

// putForeign makes secrets that are not a store's, at paths below the mount.
func putForeign(t *testing.T, b backend, paths ...string) {
	t.Helper()
	for _, path := range paths {
		_, err := b.client().KVv2("secret").Put(context.Background(), path, map[string]any{"password": "SECRET"})
		require.NoError(t, err, path)
	}
}

func TestList_givesAllNamesOfItsPrefixAndNoOthers(t *testing.T) {
	b := newBackend(t)
	prefixes := map[string]int{"a": 500, "a/b": 30, "ab": 20, "A": 3, "a=b": 2, "a/b/c": 1, "token_0": 1, "secret": 1}
	for prefix, n := range prefixes {
		d := b.driver(WithPrefix(prefix), WithMaxVersions(0))
		putAll(t, d, "index", strings.Repeat("x", maxName), "-_-", "Token_0")
		for i := range n {
			putAll(t, d, fmt.Sprint("token_", i))
		}
	}
	putForeign(t, b, "a", "ab", "token_at_the_top")
	for prefix, n := range prefixes {
		want := []string{"index", strings.Repeat("x", maxName), "-_-", "Token_0"}
		for i := range n {
			want = append(want, fmt.Sprint("token_", i))
		}
		requireListed(t, b.driver(WithPrefix(prefix)), want...)
	}
}

func TestList_leavesOutFoldersAndWhatCannotBeAStores(t *testing.T) {
	b := newBackend(t)
	d := b.driver()
	putAll(t, d, "index", "token_a")
	putForeign(t, b,
		"oauthstore/token_a/deep", "oauthstore/folder/token_b", "oauthstore/folder/index", // a folder may be named as a secret is
		"oauthstore/a.b", "oauthstore/a b", "oauthstore/a=b", "oauthstore/é", "oauthstore/a*", "oauthstore/a%2fb", "oauthstore/a\\b",
		"oauthstore/"+strings.Repeat("x", maxName+1))
	requireListed(t, d, "index", "token_a")
}

func TestList_ofNothing(t *testing.T) {
	b := newBackend(t)
	requireListed(t, b.driver())
	putForeign(t, b, "oauthstore", "oauthstore2/token_a", "oauthstor/token_a")
	requireListed(t, b.driver())
	putForeign(t, b, "oauthstore/team/token_a")
	requireListed(t, b.driver())
}

func TestList_showsDeletedSecretsUntilTheirMetadataIsGone(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	d := b.driver()
	putAll(t, d, "token_kept", "token_hidden", "token_destroyed", "token_gone")
	kv := b.client().KVv2("secret")
	require.NoError(t, kv.Delete(ctx, "oauthstore/token_hidden"))
	require.NoError(t, d.Delete(ctx, "token_destroyed", version(1), engine.Record{WriteID: "2", Base: version(1), Deleted: true}))
	require.NoError(t, kv.DeleteMetadata(ctx, "oauthstore/token_gone"))
	require.NoError(t, kv.PutMetadata(ctx, "oauthstore/token_begun", api.KVMetadataPutInput{})) // as an insert that died
	requireListed(t, d, "token_kept", "token_hidden", "token_destroyed", "token_begun")
}

func TestList_isOneCall(t *testing.T) {
	b := newBackend(t)
	d := b.driver(WithPrefix("team/app"))
	putAll(t, d, "index", "token_a", "token_b")
	b.srv.ResetRequests()
	requireListed(t, d, "index", "token_a", "token_b")
	require.Equal(t, map[string]int{"LIST metadata": 1}, b.srv.Counts())
	require.Equal(t, "team/app", b.srv.Requests()[0].Secret)
}

// limited returns a driver with a token that may do what the policy says, and nothing else.
func (b backend) limited(t *testing.T, policy string, opts ...Option) *driver {
	t.Helper()
	root := b.client()
	name := strings.ToLower(oauthstore.RandomID())
	require.NoError(t, root.Sys().PutPolicy(name, policy))
	made, err := root.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{name}})
	require.NoError(t, err)
	d := b.driver(opts...)
	d.client.SetToken(made.Auth.ClientToken)
	return d
}

func rule(path, capabilities string) string {
	return fmt.Sprintf("path %q { capabilities = [%s] }\n", path, capabilities)
}

// The client cuts the slash off the folder that is listed, and the server puts it back before it looks at the
// policies. A rule for the folder, with or without its slash, is found first; then those with a wildcard, and
// among these the ones that fit without the slash.
func TestList_policies(t *testing.T) {
	const list, others = `"list"`, `"create", "read", "update", "delete"`
	for policy, permitted := range map[string]bool{
		rule("secret/metadata/oauthstore/", list):                                                true,
		rule("secret/metadata/oauthstore", list):                                                 true,
		rule("secret/metadata/oauthstore/*", list):                                               true,
		rule("secret/metadata/oauthstore/*", `"create", "update", "list"`):                       true,
		rule("secret/metadata/oauthstore*", list):                                                true,
		rule("secret/metadata/*", list):                                                          true,
		rule("secret/metadata/+", list):                                                          true,
		rule("secret/metadata/+/*", list):                                                        true,
		rule("secret/metadata/oauthstore/*", others):                                             false,
		rule("secret/metadata/other/*", list):                                                    false,
		rule("secret/data/oauthstore/*", `"read", "list"`):                                       false,
		rule("secret/metadata/*", list) + rule("secret/metadata/+", `"deny"`):                    false,
		rule("sys/internal/ui/mounts/secret", `"read"`):                                          false,
		rule("secret/metadata/oauthstore/*", others) + rule("secret/metadata/oauthstore", list):  true,
		rule("secret/metadata/oauthstore/*", others) + rule("secret/metadata/oauthstore/", list): true,
		rule("secret/metadata/oauthstore/*", list) + rule("secret/metadata/oauthstore", others):  false,
		rule("secret/metadata/oauthstore/*", list) + rule("secret/metadata/*", others):           false,
		rule("secret/metadata/oauthstore/", list) + rule("secret/metadata/*", `"deny"`):          true,
	} {
		t.Run(policy, func(t *testing.T) {
			b := newBackend(t)
			putAll(t, b.driver(), "token_a")
			d := b.limited(t, policy)
			if permitted {
				requireListed(t, d, "token_a")
				require.Equal(t, []string{"list"}, b.srv.Capabilities()["secret/metadata/oauthstore/"])
				return
			}
			names, err := listed(d)
			require.ErrorIs(t, err, oauthstore.ErrAccessDenied)
			require.Empty(t, names)
		})
	}
}

func TestList_isDeniedForAnotherPrefix(t *testing.T) {
	b := newBackend(t)
	policy := rule("secret/metadata/oauthstore/*", `"list"`)
	for _, prefix := range []string{"oauthstor", "oauthstore2", "other", "other/oauthstore"} {
		_, err := listed(b.limited(t, policy, WithPrefix(prefix)))
		require.ErrorIs(t, err, oauthstore.ErrAccessDenied, prefix)
		require.ErrorContains(t, err, "vault: list secret/"+prefix+"/: ")
	}
	requireListed(t, b.limited(t, policy, WithPrefix("oauthstore/team")))
}

func TestList_filesErrorsAsReadsDo(t *testing.T) {
	for kind, want := range map[testserver.Kind]error{
		testserver.FailBefore: oauthstore.ErrUnavailable,
		testserver.FailAfter:  oauthstore.ErrUnavailable,
		testserver.DropAfter:  oauthstore.ErrUnavailable,
		testserver.Throttle:   oauthstore.ErrThrottled,
		testserver.Deny:       oauthstore.ErrAccessDenied,
	} {
		for _, op := range []string{"LIST metadata", "GET sys/internal/ui/mounts"} {
			b := newBackend(t)
			putAll(t, b.driver(), "token_a")
			d := b.driver()
			b.srv.Inject(testserver.Fault{Op: op, Kind: kind, Times: -1})
			names, err := listed(d)
			require.ErrorIs(t, err, want, "%v of %s", kind, op)
			require.Empty(t, names)
			b.srv.ClearFaults()
			requireListed(t, d, "token_a")
		}
	}
}

func TestList_whileVaultIsSealedOrUpgradesTheMount(t *testing.T) {
	b := newBackend(t)
	d := b.driver()
	putAll(t, d, "token_a")
	b.srv.SetSealed(true)
	_, err := listed(d)
	require.ErrorIs(t, err, oauthstore.ErrUnavailable)
	b.srv.SetSealed(false)
	b.srv.SetUpgrading("secret", true)
	_, err = listed(d)
	require.ErrorIs(t, err, oauthstore.ErrUnavailable)
	b.srv.SetUpgrading("secret", false)
	requireListed(t, d, "token_a")
}

func TestList_goesOnAfterWhatTheClientTriesAgain(t *testing.T) {
	b := newBackend(t)
	d := b.driver()
	putAll(t, d, "token_a", "token_b")
	d.client = b.srv.Client()
	d.client.SetMinRetryWait(1)
	d.client.SetMaxRetryWait(1)
	b.srv.Inject(testserver.Fault{Op: "LIST metadata", Kind: testserver.Throttle})
	b.srv.Inject(testserver.Fault{Op: "LIST metadata", Kind: testserver.DropAfter})
	requireListed(t, d, "token_a", "token_b")
}

func TestList_endsWithItsContext(t *testing.T) {
	b := newBackend(t)
	d := b.driver()
	putAll(t, d, "token_a")
	yield := func([]string) bool { t.Error("a name after the end"); return true }

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, d.List(ctx, yield), context.Canceled)
	require.ErrorIs(t, b.driver().List(ctx, yield), context.Canceled, "before the mount is known")

	b.srv.Inject(testserver.Fault{Op: "LIST metadata", Kind: testserver.Hang, Times: -1})
	ctx, cancel = context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err := d.List(ctx, yield)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, oauthstore.ErrUnavailable)
}

// Version 1 has no metadata: there this is a folder like any other, and its names are not those of a store.
func TestList_refusesKVVersion1(t *testing.T) {
	b := newBackend(t)
	require.NoError(t, b.client().Sys().Mount("old", &api.MountInput{Type: "kv", Options: map[string]string{"version": "1"}}))
	_, err := listed(b.driver(WithMount("old")))
	require.ErrorContains(t, err, "version 1")
	require.NoError(t, b.client().KVv1("old").Put(context.Background(), "metadata/oauthstore/token_a", map[string]any{"a": "b"}))
	names, err := listed(b.driver(WithMount("old")))
	require.ErrorContains(t, err, "version 1")
	require.Empty(t, names)
}

func TestList_ofAMountThatIsNotThere(t *testing.T) {
	b := newBackend(t)
	_, err := listed(b.driver(WithMount("nowhere")))
	require.Error(t, err)
	require.NotErrorIs(t, err, oauthstore.ErrUnavailable)

	require.NoError(t, b.client().Sys().Mount("team/kv", &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}))
	d := b.driver(WithMount("team/kv"))
	putAll(t, d, "token_a")
	requireListed(t, d, "token_a")
	require.NoError(t, b.client().Sys().Unmount("team/kv"))
	_, err = listed(d)
	require.Error(t, err, "an engine that is gone is not an empty folder")
}

func TestList_asksTheClientsNamespace(t *testing.T) {
	srv := vaulttest.NewServer(vaulttest.WithNamespaces("team"))
	defer srv.Close()
	b := backend{srv}
	inTeam := b.driver()
	inTeam.client.SetNamespace("team")
	require.NoError(t, inTeam.client.Sys().Mount("secret", &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}))
	putAll(t, inTeam, "token_team")
	putAll(t, b.driver(), "token_root")
	requireListed(t, inTeam, "token_team")
	requireListed(t, b.driver(), "token_root")
}

// What stands between the client and Vault may answer in its place.
func TestList_doesNotTakeAStrangeAnswerForAnEmptyFolder(t *testing.T) {
	for answer, want := range map[string]error{
		`{}`:                        nil,
		`{"data":{}}`:               nil,
		`{"data":{"keys":null}}`:    nil,
		`{"data":{"keys":"a"}}`:     nil,
		`{"wrap_info":{"token":1}}`: nil,
		`{"errors":[]}`:             nil,
		``:                          nil,
		`<html>`:                    oauthstore.ErrUnavailable,
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) }))
		client, err := api.NewClient(&api.Config{Address: srv.URL})
		require.NoError(t, err)
		d := newBackend(t).driver()
		d.client = client
		d.isV2.Store(true)
		_, err = listed(d)
		srv.Close()
		require.Error(t, err, answer)
		if want != nil {
			require.ErrorIs(t, err, want, answer)
		}
	}
}
