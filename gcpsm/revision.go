package gcpsm

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// rev is a revision: the number of a version, 0 for a secret without any, and the lowest number of
// which a version may be left.
type rev struct{ number, floor int }

func (r rev) encode() engine.Rev {
	return engine.Rev(strconv.Itoa(r.number) + "|" + strconv.Itoa(r.floor))
}

// revision is the inverse of encode. Of engine.None it makes the revision of a secret that is not there.
func revision(e engine.Rev) rev {
	number, floor, _ := strings.Cut(string(e), "|")
	n, _ := strconv.Atoi(number)
	f, _ := strconv.Atoi(floor)
	return rev{n, max(f, 1)}
}

// versionNumber returns the number at the end of a version's resource name, 0 if there is none.
func versionNumber(resource string) int {
	n, _ := strconv.Atoi(resource[strings.LastIndexByte(resource, '/')+1:])
	return n
}

// The fields that this backend adds to the header.
const (
	floorField = "lowest_version"
	cleanField = "destroyed_below"
)

// bounds are those fields.
type bounds struct {
	floor int // the writer of the version destroys all versions below
	clean int // all versions below were certainly destroyed before it was written; at most floor
}

func marshal(rec engine.Record, of bounds) ([]byte, error) {
	d := engine.Marshal(rec)
	d.Set(floorField, strconv.Itoa(of.floor))
	d.Set(cleanField, strconv.Itoa(of.clean))
	b, err := json.Marshal(d)
	if err != nil {
		return nil, errors.New("gcpsm: the document is not JSON") // err may quote a field
	}
	return b, nil
}

func unmarshal(secret string, data []byte) (rec engine.Record, b bounds, err error) {
	d, err := codec.Parse(data)
	if err != nil {
		return engine.Record{}, bounds{}, &oauthstore.CorruptRecordError{Secret: secret, Reason: err.Error()}
	}
	for field, value := range map[string]*int{floorField: &b.floor, cleanField: &b.clean} {
		text, err := d.Get(field)
		if err != nil {
			return engine.Record{}, bounds{}, &oauthstore.CorruptRecordError{Secret: secret, Reason: err.Error()}
		}
		delete(d, field)
		*value, _ = strconv.Atoi(text)
	}
	rec, err = engine.Unmarshal(secret, d)
	return rec, b, err
}

// sightings remembers of each secret the newest version that was seen, since what the service shows as the
// latest may be older, and what this process has itself seen destroyed.
type sightings struct {
	mu      sync.Mutex
	secrets map[string]sighting
}

type sighting struct {
	newest    int
	destroyed int // the newest version that was seen destroyed
	leftovers

	// anew says that the secret was deleted by other means: latest and the list may still show the former one.
	anew bool
}

// maxSightings bounds the memory. What is forgotten is seen again.
const maxSightings = 1 << 16

func (s *sightings) of(name string) sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets[name]
}

func (s *sightings) update(name string, change func(*sighting)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secrets == nil {
		s.secrets = make(map[string]sighting)
	}
	v, ok := s.secrets[name]
	if !ok && len(s.secrets) >= maxSightings {
		for other := range s.secrets { // any will do
			delete(s.secrets, other)
			break
		}
	}
	change(&v)
	s.secrets[name] = v
}

// add remembers that a version was seen.
func (s *sightings) add(name string, number int) {
	s.update(name, func(v *sighting) { v.newest = max(v.newest, number) })
}

// destroyed remembers that a version was seen destroyed.
func (s *sightings) destroyed(name string, number int) {
	s.update(name, func(v *sighting) { v.destroyed = max(v.destroyed, number) })
}

// forget remembers nothing but that the secret was deleted, by other means.
func (s *sightings) forget(name string) {
	s.update(name, func(v *sighting) { *v = sighting{anew: true} })
}

// caughtUp remembers that latest shows the secret as it is.
func (s *sightings) caughtUp(name string) {
	s.update(name, func(v *sighting) { v.anew = false })
}
