package authtest_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore/tokensource/authtest"
)

// config is a client of package oauth2, which sends its secret by style.
func (f fixture) config(style oauth2.AuthStyle) (*oauth2.Config, context.Context) {
	return &oauth2.Config{
		ClientID: authtest.ClientID, ClientSecret: authtest.ClientSecret, RedirectURL: authtest.RedirectURI, Scopes: []string{"read"},
		Endpoint: oauth2.Endpoint{AuthURL: f.URL() + "/authorize", TokenURL: f.URL() + "/token", AuthStyle: style},
	}, context.WithValue(f.t.Context(), oauth2.HTTPClient, f.client)
}

// refreshed asks the endpoint with the refresh token and nothing else.
func refreshed(ctx context.Context, c *oauth2.Config, refreshToken string) (*oauth2.Token, error) {
	return c.TokenSource(ctx, &oauth2.Token{RefreshToken: refreshToken}).Token()
}

func requireRetrieveError(t *testing.T, err error, status int, code string) {
	t.Helper()
	var refused *oauth2.RetrieveError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, status, refused.Response.StatusCode)
	require.Equal(t, code, refused.ErrorCode)
}

func TestOAuth2_goesTheWholeWay(t *testing.T) {
	for name, style := range map[string]oauth2.AuthStyle{
		"Basic": oauth2.AuthStyleInHeader, "body": oauth2.AuthStyleInParams, "found out": oauth2.AuthStyleAutoDetect,
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			config, ctx := f.config(style)
			verifier := oauth2.GenerateVerifier()
			resp, err := f.client.Get(config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			callback, err := resp.Location()
			require.NoError(t, err)
			require.Equal(t, "state", callback.Query().Get("state"))

			begin := time.Now()
			token, err := config.Exchange(ctx, callback.Query().Get("code"), oauth2.VerifierOption(verifier))
			require.NoError(t, err)
			require.Equal(t, "Bearer", token.Type())
			require.Equal(t, "read", token.Extra("scope"))
			require.False(t, token.Expiry.Before(begin.Add(time.Hour)))

			newer, err := refreshed(ctx, config, token.RefreshToken)
			require.NoError(t, err)
			require.NotEqual(t, token.RefreshToken, newer.RefreshToken)
			resp, err = config.Client(ctx, newer).Get(f.URL() + "/resource")
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusOK, resp.StatusCode)

			_, err = refreshed(ctx, config, token.RefreshToken)
			requireRetrieveError(t, err, http.StatusBadRequest, "invalid_grant")
			_, err = refreshed(ctx, config, newer.RefreshToken)
			requireRetrieveError(t, err, http.StatusBadRequest, "invalid_grant")
			require.True(t, f.family().Revoked)
		})
	}
}

func TestOAuth2_findsTheWayOfAuthenticationOut(t *testing.T) {
	for _, client := range []authtest.Client{
		{ID: authtest.ClientID, Secret: authtest.ClientSecret, Auth: authtest.ClientSecretBasic},
		{ID: authtest.ClientID, Secret: authtest.ClientSecret, Auth: authtest.ClientSecretPost},
		{ID: authtest.ClientID},
	} {
		f := start(t, authtest.WithClients(client))
		config, ctx := f.config(oauth2.AuthStyleAutoDetect)
		config.ClientSecret = client.Secret
		_, err := config.Exchange(ctx, f.Grant("alice"))
		require.Error(t, err, "no redirect URI is registered, but one is sent")
		config.RedirectURL = ""
		_, err = config.Exchange(ctx, f.Grant("alice"))
		require.NoError(t, err)
	}
}

func TestOAuth2_escapesItsCredentials(t *testing.T) {
	client := authtest.Client{ID: "a b:c", Secret: "100% +&=:/é", Auth: authtest.ClientSecretBasic}
	f := start(t, authtest.WithClients(client))
	config, ctx := f.config(oauth2.AuthStyleInHeader)
	config.ClientID, config.ClientSecret = client.ID, client.Secret
	_, err := refreshed(ctx, config, f.Issue("alice").RefreshToken)
	require.NoError(t, err)
}

func TestOAuth2_readsWhatProvidersMakeOfTheAnswer(t *testing.T) {
	f := start(t, authtest.WithRotation(authtest.Omit), authtest.WithStringExpiresIn())
	config, ctx := f.config(oauth2.AuthStyleInHeader)
	first := f.Issue("alice")
	begin := time.Now()
	token, err := refreshed(ctx, config, first.RefreshToken)
	require.NoError(t, err)
	require.Equal(t, first.RefreshToken, token.RefreshToken, "kept, as none came")
	require.False(t, token.Expiry.Before(begin.Add(time.Hour)))

	f = start(t, authtest.WithZohoStyle("https://www.zohoapis.example"))
	config, ctx = f.config(oauth2.AuthStyleInParams)
	token, err = refreshed(ctx, config, f.Issue("alice").RefreshToken)
	require.NoError(t, err)
	require.Equal(t, "https://www.zohoapis.example", token.Extra("api_domain"))
	require.Equal(t, 3600.0, token.Extra("expires_in_sec"))
	require.Equal(t, int64(3600_000), token.ExpiresIn, "milliseconds, which it takes for seconds")
	_, err = refreshed(ctx, config, "another")
	requireRetrieveError(t, err, http.StatusOK, "invalid_code")
}

func TestOAuth2_meetsFaults(t *testing.T) {
	f := start(t)
	config, ctx := f.config(oauth2.AuthStyleInHeader)
	refresh := f.Issue("alice").RefreshToken
	for _, fault := range []authtest.Fault{
		{Kind: authtest.Fail, Status: 503},
		{Kind: authtest.Drop},
		{Kind: authtest.Garble},
		{Kind: authtest.HTML},
		{Kind: authtest.Huge},
	} {
		f.Inject(fault)
		_, err := refreshed(ctx, config, refresh)
		require.Error(t, err, fault.Kind)
	}
	require.Equal(t, map[string]int{authtest.Unprocessed: 5}, f.Stats().TokenRequests["refresh_token"], "nothing was tried twice")
	_, err := refreshed(ctx, config, refresh)
	require.NoError(t, err)
}
