package awssmtest

import (
	"regexp"
	"slices"
	"strings"
)

var filterValueRE = regexp.MustCompile(`^!?[a-zA-Z0-9 :_@/+=.!-]*$`)

type filter struct {
	Key    string
	Values []string
}

func checkFilters(c *checks, filters []filter) {
	c.size("", "filters", len(filters), 0, maxFilters)
	for _, f := range filters {
		c.oneOf("filters.key", f.Key,
			"description", "name", "tag-key", "tag-value", "primary-region", "owning-service", "all")
		c.size("", "filters.values", len(f.Values), 1, maxFilterValues)
		for _, v := range f.Values {
			c.text("filters.values", &v, 0, maxFilterValue)
			c.pattern("filters.values", v, filterValueRE)
		}
	}
}

// matches reports whether e passes all filters.
func (e *listEntry) matches(filters []filter) bool {
	return !slices.ContainsFunc(filters, func(f filter) bool { return !f.admits(e) })
}

// admits reports whether e has one of the values, and none of those that are negated with "!".
func (f filter) admits(e *listEntry) bool {
	wanted, found := false, false
	for _, v := range f.Values {
		unwanted, negated := strings.CutPrefix(v, "!")
		if negated && f.has(e, unwanted) {
			return false
		}
		if !negated {
			wanted = true
			found = found || f.has(e, v)
		}
	}
	return found || !wanted
}

// has compares as documented: prefixes, of which only the description's may differ in case, and
// for "all" words anywhere.
func (f filter) has(e *listEntry, value string) bool {
	if f.Key == "all" {
		return hasWords(e, value)
	}
	if f.Key == "description" {
		return strings.HasPrefix(strings.ToLower(e.Description), strings.ToLower(value))
	}
	isPrefix := func(attribute string) bool { return strings.HasPrefix(attribute, value) }
	return slices.ContainsFunc(e.attributes(f.Key), isPrefix)
}

// hasWords reports whether each word of text is in some attribute of e, whatever its case.
func hasWords(e *listEntry, text string) bool {
	var attributes []string
	for _, key := range []string{"name", "description", "tag-key", "tag-value", "primary-region"} {
		attributes = append(attributes, e.attributes(key)...)
	}
	all := strings.ToLower(strings.Join(attributes, "\n"))
	for _, word := range strings.Fields(strings.ToLower(text)) {
		if !strings.Contains(all, word) {
			return false
		}
	}
	return true
}

// attributes returns the values of e under a filter's key. No secret here has an owning service.
func (e *listEntry) attributes(key string) []string {
	switch key {
	case "name":
		return []string{e.Name}
	case "description":
		return []string{e.Description}
	case "primary-region":
		return []string{e.PrimaryRegion}
	}
	var values []string
	for _, t := range e.Tags {
		switch key {
		case "tag-key":
			values = append(values, *t.Key)
		case "tag-value":
			values = append(values, *t.Value)
		}
	}
	return values
}
