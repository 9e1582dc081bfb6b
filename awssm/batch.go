package awssm

import (
	"context"
	"errors"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"github.com/oauthstore/oauthstore/internal/engine"
)

// maxBatch is the most secrets that one BatchGetSecretValue reads (API reference).
const maxBatch = 20

// GetMany implements engine.ManyGetter. Names for which the batch has no value, whatever its reason,
// are left to Get, as are all where the batch is not to be had: the permission is missing, or the
// server, an emulator, does not know the call.
func (d *driver) GetMany(ctx context.Context, names []string, yield func(string, engine.Record, engine.Rev, error)) {
	missing := make(map[string]string, len(names)) // full name to name
	for _, name := range names {
		missing[d.FullName(name)] = name
	}
	in := &sm.BatchGetSecretValueInput{}
	for _, name := range names {
		in.SecretIdList = append(in.SecretIdList, d.FullName(name))
	}
	for more := true; more; more = aws.ToString(in.NextToken) != "" {
		out, err := d.client.BatchGetSecretValue(ctx, in)
		if noBatch(err) {
			break
		}
		if err != nil {
			for _, name := range missing {
				yield(name, engine.Record{}, engine.None, d.fail("BatchGetSecretValue", name, false, err))
			}
			return
		}
		d.values(out, missing, yield)
		in.NextToken = out.NextToken
	}
	for _, name := range missing {
		yield(name, engine.Record{}, engine.None, engine.ErrAlone)
	}
}

// values yields what a batch has brought and takes it off the missing ones, unless it may be older than what was seen
// before. A secret that is not there is an error of its own in the answer.
func (d *driver) values(out *sm.BatchGetSecretValueOutput, missing map[string]string, yield func(string, engine.Record, engine.Rev, error)) {
	for _, v := range out.SecretValues {
		full := aws.ToString(v.Name)
		name, ok := missing[full]
		out := &sm.GetSecretValueOutput{ARN: v.ARN, VersionId: v.VersionId, SecretString: v.SecretString}
		if !ok || !d.seen.Of(name).allows(out) {
			continue
		}
		delete(missing, full)
		rec, rev, err := d.record(name, out, 0)
		yield(name, rec, rev, err)
	}
	for _, e := range out.Errors {
		full := aws.ToString(e.SecretId)
		name, ok := missing[full]
		if ok && aws.ToString(e.ErrorCode) == "ResourceNotFoundException" && d.seen.Of(name).allows(nil) {
			delete(missing, full)
			yield(name, engine.Record{}, notThere, nil)
		}
	}
}

// noBatch reports whether BatchGetSecretValue cannot be used at all, though GetSecretValue perhaps can.
func noBatch(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "AccessDeniedException", "AccessDenied",
		"UnknownOperationException", "UnknownOperation", "InvalidAction", "NotImplemented", "NotImplementedException":
		return true
	}
	var response *awshttp.ResponseError
	return errors.As(err, &response) && response.HTTPStatusCode() == http.StatusNotImplemented
}
