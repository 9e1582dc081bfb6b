package storetest

import (
	"context"
	"fmt"

	"github.com/oauthstore/oauthstore"
)

// wantScribbled demands that the tokens still are as scribble has left them.
func (t *subject) wantScribbled(tokens ...*oauthstore.OAuthToken) {
	t.Helper()
	want := &oauthstore.OAuthToken{}
	scribble(want)
	for _, token := range tokens {
		t.wantSame("an argument that the caller used for something else after the call", token, want)
	}
}

func concurrentArgument(t *subject) { t.wantArgumentBack(t.store.SaveToken) }

func updateArgument(t *subject) { t.wantArgumentBack(t.updater.UpdateToken) }

// wantArgumentBack demands that an argument is the caller's alone once save has returned, also where
// several saves of one record share a write. Under the race detector a store that as much as reads it
// then is found out.
func (t *subject) wantArgumentBack(save func(context.Context, *oauthstore.OAuthToken) error) {
	t.Helper()
	fields := []string{"AccessToken", "RefreshToken", "Scope", "APIDomain"}
	want := []*oauthstore.OAuthToken{literal(t.save(under("shared", "", "")))}
	for i := range fields {
		want = append(want, literal(t.save(under(fmt.Sprint("user ", i), fmt.Sprint("user ", i), ""))))
	}
	arguments := make([][]*oauthstore.OAuthToken, len(fields))
	t.together(len(fields), func(i int) error {
		for n := range 4 {
			shared := &oauthstore.OAuthToken{ID: "shared"}
			own := &oauthstore.OAuthToken{UserName: fmt.Sprint("user ", i)}
			for k, token := range []*oauthstore.OAuthToken{shared, own} {
				*textFields(token)[fields[i]] = valueOf(fields[i], fmt.Sprint(hush, fields[i], " ", n))
				*textFields(want[k*(i+1)])[fields[i]] = valueOf(fields[i], fmt.Sprint(hush, fields[i], " ", n))
				err := patiently(func() error { return save(t.Context(), token) })
				if err != nil {
					return err
				}
				scribble(token)
				arguments[i] = append(arguments[i], token)
			}
		}
		return nil
	})
	t.wantStored(want...)
	for _, tokens := range arguments {
		t.wantScribbled(tokens...)
	}
}
