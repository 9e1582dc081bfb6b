package awssm

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/oauthstore/oauthstore/internal/engine"
)

// Delete implements engine.Driver.
//
// A Put that names the ARN of a deleted secret is refused, and a secret of the same name that is made
// later has another ARN. But one that waits in its recovery window can be restored, by a save under
// its name among others, and then is what it was. So there a tombstone becomes its current version
// first.
func (d *driver) Delete(ctx context.Context, name string, base engine.Rev, tombstone engine.Record) error {
	err := d.destroy(ctx, name, base, tombstone)
	if err == nil {
		d.noteDelete(name, revision(base).arn)
	}
	return err
}

func (d *driver) destroy(ctx context.Context, name string, base engine.Rev, tombstone engine.Record) error {
	r := revision(base)
	if r.waiting { // a Put would restore it
		return nil
	}
	if err := d.refuseUnguarded("DeleteSecret", name); err != nil {
		return err
	}
	if d.recovery > 0 && tombstone.Base == base {
		// Where the quota of versions leaves no room for a tombstone, the delete matters more.
		if _, err := d.Put(ctx, name, base, tombstone, 0); err != nil && !errors.Is(err, engine.ErrExhausted) {
			return err
		}
	}
	op, err := "DeleteSecret", d.remove(ctx, &r.arn)
	var replicated *types.InvalidParameterException // a secret with copies cannot be deleted
	if errors.As(err, &replicated) {
		op, err = d.removeReplicated(ctx, &r.arn)
	}
	if isNotFound(err) {
		return nil
	}
	if isInvalidRequest(err) {
		if _, ok := d.deleted(ctx, &r.arn, err); ok {
			return nil
		}
	}
	return d.fail(op, name, false, err)
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

// removeReplicated is remove for a secret with copies in other regions, those that the store asked for and
// those that others have added. It returns the error of the call that it names.
func (d *driver) removeReplicated(ctx context.Context, arn *string) (op string, err error) {
	out, err := d.client.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: arn})
	if err != nil {
		return "DescribeSecret", err
	}
	in := &sm.RemoveRegionsFromReplicationInput{SecretId: arn}
	for _, r := range out.ReplicationStatus {
		in.RemoveReplicaRegions = append(in.RemoveReplicaRegions, aws.ToString(r.Region))
	}
	if len(in.RemoveReplicaRegions) > 0 {
		if _, err := d.client.RemoveRegionsFromReplication(ctx, in); err != nil {
			return "RemoveRegionsFromReplication", err
		}
	}
	return "DeleteSecret", d.remove(ctx, arn)
}

// deleted tells a secret that waits for deletion, or is just being deleted, from others for which an
// operation is refused as cause says, and returns the revision that a Put can be made on. Without the
// permission to ask, the text has to do.
func (d *driver) deleted(ctx context.Context, id *string, cause error) (engine.Rev, bool) {
	out, err := d.client.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: id})
	switch {
	case isNotFound(err) || isInvalidRequest(err):
		return notThere, true
	case err != nil:
		return notThere, saysDeleted(cause)
	case out.DeletedDate == nil:
		return engine.None, false
	case saysGone(cause):
		return notThere, true
	}
	return waiting(out), true
}

// waiting is the revision of a secret that waits for deletion.
func waiting(out *sm.DescribeSecretOutput) engine.Rev {
	return rev{arn: aws.ToString(out.ARN), version: labelled(out, current), waiting: true}.encode()
}

// saysDeleted tells that cause of an InvalidRequestException from its others, where there is nothing
// but the text to go by.
func saysDeleted(err error) bool {
	return saysWaiting(err) || saysGone(err) || strings.Contains(err.Error(), "marked deleted") // moto
}

// saysWaiting tells of a secret in its recovery window: "marked for deletion", "scheduled for deletion".
func saysWaiting(err error) bool { return strings.Contains(err.Error(), "for deletion") }

// saysGone tells of a secret that was deleted without one, which Secrets Manager does not do at once.
func saysGone(err error) bool { return strings.Contains(err.Error(), "was deleted") }
