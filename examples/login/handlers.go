package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/tokensource"
)

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.index)
	mux.HandleFunc("GET /login", a.login)
	mux.HandleFunc("GET /callback", a.callback)
	mux.HandleFunc("POST /logout", a.logout)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer") // the callback's URL holds the code
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		mux.ServeHTTP(w, r)
	})
}

// maxForm is the largest body of a request that is read, in bytes: FormValue reads any, of a GET too.
const maxForm = 10 << 10

// fromElsewhere reports whether a page of another site has sent r. Browsers say so, but for old ones.
func fromElsewhere(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none": // none is a URL that was typed in
		return false
	default:
		return true
	}
}

// A flow is a login under way. The browser that began it keeps it in a cookie, so that no other one can end it, and
// the server keeps nothing. Whoever has the browser can change it: user is not to be believed.
type flow struct{ user, state, verifier string }

const (
	flowCookie = "oauth_login"
	flowTime   = 10 * time.Minute
)

// cookie is the flow for the browser; an empty flow takes the cookie away.
func (a *app) cookie(f flow) *http.Cookie {
	c := &http.Cookie{
		Name: flowCookie, Path: "/callback", MaxAge: -1,
		Secure:   a.secure,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode, // the provider's redirect is a request from another site
	}
	if f != (flow{}) {
		c.MaxAge = int(flowTime / time.Second)
		c.Value = url.Values{"user": {f.user}, "state": {f.state}, "verifier": {f.verifier}}.Encode()
	}
	return c
}

// flowOf returns the flow that the browser has begun.
func flowOf(r *http.Request) (f flow, ok bool) {
	c, err := r.Cookie(flowCookie)
	if err != nil {
		return f, false
	}
	v, err := url.ParseQuery(c.Value)
	f = flow{v.Get("user"), v.Get("state"), v.Get("verifier")}
	return f, err == nil && f.user != "" && f.state != "" && f.verifier != ""
}

// maxUser keeps the cookie below what browsers store.
const maxUser = 200

// login sends the user to the provider. Who the user is your application knows, by a session of its own; here it is
// whoever the form says.
func (a *app) login(w http.ResponseWriter, r *http.Request) {
	if fromElsewhere(r) { // it would say as whom this browser's user logs in
		http.Error(w, "Another site has sent this.", http.StatusForbidden)
		return
	}
	f := flow{user: r.FormValue("user"), state: rand.Text(), verifier: oauth2.GenerateVerifier()}
	if f.user == "" || len(f.user) > maxUser {
		http.Error(w, "The user has no name, or too long a one.", http.StatusBadRequest)
		return
	}
	http.SetCookie(w, a.cookie(f))
	http.Redirect(w, r, a.authURL(f), http.StatusFound)
}

// callback is where the provider sends the user back to. Your application takes the user from its session here too, and
// refuses a flow of another one: with a cookie of their own making, users could store their tokens as somebody else's.
func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	f, ok := flowOf(r)
	said := r.URL.Query()
	if !ok || subtle.ConstantTimeCompare([]byte(said.Get("state")), []byte(f.state)) != 1 {
		http.Error(w, "This is not the answer to a login that this browser has begun. Log in again.", http.StatusBadRequest)
		return
	}
	http.SetCookie(w, a.cookie(flow{})) // a flow ends once
	if said.Has("error") {
		a.log.WarnContext(r.Context(), "login refused", "user", f.user, "error", said.Get("error"))
		http.Error(w, "The provider has not let you log in.", http.StatusForbidden)
		return
	}

	// A code can be used once: go on even if the browser does not wait for it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), time.Minute)
	defer cancel()
	token, err := a.tokens.Exchange(ctx, f.user, said.Get("code"), oauth2.VerifierOption(f.verifier))
	if err == nil {
		a.log.InfoContext(ctx, "logged in", "token", token) // which shows no secret
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	a.log.ErrorContext(ctx, "login failed", "user", f.user, "error", err)
	var refused *tokensource.ReauthRequiredError
	var unsaved *tokensource.NotSavedError
	switch {
	case errors.As(err, &refused):
		http.Error(w, "The provider does not accept the login. Log in again.", http.StatusForbidden)
	case errors.As(err, &unsaved):
		http.Error(w, "The login could not be stored. Log in again later.", http.StatusServiceUnavailable)
	default:
		http.Error(w, "The provider does not answer as it should. Log in again later.", http.StatusBadGateway)
	}
}

// logout deletes the user's token.
func (a *app) logout(w http.ResponseWriter, r *http.Request) {
	if fromElsewhere(r) {
		http.Error(w, "Another site has sent this.", http.StatusForbidden)
		return
	}
	user := r.FormValue("user")
	if user == "" {
		http.Error(w, "The user has no name.", http.StatusBadRequest)
		return
	}
	token, err := a.store.FindToken(r.Context(), &oauthstore.OAuthToken{UserName: user, ClientID: a.config.ClientID})
	if err == nil {
		err = a.store.DeleteToken(r.Context(), token.ID)
	}
	if err != nil && !errors.Is(err, oauthstore.ErrTokenNotFound) {
		a.log.ErrorContext(r.Context(), "logout failed", "error", err)
		http.Error(w, "The logout has failed. Try again.", http.StatusServiceUnavailable)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

//go:embed index.html
var indexText string

var indexPage = template.Must(template.New("index").Parse(indexText))

// index shows who is logged in, and no secret.
func (a *app) index(w http.ResponseWriter, r *http.Request) {
	tokens, err := a.store.GetTokens(r.Context())
	if errors.As(err, new(*oauthstore.UnreadableTokensError)) { // the others are there
		a.log.ErrorContext(r.Context(), "some tokens are not shown", "error", err)
		err = nil
	}
	if err == nil {
		err = indexPage.Execute(w, tokens)
	}
	if err != nil {
		a.log.ErrorContext(r.Context(), "index failed", "error", err)
		http.Error(w, "The tokens cannot be listed.", http.StatusServiceUnavailable)
	}
}
