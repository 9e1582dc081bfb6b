package awssmtest

import (
	"strconv"
	"time"
)

// An epoch is a time as the protocol has it: seconds since 1970, with decimals.
type epoch time.Time

// newEpoch returns nil for the zero time, which is not sent.
func newEpoch(t time.Time) *epoch {
	if t.IsZero() {
		return nil
	}
	e := epoch(t)
	return &e
}

// MarshalJSON keeps milliseconds, as the service does.
func (e epoch) MarshalJSON() ([]byte, error) {
	seconds := float64(time.Time(e).UnixMilli()) / 1000
	return strconv.AppendFloat(nil, seconds, 'f', -1, 64), nil
}

type describeInput struct{ secretRef }

type describeOutput struct {
	ARN                string
	Name               string
	Description        string              `json:",omitempty"`
	KmsKeyID           string              `json:"KmsKeyId,omitempty"`
	CreatedDate        *epoch              `json:",omitempty"`
	LastChangedDate    *epoch              `json:",omitempty"`
	LastAccessedDate   *epoch              `json:",omitempty"`
	DeletedDate        *epoch              `json:",omitempty"`
	PrimaryRegion      string              `json:",omitempty"`
	Tags               []tag               `json:",omitempty"`
	VersionIDsToStages map[string][]string `json:"VersionIdsToStages,omitempty"`
	ReplicationStatus  []replicaOutput     `json:",omitempty"`
}

// describeSecret also answers for a secret that is deleted but not gone yet.
func (s *Server) describeSecret(in *describeInput, now time.Time) (any, error) {
	sec, err := s.find(*in.SecretID)
	if err != nil {
		return nil, err
	}
	out := describeOutput{
		ARN:                sec.arn,
		Name:               sec.name,
		Description:        sec.description,
		KmsKeyID:           sec.kmsKey,
		CreatedDate:        newEpoch(sec.created),
		LastChangedDate:    newEpoch(sec.changed),
		LastAccessedDate:   newEpoch(sec.accessed),
		PrimaryRegion:      sec.primaryRegion(),
		Tags:               sec.tagList(),
		VersionIDsToStages: sec.labelled(s.stages(sec, now)),
		ReplicationStatus:  sec.replication(),
	}
	if sec.deletion != nil {
		out.DeletedDate = newEpoch(sec.deletion.due)
	}
	return out, nil
}

// primaryRegion is sent for secrets with replicas only.
func (sec *secret) primaryRegion() string {
	if len(sec.replicas) == 0 {
		return ""
	}
	return Region
}
