package awssm

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/oauthstore/oauthstore/internal/engine"
)

// Client is what a store asks of Secrets Manager; *secretsmanager.Client has it. The IAM action of
// each method bears the method's name. DescribeSecret and RestoreSecret are for secrets that wait for
// deletion, the last two methods for those with copies in other regions. DescribeSecret is for these too, and
// where a read shows less of a secret than a write has met.
type Client interface {
	GetSecretValue(context.Context, *sm.GetSecretValueInput, ...func(*sm.Options)) (*sm.GetSecretValueOutput, error)
	BatchGetSecretValue(context.Context, *sm.BatchGetSecretValueInput, ...func(*sm.Options)) (*sm.BatchGetSecretValueOutput, error)
	ListSecrets(context.Context, *sm.ListSecretsInput, ...func(*sm.Options)) (*sm.ListSecretsOutput, error)
	CreateSecret(context.Context, *sm.CreateSecretInput, ...func(*sm.Options)) (*sm.CreateSecretOutput, error)
	PutSecretValue(context.Context, *sm.PutSecretValueInput, ...func(*sm.Options)) (*sm.PutSecretValueOutput, error)
	DeleteSecret(context.Context, *sm.DeleteSecretInput, ...func(*sm.Options)) (*sm.DeleteSecretOutput, error)
	DescribeSecret(context.Context, *sm.DescribeSecretInput, ...func(*sm.Options)) (*sm.DescribeSecretOutput, error)
	RestoreSecret(context.Context, *sm.RestoreSecretInput, ...func(*sm.Options)) (*sm.RestoreSecretOutput, error)
	ReplicateSecretToRegions(context.Context, *sm.ReplicateSecretToRegionsInput, ...func(*sm.Options)) (*sm.ReplicateSecretToRegionsOutput, error)
	RemoveRegionsFromReplication(context.Context, *sm.RemoveRegionsFromReplicationInput, ...func(*sm.Options)) (*sm.RemoveRegionsFromReplicationOutput, error)
}

// driver is Secrets Manager as the engine sees it.
type driver struct {
	client Client
	config
	prefix string // the full one, with its slash
	guard  guard
	seen   engine.Sightings[sighting]
}

var (
	_ engine.Driver     = (*driver)(nil)
	_ engine.ManyGetter = (*driver)(nil)
	_ engine.Lister     = (*driver)(nil)
)

// FullName implements engine.Driver.
func (d *driver) FullName(name string) string { return d.prefix + name }

// Limits implements engine.Driver.
func (d *driver) Limits() engine.Limits {
	return engine.Limits{
		Name: maxName - len(d.prefix), Value: maxValue, Parallel: 8, Batch: maxBatch,
		Writes: d.quota, Per: 24 * time.Hour,
	}
}

// Staging labels: that of the newest version, and of the one that was before it (API reference, GetSecretValue).
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
)

// Get implements engine.Driver.
func (d *driver) Get(ctx context.Context, name string, after engine.Rev) (engine.Record, engine.Rev, error) {
	known := d.seen.Of(name)
	rec, r, err := d.get(ctx, name, after, known)
	if err == nil {
		d.noteRead(name, known, rec, revision(r))
	}
	return rec, r, err
}

func (d *driver) get(ctx context.Context, name string, after engine.Rev, known sighting) (engine.Record, engine.Rev, error) {
	in := &sm.GetSecretValueInput{SecretId: aws.String(d.FullName(name))}
	out, err := d.client.GetSecretValue(ctx, in)
	if isInvalidRequest(err) {
		if rev, ok := d.deleted(ctx, in.SecretId, err); ok {
			return engine.Record{}, rev, nil
		}
		out, err = d.client.GetSecretValue(ctx, in) // restored or made anew since, perhaps
	}
	switch {
	case isInvalidRequest(err) && saysDeleted(err): // and deleted again
		return engine.Record{}, notThere, nil
	case err != nil && !isNotFound(err):
		return engine.Record{}, engine.None, d.fail("GetSecretValue", name, false, err)
	}
	switch out, err = d.notOlder(ctx, name, known, out); {
	case err != nil:
		return engine.Record{}, engine.None, err
	case out == nil:
		return d.absent(ctx, name, after)
	}
	if r := revision(after); r.version == aws.ToString(out.VersionId) && r.arn == aws.ToString(out.ARN) {
		return d.follow(ctx, name, r, out)
	}
	return d.record(name, out, 0)
}

// version reads a version by its id, whatever its labels are.
func (d *driver) version(ctx context.Context, arn, id string) (*sm.GetSecretValueOutput, error) {
	return d.client.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String(arn), VersionId: aws.String(id)})
}

// record reads the record of an answer, to be written over with the counter.
func (d *driver) record(name string, out *sm.GetSecretValueOutput, counter int) (engine.Record, engine.Rev, error) {
	rec, err := engine.UnmarshalBytes(d.FullName(name), []byte(aws.ToString(out.SecretString)))
	if err != nil {
		return engine.Record{}, engine.None, err
	}
	return rec, rev{arn: aws.ToString(out.ARN), version: aws.ToString(out.VersionId), counter: counter}.encode(), nil
}

// absent is a secret that is not there, or has no current version. Only the latter's revision differs:
// it is looked for once a CreateSecret has found the name taken.
func (d *driver) absent(ctx context.Context, name string, after engine.Rev) (engine.Record, engine.Rev, error) {
	if after != notThere {
		return engine.Record{}, notThere, nil
	}
	out, err := d.client.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String(d.FullName(name))})
	switch {
	case isNotFound(err) || isInvalidRequest(err):
		return engine.Record{}, notThere, nil
	case err != nil:
		return engine.Record{}, engine.None, d.fail("DescribeSecret", name, false, err)
	case out.DeletedDate != nil:
		return engine.Record{}, waiting(out), nil
	}
	r := rev{arn: aws.ToString(out.ARN), version: labelled(out, current)}
	if r.version == "" {
		return engine.Record{}, r.encode(), nil
	}
	// It has a value, and the read by name lags behind.
	v, err := d.version(ctx, r.arn, r.version)
	switch {
	case isNotFound(err) || isInvalidRequest(err):
		return engine.Record{}, notThere, nil
	case err != nil:
		return engine.Record{}, engine.None, d.fail("GetSecretValue", name, false, err)
	}
	return d.record(name, v, 0)
}

// Put implements engine.Driver. Versions are free in Secrets Manager: there is nothing to tidy.
func (d *driver) Put(ctx context.Context, name string, base engine.Rev, rec engine.Record, _ int) (engine.Rev, error) {
	if err := d.refuseUnguarded("PutSecretValue", name); err != nil {
		return engine.None, err
	}
	rec.Base = engine.Rev(revision(base).version) // the ARN holds the token's id
	value, err := engine.MarshalBytes(rec)
	if err != nil {
		return engine.None, err
	}
	var made engine.Rev
	switch r := revision(base); {
	case r == rev{}:
		made, err = d.create(ctx, name, rec, string(value))
	case r.waiting:
		made, err = d.restore(ctx, name, r, string(value))
	default:
		made, err = d.put(ctx, name, r, string(value))
	}
	if err == nil {
		d.noteWrite(name, rec, revision(made))
	}
	return made, err
}

// put makes the version that follows r current.
//
// Its id is derived from r's. Two writers that read the same version send the same id, and Secrets
// Manager refuses other content under an id that exists: the second one loses, in this one call. The
// SDK's own second try sends the same content, which succeeds and does nothing. The secret is named by
// its ARN, which ends in six characters that a secret of the same name made later does not have.
func (d *driver) put(ctx context.Context, name string, r rev, value string) (engine.Rev, error) {
	in := &sm.PutSecretValueInput{
		SecretId:           aws.String(r.arn),
		ClientRequestToken: aws.String(r.successor()),
		SecretString:       aws.String(value),
	}
	var w writing
	out, err := d.client.PutSecretValue(ctx, in, w.retries)
	switch {
	case err == nil:
		return d.written(ctx, "PutSecretValue", name, *in.ClientRequestToken, value, out.ARN, out.VersionId, out.ResultMetadata)
	case isExists(err), isNotFound(err), isInvalidRequest(err) && saysDeleted(err): // taken, or the secret is gone
		return engine.None, d.conflict("PutSecretValue", name, err)
	case refused(err) && !w.again.Load():
		return engine.None, engine.NotWritten(d.fail("PutSecretValue", name, true, err))
	default:
		return engine.None, d.fail("PutSecretValue", name, true, err)
	}
}

// create makes the secret with its first version, whose id is the record's write id.
//
// It is sent again only if it surely has made nothing. Secrets Manager makes the secret whatever was there before: were it
// deleted between two tries of the SDK, the second would bring the token back, and nothing would list it.
func (d *driver) create(ctx context.Context, name string, rec engine.Record, value string) (engine.Rev, error) {
	in := &sm.CreateSecretInput{
		Name:               aws.String(d.FullName(name)),
		ClientRequestToken: aws.String(versionID("create", rec.WriteID)),
		SecretString:       aws.String(value),
		AddReplicaRegions:  d.copies(),
	}
	if d.kmsKeyID != "" {
		in.KmsKeyId = aws.String(d.kmsKeyID)
	}
	if d.description != "" {
		in.Description = aws.String(d.description)
	}
	for key, value := range d.tags {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	w := writing{once: true}
	out, err := d.client.CreateSecret(ctx, in, w.retries)
	switch {
	case err == nil:
		return d.written(ctx, "CreateSecret", name, *in.ClientRequestToken, value, out.ARN, out.VersionId, out.ResultMetadata)
	case isExists(err):
		return engine.None, unmade(d.conflict("CreateSecret", name, err))
	case isInvalidRequest(err) && saysDeleted(err):
		return d.createOver(ctx, name, value, err)
	default:
		return engine.None, unmade(d.fail("CreateSecret", name, true, err))
	}
}

// copies are the regions in which a secret is to have copies.
func (d *driver) copies() []types.ReplicaRegionType {
	var copies []types.ReplicaRegionType
	for _, region := range d.replicas {
		copies = append(copies, types.ReplicaRegionType{Region: aws.String(region)})
	}
	return copies
}
