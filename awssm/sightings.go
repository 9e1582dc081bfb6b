package awssm

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/oauthstore/oauthstore/internal/engine"
)

// sighting is the newest version of a secret that this process has lately written or read, or that the secret was
// deleted. The zero value means that nothing was seen.
type sighting struct {
	arn     string
	version string
	writeID string   // of that version
	earlier []string // the ids of the writes before it
	deleted bool
}

// sightingOf is the sighting of a record and its revision.
func sightingOf(rec engine.Record, r rev) sighting {
	return sighting{arn: r.arn, version: r.version, writeID: rec.WriteID, earlier: rec.Earlier}
}

// allows reports whether out, which is nil if a read has found no secret, is surely not older than s.
func (s sighting) allows(out *sm.GetSecretValueOutput) bool {
	switch {
	case s.arn == "":
		return true
	case out == nil || s.deleted:
		return s.deleted && (out == nil || aws.ToString(out.ARN) != s.arn)
	case aws.ToString(out.ARN) == s.arn && aws.ToString(out.VersionId) == s.version:
		return true
	}
	rec, err := engine.UnmarshalBytes("", []byte(aws.ToString(out.SecretString)))
	return err == nil && slices.Contains(rec.Earlier, s.writeID)
}

// notOlder returns out, what a read by name has shown, unless that is older than known: then it finds the current version
// by the ids that follow from known's. nil is that there is no secret, of both.
//
// It makes calls of its own only if out is not known to be as new: reads lag behind, another process has written four
// times or more, or has deleted the secret.
func (d *driver) notOlder(ctx context.Context, name string, known sighting, out *sm.GetSecretValueOutput) (*sm.GetSecretValueOutput, error) {
	if known.allows(out) {
		return out, nil
	}
	if known.deleted {
		desc, err := d.client.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String(known.arn)})
		if err == nil && desc.DeletedDate == nil {
			return out, nil // restored by other means
		}
		return nil, nil
	}
	behind := &engine.Fault{Backend: "awssm", Op: "GetSecretValue", Secret: d.FullName(name), Class: engine.ErrBehind, Err: engine.ErrBehind}
	last, err := d.version(ctx, known.arn, known.version)
	switch {
	case isNotFound(err) && out != nil && aws.ToString(out.ARN) == known.arn:
		return nil, behind // the secret is there, so that version is, too
	case isNotFound(err), isInvalidRequest(err) && saysDeleted(err):
		return out, nil
	case err != nil:
		return nil, d.fail("GetSecretValue", name, false, err)
	case out != nil && aws.ToTime(out.CreatedDate).After(aws.ToTime(last.CreatedDate)):
		return out, nil
	case isCurrent(last):
		return last, nil
	}
	later, err := d.successors(ctx, name, rev{arn: known.arn, version: known.version})
	if err != nil {
		return nil, err
	}
	later = append([]*sm.GetSecretValueOutput{last}, later...)
	last = later[len(later)-1]
	switch {
	case isCurrent(last):
		return last, nil
	case out == nil:
	case slices.Contains(last.VersionStages, previous), // no version follows the last: AWSCURRENT was moved back
		d.movedBack(ctx, rev{arn: aws.ToString(out.ARN), version: aws.ToString(out.VersionId)}, later):
		return out, nil
	}
	// A version that is not current must not be written on: if AWSCURRENT was moved back, no version id refuses that.
	return nil, behind
}

// noteRead takes note of what Get returns, unless something else was noted since known was.
func (d *driver) noteRead(name string, known sighting, rec engine.Record, r rev) {
	there := r.version != "" && !r.waiting
	if !there && known.arn == "" {
		return
	}
	d.seen.Update(name, func(now sighting) sighting {
		switch {
		case now.arn != known.arn || now.version != known.version || now.deleted != known.deleted:
			return now
		case !there:
			return sighting{arn: known.arn, deleted: true}
		}
		return sightingOf(rec, r)
	})
}

// noteWrite takes note of a version that was written, unless a later version was noted before.
func (d *driver) noteWrite(name string, rec engine.Record, r rev) {
	d.seen.Update(name, func(now sighting) sighting {
		if slices.Contains(now.earlier, rec.WriteID) {
			return now
		}
		return sightingOf(rec, r)
	})
}

// noteDelete takes note of a deleted secret.
func (d *driver) noteDelete(name, arn string) {
	d.seen.Update(name, func(sighting) sighting { return sighting{arn: arn, deleted: true} })
}
