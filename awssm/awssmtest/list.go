package awssmtest

import (
	"fmt"
	"time"
)

type listInput struct {
	Filters                []filter
	IncludePlannedDeletion bool
	MaxResults             *int
	NextToken              *string
	SortBy                 *string
	SortOrder              *string
}

func (in *listInput) validate() error {
	var c checks
	checkFilters(&c, in.Filters)
	c.number("maxResults", in.MaxResults, 1, maxPage)
	c.text("nextToken", in.NextToken, 1, maxNextToken)
	if in.SortBy != nil {
		c.oneOf("sortBy", *in.SortBy, "created-date", "last-accessed-date", "last-changed-date", "name")
	}
	if in.SortOrder != nil {
		c.oneOf("sortOrder", *in.SortOrder, "asc", "desc")
	}
	return c.err()
}

type listOutput struct {
	SecretList []*listEntry
	NextToken  *string `json:",omitempty"`
}

// listSecrets applies the filters to one page of all secrets at a time, so that a page can be short
// or empty and yet have a successor: "This can occur even when the response includes no values at
// all, such as when you ask for a filtered view of a long list."
func (s *Server) listSecrets(in *listInput, now time.Time) (any, error) {
	size := maxPage
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	by, key := in.order()
	desc := in.SortOrder != nil && *in.SortOrder == "desc"
	entries := s.listing.entries(now, in.IncludePlannedDeletion)
	entries, next, err := page("list by "+by, entries, key, desc, in.NextToken, size)
	if err != nil {
		return nil, err
	}
	out := listOutput{SecretList: []*listEntry{}, NextToken: next}
	for _, e := range entries {
		if e.matches(in.Filters) {
			out.SecretList = append(out.SecretList, e)
		}
	}
	return out, nil
}

// order returns what the list is sorted by, the date of creation by default.
func (in *listInput) order() (by string, key func(*listEntry) string) {
	if in.SortBy == nil {
		return "created-date", byCreation
	}
	switch *in.SortBy {
	case "name":
		return *in.SortBy, func(e *listEntry) string { return e.Name }
	case "last-changed-date":
		return *in.SortBy, func(e *listEntry) string { return byTime(e.LastChangedDate, e) }
	case "last-accessed-date":
		return *in.SortBy, func(e *listEntry) string { return byTime(e.LastAccessedDate, e) }
	}
	return *in.SortBy, byCreation
}

func byCreation(e *listEntry) string { return byTime(e.CreatedDate, e) }

// byTime makes a key that sorts by t, an absent one first, and by ARN where that is equal.
func byTime(t *epoch, e *listEntry) string {
	if t == nil {
		return fmt.Sprintf("%020d %s", 0, e.ARN)
	}
	return fmt.Sprintf("%020d %s", time.Time(*t).UnixNano(), e.ARN)
}

type listVersionsInput struct {
	secretRef
	IncludeDeprecated bool
	MaxResults        *int
	NextToken         *string
}

func (in *listVersionsInput) validate() error {
	var c checks
	in.check(&c)
	c.number("maxResults", in.MaxResults, 1, maxPage)
	c.text("nextToken", in.NextToken, 1, maxNextToken)
	return in.finish(c)
}

type listVersionsOutput struct {
	ARN       string
	Name      string
	Versions  []versionEntry
	NextToken *string `json:",omitempty"`
}

type versionEntry struct {
	VersionID        string   `json:"VersionId"`
	VersionStages    []string `json:",omitempty"`
	CreatedDate      *epoch
	LastAccessedDate *epoch   `json:",omitempty"`
	KmsKeyIDs        []string `json:"KmsKeyIds"`
}

// listSecretVersionIDs also answers for a deleted secret: InvalidRequestException, which says that
// one is, is not among the errors of this operation in the API reference.
func (s *Server) listSecretVersionIDs(in *listVersionsInput, _ time.Time) (any, error) {
	sec, err := s.find(*in.SecretID)
	if err != nil {
		return nil, err
	}
	size := maxPage
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	var versions []*version
	for _, v := range sec.versions {
		if in.IncludeDeprecated || len(sec.labels(v.id)) > 0 {
			versions = append(versions, v)
		}
	}
	byNumber := func(v *version) string { return fmt.Sprintf("%010d", v.number) }
	versions, next, err := page("versions of "+sec.arn, versions, byNumber, false, in.NextToken, size)
	if err != nil {
		return nil, err
	}
	out := listVersionsOutput{ARN: sec.arn, Name: sec.name, Versions: []versionEntry{}, NextToken: next}
	for _, v := range versions {
		out.Versions = append(out.Versions, newVersionEntry(sec, v))
	}
	return out, nil
}

func newVersionEntry(sec *secret, v *version) versionEntry {
	key := v.kmsKey
	if key == "" {
		key = "DefaultEncryptionKey"
	}
	return versionEntry{
		VersionID:        v.id,
		VersionStages:    sec.labels(v.id),
		CreatedDate:      newEpoch(v.created),
		LastAccessedDate: newEpoch(v.accessed),
		KmsKeyIDs:        []string{key},
	}
}
