package awssmtest

import (
	"maps"
	"slices"
	"strings"
	"time"
)

type tag struct {
	Key   *string
	Value *string `json:",omitempty"`
}

func checkTags(c *checks, tags []tag) {
	for _, t := range tags {
		c.required("tags.key", t.Key != nil)
		c.text("tags.key", t.Key, 1, maxTagKey)
		c.text("tags.value", t.Value, 0, maxTagValue)
	}
}

// tag adds to the tags of sec, within their quota.
func (sec *secret) tag(tags []tag) error {
	next := maps.Clone(sec.tags)
	for _, t := range tags {
		if strings.HasPrefix(strings.ToLower(*t.Key), "aws:") {
			return errInvalidParameter("aws: prefixed tag key names are not allowed for external use.")
		}
		next[*t.Key] = ""
		if t.Value != nil {
			next[*t.Key] = *t.Value
		}
	}
	if len(next) > maxTags {
		return errInvalidParameter("A secret can't have more than 50 tags.")
	}
	sec.tags = next
	return nil
}

// tagList returns the tags as they are sent, sorted by key.
func (sec *secret) tagList() []tag {
	var tags []tag
	for _, key := range slices.Sorted(maps.Keys(sec.tags)) {
		value := sec.tags[key]
		tags = append(tags, tag{Key: &key, Value: &value})
	}
	return tags
}

type tagInput struct {
	secretRef
	Tags *[]tag
}

func (in *tagInput) validate() error {
	var c checks
	in.check(&c)
	c.required("tags", in.Tags != nil)
	if in.Tags != nil {
		checkTags(&c, *in.Tags)
	}
	return in.finish(c)
}

func (s *Server) tagResource(in *tagInput, now time.Time) (any, error) {
	sec, err := s.usable(*in.SecretID)
	if err != nil {
		return nil, err
	}
	if err := sec.tag(*in.Tags); err != nil {
		return nil, err
	}
	s.touch(sec, now)
	return nil, nil
}

type untagInput struct {
	secretRef
	TagKeys *[]string
}

func (in *untagInput) validate() error {
	var c checks
	in.check(&c)
	c.required("tagKeys", in.TagKeys != nil)
	if in.TagKeys != nil {
		for _, key := range *in.TagKeys {
			c.text("tagKeys", &key, 1, maxTagKey)
		}
	}
	return in.finish(c)
}

// untagResource ignores keys that the secret does not have, as documented.
func (s *Server) untagResource(in *untagInput, now time.Time) (any, error) {
	sec, err := s.usable(*in.SecretID)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(sec.tags)
	for _, key := range *in.TagKeys {
		delete(next, key)
	}
	sec.tags = next
	s.touch(sec, now)
	return nil, nil
}
