// Package vault keeps OAuth tokens in HashiCorp Vault, in a KV secrets engine of version 2.
//
//	client, err := api.NewClient(api.DefaultConfig())
//	…
//	store, err := vault.New(client, vault.WithMount("secret"))
//
// Each token is one secret, <prefix>/token_<id>, and its fields are the secret's keys: so
// "vault kv get -field=access_token secret/oauthstore/token_alice" and agent templates work. One more
// secret, <prefix>/index, lists them. The client is the caller's: address, token, namespace, retries and
// TLS are as it was made.
//
// # Concurrency
//
// Any number of processes may use one prefix. Every write is a check-and-set on the version that it was
// made from; KV version 1 has none, and a mount of it is refused at the first read that finds nothing,
// before any write. Standbys and replicas that serve reads (performance standbys and secondaries of
// Vault Enterprise, OpenBao) may show an older state after another process's write; no write is based on
// it unnoticed. A store sees its own writes: if a read shows an older version than the store has written or read in the
// last minute, it reads again, for up to 10 seconds. After that it believes the read: the secret's metadata was
// deleted, so that its version numbers began again.
//
// # Deleting
//
// Vault's own deletes do not look at versions, and deleting the metadata lets the version numbers start
// anew, so that a late writer's check-and-set could fit a later secret. So a delete first makes an empty
// version by check-and-set and then destroys all versions. The key's metadata stays, without content;
// "vault kv metadata delete" removes it once no writer from before can be left.
//
// # Limits
//
// A token's document must fit in 512 KiB, what Consul stores. The index is divided in time among several secrets: it
// has no limit. Names of secrets may have 512 characters; on storage "file" about 100, since Vault makes a file's name of
// each part of an encrypted path. Ids that are derived from user names fit.
//
// A mount that deletes versions by time (delete_version_after) would lose tokens that are not saved for that long, and
// the index, which is written only when tokens come and go. Nothing is written there: saves, leases and deletes fail. A
// store reads the mount's configuration before its first write, and again after an hour without a write. If it may not,
// or if the setting is changed in between, the answer to a write shows it: that write fails, though it was made. Repair
// names the versions that will be deleted, and writes them again once the setting is 0. A token that was deleted so is a
// [oauthstore.CorruptRecordError] until "vault kv undelete" brings it back or DeleteToken removes it. An index that was
// deleted, by time or otherwise, is one too, not an empty store: undelete brings it back, and so does Repair.
//
// # Permissions
//
// On MOUNT/data/PREFIX/*: read to find, and update to save. On MOUNT/metadata/PREFIX/*: create and update to
// make new secrets, so that superseded credentials do not stay in older versions, and for custom metadata; see
// [WithMaxVersions]. On MOUNT/destroy/PREFIX/*: update to delete, for which update on data is needed too. A
// delete that is denied leaves the token as it was. On MOUNT/metadata/PREFIX: list for Repair. On
// MOUNT/config: read, optional, to refuse a mount with delete_version_after before anything is written.
//
// # Operation
//
// Namespace, token renewal (api.LifetimeWatcher), TLS, rate limit and retries are the client's, and so is
// read-your-writes (api.Config, ReadYourWrites): on performance standbys and replicas it spares one instance
// the second reads that its own older state would cost.
//
//	sealed, without an active node, overloaded, a replica that does not serve   [oauthstore.ErrUnavailable]
//	no answer, a cut-off one, status 200 with a body that is not Vault's        [oauthstore.ErrUnavailable]
//	a rate limit quota                                                          [oauthstore.ErrThrottled]
//	a token that is missing, revoked, expired or not allowed                    [oauthstore.ErrAccessDenied]
//	a mount or a namespace that does not exist, an address that is not Vault's  [oauthstore.ErrMisconfigured]
//	a mount that deletes versions by time                                       [oauthstore.ErrMisconfigured]
//	a mount of KV version 1                                                     [oauthstore.ErrNoCompareAndSet]
//	a request or a value that Vault or a proxy finds too large                  [oauthstore.ErrRecordTooLarge]
package vault

import (
	"context"
	"errors"
	"iter"

	"github.com/hashicorp/vault/api"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/args"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// Store is an [oauthstore.TokenStore] in Vault. Make it with [New]. It is safe for concurrent use.
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

// New returns a store that uses client. It checks the options and does no I/O; its error names the
// option.
func New(client *api.Client, opts ...Option) (*Store, error) {
	if client == nil {
		return nil, errors.New("vault: the client is nil")
	}
	c := config{mount: "secret", prefix: "oauthstore", codec: codec.JSON{}, maxVersions: 1, timeout: engine.DefaultTimeout}
	args.Apply(&c, opts)
	if err := c.check(); err != nil {
		return nil, err
	}
	d := &driver{client: client, observer: engine.Observer{Backend: "vault", Tell: c.observe}, config: c, prefix: c.fullPrefix()}
	s := &Store{engine: engine.New(d, c.codec, c.timeout), prefix: d.prefix}
	s.engine.Observe(d.observer)
	return s, nil
}

// NamePrefix returns what the paths of the store's secrets begin with in their mount: the prefix of [WithPrefix] and a
// slash. In policies they are MOUNT/data/, MOUNT/metadata/ and MOUNT/destroy/, each with the name prefix and an asterisk.
func (s *Store) NamePrefix() string { return s.prefix }

// FindToken implements [oauthstore.TokenStore]. It costs one read by id, by user name where the store made the id, and
// otherwise where the index was read within the last minute. Else it costs one or two more, and one for each of the
// index's pages that it reads. So does a user with several tokens, or none. By an access, grant or refresh token it
// reads the whole index, the tokens that were inserted with it, and all tokens with a smaller id; if none was, all tokens.
func (s *Store) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	return s.engine.FindToken(ctx, token)
}

// FindTokenByID implements [oauthstore.TokenStore]. It costs one read.
func (s *Store) FindTokenByID(ctx context.Context, id string) (*oauthstore.OAuthToken, error) {
	return s.engine.FindTokenByID(ctx, id)
}

// SaveToken implements [oauthstore.TokenStore]. For a record that exists it costs one read and one
// write, or only the first where nothing changes. A new one costs a read, a write of the index, one of
// the metadata and one of the secret. One in some hundred new ones also divides a page of the index, which costs two
// writes for each new page, three others, and a destroy.
func (s *Store) SaveToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return s.engine.SaveToken(ctx, token)
}

// UpdateToken implements [oauthstore.TokenUpdater], at the cost of SaveToken for a record that exists.
func (s *Store) UpdateToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return s.engine.UpdateToken(ctx, token)
}

// CheckToken implements [oauthstore.TokenChecker]. It costs no call.
func (s *Store) CheckToken(token *oauthstore.OAuthToken) error { return s.engine.CheckToken(token) }

// LeaseToken implements [oauthstore.TokenLeaser]. It costs one read, and a write where the lease is given.
func (s *Store) LeaseToken(ctx context.Context, request oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	return s.engine.LeaseToken(ctx, request)
}

// RenewLease implements [oauthstore.TokenLeaser]. It costs a read and a write.
func (s *Store) RenewLease(ctx context.Context, lease *oauthstore.Lease) error {
	return s.engine.RenewLease(ctx, lease)
}

// SaveLeased implements [oauthstore.TokenLeaser]. It costs one write, with a read before it where the lease is older than a minute.
func (s *Store) SaveLeased(ctx context.Context, lease *oauthstore.Lease, token *oauthstore.OAuthToken) error {
	return s.engine.SaveLeased(ctx, lease, token)
}

// ReleaseLease implements [oauthstore.TokenLeaser], at the cost of RenewLease.
func (s *Store) ReleaseLease(ctx context.Context, lease *oauthstore.Lease) error {
	return s.engine.ReleaseLease(ctx, lease)
}

// DeleteToken implements [oauthstore.TokenStore]. It costs a read, a write and a destroy of the secret
// and a write of the index.
func (s *Store) DeleteToken(ctx context.Context, id string) error {
	return s.engine.DeleteToken(ctx, id)
}

// GetTokens implements [oauthstore.TokenStore]. It costs one read for the index, one for each page of it, of which
// there are some from a few hundred tokens on, and one for each token, 16 at a time.
func (s *Store) GetTokens(ctx context.Context) ([]*oauthstore.OAuthToken, error) {
	return s.engine.GetTokens(ctx)
}

// DeleteTokens implements [oauthstore.TokenStore]. For each token it costs what DeleteToken does, and
// the index is read and written once, each of its pages too.
func (s *Store) DeleteTokens(ctx context.Context) error {
	return s.engine.DeleteTokens(ctx)
}

// Tokens implements [oauthstore.TokenRanger], at the cost of GetTokens.
func (s *Store) Tokens(ctx context.Context) iter.Seq2[*oauthstore.OAuthToken, error] {
	return s.engine.Tokens(ctx)
}

// Repair implements [oauthstore.Repairer]. It costs one list, what GetTokens costs, one read for each token that
// was deleted, since Vault goes on listing it, and a write for each page of the index that is to be changed.
func (s *Store) Repair(ctx context.Context, opts oauthstore.RepairOptions) (*oauthstore.RepairReport, error) {
	return s.engine.Repair(ctx, opts)
}
