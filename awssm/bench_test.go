package awssm

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/internal/enginetest"
)

func benchStore(b *testing.B, srv *awssmtest.Server) *Store {
	s, err := New(srv.Client())
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkFind(b *testing.B) {
	srv := awssmtest.NewServer()
	defer srv.Close()
	client := srv.Client()
	enginetest.BenchFind(b, benchStore(b, srv), func(id string) error {
		out, err := client.GetSecretValue(context.Background(), &sm.GetSecretValueInput{SecretId: aws.String("oauthstore/token_" + id)})
		if err != nil {
			return err
		}
		var fields map[string]string
		return json.Unmarshal([]byte(*out.SecretString), &fields)
	})
}

func BenchmarkGetTokens(b *testing.B) {
	srv := awssmtest.NewServer(awssmtest.WithVersionQuota(0))
	defer srv.Close()
	enginetest.BenchGetTokens(b, benchStore(b, srv), srv.Control)
}
