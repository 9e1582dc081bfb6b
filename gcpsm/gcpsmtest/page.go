package gcpsmtest

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	defaultPageSize = 100    // where the request has none; the service does not say how many it sends
	maxPageSize     = 25_000 // ListSecretsRequest.page_size, in the API's reference
)

// A page is the part of a listing that a request asks for: what passes the filter, from the next one
// after the place where the last page ended.
type page struct {
	size      int
	after     int64 // 0 for the first page
	ascending bool  // the oldest one first
	filtered  bool
	matches   predicate
}

// A listRequest is what the two requests that list have in common.
type listRequest interface {
	GetPageSize() int32
	GetPageToken() string
	GetFilter() string
}

// newPage returns the page of listed messages that req asks for.
func (s *Server) newPage(req listRequest, listed proto.Message) (page, error) {
	p := page{size: int(req.GetPageSize()), ascending: s.config.has(AscendingLists)}
	switch {
	case p.size < 0:
		return page{}, invalid("The page_size [%d] is negative.", p.size)
	case p.size == 0:
		p.size = defaultPageSize
	}
	p.size = min(p.size, maxPageSize)
	if s.config.has(WholeLists) {
		p.size = math.MaxInt
	}
	var err error
	if p.after, err = readToken(req.GetPageToken()); err != nil {
		return page{}, err
	}
	if req.GetFilter() == "" || s.config.emulator {
		return p, nil
	}
	p.filtered = true
	p.matches, err = parseFilter(req.GetFilter(), listed.ProtoReflect().Descriptor())
	return p, err
}

// keep reports whether m passes the filter.
func (p page) keep(m protoreflect.ProtoMessage) bool {
	return !p.filtered || p.matches(m.ProtoReflect())
}

// total is the total_size of a listing of n.
func (p page) total(n int) int32 {
	if p.filtered {
		return 0
	}
	return int32(n)
}

// cut returns the items of all, newest first, that are on the page, and the token for the next one.
// A token holds the place of the last item, so that what is added meanwhile shifts nothing.
func cut[T any](p page, all []T, place func(T) int64) ([]T, string) {
	if p.ascending {
		slices.Reverse(all)
	}
	if p.after > 0 {
		all = slices.DeleteFunc(all, func(item T) bool {
			return place(item) == p.after || place(item) > p.after != p.ascending
		})
	}
	if len(all) <= p.size {
		return all, ""
	}
	return all[:p.size], newToken(place(all[p.size-1]))
}

func newToken(place int64) string {
	return base64.URLEncoding.EncodeToString(strconv.AppendInt(nil, place, 10))
}

func readToken(token string) (int64, error) {
	if token == "" {
		return 0, nil
	}
	text, err := base64.URLEncoding.DecodeString(token)
	if err != nil {
		return 0, invalid("The page_token is invalid.")
	}
	place, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || place < 1 {
		return 0, invalid("The page_token is invalid.")
	}
	return place, nil
}
