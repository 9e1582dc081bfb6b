package awssmtest

import (
	"fmt"
	"maps"
	"time"
)

type stageInput struct {
	secretRef
	VersionStage        *string
	MoveToVersionID     *string `json:"MoveToVersionId"`
	RemoveFromVersionID *string `json:"RemoveFromVersionId"`
}

func (in *stageInput) validate() error {
	var c checks
	in.check(&c)
	c.required("versionStage", in.VersionStage != nil)
	c.text("versionStage", in.VersionStage, 1, maxStage)
	c.text("moveToVersionId", in.MoveToVersionID, minToken, maxToken)
	c.text("removeFromVersionId", in.RemoveFromVersionID, minToken, maxToken)
	if err := in.finish(c); err != nil {
		return err
	}
	if in.MoveToVersionID == nil && in.RemoveFromVersionID == nil {
		return errInvalidParameter("You must provide MoveToVersionId, RemoveFromVersionId or both.")
	}
	return nil
}

type stageOutput struct {
	ARN  string
	Name string
}

func (s *Server) updateSecretVersionStage(in *stageInput, now time.Time) (any, error) {
	sec, err := s.usable(*in.SecretID)
	if err != nil {
		return nil, err
	}
	if err := sec.allowsMove(in); err != nil {
		return nil, err
	}
	if err := sec.move(in, now); err != nil {
		return nil, err
	}
	s.touch(sec, now)
	return stageOutput{ARN: sec.arn, Name: sec.name}, nil
}

// allowsMove compares RemoveFromVersionId with the version that has the label: "If the label is
// attached and you either do not specify this parameter, or the version ID does not match, then
// the operation fails."
func (sec *secret) allowsMove(in *stageInput) error {
	label, holder := *in.VersionStage, sec.stages[*in.VersionStage]
	switch {
	case in.MoveToVersionID != nil && sec.version(*in.MoveToVersionID) == nil:
		return errNoVersion(*in.MoveToVersionID)
	case in.RemoveFromVersionID != nil && *in.RemoveFromVersionID != holder:
		return errInvalidParameter(fmt.Sprintf("When you move staging label %s, if you specify"+
			" RemoveFromVersionId, it must be set to the version that currently has the staging label %[1]s.", label))
	case in.MoveToVersionID == nil && label == stageCurrent:
		return errInvalidParameter("You can only move staging label AWSCURRENT to a different secret" +
			" version. It can't be completely removed.")
	case in.RemoveFromVersionID == nil && holder != "" && *in.MoveToVersionID != holder:
		return errInvalidParameter(fmt.Sprintf("The parameter RemoveFromVersionId can't be empty. Staging label %s is"+
			" currently attached to version %s, so you must explicitly reference that version in RemoveFromVersionId.",
			label, holder))
	}
	return nil
}

func (sec *secret) move(in *stageInput, now time.Time) error {
	if in.MoveToVersionID != nil {
		return sec.attach(*in.MoveToVersionID, []string{*in.VersionStage}, now)
	}
	sec.stages = maps.Clone(sec.stages)
	delete(sec.stages, *in.VersionStage)
	return nil
}
