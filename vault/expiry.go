package vault

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// A mount with delete_version_after deletes every version that is written while it is set, after that time. A secret
// cannot overrule it, and an undelete begins the time again. So nothing is written there: neither tokens nor the index,
// which is written only when tokens come and go.
//
// MOUNT/config shows the setting. It takes a request of its own, so it is read before a process's first write and then
// only after an hour without a write: the answer to each write says when Vault is going to delete the version. If the
// setting is changed within that hour, one write of each process meets it and fails.

// keeping is what this process knows of whether the mount keeps its versions.
type keeping struct {
	mu     sync.Mutex
	asked  time.Time // when the mount was last known to keep its versions, or its config could not be read
	doomed time.Time // when a write was last answered with a time of deletion, which the config could not explain
}

const (
	keepingLasts = time.Hour
	doomedLasts  = 5 * time.Minute // then one write finds out whether the setting is still there
)

// checkKeeping makes sure that the mount keeps its versions, as far as that can be known before a write.
func (d *driver) checkKeeping(ctx context.Context) error {
	d.keeping.mu.Lock()
	asked, doomed := d.keeping.asked, d.keeping.doomed
	d.keeping.mu.Unlock()
	if time.Since(doomed) < doomedLasts {
		return d.deletes("")
	}
	if time.Since(asked) < keepingLasts {
		return nil
	}
	after, err := d.deleteVersionAfter(ctx)
	switch {
	case err != nil && !errors.Is(err, oauthstore.ErrAccessDenied):
		return err
	case after > 0:
		return d.deletes(after.String())
	}
	d.keeps()
	return nil
}

// keeps takes note that the mount keeps its versions.
func (d *driver) keeps() {
	d.keeping.mu.Lock()
	defer d.keeping.mu.Unlock()
	d.keeping.asked, d.keeping.doomed = time.Now(), time.Time{}
}

// checkWritten looks at the answer to a write: whether Vault is going to delete the version, and not because of the
// secret's own delete_version_after, which is its owner's wish.
func (d *driver) checkWritten(ctx context.Context, name string, answer *api.Secret) error {
	deletion, _ := answer.Data["deletion_time"].(string)
	if deletion == "" {
		d.keeps()
		return nil
	}
	after, err := d.deleteVersionAfter(ctx)
	if err == nil && after <= 0 {
		d.keeps()
		return nil
	}
	d.keeping.mu.Lock()
	d.keeping.asked = time.Time{}
	if err != nil {
		d.keeping.doomed = time.Now()
	}
	d.keeping.mu.Unlock()
	return &engine.Fault{Backend: "vault", Op: "write", Secret: d.FullName(name), Class: oauthstore.ErrMisconfigured,
		Message: fmt.Sprintf("it was written, and Vault is going to delete it at %s, by delete_version_after of the mount %q: set that "+
			"to 0 and save again, or run Repair", deletion, d.mount)}
}

// deleteVersionAfter reads the mount's setting. Without the permission to read it the error is ErrAccessDenied.
func (d *driver) deleteVersionAfter(ctx context.Context) (time.Duration, error) {
	const op = "read the configuration of mount"
	begin := time.Now()
	secret, err := d.client.Logical().ReadWithContext(ctx, d.mount+"/config")
	d.tell(ctx, getConfig, "", begin, err)
	if err != nil || secret == nil {
		return 0, d.failMount(op, err)
	}
	text, _ := secret.Data["delete_version_after"].(string)
	after, err := time.ParseDuration(text)
	if err != nil {
		return 0, nil // another kind of server: the answers to its writes show it
	}
	return after, nil
}

// deletes is the error of a write that was not made.
func (d *driver) deletes(after string) error {
	if after != "" {
		after = ", which is " + after
	}
	return &engine.Fault{Backend: "vault", Op: "write", Class: oauthstore.ErrMisconfigured,
		Message: fmt.Sprintf("the mount %q deletes every version after a time, which would lose tokens: set its "+
			"delete_version_after%s, to 0", d.mount, after)}
}

// deletionIn is when a version's metadata says that Vault deletes it, zero for never, and whether that is by
// delete_version_after: then it is whole seconds after the version was made. The time of any other deletion has
// nanoseconds.
func deletionIn(metadata map[string]any) (at time.Time, byTime bool) {
	made, err := timeIn(metadata, "created_time")
	at, err2 := timeIn(metadata, "deletion_time")
	if err != nil || err2 != nil {
		return time.Time{}, false
	}
	return at, at.Sub(made)%time.Second == 0
}

func timeIn(metadata map[string]any, field string) (time.Time, error) {
	text, _ := metadata[field].(string)
	return time.Parse(time.RFC3339Nano, text)
}
