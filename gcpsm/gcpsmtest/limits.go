package gcpsmtest

import (
	"regexp"
	"time"
	"unicode/utf8"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/protobuf/proto"
)

// The limits in the comments on Secret and SecretPayload in the API's reference, and, for the
// version_destroy_ttl, in the guide to delayed destruction.
const (
	maxPayload     = 64 << 10
	maxLabels      = 64
	maxAliases     = 50
	maxAnnotations = 16 << 10 // bytes of keys and values together, exclusive
	maxTopics      = 10
	maxKeyBytes    = 128 // of a label's key or value, or an annotation's key

	minDestroyDelay = 24 * time.Hour
	maxDestroyDelay = 1000 * 24 * time.Hour

	minToRotation     = 5 * time.Minute
	minRotationPeriod = time.Hour
	maxRotation       = 3_153_600_000 * time.Second
)

var (
	labelKey      = regexp.MustCompile(`^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$`)
	labelValue    = regexp.MustCompile(`^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$`)
	annotationKey = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$`)
	topicName     = regexp.MustCompile(`^projects/[^/]+/topics/[^/]+$`)
)

// checkPayload checks the size of a payload and the checksum that came with it.
func (s *Server) checkPayload(p *pb.SecretPayload) error {
	if s.config.has(NoChecksums) && p != nil {
		p = &pb.SecretPayload{Data: p.GetData()}
	}
	switch {
	case s.config.has(Unvalidated):
		return nil
	case p == nil:
		return required("payload")
	case len(p.GetData()) == 0:
		return invalid("Secret Payload cannot be empty.")
	case len(p.GetData()) > maxPayload:
		return invalid("Secret Payload is %d bytes long, which is more than the maximum of %d.", len(p.GetData()), maxPayload)
	case p.DataCrc32C != nil && p.GetDataCrc32C() != checksum(p.GetData()):
		return invalid("The checksum data_crc32c does not match the data.")
	}
	return nil
}

// checkSecret checks what a client may set of a secret. old is the secret before the change, nil
// for a new one.
func checkSecret(meta, old *pb.Secret, n name, now time.Time) error {
	checks := []error{
		checkLabels(meta.GetLabels()),
		checkAnnotations(meta.GetAnnotations()),
		checkAliases(meta.GetVersionAliases()),
		checkTopics(meta.GetTopics()),
		checkExpiration(meta, now),
		checkReplication(meta, old, n),
	}
	if !proto.Equal(meta.GetRotation(), old.GetRotation()) {
		checks = append(checks, checkRotation(meta.GetRotation(), now))
	}
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkLabels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return invalid("A Secret can have at most %d labels.", maxLabels)
	}
	for k, v := range labels {
		if !labelKey.MatchString(k) || len(k) > maxKeyBytes {
			return invalid("Label key [%s] does not match the expected format.", k)
		}
		if !labelValue.MatchString(v) || len(v) > maxKeyBytes {
			return invalid("The value of label [%s] does not match the expected format.", k)
		}
	}
	return nil
}

func checkAnnotations(annotations map[string]string) error {
	size := 0
	for k, v := range annotations {
		if !annotationKey.MatchString(k) || !utf8.ValidString(v) {
			return invalid("Annotation [%s] does not match the expected format.", k)
		}
		size += len(k) + len(v)
	}
	if size >= maxAnnotations {
		return invalid("The annotations are %d bytes long together; they must be less than %d.", size, maxAnnotations)
	}
	return nil
}

func checkAliases(aliases map[string]int64) error {
	if len(aliases) > maxAliases {
		return invalid("A Secret can have at most %d version aliases.", maxAliases)
	}
	for alias, number := range aliases {
		if !aliasFormat.MatchString(alias) || alias == latest || alias == "NEW" {
			return invalid("Version alias [%s] does not match the expected format.", alias)
		}
		if number < 1 {
			return invalid("Version alias [%s] is for version %d; versions start at 1.", alias, number)
		}
	}
	return nil
}

func checkTopics(topics []*pb.Topic) error {
	if len(topics) > maxTopics {
		return invalid("A Secret can have at most %d topics.", maxTopics)
	}
	for _, t := range topics {
		if !topicName.MatchString(t.GetName()) {
			return invalidName(t.GetName())
		}
	}
	return nil
}

// checkExpiration checks what happens to a secret and its versions in time.
func checkExpiration(meta *pb.Secret, now time.Time) error {
	if e := meta.GetExpireTime(); e != nil && !e.AsTime().After(now) {
		return invalid("The expire_time must be in the future.")
	}
	delay := meta.GetVersionDestroyTtl().AsDuration()
	if delay != 0 && (delay < minDestroyDelay || delay > maxDestroyDelay) {
		return invalid("The version_destroy_ttl must be between %s and %s.", minDestroyDelay, maxDestroyDelay)
	}
	return nil
}

func checkRotation(r *pb.Rotation, now time.Time) error {
	next, period := r.GetNextRotationTime(), r.GetRotationPeriod()
	if period != nil && next == nil {
		return required("secret.rotation.next_rotation_time")
	}
	if p := period.AsDuration(); period != nil && (p < minRotationPeriod || p > maxRotation) {
		return invalid("The rotation_period must be between %s and %s.", minRotationPeriod, maxRotation)
	}
	if next == nil {
		return nil
	}
	if wait := next.AsTime().Sub(now); wait < minToRotation || wait > maxRotation {
		return invalid("The next_rotation_time must be between %s and %s ahead.", minToRotation, maxRotation)
	}
	return nil
}
