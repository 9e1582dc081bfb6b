package awssm

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	"github.com/oauthstore/oauthstore/internal/engine"
)

// rev is a revision: a version of a secret, the secret named by its ARN. counter is above 0 where
// AWSCURRENT was moved back to the version and the ids first derived from it exist already. A rev
// without version is a secret without a current one. One that is waiting is of a secret that waits for
// deletion: there is no record, and a Put restores the secret first.
type rev struct {
	arn, version string
	counter      int
	waiting      bool
}

// notThere is the revision of a secret that does not exist.
const notThere engine.Rev = "-"

// waitingMark ends the revisions of secrets that wait for deletion.
const waitingMark = "|waiting"

// encode makes an engine.Rev of r. Neither ARNs nor version ids hold a bar.
func (r rev) encode() engine.Rev {
	e := r.arn + "|" + r.version + "|" + strconv.Itoa(r.counter)
	if r.waiting {
		e += waitingMark
	}
	return engine.Rev(e)
}

// revision is the inverse of encode; it returns the zero rev for what encode did not make.
func revision(e engine.Rev) rev {
	text, waiting := strings.CutSuffix(string(e), waitingMark)
	parts := strings.Split(text, "|")
	if len(parts) != 3 {
		return rev{}
	}
	counter, _ := strconv.Atoi(parts[2])
	return rev{parts[0], parts[1], counter, waiting}
}

// successor is the id of the version that a write on r makes.
func (r rev) successor() string {
	return versionID("successor", r.arn, r.version, strconv.Itoa(r.counter))
}

// versionID derives a version id, in the form of a UUID (RFC 9562, version 8).
func versionID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	b := h.Sum(nil)[:16]
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
