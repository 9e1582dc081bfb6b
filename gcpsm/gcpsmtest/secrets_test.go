package gcpsmtest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
)

var number = gcpsmtest.ProjectNumber("acme")

func (f *fixture) update(secret *pb.Secret, paths ...string) (*pb.Secret, error) {
	return f.client.UpdateSecret(f.Context(), &pb.UpdateSecretRequest{
		Secret: secret, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
	})
}

func TestCreateSecret(t *testing.T) {
	run(t, "makes no version", func(f *fixture) {
		made := f.create("s")
		require.Equal(f, "projects/"+number+"/secrets/s", made.GetName())
		require.WithinDuration(f, f.srv.Now(), made.GetCreateTime().AsTime(), time.Minute)
		require.Empty(f, f.versions("s", ""))
		_, err := f.tryAccess("s", "latest")
		f.refused(err, codes.NotFound, "Secret [projects/"+number+"/secrets/s] not found or has no versions.")
	})
	run(t, "of a name that exists is AlreadyExists", func(f *fixture) {
		f.create("s")
		_, err := f.tryCreate("s", automatic())
		f.refused(err, codes.AlreadyExists, "Secret [projects/"+number+"/secrets/s] already exists.")
	})
	run(t, "takes the project's number for its id", func(f *fixture) {
		f.create("s")
		_, err := f.client.GetSecret(f.Context(), &pb.GetSecretRequest{Name: "projects/" + number + "/secrets/s"})
		require.NoError(f, err)
	})
	run(t, "keeps projects apart", func(f *fixture) {
		f.create("s")
		_, err := f.client.GetSecret(f.Context(), &pb.GetSecretRequest{Name: "projects/other/secrets/s"})
		f.refused(err, codes.NotFound, "not found")
	})
	run(t, "wants a secret id of 1 to 255 letters, digits, dashes and underscores", func(f *fixture) {
		for _, id := range []string{"", "a/b", "a.b", "a@b", "a:b", "a b", "ä", strings.Repeat("x", 256)} {
			_, err := f.tryCreate(id, automatic())
			f.refused(err, codes.InvalidArgument, "")
		}
		f.create(strings.Repeat("x", 255))
		f.create("Az-_09")
	})
	run(t, "wants a parent, a secret and its replication", func(f *fixture) {
		for _, parent := range []string{"", "acme", "projects/", "projects/acme/secrets/s", "projects/acme/locations/"} {
			_, err := f.client.CreateSecret(f.Context(), &pb.CreateSecretRequest{Parent: parent, SecretId: "s", Secret: automatic()})
			f.refused(err, codes.InvalidArgument, "is not in a valid format")
		}
		_, err := f.tryCreate("s", nil)
		f.refused(err, codes.InvalidArgument, "Field [secret] is required.")
		_, err = f.tryCreate("s", &pb.Secret{})
		f.refused(err, codes.InvalidArgument, "Field [secret.replication] is required.")
	})
	run(t, "of a regional secret takes no replication", func(f *fixture) {
		req := &pb.CreateSecretRequest{Parent: project + "/locations/europe-west1", SecretId: "s", Secret: automatic()}
		_, err := f.client.CreateSecret(f.Context(), req)
		f.refused(err, codes.InvalidArgument, "regional")
		req.Secret = &pb.Secret{}
		made, err := f.client.CreateSecret(f.Context(), req)
		require.NoError(f, err)
		require.Equal(f, "projects/"+number+"/locations/europe-west1/secrets/s", made.GetName())
		v, err := f.client.AddSecretVersion(f.Context(), &pb.AddSecretVersionRequest{
			Parent: made.GetName(), Payload: &pb.SecretPayload{Data: []byte("x")},
		})
		require.NoError(f, err)
		require.Equal(f, made.GetName()+"/versions/1", v.GetName())
		require.Equal(f, []string{"s"}, f.list(req.GetParent(), ""))
		require.Empty(f, f.list(project, ""), "a project's global secrets")
	})
	run(t, "forgets tags, which are input only", func(f *fixture) {
		secret := automatic()
		secret.Tags = map[string]string{"123/environment": "production"}
		require.Empty(f, f.createWith("s", secret).GetTags())
	})
}

func TestLimits(t *testing.T) {
	aliases := func(n int) map[string]int64 {
		m := make(map[string]int64)
		for i := range n {
			m[fmt.Sprintf("a%d", i)] = 1
		}
		return m
	}
	labels := func(n int) map[string]string {
		m := make(map[string]string)
		for i := range n {
			m[fmt.Sprintf("l%d", i)] = ""
		}
		return m
	}
	annotations := func(size int) map[string]string { return map[string]string{"k": strings.Repeat("x", size-1)} }
	in := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(time.Now().Add(d)) }
	topics := make([]*pb.Topic, 11)
	for i := range topics {
		topics[i] = &pb.Topic{Name: fmt.Sprintf("projects/p/topics/%d", i)}
	}
	tests := []struct {
		name string
		set  func(*pb.Secret)
		ok   bool
	}{
		{"64 labels", func(s *pb.Secret) { s.Labels = labels(64) }, true},
		{"65 labels", func(s *pb.Secret) { s.Labels = labels(65) }, false},
		{"a label with capitals", func(s *pb.Secret) { s.Labels = map[string]string{"Env": "x"} }, false},
		{"a label that begins with a digit", func(s *pb.Secret) { s.Labels = map[string]string{"1st": "x"} }, false},
		{"a label's value with a dot", func(s *pb.Secret) { s.Labels = map[string]string{"env": "a.b"} }, false},
		{"a label of 63 international letters", func(s *pb.Secret) { s.Labels = map[string]string{strings.Repeat("ä", 63): "x"} }, true},
		{"a label of more than 128 bytes", func(s *pb.Secret) { s.Labels = map[string]string{strings.Repeat("語", 43): "x"} }, false},
		{"annotations of less than 16 KiB", func(s *pb.Secret) { s.Annotations = annotations(16<<10 - 1) }, true},
		{"annotations of 16 KiB", func(s *pb.Secret) { s.Annotations = annotations(16 << 10) }, false},
		{"an annotation with dots inside", func(s *pb.Secret) { s.Annotations = map[string]string{"a.b-c_d": ""} }, true},
		{"an annotation that ends with a dot", func(s *pb.Secret) { s.Annotations = map[string]string{"a.": ""} }, false},
		{"50 aliases", func(s *pb.Secret) { s.VersionAliases = aliases(50) }, true},
		{"51 aliases", func(s *pb.Secret) { s.VersionAliases = aliases(51) }, false},
		{"an alias of 63 characters", func(s *pb.Secret) { s.VersionAliases = map[string]int64{strings.Repeat("a", 63): 1} }, true},
		{"an alias of 64 characters", func(s *pb.Secret) { s.VersionAliases = map[string]int64{strings.Repeat("a", 64): 1} }, false},
		{"an alias that begins with a digit", func(s *pb.Secret) { s.VersionAliases = map[string]int64{"1a": 1} }, false},
		{"an alias latest", func(s *pb.Secret) { s.VersionAliases = map[string]int64{"latest": 1} }, false},
		{"an alias NEW", func(s *pb.Secret) { s.VersionAliases = map[string]int64{"NEW": 1} }, false},
		{"an alias for version 0", func(s *pb.Secret) { s.VersionAliases = map[string]int64{"a": 0} }, false},
		{"10 topics", func(s *pb.Secret) { s.Topics = topics[:10] }, true},
		{"11 topics", func(s *pb.Secret) { s.Topics = topics }, false},
		{"a malformed topic", func(s *pb.Secret) { s.Topics = []*pb.Topic{{Name: "t"}} }, false},
		{"an expire_time in the past", func(s *pb.Secret) { s.Expiration = &pb.Secret_ExpireTime{ExpireTime: in(-time.Minute)} }, false},
		{"a version_destroy_ttl of a day", func(s *pb.Secret) { s.VersionDestroyTtl = durationpb.New(24 * time.Hour) }, true},
		{"a version_destroy_ttl below a day", func(s *pb.Secret) { s.VersionDestroyTtl = durationpb.New(23 * time.Hour) }, false},
		{"a version_destroy_ttl above 1000 days", func(s *pb.Secret) { s.VersionDestroyTtl = durationpb.New(1001 * 24 * time.Hour) }, false},
		{"a rotation", func(s *pb.Secret) {
			s.Rotation = &pb.Rotation{NextRotationTime: in(time.Hour), RotationPeriod: durationpb.New(time.Hour)}
		}, true},
		{"a rotation too soon", func(s *pb.Secret) { s.Rotation = &pb.Rotation{NextRotationTime: in(4 * time.Minute)} }, false},
		{"a rotation too often", func(s *pb.Secret) {
			s.Rotation = &pb.Rotation{NextRotationTime: in(time.Hour), RotationPeriod: durationpb.New(time.Minute)}
		}, false},
		{"a rotation without a beginning", func(s *pb.Secret) { s.Rotation = &pb.Rotation{RotationPeriod: durationpb.New(time.Hour)} }, false},
	}
	f := start(t)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fixture{t, f.srv, f.client}
			secret := automatic()
			tt.set(secret)
			_, err := f.tryCreate(fmt.Sprintf("s%d", i), secret)
			if tt.ok {
				require.NoError(t, err)
				return
			}
			f.refused(err, codes.InvalidArgument, "")
		})
	}
}

func TestUpdateSecret(t *testing.T) {
	name := project + "/secrets/s"
	run(t, "changes the masked fields only", func(f *fixture) {
		secret := automatic()
		secret.Labels = map[string]string{"env": "test"}
		secret.Annotations = map[string]string{"a": "1"}
		f.createWith("s", secret)
		got, err := f.update(&pb.Secret{Name: name, Labels: map[string]string{"env": "prod"}}, "labels")
		require.NoError(f, err)
		require.Equal(f, map[string]string{"env": "prod"}, got.GetLabels())
		require.Equal(f, map[string]string{"a": "1"}, got.GetAnnotations())
		got, err = f.update(&pb.Secret{Name: name}, "annotations")
		require.NoError(f, err)
		require.Empty(f, got.GetAnnotations())
		require.NotNil(f, got.GetReplication().GetAutomatic())
	})
	run(t, "wants a mask of fields that may change", func(f *fixture) {
		f.create("s")
		_, err := f.update(&pb.Secret{Name: name})
		f.refused(err, codes.InvalidArgument, "Field [update_mask] is required.")
		for _, path := range []string{"name", "create_time", "tags", "nonsense", "*", "versionAliases", "labels.env", "rotation.x"} {
			_, err := f.update(&pb.Secret{Name: name}, path)
			f.refused(err, codes.InvalidArgument, "["+path+"]")
		}
	})
	run(t, "reaches into messages", func(f *fixture) {
		f.create("s")
		next := timestamppb.New(f.srv.Now().Add(time.Hour).Truncate(time.Second))
		got, err := f.update(&pb.Secret{Name: name, Rotation: &pb.Rotation{NextRotationTime: next}}, "rotation.next_rotation_time")
		require.NoError(f, err)
		require.Equal(f, next.AsTime(), got.GetRotation().GetNextRotationTime().AsTime())
	})
	run(t, "does not check an old rotation again", func(f *fixture) {
		secret := automatic()
		secret.Rotation = &pb.Rotation{NextRotationTime: timestamppb.New(f.srv.Now().Add(time.Hour))}
		f.createWith("s", secret)
		f.srv.Advance(2 * time.Hour)
		_, err := f.update(&pb.Secret{Name: name, Labels: map[string]string{"a": "b"}}, "labels")
		require.NoError(f, err)
	})
	run(t, "keeps the replication policy and changes its keys", func(f *fixture) {
		f.create("s")
		managed := &pb.Replication{Replication: &pb.Replication_UserManaged_{UserManaged: &pb.Replication_UserManaged{
			Replicas: []*pb.Replication_UserManaged_Replica{{Location: "us-east1"}},
		}}}
		_, err := f.update(&pb.Secret{Name: name, Replication: managed}, "replication")
		f.refused(err, codes.InvalidArgument, "replication policy cannot be changed")
		got, err := f.update(&pb.Secret{Name: name, Replication: withKey(globalKey)}, "replication.automatic.customer_managed_encryption")
		require.NoError(f, err)
		require.Equal(f, globalKey, got.GetReplication().GetAutomatic().GetCustomerManagedEncryption().GetKmsKeyName())
	})
	run(t, "of an absent secret is NotFound", func(f *fixture) {
		_, err := f.update(&pb.Secret{Name: name}, "labels")
		f.refused(err, codes.NotFound, "Secret [projects/"+number+"/secrets/s] not found.")
	})
	run(t, "refuses what CreateSecret refuses", func(f *fixture) {
		f.create("s")
		_, err := f.update(&pb.Secret{Name: name, Labels: map[string]string{"A": ""}}, "labels")
		f.refused(err, codes.InvalidArgument, "[A]")
		_, err = f.update(&pb.Secret{Name: "s"}, "labels")
		f.refused(err, codes.InvalidArgument, "[s] is not in a valid format")
	})
}

func TestDeleteSecret(t *testing.T) {
	run(t, "takes effect at once, and numbers start again at 1", func(f *fixture) {
		f.create("s")
		f.add("s", "one")
		f.add("s", "two")
		require.NoError(f, f.remove("s", ""))
		require.Equal(f, codes.NotFound, f.accessCode("s", "1"))
		_, err := f.tryAdd("s", "x")
		f.refused(err, codes.NotFound, "Secret [projects/"+number+"/secrets/s] not found.")
		f.refused(f.remove("s", ""), codes.NotFound, "not found.")
		f.create("s")
		require.Equal(f, "1", lastSegment(f.add("s", "three").GetName()))
		require.Equal(f, codes.NotFound, f.accessCode("s", "2"))
	})
}

func TestExpiration(t *testing.T) {
	run(t, "a ttl becomes an expire_time, at which secret and versions are gone", func(f *fixture) {
		secret := automatic()
		secret.Expiration = &pb.Secret_Ttl{Ttl: durationpb.New(time.Hour)}
		made := f.createWith("s", secret)
		require.WithinDuration(f, f.srv.Now().Add(time.Hour), made.GetExpireTime().AsTime(), time.Minute)
		f.add("s", "x")
		f.srv.Advance(59 * time.Minute)
		require.Equal(f, "x", f.access("s", "1"))
		f.srv.Advance(time.Minute)
		require.Equal(f, codes.NotFound, f.accessCode("s", "1"))
		require.Empty(f, f.srv.Secrets())
		f.create("s")
	})
	run(t, "is withdrawn by an update with ttl in the mask and none in the secret", func(f *fixture) {
		secret := automatic()
		secret.Expiration = &pb.Secret_ExpireTime{ExpireTime: timestamppb.New(f.srv.Now().Add(time.Hour))}
		f.createWith("s", secret)
		got, err := f.update(&pb.Secret{Name: project + "/secrets/s"}, "ttl")
		require.NoError(f, err)
		require.Nil(f, got.GetExpireTime())
		f.srv.Advance(2 * time.Hour)
		_, err = f.get("s")
		require.NoError(f, err)
	})
}

func TestListSecrets(t *testing.T) {
	run(t, "goes page by page, newest first, and new secrets shift nothing", func(f *fixture) {
		for i := range 5 {
			f.create(fmt.Sprintf("s%d", i))
		}
		req := &pb.ListSecretsRequest{Parent: project, PageSize: 2}
		it := f.client.ListSecrets(f.Context(), req)
		var got []string
		for {
			secret, err := it.Next()
			if errors.Is(err, iterator.Done) {
				break
			}
			require.NoError(f, err)
			if len(got) == 0 {
				f.create("late")
			}
			got = append(got, lastSegment(secret.GetName()))
		}
		require.Equal(f, []string{"s4", "s3", "s2", "s1", "s0"}, got)
		require.Equal(f, 3, f.srv.Count("ListSecrets"))
	})
	run(t, "says the total, but 0 where there is a filter", func(f *fixture) {
		f.create("a")
		f.create("b")
		total := func(filter string) int32 {
			it := f.client.ListSecrets(f.Context(), &pb.ListSecretsRequest{Parent: project, Filter: filter, PageSize: 1})
			_, err := it.Next()
			require.NoError(f, err)
			resp, ok := it.Response.(*pb.ListSecretsResponse)
			require.True(f, ok)
			return resp.GetTotalSize()
		}
		require.EqualValues(f, 2, total(""))
		require.EqualValues(f, 0, total("name:a"))
	})
	run(t, "of an empty project is empty", func(f *fixture) {
		require.Empty(f, f.list("projects/empty", ""))
	})
	run(t, "sends 100 secrets where no size is asked for, and takes sizes beyond 25,000", func(f *fixture) {
		for i := range 101 {
			f.create(fmt.Sprintf("s%d", i))
		}
		require.Len(f, f.list(project, ""), 101)
		require.Equal(f, 2, f.srv.Count("ListSecrets"))
		it := f.client.ListSecrets(f.Context(), &pb.ListSecretsRequest{Parent: project, PageSize: 1 << 30})
		_, err := it.Next()
		require.NoError(f, err)
		require.Zero(f, it.PageInfo().Token)
	})
	run(t, "refuses negative sizes and tokens of others", func(f *fixture) {
		for _, req := range []*pb.ListSecretsRequest{{PageSize: -1}, {PageToken: "?"}, {PageToken: "MA=="}, {PageToken: "eA=="}} {
			req.Parent = project
			_, err := f.client.ListSecrets(f.Context(), req).Next()
			f.refused(err, codes.InvalidArgument, "page_")
		}
	})
}
