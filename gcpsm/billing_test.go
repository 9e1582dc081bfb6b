package gcpsm

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/testserver"
)

func TestSaves_leaveOneActiveVersion(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	for i := range 100 {
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: fmt.Sprint(i)}))
	}
	require.Equal(t, 2, b.srv.ActiveVersions(), "the token's and the index's")
	for range 1000 {
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: "99"}))
	}
	for _, secret := range b.srv.Secrets() {
		require.LessOrEqual(t, len(secret.Versions), 100, "equal saves write nothing")
	}
}

func TestVersionsKept_areKept(t *testing.T) {
	b := newBackend(t)
	s, err := New(b.client(t), "my-project", WithVersionsKept(2))
	require.NoError(t, err)
	for i := range 10 {
		require.NoError(t, s.SaveToken(context.Background(), &oauthstore.OAuthToken{ID: "x", AccessToken: fmt.Sprint(i)}))
	}
	require.Equal(t, 1+2+1, b.srv.ActiveVersions())
	require.NoError(t, s.DeleteToken(context.Background(), "x"))
	for _, payload := range b.Payloads() {
		require.NotContains(t, payload, "access_token")
	}
}

// Users come and go: what stays behind is not charged for.
func TestInsertsAndDeletes_leaveFewActiveVersions(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	s := b.NewStore(t)
	for i := range 50 {
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: fmt.Sprint(i), AccessToken: "a"}))
		require.NoError(t, s.DeleteToken(ctx, fmt.Sprint(i)))
	}
	require.LessOrEqual(t, b.srv.ActiveVersions(), 3)
	for i := range 10 {
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: fmt.Sprint(i), AccessToken: "a"}))
	}
	require.NoError(t, s.DeleteTokens(ctx))
	require.LessOrEqual(t, b.srv.ActiveVersions(), 2, "the index's, which was written so often that it has a page")
}

// A delete finds what failed destroys have left, whichever process it was.
func TestDeleteToken_findsVersionsLeftBehind(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	for i := range 5 {
		b.srv.Inject(testserver.Fault{Op: "DestroySecretVersion", Kind: testserver.FailBefore})
		require.NoError(t, b.NewStore(t).SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", AccessToken: fmt.Sprint("SECRET", i)}))
	}
	b.srv.ClearFaults()
	require.NoError(t, b.NewStore(t).DeleteToken(ctx, "x"))
	for _, payload := range b.Payloads() {
		require.NotContains(t, payload, "SECRET")
	}
}
