package gcpsm

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// A write destroys the versions that it supersedes, after it has taken effect. If that fails, or the process dies
// before, they are left: credentials, and billed. The next writes destroy them:
//
//   - A process remembers the versions that it could not destroy, and tries again with its next write.
//   - Each version says below which number all were certainly destroyed when it was written (destroyed_below). A
//     writer counts what it has destroyed itself, and what the version that it has read says. It does not know what
//     that version's writer did afterwards. A process that writes alone therefore always knows, and needs no list.
//   - Once lookAfter writes have left that uncertain, a writer reads the list before its write, which then passes on
//     what is certain, and destroys what the list does not show as destroyed.
const (
	lookAfter   = 8
	lookTimeout = time.Second // a write does not wait longer for it

	// mostLeftovers is how many left versions a write destroys, beside those that it supersedes.
	mostLeftovers = 4

	// maxLeftovers is how many numbers are remembered of a secret. The list shows the rest.
	maxLeftovers = 64
)

// leftovers is what a process knows of the versions of a secret that should have been destroyed.
type leftovers struct {
	known  int   // all versions below are certainly destroyed, but those in left
	left   []int // versions that are not, the oldest first; never changed in place
	looked int   // the newest version when the list was last read
}

// clean returns the lowest version that may be left: all below are certainly destroyed.
func (l leftovers) clean() int {
	lowest := l.known
	if len(l.left) > 0 {
		lowest = min(lowest, l.left[0])
	}
	return max(lowest, 1)
}

// leave notes versions that should have been destroyed and are not.
func (l *leftovers) leave(numbers ...int) {
	l.left = slices.Concat(l.left, numbers)
	slices.Sort(l.left)
	l.left = slices.Compact(l.left)
	if len(l.left) > maxLeftovers {
		l.known = min(l.known, l.left[maxLeftovers])
		l.left = l.left[:maxLeftovers]
	}
}

// cleaned remembers that the versions from one to below another were destroyed.
func (s *sightings) cleaned(name string, from, below int) {
	s.update(name, func(v *sighting) {
		v.left = slices.DeleteFunc(slices.Clone(v.left), func(n int) bool { return from <= n && n < below })
		if v.known >= from {
			v.known = max(v.known, below)
		}
	})
}

// leave remembers that, of the versions with numbers from "from" to just under "below", exactly these are left.
func (s *sightings) leave(name string, from, below int, numbers []int) {
	s.update(name, func(v *sighting) {
		if v.known >= from {
			v.known = max(v.known, below)
		}
		v.leave(numbers...)
	})
}

// newFloor is the lowest version that a write on b leaves, if it may destroy that many.
func (d *driver) newFloor(b rev, tidy int) int {
	floor := max(b.floor, b.number+1-d.keep)
	if tidy != engine.TidyAll {
		floor = min(floor, b.floor+tidy)
	}
	return max(floor, b.floor)
}

// tidy destroys the versions from the floor of the version before up to the new floor, and some of those that are
// left below. It does its best: what it leaves is charged for until a later write destroys it, and does no other
// harm.
//
// Step google.write.4.
func (d *driver) tidy(ctx context.Context, name string, before, floor int) {
	due := slices.DeleteFunc(slices.Clone(d.seen.of(name).left), func(n int) bool { return n >= before })
	due = due[:min(len(due), mostLeftovers)]
	for number := before; number < floor; number++ {
		due = append(due, number)
	}
	var failed []int
	for i, number := range due {
		err := d.destroy(ctx, name, number)
		if err == nil {
			d.seen.cleaned(name, number, number+1)
			continue
		}
		failed = append(failed, number)
		if aboutAll(err) {
			failed = append(failed, due[i+1:]...)
			break
		}
	}
	d.seen.leave(name, before, floor, failed)
}

// aboutAll reports whether err, of one destroy, would meet others too.
func aboutAll(err error) bool {
	return errors.Is(err, oauthstore.ErrThrottled) || errors.Is(err, oauthstore.ErrUnavailable) ||
		errors.Is(err, oauthstore.ErrAccessDenied)
}

// look finds out which of the versions below b's floor are left, if that has been uncertain for some writes.
func (d *driver) look(ctx context.Context, name string, b rev) {
	seen := d.seen.of(name)
	if seen.known >= b.floor || b.number-seen.known < lookAfter || b.number-seen.looked < lookAfter {
		return
	}
	d.seen.update(name, func(v *sighting) { v.looked = b.number })
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if left, err := d.overdue(ctx, name, seen.known, b.floor); err == nil {
		d.seen.leave(name, 0, b.floor, left)
	}
}

// overdue returns the versions from one to below another of which the list does not show that they are destroyed.
// It may lag behind: the only way to know of such a version is to destroy it.
func (d *driver) overdue(ctx context.Context, name string, from, below int) ([]int, error) {
	gone := make(map[int]bool)
	// The newest come first (ListSecretVersionsResponse.versions), and the oldest of a year may be thousands.
	err := d.eachVersion(ctx, name, below-from+lookAfter, func(v listed) bool {
		gone[v.number] = v.gone()
		return v.number > from
	})
	if err != nil {
		return nil, err
	}
	var left []int
	for number := max(from, 1); number < below; number++ {
		if !gone[number] {
			left = append(left, number)
		}
	}
	return left, nil
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
