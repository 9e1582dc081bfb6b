package vaulttest_test

import (
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/testserver"
)

func TestSecrets_showsEverythingStored(t *testing.T) {
	f := start(t)
	require.NoError(t, f.Sys().Mount("legacy", &api.MountInput{Type: "kv-v1"}))
	require.NoError(t, f.KVv1("legacy").Put(f.ctx, "old", map[string]any{"n": 1}))
	require.NoError(t, f.kv.PutMetadata(f.ctx, "b", api.KVMetadataPutInput{
		MaxVersions: 5, CASRequired: false, CustomMetadata: map[string]any{"owner": "ann"},
	}))
	for _, v := range []string{"1", "2", "3"} {
		f.put("b", v)
	}
	require.NoError(t, f.kv.Destroy(f.ctx, "b", []int{1}))
	require.NoError(t, f.kv.DeleteVersions(f.ctx, "b", []int{2}))
	f.put("a/x", "1")

	all := f.srv.Secrets()
	var names []string
	for _, s := range all {
		names = append(names, s.Mount+s.Path)
	}
	require.Equal(t, []string{"legacy/old", "secret/a/x", "secret/b"}, names)
	require.Len(t, all[0].Versions, 1)

	b := all[2]
	require.Equal(t, 3, b.CurrentVersion)
	require.Equal(t, 5, b.MaxVersions)
	require.Equal(t, map[string]string{"owner": "ann"}, b.CustomMetadata)
	require.Len(t, b.Versions, 3)
	require.True(t, b.Versions[0].Destroyed)
	require.Nil(t, b.Versions[0].Data)
	require.WithinDuration(t, f.srv.Now(), b.Versions[1].Deleted, time.Minute)
	require.Equal(t, map[string]any{"v": "2"}, b.Versions[1].Data, "deleted data is still there")
	require.Equal(t, map[string]any{"v": "3"}, b.Versions[2].Data)
	require.Zero(t, b.Versions[2].Deleted)

	b.Versions[2].Data["v"] = "changed"
	require.Equal(t, "3", f.srv.Secrets()[2].Versions[2].Data["v"], "what Secrets returns is a copy")
}

func TestCapabilities_isWhatATokenNeeded(t *testing.T) {
	f := start(t)
	f.put("other", "1")
	limited := f.as(f.token(`path "secret/*" { capabilities = ["create", "read", "update", "list"] }`, time.Hour))
	limited.put("app", "1")
	limited.put("app", "2")
	_, err := limited.kv.Get(f.ctx, "app")
	require.NoError(t, err)
	_, err = limited.Logical().List("secret/metadata")
	require.NoError(t, err)
	require.Error(t, limited.kv.Delete(f.ctx, "app"))
	require.Equal(t, map[string][]string{
		"secret/data/app":  {"create", "read", "update"},
		"secret/metadata/": {"list"},
	}, f.srv.Capabilities(), "neither what root did nor what was denied")
}

func TestLog_namesRequestsByMethodAndPath(t *testing.T) {
	f := start(t)
	require.NoError(t, f.Sys().Mount("legacy", &api.MountInput{Type: "kv-v1"}))
	f.srv.ResetRequests()
	for _, c := range []struct{ method, path, op, secret string }{
		{"GET", "secret/data/a/b", "GET data", "a/b"},
		{"PUT", "secret/data/a", "PUT data", "a"},
		{"POST", "secret/data/a", "PUT data", "a"},
		{"PATCH", "secret/data/a", "PATCH data", "a"},
		{"DELETE", "secret/data/a", "DELETE data", "a"},
		{"PUT", "secret/delete/a", "PUT delete", "a"},
		{"PUT", "secret/undelete/a", "PUT undelete", "a"},
		{"PUT", "secret/destroy/a", "PUT destroy", "a"},
		{"GET", "secret/metadata/a", "GET metadata", "a"},
		{"LIST", "secret/metadata/a", "LIST metadata", "a"},
		{"LIST", "secret/metadata", "LIST metadata", ""},
		{"GET", "secret/metadata/a?list=true", "LIST metadata", "a"},
		{"GET", "secret/config", "GET config", ""},
		{"GET", "secret/a", "GET invalid", "a"},
		{"GET", "legacy/data/a", "GET kv1", "data/a"},
		{"PUT", "legacy/a", "PUT kv1", "a"},
		{"LIST", "legacy/a", "LIST kv1", "a"},
		{"DELETE", "legacy/a", "DELETE kv1", "a"},
		{"GET", "sys/internal/ui/mounts/secret/data/a", "GET sys/internal/ui/mounts", ""},
		{"POST", "sys/mounts/new", "PUT sys/mounts", ""},
		{"PUT", "sys/policies/acl/p", "PUT sys/policies/acl", ""},
		{"POST", "auth/token/create", "PUT auth/token/create", ""},
		{"GET", "auth/token/lookup-self", "GET auth/token/lookup-self", ""},
		{"GET", "sys/health", "GET sys/health", ""},
		{"GET", "no-such-mount/a", "GET no-such-mount/a", ""},
	} {
		f.request(c.method, c.path)
		requests := f.srv.Requests()
		last := requests[len(requests)-1]
		require.Equal(t, [2]string{c.op, c.secret}, [2]string{last.Op, last.Secret}, "%s %s", c.method, c.path)
		require.Equal(t, testserver.None, last.Fault)
	}
}
