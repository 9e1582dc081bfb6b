package vaulttest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/vault/api"

	"github.com/oauthstore/oauthstore/testserver"
	"github.com/oauthstore/oauthstore/vault/vaulttest"
)

func ExampleNewServer() {
	srv := vaulttest.NewServer()
	defer srv.Close()
	ctx, client := context.Background(), srv.Client()
	client.SetMaxRetries(0)
	kv := client.KVv2("secret")

	_, err := kv.Put(ctx, "oauth/alice", map[string]any{"token": "first"}, api.WithCheckAndSet(0))
	fmt.Println("create:", err)

	// Two writers have read version 1; the second one is refused, so nothing is lost.
	for _, value := range []string{"second", "another"} {
		_, err = kv.Put(ctx, "oauth/alice", map[string]any{"token": value}, api.WithCheckAndSet(1))
		var answer *api.ResponseError
		if errors.As(err, &answer) {
			fmt.Println("put "+value+":", answer.StatusCode, answer.Errors[0])
		}
	}

	// The answer to the next read is "permission denied".
	srv.Inject(testserver.Fault{Op: "GET data", Kind: testserver.Deny})
	_, err = kv.Get(ctx, "oauth/alice")
	fmt.Println("read refused:", err != nil)

	for _, v := range srv.Secrets()[0].Versions {
		fmt.Println(v.Number, v.Data["token"])
	}
	fmt.Println(srv.Count("PUT data"), "writes")
	// Output:
	// create: <nil>
	// put another: 400 check-and-set parameter did not match the current version
	// read refused: true
	// 1 first
	// 2 second
	// 3 writes
}
