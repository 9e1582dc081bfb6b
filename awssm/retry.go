package awssm

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// notOverQuota keeps the client from sending again what a quota has refused. The SDK takes
// LimitExceededException for a rate limit (package aws/retry, DefaultThrottleErrorCodes) and would be
// refused twice more, seconds later; the quota of versions comes back after hours.
func notOverQuota(o *sm.Options) {
	if o.Retryer != nil {
		o.Retryer = quotaRetryer{o.Retryer}
	}
}

// onceMade keeps the client from sending a CreateSecret again after an attempt that may have made the secret.
func onceMade(o *sm.Options) {
	if o.Retryer != nil {
		o.Retryer = createRetryer{quotaRetryer{o.Retryer}}
	}
}

// createRetryer is the client's own retryer but for that.
type createRetryer struct{ quotaRetryer }

// IsErrorRetryable implements aws.Retryer.
func (r createRetryer) IsErrorRetryable(err error) bool {
	return refused(err) && r.quotaRetryer.IsErrorRetryable(err)
}

// quotaRetryer is the client's own retryer but for that.
type quotaRetryer struct{ aws.Retryer }

// IsErrorRetryable implements aws.Retryer.
func (r quotaRetryer) IsErrorRetryable(err error) bool {
	var quota *types.LimitExceededException
	return !errors.As(err, &quota) && r.Retryer.IsErrorRetryable(err)
}

// GetAttemptToken implements aws.RetryerV2, which embedding would hide.
func (r quotaRetryer) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	if v2, ok := r.Retryer.(aws.RetryerV2); ok {
		return v2.GetAttemptToken(ctx)
	}
	return r.GetInitialToken(), nil
}
