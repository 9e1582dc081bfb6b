package awssmtest

import (
	"errors"
	"math/rand/v2"
	"time"
)

type batchInput struct {
	SecretIDList *[]string `json:"SecretIdList"`
	Filters      []filter
	MaxResults   *int
	NextToken    *string
}

func (in *batchInput) validate() error {
	var c checks
	if in.SecretIDList != nil {
		c.size("", "secretIdList", len(*in.SecretIDList), 1, maxBatch)
		for _, id := range *in.SecretIDList {
			c.text("secretIdList", &id, 1, maxSecretID)
		}
	}
	checkFilters(&c, in.Filters)
	c.number("maxResults", in.MaxResults, 1, maxBatch)
	c.text("nextToken", in.NextToken, 1, maxNextToken)
	if err := c.err(); err != nil {
		return err
	}
	if (in.SecretIDList != nil) == (len(in.Filters) > 0) {
		return errInvalidParameter("You must include Filters or SecretIdList, but not both.")
	}
	if in.SecretIDList != nil && (in.MaxResults != nil || in.NextToken != nil) {
		return errInvalidParameter("To use MaxResults or NextToken, you must also use the Filters parameter.")
	}
	return nil
}

type batchOutput struct {
	SecretValues []*valueOutput
	Errors       []batchError
	NextToken    *string `json:",omitempty"`
}

type batchError struct {
	SecretID  string `json:"SecretId"`
	ErrorCode string
	Message   string
}

func (s *Server) batchGetSecretValue(in *batchInput, now time.Time) (any, error) {
	s.use("GetSecretValue")
	if in.SecretIDList != nil {
		return s.values(*in.SecretIDList, now), nil
	}
	s.use("ListSecrets")
	size := maxBatch
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	entries := s.listing.entries(now, false)
	entries, next, err := page("batch", entries, byCreation, false, in.NextToken, size)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if e.matches(in.Filters) {
			ids = append(ids, e.ARN)
		}
	}
	out := s.values(ids, now)
	out.NextToken = next
	return out, nil
}

// values reads the AWSCURRENT versions, in no order that a caller could rely on.
func (s *Server) values(ids []string, now time.Time) *batchOutput {
	out := &batchOutput{SecretValues: []*valueOutput{}, Errors: []batchError{}}
	for _, i := range rand.Perm(len(ids)) {
		v, err := s.value(&getInput{secretRef: secretRef{SecretID: &ids[i]}}, now)
		if err != nil {
			e := errInternal()
			errors.As(err, &e)
			out.Errors = append(out.Errors, batchError{SecretID: ids[i], ErrorCode: e.Code, Message: e.Message})
			continue
		}
		out.SecretValues = append(out.SecretValues, v)
	}
	return out
}
