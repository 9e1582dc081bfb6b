package main

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/oauthstore/oauthstore"
)

// maxLifetime is the longest life of an access token that is believed; a time.Duration ends at 292 years.
const maxLifetime = 100 * 365 * 24 * time.Hour

// parseResponse reads a token endpoint's answer (RFC 6749, section 5.1). Its errors do not quote it.
func parseResponse(body []byte) (*oauthstore.OAuthToken, error) {
	var r struct {
		AccessToken  string      `json:"access_token"`
		RefreshToken string      `json:"refresh_token"`
		TokenType    string      `json:"token_type"`
		Scope        string      `json:"scope"`
		APIDomain    string      `json:"api_domain"`
		ExpiresIn    json.Number `json:"expires_in"` // seconds
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, errors.New("the token response is not the JSON object of RFC 6749, section 5.1")
	}
	if r.AccessToken == "" {
		return nil, errors.New("the token response has no access_token")
	}
	token := &oauthstore.OAuthToken{
		AccessToken: r.AccessToken, RefreshToken: r.RefreshToken,
		TokenType: r.TokenType, Scope: r.Scope, APIDomain: r.APIDomain,
	}
	if r.ExpiresIn != "" {
		seconds, err := r.ExpiresIn.Float64() // some providers send 3600.0
		if err != nil || seconds < 0 || seconds > maxLifetime.Seconds() {
			return nil, errors.New("the token response's expires_in makes no sense")
		}
		if seconds > 0 {
			token.Expiry = time.Now().Add(time.Duration(seconds * float64(time.Second)))
		}
	}
	return token, nil
}
