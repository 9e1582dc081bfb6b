// Package cloud holds the stores of AWS and Google against servers that are not this project's own. It is apart
// from the tests of Vault because Vault takes minutes to compile.
package cloud

import (
	"context"
	"time"
)

var ctx = context.Background()

// converges is how long a service may take to show a change: both document minutes for most.
const converges = 5 * time.Minute
