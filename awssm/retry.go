package awssm

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// A writing is one write, as the client tries it.
//
// The client does not send again what a quota has refused. The SDK takes LimitExceededException for a rate limit (package
// aws/retry, DefaultThrottleErrorCodes) and would be refused twice more, seconds later; the quota of versions comes back
// after hours.
type writing struct {
	once  bool        // it is not sent again after an attempt that may have taken effect
	again atomic.Bool // it was
}

// retries is an option of the call.
func (w *writing) retries(o *sm.Options) {
	if o.Retryer != nil {
		o.Retryer = writeRetryer{o.Retryer, w}
	}
}

// writeRetryer is the client's own retryer but for that.
type writeRetryer struct {
	aws.Retryer
	writing *writing
}

// IsErrorRetryable implements aws.Retryer.
func (r writeRetryer) IsErrorRetryable(err error) bool {
	var quota *types.LimitExceededException
	if errors.As(err, &quota) || !r.Retryer.IsErrorRetryable(err) {
		return false
	}
	if refused(err) {
		return true
	}
	r.writing.again.Store(true)
	return !r.writing.once
}

// GetAttemptToken implements aws.RetryerV2, which embedding would hide.
func (r writeRetryer) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	if v2, ok := r.Retryer.(aws.RetryerV2); ok {
		return v2.GetAttemptToken(ctx)
	}
	return r.GetInitialToken(), nil
}
