package gcpsm

import (
	"context"
	"hash/crc32"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/oauthstore/oauthstore/internal/engine"
)

// Client is what a store asks of Secret Manager; *secretmanager.Client has it. The permissions are, in
// this order, secretmanager.versions.access, .versions.add, .versions.destroy, .versions.list and
// .secrets.create.
type Client interface {
	AccessSecretVersion(context.Context, *pb.AccessSecretVersionRequest, ...gax.CallOption) (*pb.AccessSecretVersionResponse, error)
	AddSecretVersion(context.Context, *pb.AddSecretVersionRequest, ...gax.CallOption) (*pb.SecretVersion, error)
	DestroySecretVersion(context.Context, *pb.DestroySecretVersionRequest, ...gax.CallOption) (*pb.SecretVersion, error)
	ListSecretVersions(context.Context, *pb.ListSecretVersionsRequest, ...gax.CallOption) *secretmanager.SecretVersionIterator
	CreateSecret(context.Context, *pb.CreateSecretRequest, ...gax.CallOption) (*pb.Secret, error)
}

// driver is Secret Manager as the engine sees it.
type driver struct {
	client Client
	config
	prefix string // the full one, with its separator
	parent string // of the secrets
	seen   sightings
}

var _ engine.Driver = (*driver)(nil)

func newDriver(client Client, c config) *driver {
	d := &driver{client: client, config: c, prefix: c.fullPrefix(), parent: "projects/" + c.project}
	if c.location != "" {
		d.parent += "/locations/" + c.location
	}
	return d
}

// FullName implements engine.Driver.
func (d *driver) FullName(name string) string { return d.prefix + name }

// Limits implements engine.Driver.
func (d *driver) Limits() engine.Limits {
	return engine.Limits{Name: maxName - len(d.prefix), Value: maxValue, Parallel: 16}
}

func (d *driver) resource(name string) string { return d.parent + "/secrets/" + d.FullName(name) }

// Get implements engine.Driver.
func (d *driver) Get(ctx context.Context, name string, after engine.Rev) (engine.Record, engine.Rev, error) {
	w := d.walk(name)
	head, err := w.head(ctx, revision(after).number)
	if err != nil {
		return engine.Record{}, engine.None, err
	}
	return head.rec, head.rev().encode(), nil
}

// Put implements engine.Driver.
//
// Secret Manager adds a version whatever was there before. So it is the successor of base only if none
// of the versions between the two names base too; where there is none between, that takes no look.
func (d *driver) Put(ctx context.Context, name string, base engine.Rev, rec engine.Record, tidy int) (engine.Rev, error) {
	b := revision(base)
	if b.number == 0 {
		if err := d.create(ctx, name); err != nil {
			return engine.None, err
		}
	}
	floor := d.newFloor(b, tidy)
	number, err := d.commit(ctx, name, b, floor, rec)
	if err != nil {
		return engine.None, err
	}
	d.tidy(ctx, name, b, floor, number)
	return rev{number: number, floor: floor}.encode(), nil
}

// commit adds rec as the successor of b, with the floor that it will have.
func (d *driver) commit(ctx context.Context, name string, b rev, floor int, rec engine.Record) (int, error) {
	number, won, err := d.add(ctx, name, floor, rec)
	if err != nil {
		return 0, err
	}
	if !won {
		d.discard(ctx, name)
		return 0, d.conflict("AddSecretVersion", name, nil)
	}
	return number, nil
}

// add adds rec as a version and reports whether it is the successor of its base.
func (d *driver) add(ctx context.Context, name string, floor int, rec engine.Record) (number int, won bool, err error) {
	payload, err := marshal(rec, floor)
	if err != nil {
		return 0, false, err
	}
	out, err := d.client.AddSecretVersion(ctx, &pb.AddSecretVersionRequest{
		Parent:  d.resource(name),
		Payload: &pb.SecretPayload{Data: payload, DataCrc32C: proto.Int64(checksum(payload))},
	})
	if status.Code(err) == codes.NotFound {
		d.seen.forget(name)
		return 0, false, d.conflict("AddSecretVersion", name, err) // the secret itself was deleted, by other means
	}
	if err != nil {
		return 0, false, d.fail("AddSecretVersion", name, true, err)
	}
	number = versionNumber(out.GetName())
	d.seen.add(name, number)
	won, err = d.walk(name).won(ctx, &version{number: number, readable: true, rec: rec})
	return number, won, err
}

// discard destroys a void version that a delete has beaten: a credential must not stay behind the
// tombstone of its token. The void version itself cannot go alone, since somebody may just be building on
// that tombstone, for whom a destroyed version between would mean defeat; so another tombstone covers it.
// Where that comes too late, or fails, the next save destroys the void version.
func (d *driver) discard(ctx context.Context, name string) {
	head, err := d.walk(name).head(ctx, 0)
	if err != nil || head.readable {
		return
	}
	top, won, err := d.add(ctx, name, head.floor, engine.Record{Base: head.rev().encode(), Deleted: true})
	if err != nil || !won {
		return
	}
	_ = d.bury(ctx, name, head.rev(), top)
}

// create makes the secret, which has no version yet. One that exists already, without a version, is
// what a process left that died here; with versions it is a conflict.
func (d *driver) create(ctx context.Context, name string) error {
	_, err := d.client.CreateSecret(ctx, &pb.CreateSecretRequest{
		Parent: d.parent, SecretId: d.FullName(name), Secret: d.secret(),
	})
	if err == nil {
		d.seen.cleaned(name, 0, 1)
	}
	if status.Code(err) != codes.AlreadyExists {
		return d.fail("CreateSecret", name, false, err)
	}
	newest, err := d.newest(ctx, name)
	if err != nil || newest == nil {
		return err
	}
	d.seen.add(name, versionNumber(newest.GetName()))
	return d.conflict("CreateSecret", name, nil)
}

// secret is a new secret as the options want it.
func (d *driver) secret() *pb.Secret {
	s := &pb.Secret{Labels: d.labels}
	key := func(i int) *pb.CustomerManagedEncryption {
		if len(d.kmsKeys) == 0 {
			return nil
		}
		return &pb.CustomerManagedEncryption{KmsKeyName: d.kmsKeys[i]}
	}
	switch {
	case d.location != "":
		s.CustomerManagedEncryption = key(0)
	case len(d.locations) == 0:
		s.Replication = &pb.Replication{Replication: &pb.Replication_Automatic_{
			Automatic: &pb.Replication_Automatic{CustomerManagedEncryption: key(0)},
		}}
	default:
		managed := &pb.Replication_UserManaged{}
		for i, l := range d.locations {
			managed.Replicas = append(managed.Replicas, &pb.Replication_UserManaged_Replica{
				Location: l, CustomerManagedEncryption: key(i),
			})
		}
		s.Replication = &pb.Replication{Replication: &pb.Replication_UserManaged_{UserManaged: managed}}
	}
	return s
}

// Delete implements engine.Driver.
//
// DeleteSecret would let the numbers start anew, and a writer that read version 1 of the old secret
// would be taken for the successor of version 1 of a new one. So a tombstone becomes the newest version,
// after which no write that is under way can win, and then all versions are destroyed. A secret whose
// newest version is destroyed counts as absent.
func (d *driver) Delete(ctx context.Context, name string, base engine.Rev, tombstone engine.Record) error {
	if tombstone.Base != base {
		made := revision(tombstone.Base)
		return d.bury(ctx, name, rev{made.number, revision(base).floor}, revision(base).number)
	}
	b := revision(base)
	top, err := d.commit(ctx, name, b, b.floor, tombstone)
	if err != nil {
		return err
	}
	return d.bury(ctx, name, b, top)
}

// bury destroys all versions up to the tombstone, which was made from b, in an order that no reader can
// mistake: first b and what is older, while the tombstone still shows that there is more to do; then the
// tombstone; then void versions between the two, which would have made the tombstone look void.
func (d *driver) bury(ctx context.Context, name string, b rev, tombstone int) error {
	if max(d.seen.of(name).clean, 1) < b.floor {
		// Whoever was to destroy the versions below may have died before, or is about to.
		if err := d.sweep(ctx, name, b.floor); err != nil {
			return err
		}
	}
	var order []int
	for number := b.floor; number <= b.number; number++ {
		order = append(order, number)
	}
	order = append(order, tombstone)
	for number := b.number + 1; number < tombstone; number++ {
		order = append(order, number)
	}
	for _, number := range order {
		if err := d.destroy(ctx, name, number); err != nil {
			return err
		}
	}
	d.seen.cleaned(name, b.floor, tombstone+1)
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is what Secret Manager calls data_crc32c.
func checksum(data []byte) int64 { return int64(crc32.Checksum(data, castagnoli)) }
