package gcpsm

import (
	"context"
	"errors"
	"strconv"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// The successor of a version b is the lowest-numbered version that names b as its base. Whatever else
// names b came too late and is void; what names a void version cannot be, because nobody reads void
// versions as the newest.
//
// A version is destroyed when it is superseded, and when its token is deleted. Void ones are destroyed
// only after a version above them has been superseded too. So, to a reader, a destroyed version between a version
// that can be read and its base proves the former void, and a destroyed version with no valid one above it proves that
// the token was deleted. To the writer of a version it proves nothing: its version may have counted, and have been
// superseded or deleted before it looked.

// walk is one reader's way through the versions of a secret. It reads each at most once.
type walk struct {
	driver *driver
	name   string
	read   map[int]*version
	end    int      // a number that was not there, nothing having been read since; else 0
	listed []listed // as last asked for
	shy    bool     // of a destroyed version the service has said that there is none
}

func (d *driver) walk(name string) *walk {
	return &walk{driver: d, name: name, read: make(map[int]*version)}
}

// head returns the version that counts, or an absence. after is a number that is known to be
// superseded, 0 for none.
//
// Steps google.read.
func (w *walk) head(ctx context.Context, after int) (*version, error) {
	top, err := w.start(ctx, after)
	if err != nil {
		return nil, err
	}
	return w.from(ctx, top, after)
}

// from is head for those who know that top exists; 0 is a secret without a version.
func (w *walk) from(ctx context.Context, top, after int) (*version, error) {
	for {
		head, err := w.descend(ctx, top)
		if err != nil || head.readable && head.number > after || top == 0 {
			return head, err
		}
		// Not yet believed: a version that was superseded while this walk was on its way down reads as
		// destroyed too. Reading by number is consistent, so what superseded it is there.
		higher, err := w.higher(ctx, top)
		if err != nil || higher == top {
			return head, err
		}
		top = higher
	}
}

// higher returns a number above top, or top if there is none.
func (w *walk) higher(ctx context.Context, top int) (int, error) {
	next, err := w.at(ctx, top+1)
	if err != nil {
		return 0, err
	}
	clear(w.read)
	switch {
	case next != nil:
		top++
		w.read[top] = next
	case w.shy:
		versions, err := w.driver.list(ctx, w.name)
		if err != nil {
			return 0, err
		}
		top, w.listed, w.end = max(top, newest(versions)), versions, 0
	}
	w.driver.seen.add(w.name, top)
	return top, nil
}

// start returns the highest number that is known to exist. The newest version that the service shows may
// be an old one.
func (w *walk) start(ctx context.Context, after int) (int, error) {
	top, err := w.latest(ctx)
	if err != nil {
		return 0, err
	}
	seen := w.driver.seen.of(w.name)
	if seen.anew {
		return w.startAnew(ctx, top, seen.newest)
	}
	if known := max(after, seen.newest); known > top {
		v, err := w.at(ctx, known)
		if err != nil {
			return 0, err
		}
		if v == nil {
			return w.vanished(ctx, top, known)
		}
		top = known
	}
	w.driver.seen.add(w.name, top)
	return top, nil
}

// latest returns the number of the newest version that the service shows, 0 if there is none.
func (w *walk) latest(ctx context.Context) (int, error) {
	v, err := w.driver.access(ctx, w.name, "latest")
	switch {
	case err != nil || v == nil:
		return 0, err
	case v.readable && v.number < w.driver.seen.of(w.name).clean():
		return v.number, nil // it was destroyed: latest lags behind, unless the numbers have started again
	case v.readable || v.number > 0 && v.state == pb.SecretVersion_DESTROYED:
		if !v.readable {
			w.driver.seen.destroyed(w.name, v.number)
		}
		w.read[v.number] = v
		return v.number, nil
	case v.number > 0: // it is read again, by number, if it matters
		return v.number, nil
	}
	versions, err := w.driver.list(ctx, w.name)
	switch {
	case errors.Is(err, oauthstore.ErrAccessDenied):
		return 0, v.err
	case err != nil:
		return 0, err
	case len(versions) == 0:
		return 0, w.driver.unsure("ListSecretVersions", w.name, "the version that cannot be read is not listed")
	}
	w.listed = versions
	return newest(versions), nil
}

// climb returns the highest number, going up from one that exists.
func (w *walk) climb(ctx context.Context, top int) (int, error) {
	for {
		next, err := w.at(ctx, top+1)
		if err != nil {
			return 0, err
		}
		if next == nil {
			w.driver.seen.add(w.name, top)
			return top, nil
		}
		top++
	}
}

// descend returns the highest valid version up to top, or the absence that a destroyed one proves.
func (w *walk) descend(ctx context.Context, top int) (*version, error) {
	for number := top; number > 0; number-- {
		v, err := w.below(ctx, number)
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		if !v.readable {
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
	if v.base() >= v.number {
		return false, nil // it was made from a former secret of this name
	}
	if b := w.read[v.base()]; b != nil && b.rec.Live() && b.rec.Incarnation != v.rec.Incarnation {
		return false, nil // likewise; only seen where the base was read anyway
	}
	for number := v.base() + 1; number < v.number; number++ {
		other, err := w.below(ctx, number)
		if err != nil {
			return false, err
		}
		if other != nil && (!other.readable || other.base() == v.base()) {
			return false, nil
		}
	}
	return true, nil
}

// An outcome is what a writer learns of the version that it has added.
type outcome int

const (
	superseded outcome = iota // another came in between: before it, or after it had counted
	void                      // it has never counted
	won                       // it is the successor of its base
)

// of adds to the error of a write that nothing was written, if its version is void or does not exist.
func (is outcome) of(err error) error {
	if is != void {
		return err
	}
	return engine.NotWritten(err)
}

// outcome returns the outcome of v, which was just added.
//
// Step google.write.3.
func (w *walk) outcome(ctx context.Context, v *version) (outcome, error) {
	switch is, err := w.won(ctx, v); {
	case err != nil:
		return superseded, err
	case is:
		return won, nil
	case v.base() >= v.number:
		return void, nil
	}
	// One that can be read, and was made from the same base, or from what had superseded that.
	for number := v.base() + 1; number < v.number; number++ {
		other, err := w.below(ctx, number)
		if err != nil {
			return superseded, err
		}
		if other != nil && other.readable && v.base() <= other.base() && other.base() < number {
			return void, nil
		}
	}
	return superseded, nil
}

// at returns the version with this number, nil if there is none.
func (w *walk) at(ctx context.Context, number int) (*version, error) {
	if v, ok := w.read[number]; ok {
		return v, nil
	}
	if number == w.end {
		return nil, nil
	}
	v, err := w.driver.access(ctx, w.name, strconv.Itoa(number))
	if err != nil {
		return nil, err
	}
	w.end = 0
	if v == nil {
		w.end = number
		return nil, nil
	}
	v.number = number
	if !v.readable {
		if err := w.settle(ctx, v); err != nil {
			return nil, err
		}
	}
	w.read[number] = v
	return v, nil
}
