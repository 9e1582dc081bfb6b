package vault

import (
	"context"
	"strings"
	"time"

	"github.com/oauthstore/oauthstore"
)

// lookUpMount is the operation of checkMount in errors.
const lookUpMount = "look up mount"

// checkMount makes sure, once, that the mount is a KV engine of version 2. In version 1 a write of
// version 2's form takes effect, under a wrong path and whatever was there; so it must not come to one.
// An answer that only version 2 gives settles it too: then there is nothing to ask.
//
// sys/internal/ui/mounts answers any token that may use the mount.
func (d *driver) checkMount(ctx context.Context) error {
	if d.isV2.Load() {
		return nil
	}
	begin := time.Now()
	secret, err := d.client.Logical().ReadWithContext(ctx, "sys/internal/ui/mounts/"+d.mount)
	d.tell(ctx, getMount, "", begin, err)
	if err != nil {
		return d.failMount(lookUpMount, err)
	}
	if secret == nil {
		return d.noMount(oauthstore.ErrMisconfigured, "nothing is mounted at %q in the client's namespace", d.mount)
	}
	kind, _ := secret.Data["type"].(string)
	path, _ := secret.Data["path"].(string)
	options, _ := secret.Data["options"].(map[string]any)
	switch {
	case path != d.mount+"/" && !strings.HasSuffix(path, "/"+d.mount+"/"): // the latter in a namespace below the client's
		return d.noMount(oauthstore.ErrMisconfigured, "%q is in the mount %q: the rest belongs to WithPrefix", d.mount, path)
	case kind != "kv" && kind != "generic":
		return d.noMount(oauthstore.ErrMisconfigured, "%q is a mount of type %q, want a KV secrets engine of version 2", d.mount, kind)
	case options["version"] != "2":
		return d.noMount(oauthstore.ErrNoCompareAndSet, "%q is a KV secrets engine of version 1, which has no check-and-set, so that "+
			"concurrent saves would lose tokens; want version 2 (vault kv enable-versioning %s)", d.mount, d.mount)
	}
	d.isV2.Store(true)
	return nil
}
