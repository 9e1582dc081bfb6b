package awssmtest

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

// A listing is what ListSecrets sees: the secrets as they were some time ago. Changes wait in a
// queue until they are old enough.
type listing struct {
	delay time.Duration
	shown map[string]*listEntry // by ARN
	queue []listingChange       // oldest first
}

type listingChange struct {
	at    time.Time
	arn   string
	entry *listEntry // nil where the secret is gone
}

func newListing(delay time.Duration) listing {
	return listing{delay: delay, shown: make(map[string]*listEntry)}
}

func (l *listing) note(at time.Time, arn string, entry *listEntry) {
	l.queue = append(l.queue, listingChange{at: at, arn: arn, entry: entry})
	l.settle(at)
}

// settle shows the changes whose delay is over.
func (l *listing) settle(now time.Time) {
	for len(l.queue) > 0 && now.Sub(l.queue[0].at) >= l.delay {
		c := l.queue[0]
		l.queue = l.queue[1:]
		if c.entry == nil {
			delete(l.shown, c.arn)
			continue
		}
		l.shown[c.arn] = c.entry
	}
}

// entries returns what can be seen now, in no order.
func (l *listing) entries(now time.Time, deletedToo bool) []*listEntry {
	l.settle(now)
	var entries []*listEntry
	for _, e := range l.shown {
		if deletedToo || e.DeletedDate == nil {
			entries = append(entries, e)
		}
	}
	return entries
}

// A listEntry is a secret in the answer of ListSecrets. It does not change once it is made.
type listEntry struct {
	ARN                    string
	Name                   string
	Description            string              `json:",omitempty"`
	KmsKeyID               string              `json:"KmsKeyId,omitempty"`
	CreatedDate            *epoch              `json:",omitempty"`
	LastChangedDate        *epoch              `json:",omitempty"`
	LastAccessedDate       *epoch              `json:",omitempty"`
	DeletedDate            *epoch              `json:",omitempty"`
	PrimaryRegion          string              `json:",omitempty"`
	Tags                   []tag               `json:",omitempty"`
	SecretVersionsToStages map[string][]string `json:",omitempty"`
}

// newListEntry shows a deleted secret with the date of the request, where DescribeSecret has the
// end of the recovery window: so the two are documented.
func newListEntry(sec *secret) *listEntry {
	e := &listEntry{
		ARN:                    sec.arn,
		Name:                   sec.name,
		Description:            sec.description,
		KmsKeyID:               sec.kmsKey,
		CreatedDate:            newEpoch(sec.created),
		LastChangedDate:        newEpoch(sec.changed),
		LastAccessedDate:       newEpoch(sec.accessed),
		PrimaryRegion:          sec.primaryRegion(),
		Tags:                   sec.tagList(),
		SecretVersionsToStages: sec.labelled(sec.stages),
	}
	if sec.deletion != nil {
		e.DeletedDate = newEpoch(sec.deletion.requested)
	}
	return e
}

// page sorts items by key and returns size of them from where token, if any, left off, and the
// token for the rest. Tokens are good for the list that they come from, which scope names.
func page[T any](scope string, items []T, key func(T) string, desc bool, token *string, size int) ([]T, *string, error) {
	direction := 1
	if desc {
		scope, direction = scope+" desc", -1
	}
	slices.SortFunc(items, func(a, b T) int { return direction * strings.Compare(key(a), key(b)) })
	if token != nil {
		after, err := parseToken(scope, *token)
		if err != nil {
			return nil, nil, err
		}
		items = slices.DeleteFunc(items, func(item T) bool {
			return direction*strings.Compare(key(item), after) <= 0
		})
	}
	if len(items) <= size {
		return items, nil, nil
	}
	next := newToken(scope, key(items[size-1]))
	return items[:size], &next, nil
}

func newToken(scope, after string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(scope + "\n" + after))
}

func parseToken(scope, token string) (after string, err error) {
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", errInvalidNextToken()
	}
	after, ok := strings.CutPrefix(string(text), scope+"\n")
	if !ok {
		return "", errInvalidNextToken()
	}
	return after, nil
}
