package gcpsm

import (
	"context"
	"strconv"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/oauthstore/oauthstore/internal/engine"
)

// sweepEvery is how many versions apart a write also looks for versions that should have been destroyed
// and were not, because the process that should have died.
const sweepEvery = 64

// newFloor is the lowest version that a write on b leaves, if it may destroy that many.
func (d *driver) newFloor(b rev, tidy int) int {
	floor := max(b.floor, b.number+1-d.keep)
	if tidy != engine.TidyAll {
		floor = min(floor, b.floor+tidy)
	}
	return max(floor, b.floor)
}

// tidy destroys the versions from b's floor up to the new floor. It does its best: what it leaves is
// charged for until a sweep finds it, and does no other harm.
func (d *driver) tidy(ctx context.Context, name string, b rev, floor, written int) {
	for number := b.floor; number < floor; number++ {
		if d.destroy(ctx, name, number) != nil {
			return
		}
	}
	d.seen.cleaned(name, b.floor, floor)
	if written%sweepEvery == 0 {
		_ = d.sweep(ctx, name, floor)
	}
}

// sweep destroys what is left below floor.
func (d *driver) sweep(ctx context.Context, name string, floor int) error {
	versions, err := d.list(ctx, name)
	if err != nil {
		return err
	}
	for _, v := range versions {
		number := versionNumber(v.GetName())
		if number >= floor || v.GetState() == pb.SecretVersion_DESTROYED {
			continue
		}
		if err := d.destroy(ctx, name, number); err != nil {
			return err
		}
	}
	d.seen.cleaned(name, 0, floor)
	return nil
}

// destroy destroys one version. One that is destroyed already, or was never there, is as it should be.
func (d *driver) destroy(ctx context.Context, name string, number int) error {
	_, err := d.client.DestroySecretVersion(ctx, &pb.DestroySecretVersionRequest{
		Name: d.resource(name) + "/versions/" + strconv.Itoa(number),
	})
	switch status.Code(err) {
	case codes.OK, codes.FailedPrecondition, codes.NotFound:
		return nil
	default:
		return d.fail("DestroySecretVersion", name, false, err)
	}
}
