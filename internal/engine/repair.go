package engine

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore"
)

// Repair implements oauthstore.Repairer.
//
// It believes a listing in what it shows, never in what it lacks: services list with delay. It believes a read
// that finds nothing only of what is older than any write may take.
func (s *Store) Repair(ctx context.Context, opts oauthstore.RepairOptions) (*oauthstore.RepairReport, error) {
	r := &repair{store: s.inBulk(), opts: opts, report: new(oauthstore.RepairReport)}
	r.store.index = new(tree) // what is remembered of the index may be what somebody has undone
	err := ctx.Err()
	for _, step := range []func(context.Context) error{r.list, r.readIndex, r.readOrphans, r.readTokens, r.renew, r.write, r.removePages} {
		if err == nil {
			err = step(ctx)
		}
	}
	r.report.Sort()
	return r.report, err
}

// A repair is one run.
type repair struct {
	store  *Store
	opts   oauthstore.RepairOptions
	report *oauthstore.RepairReport

	names   map[string]bool    // of the secrets that are listed
	entries map[string][]entry // by id
	linked  map[string]bool    // the pages that something leads to
	orphans []orphan           // the others

	expiring map[string]state // secrets that the service is going to delete by itself

	missing []entry       // to be added
	dead    map[line]bool // the entries to be removed
}

// A line is what tells entries apart, those that were made by hand too.
type line struct {
	id, nonce string
	k         key
}

func (e entry) line() line { return line{e.ID, e.Nonce, e.key()} }

// progress tells the caller.
func (r *repair) progress(step string, done, total int) {
	if r.opts.Progress != nil {
		r.opts.Progress(oauthstore.RepairProgress{Step: step, Done: done, Total: total})
	}
}

// list takes note of the secrets that the service lists.
func (r *repair) list(ctx context.Context) error {
	r.names = make(map[string]bool)
	r.progress("list", 0, 0)
	return r.store.list(ctx, func(name string) {
		r.names[name] = true
		if len(r.names)%1000 == 0 {
			r.progress("list", len(r.names), 0)
		}
	})
}

// readIndex takes note of the entries and the pages. A page that is led to and missing is replaced.
func (r *repair) readIndex(ctx context.Context) error {
	s := r.store
	r.entries, r.linked = make(map[string][]entry), make(map[string]bool)
	for k := key(""); ; {
		err := s.scanFrom(ctx, k, newest, func(l *leaf) error {
			r.linked[l.name] = true
			r.note(l.name, l.state)
			for _, at := range l.above {
				r.linked[at.name] = true
				if above, ok := s.index.recall(at.name); ok {
					r.note(at.name, above.state)
				}
			}
			for _, e := range l.node.entries {
				r.entries[e.ID] = append(r.entries[e.ID], e)
			}
			return nil
		})
		var gone *missingPage
		if !errors.As(err, &gone) {
			return err
		}
		r.report.Pages = append(r.report.Pages, gone.secret)
		if k = gone.at.span.from; !r.opts.DryRun {
			if err := s.replaceMissing(ctx, gone); err != nil {
				return err
			}
			continue
		}
		if k = gone.at.span.to; k == "" {
			return nil
		}
	}
}

// readTokens reads all tokens that are listed by the service or by the index, and finds out what is wrong.
func (r *repair) readTokens(ctx context.Context) error {
	all := make(map[string]bool)
	for id := range r.entries {
		all[id] = true
	}
	for name := range r.names {
		if id, ok := decodeID(name); ok {
			all[id] = true
		}
	}
	for _, o := range r.orphans {
		for _, e := range o.node.entries {
			all[e.ID] = true
			if e.pending() { // somebody may be about to store the token
				r.missing = append(r.missing, e)
			}
		}
	}
	sorted := make([]string, 0, len(all))
	for id := range all {
		sorted = append(sorted, id)
	}
	slices.Sort(sorted)
	r.dead = make(map[line]bool)
	users := make(map[oauthstore.OAuthToken]string)
	done := 0
	for some := range slices.Chunk(sorted, streamed) {
		r.progress("read", done, len(sorted))
		var unfinished []*found
		var failed error
		err := r.load(ctx, some, func(id string, f *found, err error) {
			switch {
			case isCorrupt(err), errors.Is(err, oauthstore.ErrAccessDenied):
				r.unreadable(id, err)
			case err != nil:
				failed = cmp.Or(failed, err)
			case f.state.rec.Deleted:
				unfinished = append(unfinished, f)
			case f.record == nil:
				r.absent(id)
			default:
				r.present(f, users)
			}
		})
		if err := cmp.Or(failed, err); err != nil {
			return err
		}
		for _, f := range unfinished {
			if err := r.finish(ctx, f); err != nil {
				return err
			}
		}
		done += len(some)
	}
	r.progress("read", done, len(sorted))
	return ctx.Err()
}

// load reads the records under the ids, in the way that misses nothing: what is old may be removed because of it.
func (r *repair) load(ctx context.Context, ids []string, yield func(id string, f *found, err error)) error {
	s := r.store
	if _, ok := s.driver.(Prober); !ok {
		return s.loadEach(ctx, ids, yield)
	}
	var mu sync.Mutex
	return inParallel(ctx, s.driver.Limits().Parallel, ids, func(ctx context.Context, id string) error {
		f, err := s.loadNewest(ctx, id)
		mu.Lock()
		defer mu.Unlock()
		yield(id, f, err)
		return nil
	})
}

// unreadable is a secret that holds something, who knows what. It stays listed, so that whoever asks for all
// tokens learns of it.
func (r *repair) unreadable(id string, err error) {
	r.report.Unreadable = append(r.report.Unreadable, &oauthstore.TokenError{ID: id, Err: err})
	if len(r.entries[id]) == 0 && isCorrupt(err) {
		r.add(entry{ID: id})
	}
}

// absent is an id that has entries or is listed, and no token.
func (r *repair) absent(id string) {
	for _, e := range r.entries[id] {
		if !e.pending() {
			r.bury(e)
		}
	}
}

func (r *repair) bury(e entry) {
	r.dead[e.line()] = true
	r.report.Dead = append(r.report.Dead, e.ID)
}

func (r *repair) add(e entry) {
	e.At = timestamp(time.Now().Add(-grace)) // nobody is about to store it: it is there, or not
	r.missing = append(r.missing, e)
	r.report.Unlisted = append(r.report.Unlisted, e.ID)
}

// present is a token.
func (r *repair) present(f *found, users map[oauthstore.OAuthToken]string) {
	r.report.Tokens++
	r.note(f.name, f.state)
	t := &f.record.Token
	user := oauthstore.OAuthToken{UserName: t.UserName, ClientID: t.ClientID}
	if other, ok := users[user]; ok && t.UserName != "" {
		r.report.Conflicts = append(r.report.Conflicts, oauthstore.RepairConflict{ID: min(other, f.id), OtherID: max(other, f.id)})
	}
	users[user] = f.id
	claimed := f.state.rec.Claims
	stands := func(e entry) bool { return claims(claimed, e.Nonce) } // it stands behind e
	e := newEntry(t)
	e.Nonce = ""
	if len(claimed) > 0 {
		e.Nonce = nonceOf(claimed[0]) // which the record carries, so that its deletion finds the entry
	}
	listed := false
	for _, other := range r.entries[f.id] {
		its := other.sameAs(e) && (stands(other) || e.Nonce == "")
		listed = listed || its
		if !its && !stands(other) && !other.pending() {
			r.bury(other)
		}
	}
	if !listed {
		r.add(e)
	}
}

// finish removes what is left of a token whose deletion stopped half-way.
func (r *repair) finish(ctx context.Context, f *found) error {
	r.report.Unfinished = append(r.report.Unfinished, f.id)
	if !r.opts.DryRun {
		err := r.remove(ctx, f)
		switch {
		case errors.Is(err, ErrConflict):
			return nil // somebody else is at it
		case errors.Is(err, oauthstore.ErrAccessDenied):
			r.unreadable(f.id, err)
			return nil
		case err != nil:
			return err
		}
		// Whoever was at it may have put the record back: then its entries are needed.
		now, err := r.store.loadNewest(ctx, f.id)
		if err != nil || now.record != nil || now.state.rec.Deleted {
			return err
		}
	}
	for _, e := range r.entries[f.id] {
		switch {
		case claims(f.state.rec.Claims, e.Nonce):
			r.dead[e.line()] = true
		case !e.pending():
			r.bury(e)
		}
	}
	return nil
}

// remove goes on with a deletion, and does not mind a used up quota.
func (r *repair) remove(ctx context.Context, f *found) error {
	err := r.store.remove(ctx, f.name, f.state.rev, f.state.rec)
	for p := r.store.patience(f.name); p.outlasts(ctx, err); {
		err = r.store.remove(ctx, f.name, f.state.rev, f.state.rec)
	}
	return err
}

// note takes note of a secret that the service is going to delete by itself.
func (r *repair) note(name string, st state) {
	if st.rec.Expires.IsZero() {
		return
	}
	if r.expiring == nil {
		r.expiring = make(map[string]state)
	}
	r.expiring[name] = st
	r.report.Expiring = append(r.report.Expiring, r.store.driver.FullName(name))
}

// renew writes again, as they are, the secrets that the service is going to delete by itself.
func (r *repair) renew(ctx context.Context) error {
	if r.opts.DryRun {
		return nil
	}
	for name, st := range r.expiring {
		_, _, err := r.store.commit(ctx, name, st, TidyAll, func(cur state, _ error) (*Record, error) {
			if cur.rec.Expires.IsZero() || !cur.rec.Live() {
				return nil, nil
			}
			next := cur.rec
			return &next, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// write adds the entries that are missing and removes those that are dead, a leaf at a time.
func (r *repair) write(ctx context.Context) error {
	keys, err := r.recheck(ctx)
	if err != nil || r.opts.DryRun {
		return err
	}
	total := len(keys)
	for len(keys) > 0 {
		r.progress("write", total-len(keys), total)
		at, err := r.store.changeIndex(ctx, TidyAll, keys[0], r.change)
		if err != nil {
			return err
		}
		keys = slices.DeleteFunc(keys, at.contains)
	}
	r.progress("write", total, total)
	return nil
}

// recheck looks again whether what was missing still is: it may have been stored after the index was read. It
// returns the keys of the leaves that are to be changed, sorted.
func (r *repair) recheck(ctx context.Context) ([]key, error) {
	var still []entry
	var keys []key
	slices.SortFunc(r.missing, func(a, b entry) int { return strings.Compare(string(a.key()), string(b.key())) })
	var l *leaf
	for _, e := range r.missing {
		if l == nil || !l.span.contains(e.key()) {
			var err error
			var gone *missingPage
			if l, err = r.store.leafFor(ctx, e.key(), fresh); errors.As(err, &gone) {
				l = &leaf{place: gone.at, remembered: remembered{node: new(node)}} // a dry run has left it so
			} else if err != nil {
				return nil, err
			}
		}
		if slices.ContainsFunc(l.node.entries, e.listedBy) {
			r.report.Unlisted = slices.DeleteFunc(r.report.Unlisted, func(id string) bool { return id == e.ID })
			continue
		}
		still, keys = append(still, e), append(keys, e.key())
	}
	r.missing = still
	for _, all := range r.entries {
		for _, e := range all {
			if r.dead[e.line()] {
				keys = append(keys, e.key())
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// listedBy reports whether other is the entry that is missing: with its nonce, or any where no record has one.
func (e entry) listedBy(other entry) bool {
	return other.sameAs(e) && (e.Nonce == "" || e.Nonce == other.Nonce)
}

// sameAs reports whether both say the same of one token.
func (e entry) sameAs(other entry) bool {
	return e.ID == other.ID && e.User == other.User && e.Client == other.Client
}

// change is what the repair makes of a leaf.
func (r *repair) change(entries []entry, within span) ([]entry, error) {
	before := len(entries)
	entries = slices.DeleteFunc(entries, func(e entry) bool { return r.dead[e.line()] })
	changed := len(entries) != before
	for _, e := range r.missing {
		if within.contains(e.key()) && !slices.ContainsFunc(entries, e.listedBy) {
			e.Nonce = cmp.Or(e.Nonce, newNonce())
			entries, changed = append(entries, e), true
		}
	}
	if !changed {
		return nil, errUnchanged
	}
	return entries, nil
}

// An orphan is a page that nothing leads to.
type orphan struct {
	name  string
	state state
	node  *node
}

// readOrphans takes note of the pages that nothing leads to. Whoever makes a page lets the index lead to it at once, so
// that one which was there when the secrets were listed, and is old, and was not met afterwards, is nobody's; or
// somebody has deleted the page above it by hand, and its entries are needed.
func (r *repair) readOrphans(ctx context.Context) error {
	s := r.store
	for _, name := range slices.Sorted(maps.Keys(r.names)) {
		if !strings.HasPrefix(name, pagePrefix) || r.linked[name] {
			continue
		}
		st, err := s.read(ctx, name)
		if err != nil && !isCorrupt(err) {
			return err
		}
		n, broken := s.decodeNode(ctx, name, st.rec)
		switch {
		case err != nil, broken != nil:
			r.report.Unreadable = append(r.report.Unreadable, errors.Join(err, broken))
		case !st.rec.Live() && !st.rec.Deleted, st.rec.Live() && age(n.made) < grace:
		default:
			r.orphans = append(r.orphans, orphan{name, st, n})
			r.report.Pages = append(r.report.Pages, s.driver.FullName(name))
		}
	}
	return nil
}

// removePages removes the orphans, and joins the pages that have become too empty.
func (r *repair) removePages(ctx context.Context) error {
	s := r.store
	if r.opts.DryRun {
		return ctx.Err()
	}
	for i, o := range r.orphans {
		r.progress("remove", i, len(r.orphans))
		if _, _, err := s.destroyState(ctx, o.name, o.state); err != nil {
			return err
		}
	}
	s.compact(ctx)
	return ctx.Err()
}
