package awssmtest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// From the table of quotas in the user guide and the constraints in the SDK's API model.
const (
	maxName         = 512
	maxSecretID     = 2048
	maxValue        = 65536 // bytes
	maxDescription  = 2048
	maxKMSKey       = 2048
	minToken        = 32
	maxToken        = 64
	maxStage        = 256
	maxStages       = 20 // in a request, and over all versions of a secret
	maxTags         = 50
	maxTagKey       = 128
	maxTagValue     = 256
	maxNextToken    = 4096
	maxPage         = 100
	maxBatch        = 20
	maxFilters      = 10
	maxFilterValues = 10
	maxFilterValue  = 512

	// "Secrets Manager keeps 100 of the most recent versions, but it keeps all secret versions
	// created in the last 24 hours."
	versionsKept = 100
	versionsSafe = 24 * time.Hour

	minRecoveryDays     = 7
	maxRecoveryDays     = 30
	defaultRecoveryDays = 30
)

// A checks collects the ways in which a request breaks the constraints of the API model. The
// service reports them all in one ValidationException, and does not quote values that are secret.
type checks []string

func (c *checks) fail(value, field, rule string) {
	*c = append(*c, fmt.Sprintf("Value %sat '%s' failed to satisfy constraint: Member must %s", value, field, rule))
}

func (c *checks) err() error {
	switch len(*c) {
	case 0:
		return nil
	case 1:
		return clientError("ValidationException", "1 validation error detected: "+(*c)[0])
	}
	return clientError("ValidationException",
		fmt.Sprintf("%d validation errors detected: %s", len(*c), strings.Join(*c, "; ")))
}

func (c *checks) required(field string, present bool) {
	if !present {
		c.fail("null ", field, "not be null")
	}
}

// text checks the length of a string, which may be absent.
func (c *checks) text(field string, s *string, lo, hi int) {
	if s != nil {
		c.size("'"+*s+"' ", field, utf8.RuneCountInString(*s), lo, hi)
	}
}

// size checks the length of a list or of something that is not to be quoted, for which value is
// empty.
func (c *checks) size(value, field string, n, lo, hi int) {
	if n < lo {
		c.fail(value, field, fmt.Sprintf("have length greater than or equal to %d", lo))
	}
	if n > hi {
		c.fail(value, field, fmt.Sprintf("have length less than or equal to %d", hi))
	}
}

func (c *checks) number(field string, n *int, lo, hi int) {
	if n != nil && *n < lo {
		c.fail(fmt.Sprintf("'%d' ", *n), field, fmt.Sprintf("have value greater than or equal to %d", lo))
	}
	if n != nil && *n > hi {
		c.fail(fmt.Sprintf("'%d' ", *n), field, fmt.Sprintf("have value less than or equal to %d", hi))
	}
}

func (c *checks) oneOf(field, s string, allowed ...string) {
	if !slices.Contains(allowed, s) {
		c.fail("'"+s+"' ", field, "satisfy enum value set: ["+strings.Join(allowed, ", ")+"]")
	}
}

func (c *checks) pattern(field, s string, re *regexp.Regexp) {
	if !re.MatchString(s) {
		c.fail("'"+s+"' ", field, "satisfy regular expression pattern: "+re.String())
	}
}
