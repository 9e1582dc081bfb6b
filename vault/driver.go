package vault

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// driver is KV version 2 as the engine sees it. A revision is a version number; that of a secret
// without a readable version is the number to check against all the same, 0 for one that never was.
type driver struct {
	client   *api.Client
	observer engine.Observer
	config
	prefix string // the full one, with its slash

	isV2    atomic.Bool // the mount was seen to be KV version 2
	keeping keeping
	seen    engine.Sightings[sighting]
}

var (
	_ engine.Driver = (*driver)(nil)
	_ engine.Lister = (*driver)(nil)
)

// FullName implements engine.Driver.
func (d *driver) FullName(name string) string { return d.mount + "/" + d.prefix + name }

// Limits implements engine.Driver.
func (d *driver) Limits() engine.Limits {
	return engine.Limits{Name: maxName, Value: maxValue, Parallel: 16}
}

// path is the API path for name in one of the engine's branches: data, metadata, destroy.
func (d *driver) path(branch, name string) string {
	return d.mount + "/" + branch + "/" + d.prefix + name
}

// Get implements engine.Driver. Reads of one server see its writes: what follows after needs no search. Those of
// another, a standby, may not: see [driver.behind].
func (d *driver) Get(ctx context.Context, name string, _ engine.Rev) (engine.Record, engine.Rev, error) {
	known := d.seen.Of(name)
	secret, err := d.read(ctx, name)
	if err != nil {
		return engine.Record{}, engine.None, err
	}
	if secret == nil {
		if d.behind(name, known, sighting{}) {
			return engine.Record{}, engine.None, d.lags(name)
		}
		return engine.Record{}, version(0), d.checkMount(ctx)
	}
	metadata, ok := secret.Data["metadata"].(map[string]any)
	if !ok {
		if err := d.checkMount(ctx); err != nil {
			return engine.Record{}, engine.None, err
		}
		return engine.Record{}, engine.None, &oauthstore.CorruptRecordError{Secret: d.FullName(name), Reason: "not an answer of KV version 2"}
	}
	d.isV2.Store(true)
	data, ok := secret.Data["data"].(map[string]any)
	n := number(metadata["version"])
	if d.behind(name, known, sighting{number: n, gone: !ok}) {
		return engine.Record{}, engine.None, d.lags(name)
	}
	rev := version(n)
	deletion, byTime := deletionIn(metadata)
	if !ok {
		destroyed, _ := metadata["destroyed"].(bool) // as Delete leaves it
		return engine.Record{SoftDeleted: !destroyed, Expired: !destroyed && byTime}, rev, nil
	}
	rec, err := d.record(name, data)
	rec.Expires = deletion
	return rec, rev, err
}

// read returns nil for a path that holds nothing and never did.
func (d *driver) read(ctx context.Context, name string) (*api.Secret, error) {
	return d.fetch(ctx, "read", getData, d.path("data", name), name, nil)
}

// fetch sends a read to an API path. It returns nil for a 404 that gives no reason: the client's own methods do
// so also where there is no such mount, and for an empty answer.
func (d *driver) fetch(ctx context.Context, op, request, path, name string, query map[string][]string) (*api.Secret, error) {
	begin := time.Now()
	resp, err := d.client.Logical().ReadRawWithDataWithContext(ctx, path, query)
	d.tell(ctx, request, name, begin, err)
	var answer *api.ResponseError
	if err != nil && (!errors.As(err, &answer) || answer.StatusCode != http.StatusNotFound || len(answer.Errors) > 0) {
		if resp != nil {
			_ = resp.Body.Close()
		}
		return nil, d.fail(op, name, false, err)
	}
	secret, err := d.client.Logical().ParseRawResponseAndCloseBody(resp, err)
	if err == nil && secret == nil && resp.StatusCode != http.StatusNotFound {
		err = errors.New("an answer without content")
	}
	return secret, d.fail(op, name, false, err)
}

// record reads a version's keys.
func (d *driver) record(name string, data map[string]any) (engine.Record, error) {
	doc := make(codec.Document, len(data))
	for key, value := range data {
		raw, err := json.Marshal(value)
		if err != nil {
			return engine.Record{}, &oauthstore.CorruptRecordError{Secret: d.FullName(name), Reason: "not JSON"}
		}
		doc[key] = raw
	}
	return engine.Unmarshal(d.FullName(name), doc)
}

// Put implements engine.Driver. Vault itself removes versions beyond the number that it is to keep.
func (d *driver) Put(ctx context.Context, name string, base engine.Rev, rec engine.Record, _ int) (engine.Rev, error) {
	cas := number(json.Number(base))
	if err := d.checkWritable(ctx); err != nil {
		return engine.None, err
	}
	if cas == 0 {
		if err := d.describe(ctx, name); err != nil {
			return engine.None, engine.NotWritten(err)
		}
	}
	return d.write(ctx, name, cas, rec)
}

// checkWritable makes sure that a store can write to the mount.
func (d *driver) checkWritable(ctx context.Context) error {
	err := d.checkMount(ctx)
	if err == nil {
		err = d.checkKeeping(ctx)
	}
	if err != nil {
		return engine.NotWritten(err)
	}
	return nil
}

// send sends a write to an API path.
func (d *driver) send(ctx context.Context, request, path, name string, data map[string]any) (*api.Secret, error) {
	begin := time.Now()
	secret, err := d.client.Logical().WriteWithContext(ctx, path, data)
	d.tell(ctx, request, name, begin, err)
	return secret, err
}

// write makes the version that follows cas.
func (d *driver) write(ctx context.Context, name string, cas int, rec engine.Record) (engine.Rev, error) {
	secret, err := d.send(ctx, putData, d.path("data", name), name, map[string]any{
		"options": map[string]any{"cas": cas},
		"data":    engine.Marshal(rec),
	})
	if err != nil {
		return engine.None, d.fail("write", name, true, err)
	}
	if secret == nil {
		return engine.None, d.fail("write", name, true, errors.New("an answer without content"))
	}
	n := number(secret.Data["version"])
	d.seen.Update(name, func(known sighting) sighting { return known.newer(sighting{number: n}) })
	if rec.Deleted { // which is destroyed next
		return version(n), nil
	}
	return version(n), d.checkWritten(ctx, name, secret)
}

// describe sets what belongs to the secret as a whole, before its first version.
func (d *driver) describe(ctx context.Context, name string) error {
	settings := make(map[string]any)
	if d.maxVersions > 0 {
		settings["max_versions"] = d.maxVersions
	}
	if len(d.metadata) > 0 {
		settings["custom_metadata"] = d.metadata
	}
	if len(settings) == 0 {
		return nil
	}
	_, err := d.send(ctx, putMetadata, d.path("metadata", name), name, settings)
	if says(err, metadataCASRequired) {
		settings["metadata_cas"] = 0 // for metadata that is not there yet
		_, err = d.send(ctx, putMetadata, d.path("metadata", name), name, settings)
		if says(err, metadataCASMismatch) {
			return nil // somebody has described it
		}
	}
	err = d.fail("write metadata of", name, false, err)
	if errors.Is(err, oauthstore.ErrAccessDenied) && !d.maxGiven && len(d.metadata) == 0 {
		return nil
	}
	return err
}

// maxDestroy is how many versions one call destroys: Vault takes no longer list.
const maxDestroy = 9999

// Delete implements engine.Driver.
//
// A destroy does not look at versions: a writer that read version 5 could still write version 6 after
// it. So a tombstone takes version 6 first; then all versions are destroyed, the tombstone among them.
// The numbers go on from there when the token is saved again.
func (d *driver) Delete(ctx context.Context, name string, base engine.Rev, tombstone engine.Record) error {
	if err := d.checkWritable(ctx); err != nil {
		return err
	}
	top := number(json.Number(base))
	if tombstone.Base == base {
		rev, err := d.write(ctx, name, top, tombstone)
		if err != nil {
			return err
		}
		top = number(json.Number(rev))
	}
	var versions []int
	for v := max(1, top-maxDestroy+1); v <= top; v++ {
		versions = append(versions, v)
	}
	_, err := d.send(ctx, putDestroy, d.path("destroy", name), name, map[string]any{"versions": versions})
	if err == nil {
		d.seen.Update(name, func(known sighting) sighting { return known.newer(sighting{number: top, gone: true}) })
	}
	return d.fail("destroy", name, false, err)
}

func version(n int) engine.Rev { return engine.Rev(strconv.Itoa(n)) }

// number reads a version number, which the client passes on as a json.Number.
func number(v any) int {
	n, ok := v.(json.Number)
	if !ok {
		return 0
	}
	i, _ := strconv.Atoi(n.String())
	return i
}
