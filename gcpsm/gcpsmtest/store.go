package gcpsmtest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A secret is one state of a secret. It and all that it points to are never changed once it is in
// the store: a change makes a new state, and the old one can still be shown to stale reads.
type secret struct {
	name     name
	made     int64 // its place in the order in which secrets were created
	meta     *pb.Secret
	versions []*version // version 1 is the first
}

// A version is one state of a version.
type version struct {
	meta *pb.SecretVersion
	data []byte // nil once destroyed
	crc  int64
}

// A state is what a secret has been since a time; nil: absent.
type state struct {
	since  time.Time
	secret *secret
}

// A store holds the states of all secrets by full name, those that a stale read can still see and
// the newest. Its user holds the server's lock.
type store struct {
	staleness time.Duration
	lag       time.Duration // beyond which nobody looks back
	states    map[string][]state
	made      int64
	etag      int64
	due       time.Time // when the next thing happens by itself, zero if nothing will
}

func newStore(staleness, lag time.Duration) store {
	return store{staleness: staleness, lag: max(staleness, lag), states: make(map[string][]state)}
}

// clock returns the time at the service's resolution, after all that was due by then has happened.
func (s *Server) clock() time.Time {
	now := s.Now().UTC().Truncate(time.Microsecond)
	s.store.settle(now)
	return now
}

// newEtag returns an etag that no resource has had before, or none where etags are not known.
func (s *Server) newEtag(now time.Time) string {
	if s.config.emulator {
		return ""
	}
	s.store.etag = max(s.store.etag+1, now.UnixMicro())
	return fmt.Sprintf(`"%x"`, s.store.etag)
}

// checkEtag refuses a change whose etag is not the resource's. No etag fits every resource.
func (s *Server) checkEtag(sent, current string) error {
	if sent == "" || sent == current || s.config.emulator {
		return nil
	}
	return wrongEtag()
}

// newest returns the secret of that name as it is, nil if there is none.
func (st *store) newest(full string) *secret {
	states := st.states[full]
	if len(states) == 0 {
		return nil
	}
	return states[len(states)-1].secret
}

// visible returns the secret as eventually consistent reads see it.
func (st *store) visible(full string, now time.Time) *secret {
	if st.staleness == 0 {
		return st.newest(full)
	}
	return st.then(full, now.Add(-st.staleness))
}

// then returns the secret as it was at a time.
func (st *store) then(full string, at time.Time) *secret {
	for _, s := range slices.Backward(st.states[full]) {
		if !s.since.After(at) {
			return s.secret
		}
	}
	return nil
}

// put makes sec, nil to delete it, the newest state from now on.
func (st *store) put(full string, now time.Time, sec *secret) {
	st.record(full, now, sec)
	st.remind(sec.due())
}

// record appends a state and drops those that no read can see any more.
func (st *store) record(full string, now time.Time, sec *secret) {
	states := append(st.states[full], state{now, sec})
	old := 0 // the newest state that stale reads have come to; none before it is needed
	for i, s := range states {
		if st.lag == 0 || !s.since.After(now.Add(-st.lag)) {
			old = i
		}
	}
	states = slices.Clone(states[old:])
	if len(states) == 1 && sec == nil {
		delete(st.states, full)
		return
	}
	st.states[full] = states
}

// remind moves the time of the next settling ahead to due.
func (st *store) remind(due time.Time) {
	if !due.IsZero() && (st.due.IsZero() || due.Before(st.due)) {
		st.due = due
	}
}

// settle lets happen what the clock has brought about: secrets expire, and versions are destroyed
// as scheduled.
func (st *store) settle(now time.Time) {
	if st.due.IsZero() || now.Before(st.due) {
		return
	}
	st.due = time.Time{}
	for _, full := range slices.Collect(maps.Keys(st.states)) {
		due := st.newest(full).due()
		for !due.IsZero() && !due.After(now) {
			st.record(full, due, st.newest(full).at(due))
			due = st.newest(full).due()
		}
		st.remind(due)
	}
}

// due returns when sec next changes by itself, zero for never.
func (sec *secret) due() time.Time {
	var due time.Time
	if sec == nil {
		return due
	}
	times := []*timestamppb.Timestamp{sec.meta.GetExpireTime()}
	for _, v := range sec.versions {
		times = append(times, v.meta.GetScheduledDestroyTime())
	}
	for _, t := range times {
		if t != nil && (due.IsZero() || t.AsTime().Before(due)) {
			due = t.AsTime()
		}
	}
	return due
}

// at returns what sec becomes by itself at now.
func (sec *secret) at(now time.Time) *secret {
	if e := sec.meta.GetExpireTime(); e != nil && !e.AsTime().After(now) {
		return nil
	}
	next := *sec
	next.versions = slices.Clone(sec.versions)
	for i, v := range next.versions {
		if t := v.meta.GetScheduledDestroyTime(); t != nil && !t.AsTime().After(now) {
			next.versions[i] = &version{meta: destroyed(v.meta, now)}
		}
	}
	return &next
}

// destroyed returns meta as it is once the payload is gone.
func destroyed(meta *pb.SecretVersion, now time.Time) *pb.SecretVersion {
	meta = proto.CloneOf(meta)
	meta.State = pb.SecretVersion_DESTROYED
	meta.DestroyTime = timestamppb.New(now)
	meta.ScheduledDestroyTime = nil
	return meta
}

// with returns sec with next in the place of old, at the end where old is nil.
func (sec *secret) with(old, next *version) *secret {
	changed := *sec
	changed.versions = slices.Clone(sec.versions)
	if i := slices.Index(sec.versions, old); i >= 0 {
		changed.versions[i] = next
	} else {
		changed.versions = append(changed.versions, next)
	}
	return &changed
}
