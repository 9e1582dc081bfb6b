package gcpsm

import (
	"context"
	"regexp"
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
	if d.destroyAll(ctx, name, b.floor, floor) != nil {
		return
	}
	d.seen.cleaned(name, b.floor, floor)
	if written%sweepEvery == 0 {
		_, _ = d.sweep(ctx, name, floor)
	}
}

// sweep destroys what is left below floor, as far as the list shows it, and returns the newest number that
// it shows.
func (d *driver) sweep(ctx context.Context, name string, floor int) (shown int, err error) {
	versions, err := d.list(ctx, name)
	if err != nil {
		return 0, err
	}
	for _, v := range versions {
		if v.number >= floor || v.gone() {
			continue
		}
		if err := d.destroy(ctx, name, v.number); err != nil {
			return 0, err
		}
	}
	shown = newest(versions)
	d.seen.cleaned(name, 0, min(floor, shown+1))
	return shown, nil
}

// destroyAll destroys the versions from one to below another.
func (d *driver) destroyAll(ctx context.Context, name string, from, below int) error {
	for number := from; number < below; number++ {
		if err := d.destroy(ctx, name, number); err != nil {
			return err
		}
	}
	return nil
}

// alreadyGone is how the service refuses to destroy what is destroyed, or waits to be.
var alreadyGone = regexp.MustCompile(`(?i)already (destroyed|scheduled for destruction)|is in destroyed state`)

// destroy destroys one version. One that is destroyed already, or was never there, is as it should be.
func (d *driver) destroy(ctx context.Context, name string, number int) error {
	_, err := d.client.DestroySecretVersion(ctx, &pb.DestroySecretVersionRequest{
		Name: d.resource(name) + "/versions/" + strconv.Itoa(number),
	})
	switch status.Code(err) {
	case codes.OK, codes.NotFound:
		return nil
	case codes.FailedPrecondition:
		if alreadyGone.MatchString(status.Convert(err).Message()) {
			return nil
		}
		versions, _ := d.list(ctx, name)
		if v, _ := find(versions, number); v.gone() {
			return nil
		}
	}
	return d.fail("DestroySecretVersion", name, false, err)
}
