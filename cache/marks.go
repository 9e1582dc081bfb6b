package cache

// marks say what the calls that have ended were about. If two calls were under way together, it is unknown which has read,
// or written, first. So a call looks at its end for the marks of calls that have ended since it began: its answer may be
// older than theirs.
//
// Moments are counted by Store.seq. A mark is kept as long as a call is under way that began before it was made.
type marks struct {
	ids   lru[string, mark]
	users lru[string, mark]

	any     uint64 // when a call last ended that may have changed any record
	anyUser uint64 // the same of what any user name leads to
	newID   uint64 // the same of an id that had no record
}

// A mark is about an id or a user name.
type mark struct {
	written uint64 // when a call last ended that may have changed the record, or what the user name leads to
	seen    uint64 // when a call last ended that has read the record or found none; of a user name, any of its records
}

func (m mark) latest() uint64 { return max(m.written, m.seen) }

// maxMarks bounds the ids, and the user names, that have marks: a call that takes so long that more calls end meanwhile
// learns nothing.
const maxMarks = 1 << 14

func newMarks() marks {
	return marks{ids: newLRU[string, mark](maxMarks), users: newLRU[string, mark](maxMarks)}
}

// wrote marks what a call that ends now may have changed. Either name may be empty.
func (m *marks) wrote(now uint64, id, user string) {
	m.set(&m.ids, id, func(one *mark) { one.written = now })
	m.set(&m.users, user, func(one *mark) { one.written = now })
}

// saw marks what a call that ends now has read. Either name may be empty.
func (m *marks) saw(now uint64, id, user string) {
	m.set(&m.ids, id, func(one *mark) { one.seen = now })
	m.set(&m.users, user, func(one *mark) { one.seen = now })
}

func (m *marks) set(of *lru[string, mark], name string, set func(*mark)) {
	if name == "" {
		return
	}
	one := of.peek(name)
	set(&one)
	if out := of.put(name, one); out != nil {
		m.any = max(m.any, out.value.latest())
	}
}

// record reports whether the record under id, of the user, may have been changed since a moment.
func (m *marks) record(since uint64, id, user string) bool {
	return m.any > since || m.ids.peek(id).written > since || m.users.peek(user).written > since
}

// user reports whether what the user name leads to may have been changed since a moment.
func (m *marks) user(since uint64, name string) bool {
	return m.any > since || m.anyUser > since || m.users.peek(name).written > since
}

// prune drops the marks from before a moment.
func (m *marks) prune(before uint64) {
	for _, of := range []*lru[string, mark]{&m.ids, &m.users} {
		for last := of.last(); last != nil && last.value.latest() < before; last = of.last() {
			of.drop(last.key)
		}
	}
}
