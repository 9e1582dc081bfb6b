package awssm

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// A fixture is a server and a client that does not try again, which stands for the console too.
type fixture struct {
	*sm.Client
	srv *awssmtest.Server
	ctx context.Context
	t   *testing.T
}

func start(t *testing.T, opts ...awssmtest.Option) fixture {
	t.Helper()
	b := newBackend(t, opts...)
	return fixture{Client: b.hasty(), srv: b.srv, ctx: context.Background(), t: t}
}

func (f fixture) store(opts ...Option) *Store { return f.storeOver(f.Client, opts...) }

func (f fixture) storeOver(c Client, opts ...Option) *Store {
	f.t.Helper()
	s, err := New(c, opts...)
	require.NoError(f.t, err)
	return s
}

// driver returns a driver of its own.
func (f fixture) driver(opts ...Option) *driver { return f.driverOver(f.Client, opts...) }

func (f fixture) driverOver(client Client, opts ...Option) *driver {
	c := config{prefix: "oauthstore", codec: codec.JSON{}}
	for _, o := range opts {
		o(&c)
	}
	return &driver{client: client, config: c, prefix: c.fullPrefix()}
}

func (f fixture) save(s *Store, token oauthstore.OAuthToken) *oauthstore.OAuthToken {
	f.t.Helper()
	require.NoError(f.t, s.SaveToken(f.ctx, &token))
	return &token
}

func (f fixture) find(s *Store, id string) *oauthstore.OAuthToken {
	f.t.Helper()
	token, err := s.FindTokenByID(f.ctx, id)
	require.NoError(f.t, err)
	return token
}

func (f fixture) requireNone(s *Store, id string) {
	f.t.Helper()
	_, err := s.FindTokenByID(f.ctx, id)
	require.ErrorIs(f.t, err, oauthstore.ErrTokenNotFound)
}

// ids returns the ids of all tokens.
func (f fixture) ids(s *Store) []string {
	f.t.Helper()
	tokens, err := s.GetTokens(f.ctx)
	require.NoError(f.t, err)
	ids := make([]string, 0, len(tokens))
	for _, token := range tokens {
		ids = append(ids, token.ID)
	}
	return ids
}

// secret returns what the server has under the full name, nil where there is nothing.
func (f fixture) secret(name string) *awssmtest.Secret {
	for _, s := range f.srv.Secrets() {
		if s.Name == name {
			return &s
		}
	}
	return nil
}

// names returns the full names of the secrets that are not deleted.
func (f fixture) names() []string {
	var names []string
	for _, s := range f.srv.Secrets() {
		if s.DeletionDate.IsZero() {
			names = append(names, s.Name)
		}
	}
	return names
}

// current returns the id and the value of a secret's current version, read without lag.
func (f fixture) current(name string) (id, value string) {
	f.t.Helper()
	s := f.secret(name)
	require.NotNil(f.t, s, name)
	for _, v := range s.Versions {
		if slices.Contains(v.Stages, current) {
			return v.ID, string(v.Payload)
		}
	}
	f.t.Fatalf("%s has no current version", name)
	return "", ""
}

// edit puts a value by the console.
func (f fixture) edit(name, value string) {
	f.t.Helper()
	_, err := f.PutSecretValue(f.ctx, &sm.PutSecretValueInput{SecretId: &name, SecretString: &value})
	require.NoError(f.t, err)
}

// rollBack moves AWSCURRENT to an older version by the console.
func (f fixture) rollBack(name, version string) {
	f.t.Helper()
	now, _ := f.current(name)
	_, err := f.UpdateSecretVersionStage(f.ctx, &sm.UpdateSecretVersionStageInput{
		SecretId: &name, VersionStage: aws.String(current), MoveToVersionId: &version, RemoveFromVersionId: &now,
	})
	require.NoError(f.t, err)
}

// remove deletes a secret by the console, with a recovery window.
func (f fixture) remove(name string) {
	f.t.Helper()
	_, err := f.DeleteSecret(f.ctx, &sm.DeleteSecretInput{SecretId: &name})
	require.NoError(f.t, err)
}

// document is a record as a driver takes it.
func document(writeID, accessToken string) engine.Record {
	return engine.Record{WriteID: writeID, Document: encode(&oauthstore.OAuthToken{ID: "a", AccessToken: accessToken})}
}

func encode(token *oauthstore.OAuthToken) codec.Document {
	d, err := codec.JSON{}.Encode("", &oauthstore.Record{Token: *token})
	if err != nil {
		panic(err)
	}
	return d
}

// requireToken compares the fields that are stored.
func requireToken(t *testing.T, want oauthstore.OAuthToken, got *oauthstore.OAuthToken) {
	t.Helper()
	require.Equal(t, map[string]json.RawMessage(encode(&want)), map[string]json.RawMessage(encode(got)))
}

// requireHolds wants a record with this access token.
func requireHolds(t *testing.T, rec engine.Record, accessToken string) {
	t.Helper()
	got, err := rec.Document.Get("access_token")
	require.NoError(t, err)
	require.Equal(t, accessToken, got)
}

func notFound() error {
	return &types.ResourceNotFoundException{Message: aws.String("Secrets Manager can't find the specified secret.")}
}

func invalid(text string) error { return &types.InvalidRequestException{Message: aws.String(text)} }

func readCloser(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }
