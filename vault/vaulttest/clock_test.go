package vaulttest_test

import (
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

const readAll = `path "secret/data/*" { capabilities = ["read"] }`

func TestClock_endsTokens(t *testing.T) {
	f := start(t)
	f.put("app", "1")
	limited := f.as(f.token(readAll, time.Hour))
	f.srv.Advance(59 * time.Minute)
	_, err := limited.kv.Get(f.ctx, "app")
	require.NoError(t, err)
	f.srv.Advance(2 * time.Minute)
	_, err = limited.kv.Get(f.ctx, "app")
	requireRefused(t, err, 403, invalid)
	_, err = f.kv.Get(f.ctx, "app")
	require.NoError(t, err, "a root token does not expire")
}

func TestClock_letsATokenBeRenewedUpToItsMaximum(t *testing.T) {
	f := start(t)
	secret, err := f.Auth().Token().Create(&api.TokenCreateRequest{TTL: "1h", ExplicitMaxTTL: "2h", Policies: []string{"default"}})
	require.NoError(t, err)
	token := f.as(secret.Auth.ClientToken).Auth().Token()

	f.srv.Advance(50 * time.Minute)
	secret, err = token.RenewSelf(3600)
	require.NoError(t, err)
	require.Equal(t, 3600, secret.Auth.LeaseDuration)

	f.srv.Advance(50 * time.Minute)
	secret, err = token.RenewSelf(3600)
	require.NoError(t, err)
	require.InDelta(t, 1200, secret.Auth.LeaseDuration, 2)
	require.Len(t, secret.Warnings, 1)
	require.Contains(t, secret.Warnings[0], "TTL value is capped accordingly")

	f.srv.Advance(21 * time.Minute)
	_, err = token.RenewSelf(3600)
	requireRefused(t, err, 403, invalid)
}

func TestClock_deletesVersions(t *testing.T) {
	f := start(t)
	require.NoError(t, f.kv.PutMetadata(f.ctx, "app", api.KVMetadataPutInput{DeleteVersionAfter: time.Hour}))
	f.put("app", "1")
	f.srv.Advance(61 * time.Minute)
	secret, err := f.kv.Get(f.ctx, "app")
	require.NoError(t, err)
	require.Nil(t, secret.Data)
	require.Equal(t, 1, secret.VersionMetadata.Version)
}

func TestClock_isThatOfAllTimes(t *testing.T) {
	f := start(t)
	f.srv.Advance(1000 * time.Hour)
	f.put("app", "1")
	secret, err := f.kv.Get(f.ctx, "app")
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(1000*time.Hour), secret.VersionMetadata.CreatedTime, time.Minute)
	health, err := f.Sys().Health()
	require.NoError(t, err)
	require.InDelta(t, time.Now().Add(1000*time.Hour).Unix(), health.ServerTimeUTC, 60)
}
