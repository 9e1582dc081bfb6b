package gcpsm

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/engine"
)

// version is one version of a secret, as read.
type version struct {
	number   int  // 0 where the service did not say which it is that cannot be read
	readable bool // neither destroyed nor disabled
	rec      engine.Record
	bounds

	// Of a version that is not readable: what the service's error says of its state, and the error.
	state pb.SecretVersion_State
	err   error
}

func (v *version) rev() rev { return rev{number: v.number, floor: v.floor} }

// base is the number of the version that v was made from.
func (v *version) base() int { return revision(v.rec.Base).number }

// absence is what a secret without a token looks like to a writer: number is the version to build on. A delete
// has destroyed it after all others.
func absence(number int) *version {
	return &version{number: number, bounds: bounds{floor: number + 1, clean: number + 1}}
}

// access reads a version by its number or as "latest". It returns nil if there is none, and one that is
// not readable where the service's answer is that it, or something about it, is not in the state to be read.
func (d *driver) access(ctx context.Context, name, number string) (*version, error) {
	const op = "AccessSecretVersion"
	out, err := d.client.AccessSecretVersion(ctx,
		&pb.AccessSecretVersionRequest{Name: d.resource(name) + "/versions/" + number}, readRetry)
	code := status.Code(err)
	switch {
	case code == codes.OK:
		return d.opened(name, out)
	case code == codes.NotFound:
		return nil, nil
	case code != codes.FailedPrecondition && code != codes.InvalidArgument || aboutKey(err):
		return nil, d.fail(op, name, false, err)
	}
	said := stateIn(status.Convert(err).Message())
	fault := d.fail(op, name, false, err)
	if code == codes.InvalidArgument && said.state == pb.SecretVersion_STATE_UNSPECIFIED {
		return nil, fault
	}
	return &version{number: said.number, state: said.state, err: fault}, nil
}

// opened is the version that a successful answer holds.
func (d *driver) opened(name string, out *pb.AccessSecretVersionResponse) (*version, error) {
	const op = "AccessSecretVersion"
	number, err := d.number(op, name, out.GetName())
	if err != nil {
		return nil, err
	}
	data := out.GetPayload().GetData()
	if sum := out.GetPayload().DataCrc32C; sum != nil && *sum != checksum(data) {
		return nil, d.unsure(op, name, "the payload does not match its checksum")
	}
	v := &version{number: number, readable: true}
	v.rec, v.bounds, err = unmarshal(d.FullName(name), data)
	if v.floor == 0 {
		v.floor = v.number
	}
	return v, err
}

var errNoNumber = errors.New("gcpsm: an answer without a version number")

// number returns the version's number in the resource name that an answer holds. Without one, as emulators
// may answer who echo "latest", there is nothing to go by.
func (d *driver) number(op, name, resource string) (int, error) {
	if n := versionNumber(resource); n > 0 {
		return n, nil
	}
	return 0, &engine.Fault{Backend: "gcpsm", Op: op, Secret: d.FullName(name), Err: errNoNumber,
		Message: "the answer's resource name, " + strconv.Quote(resource) + ", has no version number"}
}

// unreadable is what a text says of a version: its number and state, zero where it does not.
type unreadable struct {
	number int
	state  pb.SecretVersion_State
}

var (
	versionName = regexp.MustCompile(`[^\s\[]*/versions/(\d+)`)
	keyWord     = regexp.MustCompile(`(?i)kms|crypto_?key`)
)

// stateIn reads the text of an error. Google's is "Secret Version [projects/…/versions/3] is in DESTROYED
// state.", emulators have "Version [projects/…/versions/3] is not enabled (state: DESTROYED)" and "Secret
// version is disabled: projects/…/versions/3". No state is believed of which it is not plain that it is a
// version's: that of a key says nothing of what is encrypted with it.
func stateIn(text string) unreadable {
	var u unreadable
	name := versionName.FindStringSubmatch(text)
	if name == nil {
		return u
	}
	u.number, _ = strconv.Atoi(name[1])
	words := strings.ToLower(versionName.ReplaceAllString(text, "")) // a name may hold any word
	said := strings.HasPrefix(words, "secret version") || strings.HasPrefix(words, "version")
	switch {
	case !said || keyWord.MatchString(words):
	case strings.Contains(words, "destroyed"):
		u.state = pb.SecretVersion_DESTROYED
	case strings.Contains(words, "disabled"):
		u.state = pb.SecretVersion_DISABLED
	}
	return u
}

// aboutKey reports whether err is about the key with which a version is encrypted: that is disabled or
// destroyed, or Secret Manager may not use it. The version itself is then there: who destroyed one needs no
// key to know it.
func aboutKey(err error) bool {
	text := status.Convert(err).Message()
	return status.Code(err) == codes.FailedPrecondition &&
		(strings.Contains(text, "/cryptoKeys/") || keyWord.MatchString(versionName.ReplaceAllString(text, "")))
}

// disabled is the error of a version that somebody has disabled by hand. Only they know what that means.
func (d *driver) disabled(name string, number int) error {
	return &oauthstore.CorruptRecordError{Secret: d.FullName(name),
		Reason: "version " + strconv.Itoa(number) + " is disabled: enable or destroy it"}
}
