package awssm

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/oauthstore/oauthstore/internal/engine"
)

// maxFollow is how many versions follow walks. A read that lags behind by more, in the moments since
// the Put that was refused, is not to be expected at 100 versions a day.
const maxFollow = 16

// follow finds what came after r, on which a Put was refused though shown, a read, has it as the current
// version. The derived version exists, then. Either the read lags behind, and the current version is
// found by walking the derived ids; or somebody has moved AWSCURRENT back to r, and all writers derive the
// next id with a higher counter. Where it is neither, the walk lags behind as well, or the current version
// came by other means than this library's: a Put on r is refused until the read by name shows that one.
func (d *driver) follow(ctx context.Context, name string, r rev, shown *sm.GetSecretValueOutput) (engine.Record, engine.Rev, error) {
	walked, err := d.successors(ctx, name, r)
	switch {
	case isInvalidRequest(err) && saysDeleted(err): // since the read by name
		return engine.Record{}, notThere, nil
	case err != nil:
		return engine.Record{}, engine.None, err
	}
	if n := len(walked); n > 0 && isCurrent(walked[n-1]) {
		return d.record(name, walked[n-1], 0)
	}
	if len(walked) > 0 && d.movedBack(ctx, r, walked) {
		return d.record(name, shown, r.counter+1)
	}
	return d.record(name, shown, r.counter)
}

// successors reads the versions whose ids are derived from r, one after another, and returns those that exist, up to the
// current one.
func (d *driver) successors(ctx context.Context, name string, r rev) ([]*sm.GetSecretValueOutput, error) {
	var walked []*sm.GetSecretValueOutput
	for next := r; len(walked) < maxFollow; {
		out, err := d.version(ctx, r.arn, next.successor())
		if isNotFound(err) {
			break
		}
		if err != nil {
			return nil, d.fail("GetSecretValue", name, false, err)
		}
		walked = append(walked, out)
		if isCurrent(out) {
			break
		}
		next = rev{arn: r.arn, version: aws.ToString(out.VersionId)}
	}
	return walked, nil
}

func isCurrent(out *sm.GetSecretValueOutput) bool { return slices.Contains(out.VersionStages, current) }

// movedBack reports whether AWSCURRENT was moved back to r after the versions derived from it were made. A
// write on r would undo them if it was not. So only one answer counts, that cannot be from before: its
// AWSPREVIOUS, which is what AWSCURRENT was moved away from, is one of those versions or a newer one.
func (d *driver) movedBack(ctx context.Context, r rev, derived []*sm.GetSecretValueOutput) bool {
	out, err := d.client.DescribeSecret(ctx, &sm.DescribeSecretInput{SecretId: aws.String(r.arn)})
	if err != nil || labelled(out, current) != r.version {
		return false
	}
	left := labelled(out, previous)
	for _, v := range derived {
		if aws.ToString(v.VersionId) == left {
			return true
		}
	}
	if left == "" {
		return false
	}
	v, err := d.version(ctx, r.arn, left)
	return err == nil && aws.ToTime(v.CreatedDate).After(aws.ToTime(derived[0].CreatedDate))
}

// labelled returns the id of the version with a staging label, empty if there is none.
func labelled(out *sm.DescribeSecretOutput, label string) string {
	for id, labels := range out.VersionIdsToStages {
		if slices.Contains(labels, label) {
			return id
		}
	}
	return ""
}
