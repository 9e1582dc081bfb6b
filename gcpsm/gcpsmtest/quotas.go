package gcpsmtest

import "time"

// A quota is one of the three that a project has.
type quota int

const (
	accesses quota = iota
	reads
	writes
)

// metric is the quota's name in an error.
func (q quota) metric() string {
	return [...]string{accesses: "Access requests", reads: "Read requests", writes: "Write requests"}[q]
}

// A rate is so many requests in a time. The numbers below are those of the service's page on
// quotas and limits.
type rate struct {
	metric, unit string
	limit        int
	per          time.Duration
}

// perProject returns the rate of q.
func (q quota) perProject() rate {
	limits := [...]int{accesses: 90_000, reads: 600, writes: 600}
	return rate{q.metric(), "minute", limits[q], time.Minute}
}

// A resourceRate is how often a second a method may be called for one secret or one version.
type resourceRate struct {
	metric           string
	global, regional int
}

var (
	secretChanges  = resourceRate{"Secret write requests", 2, 80}
	versionChanges = resourceRate{"Secret version state requests", 1, 50}
)

// perResource are the methods that have such a rate. The limits per minute that the page also names
// for secrets are sixty times these, and add nothing.
var perResource = map[string]resourceRate{
	"AddSecretVersion":     secretChanges,
	"UpdateSecret":         secretChanges,
	"EnableSecretVersion":  versionChanges,
	"DisableSecretVersion": versionChanges,
	"DestroySecretVersion": versionChanges,
}

// quotas counts requests by what they are counted for.
type quotas map[counter]window

type counter struct {
	of string // a project, a secret or a version
	rate
}

// A window is the time that a counter looks at: it begins with a request and lasts as long as the
// rate says.
type window struct {
	began time.Time
	n     int
}

// charge counts c, or refuses it where a quota is used up.
func (s *Server) charge(c call) error {
	if !s.config.limited || c.name.project == "" {
		return nil // a malformed name is refused before it is counted
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	counters := countersOf(c)
	for _, k := range counters {
		if w := s.quotas.window(k, now); w.n >= k.limit {
			return quotaExceeded(k.metric, k.unit, c.name.project)
		}
	}
	for _, k := range counters {
		w := s.quotas.window(k, now)
		w.n++
		s.quotas[k] = w
	}
	return nil
}

func countersOf(c call) []counter {
	counters := []counter{{c.name.project, methods[c.op].quota.perProject()}}
	r, ok := perResource[c.op]
	if !ok {
		return counters
	}
	limit := r.global
	if c.name.location != "" {
		limit = r.regional
	}
	resource := c.name.full() + "/versions/" + c.name.version // without a version: the secret
	return append(counters, counter{resource, rate{r.metric, "second", limit, time.Second}})
}

// window returns the window that now is in.
func (q quotas) window(k counter, now time.Time) window {
	w, ok := q[k]
	if !ok || now.Sub(w.began) >= k.per {
		return window{began: now}
	}
	return w
}
