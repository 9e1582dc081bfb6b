//go:build go1.25

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// maxLag is how long a read of a service without a way that misses nothing may show what was before. Secrets
// Manager gives no bound, and is seen to lag by less.
const maxLag = 2 * time.Second

// driver returns the service as a process of this schedule sees it.
func (s *schedule) driver() Driver {
	v := &view{memory: s.m, s: s, met: make(map[string]bool)}
	if s.skew > 0 {
		v.skew = time.Duration(s.rng.Int64N(int64(2*s.skew))) - s.skew
		v.skew = v.skew.Truncate(time.Second)
	}
	if s.stale && s.m.tombstones {
		return probingView{v}
	}
	return v
}

// A view is a service whose plain reads may lag behind, seen by a process whose clock is so much ahead of the
// others': what it writes into the index is dated accordingly. As all times that the engine writes are in the
// index, and are compared with its own clock only, that is the same as if the clock itself were.
type view struct {
	*memory
	s    *schedule
	skew time.Duration

	mu  sync.Mutex
	met map[string]bool // names of which the next Get follows a conflict
}

// A probingView has a way of reading that does not lag. Its plain reads lag for as long as they like.
type probingView struct{ *view }

var _ Prober = probingView{}

// Probe reads the newest version.
func (v probingView) Probe(ctx context.Context, name string) (Record, Rev, error) {
	rec, rev, err := v.memory.Get(ctx, name, None)
	return v.dated(rec, v.skew), rev, err
}

// Get reads a version that may be an old one, unless it is to follow another.
func (v *view) Get(ctx context.Context, name string, after Rev) (rec Record, rev Rev, err error) {
	if !v.s.stale || after != None || v.conflicted(name, false) {
		rec, rev, err = v.memory.Get(ctx, name, after)
		return v.dated(rec, v.skew), rev, err
	}
	err = v.call(ctx, call{op: get, name: name}, func() (err error) {
		rec, rev, err = v.newest(name)
		if err == nil && v.s.rng.IntN(3) == 0 {
			rec, rev, err = v.former(name, rec, rev)
		}
		return err
	})
	return v.dated(rec, v.skew), rev, err
}

// former returns what the secret may have been a while ago.
func (v *view) former(name string, rec Record, rev Rev) (Record, Rev, error) {
	s := v.secrets[name]
	if s == nil || s.destroyed > 0 {
		return rec, rev, nil // what is deleted is gone
	}
	i := max(len(s.versions)-1-v.s.rng.IntN(3), -1)
	if since := s.times[min(i+1, len(s.versions)-1)]; !v.s.m.tombstones && time.Since(since) > maxLag {
		return rec, rev, nil // it was replaced too long ago
	}
	if i < 0 {
		return Record{}, None, nil
	}
	rec, err := UnmarshalBytes(v.FullName(name), s.versions[i])
	return rec, Rev(fmt.Sprintf("%d.%d", s.birth, i+1)), err
}

// Put writes with the times of the service.
func (v *view) Put(ctx context.Context, name string, base Rev, rec Record, tidy int) (Rev, error) {
	rev, err := v.memory.Put(ctx, name, base, v.dated(rec, -v.skew), tidy)
	v.conflicted(name, errors.Is(err, ErrConflict))
	return rev, err
}

// conflicted sets whether the last call on the secret was a Put that met a conflict, and returns what it was before: None
// is a revision too of which Get has to know that it is an old one.
func (v *view) conflicted(name string, now bool) (before bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before, v.met[name] = v.met[name], now
	return before
}

// dated adds d to all times in the record.
func (v *view) dated(rec Record, d time.Duration) Record {
	if d == 0 || !rec.Live() || rec.Document[entriesField] == nil {
		return rec
	}
	var entries []map[string]json.RawMessage
	if err := json.Unmarshal(rec.Document[entriesField], &entries); err != nil {
		panic(err)
	}
	for _, e := range entries {
		var at string
		_ = json.Unmarshal(e["t"], &at)
		seconds, err := strconv.ParseInt(at, 36, 64)
		if err != nil {
			panic(err)
		}
		e["t"], _ = json.Marshal(timestamp(time.Unix(seconds, 0).Add(d)))
	}
	doc := make(map[string]json.RawMessage)
	for name, value := range rec.Document {
		doc[name] = value
	}
	doc[entriesField], _ = json.Marshal(entries)
	rec.Document = doc
	return rec
}
