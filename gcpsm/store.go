// Package gcpsm keeps OAuth tokens in Google Cloud Secret Manager.
//
//	client, err := secretmanager.NewClient(ctx)
//	…
//	store, err := gcpsm.New(client, "my-project")
//
// Each token is one secret, named <prefix>__token_<id>, whose newest version is a JSON document; one
// more secret, <prefix>__index, lists them. The client is the caller's: credentials and endpoint are as
// it was made. Make one for the process: each dials a connection.
//
// # Concurrency
//
// Any number of processes may use one prefix. Secret Manager adds versions unconditionally, so each
// version says which one it was made from, and counts only if it is the first that was made from there:
// of two writers that read the same version one succeeds, and the other's version is void and destroyed
// later. Only reading a version by its number is strongly consistent at Google; a plain read takes the
// newest version that the service shows, which may for minutes be an older one after another process's
// write. No write is based on it unnoticed, and a store never goes behind what it has seen itself. That there
// is no token is believed only after a look by number.
//
// This rests on the versions that the store adds and destroys. Versions added or destroyed by hand are outside
// of it: to restore a backup read it and use [Store.SaveToken]. Deleting a secret as a whole is allowed; it is
// made anew with the next save. A version disabled by hand makes an [oauthstore.CorruptRecordError] until it is
// enabled; where a version's encryption key cannot be used, calls are
// [oauthstore.ErrAccessDenied], and nothing is taken for deleted.
//
// # Cost
//
// Versions that are not destroyed are billed, so a save destroys the one before, and a delete all of
// them: what stays of a deleted token is an empty secret, which costs nothing and keeps the numbers from
// starting again.
//
// If a destroy fails, or the process dies before it, the save has succeeded, and the version that it superseded is
// left: its credentials can be read, and it is billed. Later saves of the same token destroy it. If the process saves
// the token again, that save does; if other processes do, the eighth save at the latest. Each save destroys up to four
// versions that were left. If the token is not saved again, they stay until it is deleted. A delete that cannot destroy
// all versions returns an error, and the next one goes on.
//
// A process does not know whether another one's destroy has failed. So if several processes save a token in turn, one
// save in eight costs a ListSecretVersions more. A process that saves alone never makes it.
//
// Where an administrator has set a secret's version_destroy_ttl, a version is disabled first, and destroyed
// after that time. Until then the credential is billed, and who may enable versions can recover it, of a
// deleted token too.
//
// # Limits
//
// A token's document must fit in 65,536 bytes. Google takes about two writes a second to a secret (80 to a regional
// one); beyond that a call is [oauthstore.ErrThrottled]. The index is divided in time among several secrets: it has
// no limit, but that Google takes about 600 writes a minute in a project.
//
// # Errors
//
//	credentials that are missing or expired; an IAM or organization policy; a key          [oauthstore.ErrAccessDenied]
//	a project that does not exist, or without the API or billing; another service's address [oauthstore.ErrMisconfigured]
//	a rate or a quota                                                                      [oauthstore.ErrThrottled]
//	no answer, or an error of the service's own                                            [oauthstore.ErrUnavailable]
//
// # Permissions
//
// secretmanager.versions.access to read. To save also secretmanager.secrets.create,
// secretmanager.versions.add, secretmanager.versions.destroy and secretmanager.versions.list, which
// finds what others have left behind. The same to delete. With a version_destroy_ttl reading a deleted token
// takes secretmanager.versions.list too. Repair needs secretmanager.secrets.list on the project.
package gcpsm

import (
	"cmp"
	"context"
	"iter"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/args"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// Store is an [oauthstore.TokenStore] in Google Cloud Secret Manager. Make it with [New]. It is safe for
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

// New returns a store that keeps its secrets in project, an id or number, and uses client, a
// *secretmanager.Client as secretmanager.NewClient makes it: over REST the service's error codes are lost. It
// checks the options and does no I/O; its error names the option.
func New(client Client, project string, opts ...Option) (*Store, error) {
	c := config{project: project, prefix: "oauthstore", codec: codec.JSON{}, timeout: engine.DefaultTimeout}
	args.Apply(&c, opts)
	if err := cmp.Or(c.check(), checkClient(client)); err != nil {
		return nil, err
	}
	d := newDriver(client, c)
	s := &Store{engine: engine.New(d, c.codec, c.timeout), prefix: d.prefix}
	s.engine.Observe(d.observer)
	return s, nil
}

// NamePrefix returns what the names of the store's secrets begin with: the prefix of [WithPrefix] and two underscores. In
// IAM conditions they are projects/NUMBER/secrets/, with [WithLocation] projects/NUMBER/locations/LOCATION/secrets/, and
// the name prefix, for resource.name.startsWith.
func (s *Store) NamePrefix() string { return s.prefix }

// FindToken implements [oauthstore.TokenStore]. It costs one AccessSecretVersion by id, by user name where the store
// made the id, and otherwise where the index was read within the last minute. Else it costs one or two more, and one
// for each of the index's pages that it reads. So does a user with several tokens, or none. By an access, grant or
// refresh token it reads the whole index, the tokens that were inserted with it, and all tokens with a smaller id; if none
// was, all tokens. A secret that is not there costs one AccessSecretVersion more, one whose token was deleted two.
func (s *Store) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	return s.engine.FindToken(ctx, token)
}

// FindTokenByID implements [oauthstore.TokenStore]. It costs one AccessSecretVersion; two where there is no
// such secret, and three where its token was deleted.
func (s *Store) FindTokenByID(ctx context.Context, id string) (*oauthstore.OAuthToken, error) {
	return s.engine.FindTokenByID(ctx, id)
}

// SaveToken implements [oauthstore.TokenStore]. For a record that exists it costs one
// AccessSecretVersion, one AddSecretVersion and one DestroySecretVersion, or only the first where
// nothing changes. A new one costs an AccessSecretVersion, an AddSecretVersion and one or two
// DestroySecretVersion of the index, a CreateSecret and an AddSecretVersion. One in some hundred new ones also divides a
// page of the index, which costs a CreateSecret and an AddSecretVersion for each new page, and a few calls more.
//
// It succeeds although a DestroySecretVersion fails; the package comment says what that leaves, and for how long.
func (s *Store) SaveToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return s.engine.SaveToken(ctx, token)
}

// UpdateToken implements [oauthstore.TokenUpdater], at the cost of SaveToken for a record that exists.
func (s *Store) UpdateToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	return s.engine.UpdateToken(ctx, token)
}

// CheckToken implements [oauthstore.TokenChecker]. It costs no call.
func (s *Store) CheckToken(token *oauthstore.OAuthToken) error { return s.engine.CheckToken(token) }

// LeaseToken implements [oauthstore.TokenLeaser]. It costs one AccessSecretVersion, and an AddSecretVersion where the lease is given.
func (s *Store) LeaseToken(ctx context.Context, request oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	return s.engine.LeaseToken(ctx, request)
}

// RenewLease implements [oauthstore.TokenLeaser]. It costs an AccessSecretVersion and an AddSecretVersion.
func (s *Store) RenewLease(ctx context.Context, lease *oauthstore.Lease) error {
	return s.engine.RenewLease(ctx, lease)
}

// SaveLeased implements [oauthstore.TokenLeaser]. It costs an AddSecretVersion and a DestroySecretVersion for each superseded version, with an AccessSecretVersion before it where the lease is older than a minute.
func (s *Store) SaveLeased(ctx context.Context, lease *oauthstore.Lease, token *oauthstore.OAuthToken) error {
	return s.engine.SaveLeased(ctx, lease, token)
}

// ReleaseLease implements [oauthstore.TokenLeaser], at the cost of RenewLease.
func (s *Store) ReleaseLease(ctx context.Context, lease *oauthstore.Lease) error {
	return s.engine.ReleaseLease(ctx, lease)
}

// DeleteToken implements [oauthstore.TokenStore]. It costs an AccessSecretVersion, an AddSecretVersion
// and two DestroySecretVersion of the token and an AddSecretVersion of the index; and a
// ListSecretVersions where another process has written the token, which may have left older versions. Where
// there is no token it costs what FindTokenByID does.
func (s *Store) DeleteToken(ctx context.Context, id string) error {
	return s.engine.DeleteToken(ctx, id)
}

// GetTokens implements [oauthstore.TokenStore]. It costs one AccessSecretVersion for the index, one for each page of
// it, of which there are some from a few hundred tokens on, and one for each token, 16 at a time.
func (s *Store) GetTokens(ctx context.Context) ([]*oauthstore.OAuthToken, error) {
	return s.engine.GetTokens(ctx)
}

// DeleteTokens implements [oauthstore.TokenStore]. For each token it costs what DeleteToken does. The index
// costs three AccessSecretVersion, since its newest version has to be found by number, and is written once; so is
// each of its pages.
//
// That is about three writes for each token, so that Google's 600 writes a minute in a project are used up by some
// 200 tokens. DeleteTokens then waits for the next minute, as long as ctx allows, while other writes in the project
// may be [oauthstore.ErrThrottled]. It is that itself once nothing has got through for five minutes.
func (s *Store) DeleteTokens(ctx context.Context) error {
	return s.engine.DeleteTokens(ctx)
}

// Tokens implements [oauthstore.TokenRanger], at the cost of GetTokens.
func (s *Store) Tokens(ctx context.Context) iter.Seq2[*oauthstore.OAuthToken, error] {
	return s.engine.Tokens(ctx)
}

// Repair implements [oauthstore.Repairer]. It costs a ListSecrets for every 25,000 secrets of the project whose
// names hold the prefix, three times what GetTokens costs, two reads for each token that was deleted, since its
// empty secret stays, and a write for each page of the index that is to be changed. It waits as DeleteTokens does.
func (s *Store) Repair(ctx context.Context, opts oauthstore.RepairOptions) (*oauthstore.RepairReport, error) {
	return s.engine.Repair(ctx, opts)
}
