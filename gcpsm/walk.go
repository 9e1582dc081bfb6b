package gcpsm

import (
	"context"
	"slices"
	"strconv"

	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// The successor of a version b is the lowest-numbered version that names b as its base. Whatever else
// names b came too late and is void; what names a void version cannot be, because nobody reads void
// versions as the newest.
//
// A version is destroyed when it is superseded, and when its token is deleted. Void ones are destroyed
// only after a version above them has been superseded too. So a destroyed version between a version and
// its base proves the former void, and a destroyed version with no valid one above it proves that the
// token was deleted.

// version is one version of a secret, as read.
type version struct {
	number   int
	readable bool // neither destroyed nor disabled
	rec      engine.Record
	floor    int // no version below is left
}

func (v *version) rev() rev { return rev{number: v.number, floor: v.floor} }

// base is the number of the version that v was made from.
func (v *version) base() int { return revision(v.rec.Base).number }

// absence is what a secret without a token looks like to a writer: number is the version to build on.
func absence(number int) *version { return &version{number: number, floor: number + 1} }

// walk is one reader's way through the versions of a secret. It reads each at most once.
type walk struct {
	driver *driver
	name   string
	read   map[int]*version // nil for numbers that do not exist
}

func (d *driver) walk(name string) *walk {
	return &walk{driver: d, name: name, read: make(map[int]*version)}
}

// at returns the version with this number, nil if there is none.
func (w *walk) at(ctx context.Context, number int) (*version, error) {
	if v, ok := w.read[number]; ok {
		return v, nil
	}
	v, err := w.driver.access(ctx, w.name, strconv.Itoa(number))
	if err != nil {
		return nil, err
	}
	if v != nil {
		v.number = number
	}
	w.read[number] = v
	return v, nil
}

// head returns the version that counts, or an absence. after is a number that is known to be
// superseded, 0 for none.
func (w *walk) head(ctx context.Context, after int) (*version, error) {
	top, err := w.start(ctx, after)
	if err != nil {
		return nil, err
	}
	for {
		head, err := w.descend(ctx, top)
		if err != nil || head.readable && head.number > after || top == 0 {
			return head, err
		}
		// Not yet believed: a version that was superseded while this walk was on its way down reads as
		// destroyed too. Reading by number is consistent, so what superseded it is there.
		next, err := w.at(ctx, top+1)
		if err != nil {
			return nil, err
		}
		if next == nil {
			return head, nil
		}
		top++
		w.driver.seen.add(w.name, top)
		clear(w.read)
		w.read[top] = next
	}
}

// start returns the highest number that is known to exist. The newest version that the service shows may
// be an old one.
func (w *walk) start(ctx context.Context, after int) (int, error) {
	latest, err := w.driver.access(ctx, w.name, "latest")
	if err != nil {
		return 0, err
	}
	top := 0
	switch {
	case latest != nil && latest.readable:
		top = latest.number
		w.read[top] = latest
	case latest != nil:
		if top, err = w.unreadable(ctx); err != nil {
			return 0, err
		}
	}
	known := max(after, w.driver.seen.of(w.name).newest)
	if known > top {
		v, err := w.at(ctx, known)
		if err != nil {
			return 0, err
		}
		if v == nil { // the secret was deleted and made anew, by other means
			w.driver.seen.forget(w.name)
			return top, nil
		}
		top = known
	}
	w.driver.seen.add(w.name, top)
	return top, nil
}

// unreadable returns the number of the newest version, which was just found destroyed or disabled. The
// first is how a deleted token looks; the second somebody did by hand, and only they know what it means.
func (w *walk) unreadable(ctx context.Context) (int, error) {
	newest, err := w.driver.newest(ctx, w.name)
	if err != nil || newest == nil {
		return 0, err
	}
	if newest.GetState() == pb.SecretVersion_DISABLED {
		return 0, &oauthstore.CorruptRecordError{Secret: w.driver.FullName(w.name), Reason: "its newest version is disabled: enable or destroy it"}
	}
	return versionNumber(newest.GetName()), nil
}

// descend returns the highest valid version up to top, or the absence that a destroyed one proves.
func (w *walk) descend(ctx context.Context, top int) (*version, error) {
	for number := top; number > 0; number-- {
		v, err := w.at(ctx, number)
		if err != nil {
			return nil, err
		}
		if v == nil || !v.readable {
			return absence(number), nil
		}
		won, err := w.won(ctx, v)
		if err != nil {
			return nil, err
		}
		if won {
			return v, nil
		}
	}
	return absence(0), nil
}

// won reports whether v is the successor of its base.
func (w *walk) won(ctx context.Context, v *version) (bool, error) {
	for number := v.base() + 1; number < v.number; number++ {
		other, err := w.at(ctx, number)
		if err != nil {
			return false, err
		}
		if other != nil && (!other.readable || other.base() == v.base()) {
			return false, nil
		}
	}
	return true, nil
}

// access reads a version by its number or as "latest". It returns nil if there is none, and one that is
// not readable if it is destroyed or disabled.
func (d *driver) access(ctx context.Context, name, number string) (*version, error) {
	const op = "AccessSecretVersion"
	out, err := d.client.AccessSecretVersion(ctx,
		&pb.AccessSecretVersionRequest{Name: d.resource(name) + "/versions/" + number}, readRetry)
	switch status.Code(err) {
	case codes.OK:
	case codes.NotFound:
		return nil, nil
	case codes.FailedPrecondition:
		return &version{}, nil
	default:
		return nil, d.fail(op, name, false, err)
	}
	data := out.GetPayload().GetData()
	if sum := out.GetPayload().DataCrc32C; sum != nil && *sum != checksum(data) {
		return nil, &engine.Fault{Backend: "gcpsm", Op: op, Secret: d.FullName(name), Class: oauthstore.ErrUnavailable,
			Message: "the payload does not match its checksum", Err: oauthstore.ErrUnavailable}
	}
	v := &version{number: versionNumber(out.GetName()), readable: true}
	v.rec, v.floor, err = unmarshal(d.FullName(name), data)
	if v.floor == 0 {
		v.floor = v.number
	}
	return v, err
}

// newest returns the highest-numbered version, nil if there is none.
func (d *driver) newest(ctx context.Context, name string) (*pb.SecretVersion, error) {
	versions, err := d.list(ctx, name)
	if err != nil || len(versions) == 0 {
		return nil, err
	}
	return slices.MaxFunc(versions, func(a, b *pb.SecretVersion) int {
		return versionNumber(a.GetName()) - versionNumber(b.GetName())
	}), nil
}

// list returns the first page of versions, which come newest first (API reference, ListSecretVersions).
func (d *driver) list(ctx context.Context, name string) ([]*pb.SecretVersion, error) {
	it := d.client.ListSecretVersions(ctx, &pb.ListSecretVersionsRequest{Parent: d.resource(name)}, readRetry)
	var page []*pb.SecretVersion
	_, err := iterator.NewPager(it, listPage, "").NextPage(&page)
	if status.Code(err) == codes.NotFound {
		return nil, nil
	}
	return page, d.fail("ListSecretVersions", name, false, err)
}

// listPage is how many versions list asks for.
const listPage = 250
