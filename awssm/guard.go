package awssm

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// A guard is what a driver knows of the server's refusals: of a CreateSecret under a name that is taken, and of other
// content under a version id that exists. Every write rests on them, AWS documents them, and some emulators do not have
// them.
type guard struct {
	holds  atomic.Bool // the server has refused both
	absent atomic.Bool // the server has not: the driver writes nothing more
}

// awsDomains are the domains of AWS's own endpoints, VPC endpoints included. In a partition that is missing here a process's
// first write costs two calls more.
var awsDomains = []string{
	"amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "api.aws", "api.amazonwebservices.com.cn", "api.amazonwebservices.eu",
}

// fromAWS reports whether an answer is of one of AWS's endpoints. The endpoint is taken from the request that was sent,
// so that it is known however the client came by it, and also behind a Client that is not the SDK's.
func fromAWS(answer middleware.Metadata) bool {
	response, ok := awsmiddleware.GetRawResponse(answer).(*smithyhttp.Response)
	if !ok || response.Response == nil || response.Request == nil || response.Request.URL == nil {
		return false
	}
	host := response.Request.URL.Hostname()
	return slices.ContainsFunc(awsDomains, func(domain string) bool { return strings.HasSuffix(host, "."+domain) })
}

// written returns the revision that a write has made, of the value and with the token as the version's id.
//
// At the first write it makes sure that the server guards writes: see checkGuard.
func (d *driver) written(ctx context.Context, op, name, token, value string, arn, version *string, answer middleware.Metadata) (engine.Rev, error) {
	made := rev{arn: aws.ToString(arn), version: token}
	id := aws.ToString(version)
	switch {
	case d.unguarded:
		if id != "" {
			made.version = id
		}
	case id != "" && id != token:
		d.guard.absent.Store(true)
		return engine.None, d.noGuard(op, name, nil)
	case !d.guard.holds.Load() && !fromAWS(answer):
		if err := d.checkGuard(ctx, name, made, value+" "); err != nil {
			return engine.None, err
		}
	}
	return made.encode(), nil
}

// checkGuard makes sure of the server after the first write, which has made a version: it sends other content under the
// version's id, and for the secret's name. Both must be refused. The other content differs by a space at the end, so that
// nothing is lost if it is not. If a check gets no answer, the next write repeats it, and the
// engine treats this write as any write without an answer.
//
// Checking only what the first write rests on would not do. The first write of another process, of either kind, destroys
// what was saved before that process finds out.
func (d *driver) checkGuard(ctx context.Context, name string, made rev, other string) error {
	_, err := d.client.PutSecretValue(ctx, &sm.PutSecretValueInput{
		SecretId: aws.String(made.arn), ClientRequestToken: aws.String(made.version), SecretString: aws.String(other),
	}, new(writing).retries)
	if !isExists(err) {
		return d.failCheck("PutSecretValue", name, err)
	}
	_, err = d.client.CreateSecret(ctx, &sm.CreateSecretInput{
		Name: aws.String(d.FullName(name)), ClientRequestToken: aws.String(versionID("check", made.version)), SecretString: aws.String(other),
	}, new(writing).retries)
	denied := errors.Is(d.fail("CreateSecret", name, true, err), oauthstore.ErrAccessDenied) // then it overwrites none
	if !isExists(err) && !denied {
		return d.failCheck("CreateSecret", name, err)
	}
	d.guard.holds.Store(true)
	return nil
}

// failCheck is the error of a check that was not refused, or of which that is not known.
func (d *driver) failCheck(op, name string, err error) error {
	if err == nil {
		d.guard.absent.Store(true)
		return d.noGuard(op, name, nil)
	}
	f := d.fail(op, name, true, err).(*engine.Fault)
	f.Message = "it could not be made sure that the server guards writes"
	if !passes(f) {
		f.Class = nil // which could say that the value is not written
	}
	return f
}

// noGuard is the error of a server that does not guard writes. cause is nil unless there is more to say.
func (d *driver) noGuard(op, name string, cause error) error {
	if cause == nil {
		cause = oauthstore.ErrNoCompareAndSet
	}
	return &engine.Fault{Backend: "awssm", Op: op, Secret: d.FullName(name), Class: oauthstore.ErrNoCompareAndSet, Err: cause,
		Message: "the server overwrites what it must not, a secret that exists or a version with the same ClientRequestToken, " +
			"so that savers at the same time would lose tokens: see WithoutWriteCheck"}
}

// refuseUnguarded is the error of all writes once the server was seen not to guard them.
func (d *driver) refuseUnguarded(op, name string) error {
	if !d.guard.absent.Load() {
		return nil
	}
	return d.noGuard(op, name, engine.ErrNotWritten)
}
