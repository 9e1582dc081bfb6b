package vaulttest_test

import (
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// create returns a new token as the fixture's token makes it.
func (f fixture) create(request api.TokenCreateRequest) fixture {
	f.t.Helper()
	secret, err := f.Auth().Token().Create(&request)
	require.NoError(f.t, err)
	return f.as(secret.Auth.ClientToken)
}

func TestToken_periodicIsRenewedForItsPeriodWhateverIsAsked(t *testing.T) {
	f := start(t)
	periodic := f.create(api.TokenCreateRequest{Policies: []string{"default"}, Period: "1h"})
	for range 3 {
		f.srv.Advance(50 * time.Minute)
		secret, err := periodic.Auth().Token().RenewSelf(60)
		require.NoError(t, err)
		require.Equal(t, 3600, secret.Auth.LeaseDuration)
	}
}

func TestToken_livesNoLongerThanTheSystemsMaximum(t *testing.T) {
	f := start(t)
	secret, err := f.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"default"}, TTL: "1000h"})
	require.NoError(t, err)
	require.Equal(t, 768*3600, secret.Auth.LeaseDuration)
	require.Equal(t, []string{`TTL of "1000h" exceeded the effective max_ttl of "768h"; TTL value is capped accordingly`},
		secret.Warnings)
}

func TestToken_orphanOutlivesItsMaker(t *testing.T) {
	f := start(t)
	maker := f.create(api.TokenCreateRequest{Policies: []string{"root"}, TTL: "1h"})
	child := maker.create(api.TokenCreateRequest{Policies: []string{"default"}})
	orphan := maker.create(api.TokenCreateRequest{Policies: []string{"default"}, NoParent: true})
	require.NoError(t, maker.Auth().Token().RevokeSelf(""))
	_, err := orphan.Auth().Token().LookupSelf()
	require.NoError(t, err)
	_, err = child.Auth().Token().LookupSelf()
	requireRefused(t, err, 403, invalid)
}

func TestToken_ofRootCannotBeRenewed(t *testing.T) {
	f := start(t)
	_, err := f.Auth().Token().RenewSelf(60)
	requireRefused(t, err, 400, "invalid lease ID")
}

func TestToken_unknownOneIsRevokedOnlyInAppearance(t *testing.T) {
	f := start(t)
	token := f.token(readAll, time.Hour)
	require.NoError(t, f.Auth().Token().RevokeTree(token))
	require.NoError(t, f.Auth().Token().RevokeTree(token), "one that was revoked")
	require.NoError(t, f.Auth().Token().RevokeTree("made-up"))
}

func TestWhatIsNotEmulated_isRefused(t *testing.T) {
	f := start(t)
	for key := range map[string]bool{"denied_parameters": true, "allowed_parameters": true} {
		err := f.Sys().PutPolicy("p", `path "secret/*" { `+key+` = { "x" = [] } }`)
		requireRefused(t, err, 400, `failed to parse policy: path "secret/*": vaulttest does not emulate `+key)
	}
	_, err := f.Auth().Token().Create(&api.TokenCreateRequest{Type: "batch"})
	requireRefused(t, err, 400, "vaulttest: batch tokens are not emulated")
	requireRefused(t, f.Sys().Mount("pki", &api.MountInput{Type: "pki"}), 400, "plugin not found in the catalog: pki")

	f.SetWrappingLookupFunc(func(string, string) string { return "1h" })
	_, err = f.Logical().Read("secret/data/app")
	requireRefused(t, err, 400, "vaulttest: response wrapping is not emulated")
}
