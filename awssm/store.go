// Package awssm keeps OAuth tokens in AWS Secrets Manager.
//
//	cfg, err := config.LoadDefaultConfig(ctx)
//	…
//	store, err := awssm.New(secretsmanager.NewFromConfig(cfg))
//
// Each token is one secret, named <prefix>/token_<id>, whose value is a JSON document; one more
// secret, <prefix>/index, lists them. The client is the caller's: credentials, region, endpoint and
// retries are as it was made, with two exceptions. It does not send again what a quota has refused, nor a
// CreateSecret that may have made the secret: the store looks, and tries again itself.
//
// # Concurrency
//
// Any number of processes may use one prefix, in one region. A write names the version that it was
// made from: the id of the new version is derived from the id of the old one, and Secrets Manager
// refuses other content under a version id that exists (API reference, PutSecretValue,
// ClientRequestToken). So two writers that read the same version cannot both succeed. Whoever edits
// the secrets by other means (console, rotation, Terraform) is outside of that: their edit is lost if
// it falls between a store's read and its write.
//
// # Limits
//
// A token's document must fit in 65,536 bytes. Secrets Manager keeps all versions of the last 24 hours and refuses a
// write when there are about 100: so one token can be saved about 100 times a day, and the last of these are kept for
// more than new access tokens: see [WithVersionQuota]. The index is divided in time among several secrets: it has no
// limit. The service says of itself that all its operations are eventually consistent: a read shortly after another process's write may
// show the older state, which no write is based on unnoticed. A store sees its own writes: it remembers their version ids for a minute,
// and if a read by name shows an older version, it reads by version id. That takes two or three calls.
//
// # Permissions
//
// On arn:aws:secretsmanager:REGION:ACCOUNT:secret:PREFIX/*: GetSecretValue to read; PutSecretValue and
// CreateSecret to save; DeleteSecret to delete; BatchGetSecretValue on * for GetTokens and finds by token (without it
// tokens are read one by one), ListSecrets on * for Repair. DescribeSecret and RestoreSecret are for saving a
// token whose secret waits in a recovery window. Without RestoreSecret that save is [oauthstore.ErrAccessDenied].
// So it is without DescribeSecret where there is [WithRecoveryWindow]; else the secret may be one that the service
// is still deleting, and the save goes on for a minute, or for two if its context has a deadline, and is
// [oauthstore.ErrUnavailable], which names the permission. DescribeSecret is also for saving to a secret that was made without a value, or so lately that a
// read does not show it, and for deleting one with copies in other regions (else [oauthstore.ErrAccessDenied]),
// and for saving to one whose AWSCURRENT was moved back to an older version (else [oauthstore.ErrUnavailable]). A
// save right after a delete needs neither. Options name what else they need.
//
// # Errors
//
//	credentials that are missing, unknown or expired; an IAM or organization policy; a KMS key  [oauthstore.ErrAccessDenied]
//	no region, another service's endpoint, a region that has only copies of the secrets         [oauthstore.ErrMisconfigured]
//	a rate, or the versions of a secret in 24 hours                                             [oauthstore.ErrThrottled]
//	no answer, a cut-off one, a status from 500 on                                              [oauthstore.ErrUnavailable]
//
// # Emulators
//
// An emulator must make the ClientRequestToken of a write its version's id, and refuse other content under
// an id that exists with ResourceExistsException, or as LocalStack passes that on. moto and LocalStack do.
//
// It must also refuse a CreateSecret under a name that is taken, as moto does since February 2026.
//
// On a host that is not one of AWS's own the store makes sure of both: its first write costs a PutSecretValue and a
// CreateSecret more, which have to be refused, and leave nothing. If one is not refused, that write and all later ones
// fail with [oauthstore.ErrNoCompareAndSet]: see [WithoutWriteCheck]. The same goes for a [Client] whose answers do not
// say from which host they are, such as a test's fake.
package awssm

import (
	"cmp"
	"context"
	"iter"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/args"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// Store is an [oauthstore.TokenStore] in AWS Secrets Manager. Make it with [New]. It is safe for
// concurrent use.
type Store struct {
	engine *engine.Store
	prefix string // with its separator
}

var (
	_ oauthstore.TokenStore   = (*Store)(nil)
	_ oauthstore.TokenUpdater = (*Store)(nil)
	_ oauthstore.TokenChecker = (*Store)(nil)
	_ oauthstore.TokenLeaser  = (*Store)(nil)
	_ oauthstore.TokenRanger  = (*Store)(nil)
	_ oauthstore.Repairer     = (*Store)(nil)
)

// New returns a store that uses client, a *secretsmanager.Client. It checks the options and does no
// I/O; its error names the option.
func New(client Client, opts ...Option) (*Store, error) {
	c := config{prefix: "oauthstore", codec: codec.JSON{}, timeout: engine.DefaultTimeout, quota: maxVersions}
	args.Apply(&c, opts)
	if err := cmp.Or(c.check(), c.checkClient(client)); err != nil {
		return nil, err
	}
	d := &driver{client: client, config: c, prefix: c.fullPrefix()}
	s := &Store{engine: engine.New(d, c.codec, c.timeout), prefix: d.prefix}
	s.engine.SpaceAccessTokens(c.spacing)
	if c.observe != nil {
		o := engine.Observer{Backend: "awssm", Tell: c.observe}
		d.client = observed{client, o}
		s.engine.Observe(o)
	}
	return s, nil
}

// NamePrefix returns what the names of the store's secrets begin with: the prefix of [WithPrefix] and a slash. In IAM
// policies they are arn:aws:secretsmanager:REGION:ACCOUNT:secret: with the name prefix and an asterisk.
func (s *Store) NamePrefix() string { return s.prefix }

// FindToken implements [oauthstore.TokenStore]. It costs one GetSecretValue by id, by user name where the store
// made the id, and otherwise where the index was read within the last minute. Else it costs one or two more, and what
// it reads of the index's pages. So does a user with several tokens, or none. By an access, grant or refresh token it
// reads the whole index, the tokens that were inserted with it, and all tokens with a smaller id; if none was, all tokens.
func (s *Store) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	return s.engine.FindToken(ctx, token)
}

// FindTokenByID implements [oauthstore.TokenStore]. It costs one GetSecretValue.
func (s *Store) FindTokenByID(ctx context.Context, id string) (*oauthstore.OAuthToken, error) {
	return s.engine.FindTokenByID(ctx, id)
}

// SaveToken implements [oauthstore.TokenStore]. For a record that exists it costs one GetSecretValue
// and one PutSecretValue, or only the first where nothing changes. A new one costs a GetSecretValue, a
// PutSecretValue of the index and a CreateSecret. One in some 60 new ones also divides a page of the index, which
// costs a CreateSecret for each new page, two PutSecretValue and a DeleteSecret.
func (s *Store) SaveToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return s.engine.SaveToken(ctx, token)
}

// UpdateToken implements [oauthstore.TokenUpdater], at the cost of SaveToken for a record that exists.
func (s *Store) UpdateToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return s.engine.UpdateToken(ctx, token)
}

// CheckToken implements [oauthstore.TokenChecker]. It costs no call.
func (s *Store) CheckToken(token *oauthstore.OAuthToken) error { return s.engine.CheckToken(token) }

// LeaseToken implements [oauthstore.TokenLeaser]. It costs one GetSecretValue, and a PutSecretValue where the lease is given.
func (s *Store) LeaseToken(ctx context.Context, request oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	return s.engine.LeaseToken(ctx, request)
}

// RenewLease implements [oauthstore.TokenLeaser]. It costs a GetSecretValue and a PutSecretValue.
func (s *Store) RenewLease(ctx context.Context, lease *oauthstore.Lease) error {
	return s.engine.RenewLease(ctx, lease)
}

// SaveLeased implements [oauthstore.TokenLeaser]. It costs one PutSecretValue, with a GetSecretValue before it where the lease is older than a minute.
func (s *Store) SaveLeased(ctx context.Context, lease *oauthstore.Lease, token *oauthstore.OAuthToken) error {
	return s.engine.SaveLeased(ctx, lease, token)
}

// ReleaseLease implements [oauthstore.TokenLeaser], at the cost of RenewLease.
func (s *Store) ReleaseLease(ctx context.Context, lease *oauthstore.Lease) error {
	return s.engine.ReleaseLease(ctx, lease)
}

// DeleteToken implements [oauthstore.TokenStore]. It costs a GetSecretValue, a DeleteSecret and a
// PutSecretValue of the index; see also [WithRecoveryWindow] and [WithReplicaRegions]. A secret that waits in
// somebody's recovery window is not there already, and stays restorable until that ends.
func (s *Store) DeleteToken(ctx context.Context, id string) error {
	return s.engine.DeleteToken(ctx, id)
}

// GetTokens implements [oauthstore.TokenStore]. It costs one GetSecretValue for the index and a
// BatchGetSecretValue for every 20 tokens; where the index has pages, for every 33 of them one GetSecretValue more
// and two BatchGetSecretValue.
func (s *Store) GetTokens(ctx context.Context) ([]*oauthstore.OAuthToken, error) {
	return s.engine.GetTokens(ctx)
}

// DeleteTokens implements [oauthstore.TokenStore]. For each token it costs a GetSecretValue and a
// DeleteSecret, and the index is read and written once, each of its pages too.
func (s *Store) DeleteTokens(ctx context.Context) error {
	return s.engine.DeleteTokens(ctx)
}

// Tokens implements [oauthstore.TokenRanger], at the cost of GetTokens.
func (s *Store) Tokens(ctx context.Context) iter.Seq2[*oauthstore.OAuthToken, error] {
	return s.engine.Tokens(ctx)
}

// Repair implements [oauthstore.Repairer]. It costs a ListSecrets for every 100 secrets under the prefix, what
// GetTokens costs, and a write for each page of the index that is to be changed.
func (s *Store) Repair(ctx context.Context, opts oauthstore.RepairOptions) (*oauthstore.RepairReport, error) {
	return s.engine.Repair(ctx, opts)
}
