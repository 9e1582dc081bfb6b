package gcpsmtest_test

import (
	"testing"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
)

func TestFilters(t *testing.T) {
	f := start(t)
	before := f.srv.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	for _, s := range []struct{ id, env, tier string }{{"oauth-a", "prod", "gold"}, {"oauth-b", "test", "gold"}, {"other", "prod", ""}} {
		secret := automatic()
		secret.Labels = map[string]string{"env": s.env}
		if s.tier != "" {
			secret.Labels["tier"] = s.tier
		}
		f.createWith(s.id, secret)
	}
	f.srv.Advance(time.Hour)
	later := f.srv.Now().UTC().Format(time.RFC3339)
	managed := &pb.Secret{
		Replication: &pb.Replication{Replication: &pb.Replication_UserManaged_{UserManaged: &pb.Replication_UserManaged{
			Replicas: []*pb.Replication_UserManaged_Replica{{Location: "us-east1"}, {Location: "us-west1"}},
		}}},
		Annotations: map[string]string{"a.b": "c"},
		Topics:      []*pb.Topic{{Name: "projects/p/topics/t"}},
	}
	f.createWith("managed", managed)
	f.add("other", "x")
	f.add("other", "y")
	f.add("other", "z")
	_, err := f.disable("other", "2", "")
	require.NoError(t, err)
	_, err = f.destroy("other", "3", "")
	require.NoError(t, err)

	tests := []struct {
		filter string
		want   []string
	}{
		{"name:oauth-", []string{"oauth-b", "oauth-a"}},
		{"name:oauth-a OR name:other", []string{"other", "oauth-a"}},
		{"labels.env=prod", []string{"other", "oauth-a"}},
		{"labels.env = prod AND labels.tier:*", []string{"oauth-a"}},
		{"labels:tier", []string{"oauth-b", "oauth-a"}},
		{"NOT labels.env=prod AND labels.env:*", []string{"oauth-b"}},
		{"labels.env!=prod", []string{"managed", "oauth-b"}},
		{"labels.env=prod AND name:oauth-a OR name:oauth-b", []string{"oauth-a"}},
		{"(labels.env=prod AND name:oauth-a) OR name:oauth-b", []string{"oauth-b", "oauth-a"}},
		{`labels.env:("prod" OR test) AND NOT (name:other)`, []string{"oauth-b", "oauth-a"}},
		{"create_time>" + before + " AND create_time<" + later, []string{"other", "oauth-b", "oauth-a"}},
		{"create_time>=" + later, []string{"managed"}},
		{"create_time<=" + before, nil},
		{"replication.automatic:*", []string{"other", "oauth-b", "oauth-a"}},
		{"replication.user_managed.replicas.location:* AND NOT replication.user_managed.replicas.location:us-west1", nil},
		{"replication.user_managed.replicas.location=us-west1", []string{"managed"}},
		{"annotations.a.b=c", []string{"managed"}},
		{"topics.name:topics/t", []string{"managed"}},
		{"version_aliases.live=1", nil},
	}
	for _, tt := range tests {
		t.Run(tt.filter, func(t *testing.T) {
			require.Equal(t, tt.want, (&fixture{t, f.srv, f.client}).list(project, tt.filter))
		})
	}
	for filter, want := range map[string][]string{
		"state:ENABLED":               {"1"},
		"state=DISABLED":              {"2"},
		"state:(ENABLED OR DISABLED)": {"2", "1"},
		"NOT state:DESTROYED":         {"2", "1"},
		"destroy_time:*":              {"3"},
		"create_time > " + before:     {"3", "2", "1"},
	} {
		t.Run("of versions "+filter, func(t *testing.T) {
			require.Equal(t, want, (&fixture{t, f.srv, f.client}).versions("other", filter))
		})
	}
}

func TestFilters_thatAreNoneAreInvalidArgument(t *testing.T) {
	f := start(t)
	for _, filter := range []string{
		"mysecret", "name", "name:", "name:a OR", "(name:a", "name:a)", "name:a name:b", `name:"a`, `name ~ "a.*"`,
		"nonsense:a", "labels.env>prod", "create_time<yesterday", "replication.automatic=x", "name.x:a", "state:(", "NOT",
	} {
		_, err := f.client.ListSecrets(t.Context(), &pb.ListSecretsRequest{Parent: project, Filter: filter}).Next()
		f.refused(err, codes.InvalidArgument, "filter")
	}
}
