package gcpsm

import (
	"context"
	"hash/crc32"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/oauthstore/oauthstore/internal/engine"
)

// Client is what a store asks of Secret Manager; *secretmanager.Client has it. The permissions are, in
// this order, secretmanager.versions.access, .versions.add, .versions.destroy, .versions.list,
// .secrets.create and .secrets.list.
type Client interface {
	AccessSecretVersion(context.Context, *pb.AccessSecretVersionRequest, ...gax.CallOption) (*pb.AccessSecretVersionResponse, error)
	AddSecretVersion(context.Context, *pb.AddSecretVersionRequest, ...gax.CallOption) (*pb.SecretVersion, error)
	DestroySecretVersion(context.Context, *pb.DestroySecretVersionRequest, ...gax.CallOption) (*pb.SecretVersion, error)
	ListSecretVersions(context.Context, *pb.ListSecretVersionsRequest, ...gax.CallOption) *secretmanager.SecretVersionIterator
	CreateSecret(context.Context, *pb.CreateSecretRequest, ...gax.CallOption) (*pb.Secret, error)
	ListSecrets(context.Context, *pb.ListSecretsRequest, ...gax.CallOption) *secretmanager.SecretIterator
}

// driver is Secret Manager as the engine sees it.
type driver struct {
	client   Client
	observer engine.Observer
	config
	prefix string // the full one, with its separator
	parent string // of the secrets
	seen   sightings
}

var (
	_ engine.Driver = (*driver)(nil)
	_ engine.Prober = (*driver)(nil)
	_ engine.Lister = (*driver)(nil)
)

func newDriver(client Client, c config) *driver {
	d := &driver{client: client, config: c, prefix: c.fullPrefix(), parent: "projects/" + c.project}
	if c.observe != nil {
		d.observer = engine.Observer{Backend: "gcpsm", Tell: c.observe}
		d.client = observed{client, d.observer}
	}
	if c.location != "" {
		d.parent += "/locations/" + c.location
	}
	return d
}

// FullName implements engine.Driver.
func (d *driver) FullName(name string) string { return d.prefix + name }

// Limits implements engine.Driver.
func (d *driver) Limits() engine.Limits {
	return engine.Limits{
		Name: maxName - len(d.prefix), Value: maxValue, Parallel: 16, Window: window,
		Writes: maxWrites, Per: time.Minute,
	}
}

func (d *driver) resource(name string) string { return d.parent + "/secrets/" + d.FullName(name) }

// Get implements engine.Driver.
func (d *driver) Get(ctx context.Context, name string, after engine.Rev) (engine.Record, engine.Rev, error) {
	head, err := d.walk(name).head(ctx, revision(after).number)
	return d.found(name, head, err)
}

// Probe implements engine.Prober. Reading by number is consistent, so it goes up from the newest number that
// is known. Nothing is known of a secret just made; so it is not many steps.
func (d *driver) Probe(ctx context.Context, name string) (engine.Record, engine.Rev, error) {
	w := d.walk(name)
	known := d.seen.of(name)
	if known.destroyed == known.newest {
		w.read[known.newest] = &version{number: known.newest} // for ever
	}
	top, err := w.climb(ctx, known.newest)
	if err != nil {
		return engine.Record{}, engine.None, err
	}
	head, err := w.from(ctx, top, 0)
	return d.found(name, head, err)
}

// found is what the engine wants to know of a head.
func (d *driver) found(name string, head *version, err error) (engine.Record, engine.Rev, error) {
	if err != nil {
		return engine.Record{}, engine.None, err
	}
	d.seen.cleaned(name, 0, head.clean)
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
			return engine.None, engine.NotWritten(err)
		}
	}
	floor := d.newFloor(b, tidy)
	if tidy != 0 {
		d.look(ctx, name, b)
	}
	number, is, err := d.commit(ctx, name, b, floor, rec)
	if err != nil {
		return engine.None, is.of(err)
	}
	if tidy != 0 {
		d.tidy(ctx, name, b.floor, floor)
	}
	return rev{number: number, floor: floor}.encode(), nil
}

// commit adds rec as the successor of b, with the floor that it will have, and returns the outcome.
func (d *driver) commit(ctx context.Context, name string, b rev, floor int, rec engine.Record) (int, outcome, error) {
	number, is, err := d.add(ctx, name, floor, rec)
	if err != nil || is == won {
		return number, is, err
	}
	d.discard(ctx, name, b)
	return 0, is, d.conflict("AddSecretVersion", name, nil)
}

// add adds rec as a version and returns what it is.
//
// Steps google.write.2 and google.write.3.
func (d *driver) add(ctx context.Context, name string, floor int, rec engine.Record) (number int, is outcome, err error) {
	payload, err := marshal(rec, bounds{floor, min(floor, d.seen.of(name).clean())})
	if err != nil {
		return 0, void, err
	}
	out, err := d.client.AddSecretVersion(ctx, &pb.AddSecretVersionRequest{
		Parent:  d.resource(name),
		Payload: &pb.SecretPayload{Data: payload, DataCrc32C: proto.Int64(checksum(payload))},
	}, sentOnce)
	if status.Code(err) == codes.NotFound {
		d.seen.forget(name)
		return 0, void, d.conflict("AddSecretVersion", name, err) // the secret itself was deleted, by other means
	}
	if err != nil {
		return 0, outcomeOf(err), d.fail("AddSecretVersion", name, true, err)
	}
	if number, err = d.number("AddSecretVersion", name, out.GetName()); err != nil {
		return 0, superseded, err
	}
	if number <= revision(rec.Base).number {
		d.seen.forget(name) // the numbers have started anew
	}
	d.seen.add(name, number)
	is, err = d.walk(name).outcome(ctx, &version{number: number, readable: true, rec: rec})
	return number, is, err
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
	versions, err := d.list(ctx, name)
	if err != nil || len(versions) == 0 {
		return err
	}
	d.seen.add(name, newest(versions))
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

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is what Secret Manager calls data_crc32c.
func checksum(data []byte) int64 { return int64(crc32.Checksum(data, castagnoli)) }
