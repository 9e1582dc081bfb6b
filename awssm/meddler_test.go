package awssm

import (
	"context"

	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// A meddler is a client between whose calls a test gets. A function that is nil leaves the call alone.
type meddler struct {
	Client
	get     func(*sm.GetSecretValueInput, func() (*sm.GetSecretValueOutput, error)) (*sm.GetSecretValueOutput, error)
	batch   func(*sm.BatchGetSecretValueInput, func() (*sm.BatchGetSecretValueOutput, error)) (*sm.BatchGetSecretValueOutput, error)
	list    func(*sm.ListSecretsInput, func() (*sm.ListSecretsOutput, error)) (*sm.ListSecretsOutput, error)
	put     func(*sm.PutSecretValueInput, func() (*sm.PutSecretValueOutput, error)) (*sm.PutSecretValueOutput, error)
	create  func(*sm.CreateSecretInput, func() (*sm.CreateSecretOutput, error)) (*sm.CreateSecretOutput, error)
	restore func(*sm.RestoreSecretInput, func() (*sm.RestoreSecretOutput, error)) (*sm.RestoreSecretOutput, error)
	before  func(op string) // is called before a delete and what belongs to it
}

func (m *meddler) GetSecretValue(ctx context.Context, in *sm.GetSecretValueInput, opts ...func(*sm.Options)) (*sm.GetSecretValueOutput, error) {
	call := func() (*sm.GetSecretValueOutput, error) { return m.Client.GetSecretValue(ctx, in, opts...) }
	if m.get == nil {
		return call()
	}
	return m.get(in, call)
}

func (m *meddler) BatchGetSecretValue(ctx context.Context, in *sm.BatchGetSecretValueInput, opts ...func(*sm.Options)) (*sm.BatchGetSecretValueOutput, error) {
	call := func() (*sm.BatchGetSecretValueOutput, error) { return m.Client.BatchGetSecretValue(ctx, in, opts...) }
	if m.batch == nil {
		return call()
	}
	return m.batch(in, call)
}

func (m *meddler) ListSecrets(ctx context.Context, in *sm.ListSecretsInput, opts ...func(*sm.Options)) (*sm.ListSecretsOutput, error) {
	call := func() (*sm.ListSecretsOutput, error) { return m.Client.ListSecrets(ctx, in, opts...) }
	if m.list == nil {
		return call()
	}
	return m.list(in, call)
}

func (m *meddler) PutSecretValue(ctx context.Context, in *sm.PutSecretValueInput, opts ...func(*sm.Options)) (*sm.PutSecretValueOutput, error) {
	call := func() (*sm.PutSecretValueOutput, error) { return m.Client.PutSecretValue(ctx, in, opts...) }
	if m.put == nil {
		return call()
	}
	return m.put(in, call)
}

func (m *meddler) CreateSecret(ctx context.Context, in *sm.CreateSecretInput, opts ...func(*sm.Options)) (*sm.CreateSecretOutput, error) {
	call := func() (*sm.CreateSecretOutput, error) { return m.Client.CreateSecret(ctx, in, opts...) }
	if m.create == nil {
		return call()
	}
	return m.create(in, call)
}

func (m *meddler) RestoreSecret(ctx context.Context, in *sm.RestoreSecretInput, opts ...func(*sm.Options)) (*sm.RestoreSecretOutput, error) {
	call := func() (*sm.RestoreSecretOutput, error) { return m.Client.RestoreSecret(ctx, in, opts...) }
	if m.restore == nil {
		return call()
	}
	return m.restore(in, call)
}

func (m *meddler) DeleteSecret(ctx context.Context, in *sm.DeleteSecretInput, opts ...func(*sm.Options)) (*sm.DeleteSecretOutput, error) {
	m.prepare("DeleteSecret")
	return m.Client.DeleteSecret(ctx, in, opts...)
}

func (m *meddler) DescribeSecret(ctx context.Context, in *sm.DescribeSecretInput, opts ...func(*sm.Options)) (*sm.DescribeSecretOutput, error) {
	m.prepare("DescribeSecret")
	return m.Client.DescribeSecret(ctx, in, opts...)
}

func (m *meddler) RemoveRegionsFromReplication(ctx context.Context, in *sm.RemoveRegionsFromReplicationInput, opts ...func(*sm.Options)) (*sm.RemoveRegionsFromReplicationOutput, error) {
	m.prepare("RemoveRegionsFromReplication")
	return m.Client.RemoveRegionsFromReplication(ctx, in, opts...)
}

func (m *meddler) prepare(op string) {
	if m.before != nil {
		m.before(op)
	}
}
