package awssmtest

import (
	"fmt"
	"strings"
	"time"
)

type deleteInput struct {
	secretRef
	ForceDeleteWithoutRecovery bool
	RecoveryWindowInDays       *int
}

func (in *deleteInput) validate() error {
	if err := in.secretRef.validate(); err != nil {
		return err
	}
	days := in.RecoveryWindowInDays
	switch {
	case days != nil && in.ForceDeleteWithoutRecovery:
		return errInvalidParameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	case days != nil && (*days < minRecoveryDays || *days > maxRecoveryDays):
		return errInvalidParameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	return nil
}

type deleteOutput struct {
	ARN          string
	Name         string
	DeletionDate *epoch
}

func (s *Server) deleteSecret(in *deleteInput, now time.Time) (any, error) {
	if in.ForceDeleteWithoutRecovery {
		return s.forceDelete(*in.SecretID, now)
	}
	sec, err := s.usable(*in.SecretID)
	if err != nil {
		return nil, err
	}
	if err := sec.mayBeDeleted(); err != nil {
		return nil, err
	}
	days := defaultRecoveryDays
	if in.RecoveryWindowInDays != nil {
		days = *in.RecoveryWindowInDays
	}
	due := now.Add(time.Duration(days) * 24 * time.Hour)
	s.markDeleted(sec, deletion{requested: now, due: due}, now)
	return deleteOutput{ARN: sec.arn, Name: sec.name, DeletionDate: newEpoch(due)}, nil
}

// forceDelete begins what ends with purge: "Secrets Manager performs the actual deletion with an
// asynchronous background process". And: "If you forcibly delete an already deleted or nonexistent
// secret, the operation does not return ResourceNotFoundException."
func (s *Server) forceDelete(id string, now time.Time) (any, error) {
	sec, err := s.find(id)
	if err != nil {
		name := s.shortName(id)
		return deleteOutput{ARN: newARN(name), Name: name, DeletionDate: newEpoch(now)}, nil
	}
	if err := sec.mayBeDeleted(); err != nil {
		return nil, err
	}
	out := deleteOutput{ARN: sec.arn, Name: sec.name, DeletionDate: newEpoch(now)}
	if sec.deletion != nil && sec.deletion.forced {
		return out, nil
	}
	s.markDeleted(sec, deletion{requested: now, due: now.Add(s.options.deletionDelay), forced: true}, now)
	s.purge(now)
	return out, nil
}

func (s *Server) markDeleted(sec *secret, d deletion, now time.Time) {
	sec.deletion = &d
	s.deleted[sec.name] = sec
	s.touch(sec, now)
}

func (sec *secret) mayBeDeleted() error {
	if len(sec.replicas) == 0 {
		return nil
	}
	return errInvalidParameter(fmt.Sprintf("You can't delete secret %s that still has replica regions [%s].",
		sec.arn, strings.Join(sec.replicaRegions(), ", ")))
}

type restoreInput struct{ secretRef }

type restoreOutput struct {
	ARN  string
	Name string
}

// restoreSecret cancels a deletion that has a recovery window, and leaves a secret alone that is
// not deleted.
func (s *Server) restoreSecret(in *restoreInput, now time.Time) (any, error) {
	sec, err := s.find(*in.SecretID)
	if err != nil {
		return nil, err
	}
	if sec.deletion != nil && sec.deletion.forced {
		return nil, errInvalidRequest("You can't perform this operation on the secret because it was deleted.")
	}
	sec.deletion = nil
	delete(s.deleted, sec.name)
	s.touch(sec, now)
	return restoreOutput{ARN: sec.arn, Name: sec.name}, nil
}
