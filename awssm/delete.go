package awssm

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// Delete implements engine.Driver.
//
// A Put that names the ARN of a deleted secret is refused, and a secret of the same name that is made
// later has another ARN. But one that waits in its recovery window can be restored, by a save under
// its name among others, and then is what it was. So there a tombstone becomes its current version
// first.
func (d *driver) Delete(ctx context.Context, name string, base engine.Rev, tombstone engine.Record) error {
	if d.recovery > 0 && tombstone.Base == base {
		// Where the quota of versions leaves no room for a tombstone, the delete matters more.
		if _, err := d.Put(ctx, name, base, tombstone, 0); err != nil && !errors.Is(err, engine.ErrExhausted) {
			return err
		}
	}
	arn := aws.String(revision(base).arn)
	err := d.remove(ctx, arn)
	var replicated *types.InvalidParameterException // a secret with copies cannot be deleted
	switch {
	case isInvalidRequest(err) && d.isDeleted(ctx, arn, err):
		return nil
	case errors.As(err, &replicated):
		if err := d.withdrawReplicas(ctx, name, arn); err != nil {
			return err
		}
		err = d.remove(ctx, arn)
	}
	if isNotFound(err) {
		return nil
	}
	return d.fail("DeleteSecret", name, false, err)
}

func (d *driver) remove(ctx context.Context, arn *string) error {
	in := &sm.DeleteSecretInput{SecretId: arn}
	if d.recovery > 0 {
		in.RecoveryWindowInDays = aws.Int64(d.recovery)
	} else {
		in.ForceDeleteWithoutRecovery = aws.Bool(true)
	}
	_, err := d.client.DeleteSecret(ctx, in)
	return err
}

// withdrawReplicas removes the copies in other regions, those that the store asked for and those that
// others have added.
func (d *driver) withdrawReplicas(ctx context.Context, name string, arn *string) error {
	out, err := d.client.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: arn})
	if err != nil {
		return d.fail("DescribeSecret", name, false, err)
	}
	in := &sm.RemoveRegionsFromReplicationInput{SecretId: arn}
	for _, r := range out.ReplicationStatus {
		in.RemoveReplicaRegions = append(in.RemoveReplicaRegions, aws.ToString(r.Region))
	}
	if len(in.RemoveReplicaRegions) == 0 {
		return nil // DeleteSecret will say what there is to say
	}
	_, err = d.client.RemoveRegionsFromReplication(ctx, in)
	return d.fail("RemoveRegionsFromReplication", name, false, err)
}

// isDeleted tells a secret that waits for deletion, or is just being deleted, from others for which an
// operation is refused as cause says. Without the permission to ask, the text has to do.
func (d *driver) isDeleted(ctx context.Context, id *string, cause error) bool {
	out, err := d.client.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: id})
	switch {
	case isNotFound(err) || isInvalidRequest(err):
		return true
	case err != nil:
		return saysDeleted(cause)
	}
	return out.DeletedDate != nil
}

// saysDeleted tells that cause of an InvalidRequestException from its others, where there is nothing
// but the text to go by: "marked for deletion", "scheduled for deletion", "was deleted".
func saysDeleted(err error) bool {
	text := err.Error()
	return strings.Contains(text, "for deletion") || strings.Contains(text, "was deleted")
}

// restore writes a value to a secret that waits for deletion. A name that is still blocked by a
// deletion at once, which Secrets Manager carries out asynchronously, is engine.ErrBlocked.
func (d *driver) restore(ctx context.Context, name, value string, refusal error) (engine.Rev, error) {
	out, err := d.client.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String(d.FullName(name))})
	switch {
	case isNotFound(err) || isInvalidRequest(err):
		return engine.None, d.blocked(name, refusal)
	case err != nil:
		return engine.None, d.fail("DescribeSecret", name, true, err)
	case out.DeletedDate == nil && saysDeleted(refusal): // restored by somebody else since
		return engine.None, d.conflict("CreateSecret", name, refusal)
	case out.DeletedDate == nil:
		return engine.None, d.fail("CreateSecret", name, true, refusal)
	}
	_, err = d.client.RestoreSecret(ctx, &sm.RestoreSecretInput{SecretId: out.ARN})
	switch {
	case isNotFound(err) || isInvalidRequest(err):
		return engine.None, d.blocked(name, refusal)
	case err != nil:
		return engine.None, d.fail("RestoreSecret", name, true, err)
	}
	made, err := d.put(ctx, name, rev{arn: aws.ToString(out.ARN), version: currentVersion(out)}, value)
	if err != nil && !errors.Is(err, engine.ErrConflict) && !errors.Is(err, oauthstore.ErrUnavailable) {
		d.deleteAgain(ctx, out.ARN)
	}
	return made, err
}

// deleteAgain takes back a RestoreSecret after which nothing could be written. It may fail: then the
// restored secret stays, a tombstone unless others than this library deleted it.
func (d *driver) deleteAgain(ctx context.Context, arn *string) {
	in := &sm.DeleteSecretInput{SecretId: arn}
	if d.recovery > 0 {
		in.RecoveryWindowInDays = aws.Int64(d.recovery)
	}
	_, _ = d.client.DeleteSecret(ctx, in)
}

func (d *driver) blocked(name string, refusal error) error {
	f := d.fail("CreateSecret", name, true, refusal).(*engine.Fault)
	f.Class = engine.ErrBlocked
	return f
}

// currentVersion returns the id of the version with the label AWSCURRENT, empty if there is none.
func currentVersion(out *sm.DescribeSecretOutput) string {
	for id, labels := range out.VersionIdsToStages {
		if slices.Contains(labels, current) {
			return id
		}
	}
	return ""
}
