package awssmtest

import (
	"regexp"
	"slices"
	"time"
)

var regionRE = regexp.MustCompile(`^([a-z]+-)+\d+$`)

// A replica is what the primary secret knows of it.
type replica struct{ region, kmsKey string }

type replicaInput struct {
	Region   *string
	KmsKeyID *string `json:"KmsKeyId"`
}

type replicaOutput struct {
	Region   string
	KmsKeyID string `json:"KmsKeyId,omitempty"`
	Status   string
}

func checkReplicas(c *checks, replicas []replicaInput) {
	c.size("", "addReplicaRegions", len(replicas), 1, len(replicas)+1)
	for _, r := range replicas {
		c.required("addReplicaRegions.region", r.Region != nil)
		c.text("addReplicaRegions.kmsKeyId", r.KmsKeyID, 0, maxKMSKey)
		if r.Region != nil {
			c.pattern("addReplicaRegions.region", *r.Region, regionRE)
		}
	}
}

// replicate adds replicas. In the answer to the request that adds it a replica is InProgress, from
// then on InSync.
func (sec *secret) replicate(added []replicaInput) ([]replicaOutput, error) {
	next := slices.Clone(sec.replicas)
	for _, in := range added {
		if *in.Region == Region {
			return nil, errInvalidParameter("Invalid replica region.")
		}
		next = slices.DeleteFunc(next, func(r replica) bool { return r.region == *in.Region })
		r := replica{region: *in.Region}
		if in.KmsKeyID != nil {
			r.kmsKey = *in.KmsKeyID
		}
		next = append(next, r)
	}
	sec.replicas = next
	statuses := sec.replication()
	for i := range statuses {
		isNew := func(in replicaInput) bool { return *in.Region == statuses[i].Region }
		if slices.ContainsFunc(added, isNew) {
			statuses[i].Status = "InProgress"
		}
	}
	return statuses, nil
}

func (sec *secret) replication() []replicaOutput {
	var statuses []replicaOutput
	for _, r := range sec.replicas {
		statuses = append(statuses, replicaOutput{Region: r.region, KmsKeyID: r.kmsKey, Status: "InSync"})
	}
	return statuses
}

type replicateInput struct {
	secretRef
	AddReplicaRegions           *[]replicaInput
	ForceOverwriteReplicaSecret bool
}

func (in *replicateInput) validate() error {
	var c checks
	in.check(&c)
	c.required("addReplicaRegions", in.AddReplicaRegions != nil)
	if in.AddReplicaRegions != nil {
		checkReplicas(&c, *in.AddReplicaRegions)
	}
	return in.finish(c)
}

type replicateOutput struct {
	ARN               string
	ReplicationStatus []replicaOutput
}

func (s *Server) replicateSecretToRegions(in *replicateInput, now time.Time) (any, error) {
	sec, err := s.usable(*in.SecretID)
	if err != nil {
		return nil, err
	}
	statuses, err := sec.replicate(*in.AddReplicaRegions)
	if err != nil {
		return nil, err
	}
	s.touch(sec, now)
	return replicateOutput{ARN: sec.arn, ReplicationStatus: statuses}, nil
}

type unreplicateInput struct {
	secretRef
	RemoveReplicaRegions *[]string
}

func (in *unreplicateInput) validate() error {
	var c checks
	in.check(&c)
	c.required("removeReplicaRegions", in.RemoveReplicaRegions != nil)
	if in.RemoveReplicaRegions != nil {
		regions := *in.RemoveReplicaRegions
		c.size("", "removeReplicaRegions", len(regions), 1, len(regions)+1)
		for _, region := range regions {
			c.pattern("removeReplicaRegions", region, regionRE)
		}
	}
	return in.finish(c)
}

// removeRegionsFromReplication deletes replicas: "When you delete a replica, it is deleted
// immediately."
func (s *Server) removeRegionsFromReplication(in *unreplicateInput, now time.Time) (any, error) {
	sec, err := s.usable(*in.SecretID)
	if err != nil {
		return nil, err
	}
	sec.replicas = slices.DeleteFunc(slices.Clone(sec.replicas), func(r replica) bool {
		return slices.Contains(*in.RemoveReplicaRegions, r.region)
	})
	s.touch(sec, now)
	return replicateOutput{ARN: sec.arn, ReplicationStatus: sec.replication()}, nil
}
