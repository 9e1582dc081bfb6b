// The program bare reads one secret with the bare SDK: what a function does before it can answer.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	client := secretsmanager.NewFromConfig(cfg)
	out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("oauthstore/token_alice")})
	if err != nil {
		return err
	}
	var token map[string]string
	if err := json.Unmarshal([]byte(*out.SecretString), &token); err != nil {
		return err
	}
	if token["access_token"] == "" {
		return fmt.Errorf("no access token")
	}
	return nil
}
