package gcpsm

import (
	"cmp"
	"context"
	"errors"
	"slices"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// listed is what the list says of a version.
type listed struct {
	number int
	state  pb.SecretVersion_State
}

// gone reports whether the version is destroyed.
func (l listed) gone() bool { return l.state == pb.SecretVersion_DESTROYED }

// maxPage is the page_size of ListSecretVersionsRequest and ListSecretsRequest at its largest (API reference).
const maxPage = 25_000

// list returns all versions that the service shows, the oldest first, whatever order it has. It may lag
// behind: none is not to be believed of a secret that is known.
func (d *driver) list(ctx context.Context, name string) ([]listed, error) {
	var all []listed
	err := d.eachVersion(ctx, name, maxPage, func(v listed) bool {
		all = append(all, v)
		return true
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b listed) int { return cmp.Compare(a.number, b.number) })
	return all, nil
}

// eachVersion yields the versions that the service shows, in its order, until yield returns false. It reads page by
// page. A secret that is not there has none.
func (d *driver) eachVersion(ctx context.Context, name string, page int, yield func(listed) bool) error {
	const op = "ListSecretVersions"
	req := &pb.ListSecretVersionsRequest{Parent: d.resource(name), PageSize: int32(min(page, maxPage))}
	versions := &pager[*pb.SecretVersion]{Observer: d.observer, op: op, secret: d.FullName(name),
		list: d.client.ListSecretVersions(ctx, req, readRetry)}
	for {
		v, err := versions.next(ctx)
		switch {
		case errors.Is(err, iterator.Done), status.Code(err) == codes.NotFound:
			return nil
		case err != nil:
			return d.fail(op, name, false, err)
		}
		number, err := d.number(op, name, v.GetName())
		if err != nil {
			return err
		}
		if !yield(listed{number, stateOf(v)}) {
			return nil
		}
	}
}

// stateOf is the state of a version. One that waits for its destruction, as the version_destroy_ttl of its
// secret wants it, is as good as destroyed: it cannot be read, nor destroyed any more.
func stateOf(v *pb.SecretVersion) pb.SecretVersion_State {
	if v.GetState() == pb.SecretVersion_DISABLED && v.GetScheduledDestroyTime() != nil {
		return pb.SecretVersion_DESTROYED
	}
	return v.GetState()
}

// newest returns the highest of the numbers, 0 if there are none.
func newest(versions []listed) int {
	if len(versions) == 0 {
		return 0
	}
	return versions[len(versions)-1].number
}

// find returns what is listed of the version with this number.
func find(versions []listed, number int) (listed, bool) {
	i, ok := slices.BinarySearchFunc(versions, number, func(v listed, n int) int { return cmp.Compare(v.number, n) })
	if !ok {
		return listed{}, false
	}
	return versions[i], true
}
