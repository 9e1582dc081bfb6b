package cloud

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/gcpsm"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/integration/internal/fixture"
	"github.com/oauthstore/oauthstore/testserver"
)

// AWS and Google have no server of their own to run here. The test servers record what each request needs, and
// refuse what a policy does not list.

// A cloud is a test server behind a policy.
type cloud struct {
	control     *testserver.Control
	newStore    func() oauthstore.TokenStore
	permissions map[string]string // what each operation of the service needs
}

// requirePolicy holds a policy against what its user does: nothing is missing and nothing to spare.
func requirePolicy(t *testing.T, c cloud, user string, allowed []string, may [][]fixture.Step, mayNot [][]fixture.Step) {
	t.Helper()
	owner := c.newStore()
	c.control.ResetRequests()
	for op, permission := range c.permissions {
		if !slices.Contains(allowed, permission) {
			c.control.Inject(testserver.Fault{Op: op, Kind: testserver.Deny, Times: -1})
		}
	}
	fixture.RequirePermitted(t, c.newStore(), may...)
	var used []string
	for op := range c.control.Counts() {
		used = append(used, c.permissions[op])
	}
	slices.Sort(used)
	slices.Sort(allowed)
	require.Equal(t, allowed, used, "the policy of the %s, and what it needs", user)
	fixture.RequireDenied(t, c.newStore(), owner, mayNot...)
}

var (
	findsNothing = fixture.Step{Name: "find a token whose secret waits for deletion", Do: func(s oauthstore.TokenStore) error {
		if _, err := s.FindTokenByID(ctx, "eve"); !errors.Is(err, oauthstore.ErrTokenNotFound) {
			return err
		}
		return nil
	}}
	savesAgain = fixture.Step{Name: "save a token whose secret waits for deletion", Do: func(s oauthstore.TokenStore) error {
		return s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "eve", RefreshToken: "refresh of eve"})
	}}
)

func TestAWSPolicies_allowWhatTheyAreForAndNothingElse(t *testing.T) {
	permissions := make(map[string]string)
	for _, op := range []string{
		"BatchGetSecretValue", "CreateSecret", "DeleteSecret", "DescribeSecret", "GetSecretValue", "ListSecrets",
		"ListSecretVersionIds", "PutSecretValue", "RemoveRegionsFromReplication", "ReplicateSecretToRegions", "RestoreSecret",
		"TagResource", "UntagResource", "UpdateSecret", "UpdateSecretVersionStage",
	} {
		permissions[op] = "secretsmanager:" + op
	}
	may := map[string][][]fixture.Step{
		fixture.Reader: {fixture.Finds, {findsNothing}},
		fixture.Writer: {fixture.Finds, {findsNothing}, fixture.Saves, {savesAgain}},
		fixture.Admin:  {fixture.Finds, {findsNothing}, fixture.Saves, {savesAgain}, fixture.Repairs, fixture.Deletes},
	}
	mayNot := map[string][][]fixture.Step{fixture.Reader: {fixture.Saves, fixture.Repairs, fixture.Deletes}, fixture.Writer: {fixture.Repairs, fixture.Deletes}}
	for user := range may {
		t.Run(user, func(t *testing.T) {
			srv := awssmtest.NewServer(awssmtest.WithDeletionDelay(0))
			defer srv.Close()
			client := func() *sm.Client { return srv.Client(func(o *sm.Options) { o.Retryer = aws.NopRetryer{} }) }
			newStore := func() oauthstore.TokenStore {
				s, err := awssm.New(client())
				require.NoError(t, err)
				return s
			}
			fixture.Seed(t, newStore())
			scheduleDeletion(t, newStore(), client())
			requirePolicy(t, cloud{srv.Control, newStore, permissions}, user, awsActions(t, user), may[user], mayNot[user])
		})
	}
}

// scheduleDeletion fixture.Deletes eve's secret as the console does, with a recovery window.
func scheduleDeletion(t *testing.T, s oauthstore.TokenStore, console *sm.Client) {
	t.Helper()
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "eve", AccessToken: "access of eve"}))
	_, err := console.DeleteSecret(ctx, &sm.DeleteSecretInput{SecretId: aws.String("oauthstore/token_eve")})
	require.NoError(t, err)
}

// awsActions returns the actions that an IAM policy allows.
func awsActions(t *testing.T, user string) (actions []string) {
	t.Helper()
	var policy struct{ Statement []struct{ Action []string } }
	require.NoError(t, json.Unmarshal([]byte(fixture.ReadPolicy(t, "../..", "aws", user+".json")), &policy))
	for _, s := range policy.Statement {
		actions = append(actions, s.Action...)
	}
	return actions
}

// Who may destroy superseded versions may destroy all: on Google a fixture.Writer can also delete.
func TestGooglePolicies_allowWhatTheyAreForAndNothingElse(t *testing.T) {
	permissions := map[string]string{
		"CreateSecret":         "secretmanager.secrets.create",
		"GetSecret":            "secretmanager.secrets.get",
		"ListSecrets":          "secretmanager.secrets.list",
		"UpdateSecret":         "secretmanager.secrets.update",
		"DeleteSecret":         "secretmanager.secrets.delete",
		"AddSecretVersion":     "secretmanager.versions.add",
		"GetSecretVersion":     "secretmanager.versions.get",
		"AccessSecretVersion":  "secretmanager.versions.access",
		"ListSecretVersions":   "secretmanager.versions.list",
		"EnableSecretVersion":  "secretmanager.versions.enable",
		"DisableSecretVersion": "secretmanager.versions.disable",
		"DestroySecretVersion": "secretmanager.versions.destroy",
	}
	mayNot := map[string][][]fixture.Step{fixture.Reader: {fixture.Saves, fixture.Repairs, fixture.Deletes}, fixture.Writer: {fixture.Repairs}}
	for user, may := range fixture.Duties {
		t.Run(user, func(t *testing.T) {
			srv := gcpsmtest.NewServer()
			defer srv.Close()
			client, err := srv.Client(ctx)
			require.NoError(t, err)
			newStore := func() oauthstore.TokenStore {
				s, err := gcpsm.New(client, "test-project")
				require.NoError(t, err)
				return s
			}
			fixture.Seed(t, newStore())
			// What an insert of erin leaves that died before it added the version.
			_, err = client.CreateSecret(ctx, &pb.CreateSecretRequest{
				Parent: "projects/test-project", SecretId: "oauthstore__token_erin",
				Secret: &pb.Secret{Replication: &pb.Replication{Replication: &pb.Replication_Automatic_{Automatic: &pb.Replication_Automatic{}}}},
			})
			require.NoError(t, err)
			var role struct {
				IncludedPermissions []string `yaml:"includedPermissions"`
			}
			require.NoError(t, yaml.Unmarshal([]byte(fixture.ReadPolicy(t, "../..", "google", user+".yaml")), &role))
			requirePolicy(t, cloud{srv.Control, newStore, permissions}, user, role.IncludedPermissions, may, mayNot[user])
		})
	}
}
