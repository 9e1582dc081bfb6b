package gcpsm

import (
	"time"

	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
)

// readRetry is how reads are tried again: the client's own settings begin with a pause of two seconds
// and have no end. Writes are not tried again here: the engine settles them.
var readRetry = gax.WithRetry(func() gax.Retryer {
	return &readRetryer{
		Retryer: gax.OnCodes([]codes.Code{codes.Unavailable, codes.ResourceExhausted, codes.Internal}, gax.Backoff{
			Initial: 50 * time.Millisecond, Max: time.Second, Multiplier: 2,
		}),
		left: 3,
	}
})

// sentOnce keeps the client from sending a version again, even if it was configured to. So a refusal answers the only
// attempt, and the engine knows that nothing was written.
var sentOnce = gax.WithRetry(func() gax.Retryer { return nil })

// readRetryer is a gax.Retryer with an end.
type readRetryer struct {
	gax.Retryer
	left int
}

// Retry implements gax.Retryer.
func (r *readRetryer) Retry(err error) (time.Duration, bool) {
	if r.left--; r.left < 0 {
		return 0, false
	}
	return r.Retryer.Retry(err)
}
