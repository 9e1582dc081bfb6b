package gcpsm

import (
	"context"

	"github.com/oauthstore/oauthstore/internal/engine"
)

// Delete implements engine.Driver.
//
// DeleteSecret would let the numbers start anew, and a writer that read version 1 of the old secret
// would be taken for the successor of version 1 of a new one. So a tombstone becomes the newest version,
// after which no write that is under way can win, and then all versions are destroyed. A secret whose
// newest version is destroyed counts as absent.
//
// Step google.delete.2.
func (d *driver) Delete(ctx context.Context, name string, base engine.Rev, tombstone engine.Record) error {
	b := revision(base)
	if tombstone.Base != base {
		made := revision(tombstone.Base)
		return d.bury(ctx, name, rev{made.number, b.floor}, b.number, tombstone)
	}
	top, is, err := d.commit(ctx, name, b, b.floor, tombstone)
	if err != nil {
		return is.of(err)
	}
	return d.bury(ctx, name, b, top, tombstone)
}

// bury destroys all versions up to the tombstone, version top, which was made from b: the tombstone last,
// while it shows that there is more to do.
//
// Steps google.delete.3 and google.delete.4.
func (d *driver) bury(ctx context.Context, name string, b rev, top int, tombstone engine.Record) error {
	if b.number+1 < top {
		// The void versions between the two cannot go first, which would make the tombstone look void, nor
		// last: if that failed, nothing would show that a credential is left. So the tombstone gets one too,
		// and they go with what is older.
		t := rev{top, b.floor}
		tombstone.Base = t.encode()
		next, _, err := d.commit(ctx, name, t, t.floor, tombstone)
		if err != nil {
			return err
		}
		return d.bury(ctx, name, t, next, tombstone)
	}
	if err := d.clear(ctx, name, b.floor); err != nil {
		return err
	}
	if err := d.destroyAll(ctx, name, b.floor, top+1); err != nil {
		return err
	}
	d.seen.cleaned(name, 0, top+1)
	return nil
}

// clear destroys what is left below floor. Whoever was to destroy it may have died before, or is about to.
func (d *driver) clear(ctx context.Context, name string, floor int) error {
	clean := d.seen.of(name).clean()
	if clean >= floor {
		return nil
	}
	left, err := d.overdue(ctx, name, clean, floor)
	if err != nil {
		return err
	}
	for _, number := range left {
		if err := d.destroy(ctx, name, number); err != nil {
			return err
		}
	}
	return nil
}

// discard destroys a void version, made from b, that a delete has beaten: a credential must not stay behind
// the tombstone of its token. The void version itself cannot go alone, since somebody may just be building on
// that tombstone, for whom a destroyed version between would mean defeat; so another tombstone covers it.
// Where that comes too late, or fails, a later save destroys the void version.
//
// Steps google.late.
func (d *driver) discard(ctx context.Context, name string, b rev) {
	head, err := d.walk(name).head(ctx, b.number)
	if err != nil || head.rec.Live() {
		return
	}
	// A tombstone that is not buried yet keeps what its deleter needs to know, in case this process dies;
	// but not its name, by which the deleter would take this one for its own.
	cover := head.rec
	cover.WriteID, cover.Base, cover.Deleted = "", head.rev().encode(), true
	top, is, err := d.add(ctx, name, head.floor, cover)
	if err != nil || is != won {
		return
	}
	_ = d.bury(ctx, name, head.rev(), top, cover)
}
