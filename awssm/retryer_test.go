package awssm

import (
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// noRetry is a retryer for clients that are not to try again, so that every fault reaches the store. It
// makes one exception, for a connection that breaks while a large answer is read, which happens on a busy
// machine now and then and is no fault of a test's.
func noRetry() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 3
		o.RateLimiter = ratelimit.None
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
		o.Retryables = []retry.IsErrorRetryable{halfAnswer}
	})
}

// halfAnswer is an answer that broke off.
var halfAnswer = retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
	var half *smithy.DeserializationError
	if errors.As(err, &half) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
})
