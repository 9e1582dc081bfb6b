package vault

import (
	"context"
	"errors"
	"regexp"
)

var secretName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// List implements engine.Lister. It is one request: Vault sends a folder's names all at once, those of deleted
// secrets too.
//
// Version 1 answers in the same form, so the answer settles nothing and the mount is looked at before.
func (d *driver) List(ctx context.Context, yield func(names []string) bool) error {
	if err := d.checkMount(ctx); err != nil {
		return err
	}
	const op = "list"
	secret, err := d.fetch(ctx, op, listMetadata, d.path("metadata", ""), "", map[string][]string{"list": {"true"}})
	if err != nil || secret == nil {
		return err
	}
	keys, ok := secret.Data["keys"].([]any)
	if !ok { // nothing there is a 404: this must not pass for it
		return d.fail(op, "", false, errors.New("an answer without names"))
	}
	var names []string
	for _, key := range keys {
		if name, _ := key.(string); d.mayBeOurs(name) {
			names = append(names, name)
		}
	}
	yield(names)
	return nil
}

// mayBeOurs tells the engine's names from folders, such as those of longer prefixes, and from what others keep
// in the same folder.
func (d *driver) mayBeOurs(name string) bool {
	return len(name) <= d.Limits().Name && secretName.MatchString(name)
}
