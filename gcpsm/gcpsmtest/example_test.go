package gcpsmtest_test

import (
	"context"
	"fmt"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/status"

	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/testserver"
)

func ExampleNewServer() {
	srv := gcpsmtest.NewServer()
	defer srv.Close()
	ctx := context.Background()
	client, err := srv.Client(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	secret, err := client.CreateSecret(ctx, &pb.CreateSecretRequest{
		Parent:   "projects/my-project",
		SecretId: "token",
		Secret: &pb.Secret{Replication: &pb.Replication{
			Replication: &pb.Replication_Automatic_{Automatic: &pb.Replication_Automatic{}},
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// The next version is added, but its answer is lost.
	srv.Inject(testserver.Fault{Op: "AddSecretVersion", Kind: testserver.DropAfter})
	_, err = client.AddSecretVersion(ctx, &pb.AddSecretVersionRequest{
		Parent:  secret.GetName(),
		Payload: &pb.SecretPayload{Data: []byte("s3cr3t")},
	})
	fmt.Println("answer:", status.Code(err))

	for _, s := range srv.Secrets() {
		for _, v := range s.Versions {
			fmt.Printf("%s, version %d, %s: %s\n", s.Name, v.Number, v.State, v.Data)
		}
	}
	fmt.Println(srv.Permissions())
	// Output:
	// answer: Unavailable
	// token, version 1, ENABLED: s3cr3t
	// [secretmanager.secrets.create secretmanager.versions.add]
}
