// Package authtest is an OAuth 2 authorization server for tests of OAuth 2 clients: it keeps the rules of the RFCs,
// fails where it is told to, and knows afterwards who asked for what, and how often.
//
//	srv := authtest.NewServer()
//	defer srv.Close()
//	tokens := srv.Issue("alice")              // an access and a refresh token, without a browser
//	srv.Advance(2 * time.Hour)                // the access token has expired
//	… the client under test refreshes at srv.URL()+"/token" …
//	srv.Stats().Families[0].Refreshes         // how often
//
// It listens on a socket, so that its clients may be other processes. Its endpoints are
//
//   - GET /authorize, the authorization endpoint (RFC 6749, 3.1): the resource owner, [Server.SetUser], consents at
//     once. With PKCE (RFC 7636), S256 and plain; a public client cannot do without.
//   - POST /token, the token endpoint (RFC 6749, 3.2), for the grants authorization_code and refresh_token.
//   - POST /revoke, the revocation endpoint (RFC 7009).
//   - GET /resource, a protected resource (RFC 6750): it answers with the name of the user whose access token it is.
//
// The client is [ClientID] with [ClientSecret] and [RedirectURI], unless [WithClients] names others.
//
// # Families
//
// All tokens that come of one grant of a user are a family. A refresh supersedes the refresh token that it is made
// with, and whoever presents a superseded one gets invalid_grant and ends the family with all its tokens: the server
// cannot tell a thief from a client that refreshes twice (RFC 9700, 4.14.2). The access tokens of earlier refreshes
// are good until they expire. [WithRotation], [WithReuseGrace] and [WithoutReuseDetection] make it a server that is
// more lenient.
//
// [Server.Stats] counts per family. A request takes effect as a whole and at one moment, and counts from then on,
// even where its answer is lost.
//
// # What can go wrong
//
// [Server.Inject] orders a [Fault] for some of the requests to come, [WithFaults] decides for each, and
// [Server.SetLatency] makes all of them slow. The server does not notice that a client has gone: what has arrived
// takes effect.
//
// # What is not emulated
//
//   - Other grants: implicit, password, client credentials, device; request objects and pushed requests.
//   - Client authentication other than by secret; grants that are forbidden to a client (unauthorized_client).
//   - Token introspection, metadata documents, sender-constrained tokens. Tokens are random strings.
//   - Redirect URIs of native apps on any port (RFC 8252, 7.3): register the one that is asked for.
//   - Login and consent pages. TLS: wrap the [Server], which is an http.Handler, for that.
package authtest
