package engine

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// A history counts the writes to one secret, where the service allows only so many in a time: the hour of each
// in the last day, say, as text. It is kept in the secret itself, by whoever writes it.
type history []tally

// A tally is how many writes there were in one slot of time.
type tally struct {
	slot  int64
	count int
}

// slots is how many slots the service's time has.
const slots = 24

// A quota is what a service allows: so many writes to one secret in so much time. Part of it is kept back for
// those writes that move what is in a secret elsewhere.
type quota struct {
	writes int
	per    time.Duration
}

func (q quota) slot(now time.Time) int64 { return now.UnixNano() / int64(q.per/slots) }

// none reports whether there is no limit.
func (q quota) none() bool { return q.writes == 0 }

// used is the writes of a secret after which its content is spread over others, spent those after which it
// takes no more entries.
func (q quota) used(writes int) bool  { return !q.none() && writes >= q.writes*6/10 }
func (q quota) spent(writes int) bool { return !q.none() && writes >= q.writes*85/100 }

// quiet reports whether so many writes leave room for many more.
func (q quota) quiet(writes int) bool { return q.none() || writes <= q.writes/4 }

// reserved is the writes of a token's record after which those that are left are kept for more than access tokens.
// A service that counts over a short time only is waited for.
func (q quota) reserved(writes int) bool {
	return !q.none() && q.per >= time.Hour && writes >= q.writes*75/100
}

// last is the writes of a token's record after which those that are left are kept for saves: of what a lease was taken
// for, and of a new login.
func (q quota) last(writes int) bool {
	return !q.none() && q.per >= time.Hour && writes >= q.writes*90/100
}

// quota is the one of the service.
func (s *Store) quota() quota {
	l := s.driver.Limits()
	return quota{l.Writes, l.Per}
}

// count is how many writes there were in the service's time up to now. What a clock that runs ahead has
// counted counts as well.
func (h history) count(q quota, now time.Time) int {
	sum := 0
	for _, t := range h.recent(q, now) {
		sum += t.count
	}
	return sum
}

func (h history) recent(q quota, now time.Time) history {
	if q.none() {
		return nil
	}
	for len(h) > 0 && h[0].slot < q.slot(now)-slots {
		h = h[1:]
	}
	ahead := slots + int64(grace/(q.per/slots)) // by which clocks may disagree
	for len(h) > 0 && h[len(h)-1].slot > q.slot(now)+ahead {
		h = h[:len(h)-1]
	}
	return h
}

// add returns the history with one more write. A clock that is behind does not take the lead back.
func (h history) add(q quota, now time.Time) history {
	if q.none() {
		return h // that of others
	}
	at := q.slot(now)
	h = h.recent(q, now)
	if n := len(h); n > 0 && h[n-1].slot >= at {
		last := h[n-1]
		last.count++
		return append(h[:n-1:n-1], last)
	}
	return append(h[:len(h):len(h)], tally{at, 1})
}

// until is when the first write that counts does not count any more.
func (h history) until(q quota, now time.Time) time.Duration {
	h = h.recent(q, now)
	if len(h) == 0 {
		return 0
	}
	end := time.Unix(0, (h[0].slot+slots+1)*int64(q.per/slots))
	return end.Sub(now)
}

// span is how much time there is between the first write that counts and now, at least a slot.
func (h history) span(q quota, now time.Time) time.Duration {
	n := int64(1)
	if h = h.recent(q, now); len(h) > 0 {
		n += q.slot(now) - h[0].slot
	}
	return time.Duration(max(n, 1)) * (q.per / slots)
}

// plus adds two histories.
func (h history) plus(other history) history {
	var sum history
	for len(h) > 0 || len(other) > 0 {
		switch {
		case len(other) == 0 || len(h) > 0 && h[0].slot < other[0].slot:
			sum, h = append(sum, h[0]), h[1:]
		case len(h) == 0 || other[0].slot < h[0].slot:
			sum, other = append(sum, other[0]), other[1:]
		default:
			sum = append(sum, tally{h[0].slot, h[0].count + other[0].count})
			h, other = h[1:], other[1:]
		}
	}
	return sum
}

// share is an nth of the history, rounded up.
func (h history) share(n int) history {
	part := make(history, len(h))
	for i, t := range h {
		part[i] = tally{t.slot, (t.count + n - 1) / n}
	}
	return part
}

// String writes the slots in base 36 and their counts: "hx3k:5 hx3l:12".
func (h history) String() string {
	words := make([]string, len(h))
	for i, t := range h {
		words[i] = strconv.FormatInt(t.slot, 36) + ":" + strconv.Itoa(t.count)
	}
	return strings.Join(words, " ")
}

// parseHistory takes what is no history for none: it only helps to be careful.
func parseHistory(text string) history {
	var h history
	for _, word := range strings.Fields(text) {
		slot, count, _ := strings.Cut(word, ":")
		n, err1 := strconv.ParseInt(slot, 36, 64)
		c, err2 := strconv.Atoi(count)
		if err := cmp.Or(err1, err2); err != nil || c < 0 || len(h) > 0 && n <= h[len(h)-1].slot {
			return nil
		}
		h = append(h, tally{n, c})
	}
	return h
}
