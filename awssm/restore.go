package awssm

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// createOver writes a value where CreateSecret was refused since a deleted secret has the name still. One
// that waits in a recovery window is restored; one that Secrets Manager is still removing, which it does
// asynchronously, is engine.ErrBlocked. Only the former needs more permissions. Without them it is the latter
// where the refusal may speak of it: it calls that scheduled for deletion too.
func (d *driver) createOver(ctx context.Context, name, value string, refusal error) (engine.Rev, error) {
	if saysGone(refusal) {
		return engine.None, d.blocked("CreateSecret", name, refusal)
	}
	made, err := d.restoreByName(ctx, name, value, refusal)
	if errors.Is(err, oauthstore.ErrAccessDenied) && (d.recovery == 0 || !saysWaiting(refusal)) {
		f := d.blocked("CreateSecret", name, refusal).(*engine.Fault)
		f.Message = "or it waits in a recovery window: " + err.Error()
		return engine.None, f
	}
	return made, err
}

func (d *driver) restoreByName(ctx context.Context, name, value string, refusal error) (engine.Rev, error) {
	out, err := d.client.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String(d.FullName(name))})
	switch {
	case isNotFound(err) || isInvalidRequest(err):
		return engine.None, d.blocked("CreateSecret", name, refusal)
	case err != nil:
		return engine.None, engine.NotWritten(d.fail("DescribeSecret", name, false, err))
	case out.DeletedDate == nil: // restored by somebody else since
		return engine.None, d.conflict("CreateSecret", name, refusal)
	}
	return d.restore(ctx, name, revision(waiting(out)), value)
}

// How often restore tries and how long it waits in between, at first; and how long it may take to take back
// what it has done, even after the end of its context.
const (
	maxRestores  = 3
	restorePause = 50 * time.Millisecond
	takeBackTime = 2 * time.Second
)

// restore writes a value to a secret that waits for deletion.
//
// From the RestoreSecret to the PutSecretValue the deleted token is there again, and a save that finds it
// takes it for one to update. So restore does not leave it at that where one of the two fails: it tries them
// again, with the same version id and the same value, which does nothing where they have succeeded before;
// in the end it deletes the secret again.
func (d *driver) restore(ctx context.Context, name string, r rev, value string) (engine.Rev, error) {
	restored := false // or may have been
	written := false  // likewise
	var failure error
	for try := range maxRestores {
		if try > 0 && !pause(ctx, restorePause<<(try-1)) {
			break
		}
		_, err := d.client.RestoreSecret(ctx, &sm.RestoreSecretInput{SecretId: aws.String(r.arn)})
		refused := isNotFound(err) || isInvalidRequest(err)
		if refused && !restored {
			return engine.None, d.blocked("RestoreSecret", name, err)
		}
		if err == nil || refused { // where an earlier try has restored it, it may be refused
			restored = true
			made, err := d.put(ctx, name, r, value)
			if err == nil {
				return made, d.replicate(ctx, name, r)
			}
			failure, written = err, written || !errors.Is(err, engine.ErrNotWritten)
		} else {
			failure = d.fail("RestoreSecret", name, false, err)
			restored = restored || !errors.Is(failure, oauthstore.ErrAccessDenied)
		}
		if !passes(failure) {
			break
		}
	}
	if restored && !isExists(failure) {
		d.deleteAgain(ctx, r)
	}
	if !written {
		return engine.None, engine.NotWritten(failure)
	}
	if f, ok := failure.(*engine.Fault); ok {
		f.Outcome = nil // it was the last try's alone
	}
	return engine.None, failure
}

// passes reports whether a failure may be over when restore tries again. The service may not know of the
// RestoreSecret yet.
func passes(failure error) bool {
	return isInvalidRequest(failure) && saysDeleted(failure) ||
		errors.Is(failure, oauthstore.ErrUnavailable) ||
		errors.Is(failure, oauthstore.ErrThrottled) && !errors.Is(failure, engine.ErrExhausted)
}

// pause waits for d, or for the end of ctx. It reports whether ctx still runs then.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// deleteAgain takes back a RestoreSecret after which nothing could be written, unless another writer has saved
// a token since, or all that was restored is a tombstone. The end of ctx, which may be why nothing was written,
// does not keep it from that. It may fail: then the restored secret stays.
func (d *driver) deleteAgain(ctx context.Context, r rev) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBackTime)
	defer cancel()
	if _, err := d.version(ctx, r.arn, r.successor()); !isNotFound(err) {
		return // written after all; the read by name may not show that yet
	}
	out, err := d.client.GetSecretValue(ctx, &sm.GetSecretValueInput{SecretId: aws.String(r.arn)})
	if err != nil || aws.ToString(out.VersionId) != r.version {
		return
	}
	rec, err := engine.UnmarshalBytes("", []byte(aws.ToString(out.SecretString)))
	if err == nil && rec.Deleted {
		return
	}
	in := &sm.DeleteSecretInput{SecretId: aws.String(r.arn)}
	if d.recovery > 0 {
		in.RecoveryWindowInDays = aws.Int64(d.recovery)
	}
	_, _ = d.client.DeleteSecret(ctx, in)
}

// replicate makes the copies in other regions anew, of which a secret has to be rid before it is deleted.
func (d *driver) replicate(ctx context.Context, name string, r rev) error {
	copies := d.copies()
	if len(copies) == 0 {
		return nil
	}
	_, err := d.client.ReplicateSecretToRegions(ctx, &sm.ReplicateSecretToRegionsInput{
		SecretId: aws.String(r.arn), AddReplicaRegions: copies,
	})
	if err == nil {
		return nil
	}
	f := d.fail("ReplicateSecretToRegions", name, false, err).(*engine.Fault)
	f.Class = nil // which would say that the value is not written
	return f
}
