package awssm

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/codec"
)

func TestNew_refusesWhatTheServiceWouldRefuseAndNamesTheOption(t *testing.T) {
	many := make(map[string]string)
	for i := range 51 {
		many[fmt.Sprint("tag", i)] = "x"
	}
	for name, refused := range map[string][]Option{
		"WithPrefix": {
			WithPrefix(""),
			WithPrefix(strings.Repeat("a", 192)),
			WithPrefix("my-app/"),
		},
		"WithCodec": {WithCodec(nil)},
		"WithTags": {
			WithTags(many),
			WithTags(map[string]string{"": "x"}),
			WithTags(map[string]string{strings.Repeat("k", 129): "x"}),
			WithTags(map[string]string{"k": strings.Repeat("v", 257)}),
			WithTags(map[string]string{"AWS:owner": "x"}),
			WithTags(map[string]string{"a\nb": "x"}),
			WithTags(map[string]string{"k": "\x00"}),
			WithTags(map[string]string{"k": "\xff"}),
		},
		"WithKMSKey": {
			WithKMSKey(strings.Repeat("k", 2049)),
			WithKMSKey("not a key"),
			WithKMSKey("alias/key\n"),
			WithKMSKey("alias/\x00"),
			WithKMSKey("alias/\xff"),
		},
		"WithDescription":        {WithDescription(strings.Repeat("d", 2049))},
		"WithReplicaRegions":     {WithReplicaRegions("eu-west-1", ""), WithReplicaRegions("Ireland"), WithReplicaRegions("eu-west-1", "eu-west-1")},
		"WithRecoveryWindow":     {WithRecoveryWindow(6), WithRecoveryWindow(31), WithRecoveryWindow(-1)},
		"WithTimeout":            {WithTimeout(0), WithTimeout(-1), WithTimeout(2*time.Minute + 1)},
		"WithVersionQuota":       {WithVersionQuota(-1), WithVersionQuota(19)},
		"WithAccessTokenSpacing": {WithAccessTokenSpacing(-1), WithAccessTokenSpacing(25 * time.Hour)},
	} {
		for i, o := range refused {
			_, err := New(nil, o)
			require.Error(t, err, "%s, case %d", name, i)
			require.True(t, strings.HasPrefix(err.Error(), "awssm: "+name+": "), "%s, case %d: the error does not name the option: %v", name, i, err)
		}
	}
}

func TestNew_ignoresNilOptionsAndRefusesACodecThatIsNil(t *testing.T) {
	client := newBackend(t).client()
	_, err := New(client, nil, WithPrefix("p"), nil)
	require.NoError(t, err)
	_, err = New(client, WithCodec((*codec.Encrypted)(nil)))
	require.EqualError(t, err, "awssm: WithCodec: the codec is nil")
}

func TestNew_refusesAClientThatIsNil(t *testing.T) {
	for _, client := range []Client{nil, (*sm.Client)(nil), (*observed)(nil)} {
		_, err := New(client)
		require.EqualError(t, err, "awssm: the client is nil")
	}
}

func TestNew_refusesCopiesInTheRegionOfTheSecretsThemselves(t *testing.T) {
	f := start(t)
	_, err := New(f.Client, WithReplicaRegions("eu-west-1", awssmtest.Region))
	require.ErrorContains(t, err, "awssm: WithReplicaRegions: ")
	require.ErrorContains(t, err, awssmtest.Region)
}

func TestNew_takesWhatTheServiceTakes(t *testing.T) {
	f := start(t)
	tags := make(map[string]string)
	for i := range 49 {
		tags[fmt.Sprint("tag", i)] = strings.Repeat("ü", 256)
	}
	tags[strings.Repeat("ü", 128)] = ""
	s := f.store(
		WithPrefix(strings.Repeat("a", 191)),
		WithTags(tags),
		WithDescription(strings.Repeat("ü", 2048)),
		WithReplicaRegions("eu-west-1", "us-gov-east-1"),
		WithRecoveryWindow(30),
		WithKMSKey("arn:aws:kms:us-east-1:123456789012:key/"+strings.Repeat("k", 2009)),
		WithTimeout(2*time.Minute),
	)
	require.Zero(t, f.srv.Count(), "New must not ask the service anything")
	f.save(s, oauthstore.OAuthToken{ID: strings.Repeat("x", 50), AccessToken: "a"})
}

func TestOptions_areSeenOnEverySecretThatTheStoreCreates(t *testing.T) {
	f := start(t)
	tags := map[string]string{"team": "payments", "empty": ""}
	s := f.store(WithKMSKey("alias/tokens"), WithTags(tags), WithDescription("OAuth tokens"), WithReplicaRegions("eu-west-1", "eu-north-1"))
	want := maps.Clone(tags)
	tags["team"] = "changed after New"
	f.save(s, oauthstore.OAuthToken{ID: "alice", AccessToken: "a"})
	require.Equal(t, []string{"oauthstore/index", "oauthstore/token_alice"}, f.names())
	for _, secret := range f.srv.Secrets() {
		require.Equal(t, "alias/tokens", secret.KMSKey, secret.Name)
		require.Equal(t, want, secret.Tags, secret.Name)
		require.Equal(t, "OAuth tokens", secret.Description, secret.Name)
		require.Equal(t, []string{"eu-west-1", "eu-north-1"}, secret.Replicas, secret.Name)
	}
}

func TestOptions_leaveTheServicesDefaultsAloneWhenUnset(t *testing.T) {
	f := start(t)
	f.save(f.store(), oauthstore.OAuthToken{ID: "alice", AccessToken: "a"})
	secret := f.secret("oauthstore/token_alice")
	require.Empty(t, secret.KMSKey)
	require.Empty(t, secret.Tags)
	require.Empty(t, secret.Description)
	require.Empty(t, secret.Replicas)
	require.NotContains(t, f.srv.Actions(), "secretsmanager:TagResource")
	require.NotContains(t, f.srv.Actions(), "secretsmanager:ReplicateSecretToRegions")
}

func TestDeleteToken_withdrawsTheCopiesInOtherRegions(t *testing.T) {
	t.Run("that the store has asked for", func(t *testing.T) {
		f := start(t)
		s := f.store(WithReplicaRegions("eu-west-1"))
		f.save(s, oauthstore.OAuthToken{ID: "alice", AccessToken: "a"})
		f.srv.ResetRequests()
		require.NoError(t, s.DeleteToken(f.ctx, "alice"))
		require.Equal(t, []string{"oauthstore/index"}, f.names())
		require.Equal(t, map[string]int{
			"GetSecretValue": 1, "DeleteSecret": 2, "DescribeSecret": 1, "RemoveRegionsFromReplication": 1, "PutSecretValue": 1,
		}, f.srv.Counts())
	})
	t.Run("that others have added", func(t *testing.T) {
		f := start(t)
		s := f.store()
		f.save(s, oauthstore.OAuthToken{ID: "alice", AccessToken: "a"})
		name, region := "oauthstore/token_alice", "eu-west-1"
		_, err := f.ReplicateSecretToRegions(f.ctx, &sm.ReplicateSecretToRegionsInput{
			SecretId: &name, AddReplicaRegions: []types.ReplicaRegionType{{Region: &region}},
		})
		require.NoError(t, err)
		require.NoError(t, s.DeleteToken(f.ctx, "alice"))
		require.Equal(t, []string{"oauthstore/index"}, f.names())
	})
	t.Run("and those only, when the option has changed since", func(t *testing.T) {
		f := start(t)
		f.save(f.store(WithReplicaRegions("eu-west-1")), oauthstore.OAuthToken{ID: "alice", AccessToken: "a"})
		f.save(f.store(), oauthstore.OAuthToken{ID: "bob", AccessToken: "a"})
		require.NoError(t, f.store(WithReplicaRegions("eu-north-1"), WithRecoveryWindow(7)).DeleteTokens(f.ctx))
		require.Equal(t, []string{"oauthstore/index"}, f.names())
	})
}
