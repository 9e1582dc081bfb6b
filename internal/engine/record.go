package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// A Record is what one version of a secret holds: a document and a header beside it.
type Record struct {
	Incarnation string   // random, set at the insert
	WriteID     string   // random, set at every write
	Earlier     []string // the write ids of the last few writes before, newest first
	Base        Rev      // the revision that this write was made from
	Claims      []string // nonces of the index entries that this record has stood behind, newest first
	Siblings    bool     // other records may have the same user name
	Lease       lease    // who refreshes the token
	Deleted     bool     // a tombstone: the record was deleted, its older versions perhaps not yet
	SoftDeleted bool     // not stored: somebody else has deleted the secret in a way that can be undone
	Expired     bool     // not stored: SoftDeleted, and by the service itself, after a time
	Writes      history  // to this secret, where the service counts them

	// Expires, which is not stored, is when the service is going to delete the record by itself; zero for never.
	Expires time.Time

	// Written is when the record was last written, zero where the service does not count writes.
	Written time.Time

	Document codec.Document // nil in a tombstone and where there is no record
}

// maxEarlier is how many write ids a record remembers beside its own: how many writes of others may
// come between a write whose answer was lost and the look that settles it.
const maxEarlier = 3

// Live reports whether there is a record at all.
func (r Record) Live() bool { return r.Document != nil }

// Absent reports whether there is nothing of a record: no content, no tombstone, nothing that the service has deleted by
// itself.
func (r Record) Absent() bool { return !r.Live() && !r.Deleted && !r.Expired }

// lastOf returns which of the writes took effect last, in r or shortly before; -1 is none.
func (r Record) lastOf(writes []string) int {
	for _, id := range append([]string{r.WriteID}, r.Earlier...) {
		if i := slices.Index(writes, id); i >= 0 {
			return i
		}
	}
	return -1
}

// The header's fields in the stored document. All are strings, as the document's own are.
const (
	incarnationField = "incarnation"
	writeField       = "write_id"
	earlierField     = "earlier_writes"
	baseField        = "base"
	claimsField      = "claims"
	siblingsField    = "siblings"
	deletedField     = "deleted"
	writesField      = "writes"
	writtenField     = "written"
	leaseField       = "lease"
)

// Marshal returns what a driver stores for r: header and document, side by side.
func Marshal(r Record) codec.Document {
	d := make(codec.Document, len(r.Document)+10)
	maps.Copy(d, r.Document)
	if !r.Live() {
		codec.SetFormat(d)
	}
	set := func(name, value string) {
		if value != "" {
			d.Set(name, value)
		}
	}
	set(incarnationField, r.Incarnation)
	set(writeField, r.WriteID)
	set(earlierField, strings.Join(r.Earlier, " "))
	set(baseField, string(r.Base))
	set(claimsField, strings.Join(r.Claims, " "))
	set(siblingsField, mark(r.Siblings))
	set(deletedField, mark(r.Deleted))
	set(leaseField, r.Lease.String())
	set(writesField, r.Writes.String())
	if !r.Written.IsZero() {
		set(writtenField, timestamp(r.Written))
	}
	return d
}

func mark(b bool) string {
	if b {
		return "true"
	}
	return ""
}

// Unmarshal is the inverse of Marshal. It takes d over. A secret without header, one that somebody
// else made, is a record too; its codec will say whether it is a token.
func Unmarshal(secret string, d codec.Document) (Record, error) {
	var r Record
	var errs error
	take := func(name string) string {
		value, err := d.Get(name)
		errs = errors.Join(errs, err)
		delete(d, name)
		return value
	}
	r.Incarnation = take(incarnationField)
	r.WriteID = take(writeField)
	r.Earlier = strings.Fields(take(earlierField))
	r.Base = Rev(take(baseField))
	r.Claims = strings.Fields(take(claimsField))
	r.Siblings = take(siblingsField) != ""
	r.Deleted = take(deletedField) != ""
	r.Lease = parseLease(take(leaseField))
	r.Writes = parseHistory(take(writesField))
	r.Written = parseTimestamp(take(writtenField))
	if errs != nil {
		return Record{}, &oauthstore.CorruptRecordError{Secret: secret, Reason: errs.Error()}
	}
	if !r.Deleted {
		r.Document = d
	}
	return r, nil
}

// MarshalBytes is Marshal for services that store bytes.
func MarshalBytes(r Record) ([]byte, error) {
	b, err := json.Marshal(Marshal(r))
	if err != nil {
		// err may quote a field.
		return nil, errors.New("the document is not JSON")
	}
	return b, nil
}

// UnmarshalBytes is Unmarshal for services that store bytes.
func UnmarshalBytes(secret string, b []byte) (Record, error) {
	d, err := codec.Parse(b)
	if err != nil {
		return Record{}, &oauthstore.CorruptRecordError{Secret: secret, Reason: err.Error()}
	}
	return Unmarshal(secret, d)
}

// headerRoom is kept for the header, which may grow.
const headerRoom = 1024

// checkSize returns ErrRecordTooLarge for a record that does not fit in one version.
func (s *Store) checkSize(name string, r Record) error {
	b, err := MarshalBytes(Record{Document: r.Document})
	if err != nil {
		return err
	}
	if limit := s.driver.Limits().Value; len(b) > limit-headerRoom {
		return fmt.Errorf("%w: secret %s: %d bytes, where %d fit", oauthstore.ErrRecordTooLarge,
			s.driver.FullName(name), len(b), limit-headerRoom)
	}
	return nil
}
