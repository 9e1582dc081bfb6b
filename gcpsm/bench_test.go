package gcpsm

import (
	"context"
	"encoding/json"
	"testing"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/internal/enginetest"
)

func benchStore(b *testing.B, srv *gcpsmtest.Server) (*Store, Client) {
	client, err := srv.Client(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Close() })
	s, err := New(client, "my-project")
	if err != nil {
		b.Fatal(err)
	}
	return s, client
}

func BenchmarkFind(b *testing.B) {
	srv := gcpsmtest.NewServer()
	defer srv.Close()
	s, client := benchStore(b, srv)
	enginetest.BenchFind(b, s, func(id string) error {
		out, err := client.AccessSecretVersion(context.Background(), &pb.AccessSecretVersionRequest{
			Name: "projects/my-project/secrets/oauthstore__token_" + id + "/versions/latest",
		})
		if err != nil {
			return err
		}
		var fields map[string]string
		return json.Unmarshal(out.GetPayload().GetData(), &fields)
	})
}

func BenchmarkGetTokens(b *testing.B) {
	srv := gcpsmtest.NewServer()
	defer srv.Close()
	s, _ := benchStore(b, srv)
	enginetest.BenchGetTokens(b, s, srv.Control)
}
