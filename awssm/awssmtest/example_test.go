package awssmtest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/oauthstore/oauthstore/awssm/awssmtest"
)

func ExampleNewServer() {
	srv := awssmtest.NewServer()
	defer srv.Close()
	ctx, client := context.Background(), srv.Client()

	_, err := client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: aws.String("oauth/alice"), SecretString: aws.String("first"),
	})
	fmt.Println("create:", err)

	// Two writers use one token, so the second is refused: nothing is lost.
	token := aws.String("00000000-0000-0000-0000-000000000002")
	for _, value := range []string{"second", "another"} {
		_, err = client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
			SecretId: aws.String("oauth/alice"), SecretString: &value, ClientRequestToken: token,
		})
		var exists *types.ResourceExistsException
		fmt.Println("put", value+":", errors.As(err, &exists))
	}

	for _, v := range srv.Secrets()[0].Versions {
		fmt.Println(string(v.Payload), v.Stages)
	}
	fmt.Println(srv.Count("PutSecretValue"), "puts")
	// Output:
	// create: <nil>
	// put second: false
	// put another: true
	// first [AWSPREVIOUS]
	// second [AWSCURRENT]
	// 2 puts
}
