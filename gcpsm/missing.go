package gcpsm

import (
	"context"
	"errors"
	"fmt"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"github.com/oauthstore/oauthstore"
)

// What is here decides about versions that are known and cannot be read, or are not even found.

// settle returns an error unless v, which is not readable, is destroyed.
func (w *walk) settle(ctx context.Context, v *version) error {
	if v.state == pb.SecretVersion_DESTROYED {
		w.driver.seen.destroyed(w.name, v.number)
		return nil
	}
	if v.number < w.driver.seen.of(w.name).clean() {
		return nil // it is known to be destroyed, which may take its time: see stateOf
	}
	l, _, err := w.find(ctx, v.number)
	denied := errors.Is(err, oauthstore.ErrAccessDenied)
	if err != nil && !denied {
		return err
	}
	switch {
	case l.gone():
		return nil
	case l.state == pb.SecretVersion_DISABLED, v.state == pb.SecretVersion_DISABLED && denied:
		return w.driver.disabled(w.name, v.number)
	case v.state == pb.SecretVersion_DISABLED:
		return w.driver.unsure("ListSecretVersions", w.name,
			fmt.Sprintf("version %d is disabled, and not listed so yet: it may wait for its destruction", v.number))
	}
	return v.err
}

// below is at for numbers up to one that exists. One that is not found was never given, or is a destroyed
// version that the service does not own up to; see [walk.vanished].
func (w *walk) below(ctx context.Context, number int) (*version, error) {
	v, err := w.at(ctx, number)
	if err != nil || v != nil {
		return v, err
	}
	l, ok, err := w.find(ctx, number)
	switch {
	case err != nil:
		return nil, err
	case l.gone():
		v = &version{number: number}
		w.read[number], w.shy = v, true
	case !ok && newest(w.listed) <= number:
		// Nothing that is known of this secret fits together: it is just being deleted by other means.
		return nil, w.driver.unsure("ListSecretVersions", w.name, fmt.Sprintf("there is no version %d any more", number))
	}
	return v, nil
}

// find returns what the list says of a version that was just read in vain. That it is destroyed is for ever;
// all else may have changed since the list was read.
func (w *walk) find(ctx context.Context, number int) (listed, bool, error) {
	if l, ok := find(w.listed, number); l.gone() {
		return l, ok, nil
	}
	versions, err := w.driver.list(ctx, w.name)
	if err != nil {
		return listed{}, false, err
	}
	w.listed = versions
	l, ok := find(versions, number)
	return l, ok, nil
}

// vanished returns the highest number where known, which has existed, is not found. The list knows whether
// it is just destroyed, which some emulators put that way; else the secret was deleted, and perhaps made
// anew, by other means.
func (w *walk) vanished(ctx context.Context, top, known int) (int, error) {
	versions, err := w.driver.list(ctx, w.name)
	if err != nil && !errors.Is(err, oauthstore.ErrAccessDenied) { // who may only read has no emulator before them
		return 0, err
	}
	if v, ok := find(versions, known); newest(versions) >= known && (!ok || v.gone()) {
		w.listed = versions
		w.driver.seen.add(w.name, newest(versions))
		return newest(versions), nil
	}
	w.driver.seen.forget(w.name)
	return w.startAnew(ctx, top, 0)
}

// startAnew is start for a secret that was deleted by other means: what latest shows may be a version of the
// former one, until it is one that the present secret has too.
func (w *walk) startAnew(ctx context.Context, top, known int) (int, error) {
	shown := w.read[top]
	clear(w.read)
	for _, number := range []int{max(top, known), min(top, known)} {
		if number == 0 {
			break
		}
		v, err := w.at(ctx, number)
		if err != nil {
			return 0, err
		}
		if v == nil {
			w.driver.seen.forget(w.name)
			continue
		}
		if number == top && shown != nil && shown.rec.WriteID == v.rec.WriteID {
			w.driver.seen.caughtUp(w.name)
		}
		return w.climb(ctx, number)
	}
	return w.climb(ctx, 0)
}
