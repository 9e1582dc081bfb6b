package awssmtest

import (
	"bytes"
	"maps"
	"slices"
	"time"
)

// The staging labels that the service moves by itself.
const (
	stageCurrent  = "AWSCURRENT"
	stagePrevious = "AWSPREVIOUS"
	stagePending  = "AWSPENDING"
)

type secret struct {
	name, arn   string
	description string
	kmsKey      string // empty for aws/secretsmanager
	tags        map[string]string
	replicas    []replica

	created, changed time.Time
	accessed         time.Time // to the day, zero before the first read
	deletion         *deletion // nil unless deleted

	versions []*version        // oldest first
	stages   map[string]string // label to version id: a label is on one version only
	currents []currency
}

type version struct {
	id       string
	number   int // grows with each version of a secret, for paging
	value    value
	kmsKey   string
	created  time.Time
	accessed time.Time
}

// A value is what a version holds: a text or bytes, which differ even where their bytes agree.
type value struct {
	data   []byte
	binary bool
}

func (v value) equal(w value) bool { return v.binary == w.binary && bytes.Equal(v.data, w.data) }

// A currency says which version was AWSCURRENT from when on.
type currency struct {
	since time.Time
	id    string
}

type deletion struct {
	requested time.Time
	due       time.Time // when the secret is gone for good
	forced    bool
	met       int // times that a CreateSecret has met it
}

func (sec *secret) version(id string) *version {
	for _, v := range sec.versions {
		if v.id == id {
			return v
		}
	}
	return nil
}

// labels returns those of the version, sorted.
func (sec *secret) labels(id string) []string { return labelsIn(sec.stages, id) }

func labelsIn(stages map[string]string, id string) []string {
	var labels []string
	for label, holder := range stages {
		if holder == id {
			labels = append(labels, label)
		}
	}
	slices.Sort(labels)
	return labels
}

// labelled returns the labels of each version that has any.
func (sec *secret) labelled(stages map[string]string) map[string][]string {
	versions := make(map[string][]string)
	for _, v := range sec.versions {
		if labels := labelsIn(stages, v.id); len(labels) > 0 {
			versions[v.id] = labels
		}
	}
	return versions
}

// attach puts labels on the version, taking them off others: "If this operation moves the staging
// label AWSCURRENT from another version to this version, then Secrets Manager also automatically
// moves the staging label AWSPREVIOUS to the version that AWSCURRENT was removed from."
func (sec *secret) attach(id string, labels []string, now time.Time) error {
	next := maps.Clone(sec.stages)
	for _, label := range labels {
		next[label] = id
	}
	old := sec.stages[stageCurrent]
	moved := next[stageCurrent] != old
	if moved && old != "" {
		next[stagePrevious] = old
	}
	if len(next) > maxStages {
		return errLimitExceeded()
	}
	if moved {
		sec.currents = append(sec.currents, currency{since: now, id: id})
	}
	sec.stages = next
	return nil
}

// add makes a version, at first within the quota.
func (sec *secret) add(id string, val value, labels []string, quota int, now time.Time) error {
	sec.removeOutdated(quota, now)
	if quota > 0 && len(sec.versions) >= quota {
		return errLimitExceeded()
	}
	if len(labels) == 0 || len(sec.versions) == 0 {
		labels = append(slices.Clone(labels), stageCurrent)
	}
	if err := sec.attach(id, labels, now); err != nil {
		return err
	}
	number := 1
	if n := len(sec.versions); n > 0 {
		number = sec.versions[n-1].number + 1
	}
	sec.versions = append(sec.versions, &version{
		id: id, number: number, value: val, kmsKey: sec.kmsKey, created: now,
	})
	return nil
}

// removeOutdated makes room for one version among those that are kept, as far as there are old
// ones without a label.
func (sec *secret) removeOutdated(quota int, now time.Time) {
	kept := versionsKept
	if quota > 0 {
		kept = min(kept, quota)
	}
	surplus := len(sec.versions) + 1 - kept
	sec.versions = slices.DeleteFunc(sec.versions, func(v *version) bool {
		outdated := surplus > 0 && now.Sub(v.created) > versionsSafe && len(sec.labels(v.id)) == 0
		if outdated {
			surplus--
		}
		return outdated
	})
}

// seen returns the labels as they are seen within lag after AWSCURRENT has moved: where they were before.
func (sec *secret) seen(lag time.Duration, now time.Time) map[string]string {
	last := len(sec.currents) - 1
	i := last
	for i > 0 && now.Sub(sec.currents[i].since) < lag {
		i--
	}
	if i == last || sec.version(sec.currents[i].id) == nil {
		return sec.stages
	}
	stages := maps.Clone(sec.stages)
	stages[stageCurrent] = sec.currents[i].id
	delete(stages, stagePrevious)
	if i > 0 {
		stages[stagePrevious] = sec.currents[i-1].id
	}
	return stages
}

// replicaRegions returns the Regions, in the order in which they were added.
func (sec *secret) replicaRegions() []string {
	var regions []string
	for _, r := range sec.replicas {
		regions = append(regions, r.region)
	}
	return regions
}

// touch notes a change of sec, for LastChangedDate and for the listing.
func (s *Server) touch(sec *secret, now time.Time) {
	sec.changed = now
	s.listing.note(now, sec.arn, newListEntry(sec))
}

// purge removes the secrets whose time is over. "There is no guarantee of a specific time after
// the recovery window": here it is at once.
func (s *Server) purge(now time.Time) {
	for name, sec := range s.deleted {
		if !now.Before(sec.deletion.due) {
			delete(s.secrets, name)
			delete(s.deleted, name)
			s.listing.note(sec.deletion.due, sec.arn, nil)
		}
	}
}
