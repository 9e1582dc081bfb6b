package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/oauthstore/oauthstore"
)

// watched is a store that holds every call of every check to what must always be true: no error
// tells a secret, there is no nil token without an error, FindToken never changes its argument, and
// a save that fails does not either.
type watched struct {
	t     testingT
	store oauthstore.TokenStore
}

func (w *watched) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	w.t.Helper()
	before := literal(token)
	found, err := w.store.FindToken(ctx, token)
	wantUntouched(w.t, "FindToken", token, before)
	return wantToken(w.t, "FindToken", found, err)
}

func (w *watched) FindTokenByID(ctx context.Context, id string) (*oauthstore.OAuthToken, error) {
	w.t.Helper()
	found, err := w.store.FindTokenByID(ctx, id)
	return wantToken(w.t, "FindTokenByID", found, err)
}

func (w *watched) SaveToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	w.t.Helper()
	before := literal(token)
	err := w.store.SaveToken(ctx, token)
	if err != nil {
		wantUntouched(w.t, "SaveToken, which failed,", token, before)
	}
	return wantNoSecret(w.t, "SaveToken", err)
}

func (w *watched) DeleteToken(ctx context.Context, id string) error {
	w.t.Helper()
	return wantNoSecret(w.t, "DeleteToken", w.store.DeleteToken(ctx, id))
}

func (w *watched) GetTokens(ctx context.Context) ([]*oauthstore.OAuthToken, error) {
	w.t.Helper()
	tokens, err := w.store.GetTokens(ctx)
	if err == nil && tokens == nil {
		w.t.Errorf("GetTokens: got a nil slice and no error, want an empty slice where there is nothing")
	}
	for i, token := range tokens {
		if token == nil {
			w.t.Errorf("GetTokens()[%d]: got nil, want a token", i)
			return nil, errNilToken
		}
	}
	return tokens, wantNoSecret(w.t, "GetTokens", err)
}

func (w *watched) DeleteTokens(ctx context.Context) error {
	w.t.Helper()
	return wantNoSecret(w.t, "DeleteTokens", w.store.DeleteTokens(ctx))
}

type watchedUpdater struct {
	t       testingT
	updater oauthstore.TokenUpdater
}

func (w *watchedUpdater) UpdateToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	w.t.Helper()
	before := literal(token)
	err := w.updater.UpdateToken(ctx, token)
	if err != nil {
		wantUntouched(w.t, "UpdateToken, which failed,", token, before)
	}
	return wantNoSecret(w.t, "UpdateToken", err)
}

type watchedLeaser struct {
	t      testingT
	leaser oauthstore.TokenLeaser
}

func (w *watchedLeaser) LeaseToken(ctx context.Context, request oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	w.t.Helper()
	l, err := w.leaser.LeaseToken(ctx, request)
	return l, wantNoSecret(w.t, "LeaseToken", err)
}

func (w *watchedLeaser) RenewLease(ctx context.Context, lease *oauthstore.Lease) error {
	w.t.Helper()
	return wantNoSecret(w.t, "RenewLease", w.leaser.RenewLease(ctx, lease))
}

func (w *watchedLeaser) SaveLeased(ctx context.Context, lease *oauthstore.Lease, token *oauthstore.OAuthToken) error {
	w.t.Helper()
	before := literal(token)
	err := w.leaser.SaveLeased(ctx, lease, token)
	if err != nil {
		wantUntouched(w.t, "SaveLeased, which failed,", token, before)
	}
	return wantNoSecret(w.t, "SaveLeased", err)
}

func (w *watchedLeaser) ReleaseLease(ctx context.Context, lease *oauthstore.Lease) error {
	w.t.Helper()
	return wantNoSecret(w.t, "ReleaseLease", w.leaser.ReleaseLease(ctx, lease))
}

// errNilToken is what a check sees where the store returned neither a token nor an error, so that it
// does not have to look for nil itself. The fault is reported already.
var errNilToken = errors.New("storetest: a nil token without an error")

func wantToken(t testingT, method string, token *oauthstore.OAuthToken, err error) (*oauthstore.OAuthToken, error) {
	t.Helper()
	switch {
	case err == nil && token == nil:
		t.Errorf("%s: got nil without an error, want a token, or ErrTokenNotFound", method)
		return nil, errNilToken
	case err != nil && token != nil:
		t.Errorf("%s: got a token and the error %v, want one of them", method, err)
	}
	return token, wantNoSecret(t, method, err)
}

func wantUntouched(t testingT, what string, token, before *oauthstore.OAuthToken) {
	t.Helper()
	if d := diff(token, before); d != "" {
		t.Errorf("%s changed its argument: %s", what, d)
	}
}

// wantNoSecret returns err. It fails where the text of err, or of an error that it wraps, holds one
// of the suite's secrets.
func wantNoSecret(t testingT, method string, err error) error {
	t.Helper()
	for _, e := range chain(err) {
		if text := fmt.Sprintf("%v %+v", e, e); strings.Contains(text, hush) {
			t.Errorf("%s: a secret is in the text of its error, of type %T: %s", method, e, text)
		}
	}
	return err
}

// chain returns err and all that it wraps.
func chain(err error) []error {
	if err == nil {
		return nil
	}
	errs := []error{err}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		errs = append(errs, chain(e.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, wrapped := range e.Unwrap() {
			errs = append(errs, chain(wrapped)...)
		}
	}
	return errs
}
