package awssm

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/oauthstore/oauthstore/internal/engine"
)

// observed is a Client that tells an observer of each call.
type observed struct {
	client Client
	engine.Observer
}

var _ Client = observed{}

// ask makes one call. The service's message stays out of what is told: it may quote a token.
func ask[In, Out any](ctx context.Context, o observed, op string, id *string,
	call func(context.Context, *In, ...func(*sm.Options)) (*Out, error), in *In, opts []func(*sm.Options)) (*Out, error) {
	begin := time.Now()
	out, err := call(ctx, in, opts...)
	secret := nameOf(aws.ToString(id))
	o.Request(ctx, op, secret, begin, fault(op, secret, true, err))
	return out, err
}

// nameOf returns the name of the secret that a request names so or by its ARN, whose last part is the name, a hyphen
// and six characters more (API reference, GetSecretValue, SecretId).
func nameOf(id string) string {
	const suffix = 7
	parts := strings.SplitN(id, ":", 7)
	if len(parts) < 7 || parts[0] != "arn" || len(parts[6]) <= suffix {
		return id
	}
	return parts[6][:len(parts[6])-suffix]
}

func (o observed) GetSecretValue(ctx context.Context, in *sm.GetSecretValueInput, opts ...func(*sm.Options)) (*sm.GetSecretValueOutput, error) {
	return ask(ctx, o, "GetSecretValue", in.SecretId, o.client.GetSecretValue, in, opts)
}

func (o observed) BatchGetSecretValue(ctx context.Context, in *sm.BatchGetSecretValueInput, opts ...func(*sm.Options)) (*sm.BatchGetSecretValueOutput, error) {
	return ask(ctx, o, "BatchGetSecretValue", nil, o.client.BatchGetSecretValue, in, opts)
}

func (o observed) ListSecrets(ctx context.Context, in *sm.ListSecretsInput, opts ...func(*sm.Options)) (*sm.ListSecretsOutput, error) {
	return ask(ctx, o, "ListSecrets", nil, o.client.ListSecrets, in, opts)
}

func (o observed) CreateSecret(ctx context.Context, in *sm.CreateSecretInput, opts ...func(*sm.Options)) (*sm.CreateSecretOutput, error) {
	return ask(ctx, o, "CreateSecret", in.Name, o.client.CreateSecret, in, opts)
}

func (o observed) PutSecretValue(ctx context.Context, in *sm.PutSecretValueInput, opts ...func(*sm.Options)) (*sm.PutSecretValueOutput, error) {
	return ask(ctx, o, "PutSecretValue", in.SecretId, o.client.PutSecretValue, in, opts)
}

func (o observed) DeleteSecret(ctx context.Context, in *sm.DeleteSecretInput, opts ...func(*sm.Options)) (*sm.DeleteSecretOutput, error) {
	return ask(ctx, o, "DeleteSecret", in.SecretId, o.client.DeleteSecret, in, opts)
}

func (o observed) DescribeSecret(ctx context.Context, in *sm.DescribeSecretInput, opts ...func(*sm.Options)) (*sm.DescribeSecretOutput, error) {
	return ask(ctx, o, "DescribeSecret", in.SecretId, o.client.DescribeSecret, in, opts)
}

func (o observed) RestoreSecret(ctx context.Context, in *sm.RestoreSecretInput, opts ...func(*sm.Options)) (*sm.RestoreSecretOutput, error) {
	return ask(ctx, o, "RestoreSecret", in.SecretId, o.client.RestoreSecret, in, opts)
}

func (o observed) ReplicateSecretToRegions(ctx context.Context, in *sm.ReplicateSecretToRegionsInput, opts ...func(*sm.Options)) (*sm.ReplicateSecretToRegionsOutput, error) {
	return ask(ctx, o, "ReplicateSecretToRegions", in.SecretId, o.client.ReplicateSecretToRegions, in, opts)
}

func (o observed) RemoveRegionsFromReplication(ctx context.Context, in *sm.RemoveRegionsFromReplicationInput, opts ...func(*sm.Options)) (*sm.RemoveRegionsFromReplicationOutput, error) {
	return ask(ctx, o, "RemoveRegionsFromReplication", in.SecretId, o.client.RemoveRegionsFromReplication, in, opts)
}
