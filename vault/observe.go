package vault

import (
	"context"
	"time"
)

// What an observer knows requests by: Vault's HTTP API has methods and paths, and no names. The client sends PUT where
// the documentation has POST, and GET with a parameter for LIST; both are the same to Vault.
const (
	getData      = "GET data"
	putData      = "PUT data"
	putMetadata  = "PUT metadata"
	listMetadata = "LIST metadata"
	putDestroy   = "PUT destroy"
	getConfig    = "GET config"
	getMount     = "GET sys/internal/ui/mounts"
)

// tell tells the observer of a request that began at begin. name is empty for one that is about no secret, or about
// several. Vault's message stays out of what is told: it may quote a token.
func (d *driver) tell(ctx context.Context, request, name string, begin time.Time, err error) {
	if name != "" {
		name = d.FullName(name)
	}
	d.observer.Request(ctx, request, name, begin, d.fault(request, name, true, err))
}
