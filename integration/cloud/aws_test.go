package cloud

import (
	"cmp"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/integration/internal/fixture"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/storetest"
)

// newAWSClient returns a client of the endpoint that the environment names, of AWS itself if that is asked for,
// or else of the test server.
func newAWSClient(t *testing.T) *sm.Client {
	t.Helper()
	return newAWSClients(t)()
}

// newAWSClients is newAWSClient for several clients of one endpoint, each with connections of its own.
func newAWSClients(t *testing.T) func() *sm.Client {
	t.Helper()
	if cmp.Or(os.Getenv("AWS_ENDPOINT_URL_SECRETS_MANAGER"), os.Getenv("AWS_ENDPOINT_URL"), os.Getenv("OAUTHSTORE_TEST_AWS")) == "" {
		srv := awssmtest.NewServer(awssmtest.WithVersionQuota(0))
		t.Cleanup(srv.Close)
		return func() *sm.Client { return srv.Client() }
	}
	return func() *sm.Client {
		cfg, err := config.LoadDefaultConfig(ctx)
		require.NoError(t, err)
		return sm.NewFromConfig(cfg)
	}
}

// newAWSStore returns a store whose secrets are removed at the end of the test.
func newAWSStore(t *testing.T, client *sm.Client, prefix string, opts ...awssm.Option) *awssm.Store {
	t.Helper()
	s, err := awssm.New(client, append(opts, awssm.WithPrefix(prefix))...)
	require.NoError(t, err)
	t.Cleanup(func() { sweepAWS(t, client, prefix) })
	return s
}

// sweepAWS deletes the secrets under a prefix for good: first what the store's index shows at once, and then what
// the service lists, with a delay.
func sweepAWS(t *testing.T, client *sm.Client, prefix string) {
	t.Helper()
	s, err := awssm.New(client, awssm.WithPrefix(prefix))
	require.NoError(t, err)
	if err := s.DeleteTokens(ctx); err != nil {
		t.Errorf("tokens under %s stay: %v", prefix, err)
	}
	for _, name := range awsNames(t, client, prefix) {
		withdrawCopies(t, client, name)
		in := &sm.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: aws.Bool(true)}
		if _, err := client.DeleteSecret(ctx, in); err != nil {
			t.Errorf("the secret %s stays: %v", name, err)
		}
	}
}

// withdrawCopies removes a secret's copies in other regions, which keep it from being deleted.
func withdrawCopies(t *testing.T, client *sm.Client, name string) {
	t.Helper()
	out, err := client.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: &name})
	if err != nil || len(out.ReplicationStatus) == 0 {
		return
	}
	in := &sm.RemoveRegionsFromReplicationInput{SecretId: &name}
	for _, r := range out.ReplicationStatus {
		in.RemoveReplicaRegions = append(in.RemoveReplicaRegions, aws.ToString(r.Region))
	}
	if _, err := client.RemoveRegionsFromReplication(ctx, in); err != nil {
		t.Errorf("the copies of %s stay: %v", name, err)
	}
}

// awsNames lists the secrets under a prefix, those included that wait for deletion. The service lists with a
// delay of up to five minutes; the index is asked for by its name.
func awsNames(t *testing.T, client *sm.Client, prefix string) []string {
	t.Helper()
	names := map[string]bool{}
	pages := sm.NewListSecretsPaginator(client, &sm.ListSecretsInput{
		Filters:                []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{prefix + "/"}}},
		IncludePlannedDeletion: aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		require.NoError(t, err)
		for _, s := range page.SecretList {
			names[aws.ToString(s.Name)] = true
		}
	}
	var missing *types.ResourceNotFoundException
	if _, err := client.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String(prefix + "/index")}); !errors.As(err, &missing) {
		names[prefix+"/index"] = true
	}
	var all []string
	for name := range names {
		all = append(all, name)
	}
	return all
}

func TestAWS_keepsTheContract(t *testing.T) {
	client := newAWSClient(t)
	storetest.Run(t, func(t *testing.T) oauthstore.TokenStore { return newAWSStore(t, client, fixture.RandomPrefix()) })
}

func TestAWS_keepsTheContractOfSeveralProcesses(t *testing.T) {
	if os.Getenv("OAUTHSTORE_TEST_AWS") != "" {
		t.Skip("reads of AWS lag behind the writes of other clients: see storetest.RunShared")
	}
	client := newAWSClients(t)
	storetest.RunShared(t, func(t *testing.T) func() oauthstore.TokenStore {
		prefix := fixture.RandomPrefix()
		return func() oauthstore.TokenStore { return newAWSStore(t, client(), prefix) }
	})
}

func TestAWS_manyWriters(t *testing.T) {
	client, prefix := newAWSClient(t), fixture.RandomPrefix()
	enginetest.RunWriters(t,
		func(t *testing.T) enginetest.Store { return newAWSStore(t, client, prefix) },
		func(t *testing.T) enginetest.Audit { return auditAWS(t, client, prefix) }, converges)
}

// auditAWS reads the secrets of a store by the service's own list, once that shows all of them.
func auditAWS(t *testing.T, client *sm.Client, prefix string) (a enginetest.Audit) {
	t.Helper()
	require.Eventually(t, func() bool {
		documents := make(map[string][]byte)
		for _, name := range awsNames(t, client, prefix) {
			out, err := client.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: &name})
			if err != nil {
				continue // deleted
			}
			documents[strings.TrimPrefix(name, prefix+"/")] = []byte(aws.ToString(out.SecretString))
		}
		a = fixture.AuditDocuments(t, documents)
		return len(a.Stored) >= len(a.Listed)
	}, 6*time.Minute, 5*time.Second, "ListSecrets does not show what is in the index")
	return a
}

func TestAWS_aDeletedTokenIsGoneAndComesBackAsANewOne(t *testing.T) {
	client := newAWSClient(t)
	for name, opts := range map[string][]awssm.Option{
		"at once":                nil,
		"with a recovery window": {awssm.WithRecoveryWindow(7)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newAWSStore(t, client, fixture.RandomPrefix(), opts...)
			require.NoError(t, s.SaveToken(ctx, fixture.Alice()))
			require.NoError(t, s.DeleteToken(ctx, "alice"))
			_, err := s.FindTokenByID(ctx, "alice")
			require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
			require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", AccessToken: "access-2"}))
			found, err := s.FindTokenByID(ctx, "alice")
			require.NoError(t, err)
			require.Empty(t, found.RefreshToken)
		})
	}
}

func TestAWS_newSecretsHaveTagsAndADescription(t *testing.T) {
	client, prefix := newAWSClient(t), fixture.RandomPrefix()
	s := newAWSStore(t, client, prefix, awssm.WithTags(map[string]string{"team": "crm"}), awssm.WithDescription("OAuth tokens"))
	require.NoError(t, s.SaveToken(ctx, fixture.Alice()))
	for _, name := range []string{"index", "token_alice"} {
		out, err := client.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String(prefix + "/" + name)})
		require.NoError(t, err)
		require.Equal(t, "OAuth tokens", aws.ToString(out.Description))
		require.Equal(t, []types.Tag{{Key: aws.String("team"), Value: aws.String("crm")}}, out.Tags)
	}
}

func TestAWS_newSecretsAreUnderTheKey(t *testing.T) {
	client, prefix := newAWSClient(t), fixture.RandomPrefix()
	const key = "alias/aws/secretsmanager" // which every account has
	s := newAWSStore(t, client, prefix, awssm.WithKMSKey(key))
	require.NoError(t, s.SaveToken(ctx, fixture.Alice()))
	out, err := client.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String(prefix + "/token_alice")})
	require.NoError(t, err)
	require.Contains(t, []string{key, ""}, aws.ToString(out.KmsKeyId), "the service leaves out the account's own key")
}

func TestAWS_newSecretsHaveCopiesInOtherRegionsAndLoseThemWithTheToken(t *testing.T) {
	client, prefix, region := newAWSClient(t), fixture.RandomPrefix(), "eu-west-1"
	if client.Options().Region == region {
		region = "eu-central-1"
	}
	s := newAWSStore(t, client, prefix, awssm.WithReplicaRegions(region))
	require.NoError(t, s.SaveToken(ctx, fixture.Alice()))
	name := &sm.DescribeSecretInput{SecretId: aws.String(prefix + "/token_alice")}
	out, err := client.DescribeSecret(ctx, name)
	require.NoError(t, err)
	require.Len(t, out.ReplicationStatus, 1)
	require.Equal(t, region, aws.ToString(out.ReplicationStatus[0].Region))
	require.NoError(t, s.DeleteToken(ctx, "alice"))
	_, err = s.FindTokenByID(ctx, "alice")
	require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
}

// Without it a server is no Secrets Manager for this library: two writers that read one version would both
// succeed, and one would lose its token.
func TestAWS_refusesOtherContentUnderAVersionThatExists(t *testing.T) {
	client, name := newAWSClient(t), fixture.RandomPrefix()+"/probe"
	_, err := client.CreateSecret(ctx, &sm.CreateSecretInput{Name: &name, SecretString: aws.String("first")})
	require.NoError(t, err)
	t.Cleanup(func() { sweepAWS(t, client, strings.TrimSuffix(name, "/probe")) })
	const version = "11111111-2222-8333-8444-555555555555"
	put := func(value string) error {
		_, err := client.PutSecretValue(ctx, &sm.PutSecretValueInput{
			SecretId: &name, ClientRequestToken: aws.String(version), SecretString: &value,
		})
		return err
	}
	require.NoError(t, put("second"))
	require.NoError(t, put("second"), "the same content is a repetition")
	var exists *types.ResourceExistsException
	require.ErrorAs(t, put("third"), &exists)
}
